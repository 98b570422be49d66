//! Writes the few fields that rewriting puts in place of others.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::wire::Endpoint;

/// Longest host that is written, in bytes: more than DNS allows, less than every length field can say.
pub(super) const MAX_HOST_BYTES: usize = 255;

/// An unsigned varint (KIP-482), no longer than needed.
pub(in crate::wire) fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

/// How many bytes [`put_unsigned_varint`] writes.
pub(in crate::wire) const fn varint_len(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0x0fff_ffff => 4,
        0x1000_0000.. => 5,
    }
}

/// A length as a compact field says it: one more than it is, as 0 means null.
pub(in crate::wire) fn compact(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).saturating_add(1)
}

/// How many elements an array has.
pub(super) fn put_array_len(out: &mut Vec<u8>, flexible: bool, len: usize) {
    if flexible {
        put_unsigned_varint(out, compact(len));
    } else {
        out.extend(i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes());
    }
}

/// A host and a port. Hosts are at most [`MAX_HOST_BYTES`] long.
pub(super) fn put_host_and_port(out: &mut Vec<u8>, flexible: bool, host: &str, port: i32) {
    if flexible {
        put_unsigned_varint(out, compact(host.len()));
    } else {
        out.extend(i16::try_from(host.len()).unwrap_or(i16::MAX).to_be_bytes());
    }
    out.extend(host.as_bytes());
    out.extend(port.to_be_bytes());
}

/// Host and port of `endpoint`.
pub(super) fn put_endpoint(out: &mut Vec<u8>, flexible: bool, endpoint: &Endpoint) {
    put_host_and_port(out, flexible, &endpoint.host, i32::from(endpoint.port));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_are_read_back_and_as_long_as_said(value: u32, shift in 0_u32..32) {
            let value = value >> shift;
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(Cursor::new(&out).unsigned_varint(), Ok(value));
        }
    }
}
