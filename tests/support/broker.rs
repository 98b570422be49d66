//! A broker that keeps what it is sent and says yes: node 1 of a cluster of one. For everything that a real broker decides,
//! the tests use a real one.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest,
        ProduceResponse, RequestHeader, ResponseHeader,
        api_versions_response::ApiVersion,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use uuid::Uuid;

/// Its node id.
pub const NODE: i32 = 1;

/// What one partition of one request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub topic: String,
    pub partition: i32,
    pub record_set: Option<Bytes>,
}

/// What a broker does otherwise than saying yes, about one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Metadata does not know it.
    Missing,
    /// Nobody leads its partitions.
    Leaderless,
    /// Produce is answered with this code.
    Refuses(i16),
    /// Produce is answered with this code once, then it is taken.
    RefusesOnce(i16),
    /// Produce is not answered, and nothing behind it on the same connection.
    Silent,
    /// The connection is closed instead of an answer to Produce.
    Closes,
}

#[derive(Debug, Default)]
struct Seen {
    received: Mutex<Vec<Received>>,
    frames: Mutex<Vec<Bytes>>,
    tempers: Mutex<HashMap<String, Temper>>,
}

impl Seen {
    fn temper(&self, topic: &str) -> Option<Temper> {
        self.tempers.lock().unwrap().get(topic).copied()
    }
}

/// A running broker.
#[derive(Debug)]
pub struct FakeBroker {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeBroker {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, address, Arc::clone(&shared)));
            }
        });
        Self { address, seen, server }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Every partition that Produce requests brought, in order.
    pub fn received(&self) -> Vec<Received> {
        self.seen.received.lock().unwrap().clone()
    }

    /// Does otherwise than saying yes about `topic` from now on; `None`: says yes again.
    pub fn temper(&self, topic: &str, temper: Option<Temper>) {
        let mut tempers = self.seen.tempers.lock().unwrap();
        match temper {
            Some(temper) => tempers.insert(topic.to_owned(), temper),
            None => tempers.remove(topic),
        };
    }

    /// Every request frame without its size, in order.
    pub fn frames(&self) -> Vec<Bytes> {
        self.seen.frames.lock().unwrap().clone()
    }
}

/// The id of a topic, made from its name.
pub fn topic_id(name: &str) -> Uuid {
    let mut id = *b"\x01topic-id\x02\x03\x04\x05\x06\x07\x08";
    for (index, byte) in name.bytes().enumerate() {
        id[index % 16] = id[index % 16].rotate_left(3) ^ byte;
    }
    Uuid::from_bytes(id)
}

async fn converse(mut stream: TcpStream, address: SocketAddr, seen: Arc<Seen>) {
    let mut names = Names::new();
    while let Ok(size) = stream.read_i32().await {
        let mut frame = vec![0; usize::try_from(size).unwrap()];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let frame = Bytes::from(frame);
        seen.frames.lock().unwrap().push(frame.clone());
        match tempered(&frame, &seen) {
            Some(Temper::Closes) => return,
            Some(Temper::Silent) => std::future::pending().await,
            _ => {}
        }
        let Some(answer) = answer(frame, address, &seen, &mut names) else { continue };
        let size = i32::try_from(answer.len()).unwrap();
        if stream.write_all(&[&size.to_be_bytes()[..], &answer].concat()).await.is_err() {
            return;
        }
    }
}

/// What is done to a whole connection because of a Produce request by name.
fn tempered(frame: &Bytes, seen: &Seen) -> Option<Temper> {
    let mut frame = frame.clone();
    let (api_key, version) = (frame.clone().get_i16(), frame.clone().split_off(2).get_i16());
    if api_key != ApiKey::Produce as i16 || seen.tempers.lock().unwrap().is_empty() {
        return None;
    }
    RequestHeader::decode(&mut frame, ApiKey::Produce.request_header_version(version)).unwrap();
    let request = ProduceRequest::decode(&mut frame, version).unwrap();
    request.topic_data.iter().find_map(|topic| seen.temper(&topic.name))
}

type Names = HashMap<Uuid, String>;

