//! Requests of schemaward's own, as bytes.

use bytes::BytesMut;
use kafka_protocol::{
    messages::{ApiKey, RequestHeader},
    protocol::{Encodable, StrBytes},
};

/// Bytes of the size in front of a request.
const SIZE: usize = 4;

/// A request that cannot be written as bytes: a name that is too long, for example.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the request cannot be encoded: {0}")]
pub struct EncodeError(String);

/// A request with its size in front, by which brokers log `client_id` as who asks. Its correlation id is 0.
///
/// # Errors
/// [`EncodeError`]: something in it is too long, or not in this version.
pub fn encode(
    client_id: &'static str,
    api_key: ApiKey,
    version: i16,
    body: &impl Encodable,
) -> Result<BytesMut, EncodeError> {
    let header = RequestHeader::default()
        .with_request_api_key(api_key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str(client_id)));
    let failed = |error: &dyn std::fmt::Display| EncodeError(error.to_string());
    let mut out = BytesMut::from(&[0; SIZE][..]);
    let header_version = api_key.request_header_version(version);
    header.encode(&mut out, header_version).map_err(|error| failed(&error))?;
    body.encode(&mut out, version).map_err(|error| failed(&error))?;
    let size = i32::try_from(out.len() - SIZE).map_err(|error| failed(&error))?;
    if let Some(place) = out.first_chunk_mut() {
        *place = size.to_be_bytes();
    }
    Ok(out)
}
