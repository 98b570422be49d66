//! The latest rejections, for people who look: so many at most, and what repeats itself is one entry, so that a producer that
//! goes wrong does not push the others out. Written where a batch is rejected, never on the accepting path.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{Fate, RejectedBatch, cut};
use crate::{reason::Reason, text::shown};

/// Batches that were rejected: of one topic, by one client, for one reason. Everything in it is fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentRejection {
    /// When that happened first.
    pub first_at: SystemTime,
    /// When it happened last; what follows is about that time.
    pub at: SystemTime,
    /// How often it happened.
    pub times: u64,
    /// The topic; empty where its name is not known.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// Where the client is.
    pub peer: SocketAddr,
    /// Why.
    pub reason: Reason,
    /// Which record, and what is wrong with it.
    pub message: String,
    /// The schema that the record names.
    pub schema: Option<String>,
    /// What became of the batch.
    pub fate: Fate,
}

impl RecentRejection {
    fn new(batch: &RejectedBatch<'_>, now: SystemTime) -> Self {
        Self {
            first_at: now,
            at: now,
            times: 1,
            topic: shown(batch.topic.as_bytes()),
            partition: batch.partition,
            client_id: batch.client_id.map(shown),
            peer: batch.peer,
            reason: batch.reason,
            message: cut(batch.message),
            schema: batch.schema.map(str::to_owned),
            fate: batch.fate,
        }
    }

    fn repeats(&self, other: &Self) -> bool {
        (self.reason, self.fate) == (other.reason, other.fate)
            && self.topic == other.topic
            && self.client_id == other.client_id
    }
}

/// The latest ones, bounded.
#[derive(Debug, Default)]
pub struct RecentRejections {
    /// The latest one is last.
    kept: Mutex<VecDeque<Arc<RecentRejection>>>,
}

impl RecentRejections {
    /// Takes note of one.
    pub(super) fn add(&self, batch: &RejectedBatch<'_>, now: SystemTime) {
        let mut new = RecentRejection::new(batch, now);
        let _gone = {
            let mut kept = self.lock();
            let before = kept.iter().rposition(|known| known.repeats(&new));
            let gone = match before {
                Some(at) => kept.remove(at),
                None if kept.len() >= MAX_KEPT => kept.pop_front(),
                None => None,
            };
            if let Some(known) = gone.as_ref().filter(|_| before.is_some()) {
                new.first_at = known.first_at;
                new.times = known.times.saturating_add(1);
            }
            kept.push_back(Arc::new(new));
            gone
        };
    }

    /// The latest first, at most 100.
    #[must_use]
    pub fn latest(&self) -> Vec<Arc<RecentRejection>> {
        self.lock().iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RecentRejection>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries that are kept.
const MAX_KEPT: usize = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::validate::policy::Mode;

    fn batch<'a>(topic: &'a str, client: &'a str, message: &'a str) -> RejectedBatch<'a> {
        RejectedBatch {
            topic,
            batch_index: None,
            partition: 3,
            client_id: Some(client.as_bytes()),
            peer: "127.0.0.1:5000".parse().unwrap(),
            reason: Reason::PayloadInvalid,
            message,
            schema: Some("http://registry/schemas/ids/1"),
            mode: Mode::Enforce,
            fate: Fate::Refused,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_repeats_itself_is_one_entry_with_the_latest_message() {
        let recent = RecentRejections::default();
        let observed = RejectedBatch { fate: Fate::Observed, ..batch("a", "app", "m") };
        let other_reason =
            RejectedBatch { reason: Reason::SchemaNotFound, ..batch("a", "app", "m") };
        recent.add(&batch("a", "app", "first"), at(1));
        for other in [batch("b", "app", "m"), batch("a", "other", "m"), observed, other_reason] {
            recent.add(&other, at(2));
        }
        recent.add(&RejectedBatch { partition: 9, ..batch("a", "app", "second") }, at(3));
        let latest = recent.latest();
        assert_eq!(latest.len(), 5);
        let RecentRejection { first_at, at: last, times, message, partition, .. } = &*latest[0];
        assert_eq!((*first_at, *last, *times), (at(1), at(3), 2));
        assert_eq!((message.as_str(), *partition), ("second", 9));
        assert!(latest[1..].iter().all(|other| other.times == 1));
    }

    #[test]
    fn a_flood_of_one_kind_pushes_nobody_out_and_many_kinds_are_bounded() {
        let recent = RecentRejections::default();
        recent.add(&batch("quiet", "app", "m"), at(1));
        for _ in 0..10_000 {
            recent.add(&batch("loud", "app", "m"), at(2));
        }
        assert_eq!(recent.latest().iter().map(|it| it.times).collect::<Vec<_>>(), [10_000, 1]);
        for number in 0..10 * MAX_KEPT {
            recent.add(&batch(&format!("topic-{number}"), "app", "m"), at(3));
        }
        let latest = recent.latest();
        assert_eq!(latest.len(), MAX_KEPT);
        assert_eq!(latest[0].topic, format!("topic-{}", 10 * MAX_KEPT - 1), "the latest is first");
    }

    #[test]
    fn text_from_the_wire_is_escaped_and_cut() {
        let recent = RecentRejections::default();
        let long = "x".repeat(30_000);
        recent.add(&batch(&long, "a\n\"b\u{202e}", &"é\n".repeat(30_000)), at(1));
        let RecentRejection { topic, client_id, message, .. } = &*recent.latest()[0];
        assert_eq!(topic.chars().filter(|it| *it == 'x').count(), 256);
        assert_eq!(client_id.as_deref(), Some("a\\n\\\"b\\u{202e}"));
        assert!(message.chars().count() <= 2_048 && !message.contains('\n'));
    }
}
