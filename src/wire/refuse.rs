//! Answers Produce requests of which we refused something: with refusals only, or merged with the broker's answer.
//!
//! Response versions: v1 throttle time, v2 append time, v5 log start offset, v8 record errors and error message (KIP-467),
//! v9 flexible, header too, v10 tagged current leader and node endpoints (KIP-951), v13 topic ids (KIP-516).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::{BufMut, BytesMut};

use super::fields::{Fields, Flexible};
use super::frame::{Frame, FrameBuilder};
use super::produce::{ProduceRequest, flexible, read_topic_key};
use super::{ErrorCode, TopicId, TopicKey, WireError};
use crate::limits::MIB;

/// Bytes of text in all refusals of one answer; past it the code has to do.
const MAX_ANSWER_TEXT: usize = MIB;

/// Why a partition was refused, as its producer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code, all that clients get below v8.
    pub code: ErrorCode,
    /// What is wrong with the batch.
    pub message: Option<String>,
    /// What is wrong with its records.
    pub record_errors: Vec<RecordError>,
}

/// What is wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Which record of its batch, counted from 0.
    pub batch_index: i32,
    /// What is wrong.
    pub message: String,
}

/// What the whole answer must contain: every partition of the request once, in the order of the request. It outlives the
/// request's frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerShape {
    version: i16,
    correlation_id: i32,
    topics: Vec<TopicAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicAnswer {
    topic: OwnedTopicKey,
    /// `None`: forwarded, the broker answers it.
    partitions: Vec<(i32, Option<Refusal>)>,
}

/// A [`TopicKey`] that outlives the request's frame.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OwnedTopicKey {
    Id(TopicId),
    Name(Box<str>),
}

impl AnswerShape {
    /// The answer that `request` needs. `refusal` is asked once for each partition, in order, given the positions of topic
    /// and partition; `None` means that it is forwarded.
    ///
    /// A partition that stands in the request twice is answered once, as a broker does, and refused if any of its
    /// copies is. A topic without partitions is not answered.
    pub fn of(
        request: &ProduceRequest<'_>,
        mut refusal: impl FnMut(usize, usize) -> Option<Refusal>,
    ) -> Self {
        let mut topics = Topics::default();
        let mut text_left = MAX_ANSWER_TEXT;
        for (position, topic) in request.topics.iter().enumerate() {
            for (partition_position, partition) in topic.partitions.iter().enumerate() {
                let refusal = refusal(position, partition_position)
                    .map(|refusal| refusal.presentable(&mut text_left));
                topics.add(topic.topic, partition.index, refusal);
            }
        }
        let ProduceRequest { version, correlation_id, .. } = *request;
        Self { version, correlation_id, topics: topics.in_order }
    }

    /// The answer made of refusals only, for a request of which nothing is forwarded.
    ///
    /// # Errors
    /// [`WireError::Unanswered`] if some partition was not refused.
    pub fn local(&self) -> Result<Frame, WireError> {
        let flexible = flexible(self.version);
        let mut head = BytesMut::new();
        head.put_i32(self.correlation_id);
        flexible.put_no_tagged_fields(&mut head);
        let mut tail = BytesMut::new();
        if self.version >= 1 {
            tail.put_i32(NOT_THROTTLED);
        }
        flexible.put_no_tagged_fields(&mut tail);
        self.assemble(BrokerAnswer { head: &head, tail: &tail, topics: HashMap::new() })
    }

    /// The broker's answer to what was forwarded, with the refusals in their places. All that the broker said stays
    /// byte-identical: throttle time, partitions, tagged fields of every level.
    ///
    /// # Errors
    /// [`WireError::Correlation`] if the broker answered another request, [`WireError::Unanswered`] and
    /// [`WireError::Unasked`] if it answered other partitions than were forwarded, others if its answer cannot be read.
    pub fn merge(&self, broker: &Frame) -> Result<Frame, WireError> {
        self.assemble(BrokerAnswer::parse(broker.payload(), self.version, self.correlation_id)?)
    }

