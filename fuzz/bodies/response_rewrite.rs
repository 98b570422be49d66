//! One answer of a broker: rewritten whole, rewritten at its tail while it streams, or merged with refusals.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, DescribeClusterResponse, FindCoordinatorResponse, MetadataResponse,
    ProduceRequest as Request, ProduceResponse, RequestHeader, ResponseHeader,
    ShareAcknowledgeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, StrBytes};
use schemaward::wire::api::FIRST_PRODUCE_WITH_ENDPOINTS;
use schemaward::wire::frame::Frame;
use schemaward::wire::produce::ProduceRequest;
use schemaward::wire::refuse::{AnswerShape, Refusal};
use schemaward::wire::rewrite::rewrite_response;
use schemaward::wire::stream::{Advance, TailRewriter};
use schemaward::wire::{Cluster, Endpoint, NodeId, TopicId, WireError};

use super::{Outcome, split, within};

/// What the first byte chooses from: api key and number of versions. The last one is Produce again, merged with refusals.
pub const KINDS: [(i16, i16); 9] =
    [(0, 14), (3, 14), (10, 7), (18, 5), (60, 3), (79, 3), (1, 19), (78, 3), (0, 14)];
/// The place of merging among [`KINDS`].
pub const MERGE: usize = 8;
/// What every answer here carries.
pub const CORRELATION_ID: i32 = 7;

/// First byte: which answer. Second: its version. Third: in which portions it arrives. Then all that follows the
/// correlation id.
pub fn run(data: &[u8]) -> Outcome {
    let (kind, rest) = split(data);
    let (version, rest) = split(rest);
    let (portion, body) = split(rest);
    let kind = kind % KINDS.len();
    let (api_key, versions) = KINDS[kind];
    let version = (version as i16) % versions;
    match kind {
        MERGE => merge(version, &frame(body)),
        _ if matches!(api_key, 1 | 78) => stream(api_key, version, body, 1 + portion),
        _ => whole(api_key, version, &frame(body)),
    }
}

fn frame(body: &[u8]) -> Frame {
    Frame::build(&[&CORRELATION_ID.to_be_bytes(), body].concat()).expect("it is small")
}

fn whole(api_key: i16, version: i16, frame: &Frame) -> Outcome {
    let cluster = TenNodes::default();
    let memory = 4_096 + 24 * frame.bytes().len();
    let rewritten = within(memory, || rewrite_response(api_key, version, frame, &cluster));
    let Ok(rewritten) = rewritten else { return Outcome::Refused };
    let told = TenNodes::default();
    let again = rewrite_response(api_key, version, &rewritten, &told);
    assert_eq!(again.as_ref(), Ok(&rewritten), "what was rewritten once is as it must be");
    told.assert_only_told();
    assert_eq!(cluster.topics.into_inner().unwrap(), told.topics.into_inner().unwrap());
    decodes_as_before(api_key, version, frame, &rewritten);
    Outcome::Taken
}

/// What kafka-protocol could read it can still read. It sees only what we have walked to the end: no count in it lies.
fn decodes_as_before(api_key: i16, version: i16, before: &Frame, after: &Frame) {
    let decodes: fn(&Frame, i16) -> bool = match api_key {
        3 => decodes::<MetadataResponse>,
        10 => decodes::<FindCoordinatorResponse>,
        60 => decodes::<DescribeClusterResponse>,
        79 => decodes::<ShareAcknowledgeResponse>,
        // Nothing in ApiVersions is an address. In Produce it reads a leader past the length of its tagged field, into bytes
        // that are walked as something else.
        _ => return,
    };
    assert!(!decodes(before, version) || decodes(after, version), "{api_key} v{version}");
}

fn decodes<T: Decodable + HeaderVersion + Message>(frame: &Frame, version: i16) -> bool {
    let known = T::VERSIONS.min..=T::VERSIONS.max;
    let mut bytes = frame.bytes().slice(4..);
    known.contains(&version)
        && ResponseHeader::decode(&mut bytes, T::header_version(version)).is_ok()
        && T::decode(&mut bytes, version).is_ok()
}

fn stream(api_key: i16, version: i16, body: &[u8], portion: usize) -> Outcome {
    let memory = 16 * 1024 + 24 * body.len();
    let cluster = TenNodes::default();
    let at_once = within(memory, || pass(api_key, version, body, body.len().max(1), &cluster));
    let portions = pass(api_key, version, body, portion, &TenNodes::default());
    match (&at_once, &portions) {
        (Ok(at_once), Ok(portions)) => assert_eq!(at_once, portions),
        (Err(_), Err(_)) => return Outcome::Refused,
        _ => panic!("the portions matter: {at_once:?}, {portions:?}"),
    }
    let rewritten = at_once.unwrap_or_default();
    assert_eq!(rewritten.len(), body.len());
    let told = TenNodes::default();
    pass(api_key, version, &rewritten, portion, &told).expect("what was rewritten can be read");
    told.assert_only_told();
    Outcome::Taken
}

