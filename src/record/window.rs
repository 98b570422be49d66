//! The sliding buffer between a decoder and the walk: a record must lie in one piece, the rest need not be there.
//!
//! ```text
//!        what copies may refer to          one record        where the decoder writes
//! | . . . . . . . |===== history =====|##### unread #####|- - - - - room - - - - -|
//!                                     start              end
//! ```
//!
//! It holds no more than one record, one step of the decoder and the history. It grows with what was really decompressed:
//! by doubling, up to what the record announces. Each byte moves a constant number of times.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::record::scratch::Growth;
use crate::record::{Compression, RecordError};

/// Smallest buffer: what most batches decompress to, and a good step for gzip and zstd.
const STEP: usize = 64 * 1024;

pub(super) struct Window<'s> {
    buffer: &'s mut Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes decompressed so far.
    produced: usize,
    /// Bytes that are wanted in one piece.
    wanted: usize,
    codec: Compression,
    limit: usize,
    growth: Growth<'s>,
}

impl<'s> Window<'s> {
    /// An empty window over `buffer`, through which at most `limit` bytes pass.
    pub(super) const fn new(
        codec: Compression,
        limit: usize,
        buffer: &'s mut Vec<u8>,
        growth: Growth<'s>,
    ) -> Self {
        Self { buffer, start: 0, end: 0, produced: 0, wanted: 0, codec, limit, growth }
    }

    /// What was decompressed and not yet taken.
    pub(super) fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where the unread bytes begin in all that was and will be decompressed.
    pub(super) const fn position(&self) -> usize {
        self.produced.saturating_sub(self.end.saturating_sub(self.start))
    }

    /// Says how many bytes the walk wants in one piece: the bound on how far the window grows.
    pub(super) const fn want(&mut self, bytes: usize) {
        self.wanted = bytes;
    }

    /// The next `count` unread bytes, or all of them if there are fewer.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start = self.start.saturating_add(count).min(self.end);
        self.buffer.get(from..self.start).unwrap_or_default()
    }

    /// Says that `bytes` more will be decompressed, before any memory is asked for.
    ///
    /// # Errors
    /// [`RecordError::BatchTooLarge`] if so many would pass the limit.
    pub(super) const fn expect(&self, bytes: usize) -> Result<(), RecordError> {
        if bytes > self.limit.saturating_sub(self.produced) {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// Whether [`Window::room`] has `count` bytes at no more cost than those that were decompressed before: in what is there,
    /// in the smallest buffer, or where fewer are moved than were taken.
    pub(super) fn has_room(&mut self, count: usize, history: usize) -> bool {
        if count > self.limit.saturating_sub(self.produced) {
            return false;
        }
        if self.buffer.is_empty() {
            return count <= STEP;
        }
        if self.free() < count {
            let from = self.start.min(self.end.saturating_sub(history));
            if self.end.saturating_sub(from) <= from {
                self.slide(history);
            }
        }
        self.free() >= count
    }

    /// At least `at_least` bytes to decompress into, and before them what was decompressed last, at least `history` bytes
    /// of it if there are so many. Say with [`Window::filled`] how many were written.
    ///
    /// There is never room for more than one byte beyond the limit, so that a bomb stops there.
    ///
    /// # Errors
    /// [`RecordError::BatchTooLarge`] if so many would pass the limit, [`RecordError::BudgetSpent`] if growing is refused.
    pub(super) fn room(
        &mut self,
        at_least: usize,
        history: usize,
    ) -> Result<(&[u8], &mut [u8]), RecordError> {
        let allowed = self.limit.saturating_sub(self.produced).saturating_add(1);
        if at_least > allowed {
            return Err(self.too_large());
        }
        if self.free() < at_least {
            self.slide(history);
        }
        if self.free() < at_least {
            self.grow(at_least, history)?;
        }
        let free = self.free().min(allowed);
        match self.buffer.split_at_mut_checked(self.end) {
            Some((before, room)) => Ok((before, room.get_mut(..free).unwrap_or_default())),
            None => Ok((&[], &mut [])),
        }
    }

    /// Notes that `count` bytes of the room were written.
    ///
    /// # Errors
    /// [`RecordError::BatchTooLarge`] if that is more than may pass.
    pub(super) fn filled(&mut self, count: usize) -> Result<(), RecordError> {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
        self.produced = self.produced.saturating_add(count);
        if self.produced > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    /// More memory for the decoder itself.
    pub(super) const fn growth(&mut self) -> &mut Growth<'s> {
        &mut self.growth
    }

    const fn too_large(&self) -> RecordError {
        RecordError::BatchTooLarge { codec: self.codec, limit: self.limit }
    }

    const fn free(&self) -> usize {
        self.buffer.len().saturating_sub(self.end)
    }

    /// Moves what is still needed to the front.
    fn slide(&mut self, history: usize) {
        let from = self.start.min(self.end.saturating_sub(history));
        if from > 0 && from <= self.end && self.end <= self.buffer.len() {
            self.buffer.copy_within(from..self.end, 0);
            self.start = self.start.saturating_sub(from);
            self.end = self.end.saturating_sub(from);
        }
    }

    fn grow(&mut self, at_least: usize, history: usize) -> Result<(), RecordError> {
        let old = self.buffer.len();
        let needed = self.end.saturating_add(at_least);
        let useful = history.saturating_add(self.wanted).saturating_add(at_least.max(STEP));
        let new = old.saturating_mul(2).max(STEP).min(useful).max(needed);
        let additional = new.saturating_sub(old);
        self.growth.ask(additional)?;
        self.buffer.reserve_exact(additional);
        self.buffer.resize(new, 0);
        Ok(())
    }
}
