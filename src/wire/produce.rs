//! Reads Produce requests, v0 to v13, and rebuilds them without the partitions that must not go on.
//!
//! v0 to v2 have no transactional id; v9 is flexible, the request header too; v13 has topic ids in place of names.
//! A broker takes v3 and later only; the older ones are read in order to be refused partition by partition.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::api::{self, ApiKey};
use super::fields::{Fields, Flexible};
use super::frame::Frame;
use super::prefix::RequestPrefix;
use super::{TopicId, TopicKey, WireError};

/// A Produce request, borrowed from its frame.
#[derive(Debug)]
pub struct ProduceRequest<'a> {
    /// Api version, 0 to 13.
    pub version: i16,
    /// What the response has to carry.
    pub correlation_id: i32,
    /// What the client calls itself; `None` also if that is not UTF-8, which brokers take.
    pub client_id: Option<&'a str>,
    /// The transactional id; `None` also if it is not UTF-8, which brokers take.
    pub transactional_id: Option<&'a str>,
    /// Acknowledgements asked for. With 0 there is no response.
    pub acks: i16,
    /// The topics in the order of the request. One topic may stand here twice, and so may one partition.
    pub topics: Vec<TopicProduce<'a>>,
    frame: &'a Frame,
    /// Where the number of topics stands.
    count_at: Range<usize>,
}

/// One topic of a Produce request.
#[derive(Debug)]
pub struct TopicProduce<'a> {
    /// Its name or id.
    pub topic: TopicKey<'a>,
    /// Its partitions in the order of the request.
    pub partitions: Vec<PartitionProduce<'a>>,
    /// Where the topic stands.
    at: Range<usize>,
    /// Where the number of its partitions stands.
    count_at: Range<usize>,
}

/// One partition of a Produce request.
#[derive(Debug)]
pub struct PartitionProduce<'a> {
    /// Its index.
    pub index: i32,
    /// What is to be stored: one record batch, if all is well.
    pub record_set: Option<&'a [u8]>,
    /// Where the partition stands.
    at: Range<usize>,
}

impl<'a> ProduceRequest<'a> {
    /// Reads a whole Produce request.
    ///
    /// Memory grows with the elements that are there, up to 20,000 topics and partitions.
    ///
    /// # Errors
    /// Any [`WireError`] that a broker would close the connection for; more elements than are taken; a topic name that
    /// is not UTF-8, which no broker has.
    pub fn parse(frame: &'a Frame) -> Result<Self, WireError> {
        let RequestPrefix { api_version: version, correlation_id, .. } = check_prefix(frame)?;
        // From the front of the frame, so that positions are those of the frame.
        let mut fields = Fields::new(frame.bytes(), WHAT, version, flexible(version));
        fields.skip(SIZE_AND_PREFIX)?;
        let client_id = fields.client_id()?.and_then(utf8);
        fields.tagged_fields()?;
        let transactional_id = match version {
            3.. => fields.nullable_text()?.and_then(utf8),
            _ => None,
        };
        let acks = fields.i16()?;
        fields.skip(TIMEOUT)?;
        let (topics, count_at) = read_elements(&mut fields, |fields| read_topic(fields, version))?;
        fields.tagged_fields()?;
        fields.end()?;
        #[rustfmt::skip]
        let request = Self { version, correlation_id, client_id, transactional_id, acks, topics, frame, count_at };
        Ok(request)
    }

    /// The record set of the partition at these positions, if there is one.
    #[must_use]
    pub fn record_set(&self, topic: usize, partition: usize) -> Option<&'a [u8]> {
        self.topics.get(topic)?.partitions.get(partition)?.record_set
    }

    /// The request with only those partitions for which `keep` says so, given the positions of topic and partition; it
    /// is asked once for each, in order. Topics that lose all their partitions vanish.
    ///
    /// The pieces begin with the size and are to be written one after the other. All that stays is shared with the frame
    /// and byte-identical to what came: header, client id, tagged fields of every level, record sets.
    #[must_use]
    pub fn without(&self, mut keep: impl FnMut(usize, usize) -> bool) -> Vec<Bytes> {
        let mut topics = Pieces::new(self.frame.bytes(), self.version);
        let mut kept_topics = Kept { before: self.topics.len(), after: 0 };
        let mut dropped = false;
        for (position, topic) in self.topics.iter().enumerate() {
            let kept = topic.kept(|partition| keep(position, partition));
            dropped |= kept.len() < topic.partitions.len();
            if !kept.is_empty() || topic.partitions.is_empty() {
                kept_topics.after = kept_topics.after.saturating_add(1);
                topic.write(&kept, &mut topics);
            }
        }
        if !dropped {
            return vec![self.frame.bytes().clone()];
        }
        let topics_end = self.topics.last().map_or(self.count_at.end, |last| last.at.end);
        topics.raw(topics_end..self.frame.bytes().len());
        let mut head = Pieces::new(self.frame.bytes(), self.version);
        head.raw(SIZE..self.count_at.start);
        head.count(kept_topics, &self.count_at);
        with_size(head.finish().into_iter().chain(topics.finish()).collect())
    }
}

