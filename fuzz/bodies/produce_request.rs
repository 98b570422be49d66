//! One Produce request: read, rebuilt without some of its partitions, answered, and compared with kafka-protocol.

use std::collections::HashSet;

use bytes::Bytes;
use kafka_protocol::messages::{
    ProduceRequest as Peer, ProduceResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use schemaward::wire::TopicKey;
use schemaward::wire::frame::Frame;
use schemaward::wire::produce::ProduceRequest;
use schemaward::wire::refuse::{AnswerShape, Refusal};

use super::{Outcome, within};

/// The data is the payload of a frame.
pub fn run(data: &[u8]) -> Outcome {
    let Ok(frame) = Frame::build(data) else { return Outcome::Refused };
    // A topic of three bytes takes eighty, and a growing list up to thrice its size.
    let memory = 4_096 + 128 * data.len().min(60_000);
    let parsed = within(memory, || ProduceRequest::parse(&frame));
    let Ok(request) = parsed else { return Outcome::Refused };
    leave_out(&request, &frame, |_, _| true);
    leave_out(&request, &frame, |_, _| false);
    let mask = crc32c::crc32c(data);
    leave_out(&request, &frame, |topic, partition| mask >> ((topic * 5 + partition) % 32) & 1 == 0);
    answer(&request);
    compare(&request, frame.bytes().slice(4..));
    Outcome::Taken
}

/// The topics with the positions that they had, and their partitions.
type Topics<'a> = Vec<(TopicKey<'a>, Vec<(i32, Option<&'a [u8]>)>)>;

fn topics<'a>(request: &ProduceRequest<'a>, keep: impl Fn(usize, usize) -> bool) -> Topics<'a> {
    let kept = request.topics.iter().enumerate().map(|(position, topic)| {
        let partitions = topic.partitions.iter().enumerate();
        let kept: Vec<_> = partitions
            .filter(|(partition, _)| keep(position, *partition))
            .map(|(_, partition)| (partition.index, partition.record_set))
            .collect();
        (topic.partitions.len(), (topic.topic, kept))
    });
    let kept = kept.filter(|(before, (_, kept))| *before == 0 || !kept.is_empty());
    kept.map(|(_, topic)| topic).collect()
}

/// What is left is a request with exactly what was to stay.
fn leave_out(request: &ProduceRequest<'_>, frame: &Frame, keep: impl Fn(usize, usize) -> bool) {
    let whole: Bytes = request.without(&keep).concat().into();
    let all = topics(request, |_, _| true);
    let expected = topics(request, &keep);
    if expected == all {
        assert_eq!(whole, frame.bytes(), "nothing was left out, but the bytes changed");
    }
    let rebuilt = Frame::from_bytes(whole).expect("a frame of the size that it says");
    let again = ProduceRequest::parse(&rebuilt).expect("what is left can be read");
    assert_eq!(topics(&again, |_, _| true), expected);
    let head = |it: &ProduceRequest<'_>| (it.version, it.correlation_id, it.acks);
    assert_eq!(head(&again), head(request));
    assert_eq!(again.client_id, request.client_id);
    assert_eq!(again.transactional_id, request.transactional_id);
}

/// Every partition can be refused, in an answer that others can read and that answers each once.
fn answer(request: &ProduceRequest<'_>) {
    let shape = AnswerShape::of(request, |_, _| Some(Refusal::undecided()));
    let frame = shape.local().expect("all was refused");
    if request.version < 3 {
        return;
    }
    let mut bytes = frame.bytes().slice(4..);
    let header_version = ProduceResponse::header_version(request.version);
    ResponseHeader::decode(&mut bytes, header_version).expect("a response header");
    let response = ProduceResponse::decode(&mut bytes, request.version).expect("a response");
    assert!(bytes.is_empty());
    let answered = response.responses.iter().map(|topic| topic.partition_responses.len());
    let asked: HashSet<_> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic, partition.index)))
        .collect();
    assert_eq!(answered.sum::<usize>(), asked.len());
}

/// What we have read to its last byte has no count that lies, so kafka-protocol may see it, and reads the same.
fn compare(request: &ProduceRequest<'_>, mut bytes: Bytes) {
    let version = request.version;
    if version < 3 {
        return;
    }
    let header = RequestHeader::decode(&mut bytes, Peer::header_version(version));
    let peer = header.and_then(|_| Peer::decode(&mut bytes, version));
    let peer = match peer {
        Ok(peer) => peer,
        // It takes no id that is not UTF-8, and of the negative lengths that stand for no records only -1; brokers take all.
        Err(error) => {
            let unreadable = request.client_id.is_none() || request.transactional_id.is_none();
            let absent = version < 9 && records_are_absent(request);
            assert!(unreadable || absent, "kafka-protocol is stricter: {error}");
            return;
        }
    };
    assert!(bytes.is_empty(), "{} bytes left", bytes.len());
    assert_eq!(peer.acks, request.acks);
    let theirs: Topics<'_> = peer
        .topic_data
        .iter()
        .map(|topic| {
            let key = match version {
                13.. => TopicKey::Id(schemaward::wire::TopicId(topic.topic_id.into_bytes())),
                _ => TopicKey::Name(topic.name.as_str()),
            };
            let partitions = topic.partition_data.iter();
            (key, partitions.map(|it| (it.index, it.records.as_deref())).collect())
        })
        .collect();
    assert_eq!(topics(request, |_, _| true), theirs);
}

fn records_are_absent(request: &ProduceRequest<'_>) -> bool {
    let mut partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.any(|partition| partition.record_set.is_none())
}
