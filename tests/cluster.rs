//! Promise: in front of a cluster, no client is ever led to dial a broker, and clients work as they do without the proxy,
//! through the loss of a broker as well.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, FetchRequest, FindCoordinatorRequest, GroupId,
    MetadataRequest, MetadataResponse, ShareFetchRequest, share_fetch_request,
};
use support::batch::{Batch, Record};
use support::case::{Case, Consumed};
use support::java::Java;
use support::kafka::Kafka;
use support::proxy::FIRST_BROKER_PORT;
use support::python::Python;
use support::raw_client::RawClient;
use support::running::RunningProducer;
use support::sidecar::{Sidecar, user, wait_until};
use support::{admin, log_reader, produce};
use uuid::Uuid;

mod support;

const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_LEADER: i16 = 6;
const NODES: [i32; 3] = [1, 2, 3];

#[test]
fn every_address_in_every_version_of_an_answer_is_the_proxys() {
    let Some(kafka) = whole() else { return };
    let sidecar = Sidecar::start(&kafka, "");
    let topic = "told";
    admin::create_topic(&kafka.bootstrap(), topic, 3, 3);
    let expected = told_for(&sidecar, &NODES);
    let mut client = sidecar.client();
    for version in 0..=13 {
        let named = MetadataRequestTopic::default().with_name(Some(admin::topic_name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![named]));
        let response = client.call(&request, version).unwrap();
        assert_eq!(nodes_of(&response), expected, "Metadata v{version}");
        let leaders = response.topics[0].partitions.iter().map(|it| it.leader_id.0);
        assert_eq!(leaders.collect::<BTreeSet<_>>(), BTreeSet::from(NODES), "ids stay as they are");
    }
    for version in 0..=2 {
        let request = DescribeClusterRequest::default();
        let response = client.call(&request, version).unwrap();
        let told = response.brokers.iter().map(|it| (it.broker_id.0, it.host.to_string(), it.port));
        assert_eq!(told.collect::<BTreeSet<_>>(), expected, "DescribeCluster v{version}");
    }
    let groups = ["group-a", "group-b", "group-c"];
    let led = coordinators_of(&kafka, &groups);
    for version in 0..=6 {
        for (code, told) in coordinators(&mut client, version, &groups) {
            assert_eq!(code, 0);
            assert!(expected.contains(&told), "FindCoordinator v{version}: {told:?}");
            assert!(led.contains(&told.0), "ids stay as they are");
        }
    }
}

#[test]
fn an_answer_of_a_broker_that_does_not_lead_names_the_leader_behind_the_proxy_or_nobody() {
    let Some(kafka) = whole() else { return };
    let topic = "led-elsewhere";
    admin::create_topic(&kafka.bootstrap(), topic, 1, 1);
    let leader = admin::leader_of(&kafka.bootstrap(), topic, 0);
    let other = NODES.into_iter().find(|node| *node != leader).unwrap();
    let topic_id = admin::describe_topic(&kafka.bootstrap(), topic).topic_id;
    let at = kafka.address(leader);
    let mut direct = RawClient::connect(kafka.address(other)).unwrap();
    for (what, told) in told_by_a_follower(&mut direct, topic, topic_id, leader) {
        assert_eq!(told, [(leader, at.ip().to_string(), at.port().into())], "{what}");
    }
    // Fetched data is on its way before the address comes, so that it must not become longer there.
    for (host, fits) in [("localhost", true), ("longer-than-the-brokers-own.example", false)] {
        let variables = [("SCHEMAWARD_LISTEN__ADVERTISED_HOST", host)];
        let sidecar = Sidecar::start_with(&kafka, "", &variables);
        admin::metadata(&sidecar.bootstrap(), topic).unwrap();
        let port = i32::from(FIRST_BROKER_PORT) + leader;
        let mut client = sidecar.client_of(other);
        for (what, told) in told_by_a_follower(&mut client, topic, topic_id, leader) {
            let expected =
                (fits || what.starts_with("Produce")).then(|| (leader, host.to_owned(), port));
            assert_eq!(told, Vec::from_iter(expected), "{what} for {host}");
        }
    }
}

