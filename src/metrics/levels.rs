//! What other parts know and nobody counts here: read off them when somebody scrapes, so that traffic pays nothing for it.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
};

use prometheus::{IntCounter, IntGauge};

use super::{Families, clamped};

/// Levels of this moment, and what was counted elsewhere up to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels {
    /// Bytes that unfinished work may hold.
    pub memory_budget_bytes: u64,
    /// Holders that were told to go so far.
    pub memory_budget_evictions: u64,
    /// Bytes that unfinished work holds.
    pub memory_budget_used_bytes: u64,
    /// Times that work had to wait for memory so far.
    pub memory_budget_waits: u64,
    /// Brokers that no local port stands for.
    pub nodes_outside_map: u64,
    /// Bytes of copies of refused batches that are on their way.
    pub quarantine_queue_bytes: u64,
    /// Sequence gaps that are open.
    pub sequence_gaps_open: u64,
}

type Read = Box<dyn Fn() -> Levels + Send + Sync>;

/// The families of [`Levels`].
pub(super) struct LevelGauges {
    read: OnceLock<Read>,
    /// Held by one scrape at a time: totals must not be added twice.
    refreshing: Mutex<()>,
    budget: IntGauge,
    used: IntGauge,
    waits: IntCounter,
    evictions: IntCounter,
    nodes_outside_map: IntGauge,
    quarantine_queue: IntGauge,
    sequence_gaps_open: IntGauge,
}

impl fmt::Debug for LevelGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelGauges").finish_non_exhaustive()
    }
}

impl LevelGauges {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            read: OnceLock::new(),
            refreshing: Mutex::new(()),
            budget: families.gauge("memory_budget_bytes", "Bytes that unfinished work may hold."),
            used: families.gauge("memory_budget_used_bytes", "Bytes that unfinished work holds."),
            waits: families
                .counter("memory_budget_waits_total", "Times that work had to wait for memory."),
            evictions: families.counter(
                "memory_budget_evictions_total",
                "Connections that were closed because they held memory without progress.",
            ),
            nodes_outside_map: families.gauge(
                "nodes_outside_map",
                "Brokers of the cluster that no local port stands for.",
            ),
            quarantine_queue: families.gauge(
                "quarantine_queue_bytes",
                "Bytes of copies of refused batches that are on their way to dead-letter topics.",
            ),
            sequence_gaps_open: families.gauge(
                "sequence_gaps_open",
                "Producers and partitions whose batches are held back after a refused one.",
            ),
        }
    }

    pub(super) fn read_with(&self, read: impl Fn() -> Levels + Send + Sync + 'static) {
        let _ = self.read.set(Box::new(read));
    }

    /// Reads the levels, if somebody has said how.
    pub(super) fn refresh(&self) {
        let Some(read) = self.read.get() else { return };
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let levels = read();
        self.budget.set(clamped(levels.memory_budget_bytes));
        self.used.set(clamped(levels.memory_budget_used_bytes));
        raise(&self.waits, levels.memory_budget_waits);
        raise(&self.evictions, levels.memory_budget_evictions);
        self.nodes_outside_map.set(clamped(levels.nodes_outside_map));
        self.quarantine_queue.set(clamped(levels.quarantine_queue_bytes));
        self.sequence_gaps_open.set(clamped(levels.sequence_gaps_open));
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