impl<'a> TopicProduce<'a> {
    fn kept(&self, mut keep: impl FnMut(usize) -> bool) -> Vec<&PartitionProduce<'a>> {
        let partitions = self.partitions.iter().enumerate();
        partitions.filter(|(position, _)| keep(*position)).map(|(_, kept)| kept).collect()
    }

    fn write(&self, kept: &[&PartitionProduce<'_>], out: &mut Pieces<'_>) {
        out.raw(self.at.start..self.count_at.start);
        out.count(Kept { before: self.partitions.len(), after: kept.len() }, &self.count_at);
        for partition in kept {
            out.raw(partition.at.clone());
        }
        let partitions_end = self.partitions.last().map_or(self.count_at.end, |last| last.at.end);
        out.raw(partitions_end..self.at.end);
    }
}

/// How many elements an array had and has.
#[derive(Debug, Clone, Copy)]
struct Kept {
    before: usize,
    after: usize,
}

/// Puts a request together from ranges of its old frame and new counts.
#[derive(Debug)]
struct Pieces<'f> {
    frame: &'f Bytes,
    flexible: Flexible,
    done: Vec<Bytes>,
    /// A range that is still growing.
    pending: Range<usize>,
    counts: BytesMut,
}

impl<'f> Pieces<'f> {
    fn new(frame: &'f Bytes, version: i16) -> Self {
        let (done, counts) = (Vec::new(), BytesMut::new());
        Self { frame, flexible: flexible(version), done, pending: 0..0, counts }
    }

    /// Appends a range of the frame. Neighbours become one piece.
    fn raw(&mut self, range: Range<usize>) {
        if range.start == self.pending.end {
            self.pending.end = range.end;
        } else {
            self.flush();
            self.pending = range;
        }
    }

    /// Appends a count, as it was written if it did not change.
    fn count(&mut self, kept: Kept, old: &Range<usize>) {
        if kept.before == kept.after {
            return self.raw(old.clone());
        }
        self.flush();
        self.flexible.put_count(&mut self.counts, kept.after);
        self.done.push(self.counts.split().freeze());
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            // Ranges were read from this very frame, so they lie within it.
            self.done.push(self.frame.slice(self.pending.clone()));
        }
        self.pending = 0..0;
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.done
    }
}

/// Puts the size in front. It fits: what was left out only ever makes a request shorter.
fn with_size(pieces: Vec<Bytes>) -> Vec<Bytes> {
    let size: usize = pieces.iter().map(Bytes::len).sum();
    let size = i32::try_from(size).unwrap_or(i32::MAX).to_be_bytes();
    std::iter::once(Bytes::copy_from_slice(&size)).chain(pieces).collect()
}

fn check_prefix(frame: &Frame) -> Result<RequestPrefix, WireError> {
    let prefix = RequestPrefix::parse(frame)?;
    if ApiKey(prefix.api_key) != ApiKey::PRODUCE {
        return Err(WireError::NotProduce { api_key: prefix.api_key });
    }
    api::check_offered(&prefix)?;
    Ok(prefix)
}

fn read_topic<'a>(fields: &mut Fields<'a>, version: i16) -> Result<TopicProduce<'a>, WireError> {
    let start = fields.position();
    let topic = read_topic_key(fields, version)?;
    let (partitions, count_at) = read_elements(fields, read_partition)?;
    fields.tagged_fields()?;
    Ok(TopicProduce { topic, partitions, at: start..fields.position(), count_at })
}

fn read_partition<'a>(fields: &mut Fields<'a>) -> Result<PartitionProduce<'a>, WireError> {
    let start = fields.position();
    let index = fields.i32()?;
    let record_set = fields.nullable_bytes()?;
    fields.tagged_fields()?;
    Ok(PartitionProduce { index, record_set, at: start..fields.position() })
}

