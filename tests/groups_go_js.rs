//! Promise: groups and administrators that speak through franz-go, sarama and kafkajs work in front of a cluster as they
//! come, and none of them ever dials a broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};
use support::batch::{Batch, Record};
use support::foreign::Phase;
use support::kafka;
use support::library::{NODES, case, libraries};
use support::raw_client::RawClient;
use support::sidecar::{Sidecar, user, wait_until};
use support::{admin, go, produce};

mod support;

#[test]
#[ignore = "long: scripts/full runs it"]
fn a_group_shares_the_partitions_out_when_members_come_and_go() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    for library in libraries() {
        let next = ("protocol=consumer", "ConsumerGroupHeartbeat");
        let classic = ("protocol=classic", "JoinGroup");
        let all = if library.name == "franz" { vec![classic, next] } else { vec![classic] };
        for (protocol, api) in all {
            let sidecar = Sidecar::start(kafka, "");
            let topic = format!("group-{}-{api}", library.name);
            admin::create_topic(&kafka.bootstrap(), &topic, 4, 3);
            let cases: Vec<_> = (0..4).map(|at| case(&topic, at, "x")).collect();
            let program = library.program.behind(&sidecar, &NODES);
            let phases = program.rebalance(&[protocol], &topic, &format!("{topic}-group"), &cases);
            let names: Vec<_> = phases.iter().map(|phase| phase.phase.as_str()).collect();
            assert_eq!(names, ["alone", "together", "alone again"], "{topic}");
            for (phase, offset) in phases.iter().zip(0..) {
                check_phase(phase, offset);
            }
            assert_eq!(phases[1].owned.len(), 2, "{:?}", phases[1]);
            let requests = format!("schemaward_requests_total{{api=\"{api}\"}}");
            assert!(sidecar.proxy.metric(&requests) > 0.0, "{topic} is of that protocol");
        }
    }
}

/// Each of the four partitions is owned, and its owner has read the record at `offset`.
fn check_phase(phase: &Phase, offset: i64) {
    let owned: Vec<_> = phase.owned.values().flatten().copied().collect();
    assert_eq!(BTreeSet::from_iter(owned), BTreeSet::from([0, 1, 2, 3]), "{phase:?}");
    let read: Vec<_> = phase.read.iter().map(|it| (&it.member, it.partition, it.offset)).collect();
    for (member, owned) in &phase.owned {
        for at in owned {
            assert!(read.contains(&(member, *at, offset)), "{member} of {at}: {phase:?}");
        }
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn consumers_read_keys_nulls_and_repeated_headers_as_they_are_stored() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    let topic = "odd-records";
    // The time stamps of hand-made batches are older than what brokers keep by default.
    let forever = [("retention.ms", "-1")];
    admin::create_topic_with(&kafka.bootstrap(), topic, 1, 3, &forever);
    let odd = [
        ("z".to_owned(), Some(vec![1])),
        ("z".to_owned(), None),
        ("a".to_owned(), Some(vec![0xff, 0])),
        (String::new(), Some(Vec::new())),
    ];
    let mut first = Record::new("").key("k");
    first.headers =
        odd.iter().map(|(name, it)| (name.clone(), it.clone().map(Bytes::from))).collect();
    let batch = Batch::new(vec![first, Record::default().key(""), Record::new("plain")]);
    let leader = admin::leader(&kafka.bootstrap(), topic, 0).unwrap().1;
    let mut direct = RawClient::connect(leader).unwrap();
    assert_eq!(produce::call(&mut direct, topic, 0, batch.to_bytes(), 9).error_code, 0);
    for library in libraries() {
        let program = library.program.behind(&sidecar, &NODES);
        let kinds = if library.name == "franz" {
            &["classic", "consumer", "share"][..]
        } else {
            &["classic"]
        };
        for kind in kinds {
            let group = format!("{}-{kind}", library.name);
            let read = program.consume(&[&format!("protocol={kind}")], topic, &group, 3);
            let seen: Vec<_> =
                read.iter().map(|it| (it.key.as_deref(), it.value.as_deref())).collect();
            let expected =
                [(Some(&b"k"[..]), Some(&b""[..])), (Some(b""), None), (None, Some(b"plain"))];
            assert_eq!(seen, expected, "{group}");
            assert_eq!(read[0].headers, odd, "{group}");
        }
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn a_share_group_of_franz_go_reads_on_behind_what_it_has_accepted() {
    let (Some(kafka), Some(franz)) = (kafka::shared_cluster(), go::franz()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    let topic = "shared-by-franz";
    admin::create_topic(&kafka.bootstrap(), topic, 1, 3);
    let program = franz.behind(&sidecar, &NODES);
    for (offset, name) in (0..).zip(["a", "b", "c"]) {
        assert!(program.produce(&[], &[&[case(topic, 0, name)]]).outcomes[0].ok);
        let read = program.consume(&["protocol=share"], topic, "sharers", 1);
        let seen: Vec<_> = read.iter().map(|it| (it.offset, it.value.clone())).collect();
        assert_eq!(seen, [(offset, Some(user(name)))]);
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn administrators_are_told_the_proxys_addresses_alone() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    let expected = BTreeSet::from(NODES.map(|node| sidecar.proxy.node(node as u16)));
    for library in libraries() {
        let (topic, group) =
            (format!("tour-{}", library.name), format!("tourists-{}", library.name));
        admin::create_topic(&kafka.bootstrap(), &topic, 3, 3);
        let tour = library.program.behind(&sidecar, &NODES).admin_tour(&topic, &group);
        let told = tour.values().filter_map(|step| step["addresses"].as_array()).flatten();
        let told: BTreeSet<_> = told.map(|it| it.as_str().unwrap().to_owned()).collect();
        assert_eq!(told, expected, "{}", library.name);
        assert_eq!(tour["describeCluster"]["nodes"], json!(NODES), "{}", library.name);
        assert_eq!(tour["describeTopics"]["nodes"], json!(NODES), "{}", library.name);
        assert!(has(&tour["describeTopics"]["topics"], &topic), "{}", library.name);
        assert_eq!(tour["describeConfigs"]["cleanup.policy"], "delete", "{}", library.name);
        assert!(has(&tour["listGroups"]["groups"], &group), "{}", library.name);
        assert_eq!(tour["describeGroups"]["state"], "Empty", "{}", library.name);
        let new = format!("{topic}-new");
        let known = |topic: &str| admin::describe_topic(&kafka.bootstrap(), topic).partitions.len();
        wait_until("the topic is created", || known(&new) == 3);
        wait_until("the topic is deleted", || known(&topic) == 0);
    }
}

fn has(list: &Value, text: &str) -> bool {
    list.as_array().unwrap().iter().any(|it| it == text)
}
