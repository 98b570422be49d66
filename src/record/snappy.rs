//! snappy: raw, or raw blocks in the framing of `org.xerial.snappy` (what Java writes), told apart by their first bytes.
//!
//! ```text
//! 82 53 4e 41 50 50 59 00 | version i32 | lowest compatible version i32 | (length i32 | raw block)*
//! ```
//!
//! A block of an ordinary size is decoded by `snap`, into one piece. Of a larger one only the end is kept, for whatever is
//! decompressed at once is what one request can take beyond the memory budget. The announced size is compared with the
//! limits, and with what the bytes can produce at all, before memory is asked for.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::Cursor;
use crate::limits::MIB;
use crate::record::inflate::Progress;
use crate::record::snappy_stream::SnappyStream;
use crate::record::window::Window;
use crate::record::{Compression, RecordError};

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// A copy of 64 bytes takes three: no block can grow to more than this many times its size.
const MAX_RATIO: usize = 22;
/// Largest block that is held whole, and how much is kept of a larger one. The same as the window of zstd.
const HISTORY: usize = 8 * MIB;

pub(super) struct SnappyBlocks<'s> {
    input: Cursor<'s>,
    framing: Framing,
    /// The one that is decoded piece by piece.
    large: Option<SnappyStream<'s>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Raw,
    Xerial,
}

impl<'s> SnappyBlocks<'s> {
    pub(super) fn new(input: &'s [u8]) -> Result<Self, RecordError> {
        let mut input = Cursor::new(input);
        if !input.rest().starts_with(&XERIAL_MAGIC) {
            return Ok(Self { input, framing: Framing::Raw, large: None });
        }
        // Writers differ in the byte order of the versions; readers only ask that they are positive.
        let versions =
            input.skip(XERIAL_MAGIC.len()).and_then(|()| Ok((input.i32()?, input.i32()?)));
        match versions {
            Ok((1.., 1..)) => Ok(Self { input, framing: Framing::Xerial, large: None }),
            Ok(_) => Err(invalid(XERIAL_MAGIC.len(), "unknown version of the framing")),
            Err(_) => Err(invalid(input.position(), "ends early")),
        }
    }

    /// Decompresses the next block, or more of a large one.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<Progress, RecordError> {
        if self.large.is_none() {
            let (at, block) = self.next_block()?;
            self.begin(at, block, window)?;
        }
        if let Some(large) = &mut self.large {
            if !large.step(window)? {
                return Ok(Progress::More);
            }
            self.large = None;
        }
        Ok(if self.input.is_empty() { Progress::Ended } else { Progress::More })
    }

    /// Decompresses a block, or notes that it is a large one.
    fn begin(
        &mut self,
        at: usize,
        block: &'s [u8],
        window: &mut Window<'_>,
    ) -> Result<(), RecordError> {
        let announced = snap::raw::decompress_len(block)
            .map_err(|_| invalid(at, "invalid length of a block"))?;
        if block.is_empty() || announced > block.len().saturating_mul(MAX_RATIO) {
            return Err(invalid(at, "a block announces more than it can hold"));
        }
        window.expect(announced)?;
        if announced > HISTORY {
            self.large = Some(SnappyStream::new(block, at, announced, HISTORY)?);
            return Ok(());
        }
        let (_, room) = window.room(announced, 0)?;
        let written = snap::raw::Decoder::new()
            .decompress(block, room)
            .map_err(|_| invalid(at, "invalid block"))?;
        window.filled(written)
    }

    fn next_block(&mut self) -> Result<(usize, &'s [u8]), RecordError> {
        let at = self.input.position();
        let length = match self.framing {
            Framing::Raw => self.input.remaining(),
            Framing::Xerial => {
                let length = self.input.i32().map_err(|_| invalid(at, "ends early"))?;
                usize::try_from(length).map_err(|_| invalid(at, "negative length of a block"))?
            }
        };
        let at = self.input.position();
        let block = self.input.take(length).map_err(|_| invalid(at, "ends early"))?;
        Ok((at, block))
    }
}

#[cold]
pub(super) const fn invalid(at: usize, what: &'static str) -> RecordError {
    RecordError::Stream { codec: Compression::Snappy, at, what }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::limits::RecordLimits;
    use crate::record::builder::{Flavour, OwnedRecord, batch_of, bodies, read_all, read_with};
    use crate::record::{RecordErrorClass, Scratch, Unlimited};

    fn framed(versions: [u8; 8], content: &[u8]) -> Vec<u8> {
        let mut stream = Flavour::SnappyXerial.compress(content);
        stream[8..16].copy_from_slice(&versions);
        stream
    }

    #[test]
    fn the_versions_of_the_framing_are_taken_in_either_byte_order() {
        let record = OwnedRecord::of("value");
        let content = bodies(std::slice::from_ref(&record));
        let read = |versions| read_all(&batch_of(2, 1, &framed(versions, &content)));
        assert_eq!(read([0, 0, 0, 1, 0, 0, 0, 1]), Ok(vec![record.clone()]));
        assert_eq!(read([1, 0, 0, 0, 1, 0, 0, 0]), Ok(vec![record]));
        assert!(read([0, 0, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(read([0, 0, 0, 1, 0xff, 0, 0, 1]).is_err());
    }

    #[test]
    fn what_a_block_announces_is_checked_before_memory_is_taken() {
        // 4 GiB - 1 in six bytes, then what six bytes could be, then what is more than the limit.
        let announces = |varint: &[u8], block: usize| [varint, &vec![0; block]].concat();
        let cases = [
            (announces(&[0xff, 0xff, 0xff, 0xff, 0x0f], 1), RecordErrorClass::Undecodable),
            (announces(&[0x80, 0x08], 100), RecordErrorClass::TooLarge),
        ];
        let limits = RecordLimits { max_decompressed_bytes: 1_000, ..RecordLimits::default() };
        for (stream, class) in cases {
            let mut scratch = Scratch::new();
            let bytes = batch_of(2, 1, &stream);
            let error = read_with(&bytes, &mut scratch, &limits, &mut Unlimited).unwrap_err();
            assert_eq!(error.class(), class, "{error}");
            assert_eq!(scratch.held_bytes(), 0);
        }
    }

    #[test]
    fn no_block_compresses_better_than_the_bound_on_what_it_may_announce() {
        let zeros = vec![0; 16 * 1024 * 1024];
        let compressed = Flavour::SnappyRaw.compress(&zeros);
        assert!(compressed.len() * MAX_RATIO > zeros.len());
    }

    #[test]
    fn blocks_of_no_bytes_and_of_negative_length_are_errors() {
        for length in [0_i32, -1, i32::MIN, i32::MAX] {
            let mut stream = Flavour::SnappyXerial.compress(&bodies(&[OwnedRecord::of("value")]));
            stream.extend(length.to_be_bytes());
            let error = read_all(&batch_of(2, 1, &stream)).unwrap_err();
            assert_eq!(error.class(), RecordErrorClass::Undecodable, "{length}");
        }
    }
}
