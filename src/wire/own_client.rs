//! The answers to requests of schemaward's own, beyond a login: Metadata v4-12 and Produce v3-12, read with bounds.
//!
//! Metadata: v5 offline replicas, v7 leader epochs, v8 authorized operations (of the cluster only up to v10), v9 flexible,
//! v10 topic ids, v12 nameless topics. Produce: v5 log start offset, v8 record errors and message, v9 flexible.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    ErrorCode, NodeId, WireError,
    fields::{Fields, Flexible},
    frame::Frame,
};

/// The versions of Metadata that are asked: from v4 on a topic is not made by asking for it.
pub const METADATA_VERSIONS: (i16, i16) = (4, 12);
/// The versions of Produce that are sent: from v3 on records have headers, and up to v12 topics have names.
pub const PRODUCE_VERSIONS: (i16, i16) = (3, 12);

const SIZE: usize = 4;
const FIRST_FLEXIBLE: i16 = 9;
/// Brokers that are taken from one answer.
const MAX_BROKERS: usize = 10_000;

/// What a cluster says of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAnswer {
    /// Where brokers are: node id, host and port.
    pub brokers: Vec<(NodeId, String, i32)>,
    /// Whether there is such a topic.
    pub error: ErrorCode,
    /// The leader of each partition, by ascending index; `None`: it has none.
    pub leaders: Vec<Option<NodeId>>,
}

impl TopicAnswer {
    /// Reads the answer `frame` to a Metadata request of `version` for the topic called `name`.
    ///
    /// # Errors
    /// [`WireError`] if it cannot be read to its last byte.
    pub fn parse(frame: &Frame, version: i16, name: &str) -> Result<Self, WireError> {
        let what = "Metadata response";
        let mut fields = begin(frame, what, version)?;
        fields.skip(4)?; // throttle time
        let mut brokers = Vec::new();
        for _ in 0..fields.count()? {
            if brokers.len() >= MAX_BROKERS {
                return Err(WireError::TooManyElements { what, version, limit: MAX_BROKERS });
            }
            let (node, host, port) = (NodeId(fields.i32()?), fields.text()?, fields.i32()?);
            fields.nullable_text()?; // rack
            fields.tagged_fields()?;
            brokers.push((node, host.to_owned(), port));
        }
        fields.nullable_text()?; // cluster id
        fields.i32()?; // controller
        let mut answer = Self { brokers, error: UNKNOWN_TOPIC_OR_PARTITION, leaders: Vec::new() };
        for _ in 0..fields.elements()? {
            let error = ErrorCode(fields.i16()?);
            let is_it = fields.nullable_text()? == Some(name.as_bytes());
            let leaders = topic(&mut fields, version)?;
            if is_it {
                (answer.error, answer.leaders) = (error, leaders);
            }
        }
        if (8..=10).contains(&version) {
            fields.i32()?; // what we may do with the cluster
        }
        fields.tagged_fields()?;
        fields.end()?;
        Ok(answer)
    }
}

/// Reads a topic behind its name.
fn topic(fields: &mut Fields<'_>, version: i16) -> Result<Vec<Option<NodeId>>, WireError> {
    if version >= 10 {
        fields.skip(16)?; // topic id
    }
    fields.skip(1)?; // whether it is internal
    let mut leaders = Vec::new();
    for _ in 0..fields.elements()? {
        fields.skip(2)?; // error code: without a leader there is none
        let (index, leader) = (fields.i32()?, NodeId(fields.i32()?));
        leaders.push((index, Some(leader).filter(|node| node.0 >= 0)));
        if version >= 7 {
            fields.skip(4)?; // leader epoch
        }
        let lists = if version >= 5 { 3 } else { 2 };
        for _ in 0..lists {
            for _ in 0..fields.count()? {
                fields.i32()?; // replicas, those in sync, those offline
            }
        }
        fields.tagged_fields()?;
    }
    if version >= 8 {
        fields.skip(4)?; // what we may do with the topic
    }
    fields.tagged_fields()?;
    leaders.sort_unstable_by_key(|(index, _)| *index);
    Ok(leaders.into_iter().map(|(_, leader)| leader).collect())
}

/// The error code of the one partition in the answer `frame` to a Produce request of `version`.
///
/// # Errors
/// [`WireError`] if it cannot be read to its last byte, or answers something else.
pub fn produced(frame: &Frame, version: i16) -> Result<ErrorCode, WireError> {
    let mut fields = begin(frame, "Produce response", version)?;
    let mut found = None;
    for _ in 0..fields.elements()? {
        fields.text()?; // topic
        for _ in 0..fields.elements()? {
            let (partition, error) = (fields.i32()?, ErrorCode(fields.i16()?));
            if found.replace(error).is_some() {
                return Err(WireError::Unasked { partition });
            }
            fields.skip(8 + 8)?; // offset and append time
            if version >= 5 {
                fields.skip(8)?; // log start offset
            }
            if version >= 8 {
                for _ in 0..fields.elements()? {
                    fields.i32()?;
                    fields.nullable_text()?;
                    fields.tagged_fields()?;
                }
                fields.nullable_text()?;
            }
            fields.tagged_fields()?;
        }
        fields.tagged_fields()?;
    }
    fields.skip(4)?; // throttle time
    fields.tagged_fields()?;
    fields.end()?;
    found.ok_or(WireError::Unanswered { partition: -1 })
}

