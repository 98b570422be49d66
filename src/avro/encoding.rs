//! What the binary encoding is made of, each passed over without a copy: the rest of the bytes, or `None`.

use super::program::position;
use crate::utf8::{is_middling_ascii, is_short_ascii, is_utf8};

/// A varint before zigzag, no longer than its value needs.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((u64::from(*first), rest));
    }
    long_varint(u64::from(*first & 0x7f), rest)
}

#[inline(never)]
fn long_varint(first: u64, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut shift, mut rest) = (first, 7_u32, bytes);
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        if shift == 63 {
            // The tenth byte: one bit is left.
            return (*byte == 1).then_some((value | 1 << 63, rest));
        }
        value |= u64::from(*byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return (*byte != 0).then_some((value, rest));
        }
    }
}

/// Passes over a varint of 64 bits whose value does not matter.
#[inline]
pub(super) fn long(bytes: &[u8]) -> Option<&[u8]> {
    if let Some((word, _)) = bytes.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte that ends a varint; the first of them counts.
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let last = ends.trailing_zeros() & !7;
            // More than one byte, of which the last is zero: longer than needed.
            let fits = last == 0 || (word >> (last & 63)) & 0x7f != 0;
            return if fits { bytes.get(position(last >> 3) + 1..) } else { None };
        }
    }
    varint(bytes).map(|(_, rest)| rest)
}

/// Passes over a varint of 32 bits whose value does not matter.
#[inline]
pub(super) fn int(bytes: &[u8]) -> Option<&[u8]> {
    // Most are small. Where that is foreseen, what follows is looked at before this byte has come.
    if let Some((0..0x80, rest)) = bytes.split_first() {
        return Some(rest);
    }
    if let Some((word, _)) = bytes.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & 0x80_8080_8080;
        let last = ends.trailing_zeros() & !7;
        let end = word >> (last & 63);
        let fits = match last {
            0 => true,
            // Four bits are left in the fifth byte, and no byte is longer than needed.
            32 => end & 0xf0 == 0 && end & 0x0f != 0,
            _ => end & 0x7f != 0,
        };
        return if fits && ends != 0 { bytes.get(position(last >> 3) + 1..) } else { None };
    }
    let (raw, rest) = varint(bytes)?;
    (raw <= u64::from(u32::MAX)).then_some(rest)
}

/// A length: not negative.
#[inline]
pub(super) fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (raw, rest) = varint(bytes)?;
    if raw & 1 == 1 {
        return None;
    }
    usize::try_from(raw >> 1).ok().map(|length| (length, rest))
}

/// An index below `count`.
#[inline]
pub(super) fn index(bytes: &[u8], count: u32) -> Option<(u32, &[u8])> {
    let (raw, rest) = varint(bytes)?;
    if raw & 1 == 1 || raw >> 1 >= u64::from(count) {
        return None;
    }
    u32::try_from(raw >> 1).ok().map(|index| (index, rest))
}

/// Whether a union of null and another type is of the other; `null` is the byte for null.
#[inline]
pub(super) fn present(bytes: &[u8], null: u8) -> Option<(bool, &[u8])> {
    match bytes.split_first()? {
        (branch, rest) if *branch == null => Some((false, rest)),
        // The other index: 1 for 0 or 0 for 1, in zigzag.
        (branch, rest) if branch ^ null == 2 => Some((true, rest)),
        _ => None,
    }
}

#[inline]
pub(super) fn boolean(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.split_first()? {
        (0 | 1, rest) => Some(rest),
        _ => None,
    }
}

#[inline]
pub(super) fn skip(bytes: &[u8], width: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(width).ok()?..)
}

#[inline]
pub(super) fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    rest.split_at_checked(length)
}

/// A string. Most are short, and ASCII: for these, one look at the next sixteen bytes is enough.
#[inline]
pub(super) fn string(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    // What is odd, or longer than a byte, gets large.
    let length = usize::from(first.rotate_right(1));
    if is_short_ascii(rest, length) { rest.get(length..) } else { longer_string(bytes) }
}

/// Many of the others are not much longer.
#[inline(never)]
fn longer_string(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    if let Some((text, rest)) = rest.split_at_checked(usize::from(first.rotate_right(1)))
        && is_middling_ascii(text)
    {
        return Some(rest);
    }
    any_string(bytes)
}

#[inline(never)]
fn any_string(bytes: &[u8]) -> Option<&[u8]> {
    let (text, rest) = sized(bytes)?;
    is_utf8(text).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_length_are_checked_and_no_byte_behind_them() {
        for length in 0..130 {
            for behind in [&[][..], &[0xff; 3], &[0xff; 20]] {
                let mut bytes = Vec::new();
                crate::avro::sample::zigzag(i64::try_from(length).unwrap(), &mut bytes);
                let start = bytes.len();
                bytes.extend(vec![b'a'; length]);
                assert_eq!(string(&bytes), Some(&[][..]), "{length}");
                for end in 0..bytes.len() {
                    assert_eq!(string(&bytes[..end]), None, "{length} {end}");
                }
                bytes.extend(behind);
                assert_eq!(string(&bytes), Some(behind), "{length}");
                for at in start..start + length {
                    bytes[at] = 0xff;
                    assert_eq!(string(&bytes), None, "{length} {at}");
                    bytes[at] = b'a';
                }
                if length > 1 {
                    bytes[start + length - 2..start + length].copy_from_slice("é".as_bytes());
                    assert_eq!(string(&bytes), Some(behind), "{length}");
                }
            }
        }
        // Negative lengths.
        for length in 1..130 {
            let mut bytes = Vec::new();
            crate::avro::sample::zigzag(-length, &mut bytes);
            assert_eq!(string(&[&bytes[..], &[0; 200]].concat()), None, "{length}");
        }
    }

    #[test]
    fn a_long_is_passed_over_as_it_is_read() {
        for bits in 0..=u64::BITS {
            let mut bytes = Vec::new();
            let mut raw = u64::MAX.checked_shr(bits).unwrap_or(0);
            while raw > 0x7f {
                bytes.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
                raw >>= 7;
            }
            bytes.push(u8::try_from(raw).unwrap());
            for padding in 0..9 {
                let padded = [&bytes[..], &vec![0x80; padding]].concat();
                let rest = Some(&padded[bytes.len()..]);
                assert_eq!(long(&padded), rest, "{bits} {padding}");
                assert_eq!(varint(&padded).map(|(_, rest)| rest), rest);
                let fits = varint(&padded).is_some_and(|(raw, _)| raw <= u64::from(u32::MAX));
                assert_eq!(int(&padded), rest.filter(|_| fits), "{bits} {padding}");
                let cut = &padded[..bytes.len() - 1];
                assert_eq!(long(cut), None, "{bits}");
                let overlong =
                    [cut, &[bytes[bytes.len() - 1] | 0x80, 0], &vec![7; padding]].concat();
                assert_eq!(long(&overlong), None, "{bits} {padding}");
            }
        }
    }
}
