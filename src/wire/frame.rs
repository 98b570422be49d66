//! Cuts and builds size-prefixed frames.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use bytes::{Bytes, BytesMut};

use super::WireError;
use super::api::ApiKey;
use crate::limits::{FrameLimit, WireLimits};

/// Bytes of the size in front of each frame.
const SIZE_BYTES: usize = 4;
/// Bytes that every request has: api key, api version, correlation id.
const MIN_REQUEST: usize = 8;
/// Bytes that every response has: its correlation id.
const MIN_RESPONSE: usize = 4;

/// One Kafka frame: its 4-byte big-endian size, then that many bytes. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Takes `bytes`, a size and exactly that many bytes.
    ///
    /// # Errors
    /// [`WireError::FrameSize`] if the size says something else.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, WireError> {
        let size = bytes.first_chunk().map_or(-1, |size| i32::from_be_bytes(*size));
        if usize::try_from(size).ok().and_then(|size| size.checked_add(SIZE_BYTES))
            == Some(bytes.len())
        {
            Ok(Self(bytes))
        } else {
            Err(WireError::FrameSize { size })
        }
    }

    /// Copies `payload` behind its size.
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] if its size does not fit.
    pub fn build(payload: &[u8]) -> Result<Self, WireError> {
        let mut builder = FrameBuilder::with_capacity(payload.len());
        builder.payload().extend_from_slice(payload);
        builder.finish()
    }

    /// Cuts the frame that begins at the front of `buf` off, once it is there to its last byte.
    #[must_use]
    pub fn cut(buf: &mut BytesMut) -> Option<Self> {
        let size = usize::try_from(size_at_front(buf)?).ok()?;
        let end = size.checked_add(SIZE_BYTES)?;
        (buf.len() >= end).then(|| Self(buf.split_to(end).freeze()))
    }

    /// The frame as it travels, size included.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The frame without its size.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.get(SIZE_BYTES..).unwrap_or_default()
    }
}

/// Collects the payload of a frame behind the place of its size.
#[derive(Debug)]
pub struct FrameBuilder(BytesMut);

impl FrameBuilder {
    /// A frame that is expected to have about `payload` bytes.
    #[must_use]
    pub fn with_capacity(payload: usize) -> Self {
        let mut buf = BytesMut::with_capacity(payload.saturating_add(SIZE_BYTES));
        buf.extend_from_slice(&[0; SIZE_BYTES]);
        Self(buf)
    }

    /// Where the payload is appended. What stands there already must stay.
    pub const fn payload(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// Writes the size.
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] if it does not fit.
    pub fn finish(mut self) -> Result<Frame, WireError> {
        let size = self.0.len().saturating_sub(SIZE_BYTES);
        let Ok(announced) = i32::try_from(size) else {
            let limit = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
            return Err(WireError::FrameTooLarge { size, limit });
        };
        if let Some(place) = self.0.first_chunk_mut() {
            *place = announced.to_be_bytes();
        }
        Ok(Frame(self.0.freeze()))
    }
}

/// What the first bytes of a request tell about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Bytes of the payload, the size itself apart.
    pub size: usize,
    /// The request's api key.
    pub api_key: i16,
}

impl Announced {
    /// Checks the size against the limit for its kind, before any of it is collected.
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] if it is over the limit.
    pub const fn check(self, limits: &WireLimits) -> Result<(), WireError> {
        let FrameLimit(limit) = if self.api_key == ApiKey::PRODUCE.0 {
            limits.max_request_bytes
        } else {
            limits.max_other_request_bytes
        };
        if self.size > limit {
            return Err(WireError::FrameTooLarge { size: self.size, limit });
        }
        Ok(())
    }
}

/// What the first bytes of a response tell about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// Bytes of the payload, the size itself apart.
    pub size: usize,
    /// Which request it answers.
    pub correlation_id: i32,
}

/// Reads what the request at the front of `buf` announces; `None` means "read more" (6 bytes are needed).
///
/// # Errors
/// [`WireError::FrameSize`] if the size is negative or too small for a request.
pub fn announced(buf: &[u8]) -> Result<Option<Announced>, WireError> {
    let Some(size) = checked_size(buf, MIN_REQUEST)? else { return Ok(None) };
    let api_key = buf.get(SIZE_BYTES..).and_then(<[u8]>::first_chunk);
    Ok(api_key.map(|api_key| Announced { size, api_key: i16::from_be_bytes(*api_key) }))
}

/// Reads the header of the response at the front of `buf`; `None` means "read more" (8 bytes are needed).
///
/// # Errors
/// [`WireError::FrameSize`] if the size is negative or too small for a response.
pub fn response_header(buf: &[u8]) -> Result<Option<ResponseHeader>, WireError> {
    let Some(size) = checked_size(buf, MIN_RESPONSE)? else { return Ok(None) };
    let id = buf.get(SIZE_BYTES..).and_then(<[u8]>::first_chunk);
    Ok(id.map(|id| ResponseHeader { size, correlation_id: i32::from_be_bytes(*id) }))
}

