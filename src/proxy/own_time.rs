//! Parts the time of a Produce request: what it spends here, and what its broker takes. Three looks at the clock for each
//! request, however many records it has.

use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Metrics;

/// A Produce request that is with its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// What it had spent here until then.
    own: Duration,
    at: Instant,
}

impl Handed {
    /// A request that began to be dealt with at `began` is handed to its broker now. That a broker takes it slowly is the
    /// broker's time.
    #[must_use]
    pub fn now(began: Instant) -> Self {
        let at = Instant::now();
        Self { own: at.saturating_duration_since(began), at }
    }

    /// Counts a request that gets no answer from a broker.
    pub fn unanswered(self, metrics: &Metrics) {
        metrics.produce_own(self.own);
    }

    /// Counts a request whose answer came just now and goes on as it is.
    pub fn relayed(self, metrics: &Metrics) {
        metrics.produce_broker(self.at.elapsed());
        metrics.produce_own(self.own);
    }

    /// Counts a request whose answer came at `came` and was rewritten since.
    pub fn rewritten(self, came: Instant, metrics: &Metrics) {
        metrics.produce_broker(came.saturating_duration_since(self.at));
        metrics.produce_own(self.own.saturating_add(came.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// The sums of both parts, and how many were counted.
    fn parts(metrics: &Metrics) -> [(String, String); 2] {
        let text = metrics.encode();
        let value = |series: String| {
            let line = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
            line.trim().to_owned()
        };
        ["own", "broker"].map(|part| {
            let family = format!("schemaward_produce_{part}_seconds");
            (value(format!("{family}_sum ")), value(format!("{family}_count ")))
        })
    }

    fn told(sum: &str, count: &str) -> (String, String) {
        (sum.to_owned(), count.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_broker_takes_is_no_time_of_our_own() {
        let metrics = Metrics::new(0);
        let began = Instant::now();
        advance(Duration::from_millis(250)).await;
        let handed = Handed::now(began);
        advance(Duration::from_secs(4)).await;
        handed.relayed(&metrics);
        assert_eq!(parts(&metrics), [told("0.25", "1"), told("4", "1")]);
        let came = Instant::now();
        advance(Duration::from_millis(500)).await;
        handed.rewritten(came, &metrics);
        assert_eq!(parts(&metrics), [told("1", "2"), told("8", "2")]);
        handed.unanswered(&metrics);
        assert_eq!(parts(&metrics), [told("1.25", "3"), told("8", "2")]);
    }
}
