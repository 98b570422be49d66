//! Producing to all leaders of a cluster: what is valid is stored, what is not is refused in the client's own words.

use super::support::case::{Case, Outcome};
use super::{World, all_ok, broken, users, valid};

const PARTITIONS: i32 = 6;

#[test]
fn every_client_stores_valid_records_at_every_leader_and_is_told_of_broken_ones() {
    let Some(world) = World::start() else { return };
    check_producers(&world);
}

/// Sends good and bad records to every partition with every library.
pub(super) fn check_producers(world: &World<'_>) {
    let bootstrap = world.bootstrap();
    let idempotent = ["enable.idempotence=true"];
    type Send<'w> = Box<dyn Fn(&[Case]) -> Vec<Outcome> + 'w>;
    let clients: [(&str, &str, Option<i32>, Send<'_>); 4] = [
        (
            "java",
            "InvalidRecordException",
            Some(87),
            Box::new(|cases| world.java.produce(&bootstrap, &["each=true"], cases)),
        ),
        (
            "confluent",
            "INVALID_RECORD",
            Some(87),
            Box::new(|cases| world.python.produce_confluent(&bootstrap, &[], cases)),
        ),
        (
            "confluent-idempotent",
            "INVALID_RECORD",
            Some(87),
            Box::new(|cases| world.python.produce_confluent(&bootstrap, &idempotent, cases)),
        ),
        (
            "aiokafka",
            "UnknownError",
            Some(-1),
            // With acks=1, its default, records are acknowledged before they can be read.
            Box::new(|cases| world.python.produce_aiokafka(&bootstrap, &["acks=\"all\""], cases)),
        ),
    ];
    for (client, error, code, send) in clients {
        let topic = format!("producing-{client}");
        world.create_topic(&topic, PARTITIONS);
        let good: Vec<_> = (0..PARTITIONS).map(|at| valid(&topic, at, "good")).collect();
        let bad: Vec<_> = (0..PARTITIONS).map(|at| broken(&topic, at)).collect();
        // One client after the other, so that a batch has one record.
        let seen = send(&good);
        assert!(all_ok(&seen), "{client}: {seen:?}");
        for outcome in send(&bad) {
            let told = (outcome.error.as_deref(), outcome.code);
            assert_eq!(told, (Some(error), code), "{client}: {outcome:?}");
        }
        for at in 0..PARTITIONS {
            assert_eq!(world.stored(&topic, at), users(&["good"]), "{client}, partition {at}");
        }
        let refused = world.sidecar.rejected(&topic, "payload_invalid");
        assert_eq!(refused, f64::from(PARTITIONS), "{client}: refused once and not sent again");
    }
    world.assert_only_the_proxy_was_dialled();
}

#[test]
fn an_idempotent_aiokafka_producer_has_to_be_made_anew_after_a_refusal() {
    let Some(world) = World::start() else { return };
    let topic = "producing-aiokafka-idempotent";
    world.create_topic(topic, 1);
    let settings = ["enable_idempotence=true"];
    let cases =
        [valid(topic, 0, "a"), broken(topic, 0), valid(topic, 0, "b"), valid(topic, 0, "c")];
    let seen = world.python.produce_aiokafka(&world.bootstrap(), &settings, &cases);
    let told: Vec<_> = seen.iter().map(|outcome| outcome.error.as_deref()).collect();
    let out_of_order = Some("OutOfOrderSequenceNumber");
    assert_eq!(told, [None, Some("UnknownError"), out_of_order, out_of_order], "{seen:?}");
    let seen = world.python.produce_aiokafka(&world.bootstrap(), &settings, &cases[2..]);
    assert!(all_ok(&seen), "a new producer: {seen:?}");
    assert_eq!(world.stored(topic, 0), users(&["a", "b", "c"]));
}

#[test]
fn of_a_batch_with_several_bad_records_librdkafka_says_which_they_are() {
    let Some(world) = World::start() else { return };
    let topic = "producing-several-bad";
    world.create_topic(topic, 1);
    let cases = [broken(topic, 0), valid(topic, 0, "beside"), broken(topic, 0)];
    let seen = world.python.produce_confluent(&world.bootstrap(), &["linger.ms=1000"], &cases);
    let codes: Vec<_> = seen.iter().map(|outcome| outcome.code).collect();
    assert_eq!(codes, [Some(87), Some(INVALID_DIFFERENT_RECORD), Some(87)], "{seen:?}");
    assert_eq!(world.stored(topic, 0), []);
}

/// librdkafka's own code for a good record in a batch that was refused for others.
const INVALID_DIFFERENT_RECORD: i32 = -138;
