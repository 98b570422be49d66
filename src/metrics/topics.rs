//! Counters by topic: plain atomics that who counts keeps hold of, written by a scrape without taking a lock.
//!
//! A thousand topics are tens of thousands of series: they are written as text at once, without a tree in between.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::reason::Reason;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordVerdict {
    /// It passed.
    Accepted,
    /// It would have been rejected, and was forwarded.
    Observed,
    /// It was refused for a reason of its own.
    Rejected,
    /// It was forwarded though it could not be judged.
    Unjudged,
    /// It was good, in a batch that was refused.
    Withheld,
}

impl RecordVerdict {
    const ALL: [Self; 5] =
        [Self::Accepted, Self::Observed, Self::Rejected, Self::Unjudged, Self::Withheld];

    /// The `verdict` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Observed => "observed",
            Self::Rejected => "rejected",
            Self::Unjudged => "unjudged",
            Self::Withheld => "withheld",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::Observed => 1,
            Self::Rejected => 2,
            Self::Unjudged => 3,
            Self::Withheld => 4,
        }
    }

    /// Whether the pair is written at 0 too. All others appear when they first count something.
    const fn expects(self, reason: Option<Reason>) -> bool {
        match self {
            Self::Accepted | Self::Withheld => reason.is_none(),
            Self::Observed | Self::Rejected => reason.is_some(),
            Self::Unjudged => matches!(reason, Some(Reason::RegistryUnavailable)),
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchVerdict {
    /// It was judged, and passed.
    Forwarded,
    /// It would have been refused, and was forwarded.
    Observed,
    /// It was forwarded unread: its topic is not checked.
    Off,
    /// It was refused.
    Refused,
}

impl BatchVerdict {
    const ALL: [Self; 4] = [Self::Forwarded, Self::Observed, Self::Off, Self::Refused];

    /// The `verdict` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Observed => "observed",
            Self::Off => "off",
            Self::Refused => "refused",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Forwarded => 0,
            Self::Observed => 1,
            Self::Off => 2,
            Self::Refused => 3,
        }
    }
}

/// One counter for each reason, and one for none.
const REASONS: usize = Reason::ALL.len() + 1;

/// The counters of one topic.
#[derive(Debug)]
pub struct TopicMetrics {
    name: Box<str>,
    pub(super) records: [[AtomicU64; REASONS]; RecordVerdict::ALL.len()],
    pub(super) batches: [AtomicU64; BatchVerdict::ALL.len()],
}

