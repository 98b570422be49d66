//! What became of copies of refused batches.

use prometheus::IntCounter;

use super::Families;

/// What became of the copy of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineOutcome {
    /// A broker refused it, could not be reached, or has no such topic.
    Failed,
    /// There was no room for it.
    QueueFull,
    /// It was not acknowledged in time.
    TimedOut,
    /// Its batch could not be taken apart; counts one for each such batch.
    Undecodable,
    /// It is in the dead-letter topic.
    Written,
}

impl QuarantineOutcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Failed, Self::QueueFull, Self::TimedOut, Self::Undecodable, Self::Written];

    /// The `outcome` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::QueueFull => "queue_full",
            Self::TimedOut => "timed_out",
            Self::Undecodable => "undecodable",
            Self::Written => "written",
        }
    }
}

/// The counters of the outcomes.
#[derive(Debug)]
pub(super) struct QuarantineCounters([IntCounter; QuarantineOutcome::ALL.len()]);

impl QuarantineCounters {
    pub(super) fn new(families: &Families) -> Self {
        Self(families.closed(
            "quarantined_records_total",
            "Records of refused batches that were to be copied to a dead-letter topic.",
            "outcome",
            QuarantineOutcome::ALL.map(QuarantineOutcome::label),
        ))
    }

    pub(super) fn count(&self, outcome: QuarantineOutcome, records: u64) {
        let Self(counters) = self;
        let at = QuarantineOutcome::ALL.iter().position(|one| *one == outcome);
        if let Some(counter) = at.and_then(|at| counters.get(at)) {
            counter.inc_by(records);
        }
    }
}
