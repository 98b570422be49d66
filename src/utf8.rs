//! Whether bytes are UTF-8: quick for what most texts are, short or ASCII.

/// What is not ASCII has one of these bits in two words: for each length of what counts in them.
const HIGH_BITS: [u128; 17] = {
    let mut bits = [0; 17];
    let mut length = 1;
    while length < bits.len() {
        bits[length] = bits[length - 1] << 8 | 0x80;
        length += 1;
    }
    bits
};
const HIGH: u64 = 0x8080_8080_8080_8080;
const HIGH_32: u32 = 0x8080_8080;
const HIGH_128: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;
/// So much of a long text is looked at before anything is decided.
const BLOCK: usize = 256;

/// Whether the text of so many bytes at the start of `bytes` is UTF-8, if one look tells: if the text is ASCII, at most
/// sixteen bytes long, and as many are there. `false` says nothing about it.
#[inline]
pub(crate) fn is_short_ascii(bytes: &[u8], length: usize) -> bool {
    match (bytes.first_chunk(), HIGH_BITS.get(length)) {
        (Some(words), Some(high)) => u128::from_le_bytes(*words) & high == 0,
        _ => false,
    }
}

/// Whether the text is ASCII, if two looks tell: if it has at most 32 bytes. `false` says nothing about it.
#[inline]
pub(crate) fn is_middling_ascii(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let both = u128::from_ne_bytes(*first) | u128::from_ne_bytes(*last);
        return text.len() <= 32 && both & HIGH_128 == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)) & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & HIGH_32 == 0;
    }
    match text {
        [] => true,
        [first, .., last] => first | text.get(1).unwrap_or(first) | last < 0x80,
        [only] => *only < 0x80,
    }
}

/// Whether the text is UTF-8.
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        if !is_ascii(block) {
            return is_utf8_by_vectors(text, index * BLOCK);
        }
    }
    is_ascii(tail) || is_utf8_by_vectors(text, blocks.len() * BLOCK)
}

/// The rest behind what is ASCII, where a character begins therefore. Vectors pay for what is not ASCII.
#[inline(never)]
fn is_utf8_by_vectors(text: &[u8], ascii: usize) -> bool {
    text.get(ascii..).is_some_and(|rest| simdutf8::basic::from_utf8(rest).is_ok())
}

/// By words, the last of which may overlap the one before.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().fold(0, |bits, byte| bits | byte) < 0x80;
    };
    let words = text.as_chunks().0.iter().map(|word| u128::from_ne_bytes(*word));
    words.fold(u128::from_ne_bytes(*last), |bits, word| bits | word) & HIGH_128 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_checked_to_their_last_byte() {
        for length in (0..130).chain(250..262).chain(510..530) {
            let mut text = vec![b'a'; length];
            assert!(is_utf8(&text), "{length}");
            for at in 0..length {
                text[at] = 0xff;
                assert!(!is_utf8(&text), "{length} {at}");
                text[at] = b'a';
            }
            for at in 1..length {
                text[at - 1..=at].copy_from_slice("é".as_bytes());
                assert!(is_utf8(&text), "{length} {at}");
                text[at - 1..=at].copy_from_slice(b"aa");
            }
            text.extend("é".bytes());
            assert!(is_utf8(&text), "{length}");
            assert!(!is_utf8(&text[..=length]), "{length}");
        }
    }

    #[test]
    fn quick_looks_tell_what_they_can_and_nothing_else() {
        for length in 0..40 {
            for after in 0..20 {
                let mut bytes = vec![b'a'; length];
                bytes.extend(vec![0xff; after]);
                let short = length <= 16 && bytes.len() >= 16;
                assert_eq!(is_short_ascii(&bytes, length), short, "{length} {after}");
                let middling = length <= 32;
                assert_eq!(is_middling_ascii(&bytes[..length]), middling, "{length}");
                for at in 0..length {
                    bytes[at] = 0xff;
                    assert!(!is_short_ascii(&bytes, length), "{length} {after} {at}");
                    assert!(!is_middling_ascii(&bytes[..length]), "{length} {at}");
                    bytes[at] = b'a';
                }
            }
        }
    }
}