#[test]
fn clients_that_know_the_bootstrap_listener_alone_reach_every_leader() {
    let (Some(kafka), Some(java), Some(python)) = (whole(), Java::get(), Python::get()) else {
        return;
    };
    let sidecar = Sidecar::start(&kafka, "");
    let bootstrap = sidecar.bootstrap();
    let topic = "everywhere";
    admin::create_topic(&kafka.bootstrap(), topic, 6, 3);
    let leaders = (0..6).map(|at| admin::leader_of(&kafka.bootstrap(), topic, at));
    assert_eq!(leaders.collect::<BTreeSet<_>>(), BTreeSet::from(NODES));
    let cases = |from: &str| -> Vec<_> {
        (0..6).map(|at| case(topic, at, &format!("{from} {at}"))).collect()
    };
    let seen = java.produce(&bootstrap, &[], &cases("java"));
    assert!(seen.iter().all(|outcome| outcome.ok), "{seen:?}");
    let settings = ["enable.idempotence=true"];
    let seen = python.produce_confluent(&bootstrap, &settings, &cases("librdkafka"));
    assert!(seen.iter().all(|outcome| outcome.ok), "{seen:?}");
    for at in 0..6 {
        let stored = log_reader::stored_values(&kafka.bootstrap(), topic, at);
        let expected =
            ["java", "librdkafka"].map(|from| Some(user(&format!("{from} {at}")).into()));
        assert_eq!(stored, expected);
    }
    let all = |read: Vec<Consumed>| -> BTreeSet<_> {
        read.into_iter().map(|record| record.value.unwrap()).collect()
    };
    let sent: BTreeSet<_> = [cases("java"), cases("librdkafka")]
        .concat()
        .into_iter()
        .filter_map(|it| it.value)
        .collect();
    let protocol = ["group.protocol=consumer"];
    thread::scope(|scope| {
        let classic = scope.spawn(|| java.consume(&bootstrap, topic, "everywhere-classic", 12));
        let next =
            scope.spawn(|| java.consume_with(&bootstrap, topic, "everywhere-next", 12, &protocol));
        assert_eq!(all(classic.join().unwrap()), sent);
        assert_eq!(all(next.join().unwrap()), sent);
    });
    assert_eq!(all(java.share(&bootstrap, topic, "everywhere-share", 12)), sent);
}

#[test]
fn an_administrator_is_told_the_proxys_addresses_alone() {
    let (Some(kafka), Some(java)) = (whole(), Java::get()) else { return };
    let sidecar = Sidecar::start(&kafka, "");
    let told = java.admin_tour(&sidecar.bootstrap(), "tour");
    let expected: BTreeSet<_> = told_for(&sidecar, &NODES)
        .into_iter()
        .map(|(_, host, port)| format!("{host}:{port}"))
        .collect();
    assert_eq!(BTreeSet::from_iter(told.addresses()), expected);
    assert_eq!(told.step("createTopics")["partitions"], 3);
    let features = told.step("describeFeatures")["features"].to_string();
    assert!(features.contains("transaction.version"), "tagged fields survive: {features}");
}

#[test]
fn a_node_outside_the_map_is_left_out_and_operators_are_told() {
    let Some(kafka) = whole() else { return };
    let ports = [("SCHEMAWARD_LISTEN__BROKER_PORTS", "9100-9102")];
    let sidecar = Sidecar::start_with(&kafka, "", &ports);
    // The proxy has asked for Metadata itself before it was ready.
    let readyz = sidecar.admin("/readyz");
    assert_eq!(
        readyz.trim_end(),
        "ready, but: nodes without a local port are hidden from clients: 3; add to \
         listen.broker_ports: {nodes: 3-3, ports: 9103-9103}"
    );
    let expected = told_for(&sidecar, &[1, 2]);
    for version in [0, 9, 13] {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let response = sidecar.client().call(&request, version).unwrap();
        assert_eq!(nodes_of(&response), expected, "Metadata v{version}");
    }
    let groups: Vec<_> = (0..20).map(|number| format!("group-{number}")).collect();
    let groups: Vec<_> = groups.iter().map(String::as_str).collect();
    let led = coordinators_of(&kafka, &groups);
    let told = coordinators(&mut sidecar.client(), 6, &groups);
    for (leader, (code, told)) in led.iter().zip(told) {
        let hidden = (COORDINATOR_NOT_AVAILABLE, (-1, String::new(), -1));
        let expected = expected.iter().find(|(node, ..)| node == leader);
        assert_eq!((code, told), expected.map_or(hidden, |it| (0, it.clone())));
    }
}

#[test]
fn a_port_whose_node_is_not_known_leads_to_a_bootstrap_broker() {
    let Some(kafka) = whole() else { return };
    let sidecar = Sidecar::start(&kafka, "");
    for nobody in [0, 9] {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let response = sidecar.client_of(nobody).call(&request, 12).unwrap();
        assert_eq!(nodes_of(&response), told_for(&sidecar, &NODES), "port of node {nobody}");
    }
}