    fn assemble<'a>(&'a self, mut broker: BrokerAnswer<'a>) -> Result<Frame, WireError> {
        let flexible = flexible(self.version);
        let mut frame = FrameBuilder::with_capacity(TYPICAL_ANSWER);
        let out = frame.payload();
        out.put_slice(broker.head);
        flexible.put_count(out, self.topics.len());
        for TopicAnswer { topic, partitions } in &self.topics {
            let mut answered = broker.topics.remove(&topic.borrowed()).unwrap_or_default();
            put_topic_key(out, flexible, topic.borrowed());
            flexible.put_count(out, partitions.len());
            for (partition, refusal) in partitions {
                match refusal {
                    Some(refusal) => refusal.put(out, self.version, *partition),
                    None => out.put_slice(answered.take(*partition)?),
                }
            }
            answered.end()?;
            match answered.tagged_fields {
                [] => flexible.put_no_tagged_fields(out),
                tagged_fields => out.put_slice(tagged_fields),
            }
        }
        broker.topics.values().try_for_each(BrokerTopic::end)?;
        out.put_slice(broker.tail);
        frame.finish()
    }
}

impl Refusal {
    /// Brings the record errors into the order that librdkafka relies on, and leaves out text for which there is no room.
    fn presentable(mut self, text_left: &mut usize) -> Self {
        let texts = self.record_errors.iter().map(|error| &error.message).chain(&self.message);
        let length = texts.map(|text| text.len().saturating_add(TEXT_OVERHEAD)).sum();
        match text_left.checked_sub(length) {
            Some(left) => *text_left = left,
            None => (self.message, self.record_errors) = (None, Vec::new()),
        }
        self.record_errors.sort_by_key(|error| error.batch_index);
        self
    }

    fn put(&self, out: &mut BytesMut, version: i16, partition: i32) {
        let flexible = flexible(version);
        out.put_i32(partition);
        out.put_i16(self.code.0);
        out.put_i64(NOWHERE);
        if version >= 2 {
            out.put_i64(NOWHERE);
        }
        if version >= 5 {
            out.put_i64(NOWHERE);
        }
        if version >= 8 {
            flexible.put_count(out, self.record_errors.len());
            for RecordError { batch_index, message } in &self.record_errors {
                out.put_i32(*batch_index);
                flexible.put_text(out, Some(message));
                flexible.put_no_tagged_fields(out);
            }
            flexible.put_text(out, self.message.as_deref());
        }
        flexible.put_no_tagged_fields(out);
    }
}

impl OwnedTopicKey {
    const fn borrowed(&self) -> TopicKey<'_> {
        match self {
            Self::Id(id) => TopicKey::Id(*id),
            Self::Name(name) => TopicKey::Name(name),
        }
    }
}

impl From<TopicKey<'_>> for OwnedTopicKey {
    fn from(topic: TopicKey<'_>) -> Self {
        match topic {
            TopicKey::Id(id) => Self::Id(id),
            TopicKey::Name(name) => Self::Name(name.into()),
        }
    }
}

/// Collects each topic and each partition once, in the order in which they first stand in the request.
#[derive(Debug, Default)]
struct Topics<'a> {
    in_order: Vec<TopicAnswer>,
    topic_positions: HashMap<TopicKey<'a>, usize>,
    partition_positions: HashMap<(usize, i32), usize>,
}

impl<'a> Topics<'a> {
    fn add(&mut self, key: TopicKey<'a>, partition: i32, refusal: Option<Refusal>) {
        let next = self.in_order.len();
        let position = *self.topic_positions.entry(key).or_insert(next);
        if position == next {
            self.in_order.push(TopicAnswer { topic: key.into(), partitions: Vec::new() });
        }
        let Some(topic) = self.in_order.get_mut(position) else { return };
        match self.partition_positions.entry((position, partition)) {
            Entry::Vacant(place) => {
                place.insert(topic.partitions.len());
                topic.partitions.push((partition, refusal));
            }
            Entry::Occupied(place) => {
                if let Some((_, known @ None)) = topic.partitions.get_mut(*place.get()) {
                    *known = refusal;
                }
            }
        }
    }
}

