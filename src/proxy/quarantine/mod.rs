//! Copies of refused batches, up to the queue in which they wait to be written. Who writes them is another layer: it takes
//! the queue's other end, and says of each what became of it.

mod copy;
mod log;
mod room;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kafka_protocol::ResponseError;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub use self::copy::{Copying, Refused};
use self::{
    log::FailureLog,
    room::{Queue, Room},
};
use super::settings::QuarantineSettings;
use crate::{metrics::QuarantineOutcome, record::CopiedBatch, wire::ErrorCode};

/// Why copies were not written, as the producer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// They were not acknowledged in time.
    #[error("not acknowledged in time")]
    Deadline,
    /// The process ends.
    #[error("schemaward is ending")]
    Ending,
    /// There is no such topic.
    #[error("there is no dead-letter topic")]
    NoTopic,
    /// The queue has no room for them, or the process has no memory left.
    #[error("no room in the queue")]
    QueueFull,
    /// The broker refused them.
    #[error("the broker refused the copy ({})", code_name(*.0))]
    Refused(ErrorCode),
    /// The batch is none whose records can be read.
    #[error("the batch cannot be taken apart")]
    Undecodable,
    /// No broker can be reached that would take them.
    #[error("the broker cannot be reached")]
    Unreachable,
}

impl NotWritten {
    /// How it is counted.
    #[must_use]
    pub const fn outcome(self) -> QuarantineOutcome {
        match self {
            Self::Deadline => QuarantineOutcome::TimedOut,
            Self::QueueFull => QuarantineOutcome::QueueFull,
            Self::Undecodable => QuarantineOutcome::Undecodable,
            Self::Ending | Self::NoTopic | Self::Refused(_) | Self::Unreachable => {
                QuarantineOutcome::Failed
            }
        }
    }
}

fn code_name(code: ErrorCode) -> String {
    match ResponseError::try_from_code(code.0) {
        Some(ResponseError::Unknown(code)) => format!("error {code}"),
        Some(known) => format!("error {}, {known:?}", code.0),
        None => "no error".to_owned(),
    }
}

/// What became of a consignment that was not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub why: NotWritten,
    /// Records that were written before.
    pub written: u64,
    /// Records of the batch, as far as they are known.
    pub of: u64,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { why, written, of } = self;
        match written {
            0 => write!(f, "{why}"),
            _ => write!(f, "{why}, after {written} of {of} records"),
        }
    }
}

/// What becomes of a consignment.
pub type Outcome = Result<(), Failure>;

/// The copies of one batch, on their way. Dropping it gives its place in the queue back.
#[derive(Debug)]
pub struct Consignment {
    /// The dead-letter topic.
    pub to: Arc<str>,
    /// The topic whose batch was refused.
    pub topic: Arc<str>,
    /// The partition whose batch was refused.
    pub partition: i32,
    /// The copies, in order.
    pub batches: Vec<CopiedBatch>,
    /// Until when they have to be acknowledged.
    pub deadline: Instant,
    /// Who waits for the outcome. Nobody does if the answer is not awaited.
    pub answer: oneshot::Sender<Outcome>,
    room: Room,
}

impl Consignment {
    /// Records in it.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.batches.iter().map(|batch| batch.records).sum()
    }

    /// Bytes that it takes of the queue.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.room.bytes()
    }
}

/// The other end of the queue.
pub type Consignments = mpsc::UnboundedReceiver<Consignment>;

/// The queue, and what is said of copies that were not written.
#[derive(Debug)]
pub struct DeadLetters {
    settings: QuarantineSettings,
    queue: Arc<Queue>,
    /// Bounded by the bytes of what is in it: each takes its place first.
    sender: mpsc::UnboundedSender<Consignment>,
    receiver: Mutex<Option<Consignments>>,
    log: FailureLog,
}

impl DeadLetters {
    /// An empty queue.
    #[must_use]
    pub fn new(settings: QuarantineSettings) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = Queue::new(settings.queue_bytes);
        let receiver = Mutex::new(Some(receiver));
        Self { settings, queue, sender, receiver, log: FailureLog::default() }
    }

    /// What is configured.
    #[must_use]
    pub const fn settings(&self) -> &QuarantineSettings {
        &self.settings
    }

    /// The queue's other end, for the first who asks.
    #[must_use]
    pub fn consignments(&self) -> Option<Consignments> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Bytes of copies that are on their way.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.used()
    }

    /// How long an answer waits for its copies at most.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    /// Says now and then that copies were not written. `cause` is what is behind it, for operators.
    pub fn failed(&self, to: &str, topic: &str, partition: i32, failure: &Failure, cause: &str) {
        self.log.failed(to, topic, partition, failure, cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_why_and_how_far_it_came() {
        let table = [
            (NotWritten::NoTopic, 0, "there is no dead-letter topic"),
            (
                NotWritten::Refused(ErrorCode(10)),
                0,
                "the broker refused the copy (error 10, MessageTooLarge)",
            ),
            (
                NotWritten::Refused(ErrorCode(32_000)),
                0,
                "the broker refused the copy (error 32000)",
            ),
            (NotWritten::Deadline, 300, "not acknowledged in time, after 300 of 512 records"),
        ];
        for (why, written, expected) in table {
            assert_eq!(Failure { why, written, of: 512 }.to_string(), expected);
        }
    }

    #[test]
    fn the_other_end_of_the_queue_is_given_once() {
        let letters = DeadLetters::new(QuarantineSettings::default());
        assert!(letters.consignments().is_some());
        assert!(letters.consignments().is_none());
        assert_eq!(letters.queued_bytes(), 0);
    }
}
