//! Takes a refused batch apart and writes the copies of its records, with what is wrong with each.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{sync::oneshot, time::Instant};

use super::{Consignment, DeadLetters, Failure, NotWritten, Outcome, room::Room};
use crate::{
    proxy::budget::Holding,
    reason::Reason,
    record::{Batch, BatchCopier, CopyError},
    text::shown,
    validate::{
        examine::{Cut, Examined, Finding},
        judge::Walk,
        verdict::RejectedRecord,
    },
};

/// What stands in [`REASON`] where nothing is wrong with the record itself.
const NEIGHBOUR: &str = "neighbour";
/// The same where it was not judged: its schema was not at hand, and another record was bad enough.
const UNJUDGED: &str = "unjudged";
/// Longest message of a copy.
const MAX_MESSAGE_BYTES: usize = 2_048;
/// The same of a neighbour: there may be thousands, and all of them say the same.
const MAX_NEIGHBOUR_MESSAGE_BYTES: usize = 256;

const REASON: &str = "schemaward.reason";
const MESSAGE: &str = "schemaward.message";
const TOPIC: &str = "schemaward.topic";
const PARTITION: &str = "schemaward.partition";
const BATCH_INDEX: &str = "schemaward.batch_index";
const SCHEMA: &str = "schemaward.schema";
const CLIENT_ID: &str = "schemaward.client_id";
const TIME: &str = "schemaward.time";

/// A batch that was refused and has to be copied.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The dead-letter topic.
    pub to: Arc<str>,
    /// The topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// The batch.
    pub record_set: &'a [u8],
    /// Why it was refused.
    pub reason: Reason,
    /// What its producer is told.
    pub message: String,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

/// The copies of a batch while they are written.
pub struct Copying<'a> {
    refused: &'a Refused<'a>,
    copier: BatchCopier,
    room: Room,
    partition: String,
    time: String,
    client_id: Option<String>,
    message: &'a str,
    failed: Option<NotWritten>,
}

impl DeadLetters {
    /// Begins to copy `refused`; what it takes is charged to `holding`, too.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn begin<'a>(
        &self,
        refused: &'a Refused<'a>,
        holding: Holding,
    ) -> Result<Copying<'a>, NotWritten> {
        let batch = Batch::parse(refused.record_set).map_err(|_| NotWritten::Undecodable)?;
        let room = Room::new(&self.queue, holding).ok_or(NotWritten::QueueFull)?;
        let base_timestamp = batch.header().base_timestamp;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Copying {
            refused,
            copier: BatchCopier::new(base_timestamp, self.settings.compression),
            room,
            partition: refused.partition.to_string(),
            time: since.as_millis().to_string(),
            client_id: refused.client_id.map(|id| shown(id.as_bytes())),
            message: clip(&refused.message, MAX_NEIGHBOUR_MESSAGE_BYTES),
            failed: None,
        })
    }

    /// Puts copies into the queue. What becomes of them comes through what is returned.
    ///
    /// # Errors
    /// [`NotWritten::Ending`]: nobody writes any more.
    pub fn send(
        &self,
        copying: Copying<'_>,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Outcome>, NotWritten> {
        let Copying { refused, copier, room, .. } = copying;
        let batches = copier.finish().map_err(|error| not_copied(&error))?;
        let (answer, outcome) = oneshot::channel();
        let consignment = Consignment {
            to: Arc::clone(&refused.to),
            topic: refused.topic.into(),
            partition: refused.partition,
            batches,
            deadline,
            answer,
            room,
        };
        self.sender.send(consignment).map_err(|_| NotWritten::Ending)?;
        Ok(outcome)
    }
}

impl Copying<'_> {
    /// Copies what the next turn of `walk` finds. `true`: that was the last.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub fn turn(&mut self, walk: &mut Walk<'_>) -> Result<bool, NotWritten> {
        let over = walk.examine(&mut |record| match self.copy(&record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                self.failed = Some(why);
                ControlFlow::Break(())
            }
        });
        if let Some(why) = self.failed {
            return Err(why);
        }
        match over {
            Ok(over) => Ok(over.is_some()),
            Err(Cut::Memory(_)) => Err(NotWritten::QueueFull),
            Err(Cut::Unreadable) => Err(NotWritten::Undecodable),
        }
    }

    fn copy(&mut self, record: &Examined<'_>) -> Result<(), NotWritten> {
        let Examined { batch_index, body, finding, schema } = record;
        let (reason, own) = self.said(*batch_index, finding);
        let message = own.as_deref().map_or(self.message, |own| clip(own, MAX_MESSAGE_BYTES));
        let index = batch_index.to_string();
        let known = [
            (REASON, Some(reason)),
            (MESSAGE, Some(message)),
            (TOPIC, Some(self.refused.topic)),
            (PARTITION, Some(self.partition.as_str())),
            (BATCH_INDEX, Some(index.as_str())),
            (SCHEMA, schema.as_deref()),
            (CLIENT_ID, self.client_id.as_deref()),
            (TIME, Some(self.time.as_str())),
        ];
        let mut more = Vec::with_capacity(known.len());
        more.extend(known.iter().filter_map(|(key, value)| Some((*key, (*value)?.as_bytes()))));
        self.copier
            .copy(*batch_index, body, &more, &mut self.room)
            .map_err(|error| not_copied(&error))
    }

    /// Reason and message of one record.
    fn said(&self, batch_index: i32, finding: &Finding) -> (&'static str, Option<String>) {
        let unjudged = Reason::RegistryUnavailable;
        match finding {
            Finding::Bad(rejection) => {
                let rejection = rejection.clone();
                let reason = rejection.reason.label();
                let rejected = RejectedRecord { batch_index, rejection, schema: None };
                (reason, Some(rejected.message()))
            }
            Finding::Unknown(detail) if self.refused.reason == unjudged => {
                let message = format!("{}: record {batch_index}: {detail}", unjudged.label());
                (unjudged.label(), Some(message))
            }
            Finding::Unknown(_) => (UNJUDGED, None),
            Finding::Good => (NEIGHBOUR, None),
        }
    }
}

fn not_copied(error: &CopyError) -> NotWritten {
    match error {
        CopyError::NotGranted(_) => NotWritten::QueueFull,
        CopyError::Record(_) | CopyError::Length | CopyError::Compress => NotWritten::Undecodable,
    }
}

fn clip(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl From<NotWritten> for Failure {
    fn from(why: NotWritten) -> Self {
        Self { why, written: 0, of: 0 }
    }
}