/// A broker's Produce response, taken apart.
#[derive(Debug)]
struct BrokerAnswer<'a> {
    /// Up to the number of topics.
    head: &'a [u8],
    /// What follows the topics: throttle time and tagged fields.
    tail: &'a [u8],
    topics: HashMap<TopicKey<'a>, BrokerTopic<'a>>,
}

#[derive(Debug, Default)]
struct BrokerTopic<'a> {
    partitions: HashMap<i32, &'a [u8]>,
    tagged_fields: &'a [u8],
}

impl<'a> BrokerAnswer<'a> {
    fn parse(payload: &'a [u8], version: i16, expected: i32) -> Result<Self, WireError> {
        let mut fields = Fields::new(payload, WHAT, version, flexible(version));
        let actual = fields.i32()?;
        if actual != expected {
            return Err(WireError::Correlation { actual, expected });
        }
        fields.tagged_fields()?;
        let head = payload.get(..fields.position()).unwrap_or_default();
        let mut topics = HashMap::new();
        for _ in 0..fields.elements()? {
            let key = read_topic_key(&mut fields, version)?;
            let topic: &mut BrokerTopic<'_> = topics.entry(key).or_default();
            topic.read(&mut fields, version)?;
        }
        let tail = fields.rest();
        if version >= 1 {
            fields.skip(THROTTLE_TIME)?;
        }
        fields.tagged_fields()?;
        fields.end()?;
        Ok(Self { head, tail, topics })
    }
}

impl<'a> BrokerTopic<'a> {
    fn read(&mut self, fields: &mut Fields<'a>, version: i16) -> Result<(), WireError> {
        for _ in 0..fields.elements()? {
            let mut partition = 0;
            let bytes = fields.span(|fields| {
                partition = fields.i32()?;
                skip_partition(fields, version)
            })?;
            if self.partitions.insert(partition, bytes).is_some() {
                return Err(WireError::Unasked { partition });
            }
        }
        self.tagged_fields = fields.span(Fields::tagged_fields)?;
        Ok(())
    }

    fn take(&mut self, partition: i32) -> Result<&'a [u8], WireError> {
        self.partitions.remove(&partition).ok_or(WireError::Unanswered { partition })
    }

    /// Fails if anything is left that nobody asked for.
    fn end(&self) -> Result<(), WireError> {
        match self.partitions.keys().min() {
            Some(&partition) => Err(WireError::Unasked { partition }),
            None => Ok(()),
        }
    }
}

/// Passes over the fields of a partition that follow its index.
fn skip_partition(fields: &mut Fields<'_>, version: i16) -> Result<(), WireError> {
    fields.skip(CODE_AND_BASE_OFFSET)?;
    if version >= 2 {
        fields.skip(TIMESTAMP)?;
    }
    if version >= 5 {
        fields.skip(OFFSET)?;
    }
    if version >= 8 {
        for _ in 0..fields.count()? {
            fields.skip(BATCH_INDEX)?;
            fields.nullable_text()?;
            fields.tagged_fields()?;
        }
        fields.nullable_text()?;
    }
    fields.tagged_fields()
}

fn put_topic_key(out: &mut BytesMut, flexible: Flexible, topic: TopicKey<'_>) {
    match topic {
        TopicKey::Id(TopicId(id)) => out.put_slice(&id),
        TopicKey::Name(name) => flexible.put_text(out, Some(name)),
    }
}

const WHAT: &str = "Produce response";
/// Room for the answer to one batch, in bytes.
const TYPICAL_ANSWER: usize = 512;
/// Bytes that a text costs beside its own.
const TEXT_OVERHEAD: usize = 16;
/// Throttle time of an answer that no broker had a say in.
const NOT_THROTTLED: i32 = 0;
/// Offset and time of what was not stored.
const NOWHERE: i64 = -1;

// Sizes of fields, in bytes.
const CODE_AND_BASE_OFFSET: usize = 10;
const TIMESTAMP: usize = 8;
const OFFSET: usize = 8;
const BATCH_INDEX: usize = 4;
const THROTTLE_TIME: usize = 4;
