//! What is counted, read back for the status page: no text format, no lock that traffic waits for.

use std::sync::{Arc, atomic::Ordering};

use prometheus::core::Collector;

use super::{BatchVerdict, Direction, Metrics, RecordVerdict, TopicMetrics};
use crate::reason::Reason;

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// They passed.
    pub accepted: u64,
    /// They would have been rejected, and were forwarded.
    pub observed: u64,
    /// They were refused for a reason of their own.
    pub rejected: u64,
    /// They were forwarded though they could not be judged.
    pub unjudged: u64,
    /// They were good, in a batch that was refused.
    pub withheld: u64,
}

impl RecordCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { accepted, observed, rejected, unjudged, withheld } = *self;
        accepted
            .wrapping_add(observed)
            .wrapping_add(rejected)
            .wrapping_add(unjudged)
            .wrapping_add(withheld)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            accepted: self.accepted.wrapping_add(other.accepted),
            observed: self.observed.wrapping_add(other.observed),
            rejected: self.rejected.wrapping_add(other.rejected),
            unjudged: self.unjudged.wrapping_add(other.unjudged),
            withheld: self.withheld.wrapping_add(other.withheld),
        }
    }
}

impl TopicMetrics {
    /// Its records.
    #[must_use]
    pub fn counts(&self) -> RecordCounts {
        let sum = |verdict: RecordVerdict| {
            let counters = self.records.get(verdict.index()).into_iter().flatten();
            counters.fold(0, |sum: u64, one| sum.wrapping_add(one.load(Ordering::Relaxed)))
        };
        RecordCounts {
            accepted: sum(RecordVerdict::Accepted),
            observed: sum(RecordVerdict::Observed),
            rejected: sum(RecordVerdict::Rejected),
            unjudged: sum(RecordVerdict::Unjudged),
            withheld: sum(RecordVerdict::Withheld),
        }
    }

    /// Its batches with this verdict.
    #[must_use]
    pub fn batches(&self, verdict: BatchVerdict) -> u64 {
        let counter = self.batches.get(verdict.index());
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Why records were rejected, or would have been, and how many for each reason that occurs.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let verdicts = [RecordVerdict::Rejected, RecordVerdict::Observed];
        let count = move |reason| {
            let counters = verdicts.iter().filter_map(|it| self.record_counter(*it, Some(reason)));
            counters.map(|one| one.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        Reason::ALL.into_iter().map(move |reason| (reason, count(reason))).filter(|it| it.1 > 0)
    }
}

impl Metrics {
    /// The counters of every topic, by name; all topics past the bound are one.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<TopicMetrics>> {
        self.topics.snapshot()
    }

    /// Client connections so far.
    #[must_use]
    pub fn connections_so_far(&self) -> u64 {
        self.connections_total.get()
    }

    /// Requests of clients so far.
    #[must_use]
    pub fn requests_so_far(&self) -> u64 {
        let families = self.requests.collect();
        let series = families.iter().flat_map(|family| family.get_metric());
        series.map(|metric| whole(metric.get_counter().get_value())).fold(0, u64::wrapping_add)
    }

    /// Bytes so far that were taken from sockets.
    #[must_use]
    pub fn bytes_so_far(&self, direction: Direction) -> u64 {
        let [to_client, to_broker] = &self.bytes;
        match direction {
            Direction::BrokerToClient => to_client.get(),
            Direction::ClientToBroker => to_broker.get(),
        }
    }
}

/// Counters are whole: only the format has floating point numbers.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a count is never negative, and what is too large becomes the largest"
)]
fn whole(count: f64) -> u64 {
    count as u64
}
