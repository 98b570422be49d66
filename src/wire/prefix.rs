//! Reads what every request begins with, and nothing else.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::WireError;
use super::fields::{Fields, Flexible};
use super::frame::Frame;

/// The first three fields of every request; they stand in the same place in all versions of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPrefix {
    /// Which api is asked.
    pub api_key: i16,
    /// In which version.
    pub api_version: i16,
    /// What the response has to carry. Data, not a key: clients may repeat it.
    pub correlation_id: i32,
}

impl RequestPrefix {
    /// Reads the prefix of a request.
    ///
    /// # Errors
    /// [`WireError::Field`] if the frame is too short.
    pub fn parse(frame: &Frame) -> Result<Self, WireError> {
        Self::read(&mut fields(frame))
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let (api_key, api_version) = (fields.i16()?, fields.i16()?);
        Ok(Self { api_key, api_version, correlation_id: fields.i32()? })
    }
}

fn fields(frame: &Frame) -> Fields<'_> {
    Fields::new(frame.payload(), "request header", 1, Flexible(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tail: &[u8]) -> Frame {
        let mut payload = vec![0, 18, 0, 4, 0xff, 0xff, 0xff, 0xfe];
        payload.extend(tail);
        Frame::build(&payload).unwrap()
    }

    #[test]
    fn the_prefix_is_read_from_every_frame_that_has_one() {
        let prefix = RequestPrefix { api_key: 18, api_version: 4, correlation_id: -2 };
        for tail in [&[][..], &[0xff, 0xff], &[0, 1, b'x']] {
            assert_eq!(RequestPrefix::parse(&frame(tail)), Ok(prefix));
        }
        for size in 0..8 {
            let short = Frame::build(&frame(&[]).payload()[..size]).unwrap();
            assert!(matches!(RequestPrefix::parse(&short), Err(WireError::Field { .. })));
        }
    }
}
