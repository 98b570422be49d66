//! How much work one look at a schema or a value may be. The validator is foreign code that recurses as schema and value
//! ask it to; it knows no bound of its own, and a hostile schema makes it work for hours or overflow its stack.
//!
//! It sees values only through [`super::view`], and passes a step of ours wherever a schema branches (`document.rs`). Each
//! of these charges an account of the thread. Once it is spent, or the stack has grown too far, the work is unwound: no
//! message is written, nothing of the process is disturbed, and the caller of [`within`] gets [`Spent`]. So this does need
//! `panic = "unwind"`.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// The work was given up: it was too much, or its author's code failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// Bytes of stack that one look may take. Threads of the runtime have 2 MiB.
const MAX_STACK: usize = 1024 * 1024;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    /// The lowest address that the stack may reach.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

/// Does `work`, which may charge `effort`.
pub(super) fn within<T>(effort: u64, work: impl FnOnce() -> T) -> Result<T, Spent> {
    let floor = here().saturating_sub(MAX_STACK);
    let before = (LEFT.replace(effort), FLOOR.replace(floor));
    let done = catch_unwind(AssertUnwindSafe(work));
    LEFT.set(before.0);
    FLOOR.set(before.1);
    done.map_err(|_| Spent)
}

/// Takes `effort` from what is left.
#[inline]
pub(super) fn charge(effort: u64) {
    let left = LEFT.get();
    if left < effort || here() < FLOOR.get() {
        give_up();
    }
    LEFT.set(left - effort);
}

/// Takes what looking at every one of so many bytes is worth.
#[inline]
pub(super) fn charge_bytes(bytes: usize) {
    charge(1 + u64::try_from(bytes / BYTES_A_STEP).unwrap_or(u64::MAX - 1));
}

/// Bytes of a text that are gone through in the time of a step: by a regular expression, the slowest of what does.
const BYTES_A_STEP: usize = 16;

/// About where the stack ends now.
#[inline]
fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(&mark).addr()
}

#[cold]
#[inline(never)]
fn give_up() {
    resume_unwind(Box::new(Spent));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descend(levels: usize) -> usize {
        charge(1);
        let padding = std::hint::black_box([levels; 32]);
        if levels == 0 { padding[0] } else { 1 + descend(levels - 1) + padding[1] - padding[2] }
    }

    #[test]
    fn work_ends_when_it_is_too_much_or_too_deep() {
        assert_eq!(within(10, || (0..10).for_each(|_| charge(1))), Ok(()));
        assert_eq!(within(10, || (0..11).for_each(|_| charge(1))), Err(Spent));
        assert_eq!(within(10, || charge_bytes(16 * 10)), Err(Spent));
        assert_eq!(within(u64::MAX, || descend(100)), Ok(100));
        assert_eq!(within(u64::MAX, || descend(1_000_000)), Err(Spent));
        // Afterwards, and outside of it, nothing is bounded.
        charge(u64::MAX / 2);
        charge(u64::MAX / 4);
    }

    #[test]
    fn what_is_done_inside_has_an_account_of_its_own() {
        let both = within(5, || {
            let inner = within(3, || charge(4));
            charge(5);
            inner
        });
        assert_eq!(both, Ok(Err(Spent)));
    }
}
