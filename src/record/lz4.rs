//! lz4 frames: exactly one, every checksum that it carries checked, nothing after it. `lz4_flex` decodes the blocks.
//!
//! ```text
//! magic 04 22 4d 18 | flags u8 | block descriptor u8 | [content size u64] | header checksum u8 |
//! (block size u32 | block | [block checksum u32])* | 0 u32 | [content checksum u32]
//! ```
//!
//! Java writes independent blocks of 64 KiB without checksums, Go clients up to 4 MiB with a content checksum, python-lz4
//! linked blocks. Blocks are decoded into the window itself. Where that has no room for the largest that it may be, a block
//! gets as much as its sequences add up to: a frame of small blocks that announces large ones takes little.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::record::inflate::Progress;
use crate::record::window::Window;
use crate::record::{Compression, RecordError};
use lz4_flex::block::DecompressError;
use std::hash::Hasher as _;
use twox_hash::XxHash32;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// How far a linked block refers back.
const HISTORY: usize = 64 * 1024;
const STORED: u32 = 1 << 31;
const MIN_MATCH: usize = 4;
/// A byte of a block gives so many at most: one of those that a length goes on with.
const MAX_RATIO: usize = 255;

const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const FLAG_INDEPENDENT: u8 = 1 << 5;
const FLAG_BLOCK_CHECKSUM: u8 = 1 << 4;
const FLAG_CONTENT_SIZE: u8 = 1 << 3;
const FLAG_CONTENT_CHECKSUM: u8 = 1 << 2;
const FLAG_RESERVED: u8 = 1 << 1;
const FLAG_DICTIONARY: u8 = 1;
const DESCRIPTOR_RESERVED: u8 = 0b1000_1111;

pub(super) struct Lz4Frame<'s> {
    input: Cursor<'s>,
    flags: u8,
    max_block_bytes: usize,
    content_size: Option<u64>,
    content: XxHash32,
    written: u64,
}

impl<'s> Lz4Frame<'s> {
    pub(super) fn new(input: &'s [u8]) -> Result<Self, RecordError> {
        let mut cursor = Cursor::new(input);
        let frame = Self::read_header(&mut cursor);
        frame.map_err(|_| invalid(cursor.position(), "ends early"))?
    }

    fn read_header(cursor: &mut Cursor<'s>) -> Result<Result<Self, RecordError>, CursorError> {
        let magic: [u8; 4] = cursor.array()?;
        let covered = cursor.rest();
        let [flags, descriptor] = cursor.array()?;
        if magic != MAGIC || flags & VERSION_MASK != VERSION {
            return Ok(Err(invalid(0, "not an lz4 frame")));
        }
        if flags & FLAG_RESERVED != 0 || descriptor & DESCRIPTOR_RESERVED != 0 {
            return Ok(Err(invalid(MAGIC.len(), "reserved bits are set")));
        }
        if flags & FLAG_DICTIONARY != 0 {
            return Ok(Err(invalid(MAGIC.len(), "needs a dictionary")));
        }
        let Some(max_block_bytes) = max_block_bytes(descriptor) else {
            return Ok(Err(invalid(MAGIC.len(), "unknown block size")));
        };
        let content_size = if flags & FLAG_CONTENT_SIZE == 0 {
            None
        } else {
            Some(cursor.array().map(u64::from_le_bytes)?)
        };
        let at = cursor.position();
        let covered = covered.get(..at.saturating_sub(MAGIC.len())).unwrap_or_default();
        let [_, expected, ..] = XxHash32::oneshot(0, covered).to_le_bytes();
        if cursor.u8()? != expected {
            return Ok(Err(invalid(at, "checksum of the header is wrong")));
        }
        let content = XxHash32::with_seed(0);
        Ok(Ok(Self { input: *cursor, flags, max_block_bytes, content_size, content, written: 0 }))
    }