impl TopicMetrics {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            records: Default::default(),
            batches: Default::default(),
        })
    }

    /// The `topic` label: the topic's name, or `other`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts `count` records with the same verdict for the same reason.
    pub fn records(&self, verdict: RecordVerdict, reason: Option<Reason>, count: u64) {
        if let Some(counter) = self.record_counter(verdict, reason) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts one batch.
    pub fn batch(&self, verdict: BatchVerdict) {
        if let Some(counter) = self.batches.get(verdict.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn record_counter(
        &self,
        verdict: RecordVerdict,
        reason: Option<Reason>,
    ) -> Option<&AtomicU64> {
        let position = reason.map(|reason| Reason::ALL.iter().position(|other| *other == reason));
        let column = position.map_or(Some(0), |position| Some(position? + 1))?;
        self.records.get(verdict.index())?.get(column)
    }

    fn write_records(&self, out: &mut impl fmt::Write) -> fmt::Result {
        for (verdict, counters) in RecordVerdict::ALL.into_iter().zip(&self.records) {
            let reasons = std::iter::once(None).chain(Reason::ALL.map(Some));
            for (reason, counter) in reasons.zip(counters) {
                let value = counter.load(Ordering::Relaxed);
                if value > 0 || verdict.expects(reason) {
                    out.write_str("schemaward_records_total{reason=\"")?;
                    out.write_str(reason.map_or("none", Reason::label))?;
                    self.write_rest(out, verdict.label(), value)?;
                }
            }
        }
        Ok(())
    }

    fn write_batches(&self, out: &mut impl fmt::Write) -> fmt::Result {
        for (verdict, counter) in BatchVerdict::ALL.into_iter().zip(&self.batches) {
            out.write_str("schemaward_batches_total{")?;
            self.write_topic(out)?;
            write_end(out, verdict.label(), counter.load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn write_rest(&self, out: &mut impl fmt::Write, verdict: &str, value: u64) -> fmt::Result {
        out.write_str("\",")?;
        self.write_topic(out)?;
        write_end(out, verdict, value)
    }

    /// No topic's name needs escaping: see [`is_topic_name`].
    fn write_topic(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str("topic=\"")?;
        out.write_str(&self.name)
    }
}

fn write_end(out: &mut impl fmt::Write, verdict: &str, value: u64) -> fmt::Result {
    out.write_str("\",verdict=\"")?;
    out.write_str(verdict)?;
    match value {
        // Most of them.
        0 => out.write_str("\"} 0\n"),
        _ => writeln!(out, "\"}} {value}"),
    }
}

/// All topics.
#[derive(Debug)]
pub(super) struct Topics {
    max: AtomicUsize,
    other: Arc<TopicMetrics>,
    by_name: RwLock<HashMap<Box<str>, Arc<TopicMetrics>>>,
    in_order: InOrder,
}

impl Topics {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: AtomicUsize::new(max),
            other: TopicMetrics::new(OTHER),
            by_name: RwLock::default(),
            in_order: InOrder::default(),
        }
    }

    /// Allows `max` topics by name. Those that have their label keep it.
    pub(super) fn allow(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(super) fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        // A name that no broker takes is not worth a label: it is text that a client made up.
        if !is_topic_name(name) || name == OTHER {
            return self.other.clone();
        }
        let found = {
            let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
            by_name.get(name).cloned()
        };
        found.unwrap_or_else(|| self.add(name))
    }

    fn add(&self, name: &str) -> Arc<TopicMetrics> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = by_name.get(name) {
            return topic.clone();
        }
        if by_name.len() >= self.max.load(Ordering::Relaxed) {
            return self.other.clone();
        }
        let Some(topic) = self.in_order.add(by_name.len(), TopicMetrics::new(name)) else {
            return self.other.clone();
        };
        by_name.insert(name.into(), topic.clone());
        topic
    }

    /// The topics as they are now, sorted. It takes no lock.
    pub(super) fn snapshot(&self) -> Vec<Arc<TopicMetrics>> {
        let mut topics: Vec<_> = self.in_order.iter().cloned().collect();
        topics.push(self.other.clone());
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        topics
    }

    /// Writes every series of every topic in Prometheus' text format.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let topics = self.snapshot();
        out.write_str(BATCHES_HEAD)?;
        topics.iter().try_for_each(|topic| topic.write_batches(out))?;
        out.write_str(RECORDS_HEAD)?;
        topics.iter().try_for_each(|topic| topic.write_records(out))
    }
}

type Chunk = Box<[OnceLock<Arc<TopicMetrics>>]>;

/// Topics in the order in which they came. It only grows, by one at a time, and is read without a lock.
#[derive(Debug)]
struct InOrder {
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Default for InOrder {
    fn default() -> Self {
        Self { chunks: std::iter::repeat_with(OnceLock::new).take(MAX_CHUNKS).collect() }
    }
}

impl InOrder {
    /// Adds what is at `place`, the first that is free. `None`: there is none.
    fn add(&self, place: usize, topic: Arc<TopicMetrics>) -> Option<Arc<TopicMetrics>> {
        let chunk = self.chunks.get(place / CHUNK_TOPICS)?;
        let new = || std::iter::repeat_with(OnceLock::new).take(CHUNK_TOPICS).collect();
        let slot = chunk.get_or_init(new).get(place % CHUNK_TOPICS)?;
        Some(slot.get_or_init(|| topic).clone())
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<TopicMetrics>> {
        let chunks = self.chunks.iter().map_while(OnceLock::get);
        chunks.flatten().map_while(OnceLock::get)
    }
}

const CHUNK_TOPICS: usize = 256;
/// As many as `metrics.max_topics` may be, and a few more.
const MAX_CHUNKS: usize = 400;

const BATCHES_HEAD: &str = "\
# HELP schemaward_batches_total Record batches by what became of them; other is all topics past the bound.
# TYPE schemaward_batches_total counter
";
const RECORDS_HEAD: &str = "\
# HELP schemaward_records_total Records by what became of them; other is all topics past the bound.
# TYPE schemaward_records_total counter
";

/// Kafka's own rule for topic names.
fn is_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&name.len()) && name.bytes().all(legal)
}

/// The label of all topics past the bound.
const OTHER: &str = "other";
