//! Earlier versions: of brokers with the clients of today, and of Java clients with the brokers of today.

use super::support::case::{Case, Outcome};
use super::support::java;
use super::support::kafka::{Kafka, Options};
use super::support::sidecar::user;
use super::{World, broken, cluster, groups, producing, transactions, valid};

#[test]
#[ignore = "long: scripts/full runs it"]
fn the_clients_of_today_work_with_earlier_brokers() {
    for (version, brokers) in [("3.9.2", 3), ("3.3.2", 1)] {
        let options = Options { brokers, version: Some(version), ..Options::default() };
        let Some(kafka) = Kafka::with(&options) else { return };
        let Some(world) = World::of(&kafka, java::CURRENT) else { return };
        producing::check_producers(&world);
        groups::check_group(&world, "groups-java", |world, topic| {
            world.java.member(&world.bootstrap(), topic, topic, &[])
        });
        groups::check_group(&world, "groups-confluent", |world, topic| {
            world.python.member("confluent", &world.bootstrap(), topic, topic, &[])
        });
        transactions::check_java(&world);
        transactions::check_librdkafka(&world);
        world.assert_only_the_proxy_was_dialled();
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn earlier_java_clients_work_with_the_brokers_of_today() {
    for version in EARLIER_CLIENTS {
        let Some(world) = cluster().and_then(|kafka| World::of(kafka, version)) else { return };
        let topic = format!("earlier-{version}");
        groups::check_group(&world, &topic, |world, topic| {
            world.java.member(&world.bootstrap(), topic, topic, &[])
        });
        world.assert_only_the_proxy_was_dialled();
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn what_an_idempotent_producer_of_any_version_has_acknowledged_is_stored_once_and_in_order() {
    for version in EARLIER_CLIENTS.into_iter().chain([java::CURRENT]) {
        let Some(world) = cluster().and_then(|kafka| World::of(kafka, version)) else { return };
        for round in 0..ROUNDS {
            let topic = format!("idempotent-java-{version}-{round}");
            check_pipelined(&world, &topic, |bootstrap, cases| {
                // Batches of one record each, five under way at once.
                let settings = ["enable.idempotence=true", "acks=all", "batch.size=1"];
                world.java.produce(bootstrap, &settings, cases)
            });
        }
    }
    let Some(world) = World::start() else { return };
    for round in 0..ROUNDS {
        check_pipelined(&world, &format!("idempotent-confluent-{round}"), |bootstrap, cases| {
            let settings = ["enable.idempotence=true", "batch.num.messages=1"];
            world.python.produce_confluent(bootstrap, &settings, cases)
        });
    }
}

/// Sends good and bad batches mixed, many under way at once.
fn check_pipelined(world: &World<'_>, topic: &str, send: impl Fn(&str, &[Case]) -> Vec<Outcome>) {
    world.create_topic(topic, 1);
    let is_bad = |number: usize| number % 7 == 3 || number % 50 < 3;
    let cases: Vec<_> = (0..RECORDS)
        .map(|number| match is_bad(number) {
            true => broken(topic, 0),
            false => valid(topic, 0, &number.to_string()),
        })
        .collect();
    let seen = send(&world.bootstrap(), &cases);
    let mut acknowledged = Vec::new();
    for (number, outcome) in seen.iter().enumerate() {
        assert_eq!(outcome.ok, !is_bad(number), "{topic}: record {number}: {outcome:?}");
        if outcome.ok {
            acknowledged.push(Some(user(&number.to_string()).into()));
        }
    }
    let stored = world.stored(topic, 0);
    let first =
        stored.iter().zip(&acknowledged).position(|(stored, acknowledged)| stored != acknowledged);
    assert_eq!((stored.len(), first), (acknowledged.len(), None), "{topic}");
}

/// With Kafka 4, brokers take clients from 2.1 on.
const EARLIER_CLIENTS: [&str; 3] = ["2.4.1", "2.8.2", "3.9.2"];
const RECORDS: usize = 200;
const ROUNDS: usize = 3;
