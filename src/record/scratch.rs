//! The memory that decompression takes: who grants it, and where it stays between two batches.

use crate::record::RecordError;
use crate::record::zstd::ZstdContext;
use flate2::Decompress;

/// Memory that decompression may take. Says no when the process-wide budget is spent.
pub trait Allowance: Send {
    /// Takes `additional_bytes` from the budget, or says no and takes nothing. What was granted stays with the
    /// [`Scratch`], also when the batch turns out to be corrupt: give back [`Scratch::held_bytes`] when it shrinks.
    fn try_grow(&mut self, additional_bytes: usize) -> bool;
}

/// Grants everything: for tools that read their own files, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl Allowance for Unlimited {
    fn try_grow(&mut self, _additional_bytes: usize) -> bool {
        true
    }
}

/// What decompression needs, reused between the batches of one connection. Empty until the first compressed batch.
#[derive(Default)]
pub struct Scratch {
    /// Decompressed bytes: what records borrow from, and what lz4 refers back to.
    pub(super) buffer: Vec<u8>,
    pub(super) gzip: Option<Decompress>,
    pub(super) zstd: Option<ZstdContext>,
    /// What was granted for the three.
    pub(super) held: usize,
}

impl Scratch {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that are held between two batches: the sum of what was granted since the last [`Scratch::shrink`].
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held
    }

    /// Gives all of it back.
    pub fn shrink(&mut self) {
        *self = Self::default();
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the buffer: it holds records.
        f.debug_struct("Scratch").field("held", &self.held).finish_non_exhaustive()
    }
}

/// The only way to more memory: asks first, then counts.
pub(super) struct Growth<'s> {
    held: &'s mut usize,
    allowance: &'s mut dyn Allowance,
}

impl<'s> Growth<'s> {
    pub(super) const fn new(held: &'s mut usize, allowance: &'s mut dyn Allowance) -> Self {
        Self { held, allowance }
    }

    /// # Errors
    /// [`RecordError::BudgetSpent`], and then nothing may be taken.
    pub(super) fn ask(&mut self, needed: usize) -> Result<(), RecordError> {
        if needed > 0 && !self.allowance.try_grow(needed) {
            return Err(RecordError::BudgetSpent { needed });
        }
        *self.held = self.held.saturating_add(needed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_may_move_between_threads() {
        fn moves<T: Send>(_: T) {}
        moves(Scratch::new());
    }
}
