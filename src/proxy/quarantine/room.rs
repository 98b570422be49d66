//! What copies take: of the queue, and of what the process may hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{limits::KIB, proxy::budget::Holding, record::Allowance};

/// What a consignment takes beside its bytes: so that the smallest are not for nothing.
const CONSIGNMENT_BYTES: usize = KIB;

/// The bytes of all copies that are on their way.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    used: AtomicUsize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, used: AtomicUsize::new(0) })
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    fn try_take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.capacity);
        self.used.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }
}

/// The place of one consignment. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Room {
    queue: Arc<Queue>,
    holding: Holding,
    bytes: usize,
}

impl Room {
    /// A place in `queue`, charged to `holding` as well. `None`: there is none.
    pub(super) fn new(queue: &Arc<Queue>, holding: Holding) -> Option<Self> {
        let mut room = Self { queue: Arc::clone(queue), holding, bytes: 0 };
        room.try_grow(CONSIGNMENT_BYTES).then_some(room)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Allowance for Room {
    fn try_grow(&mut self, additional_bytes: usize) -> bool {
        if !self.queue.try_take(additional_bytes) {
            return false;
        }
        // From here on dropping gives it back.
        self.bytes = self.bytes.saturating_add(additional_bytes);
        self.holding.try_grow(additional_bytes)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proxy::budget::MemoryBudget;

    #[test]
    fn a_place_is_taken_of_both_and_given_back_to_both() {
        let budget = MemoryBudget::new(64 * KIB, Duration::from_secs(30));
        let queue = Queue::new(10 * KIB);
        let mut first = Room::new(&queue, budget.holder()).unwrap();
        assert!(first.try_grow(8 * KIB));
        assert_eq!((queue.used(), budget.used(), first.bytes()), (9 * KIB, 9 * KIB, 9 * KIB));
        let mut second = Room::new(&queue, budget.holder()).unwrap();
        assert!(!second.try_grow(1));
        assert!(Room::new(&queue, budget.holder()).is_none());
        drop(first);
        assert!(second.try_grow(9 * KIB));
        drop(second);
        assert_eq!((queue.used(), budget.used()), (0, 0));
    }

    #[test]
    fn without_memory_there_is_no_place() {
        let budget = MemoryBudget::new(4 * KIB, Duration::from_secs(30));
        let mut other = budget.holder();
        assert!(other.try_begin(4 * KIB));
        let queue = Queue::new(10 * KIB);
        assert!(Room::new(&queue, budget.holder()).is_none());
        assert_eq!(queue.used(), 0);
        drop(other);
        assert!(Room::new(&queue, budget.holder()).is_some());
    }
}
