//! What a test asks a broker to do, and what it may know of a cluster, past the proxy.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreateTopicsRequest, ElectLeadersRequest, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::log_reader;
use super::raw_client::{RawClient, invalid};

/// Creates a topic and waits until every broker of the cluster knows a leader for each of its partitions, and the leaders
/// serve them.
pub fn create_topic(bootstrap: &str, name: &str, partitions: i32, replication: i16) {
    create_topic_with(bootstrap, name, partitions, replication, &[]);
}

/// The same with settings (`cleanup.policy`, `message.timestamp.type` …).
pub fn create_topic_with(
    bootstrap: &str,
    name: &str,
    partitions: i32,
    replication: i16,
    settings: &[(&str, &str)],
) {
    let configs = settings.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let mut client = RawClient::bootstrap(bootstrap).expect("a broker listens");
    let response = client.call(&request, 7).expect("CreateTopics is answered");
    for topic in &response.topics {
        assert_eq!(topic.error_code, 0, "topic {name}: {:?}", topic.error_message);
    }
    for broker in bootstrap.split(',') {
        wait_for_leaders(broker, name, partitions);
    }
    for partition in 0..partitions {
        wait_for_leader(bootstrap, name, partition, |_| true);
    }
}

/// What a broker says of the cluster and of one topic.
///
/// # Errors
/// The broker is not there.
pub fn metadata(bootstrap: &str, topic: &str) -> io::Result<MetadataResponse> {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    RawClient::bootstrap(bootstrap)?.call(&request, 12)
}

/// What a broker says of one topic: its id (KIP-516) and its partitions.
pub fn describe_topic(bootstrap: &str, topic: &str) -> MetadataResponseTopic {
    let response = metadata(bootstrap, topic).expect("Metadata is answered");
    response.topics.into_iter().next().expect("the topic is described")
}

/// The node that leads a partition.
pub fn leader_of(bootstrap: &str, topic: &str, partition: i32) -> i32 {
    leader(bootstrap, topic, partition).expect("the partition has a leader").0
}

/// The node that leads a partition, and where it says it listens.
///
/// # Errors
/// The broker is not there, or knows no leader.
pub fn leader(bootstrap: &str, topic: &str, partition: i32) -> io::Result<(i32, SocketAddr)> {
    let response = metadata(bootstrap, topic)?;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let node_id = partitions
        .into_iter()
        .find(|candidate| candidate.partition_index == partition)
        .ok_or_else(|| invalid(format!("{topic}-{partition} is not known")))?
        .leader_id;
    let node = response.brokers.iter().find(|broker| broker.node_id == node_id);
    let node = node.ok_or_else(|| invalid(format!("{topic}-{partition} has no leader")))?;
    let address = format!("{}:{}", node.host.as_str(), node.port).parse();
    Ok((node_id.0, address.map_err(|e| invalid(format!("{:?}: {e}", node.host)))?))
}

/// Waits until `broker` says that a node which `is_wanted` leads the partition and that node agrees, and returns it.
/// A broker tells of a new leader some milliseconds before that one takes records.
pub fn wait_for_leader(
    broker: &str,
    topic: &str,
    partition: i32,
    is_wanted: impl Fn(i32) -> bool,
) -> i32 {
    let end = Instant::now() + DEADLINE;
    loop {
        let leader = leader(broker, topic, partition);
        let serves = log_reader::end_offset(broker, topic, partition);
        match (leader, serves) {
            (Ok((node_id, _)), Ok(_)) if is_wanted(node_id) => return node_id,
            other => {
                assert!(Instant::now() < end, "leader and end of {topic}-{partition}: {other:?}")
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Lets another of its replicas lead a partition, without fault, and returns it.
pub fn move_leader(bootstrap: &str, topic: &str, partition: i32) -> i32 {
    let described = describe_topic(bootstrap, topic);
    let now = described.partitions.iter().find(|it| it.partition_index == partition);
    let now = now.expect("the partition is known");
    let other = now.replica_nodes.iter().find(|node| **node != now.leader_id);
    let wanted = other.expect("there is another replica").0;
    lead(bootstrap, topic, partition, wanted);
    wanted
}

/// Lets `wanted`, one of its replicas, lead a partition.
pub fn lead(bootstrap: &str, topic: &str, partition: i32, wanted: i32) {
    let described = describe_topic(bootstrap, topic);
    let now = described.partitions.iter().find(|it| it.partition_index == partition);
    // The first of the replicas is the one that is preferred.
    let mut replicas = now.expect("the partition is known").replica_nodes.clone();
    let at = replicas.iter().position(|node| node.0 == wanted).expect("it is a replica");
    replicas.swap(0, at);
    let order = ReassignablePartition::default()
        .with_partition_index(partition)
        .with_replicas(Some(replicas));
    let order =
        ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(vec![order]);
    let order = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(30_000)
        .with_topics(vec![order]);
    let mut client = RawClient::bootstrap(bootstrap).expect("a broker listens");
    let answer = client.call(&order, 0).expect("AlterPartitionReassignments is answered");
    let codes = answer.responses.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
    assert!(answer.error_code == 0 && codes.into_iter().all(|code| code == 0), "{answer:?}");
    let election =
        TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(vec![partition]);
    let election = ElectLeadersRequest::default()
        .with_topic_partitions(Some(vec![election]))
        .with_timeout_ms(30_000);
    let answer = client.call(&election, 2).expect("ElectLeaders is answered");
    assert_eq!(answer.error_code, 0, "{answer:?}");
    wait_for_leader(bootstrap, topic, partition, |node| node == wanted);
}

/// Waits until every replica of a topic is in step again: what comes next finds a whole cluster.
pub fn wait_for_replicas(bootstrap: &str, topic: &str) {
    let end = Instant::now() + DEADLINE;
    loop {
        let described = metadata(bootstrap, topic);
        let partitions = described.iter().flat_map(|it| &it.topics).flat_map(|it| &it.partitions);
        let mut in_step = partitions.map(|it| it.isr_nodes.len() == it.replica_nodes.len());
        if described.is_ok() && in_step.all(|it| it) {
            return;
        }
        assert!(Instant::now() < end, "{topic}: replicas are behind: {described:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A topic's name as kafka-protocol wants it.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A text as kafka-protocol wants it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn wait_for_leaders(broker: &str, name: &str, partitions: i32) {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let response = metadata(broker, name);
        if response.is_ok_and(|response| response.topics.iter().all(|t| has_leaders(t, partitions)))
        {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{broker} knows no leader for each of the {partitions} partitions of {name}");
}

fn has_leaders(topic: &MetadataResponseTopic, partitions: i32) -> bool {
    let led = topic.partitions.iter().filter(|p| p.error_code == 0 && p.leader_id.0 >= 0).count();
    i32::try_from(led) == Ok(partitions)
}

const DEADLINE: Duration = Duration::from_secs(60);
