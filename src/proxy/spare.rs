//! Buffers of large requests, used again.
//!
//! An allocator gives a large buffer back to the system when it is freed, and the system clears its pages when they are touched the
//! next time, which costs more than all that is done with the request. So each thread keeps some for whoever needs one next:
//! no connection holds one while it waits.

use std::{cell::RefCell, mem};

use bytes::{Bytes, BytesMut};

use crate::limits::{KIB, MIB};

/// Smaller ones are left to the allocator, which keeps those. musl's does not keep any that are much larger.
pub(super) const MIN_BYTES: usize = 16 * KIB;
/// Larger ones are seldom, and go back to the system.
const MAX_BYTES: usize = 2 * MIB;
/// What a thread keeps.
const KEPT_BYTES: usize = 4 * MIB;
/// And how many, so that one is soon found.
const KEPT: usize = 64;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { buffers: Vec::new(), bytes: 0 }) };
}

/// What one thread keeps: empty buffers.
struct Spare {
    buffers: Vec<BytesMut>,
    /// The sum of their capacities.
    bytes: usize,
}

impl Spare {
    /// A buffer for `needed` bytes that has at most half as much again: that much is accounted for.
    fn take(&mut self, needed: usize) -> Option<BytesMut> {
        let fits = |buffer: &BytesMut| (needed..=needed / 2 * 3).contains(&buffer.capacity());
        let at = self.buffers.iter().rposition(fits)?;
        let buffer = self.buffers.swap_remove(at);
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn put(&mut self, mut buffer: BytesMut) {
        let capacity = buffer.capacity();
        if !(MIN_BYTES..=MAX_BYTES).contains(&capacity) {
            return;
        }
        // Of sizes that nobody needs any more, the oldest make room.
        let surplus = |it: &Self| it.bytes + capacity > KEPT_BYTES || it.buffers.len() >= KEPT;
        while surplus(self) && !self.buffers.is_empty() {
            self.bytes -= self.buffers.remove(0).capacity();
        }
        buffer.clear();
        self.bytes += capacity;
        self.buffers.push(buffer);
    }
}

/// An empty buffer with room for `needed` bytes.
pub(super) fn buffer(needed: usize) -> BytesMut {
    if !(MIN_BYTES..=MAX_BYTES).contains(&needed) {
        return BytesMut::with_capacity(needed);
    }
    let kept = SPARE.with_borrow_mut(|spare| spare.take(needed));
    // In steps of a quarter, so that those of about the same size can stand for each other.
    let step = needed.next_power_of_two() / 8;
    kept.unwrap_or_else(|| BytesMut::with_capacity(needed.next_multiple_of(step)))
}

/// Takes back a buffer of [`buffer`] that was not divided.
pub(super) fn give_back(buffer: BytesMut) {
    // A thread that ends keeps nothing.
    let _ = SPARE.try_with(|spare| spare.borrow_mut().put(buffer));
}

/// What was read into a buffer of [`buffer`] that was not divided, not to be changed any more. It is used again once nobody looks
/// at it.
pub(super) fn freeze(bytes: BytesMut) -> Bytes {
    if bytes.capacity() < MIN_BYTES {
        return bytes.freeze();
    }
    Bytes::from_owner(Returned(bytes))
}

/// Goes back to the buffers of the thread that drops it.
struct Returned(BytesMut);

impl AsRef<[u8]> for Returned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        give_back(mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        SPARE.with_borrow(|spare| spare.bytes)
    }

    fn read(size: usize) -> Bytes {
        let mut buffer = buffer(size);
        buffer.resize(size, 7);
        freeze(buffer)
    }

    #[test]
    fn the_buffer_of_a_large_request_is_used_again_by_the_next_of_about_its_size() {
        let first = read(300 * KIB);
        let place = first.as_ptr();
        // Whoever still looks at a part of it keeps all of it.
        let part = first.slice(1000..2000);
        drop(first);
        assert_eq!(kept(), 0);
        drop(part);
        assert!((300 * KIB..400 * KIB).contains(&kept()), "{}", kept());
        let second = read(310 * KIB);
        assert_eq!((second.as_ptr(), kept()), (place, 0));
        assert!(second.iter().all(|byte| *byte == 7));
        drop(second);
        assert_ne!(read(64 * KIB).as_ptr(), place, "far too large");
        assert_ne!(read(900 * KIB).as_ptr(), place, "too small");
    }

    #[test]
    fn what_a_thread_keeps_is_bounded_and_small_and_huge_buffers_are_not_kept() {
        drop([read(1000), read(3 * MIB)]);
        assert_eq!(kept(), 0);
        let many: Vec<_> = (0..2 * KEPT).map(|_| read(MIN_BYTES)).collect();
        drop(many);
        assert_eq!(kept(), KEPT * MIN_BYTES);
        let many: Vec<_> = (1..40).map(|times| read(times * 64 * KIB)).collect();
        drop(many);
        assert!((MAX_BYTES..=KEPT_BYTES).contains(&kept()), "{}", kept());
    }

    #[test]
    fn room_is_exact_to_a_quarter() {
        for needed in
            [0, 1, 1000, MIN_BYTES, MIN_BYTES + 1, 100_000, MIB, MIB + 1, MAX_BYTES, 5 * MIB]
        {
            let capacity = buffer(needed).capacity();
            assert!((needed..=needed + needed / 4).contains(&capacity), "{needed}: {capacity}");
        }
    }
}
