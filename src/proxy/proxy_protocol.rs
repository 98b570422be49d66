//! The PROXY protocol, version 2: a load balancer says in front of the first byte for whom it connects.
//!
//! Twelve bytes of signature, version and command, family and protocol, a 16-bit length, then as many bytes of addresses
//! and extensions (HAProxy's `proxy-protocol.txt`, section 2.2). Version 1, a line of text, is not taken.

use std::{io, net::SocketAddr};

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Signature, version, family and length.
const FIXED_BYTES: usize = 16;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What addresses and extensions may take: more than any load balancer sends.
const MAX_VARIABLE_BYTES: usize = 2_048;
const ONLY_VERSION_2: ParseConfig =
    ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };

/// Why a header cannot be taken. Scope: this connection.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The stream begins otherwise.
    #[error("there is no PROXY protocol header (version 2), which listen.proxy_protocol requires")]
    Missing,
    /// It is longer than any load balancer makes it.
    #[error("PROXY protocol header of {size} bytes, at most {MAX_VARIABLE_BYTES} are taken")]
    TooLong {
        /// What it declares.
        size: usize,
    },
    /// Its inside does not hold together.
    #[error("PROXY protocol header cannot be read")]
    Malformed,
    /// The stream failed or ended within it.
    #[error("the connection ended within its PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// Reads exactly the header. `None`: the load balancer connects for itself, or does not say for whom.
///
/// # Errors
/// [`ProxyHeaderError`]: the connection must be closed.
pub async fn read_header<S: AsyncRead + Unpin>(
    io: &mut S,
) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let mut header = [0; FIXED_BYTES];
    let mut filled = 0;
    while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += match io.read(rest).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => read,
        };
        // What does not begin as it must is known at its first byte: a client without a header need not send sixteen.
        let seen = filled.min(SIGNATURE.len());
        if header.get(..seen) != SIGNATURE.get(..seen) {
            return Err(ProxyHeaderError::Missing);
        }
    }
    let [.., high, low] = header;
    let size = usize::from(u16::from_be_bytes([high, low]));
    if size > MAX_VARIABLE_BYTES {
        return Err(ProxyHeaderError::TooLong { size });
    }
    let mut whole = Vec::with_capacity(FIXED_BYTES + size);
    whole.extend_from_slice(&header);
    io.take(size as u64).read_to_end(&mut whole).await?;
    if whole.len() < FIXED_BYTES + size {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    match ProxyHeader::parse(&whole, ONLY_VERSION_2) {
        Ok((parsed, _)) => Ok(parsed.proxied_address().map(|address| address.source)),
        Err(_) => Err(ProxyHeaderError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(command: u8, family: u8, variable: &[u8]) -> Vec<u8> {
        let length = u16::try_from(variable.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, variable].concat()
    }

    fn read(bytes: &[u8]) -> (Result<Option<SocketAddr>, String>, usize) {
        let mut rest = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read_header(&mut rest));
        (read.map_err(|error| error.to_string()), rest.len())
    }

    const V4: [u8; 12] = [10, 1, 2, 3, 10, 0, 0, 1, 0x30, 0x39, 0x23, 0x84];

    #[test]
    fn the_clients_address_is_taken_and_not_a_byte_more() {
        let extension = [0x02, 0, 3, b'a', b'b', b'c'];
        let six = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[7], &[0; 16], &V4[8..]].concat();
        let table = [
            (header(1, 0x11, &V4), Some("10.1.2.3:12345")),
            (header(1, 0x11, &[&V4[..], &extension].concat()), Some("10.1.2.3:12345")),
            (header(1, 0x21, &six), Some("[2001:db8::7]:12345")),
            (header(0, 0x00, &[]), None),
            (header(0, 0x11, &V4), None),
        ];
        for (bytes, expected) in table {
            let (address, rest) = read(&[&bytes[..], b"kafka"].concat());
            assert_eq!(address, Ok(expected.map(|text| text.parse().unwrap())));
            assert_eq!(rest, 5);
        }
    }

    #[test]
    fn what_is_no_header_is_named() {
        let long = [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat();
        let table: [(&[u8], &str); 6] = [
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "there is no PROXY protocol header"),
            (&[0, 0, 0, 20, 0, 18], "there is no PROXY protocol header"),
            (&long, "65535 bytes"),
            (&header(1, 0x11, &V4[..4]), "cannot be read"),
            (&SIGNATURE[..7], "ended within"),
            (&header(1, 0x11, &V4)[..20], "ended within"),
        ];
        for (bytes, expected) in table {
            let error = read(bytes).0.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            command in 0..16_u8, family: u8,
            variable in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let (_, rest) = read(&header(command, family, &variable));
            prop_assert_eq!(rest, 0);
        }
    }
}