/// Does what a connection does; another frame follows.
fn pass(
    api_key: i16,
    version: i16,
    body: &[u8],
    portion: usize,
    cluster: &TenNodes,
) -> Result<Vec<u8>, WireError> {
    let mut rewriter = TailRewriter::new(api_key, version, body.len());
    let input = [body, b"next"].concat();
    let (mut arrived, mut sent) = (0, Vec::with_capacity(body.len()));
    loop {
        match rewriter.advance(&input[sent.len().min(arrived)..arrived], cluster)? {
            Advance::Done => return Ok(sent),
            Advance::NeedMore => {
                assert!(arrived < body.len(), "it asks for more than there is");
                arrived = input.len().min(arrived + portion);
            }
            Advance::Pass(size) => {
                assert!(size > 0 && size <= body.len() - sent.len());
                let start = sent.len();
                sent.extend(&body[start..start + size]);
                arrived = arrived.max(sent.len());
            }
            Advance::Replace(tail) => {
                assert!(arrived >= body.len(), "the tail is replaced before it arrived");
                assert_eq!(tail.len(), body.len() - sent.len(), "a tail keeps its length");
                sent.extend(tail);
            }
        }
    }
}

/// The request of which one partition was forwarded, and is answered, and two were refused.
fn asked(version: i16) -> Frame {
    let partition = |index| PartitionProduceData::default().with_index(index);
    let topic = |name: &'static str, id: u8, partitions| {
        let topic = TopicProduceData::default().with_partition_data(partitions);
        match version {
            13.. => topic.with_topic_id(from_bytes([id; 16])),
            _ => topic.with_name(TopicName(StrBytes::from_static_str(name))),
        }
    };
    let topics = vec![
        topic("users", 1, vec![partition(0), partition(1)]),
        topic("orders", 2, vec![partition(0)]),
    ];
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Produce as i16)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID);
    let mut payload = BytesMut::new();
    header.encode(&mut payload, Request::header_version(version)).expect("a header");
    let request = Request::default().with_topic_data(topics);
    request.encode(&mut payload, version).expect("a request");
    Frame::build(&payload).expect("it is small")
}

/// A topic id; kafka-protocol's type for it has no name here.
fn from_bytes<T: std::str::FromStr>(id: [u8; 16]) -> T {
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.parse().ok().expect("an id")
}

fn merge(version: i16, broker: &Frame) -> Outcome {
    // Older versions are never forwarded, so nothing of theirs is merged.
    let version = version.max(3);
    let request = asked(version);
    let request = ProduceRequest::parse(&request).expect("a sound request");
    let refused = |topic, partition| (topic, partition) != (0, 1);
    let shape = AnswerShape::of(&request, |topic, partition| {
        refused(topic, partition).then(Refusal::undecided)
    });
    let memory = 8_192 + 32 * broker.bytes().len();
    let Ok(merged) = within(memory, || shape.merge(broker)) else { return Outcome::Refused };
    if rewrite_response(0, version, &merged, &TenNodes::default()).is_err() {
        // Addresses are looked at once an answer is merged, and these cannot be read.
        return Outcome::Refused;
    }
    if version >= FIRST_PRODUCE_WITH_ENDPOINTS {
        return Outcome::Taken;
    }
    let mut bytes: Bytes = merged.bytes().slice(4..);
    let header_version = ProduceResponse::header_version(version);
    ResponseHeader::decode(&mut bytes, header_version).expect("a response header");
    if let Ok(response) = ProduceResponse::decode(&mut bytes, version) {
        let partitions = response.responses.iter().map(|topic| topic.partition_responses.len());
        assert_eq!(partitions.collect::<Vec<_>>(), [2, 1], "every partition once");
    } else {
        assert!(!decodes::<ProduceResponse>(broker, version), "merging broke the answer");
    }
    Outcome::Taken
}

/// The host that clients are told.
const HOST: &str = "schemaward.local";

/// Maps nodes 0 to 9 to ports 9100 to 9109, and writes down what it is told.
#[derive(Debug, Default)]
struct TenNodes {
    seen: Mutex<Vec<(i32, String, i32)>>,
    topics: Mutex<Vec<(TopicId, String)>>,
}

impl TenNodes {
    /// Nothing but our own addresses was seen.
    fn assert_only_told(&self) {
        for (node, host, port) in &*self.seen.lock().unwrap() {
            assert!((0..10).contains(node), "node {node} is outside of the map");
            assert_eq!((host.as_str(), *port), (HOST, 9_100 + node), "a broker's own address");
        }
    }
}

impl Cluster for TenNodes {
    fn advertise(&self, node: NodeId, host: &str, port: i32) -> Option<Endpoint> {
        self.seen.lock().unwrap().push((node.0, host.to_owned(), port));
        let told = u16::try_from(node.0).ok().filter(|node| *node < 10)?;
        Some(Endpoint { host: HOST.into(), port: 9_100 + told })
    }

    fn learn_topic(&self, id: TopicId, name: &str) {
        self.topics.lock().unwrap().push((id, name.to_owned()));
    }
}