fn begin<'a>(frame: &'a Frame, what: &'static str, version: i16) -> Result<Fields<'a>, WireError> {
    let flexible = Flexible(version >= FIRST_FLEXIBLE);
    let mut fields = Fields::new(frame.bytes(), what, version, flexible);
    fields.skip(SIZE)?;
    fields.i32()?; // correlation id
    fields.tagged_fields()?;
    Ok(fields)
}

const UNKNOWN_TOPIC_OR_PARTITION: ErrorCode = ErrorCode(3);

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::{
        messages::{
            BrokerId, MetadataResponse, ProduceResponse, ResponseHeader, TopicName,
            metadata_response::{
                MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
            },
            produce_response::{
                BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
            },
        },
        protocol::{Encodable, HeaderVersion, StrBytes},
    };

    use super::*;

    fn frame<R: Encodable + HeaderVersion>(version: i16, body: &R) -> Frame {
        let mut payload = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(7);
        header.encode(&mut payload, R::header_version(version)).unwrap();
        body.encode(&mut payload, version).unwrap();
        Frame::build(&payload).unwrap()
    }

    fn name(text: &'static str) -> TopicName {
        TopicName(StrBytes::from_static_str(text))
    }

    fn metadata() -> MetadataResponse {
        let partition = |index, leader| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(leader))
                .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
                .with_isr_nodes(vec![BrokerId(1)])
        };
        let dead = MetadataResponseTopic::default()
            .with_name(Some(name("orders.rejected")))
            .with_partitions(vec![partition(1, 2), partition(0, 1), partition(2, -1)]);
        let other = MetadataResponseTopic::default()
            .with_name(Some(name("other")))
            .with_error_code(5)
            .with_partitions(vec![partition(0, 9)]);
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(2))
            .with_host(StrBytes::from_static_str("kafka-2"))
            .with_port(9092)
            .with_rack(Some(StrBytes::from_static_str("a")));
        MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![dead, other])
    }

    #[test]
    fn every_version_of_metadata_says_where_the_leaders_are() {
        for version in METADATA_VERSIONS.0..=METADATA_VERSIONS.1 {
            let frame = frame(version, &metadata());
            let answer = TopicAnswer::parse(&frame, version, "orders.rejected").unwrap();
            assert_eq!(answer.brokers, [(NodeId(2), "kafka-2".to_owned(), 9092)]);
            assert_eq!(answer.error, ErrorCode::NONE, "{version}");
            assert_eq!(answer.leaders, [Some(NodeId(1)), Some(NodeId(2)), None]);
            let absent = TopicAnswer::parse(&frame, version, "absent").unwrap();
            assert_eq!((absent.error, absent.leaders.len()), (ErrorCode(3), 0));
        }
    }

    #[test]
    fn every_version_of_produce_says_how_it_went() {
        for version in PRODUCE_VERSIONS.0..=PRODUCE_VERSIONS.1 {
            let mut partition = PartitionProduceResponse::default().with_error_code(10);
            if version >= 8 {
                let error = BatchIndexAndErrorMessage::default()
                    .with_batch_index_error_message(Some(StrBytes::from_static_str("why")));
                partition = partition
                    .with_record_errors(vec![error])
                    .with_error_message(Some(StrBytes::from_static_str("too large")));
            }
            let topic = TopicProduceResponse::default()
                .with_name(name("orders.rejected"))
                .with_partition_responses(vec![partition]);
            let body = ProduceResponse::default().with_responses(vec![topic.clone()]);
            assert_eq!(produced(&frame(version, &body), version), Ok(ErrorCode(10)), "{version}");
            let twice = ProduceResponse::default().with_responses(vec![topic.clone(), topic]);
            assert!(produced(&frame(version, &twice), version).is_err());
            let nothing = ProduceResponse::default();
            assert!(produced(&frame(version, &nothing), version).is_err());
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error_wherever_it_is() {
        let whole = frame(9, &metadata());
        for end in 4..whole.bytes().len() - 4 {
            let cut = Frame::build(&whole.payload()[..end]).unwrap();
            assert!(TopicAnswer::parse(&cut, 9, "orders.rejected").is_err(), "{end}");
        }
    }
}
