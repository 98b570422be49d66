//! What the wire format is made of, each passed over without a copy: the rest of the bytes, or `None`.

use super::program::position;
use crate::utf8::{is_middling_ascii, is_short_ascii, is_utf8};

/// A varint of at most 64 bits and ten bytes. More bytes than the value needs are allowed.
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
        // The tenth byte: one bit is left.
        if shift == 63 && *byte > 1 {
            return None;
        }
        value |= u64::from(*byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return Some((value, rest));
        }
    }
}

/// Passes over a varint of 64 bits whose value does not matter.
#[inline]
pub(super) fn any_varint(bytes: &[u8]) -> Option<&[u8]> {
    if let Some((word, _)) = bytes.split_first_chunk() {
        let ends = !u64::from_le_bytes(*word) & 0x8080_8080_8080_8080;
        if ends != 0 {
            return bytes.get(position(ends.trailing_zeros() >> 3) + 1..);
        }
    }
    varint(bytes).map(|(_, rest)| rest)
}

/// A tag or a length: at most 32 bits and five bytes.
#[inline]
pub(super) fn short(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((u32::from(*first), rest));
    }
    long_short(u32::from(*first & 0x7f), rest)
}

#[inline(never)]
fn long_short(first: u32, bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (mut value, mut shift, mut rest) = (first, 7_u32, bytes);
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        // The fifth byte: four bits are left.
        if shift == 28 && *byte > 0x0f {
            return None;
        }
        value |= u32::from(*byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return Some((value, rest));
        }
    }
}

/// A signed number of 32 bits, as it stands on the wire: as one of 64.
#[inline]
pub(super) fn int32(raw: u64) -> Option<i32> {
    i32::try_from(raw.cast_signed()).ok()
}

#[inline]
pub(super) fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = short(bytes)?;
    rest.split_at_checked(position(length))
}

/// A zigzag number that is not negative, in no more bytes than it needs: what an index list consists of.
pub(super) fn index(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (raw, rest) = short(bytes)?;
    let taken = bytes.len().saturating_sub(rest.len());
    let last = bytes.get(taken.checked_sub(1)?)?;
    let minimal = taken == 1 || *last != 0;
    (minimal && raw & 1 == 0).then_some((u64::from(raw >> 1), rest))
}

/// A string. Most are short, and ASCII: for these, a look at the next eight bytes at once is enough.
#[inline]
pub(super) fn string(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    // What is longer than a byte gets large.
    let length = usize::from(*first);
    if is_short_ascii(rest, length) { rest.get(length..) } else { longer_string(bytes) }
}

/// Many of the others are not much longer.
#[inline(never)]
fn longer_string(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.split_first()?;
    if let Some((text, rest)) = rest.split_at_checked(usize::from(*first))
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

    fn encoded(mut raw: u64, padding: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while raw > 0x7f {
            bytes.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
            raw >>= 7;
        }
        bytes.push(u8::try_from(raw).unwrap());
        for _ in 0..padding {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn varints_of_every_length_are_read_with_padding_and_no_byte_behind_them() {
        for bits in 0..=u64::BITS {
            let raw = u64::MAX.checked_shr(bits).unwrap_or(0);
            for padding in 0..12 {
                let bytes = encoded(raw, padding);
                let fits = bytes.len() <= 10;
                for behind in [&[][..], &[0x80; 3], &[0xff; 12]] {
                    let whole = [&bytes[..], behind].concat();
                    assert_eq!(varint(&whole), fits.then_some((raw, behind)), "{bits} {padding}");
                    assert_eq!(any_varint(&whole), fits.then_some(behind), "{bits} {padding}");
                    let small = u32::try_from(raw).ok().filter(|_| bytes.len() <= 5);
                    assert_eq!(short(&whole), small.map(|raw| (raw, behind)), "{bits} {padding}");
                }
                for end in 0..bytes.len() {
                    assert_eq!(varint(&bytes[..end]), None);
                    assert_eq!(any_varint(&bytes[..end]), None);
                    assert_eq!(short(&bytes[..end]), None);
                }
            }
        }
        let above = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!((varint(&above), any_varint(&above)), (None, None));
        assert_eq!(short(&[0xff, 0xff, 0xff, 0xff, 0x10]), None);
    }

    #[test]
    fn strings_of_every_length_are_checked_and_no_byte_behind_them() {
        for length in 0..200 {
            for behind in [&[][..], &[0xff; 3], &[0xff; 20]] {
                let mut bytes = encoded(u64::try_from(length).unwrap(), 0);
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
    }

    #[test]
    fn an_index_is_a_zigzag_number_that_is_not_negative_and_not_padded() {
        let table: [(&[u8], Option<u64>); 9] = [
            (&[0], Some(0)),
            (&[2], Some(1)),
            (&[0x80, 1], Some(64)),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], Some(0x7fff_ffff)),
            (&[1], None),
            (&[0x80, 0], None),
            (&[0x82, 0x80, 0], None),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f], None),
            (&[], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(index(bytes).map(|(index, _)| index), expected, "{bytes:?}");
        }
    }
}
