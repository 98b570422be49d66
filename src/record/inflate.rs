//! One compressed batch: hands out one record's bytes after the other, in one piece each.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::limits::RecordLimits;
use crate::record::gzip::GzipMember;
use crate::record::lz4::Lz4Frame;
use crate::record::scratch::{Growth, Scratch};
use crate::record::snappy::SnappyBlocks;
use crate::record::window::Window;
use crate::record::zstd::ZstdFrame;
use crate::record::{Allowance, Compression, RecordError};

/// Longest length of a record, in bytes.
const MAX_VARINT_BYTES: usize = 5;

/// Whether a stream may have more output than it gave so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The stream was valid, and used to its last byte.
    Ended,
    /// Ask again.
    More,
}

enum Decoder<'s> {
    Gzip(GzipMember<'s>),
    Lz4(Lz4Frame<'s>),
    Snappy(SnappyBlocks<'s>),
    Zstd(ZstdFrame<'s>),
}

pub(super) struct Inflater<'s> {
    window: Window<'s>,
    decoder: Decoder<'s>,
    progress: Progress,
}

impl<'s> Inflater<'s> {
    /// Begins the stream `input`. `None` if `codec` is no codec.
    pub(super) fn new(
        codec: Compression,
        input: &'s [u8],
        scratch: &'s mut Scratch,
        limits: &RecordLimits,
        allowance: &'s mut dyn Allowance,
    ) -> Result<Option<Self>, RecordError> {
        let Scratch { buffer, gzip, zstd, held } = scratch;
        let growth = Growth::new(held, allowance);
        let mut window = Window::new(codec, limits.max_decompressed_bytes, buffer, growth);
        let decoder = match codec {
            Compression::None => return Ok(None),
            Compression::Gzip => Decoder::Gzip(GzipMember::new(input, gzip, window.growth())?),
            Compression::Lz4 => Decoder::Lz4(Lz4Frame::new(input)?),
            Compression::Snappy => Decoder::Snappy(SnappyBlocks::new(input)?),
            Compression::Zstd => Decoder::Zstd(ZstdFrame::new(input, zstd, window.growth())?),
        };
        Ok(Some(Self { window, decoder, progress: Progress::More }))
    }

    /// The bytes of the record `index`, its length apart.
    pub(super) fn body(&mut self, index: i32, max_bytes: usize) -> Result<&[u8], RecordError> {
        self.fill(MAX_VARINT_BYTES)?;
        let at = self.window.position();
        let mut cursor = Cursor::new(self.window.unread());
        let length = cursor
            .varint()
            .and_then(|length| record_length(length, 0))
            .map_err(|error| length_error(index, shift(error, at)))?;
        if length > max_bytes {
            return Err(RecordError::RecordTooLarge {
                record: index,
                size: length,
                limit: max_bytes,
            });
        }
        self.window.take(cursor.position());
        self.fill(length)?;
        let left = self.window.unread().len();
        if left < length {
            let at = self.window.position();
            return Err(length_error(index, CursorError::Truncated { at, needed: length, left }));
        }
        Ok(self.window.take(length))
    }

    /// After the last record: is the stream at its end, too?
    pub(super) fn end(&mut self, count: i32) -> Result<(), RecordError> {
        self.fill(1)?;
        if self.window.unread().is_empty() {
            return Ok(());
        }
        Err(RecordError::LeftInBatch { count, at: self.window.position() })
    }

    /// Decompresses until `wanted` bytes are unread, or all there are.
    fn fill(&mut self, wanted: usize) -> Result<(), RecordError> {
        self.window.want(wanted);
        while self.window.unread().len() < wanted && self.progress == Progress::More {
            self.progress = match &mut self.decoder {
                Decoder::Gzip(member) => member.step(&mut self.window)?,
                Decoder::Lz4(frame) => frame.step(&mut self.window)?,
                Decoder::Snappy(blocks) => blocks.step(&mut self.window)?,
                Decoder::Zstd(frame) => frame.step(&mut self.window)?,
            };
        }
        Ok(())
    }
}

/// A record's length as a size, or the error of a negative one that was read at `at`.
#[inline]
pub(super) fn record_length(length: i32, at: usize) -> Result<usize, CursorError> {
    usize::try_from(length)
        .map_err(|_| CursorError::NegativeLength { at, length: i64::from(length) })
}

#[cold]
pub(super) const fn length_error(record: i32, error: CursorError) -> RecordError {
    RecordError::Field { record, what: "length", error }
}

/// `error` of a part that begins at `by`, as one of the whole.
#[cold]
const fn shift(error: CursorError, by: usize) -> CursorError {
    match error {
        CursorError::Truncated { at, needed, left } => {
            CursorError::Truncated { at: at.saturating_add(by), needed, left }
        }
        CursorError::Varint { at } => CursorError::Varint { at: at.saturating_add(by) },
        CursorError::NegativeLength { at, length } => {
            CursorError::NegativeLength { at: at.saturating_add(by), length }
        }
    }
}