fn answer(
    mut frame: Bytes,
    address: SocketAddr,
    seen: &Seen,
    names: &mut Names,
) -> Option<BytesMut> {
    let api_key = ApiKey::try_from(frame.clone().get_i16()).unwrap();
    let version = frame.clone().split_off(2).get_i16();
    let header =
        RequestHeader::decode(&mut frame, api_key.request_header_version(version)).unwrap();
    let id = header.correlation_id;
    match api_key {
        ApiKey::ApiVersions => Some(encode(id, version, &api_versions())),
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut frame, version).unwrap();
            Some(encode(id, version, &metadata(&request, version, address, names, seen)))
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut frame, version).unwrap();
            produce(&request, version, seen, names).map(|response| encode(id, version, &response))
        }
        other => panic!("the fake broker does not speak {other:?}"),
    }
}

fn encode<R: Encodable + HeaderVersion>(correlation_id: i32, version: i16, body: &R) -> BytesMut {
    let mut out = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut out, R::header_version(version)).unwrap();
    body.encode(&mut out, version).unwrap();
    out
}

fn api_versions() -> ApiVersionsResponse {
    let ranges = [(ApiKey::Produce, 0, 13), (ApiKey::Metadata, 0, 13), (ApiKey::ApiVersions, 0, 4)];
    let keys = ranges.map(|(key, min, max)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.into())
}

fn metadata(
    request: &MetadataRequest,
    version: i16,
    address: SocketAddr,
    names: &mut Names,
    seen: &Seen,
) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE))
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(i32::from(address.port()));
    let topics = request.topics.iter().flatten().map(|topic| {
        let name = topic.name.clone().unwrap();
        let temper = seen.temper(&name);
        if temper == Some(Temper::Missing) {
            return MetadataResponseTopic::default().with_name(Some(name)).with_error_code(3);
        }
        let leader = if temper == Some(Temper::Leaderless) { -1 } else { NODE };
        names.insert(topic_id(&name), name.to_string());
        let partitions = (0..4).map(|partition| {
            MetadataResponsePartition::default()
                .with_partition_index(partition)
                .with_leader_id(BrokerId(leader))
        });
        let described = MetadataResponseTopic::default()
            .with_name(Some(name.clone()))
            .with_partitions(partitions.collect());
        if version >= 10 { described.with_topic_id(topic_id(&name)) } else { described }
    });
    MetadataResponse::default()
        .with_topics(topics.collect())
        .with_brokers(vec![broker])
        .with_controller_id(BrokerId(NODE))
}

fn produce(
    request: &ProduceRequest,
    version: i16,
    seen: &Seen,
    names: &Names,
) -> Option<ProduceResponse> {
    let responses = request.topic_data.iter().map(|topic| {
        let name = match version {
            13.. => names.get(&topic.topic_id).cloned().unwrap_or_default(),
            _ => topic.name.to_string(),
        };
        let refused = match seen.temper(&name) {
            Some(Temper::Refuses(code)) => code,
            Some(Temper::RefusesOnce(code)) => {
                seen.tempers.lock().unwrap().remove(&name);
                code
            }
            _ => 0,
        };
        let partitions = topic.partition_data.iter().map(|data| {
            if refused != 0 {
                return PartitionProduceResponse::default()
                    .with_index(data.index)
                    .with_error_code(refused);
            }
            let received = Received {
                topic: name.clone(),
                partition: data.index,
                record_set: data.records.clone(),
            };
            let mut all = seen.received.lock().unwrap();
            all.push(received);
            let base_offset = i64::try_from(all.len()).unwrap() - 1;
            PartitionProduceResponse::default().with_index(data.index).with_base_offset(base_offset)
        });
        let partitions = partitions.collect();
        let response = TopicProduceResponse::default().with_partition_responses(partitions);
        match version {
            13.. => response.with_topic_id(topic.topic_id),
            _ => response.with_name(topic.name.clone()),
        }
    });
    let response = ProduceResponse::default().with_responses(responses.collect());
    (request.acks != 0).then_some(response)
}