    /// Decompresses the next block.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<Progress, RecordError> {
        let at = self.input.position();
        let size = self.u32()?;
        if size == 0 {
            return self.check_end().map(|()| Progress::Ended);
        }
        let stored = size & STORED != 0;
        let length = usize::try_from(size & !STORED).unwrap_or(usize::MAX);
        if length > self.max_block_bytes {
            return Err(invalid(at, "a block is larger than the frame allows"));
        }
        let block = self.input.take(length).map_err(|_| invalid(at, "ends early"))?;
        if self.has(FLAG_BLOCK_CHECKSUM) && self.u32()? != XxHash32::oneshot(0, block) {
            return Err(invalid(at, "checksum of a block is wrong"));
        }
        let history = if self.has(FLAG_INDEPENDENT) { 0 } else { HISTORY };
        let written = if stored {
            self.write(block, window, history)?
        } else {
            self.decompress(block, at, window, history)?
        };
        window.filled(written)?;
        Ok(Progress::More)
    }

    fn write(
        &mut self,
        block: &[u8],
        window: &mut Window<'_>,
        history: usize,
    ) -> Result<usize, RecordError> {
        let (_, room) = window.room(block.len(), history)?;
        if let Some(room) = room.get_mut(..block.len()) {
            room.copy_from_slice(block);
        }
        self.note(block);
        Ok(block.len())
    }

    fn decompress(
        &mut self,
        block: &[u8],
        at: usize,
        window: &mut Window<'_>,
        history: usize,
    ) -> Result<usize, RecordError> {
        let most = self.max_block_bytes.min(block.len().saturating_mul(MAX_RATIO));
        let size = if window.has_room(most, history) {
            most
        } else {
            decompressed_size(block)
                .filter(|&size| size <= self.max_block_bytes)
                .ok_or(invalid(at, "invalid size of a block"))?
        };
        let (before, room) = window.room(size, history)?;
        let room = room.get_mut(..size).unwrap_or_default();
        let before = before.get(before.len().saturating_sub(history)..).unwrap_or_default();
        let written = if before.is_empty() {
            lz4_flex::block::decompress_into(block, room)
        } else {
            lz4_flex::block::decompress_into_with_dict(block, room, before)
        }
        .map_err(|error| match error {
            DecompressError::OutputTooSmall { .. } => invalid(at, "invalid size of a block"),
            _ => invalid(at, "invalid block"),
        })?;
        self.note(room.get(..written).unwrap_or_default());
        Ok(written)
    }

    /// Counts what was decompressed, into the checksum, too, if there is one.
    fn note(&mut self, output: &[u8]) {
        if self.has(FLAG_CONTENT_CHECKSUM) {
            self.content.write(output);
        }
        let length = u64::try_from(output.len()).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(length);
    }

    fn check_end(&mut self) -> Result<(), RecordError> {
        let at = self.input.position();
        if self.has(FLAG_CONTENT_CHECKSUM) && self.u32()? != self.content.finish_32() {
            return Err(invalid(at, "checksum of the content is wrong"));
        }
        if self.content_size.is_some_and(|size| size != self.written) {
            return Err(invalid(at, "size of the content is wrong"));
        }
        if !self.input.is_empty() {
            return Err(invalid(self.input.position(), "bytes after the first frame"));
        }
        Ok(())
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        let at = self.input.position();
        self.input.array().map(u32::from_le_bytes).map_err(|_| invalid(at, "ends early"))
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

const fn max_block_bytes(descriptor: u8) -> Option<usize> {
    match descriptor >> 4 {
        4 => Some(64 * 1024),
        5 => Some(256 * 1024),
        6 => Some(1024 * 1024),
        7 => Some(4 * 1024 * 1024),
        _ => None,
    }
}

/// What the sequences of a block add up to, without a look at what they copy. `None` if they do not fit the block.
///
/// ```text
/// (literals, match) u4 u4 | [more literals] | literals | offset u16 | [more match]
/// ```
fn decompressed_size(block: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(block);
    let mut size = 0_usize;
    loop {
        let token = cursor.u8().ok()?;
        let literals = sequence_length(&mut cursor, token >> 4)?;
        cursor.skip(literals).ok()?;
        size = size.checked_add(literals)?;
        if cursor.is_empty() {
            return Some(size);
        }
        cursor.skip(2).ok()?;
        let copied = sequence_length(&mut cursor, token & 0x0f)?;
        size = size.checked_add(copied)?.checked_add(MIN_MATCH)?;
    }
}

/// A length of four bits, and the bytes that go on with it when these are all set.
fn sequence_length(cursor: &mut Cursor<'_>, nibble: u8) -> Option<usize> {
    let mut length = usize::from(nibble);
    if nibble == 0x0f {
        loop {
            let more = cursor.u8().ok()?;
            length = length.checked_add(usize::from(more))?;
            if more != u8::MAX {
                break;
            }
        }
    }
    Some(length)
}

#[cold]
const fn invalid(at: usize, what: &'static str) -> RecordError {
    RecordError::Stream { codec: Compression::Lz4, at, what }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::limits::{KIB, RecordLimits};
    use crate::record::builder::{OwnedRecord, batch_of, bodies, lz4, read_all, read_with};
    use crate::record::{RecordErrorClass, Scratch, Unlimited};
    use lz4_flex::frame::{BlockSize, FrameInfo};
    use proptest::prelude::*;

    fn content() -> Vec<u8> {
        bodies(&[OwnedRecord::of(vec![7; 300])])
    }

    /// With the header's checksum made right again.
    fn reseal(mut stream: Vec<u8>) -> Vec<u8> {
        stream[6] = XxHash32::oneshot(0, &stream[4..6]).to_le_bytes()[1];
        stream
    }

    #[test]
    fn headers_that_nobody_can_follow_are_errors() {
        let sound = lz4(&content(), FrameInfo::new());
        assert!(read_all(&batch_of(3, 1, &sound)).is_ok());
        let table = [
            (0, 0x06, "not an lz4 frame"), // the legacy format begins with 02 21 4c 18
            (4, 0x80, "not an lz4 frame"),
            (4, 0x02, "reserved bits are set"),
            (4, 0x01, "needs a dictionary"),
            (5, 0x80, "reserved bits are set"),
            (5, 0x01, "reserved bits are set"),
            (5, 0x40, "unknown block size"),
            (5, 0x70, "unknown block size"),
        ];
        for (at, bits, expected) in table {
            let mut stream = sound.clone();
            stream[at] ^= bits;
            let error = read_all(&batch_of(3, 1, &reseal(stream))).unwrap_err();
            assert!(
                matches!(error, RecordError::Stream { what, .. } if what == expected),
                "{at} {bits}: {error}"
            );
        }
        let mut stream = sound;
        stream[6] ^= 1;
        let error = read_all(&batch_of(3, 1, &stream)).unwrap_err();
        let what = "checksum of the header is wrong";
        assert_eq!(error, RecordError::Stream { codec: Compression::Lz4, at: 6, what });
    }

    #[test]
    fn a_content_size_that_lies_is_an_error() {
        let content = content();
        let len = u64::try_from(content.len()).unwrap();
        let mut stream = lz4(&content, FrameInfo::new().content_size(Some(len)));
        assert!(read_all(&batch_of(3, 1, &stream)).is_ok());
        stream[6] ^= 1;
        stream[14] = XxHash32::oneshot(0, &stream[4..14]).to_le_bytes()[1];
        let error = read_all(&batch_of(3, 1, &stream)).unwrap_err();
        assert!(matches!(error, RecordError::Stream { what: "size of the content is wrong", .. }));
    }

    #[test]
    fn small_blocks_of_a_frame_that_announces_large_ones_take_little() {
        let stream = lz4(&content(), FrameInfo::new().block_size(BlockSize::Max4MB));
        let mut scratch = Scratch::new();
        let limits = RecordLimits::default();
        read_with(&batch_of(3, 1, &stream), &mut scratch, &limits, &mut Unlimited).unwrap();
        assert_eq!(scratch.held_bytes(), 64 * KIB);
    }

    #[test]
    fn a_block_of_more_than_the_frame_announces_is_an_error() {
        let mut stream = lz4(&[], FrameInfo::new().block_size(BlockSize::Max64KB));
        stream.truncate(7);
        let block = lz4_flex::block::compress(&vec![0; 64 * KIB + 1]);
        stream.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        stream.extend(block);
        stream.extend([0; 4]);
        let error = read_all(&batch_of(3, 1, &stream)).unwrap_err();
        assert!(matches!(error, RecordError::Stream { what: "invalid size of a block", .. }));
        assert_eq!(error.class(), RecordErrorClass::Undecodable);
    }

    proptest! {
        #[test]
        fn the_size_of_a_block_is_known_before_it_is_decompressed(content: Vec<u8>, times in 1_usize..60) {
            let content = content.repeat(times);
            let block = lz4_flex::block::compress(&content);
            prop_assert_eq!(decompressed_size(&block), Some(content.len()));
        }

        #[test]
        fn arbitrary_blocks_never_panic(block: Vec<u8>) {
            if let Some(size) = decompressed_size(&block).filter(|&size| size < 1 << 20) {
                let _ = lz4_flex::block::decompress_into(&block, &mut vec![0; size]);
            }
        }
    }
}
