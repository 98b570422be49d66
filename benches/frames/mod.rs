//! Frames on their way, a number of rounds at a time: requests as they are cut from a stream, answers as they are rewritten.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{
    FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, FetchResponse, MetadataResponse, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use schemaward::proxy::{pulse::Pulse, reader::RequestReader};
use schemaward::wire::{
    Frame,
    frame::FrameBuilder,
    request::Request,
    rewrite::rewrite_response,
    stream::{Advance, TailRewriter},
};

use crate::workloads;

/// Requests in one piece of the stream.
pub(crate) const FRAMES: usize = 100;
/// Topics of a Metadata answer, and partitions of a Fetch answer.
pub(crate) const ENTRIES: usize = 30;
const PARTITIONS: i32 = 6;
const NODES: i32 = 3;
const METADATA_VERSION: i16 = 12;
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 17;

/// Cuts requests from a stream as a connection does, and finds out what each is.
pub(crate) fn split(rounds: usize, request: &Frame) {
    let stream = request.bytes().repeat(FRAMES);
    let (_running, gateway) = workloads::gateway(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for _ in 0..rounds {
            let (holding, pulse) = (gateway.budget.holder(), Arc::new(Pulse::default()));
            let bounds = Arc::clone(&gateway.bounds).into();
            let mut reader = RequestReader::new(black_box(&*stream), bounds, holding, pulse);
            for _ in 0..FRAMES {
                let arrived = reader.next().await.unwrap().unwrap();
                let size = arrived.frame.bytes().len();
                assert!(matches!(Request::new(arrived.frame).unwrap().1, Request::Produce(_)));
                reader.done(size);
            }
            assert!(reader.next().await.unwrap().is_none());
        }
    });
}

/// The answer to a Produce request, which names no leader mostly.
pub(crate) fn rewrite_produce(rounds: usize) {
    let frame = workloads::produced(PRODUCE_VERSION, 1, 1);
    let (_running, gateway) = workloads::gateway(&[]);
    for _ in 0..rounds {
        let rewritten = rewrite_response(0, PRODUCE_VERSION, black_box(&frame), &gateway.cluster);
        assert_eq!(rewritten.unwrap().bytes().len(), frame.bytes().len());
    }
}

/// What a client asks for when it starts, and every few minutes from then on.
pub(crate) fn rewrite_metadata(rounds: usize) {
    let frame = metadata();
    let (_running, gateway) = workloads::gateway(&[]);
    for _ in 0..rounds {
        let rewritten = rewrite_response(3, METADATA_VERSION, black_box(&frame), &gateway.cluster);
        assert_ne!(rewritten.unwrap(), frame);
    }
}

/// The answer to a Fetch request, walked while it streams.
pub(crate) fn walk_fetch(rounds: usize) {
    let frame = fetched();
    let (_running, gateway) = workloads::gateway(&[]);
    for _ in 0..rounds {
        let mut rest = black_box(&frame).payload().get(4..).unwrap();
        let mut walk = TailRewriter::new(1, FETCH_VERSION, rest.len());
        loop {
            match walk.advance(rest, &gateway.cluster).unwrap() {
                Advance::Pass(count) => rest = rest.get(count..).unwrap(),
                Advance::Replace(tail) => break assert_eq!(tail.len(), rest.len()),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}

fn metadata() -> Frame {
    let broker = |node| {
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(node));
        broker.with_host(text(format!("kafka-{node}.a-cluster.internal"))).with_port(9092)
    };
    let partition = |index| {
        let nodes: Vec<_> = (0..NODES).map(BrokerId).collect();
        let partition = MetadataResponsePartition::default().with_partition_index(index);
        let partition = partition.with_leader_id(BrokerId(index % NODES));
        partition.with_replica_nodes(nodes.clone()).with_isr_nodes(nodes)
    };
    let topic = |number: usize| {
        let topic = MetadataResponseTopic::default().with_topic_id(uuid(number));
        let topic = topic.with_name(Some(TopicName(text(format!("some-events-{number}")))));
        topic.with_partitions((0..PARTITIONS).map(partition).collect())
    };
    let answer = MetadataResponse::default()
        .with_brokers((0..NODES).map(broker).collect())
        .with_cluster_id(Some(text("a-cluster".to_owned())))
        .with_topics((1..=ENTRIES).map(topic).collect());
    encode(&answer, METADATA_VERSION)
}

/// A topic's id, never that of no topic.
fn uuid(number: usize) -> uuid::Uuid {
    uuid::Uuid::from_u128(number as u128)
}

fn fetched() -> Frame {
    let records = Bytes::from(vec![7; 1_000]);
    let partition = |index| {
        let partition = PartitionData::default().with_partition_index(index);
        partition.with_records(Some(records.clone()))
    };
    let partitions = (0..).take(ENTRIES).map(partition).collect();
    let topic = FetchableTopicResponse::default().with_topic_id(uuid(1));
    let leader = NodeEndpoint::default().with_node_id(BrokerId(1)).with_port(9092);
    let leader = leader.with_host(text("kafka-1.a-cluster.internal".to_owned()));
    let answer = FetchResponse::default().with_responses(vec![topic.with_partitions(partitions)]);
    encode(&answer.with_node_endpoints(vec![leader]), FETCH_VERSION)
}

fn encode<R: Encodable + HeaderVersion>(answer: &R, version: i16) -> Frame {
    let mut frame = FrameBuilder::with_capacity(64);
    ResponseHeader::default().encode(frame.payload(), R::header_version(version)).unwrap();
    answer.encode(frame.payload(), version).unwrap();
    frame.finish().unwrap()
}