#[test]
fn clients_outlive_the_loss_of_a_broker() {
    let (Some(mut kafka), Some(java)) = (to_be_broken(), Java::get()) else { return };
    let sidecar = Sidecar::start(&kafka, "");
    let (bootstrap, direct) = (sidecar.bootstrap(), kafka.bootstrap());
    let topic = "survivor";
    admin::create_topic(&direct, topic, 3, 3);
    let lost = admin::leader_of(&direct, topic, 0);
    let alive = NODES.into_iter().find(|node| *node != lost).unwrap();
    let alive = kafka.address(alive).to_string();

    let send_round = |producer: &mut RunningProducer, round: &str| {
        let cases: Vec<_> = (0..3).map(|at| case(topic, at, &format!("{round} {at}"))).collect();
        let seen = producer.send(&cases);
        assert!(seen.iter().all(|outcome| outcome.ok), "{round}: {seen:?}");
    };
    let groups = ["survivors-a", "survivors-b", "survivors-c", "survivors-d"];
    let led = coordinators_of(&kafka, &groups);
    // Where the coordinator lives on, nothing is read twice.
    let group = groups.iter().zip(led).find(|(_, node)| *node != lost).map_or("any", |it| it.0);
    let mut producer = java.producer(&bootstrap, &[]);
    send_round(&mut producer, "before");
    thread::scope(|scope| {
        // It reads on while the broker is gone: nine records, the last ones sent after its return.
        let reader = scope.spawn(|| java.consume(&bootstrap, topic, group, 9));
        wait_until("the group reads", || {
            sidecar.proxy.metric("schemaward_requests_total{api=\"Fetch\"}") > 0.0
        });
        kafka.kill(lost);
        send_round(&mut producer, "without");
        let leader = admin::wait_for_leader(&alive, topic, 0, |leader| leader != lost);
        assert_ne!(leader, lost);
        kafka.restart(lost);
        send_round(&mut producer, "after");
        let read: BTreeSet<_> =
            reader.join().unwrap().into_iter().map(|record| record.value.unwrap()).collect();
        let rounds = ["before", "without", "after"];
        let sent = rounds.iter().flat_map(|round| (0..3).map(move |at| format!("{round} {at}")));
        assert_eq!(read, sent.map(|name| user(&name)).collect());
    });
    for at in 0..3 {
        let expected =
            ["before", "without", "after"].map(|round| Some(user(&format!("{round} {at}")).into()));
        assert_eq!(log_reader::stored_values(&alive, topic, at), expected, "partition {at}");
    }
    // The port of the broker that came back leads there again.
    wait_until("the broker is back behind its port", || {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let mut client = sidecar.client_of(lost);
        client.call(&request, 12).is_ok_and(|it| nodes_of(&it) == told_for(&sidecar, &NODES))
    });
}

/// Node id, host, port.
type Endpoint = (i32, String, i32);

/// The one cluster of these tests. Only who holds it alone may stop brokers.
fn cluster() -> Option<&'static RwLock<Kafka>> {
    static KAFKA: OnceLock<Option<RwLock<Kafka>>> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::cluster(3).map(RwLock::new)).as_ref()
}

fn whole() -> Option<RwLockReadGuard<'static, Kafka>> {
    Some(cluster()?.read().expect("no test has left the cluster broken"))
}

fn to_be_broken() -> Option<RwLockWriteGuard<'static, Kafka>> {
    Some(cluster()?.write().expect("no test has left the cluster broken"))
}

/// What clients have to be told for `nodes`.
fn told_for(sidecar: &Sidecar, nodes: &[i32]) -> BTreeSet<Endpoint> {
    let told = |node: &i32| {
        let port = i32::from(FIRST_BROKER_PORT) + node;
        (*node, sidecar.proxy.host().to_owned(), port)
    };
    nodes.iter().map(told).collect()
}

fn nodes_of(response: &MetadataResponse) -> BTreeSet<Endpoint> {
    response.brokers.iter().map(|it| (it.node_id.0, it.host.to_string(), it.port)).collect()
}