/// Reads an array of topics or partitions, and where its length stands.
fn read_elements<'a, T>(
    fields: &mut Fields<'a>,
    mut read: impl FnMut(&mut Fields<'a>) -> Result<T, WireError>,
) -> Result<(Vec<T>, Range<usize>), WireError> {
    let start = fields.position();
    let count = fields.elements()?;
    let count_at = start..fields.position();
    // Not reserved: a count is only a claim. Collecting into a `Result` reserves nothing either.
    let elements = (0..count).map(|_| read(fields)).collect::<Result<_, _>>()?;
    Ok((elements, count_at))
}

/// Reads how a Produce message of `version` names a topic.
pub(super) fn read_topic_key<'a>(
    fields: &mut Fields<'a>,
    version: i16,
) -> Result<TopicKey<'a>, WireError> {
    match version {
        13.. => fields.array().map(|id| TopicKey::Id(TopicId(id))),
        _ => fields.text().map(TopicKey::Name),
    }
}

/// Which layout Produce messages of `version` have, and their headers too.
pub(super) const fn flexible(version: i16) -> Flexible {
    Flexible(version >= 9)
}

fn utf8(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

const WHAT: &str = "Produce request";
/// Bytes of the frame's size.
const SIZE: usize = 4;
/// Bytes of the frame's size, api key, api version and correlation id.
const SIZE_AND_PREFIX: usize = 12;
/// Bytes of the timeout, which is none of our business.
const TIMEOUT: usize = 4;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may panic")]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ProduceRequest as Oracle, RequestHeader, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// What the oracle encodes.
    #[derive(Debug, Clone)]
    pub(crate) struct Sample {
        pub(crate) version: i16,
        pub(crate) header: RequestHeader,
        pub(crate) body: Oracle,
    }

    impl Sample {
        pub(crate) fn frame(&self) -> Frame {
            let mut payload = BytesMut::new();
            self.header.encode(&mut payload, header_version(self.version)).unwrap();
            self.body.encode(&mut payload, self.version).unwrap();
            Frame::build(&payload).unwrap()
        }
    }

    const fn header_version(version: i16) -> i16 {
        if version >= 9 { 2 } else { 1 }
    }

    pub(crate) fn tags(version: i16) -> BoxedStrategy<BTreeMap<i32, Bytes>> {
        let most = if version >= 9 { 3 } else { 1 };
        btree_map(1..400_i32, vec(any::<u8>(), 0..40).prop_map(Bytes::from), 0..most).boxed()
    }

    pub(crate) fn text() -> impl Strategy<Value = StrBytes> {
        "[a-zé]{0,140}".prop_map(StrBytes::from_string)
    }

    fn partition(version: i16) -> impl Strategy<Value = PartitionProduceData> {
        let records = proptest::option::of(vec(any::<u8>(), 0..300).prop_map(Bytes::from));
        (any::<i32>(), records, tags(version)).prop_map(|(index, records, tags)| {
            PartitionProduceData::default()
                .with_index(index)
                .with_records(records)
                .with_unknown_tagged_fields(tags)
        })
    }

    fn topic(version: i16) -> impl Strategy<Value = TopicProduceData> {
        let partitions = vec(partition(version), 0..4);
        (text(), any::<u128>(), partitions, tags(version)).prop_map(
            move |(name, id, partitions, tags)| {
                let topic = TopicProduceData::default()
                    .with_partition_data(partitions)
                    .with_unknown_tagged_fields(tags);
                if version >= 13 {
                    topic.with_topic_id(format!("{id:032x}").parse().unwrap())
                } else {
                    topic.with_name(TopicName(name))
                }
            },
        )
    }

    pub(crate) fn sample() -> impl Strategy<Value = Sample> {
        (3..=13_i16).prop_flat_map(|version| {
            let head = (any::<i32>(), proptest::option::of(text()), tags(version));
            let body = (proptest::option::of(text()), any::<i16>(), any::<i32>(), tags(version));
            (head, body, vec(topic(version), 0..4)).prop_map(move |(head, body, topics)| Sample {
                version,
                header: RequestHeader::default()
                    .with_request_api_key(0)
                    .with_request_api_version(version)
                    .with_correlation_id(head.0)
                    .with_client_id(head.1)
                    .with_unknown_tagged_fields(head.2),
                body: Oracle::default()
                    .with_transactional_id(body.0.map(Into::into))
                    .with_acks(body.1)
                    .with_timeout_ms(body.2)
                    .with_topic_data(topics)
                    .with_unknown_tagged_fields(body.3),
            })
        })
    }

    pub(crate) fn join(pieces: &[Bytes]) -> Frame {
        Frame::from_bytes(pieces.concat().into()).unwrap()
    }

    /// A request of the oldest layouts, and the versions that have it.
    fn old_request(version: i16, topics: &[u8]) -> Frame {
        let mut payload = vec![0, 0];
        payload.extend(version.to_be_bytes());
        payload.extend([0, 0, 0, 7, 0, 2, b'm', b'e']);
        if version >= 3 {
            payload.extend([0xff, 0xff]);
        }
        payload.extend([0xff, 0xff, 0, 0, 0x75, 0x30]);
        payload.extend(topics);
        Frame::build(&payload).unwrap()
    }

    fn flexible_request(tail: &[u8]) -> Frame {
        let mut payload = vec![0, 0, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0];
        payload.extend(tail);
        Frame::build(&payload).unwrap()
    }

    fn keep_some(choices: &[bool]) -> impl FnMut(usize, usize) -> bool {
        |topic, partition| choices[(topic * 5 + partition) % choices.len()]
    }

    proptest! {
        #[test]
        fn a_request_means_what_its_encoder_meant(sample in sample()) {
            let frame = sample.frame();
            let request = ProduceRequest::parse(&frame).unwrap();
            prop_assert_eq!(request.version, sample.version);
            prop_assert_eq!(request.correlation_id, sample.header.correlation_id);
            prop_assert_eq!(request.client_id, sample.header.client_id.as_deref());
            let transactional_id = sample.body.transactional_id.as_ref().map(|it| &***it);
            prop_assert_eq!(request.transactional_id, transactional_id);
            prop_assert_eq!(request.acks, sample.body.acks);
            prop_assert_eq!(request.topics.len(), sample.body.topic_data.len());
            for (topic, expected) in request.topics.iter().zip(&sample.body.topic_data) {
                let key = match sample.version {
                    13 => TopicKey::Id(TopicId(*expected.topic_id.as_bytes())),
                    _ => TopicKey::Name(&expected.name),
                };
                prop_assert_eq!(topic.topic, key);
                let partitions: Vec<_> =
                    topic.partitions.iter().map(|it| (it.index, it.record_set)).collect();
                let expected: Vec<_> =
                    expected.partition_data.iter().map(|it| (it.index, it.records.as_deref())).collect();
                prop_assert_eq!(partitions, expected);
            }
        }

        #[test]
        fn a_request_of_which_everything_is_kept_goes_on_as_it_came(sample in sample()) {
            let frame = sample.frame();
            let request = ProduceRequest::parse(&frame).unwrap();
            let pieces = request.without(|_, _| true);
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(pieces[0].as_ptr(), frame.bytes().as_ptr());
            prop_assert_eq!(&pieces[0], frame.bytes());
        }

        #[test]
        fn a_request_without_some_partitions_is_what_an_encoder_makes_of_the_rest(
            sample in sample(),
            choices in vec(any::<bool>(), 1..20),
        ) {
            let frame = sample.frame();
            let request = ProduceRequest::parse(&frame).unwrap();
            let mut keep = keep_some(&choices);
            let mut rest = sample.clone();
            let topics = std::mem::take(&mut rest.body.topic_data);
            for (position, mut topic) in topics.into_iter().enumerate() {
                let partitions = std::mem::take(&mut topic.partition_data);
                let had_any = !partitions.is_empty();
                let kept = partitions.into_iter().enumerate().filter(|(it, _)| keep(position, *it));
                topic.partition_data = kept.map(|(_, kept)| kept).collect();
                if !had_any || !topic.partition_data.is_empty() {
                    rest.body.topic_data.push(topic);
                }
            }
            let trimmed = join(&request.without(keep_some(&choices)));
            let expected = rest.frame();
            prop_assert_eq!(&trimmed, &expected);

            let mut payload = Bytes::copy_from_slice(trimmed.payload());
            let header = RequestHeader::decode(&mut payload, header_version(sample.version));
            prop_assert_eq!(header.unwrap(), rest.header);
            prop_assert_eq!(Oracle::decode(&mut payload, sample.version).unwrap(), rest.body);
            prop_assert!(payload.is_empty());
        }

        #[test]
        fn record_sets_that_go_on_are_not_copied(
            sample in sample(),
            choices in vec(any::<bool>(), 1..20),
        ) {
            let frame = sample.frame();
            let request = ProduceRequest::parse(&frame).unwrap();
            let pieces = request.without(keep_some(&choices));
            let mut keep = keep_some(&choices);
            for (position, topic) in request.topics.iter().enumerate() {
                for (partition_position, partition) in topic.partitions.iter().enumerate() {
                    let Some(records) = partition.record_set.filter(|it| !it.is_empty()) else { continue };
                    let shared = pieces.iter().any(|it| it.as_ptr_range().contains(&records.as_ptr()));
                    prop_assert_eq!(shared, keep(position, partition_position));
                }
            }
        }

        #[test]
        fn a_request_cut_anywhere_is_an_error(sample in sample(), extra: u8) {
            let frame = sample.frame();
            for end in 0..frame.payload().len() {
                let cut = Frame::build(&frame.payload()[..end]).unwrap();
                prop_assert!(ProduceRequest::parse(&cut).is_err(), "cut at {}", end);
            }
            let mut longer = frame.payload().to_vec();
            longer.push(extra);
            let longer = Frame::build(&longer).unwrap();
            let (what, version) = ("Produce request", sample.version);
            prop_assert_eq!(
                ProduceRequest::parse(&longer).err(),
                Some(WireError::TrailingBytes { what, version, left: 1 })
            );
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_what_parses_can_be_rebuilt(
            version in -1..15_i16,
            tail in vec(prop_oneof![Just(0_u8), Just(1), Just(2), any::<u8>()], 0..120),
        ) {
            let mut payload = vec![0, 0];
            payload.extend(version.to_be_bytes());
            payload.extend([0; 4]);
            payload.extend(tail);
            let frame = Frame::build(&payload).unwrap();
            let mut rebuilt = None;
            let allocated = allocation_counter::measure(|| {
                rebuilt = ProduceRequest::parse(&frame).ok().map(|it| it.without(|_, _| false));
            });
            prop_assert!(allocated.bytes_max <= 4_096 + 100 * u64::try_from(payload.len()).unwrap());
            if let Some(pieces) = rebuilt {
                let rebuilt = join(&pieces);
                let request = ProduceRequest::parse(&rebuilt).unwrap();
                prop_assert!(request.topics.iter().all(|topic| topic.partitions.is_empty()));
                prop_assert!(rebuilt.bytes().len() <= frame.bytes().len());
            }
        }
    }

    #[test]
    fn the_versions_before_3_have_no_transactional_id() {
        #[rustfmt::skip]
        let topics = [
            0, 0, 0, 1, // topics
            0, 1, b't', 0, 0, 0, 2, // name, partitions
            0, 0, 0, 5, 0, 0, 0, 2, 0xaa, 0xbb,
            0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff,
        ];
        for version in 0..=8 {
            let frame = old_request(version, &topics);
            let request = ProduceRequest::parse(&frame).unwrap();
            assert_eq!((request.version, request.correlation_id), (version, 7));
            assert_eq!((request.client_id, request.transactional_id), (Some("me"), None));
            assert_eq!((request.acks, request.topics.len()), (-1, 1));
            assert_eq!(request.topics[0].topic, TopicKey::Name("t"));
            let partitions: Vec<_> =
                request.topics[0].partitions.iter().map(|it| (it.index, it.record_set)).collect();
            assert_eq!(partitions, [(5, Some(&[0xaa, 0xbb][..])), (6, None)]);
            #[rustfmt::skip]
            let rest = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff];
            let trimmed = join(&request.without(|_, partition| partition == 1));
            assert_eq!(trimmed, old_request(version, &rest));
            let nothing = join(&request.without(|_, _| false));
            assert_eq!(nothing, old_request(version, &[0; 4]));
        }
    }

    #[test]
    fn texts_that_are_not_utf8_are_errors_only_where_they_name_topics() {
        let mut payload = old_request(3, &[0; 4]).payload().to_vec();
        payload[10] = 0xff;
        let frame = Frame::build(&payload).unwrap();
        let request = ProduceRequest::parse(&frame).unwrap();
        assert_eq!(request.client_id, None);
        let frame = old_request(3, &[0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0]);
        let error = ProduceRequest::parse(&frame).unwrap_err();
        assert_eq!(error, WireError::Text { what: "Produce request", version: 3, at: 28 });
    }

    #[test]
    fn arrays_and_names_that_are_null_are_errors() {
        for topics in [
            &[0xff, 0xff, 0xff, 0xff][..],
            &[0x80, 0, 0, 0],
            &[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff],
        ] {
            let frame = old_request(8, topics);
            let error = ProduceRequest::parse(&frame).unwrap_err();
            assert!(matches!(error, WireError::Field { .. }), "{topics:?}: {error}");
        }
        for topics in [&[0, 0][..], &[2, 0, 1, 0, 0], &[2, 2, b't', 0, 0, 0]] {
            let frame = flexible_request(topics);
            let error = ProduceRequest::parse(&frame).unwrap_err();
            assert!(matches!(error, WireError::Field { .. }), "{topics:?}: {error}");
        }
    }

    #[test]
    fn counts_that_lie_cost_nothing() {
        let huge_tags = [1, 0xff, 0xff, 0xff, 0xff, 0x0f];
        let huge_topics = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let huge_partitions = [2, 2, b't', 0xff, 0xff, 0xff, 0xff, 0x0f];
        let most_topics = [0xa1, 0x9c, 0x01];
        let huge_records = [2, 2, b't', 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        for tail in [&huge_tags[..], &huge_topics, &huge_partitions, &most_topics, &huge_records] {
            let frame = flexible_request(tail);
            let allocated = allocation_counter::measure(|| {
                assert!(ProduceRequest::parse(&frame).is_err());
            });
            assert!(allocated.bytes_max < 1_024, "{tail:?}: {}", allocated.bytes_max);
        }
    }

    #[test]
    fn topics_and_partitions_are_bounded_in_sum() {
        let limit = 20_000;
        for (partitions, taken) in [(limit - 1, true), (limit, false)] {
            let mut topics = vec![0, 0, 0, 1, 0, 1, b't'];
            topics.extend(u32::try_from(partitions).unwrap().to_be_bytes());
            topics.extend([0; 8].repeat(partitions));
            let frame = old_request(3, &topics);
            let error = ProduceRequest::parse(&frame).err();
            let too_many =
                WireError::TooManyElements { what: "Produce request", version: 3, limit };
            assert_eq!(error, (!taken).then_some(too_many));
        }
    }

    #[test]
    fn a_topic_name_longer_than_the_protocol_allows_is_an_error() {
        for (length, taken) in [(32_767_usize, true), (32_768, false)] {
            let mut tail = vec![2];
            let count = u32::try_from(length + 1).unwrap();
            let [low, middle, high] = [count & 0x7f | 0x80, count >> 7 & 0x7f | 0x80, count >> 14];
            tail.extend([low, middle, high].map(|it| u8::try_from(it).unwrap()));
            tail.extend(b"t".repeat(length));
            tail.extend([1, 0, 0]);
            let frame = flexible_request(&tail);
            assert_eq!(ProduceRequest::parse(&frame).is_ok(), taken, "{length}");
        }
    }

    #[test]
    fn other_requests_and_versions_are_errors() {
        for (prefix, expected) in [
            ([0, 1, 0, 9], WireError::NotProduce { api_key: 1 }),
            ([0, 0, 0, 14], WireError::Version { what: "Produce", version: 14, min: 0, max: 13 }),
            (
                [0, 0, 0xff, 0xff],
                WireError::Version { what: "Produce", version: -1, min: 0, max: 13 },
            ),
        ] {
            let mut payload = flexible_request(&[1, 0]).payload().to_vec();
            payload[..4].copy_from_slice(&prefix);
            let frame = Frame::build(&payload).unwrap();
            assert_eq!(ProduceRequest::parse(&frame).unwrap_err(), expected);
        }
    }

    #[test]
    fn over_long_counts_stay_as_they_came_unless_they_change() {
        // Two topics and one partition each, each count in more bytes than it needs.
        let topic = |name| [2, name, 0x82, 0, 0, 0, 0, 1, 2, 0xcc, 0, 0];
        let tail = [&[0x83, 0x80, 0][..], &topic(b'a'), &topic(b'b'), &[0]].concat();
        let frame = flexible_request(&tail);
        let request = ProduceRequest::parse(&frame).unwrap();
        assert_eq!(join(&request.without(|_, _| true)), frame);
        let rest = [&[2][..], &topic(b'b'), &[0]].concat();
        assert_eq!(join(&request.without(|topic, _| topic == 1)), flexible_request(&rest));
    }
}
