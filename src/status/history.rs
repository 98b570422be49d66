//! The latest minutes in a small ring, so that a page that is opened in the middle of an incident shows how it began, and
//! everybody who looks sees the same. One sample in two seconds, whoever looks; traffic does nothing for it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::admin::{HistoryFact, TotalsFact};

/// Time between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Samples that are kept: five minutes.
const MAX_SAMPLES: usize = 150;

/// The latest minutes.
#[derive(Debug, Default)]
pub(super) struct History {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    last: Option<(Instant, TotalsFact)>,
    samples: VecDeque<Sample>,
}

/// What happened between two looks, per second.
#[derive(Debug, Clone, Copy)]
struct Sample {
    connections: u64,
    requests: f64,
    records: f64,
    rejected: f64,
    observed: f64,
    bytes: f64,
}

impl History {
    /// Takes note of what is counted at `now`. The first time there is nothing to compare it with.
    pub(super) fn sample(&self, now: Instant, connections: u64, totals: TotalsFact) {
        let mut ring = self.lock();
        let Some((then, before)) = ring.last.replace((now, totals)) else { return };
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        let rate = |after: u64, before: u64| per_second(after.wrapping_sub(before), seconds);
        let (after_records, before_records) = (&totals.records, &before.records);
        let sample = Sample {
            connections,
            requests: rate(totals.requests, before.requests),
            records: rate(total(&totals), total(&before)),
            rejected: rate(after_records.rejected, before_records.rejected),
            observed: rate(after_records.observed, before_records.observed),
            bytes: rate(totals.bytes_from_clients, before.bytes_from_clients),
        };
        if ring.samples.len() >= MAX_SAMPLES {
            ring.samples.pop_front();
        }
        ring.samples.push_back(sample);
    }

    pub(super) fn fact(&self) -> HistoryFact {
        let samples: Vec<_> = self.lock().samples.iter().copied().collect();
        let series = |of: fn(&Sample) -> f64| samples.iter().map(of).collect();
        HistoryFact {
            interval_seconds: INTERVAL.as_secs(),
            connections: samples.iter().map(|sample| sample.connections).collect(),
            requests_per_second: series(|sample| sample.requests),
            records_per_second: series(|sample| sample.records),
            rejected_per_second: series(|sample| sample.rejected),
            observed_per_second: series(|sample| sample.observed),
            bytes_from_clients_per_second: series(|sample| sample.bytes),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn total(totals: &TotalsFact) -> u64 {
    let records = &totals.records;
    [records.accepted, records.observed, records.rejected, records.unjudged, records.withheld]
        .into_iter()
        .fold(0, u64::wrapping_add)
}

/// To one place behind the point: nobody reads more of it, and it would be sent each time.
#[allow(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a rate is shown, not added up"
)]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::RecordsFact;

    fn totals(requests: u64, accepted: u64, rejected: u64) -> TotalsFact {
        let records = RecordsFact { accepted, rejected, ..RecordsFact::default() };
        TotalsFact { requests, records, ..TotalsFact::default() }
    }

    #[test]
    fn rates_are_those_of_the_time_that_passed() {
        let (history, start) = (History::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        history.sample(after(0), 1, totals(10, 100, 0));
        assert!(history.fact().connections.is_empty(), "one look is no rate");
        history.sample(after(2_000), 2, totals(30, 300, 7));
        history.sample(after(6_000), 3, totals(30, 301, 7));
        // A clock that stands still makes nothing infinite.
        history.sample(after(6_000), 3, totals(40, 301, 7));
        let fact = history.fact();
        assert_eq!(fact.interval_seconds, 2);
        assert_eq!(fact.connections, [2, 3, 3]);
        assert_eq!(fact.requests_per_second, [10.0, 0.0, 0.0]);
        assert_eq!(fact.records_per_second, [103.5, 0.3, 0.0]);
        assert_eq!(fact.rejected_per_second, [3.5, 0.0, 0.0]);
    }

    #[test]
    fn five_minutes_are_kept() {
        let (history, start) = (History::default(), Instant::now());
        for tick in 0..1_000_u32 {
            history.sample(start + INTERVAL * tick, tick.into(), totals(u64::from(tick) * 2, 0, 0));
        }
        let fact = history.fact();
        assert_eq!((fact.connections.len(), fact.requests_per_second.len()), (150, 150));
        assert_eq!((fact.connections.first(), fact.connections.last()), (Some(&850), Some(&999)));
        assert!(fact.requests_per_second.iter().all(|rate| *rate == 1.0));
    }
}
