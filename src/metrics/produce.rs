//! How long Produce requests take: what schemaward adds, apart from what their broker takes.

use std::time::Duration;

use prometheus::Histogram;

use super::{Families, Metrics};

/// The two parts of a request's time.
#[derive(Debug)]
pub(super) struct ProduceTimes {
    own: Histogram,
    broker: Histogram,
}

impl ProduceTimes {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            own: families.histogram(
                "produce_own_seconds",
                "Time that schemaward adds to a Produce request, look-ups in it, the broker's time not.",
                &OWN_BUCKETS,
            ),
            broker: families.histogram(
                "produce_broker_seconds",
                "Time from handing a Produce request to its broker until the broker's answer.",
                &BROKER_BUCKETS,
            ),
        }
    }
}

impl Metrics {
    /// Counts what a Produce request cost here.
    pub fn produce_own(&self, took: Duration) {
        self.produce_times.own.observe(took.as_secs_f64());
    }

    /// Counts what a broker took for a Produce request.
    pub fn produce_broker(&self, took: Duration) {
        self.produce_times.broker.observe(took.as_secs_f64());
    }
}

/// Tens of microseconds where the schema is known; up to the look-up deadline of 5 seconds where it is not.
const OWN_BUCKETS: [f64; 9] = [5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0, 5.0];
/// A broker that waits for followers takes milliseconds, one in need seconds.
const BROKER_BUCKETS: [f64; 9] = [1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.0, 10.0];
