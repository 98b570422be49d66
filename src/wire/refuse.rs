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
pub const MAX_ANSWER_TEXT: usize = MIB;

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

impl Refusal {
    /// For a partition that nobody decided: what was not judged does not go on.
    #[must_use]
    pub const fn undecided() -> Self {
        Self { code: ErrorCode::INVALID_REQUEST, message: None, record_errors: Vec::new() }
    }
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

    /// About how many bytes this takes while it waits for the broker's answer.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let partition = |(_, refusal): &(i32, Option<Refusal>)| {
            let text = refusal.as_ref().map_or(0, Refusal::text_bytes);
            size_of::<(i32, Option<Refusal>)>().saturating_add(text)
        };
        let topic = |topic: &TopicAnswer| {
            let partitions: usize = topic.partitions.iter().map(partition).sum();
            size_of::<TopicAnswer>().saturating_add(partitions)
        };
        self.topics.iter().map(topic).sum()
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
    fn text_bytes(&self) -> usize {
        let texts = self.record_errors.iter().map(|error| &error.message).chain(&self.message);
        texts.map(|text| text.len().saturating_add(TEXT_OVERHEAD)).sum()
    }

    /// Brings the record errors into the order that librdkafka relies on, and leaves out text for which there is no room.
    #[must_use]
    pub fn presentable(mut self, text_left: &mut usize) -> Self {
        match text_left.checked_sub(self.text_bytes()) {
            Some(left) => *text_left = left,
            None => (self.message, self.record_errors) = (None, Vec::new()),
        }
        self.record_errors.sort_by_key(|error| error.batch_index);
        self
    }

    /// Adds `text` to each message that there is, as far as there is room: a client shows one of them.
    pub fn add(&mut self, text: &str, text_left: &mut usize) {
        let messages = self.record_errors.iter_mut().map(|error| &mut error.message);
        for message in self.message.iter_mut().chain(messages) {
            let Some(left) = text_left.checked_sub(text.len()) else { return };
            *text_left = left;
            message.push_str(text);
        }
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
/// Bytes that a text costs beside its own, in memory.
const TEXT_OVERHEAD: usize = 40;
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::produce_response::{
        BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
        TopicProduceResponse,
    };
    use kafka_protocol::messages::{ProduceResponse as Oracle, ResponseHeader};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::produce::tests::{Sample, sample, tags, text};

    fn encode(version: i16, header: &ResponseHeader, body: &Oracle) -> Frame {
        let mut payload = BytesMut::new();
        header.encode(&mut payload, i16::from(version >= 9)).unwrap();
        body.encode(&mut payload, version).unwrap();
        Frame::build(&payload).unwrap()
    }

    fn decode(version: i16, frame: &Frame) -> (ResponseHeader, Oracle) {
        let mut payload = Bytes::copy_from_slice(frame.payload());
        let header = ResponseHeader::decode(&mut payload, i16::from(version >= 9)).unwrap();
        let body = Oracle::decode(&mut payload, version).unwrap();
        assert!(payload.is_empty());
        (header, body)
    }

    /// A request in which each topic and partition stands once, and no topic is without partitions.
    fn distinct_sample() -> impl Strategy<Value = Sample> {
        sample().prop_map(|mut sample| {
            let topics = &mut sample.body.topic_data;
            topics.retain(|topic| !topic.partition_data.is_empty());
            for (position, topic) in topics.iter_mut().enumerate() {
                topic.name = StrBytes::from_string(format!("{position}{}", &*topic.name)).into();
                if sample.version >= 13 {
                    topic.topic_id = format!("{:032x}", position + 1).parse().unwrap();
                    topic.name = StrBytes::default().into();
                }
                for (index, partition) in topic.partition_data.iter_mut().enumerate() {
                    partition.index = i32::try_from(10 - index).unwrap();
                }
            }
            sample
        })
    }

    fn refusal() -> impl Strategy<Value = Refusal> {
        let record_error = (any::<i32>(), "[a-zé ]{0,200}")
            .prop_map(|(batch_index, message)| RecordError { batch_index, message });
        (any::<i16>(), proptest::option::of("[a-zé ]{0,200}"), vec(record_error, 0..4)).prop_map(
            |(code, message, record_errors)| Refusal {
                code: ErrorCode(code),
                message,
                record_errors,
            },
        )
    }

    /// What the oracle says that a refused partition looks like.
    fn refused(version: i16, index: i32, refusal: &Refusal) -> PartitionProduceResponse {
        let partition = PartitionProduceResponse::default()
            .with_index(index)
            .with_error_code(refusal.code.0)
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1);
        if version < 8 {
            return partition;
        }
        let mut record_errors = refusal.record_errors.clone();
        record_errors.sort_by_key(|error| error.batch_index);
        partition
            .with_error_message(refusal.message.clone().map(StrBytes::from_string))
            .with_record_errors(record_errors.into_iter().map(record_error).collect())
    }

    fn record_error(error: RecordError) -> BatchIndexAndErrorMessage {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(error.batch_index)
            .with_batch_index_error_message(Some(StrBytes::from_string(error.message)))
    }

    /// What a broker may say about one partition.
    fn stored(version: i16) -> impl Strategy<Value = PartitionProduceResponse> {
        let numbers = (any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i32>());
        (numbers, vec(any::<i32>(), 0..3), proptest::option::of(text()), tags(version)).prop_map(
            move |((code, offset, time, start, leader), errors, message, tags)| {
                let mut partition = PartitionProduceResponse::default()
                    .with_error_code(code)
                    .with_base_offset(offset)
                    .with_log_append_time_ms(time)
                    .with_unknown_tagged_fields(tags);
                if version >= 5 {
                    partition.log_start_offset = start;
                }
                if version >= 8 {
                    let error = |index| RecordError { batch_index: index, message: "x".into() };
                    partition.record_errors =
                        errors.into_iter().map(|index| record_error(error(index))).collect();
                    partition.error_message = message;
                }
                if version >= 10 {
                    partition.current_leader =
                        LeaderIdAndEpoch::default().with_leader_id(leader.into());
                }
                partition
            },
        )
    }

    /// A request, what is refused of it, and what the broker says about the rest: header, partitions one after the
    /// other, tagged fields of a topic, and the end.
    #[derive(Debug, Clone)]
    struct Case {
        sample: Sample,
        refusals: Vec<Option<Refusal>>,
        header: ResponseHeader,
        stored: Vec<PartitionProduceResponse>,
        topic_tags: std::collections::BTreeMap<i32, Bytes>,
        end: Oracle,
        reversed: bool,
    }

    fn case() -> impl Strategy<Value = Case> {
        distinct_sample().prop_flat_map(|sample| {
            let version = sample.version;
            let refusals = vec(proptest::option::of(refusal()), 12);
            let end = (any::<i32>(), text(), tags(version));
            let broker = (tags(version), vec(stored(version), 12), tags(version), end);
            (refusals, broker, any::<bool>()).prop_map(move |(refusals, broker, reversed)| {
                let (header_tags, stored, topic_tags, (throttle, host, end_tags)) = broker;
                let mut end = Oracle::default()
                    .with_throttle_time_ms(throttle)
                    .with_unknown_tagged_fields(end_tags);
                if version >= 10 {
                    end.node_endpoints.push(NodeEndpoint::default().with_host(host));
                }
                let header = ResponseHeader::default()
                    .with_correlation_id(sample.header.correlation_id)
                    .with_unknown_tagged_fields(header_tags);
                let sample = sample.clone();
                Case { sample, refusals, header, stored, topic_tags, end, reversed }
            })
        })
    }

    impl Case {
        fn refusal(&self, topic: usize, partition: usize) -> Option<Refusal> {
            self.refusals[topic * 3 + partition].clone()
        }

        fn shape(&self) -> AnswerShape {
            let frame = self.sample.frame();
            let request = ProduceRequest::parse(&frame).unwrap();
            AnswerShape::of(&request, |topic, partition| self.refusal(topic, partition))
        }

        /// Each topic of the request with those of its partitions that `answer` gives an answer for.
        fn topics(
            &self,
            answer: impl Fn(usize, usize, i32) -> Option<PartitionProduceResponse>,
        ) -> Vec<TopicProduceResponse> {
            let requested = self.sample.body.topic_data.iter().enumerate();
            let topics = requested.map(|(position, topic)| {
                let partitions = topic.partition_data.iter().enumerate();
                let forwarded =
                    partitions.clone().any(|(it, _)| self.refusal(position, it).is_none());
                let answers =
                    partitions.filter_map(|(it, asked)| answer(position, it, asked.index));
                TopicProduceResponse::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partition_responses(answers.collect())
                    .with_unknown_tagged_fields(if forwarded {
                        self.topic_tags.clone()
                    } else {
                        Default::default()
                    })
            });
            topics.filter(|topic| !topic.partition_responses.is_empty()).collect()
        }

        fn broker_says(
            &self,
            topic: usize,
            partition: usize,
            index: i32,
        ) -> PartitionProduceResponse {
            self.stored[topic * 3 + partition].clone().with_index(index)
        }

        /// The broker's answer to what was forwarded, in its own order.
        fn broker(&self) -> Oracle {
            let mut topics = self.topics(|topic, partition, index| {
                let forwarded = self.refusal(topic, partition).is_none();
                forwarded.then(|| self.broker_says(topic, partition, index))
            });
            if self.reversed {
                topics.reverse();
                topics.iter_mut().for_each(|topic| topic.partition_responses.reverse());
            }
            self.end.clone().with_responses(topics)
        }

        fn expected(&self) -> Oracle {
            let version = self.sample.version;
            let topics = self.topics(|topic, partition, index| {
                Some(match self.refusal(topic, partition) {
                    Some(refusal) => refused(version, index, &refusal),
                    None => self.broker_says(topic, partition, index),
                })
            });
            self.end.clone().with_responses(topics)
        }
    }

    proptest! {
        #[test]
        fn a_merged_answer_is_what_an_encoder_makes_of_both_halves(case in case()) {
            let version = case.sample.version;
            let broker = encode(version, &case.header, &case.broker());
            let merged = case.shape().merge(&broker).unwrap();
            prop_assert_eq!(decode(version, &merged), (case.header.clone(), case.expected()));
            prop_assert_eq!(merged, encode(version, &case.header, &case.expected()));
        }

        #[test]
        fn a_local_answer_is_what_an_encoder_makes_of_the_refusals(
            mut case in case(),
            refusals in vec(refusal().prop_map(Some), 12),
        ) {
            case.refusals = refusals;
            let version = case.sample.version;
            let local = case.shape().local().unwrap();
            let header = ResponseHeader::default().with_correlation_id(case.header.correlation_id);
            let expected = Oracle::default().with_responses(case.expected().responses);
            prop_assert_eq!(decode(version, &local), (header, expected));
        }

        #[test]
        fn a_broker_that_answers_other_partitions_is_an_error(case in case(), extra: bool) {
            let mut body = case.broker();
            let Some(partitions) = body.responses.first_mut().map(|it| &mut it.partition_responses)
            else { return Ok(()) };
            let partition = partitions[0].index;
            let expected = if extra {
                partitions.push(partitions[0].clone());
                WireError::Unasked { partition }
            } else {
                partitions.remove(0);
                WireError::Unanswered { partition }
            };
            let broker = encode(case.sample.version, &case.header, &body);
            prop_assert_eq!(case.shape().merge(&broker), Err(expected));
        }

        #[test]
        fn a_broker_that_answers_what_was_refused_is_an_error(case in case()) {
            let broker = encode(case.sample.version, &case.header, &case.expected());
            let refused_any = case.broker() != case.expected() && !case.reversed;
            let error = case.shape().merge(&broker).err();
            if refused_any {
                prop_assert!(matches!(error, Some(WireError::Unasked { .. })), "{:?}", error);
            }
        }

        #[test]
        fn an_answer_cut_anywhere_is_an_error(case in case()) {
            let shape = case.shape();
            let broker = encode(case.sample.version, &case.header, &case.broker());
            for end in 0..broker.payload().len() {
                let cut = Frame::build(&broker.payload()[..end]).unwrap();
                prop_assert!(shape.merge(&cut).is_err(), "cut at {}", end);
            }
            let longer = Frame::build(&[broker.payload(), &[0]].concat()).unwrap();
            let trailing = matches!(shape.merge(&longer), Err(WireError::TrailingBytes { left: 1, .. }));
            prop_assert!(trailing);
        }

        #[test]
        fn arbitrary_answers_never_panic(
            version in 0..=13_i16,
            tail in vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..120),
        ) {
            let shape = AnswerShape { version, correlation_id: 0, topics: Vec::new() };
            let broker = Frame::build(&[&[0; 4][..], &tail].concat()).unwrap();
            let allocated = allocation_counter::measure(|| {
                let _ = shape.merge(&broker);
            });
            prop_assert!(allocated.bytes_max <= 4_096 + 100 * u64::try_from(tail.len()).unwrap());
        }
    }

    fn old_shape(version: i16) -> AnswerShape {
        let refusal = Refusal {
            code: ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            message: Some("unsupported_format".into()),
            record_errors: Vec::new(),
        };
        let partitions = vec![(4, Some(refusal)), (3, None)];
        let topics = vec![TopicAnswer { topic: OwnedTopicKey::Name("t".into()), partitions }];
        AnswerShape { version, correlation_id: 7, topics }
    }

    /// An answer of v0 to v2: partitions of topic `t` with their code and the value of their 64-bit fields.
    fn old_answer(version: i16, partitions: &[(u8, u8, i64)], throttle: u8) -> Frame {
        let mut payload = vec![0, 0, 0, 7, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0];
        payload.push(u8::try_from(partitions.len()).unwrap());
        for (index, code, value) in partitions {
            payload.extend([0, 0, 0, *index, 0, *code]);
            payload.extend(value.to_be_bytes());
            if version >= 2 {
                payload.extend(value.to_be_bytes());
            }
        }
        if version >= 1 {
            payload.extend([0, 0, 0, throttle]);
        }
        Frame::build(&payload).unwrap()
    }

    #[test]
    fn the_versions_before_3_have_fewer_fields() {
        for version in 0..=2 {
            let mut shape = old_shape(version);
            let broker = old_answer(version, &[(3, 0, 99)], 5);
            let merged = old_answer(version, &[(4, 43, -1), (3, 0, 99)], 5);
            assert_eq!(shape.merge(&broker), Ok(merged));
            assert_eq!(shape.local(), Err(WireError::Unanswered { partition: 3 }));
            shape.topics[0].partitions.pop();
            assert_eq!(shape.local(), Ok(old_answer(version, &[(4, 43, -1)], 0)));
        }
    }

    #[test]
    fn an_answer_to_another_request_is_an_error() {
        let mut payload = old_answer(2, &[(3, 0, 99)], 5).payload().to_vec();
        payload[3] = 8;
        let broker = Frame::build(&payload).unwrap();
        let error = WireError::Correlation { actual: 8, expected: 7 };
        assert_eq!(old_shape(2).merge(&broker), Err(error));
    }

    /// A request of v3 whose topics, each with partitions, have no records.
    fn request(topics: &[(&str, &[i32])]) -> Frame {
        let mut payload = vec![0, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0];
        payload.put_i32(i32::try_from(topics.len()).unwrap());
        for (name, partitions) in topics {
            Flexible(false).put_text(&mut payload, Some(name));
            payload.put_i32(i32::try_from(partitions.len()).unwrap());
            for partition in *partitions {
                payload.put_i32(*partition);
                payload.put_i32(-1);
            }
        }
        Frame::build(&payload).unwrap()
    }

    fn coded(code: i16) -> Refusal {
        Refusal { code: ErrorCode(code), message: None, record_errors: Vec::new() }
    }

    #[test]
    fn what_stands_twice_is_answered_once_and_what_is_empty_not_at_all() {
        let frame = request(&[("b", &[1, 0, 1]), ("empty", &[]), ("a", &[0]), ("b", &[0, 2])]);
        let request = ProduceRequest::parse(&frame).unwrap();
        let mut code = 0;
        let mut asked = Vec::new();
        let shape = AnswerShape::of(&request, |topic, partition| {
            asked.push((topic, partition));
            code += 1;
            (code != 1).then(|| coded(code))
        });
        assert_eq!(asked, [(0, 0), (0, 1), (0, 2), (2, 0), (3, 0), (3, 1)]);
        let (_, local) = decode(3, &shape.local().unwrap());
        let answers: Vec<_> = local
            .responses
            .iter()
            .map(|topic| {
                let partitions = topic.partition_responses.iter();
                (&*topic.name.0, partitions.map(|it| (it.index, it.error_code)).collect())
            })
            .collect::<Vec<(&str, Vec<_>)>>();
        assert_eq!(answers, [("b", vec![(1, 3), (0, 2), (2, 6)]), ("a", vec![(0, 4)])]);
    }

    #[test]
    fn past_the_bound_refusals_keep_their_code_and_lose_their_text() {
        let frame = request(&[("t", &[0, 1, 2])]);
        let request = ProduceRequest::parse(&frame).unwrap();
        let shape = AnswerShape::of(&request, |_, partition| {
            let message = "x".repeat(if partition == 1 { MAX_ANSWER_TEXT } else { 100 });
            let record_errors = vec![RecordError { batch_index: 0, message }];
            Some(Refusal { message: Some("y".into()), record_errors, ..coded(87) })
        });
        let refusals = shape.topics[0].partitions.iter().flat_map(|(_, refusal)| refusal);
        let kept: Vec<_> =
            refusals.map(|it| (it.code.0, it.message.is_some(), it.record_errors.len())).collect();
        assert_eq!(kept, [(87, true, 1), (87, false, 0), (87, true, 1)]);
    }

    #[test]
    fn text_longer_than_the_protocol_allows_is_cut_between_characters() {
        for (version, header) in [(8, 2), (9, 3)] {
            let mut out = BytesMut::new();
            let long = "x".repeat(32_766) + "é";
            flexible(version).put_text(&mut out, Some(&long));
            assert_eq!(out.len(), header + 32_766);
            assert_eq!(&out[header..], "x".repeat(32_766).as_bytes());
        }
    }
}
