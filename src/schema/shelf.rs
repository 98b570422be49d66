//! What is known, to be read without a lock and without an allocation.
//!
//! Readers load a snapshot; writers copy one of many small maps and put the copy in its place. What is kept and what goes
//! is decided elsewhere: see `cache.rs`.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use super::SchemaRef;

/// A map from references for many readers and few writers.
pub(super) struct Shelf<V> {
    hasher: RandomState,
    boards: Vec<Board<V>>,
    /// Told of what is not here any more.
    withdrawn: fn(&V),
}

struct Board<V> {
    map: ArcSwap<HashMap<SchemaRef, Arc<V>>>,
    /// Held while a copy is made: no change gets lost.
    writing: Mutex<()>,
}

impl<V> Shelf<V> {
    pub(super) fn new(withdrawn: fn(&V)) -> Self {
        let board = || Board { map: ArcSwap::default(), writing: Mutex::default() };
        let boards = (0..BOARDS).map(|_| board()).collect();
        Self { hasher: RandomState::new(), boards, withdrawn }
    }

    /// What is known of `reference`.
    pub(super) fn get(&self, reference: &SchemaRef) -> Option<Arc<V>> {
        self.board(reference)?.map.load().get(reference).cloned()
    }

    /// Puts something in the place of what was known.
    pub(super) fn put(&self, reference: &SchemaRef, value: Arc<V>) {
        let mut before = None;
        self.change(reference, |map| before = map.insert(reference.clone(), value));
        before.into_iter().for_each(|before| (self.withdrawn)(&before));
    }

    /// Removes `value`, unless something else has taken its place.
    pub(super) fn remove(&self, reference: &SchemaRef, value: &Arc<V>) {
        if self.get(reference).is_some_and(|known| Arc::ptr_eq(&known, value)) {
            self.change(reference, |map| {
                if map.get(reference).is_some_and(|known| Arc::ptr_eq(known, value)) {
                    map.remove(reference);
                }
            });
            (self.withdrawn)(value);
        }
    }

    /// Shows everything.
    pub(super) fn each(&self, mut show: impl FnMut(&SchemaRef, &Arc<V>)) {
        for board in &self.boards {
            board.map.load().iter().for_each(|(reference, value)| show(reference, value));
        }
    }

    fn change(&self, reference: &SchemaRef, change: impl FnOnce(&mut HashMap<SchemaRef, Arc<V>>)) {
        let Some(board) = self.board(reference) else { return };
        let _writing = board.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = HashMap::clone(&board.map.load());
        change(&mut map);
        board.map.store(Arc::new(map));
    }

    fn board(&self, reference: &SchemaRef) -> Option<&Board<V>> {
        let hash = self.hasher.hash_one(reference);
        let at = usize::try_from(hash % BOARDS as u64).ok()?;
        self.boards.get(at)
    }
}

/// Enough that a copy stays small with ten thousands of schemas.
const BOARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::DocumentUrl;

    fn reference(number: usize) -> SchemaRef {
        SchemaRef::Document(DocumentUrl(format!("http://host/{number}").into()))
    }

    #[test]
    fn reading_allocates_nothing() {
        let shelf = Shelf::new(|_| {});
        let references: Vec<_> = (0..1_000).map(reference).collect();
        for (number, reference) in references.iter().enumerate() {
            shelf.put(reference, Arc::new(number));
        }
        // The first read of a thread makes its place among the readers.
        assert!(shelf.get(&reference(1_000)).is_none());
        let mut found = 0;
        let info = allocation_counter::measure(|| {
            found = references.iter().filter(|reference| shelf.get(reference).is_some()).count();
        });
        assert_eq!((found, info.count_total), (1_000, 0));
    }

    #[test]
    fn a_reader_is_not_held_up_by_a_writer() {
        let shelf = Shelf::new(|_| {});
        shelf.put(&reference(1), Arc::new(1));
        shelf.change(&reference(1), |map| {
            map.clear();
            assert_eq!(shelf.get(&reference(1)).as_deref(), Some(&1), "in the middle of a change");
        });
        assert!(shelf.get(&reference(1)).is_none());
    }

    #[test]
    fn changes_of_many_threads_are_all_there_and_only_what_is_meant_is_removed() {
        let shelf = Shelf::new(|_| {});
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let shelf = &shelf;
                scope.spawn(move || {
                    for number in 0..250 {
                        let number = thread * 250 + number;
                        shelf.put(&reference(number), Arc::new(number));
                    }
                });
            }
        });
        let mut seen = 0;
        shelf.each(|_, _| seen += 1);
        assert_eq!(seen, 1_000);
        let old = shelf.get(&reference(5)).unwrap();
        shelf.put(&reference(5), Arc::new(6));
        shelf.remove(&reference(5), &old);
        assert_eq!(shelf.get(&reference(5)).as_deref(), Some(&6));
        shelf.remove(&reference(5), &shelf.get(&reference(5)).unwrap());
        assert!(shelf.get(&reference(5)).is_none());
    }
}