/// Code and endpoint for each group; old versions ask for the first one only.
fn coordinators(client: &mut RawClient, version: i16, groups: &[&str]) -> Vec<(i16, Endpoint)> {
    let request = FindCoordinatorRequest::default();
    if version < 4 {
        let request = request.with_key(admin::text(groups[0]));
        let it = client.call(&request, version).unwrap();
        return vec![(it.error_code, (it.node_id.0, it.host.to_string(), it.port))];
    }
    let keys = groups.iter().map(|group| admin::text(group)).collect();
    let response = client.call(&request.with_coordinator_keys(keys), version).unwrap();
    let all = response.coordinators.iter();
    all.map(|it| (it.error_code, (it.node_id.0, it.host.to_string(), it.port))).collect()
}

/// The nodes that coordinate these groups, once they do.
fn coordinators_of(kafka: &Kafka, groups: &[&str]) -> Vec<i32> {
    let mut client = RawClient::connect(kafka.address(1)).unwrap();
    let mut found = Vec::new();
    wait_until("the coordinators are there", || {
        found = coordinators(&mut client, 6, groups);
        found.iter().all(|(code, _)| *code == 0)
    });
    found.into_iter().map(|(_, (node, ..))| node).collect()
}

/// Asks a broker for the one partition of `topic` that it does not lead, in all ways whose answers name the leader's
/// address, and returns the addresses.
fn told_by_a_follower(
    client: &mut RawClient,
    topic: &str,
    topic_id: Uuid,
    leader: i32,
) -> Vec<(String, Vec<Endpoint>)> {
    let mut told = Vec::new();
    for version in 10..=13 {
        let batch = Batch::new(vec![valid("x")]).to_bytes();
        let mut request = produce::request(topic, 0, batch);
        if version >= 13 {
            request.topic_data[0].name = admin::topic_name("");
            request.topic_data[0].topic_id = topic_id;
        }
        let response = client.call(&request, version).unwrap();
        let answer = &response.responses[0].partition_responses[0];
        let codes = (answer.error_code, answer.current_leader.leader_id.0);
        assert_eq!(codes, (NOT_LEADER, leader), "Produce v{version}");
        let nodes = response.node_endpoints.iter();
        let nodes = nodes.map(|it| (it.node_id.0, it.host.to_string(), it.port)).collect();
        told.push((format!("Produce v{version}"), nodes));
    }
    for version in 16..=18 {
        let response = client.call(&fetch(topic_id), version).unwrap();
        let answer = &response.responses[0].partitions[0];
        let codes = (answer.error_code, answer.current_leader.leader_id.0);
        assert_eq!(codes, (NOT_LEADER, leader), "Fetch v{version}");
        let nodes = response.node_endpoints.iter();
        let nodes = nodes.map(|it| (it.node_id.0, it.host.to_string(), it.port)).collect();
        told.push((format!("Fetch v{version}"), nodes));
    }
    let response = client.call(&share_fetch(topic_id), 1).unwrap();
    let answer = &response.responses[0].partitions[0];
    let codes = (answer.error_code, answer.current_leader.leader_id);
    assert_eq!(codes, (NOT_LEADER, leader), "ShareFetch");
    let nodes = response.node_endpoints.iter();
    let nodes = nodes.map(|it| (it.node_id.0, it.host.to_string(), it.port)).collect();
    told.push(("ShareFetch v1".to_owned(), nodes));
    told
}

fn fetch(topic_id: Uuid) -> FetchRequest {
    let wanted =
        FetchPartition::default().with_current_leader_epoch(-1).with_partition_max_bytes(1_000);
    let topic = FetchTopic::default().with_topic_id(topic_id).with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1_000)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The first request of a member that nobody has heard of: the broker does not ask the coordinator about it.
fn share_fetch(topic_id: Uuid) -> ShareFetchRequest {
    let wanted = share_fetch_request::FetchPartition::default();
    let topic = share_fetch_request::FetchTopic::default()
        .with_topic_id(topic_id)
        .with_partitions(vec![wanted]);
    ShareFetchRequest::default()
        .with_group_id(Some(GroupId(admin::text("strangers"))))
        .with_member_id(Some(admin::text("c3RyYW5nZXItbWVtYmVyMQ")))
        .with_share_session_epoch(0)
        .with_max_bytes(1_000)
        .with_max_records(10)
        .with_batch_size(10)
        .with_topics(vec![topic])
}

fn valid(name: &str) -> Record {
    Record::new(user(name)).header("content-type", "avro").header("schema-id", "1")
}

fn case(topic: &str, partition: i32, name: &str) -> Case {
    let case = Case::new(topic, &user(name)).partition(partition);
    case.header("content-type", "avro").header("schema-id", "1")
}
