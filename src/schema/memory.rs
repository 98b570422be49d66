//! A bounded map in which what is used stays: a shelf to read from, and moka to decide what goes.
//!
//! Reads of moka itself are not free: each is recorded in a queue, and now and then a reader does the upkeep, which
//! allocates and takes locks. So readers see the shelf only, and mark what they use; moka is told of that before something
//! new comes in. What was not used for longest goes: moka's own choice, by frequency, would turn away what is new and
//! wanted, and the budget of look-ups keeps those who make up references from pushing others out quickly.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::{future::Cache, policy::EvictionPolicy};

use super::{SchemaRef, shelf::Shelf};

/// At most so many values by reference.
pub(super) struct Memory<V> {
    shelf: Arc<Shelf<V>>,
    policy: Cache<SchemaRef, Arc<V>>,
    /// Says whether a value was used since it was asked last.
    take_used: fn(&V) -> bool,
    told: Mutex<Option<Instant>>,
}

impl<V: Send + Sync + 'static> Memory<V> {
    pub(super) fn new(max_entries: u64, take_used: fn(&V) -> bool, withdrawn: fn(&V)) -> Self {
        let shelf = Arc::new(Shelf::new(withdrawn));
        let board = Arc::clone(&shelf);
        let policy = Cache::builder()
            .max_capacity(max_entries)
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |reference: Arc<SchemaRef>, value, _| {
                board.remove(&reference, &value);
            })
            .build();
        Self { shelf, policy, take_used, told: Mutex::default() }
    }

    /// What is known of `reference`. Takes no lock and allocates nothing.
    pub(super) fn get(&self, reference: &SchemaRef) -> Option<Arc<V>> {
        self.shelf.get(reference)
    }

    /// Remembers something, and forgets something else where there is no more room.
    pub(super) async fn put(&self, reference: &SchemaRef, value: Arc<V>, now: Instant) {
        self.tell(now).await;
        self.shelf.put(reference, Arc::clone(&value));
        self.policy.insert(reference.clone(), value).await;
        self.policy.run_pending_tasks().await;
    }

    /// Forgets what is known of `reference`.
    pub(super) async fn forget(&self, reference: &SchemaRef) {
        if let Some(known) = self.shelf.get(reference) {
            self.shelf.remove(reference, &known);
        }
        self.policy.invalidate(reference).await;
        self.policy.run_pending_tasks().await;
    }

    /// How many values there are.
    pub(super) fn count(&self) -> u64 {
        self.policy.entry_count()
    }

    /// Shows everything.
    pub(super) fn each(&self, show: impl FnMut(&SchemaRef, &Arc<V>)) {
        self.shelf.each(show);
    }

    /// Tells moka what was used, at most once in a while.
    async fn tell(&self, now: Instant) {
        if self.policy.policy().max_capacity().is_some_and(|most| self.count() < most) {
            return;
        }
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|told| now.saturating_duration_since(told) < INTERVAL) {
                return;
            }
            *told = Some(now);
        }
        let mut used = Vec::new();
        self.shelf.each(|reference, value| {
            if (self.take_used)(value) {
                used.push(reference.clone());
            }
        });
        for reference in used {
            let _ = self.policy.get(&reference).await;
        }
    }
}

/// How often moka is told.
const INTERVAL: Duration = Duration::from_secs(1);
