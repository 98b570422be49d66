//! The brokers: what the cluster has stored outlives each of them, who leads what can change at any time.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiVersionsResponse, BrokerId, MetadataResponse, ProduceRequest, ProduceResponse,
        RequestHeader, TopicName,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Decodable, HeaderVersion, StrBytes},
};
use tokio::{
    io::{AsyncWriteExt, split},
    time::sleep,
};
use turmoil::net::{TcpListener, TcpStream};

use super::{
    Mutation,
    traffic::{self, Mark, TOPICS},
};
use crate::support::{
    batch::Batch,
    client::read_frame,
    idempotent::{Chance, Decision, NONE, NOT_LEADER, ProducerStates},
    scripted::response,
};

/// Where each broker listens.
pub const PORT: u16 = 9092;

/// A partition: who leads it, what is stored in it.
#[derive(Debug, Default)]
pub struct Partition {
    pub leader: usize,
    pub producers: ProducerStates,
    pub log: Vec<Mark>,
}

#[derive(Debug)]
pub struct State {
    pub partitions: Vec<Partition>,
    pub brokers: usize,
    /// Brokers do nothing unexpected any more.
    pub calm: bool,
    mutation: Mutation,
    chance: Chance,
}

/// The cluster, shared by its brokers.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Mutex<State>>);

/// What a broker does around a request.
struct Mood {
    pause: Duration,
    /// Closes the connection instead of reading on, before or after the request has had its effect.
    closes_before: bool,
    closes_after: bool,
}

impl Cluster {
    pub fn new(brokers: usize, partitions: usize, seed: u64, mutation: Mutation) -> Self {
        let mut chance = Chance::new(seed);
        let mut fresh =
            || Partition { leader: chance.below(brokers as u64) as usize, ..Partition::default() };
        let partitions = (0..partitions).map(|_| fresh()).collect();
        Self(Arc::new(Mutex::new(State { partitions, brokers, calm: false, mutation, chance })))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Runs broker `node` (from 0 on).
    pub async fn run(self, node: usize) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(self.clone(), node, stream));
        }
    }
}

/// Takes one request after the other, as a broker does: the next is not read before this one is answered.
async fn serve(cluster: Cluster, node: usize, stream: TcpStream) {
    let (mut reading, mut writing) = split(stream);
    while let Some(frame) = read_frame(&mut reading).await {
        let mood = cluster.lock().mood();
        if mood.closes_before {
            return;
        }
        sleep(mood.pause).await;
        let answer = cluster.lock().answer(node, frame.slice(4..));
        if mood.closes_after || writing.write_all(&answer).await.is_err() {
            return;
        }
    }
}

impl State {
    fn mood(&mut self) -> Mood {
        let Self { calm, chance, .. } = self;
        let longest = if chance.percent(5) { 400 } else { 8 };
        let pause = chance.below(longest);
        let mut closes = || !*calm && chance.below(150) == 0;
        let (closes_before, closes_after) = (closes(), closes());
        Mood { pause: Duration::from_millis(pause), closes_before, closes_after }
    }

    fn answer(&mut self, node: usize, frame: Bytes) -> Bytes {
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let mut body = frame;
        let header_version = match key {
            0 => ProduceRequest::header_version(version),
            3 => kafka_protocol::messages::MetadataRequest::header_version(version),
            _ => kafka_protocol::messages::ApiVersionsRequest::header_version(version),
        };
        let header = RequestHeader::decode(&mut body, header_version).unwrap();
        let id = header.correlation_id;
        match key {
            0 => {
                let request = ProduceRequest::decode(&mut body, version).unwrap();
                response(id, version, &self.produce(node, &request))
            }
            3 => response(id, version, &self.metadata(version)),
            18 => response(id, version, &ApiVersionsResponse::default()),
            other => panic!("api key {other}"),
        }
    }

    fn produce(&mut self, node: usize, request: &ProduceRequest) -> ProduceResponse {
        let topics = request.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter().map(|data| {
                let at = traffic::partition(&topic.name, data.index);
                let (code, offset) = self.append(node, at, data.records.as_deref().unwrap());
                PartitionProduceResponse::default()
                    .with_index(data.index)
                    .with_error_code(code)
                    .with_base_offset(offset)
            });
            let partitions = partitions.collect();
            TopicProduceResponse::default()
                .with_name(topic.name.clone())
                .with_partition_responses(partitions)
        });
        ProduceResponse::default().with_responses(topics.collect())
    }

    fn append(&mut self, node: usize, at: usize, record_set: &[u8]) -> (i16, i64) {
        let careless = self.mutation == Mutation::CarelessBroker;
        let partition = &mut self.partitions[at];
        if partition.leader != node {
            return (NOT_LEADER, -1);
        }
        let batch = Batch::from_bytes(record_set);
        let count = i32::try_from(batch.records.len()).unwrap();
        let sent = (batch.producer_epoch, batch.base_sequence, count);
        let offset = partition.log.len() as i64;
        let decision = partition.producers.offer(batch.producer_id, sent, offset);
        tracing::debug!(at, batch.producer_id, ?sent, ?decision, "offered");
        match decision {
            Decision::Refuse(code) => (code, -1),
            Decision::Duplicate(offset) if !careless => (NONE, offset),
            Decision::Append | Decision::Duplicate(_) => {
                partition.log.extend(batch.records.iter().map(Mark::of));
                (NONE, offset)
            }
        }
    }

    fn metadata(&self, version: i16) -> MetadataResponse {
        let brokers = (0..self.brokers).map(|node| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(node as i32))
                .with_host(StrBytes::from_string(name(node)))
                .with_port(i32::from(PORT))
        });
        let topics = TOPICS.iter().map(|topic| {
            let partitions = self.partitions.iter().enumerate();
            let partitions = partitions.filter(|(at, _)| traffic::place(*at).0 == *topic);
            let partitions = partitions.map(|(at, partition)| {
                let leader = BrokerId(partition.leader as i32);
                MetadataResponsePartition::default()
                    .with_partition_index(traffic::place(at).1)
                    .with_leader_id(leader)
                    .with_replica_nodes(vec![leader])
                    .with_isr_nodes(vec![leader])
            });
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(topic))))
                .with_partitions(partitions.collect())
        });
        // The oldest version asks for brokers only.
        let topics: Vec<_> = if version > 1 { topics.collect() } else { Vec::new() };
        MetadataResponse::default().with_brokers(brokers.collect()).with_topics(topics)
    }

    /// Loses what was stored last, which no broker may.
    pub fn forget(&mut self, node: usize) {
        if self.mutation != Mutation::ForgetfulBroker {
            return;
        }
        for partition in self.partitions.iter_mut().filter(|partition| partition.leader == node) {
            partition.log.pop();
        }
    }
}

/// The host of a broker.
pub fn name(node: usize) -> String {
    format!("broker{node}")
}
