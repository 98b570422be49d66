//! How long things took: counts in buckets that are at most 1.6% wide, so that nothing has to be kept for each record.

use std::time::Duration;

/// Two to this power buckets for each doubling.
const PRECISION: u32 = 6;
const BUCKETS: usize = (65 - PRECISION as usize) << PRECISION;

#[derive(Debug)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX >> 1);
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// What at least this part of them did not exceed, in milliseconds; `None` of nothing.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = ((self.total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        let found = self.counts.iter().position(reached)?;
        Some(upper_end(found) as f64 / 1e6)
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let doublings = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(PRECISION + 1);
    ((nanoseconds >> doublings) as usize) + ((doublings as usize) << PRECISION)
}

fn upper_end(bucket: usize) -> u64 {
    let doublings = (bucket >> PRECISION).saturating_sub(1);
    let steps = bucket - (doublings << PRECISION);
    ((steps as u64 + 1) << doublings) - 1
}
