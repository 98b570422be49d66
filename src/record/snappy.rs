//! snappy: raw, or raw blocks in the framing of `org.xerial.snappy` (what Java writes), told apart by their first bytes.
//!
//! ```text
//! 82 53 4e 41 50 50 59 00 | version i32 | lowest compatible version i32 | (length i32 | raw block)*
//! ```
//!
//! A raw block cannot be streamed: its output is held whole. Its announced size is compared with the limits, and with what
//! its bytes can produce at all, before memory is asked for.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::Cursor;
use crate::record::inflate::Progress;
use crate::record::window::Window;
use crate::record::{Compression, RecordError};

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// A copy of 64 bytes takes three: no block can grow to more than this many times its size.
const MAX_RATIO: usize = 22;

pub(super) struct SnappyBlocks<'s> {
    input: Cursor<'s>,
    framing: Framing,
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
            return Ok(Self { input, framing: Framing::Raw });
        }
        // Writers differ in the byte order of the versions; readers only ask that they are positive.
        let versions =
            input.skip(XERIAL_MAGIC.len()).and_then(|()| Ok((input.i32()?, input.i32()?)));
        match versions {
            Ok((1.., 1..)) => Ok(Self { input, framing: Framing::Xerial }),
            Ok(_) => Err(invalid(XERIAL_MAGIC.len(), "unknown version of the framing")),
            Err(_) => Err(invalid(input.position(), "ends early")),
        }
    }

    /// Decompresses the next block.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<Progress, RecordError> {
        let (at, block) = self.next_block()?;
        let announced = snap::raw::decompress_len(block)
            .map_err(|_| invalid(at, "invalid length of a block"))?;
        if block.is_empty() || announced > block.len().saturating_mul(MAX_RATIO) {
            return Err(invalid(at, "a block announces more than it can hold"));
        }
        let (_, room) = window.room(announced, 0)?;
        let written = snap::raw::Decoder::new()
            .decompress(block, room)
            .map_err(|_| invalid(at, "invalid block"))?;
        window.filled(written)?;
        Ok(if self.input.is_empty() { Progress::Ended } else { Progress::More })
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
const fn invalid(at: usize, what: &'static str) -> RecordError {
    RecordError::Stream { codec: Compression::Snappy, at, what }
}
