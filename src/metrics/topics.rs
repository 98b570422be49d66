//! Counters by topic: plain atomics that who counts keeps hold of, read by a collector of their own.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Counter, LabelPair, Metric, MetricFamily, MetricType},
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

    fn record_series(&self, family: &mut Vec<Metric>) {
        for verdict in RecordVerdict::ALL {
            for reason in std::iter::once(None).chain(Reason::ALL.map(Some)) {
                let counter = self.record_counter(verdict, reason);
                let value = counter.map_or(0, |counter| counter.load(Ordering::Relaxed));
                if value > 0 || verdict.expects(reason) {
                    let reason = reason.map_or("none", Reason::label);
                    let labels =
                        [("reason", reason), ("topic", &self.name), ("verdict", verdict.label())];
                    family.push(series(&labels, value));
                }
            }
        }
    }

    fn batch_series(&self, family: &mut Vec<Metric>) {
        for verdict in BatchVerdict::ALL {
            let counter = self.batches.get(verdict.index());
            let value = counter.map_or(0, |counter| counter.load(Ordering::Relaxed));
            family.push(series(&[("topic", &self.name), ("verdict", verdict.label())], value));
        }
    }
}

fn series(labels: &[(&str, &str)], value: u64) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut counter = Counter::default();
    counter.set_value(as_f64(value));
    let mut metric = Metric::from_label(labels.iter().map(pair).collect());
    metric.set_counter(counter);
    metric
}

/// Exact up to 2^53; beyond, as near as the format can say.
#[allow(clippy::cast_precision_loss, reason = "the text format has floating point numbers only")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

/// All topics; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max: usize,
    other: Arc<TopicMetrics>,
    named: RwLock<HashMap<Box<str>, Arc<TopicMetrics>>>,
    records: Desc,
    batches: Desc,
}

impl Topics {
    pub(super) fn new(max: usize) -> Self {
        let desc = |name: &str, help: &str, labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let name = format!("schemaward_{name}");
            super::made(Desc::new(name, help.to_owned(), labels, HashMap::new()))
        };
        let shared = Shared {
            max,
            other: TopicMetrics::new(OTHER),
            named: RwLock::default(),
            records: desc(
                "records_total",
                "Records by what became of them; other is all topics past the bound.",
                &["reason", "topic", "verdict"],
            ),
            batches: desc(
                "batches_total",
                "Record batches by what became of them; other is all topics past the bound.",
                &["topic", "verdict"],
            ),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        // A name that no broker takes is not worth a label: it is text that a client made up.
        if !is_topic_name(name) || name == OTHER {
            return self.shared.other.clone();
        }
        let found = {
            let named = self.shared.named.read().unwrap_or_else(PoisonError::into_inner);
            named.get(name).cloned()
        };
        found.unwrap_or_else(|| self.add(name))
    }

    fn add(&self, name: &str) -> Arc<TopicMetrics> {
        let mut named = self.shared.named.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = named.get(name) {
            return topic.clone();
        }
        if named.len() >= self.shared.max {
            return self.shared.other.clone();
        }
        let topic = TopicMetrics::new(name);
        named.insert(name.into(), topic.clone());
        topic
    }

    /// The topics as they are now, sorted; the lock is held for copying pointers only.
    pub(super) fn snapshot(&self) -> Vec<Arc<TopicMetrics>> {
        let mut topics: Vec<_> = {
            let named = self.shared.named.read().unwrap_or_else(PoisonError::into_inner);
            named.values().cloned().collect()
        };
        topics.push(self.shared.other.clone());
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        topics
    }
}

impl Collector for Topics {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.shared.records, &self.shared.batches]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (mut records, mut batches) = (Vec::new(), Vec::new());
        for topic in self.snapshot() {
            topic.record_series(&mut records);
            topic.batch_series(&mut batches);
        }
        vec![family(&self.shared.records, records), family(&self.shared.batches, batches)]
    }
}

fn family(desc: &Desc, series: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(MetricType::COUNTER);
    family.set_metric(series);
    family
}

/// Kafka's own rule for topic names.
fn is_topic_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&name.len()) && name.bytes().all(legal)
}

/// The label of all topics past the bound.
const OTHER: &str = "other";