fn checked_size(buf: &[u8], min: usize) -> Result<Option<usize>, WireError> {
    let Some(size) = size_at_front(buf) else { return Ok(None) };
    match usize::try_from(size) {
        Ok(bytes) if bytes >= min => Ok(Some(bytes)),
        _ => Err(WireError::FrameSize { size }),
    }
}

fn size_at_front(buf: &[u8]) -> Option<i32> {
    buf.first_chunk().map(|size| i32::from_be_bytes(*size))
}

/// Building.
impl Frame {
    /// Makes a frame of `bytes`, whose first four are free: the size is written there.
    pub(in crate::wire) fn seal(mut bytes: Vec<u8>) -> Result<Self, WireError> {
        let size = bytes.len().saturating_sub(4);
        let limit = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
        let announced =
            i32::try_from(size).map_err(|_| WireError::FrameTooLarge { size, limit })?;
        if let Some(head) = bytes.first_chunk_mut() {
            *head = announced.to_be_bytes();
        }
        Self::from_bytes(Bytes::from(bytes))
    }

    /// Makes a frame around a payload whose length is known when this is compiled.
    pub(in crate::wire) fn around<const N: usize>(payload: [u8; N]) -> Self {
        const { assert!(N <= 0xffff, "a frame this large is not built from an array") }
        let size = u32::try_from(N).unwrap_or_default().to_be_bytes();
        Self(Bytes::from([&size[..], &payload[..]].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_announced_as_soon_as_its_api_key_is_there() {
        let bytes = [0, 0, 1, 0, 0, 18, 0, 3];
        for end in 0..6 {
            assert_eq!(announced(&bytes[..end]), Ok(None));
        }
        for end in 6..=bytes.len() {
            assert_eq!(announced(&bytes[..end]), Ok(Some(Announced { size: 256, api_key: 18 })));
        }
    }

    #[test]
    fn a_response_is_known_as_soon_as_its_correlation_id_is_there() {
        let bytes = [0, 0, 1, 0, 255, 255, 255, 254, 9];
        for end in 0..8 {
            assert_eq!(response_header(&bytes[..end]), Ok(None));
        }
        for end in 8..=bytes.len() {
            let header = ResponseHeader { size: 256, correlation_id: -2 };
            assert_eq!(response_header(&bytes[..end]), Ok(Some(header)));
        }
    }

    #[test]
    fn sizes_that_no_frame_has_are_refused_before_anything_else_is_there() {
        for size in [i32::MIN, -1, 0, 3] {
            let bytes = size.to_be_bytes();
            assert_eq!(announced(&bytes), Err(WireError::FrameSize { size }));
            assert_eq!(response_header(&bytes), Err(WireError::FrameSize { size }));
        }
        assert_eq!(announced(&[0, 0, 0, 7]), Err(WireError::FrameSize { size: 7 }));
        assert_eq!(announced(&[0, 0, 0, 8]), Ok(None));
        assert_eq!(response_header(&[0, 0, 0, 4]), Ok(None));
    }

    #[test]
    fn produce_requests_and_others_have_their_own_limits() {
        let limits = WireLimits {
            max_request_bytes: FrameLimit(10),
            max_other_request_bytes: FrameLimit(20),
            ..WireLimits::default()
        };
        for (api_key, limit) in [(0, 10), (1, 20), (-5, 20)] {
            assert_eq!(Announced { size: limit, api_key }.check(&limits), Ok(()));
            assert_eq!(
                Announced { size: limit + 1, api_key }.check(&limits),
                Err(WireError::FrameTooLarge { size: limit + 1, limit })
            );
        }
    }

    #[test]
    fn a_frame_is_exactly_as_long_as_its_size_says() {
        for bytes in [&[][..], &[0, 0, 0], &[0, 0, 0, 1], &[0, 0, 0, 1, 7, 7], &[255; 4]] {
            assert!(Frame::from_bytes(Bytes::copy_from_slice(bytes)).is_err());
        }
        let frame = Frame::from_bytes(Bytes::from_static(&[0, 0, 0, 1, 7])).unwrap();
        assert_eq!(frame.payload(), [7]);
        assert_eq!(Frame::build(&[7]), Ok(frame));
    }

    proptest! {
        #[test]
        fn frames_are_cut_wherever_the_stream_is_split(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6),
            chunk in 1_usize..30,
        ) {
            let frames: Vec<_> = payloads.iter().map(|it| Frame::build(it).unwrap()).collect();
            let stream: Vec<u8> = frames.iter().flat_map(|it| it.bytes().to_vec()).collect();
            let mut buf = BytesMut::new();
            let mut cut = Vec::new();
            for part in stream.chunks(chunk) {
                buf.extend_from_slice(part);
                while let Some(frame) = Frame::cut(&mut buf) {
                    cut.push(frame);
                }
            }
            prop_assert_eq!(cut, frames);
            prop_assert!(buf.is_empty());
        }
    }
}
