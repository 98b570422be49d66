//! Promise: franz-go, sarama and kafkajs work in front of a cluster as they come: what they send without fault is stored
//! once, nothing else is, and none of them ever dials a broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use bytes::Bytes;
use support::batch::{Batch, Codec};
use support::case::{Case, Outcome};
use support::kafka::{self, Kafka};
use support::library::{Library, NODES, broken, case, libraries};
use support::sidecar::{Sidecar, user};
use support::{admin, log_reader, node};

mod support;

const INVALID_RECORD: i32 = 87;

#[test]
#[ignore = "long: scripts/full runs it"]
fn what_is_sent_without_fault_is_stored_once_and_what_is_broken_never() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    for library in libraries() {
        for idempotent in [false, true] {
            // An idempotent kafkajs is a case of its own, below.
            if !(idempotent && library.fails_whole_calls) {
                check_mixed(kafka, &sidecar, &library, idempotent);
            }
        }
    }
}

fn check_mixed(kafka: &Kafka, sidecar: &Sidecar, library: &Library, idempotent: bool) {
    let (direct, topic) = (kafka.bootstrap(), format!("mixed-{}-{idempotent}", library.name));
    admin::create_topic(&direct, &topic, 6, 3);
    let round = |name: &str| -> Vec<_> {
        (0..6).map(|at| case(&topic, at, &format!("{name} {at}"))).collect()
    };
    let bad = [case(&topic, 0, "before"), broken(&topic, 0, "bad"), case(&topic, 0, "after")];
    let mixed = [&bad[..], &round("mixed")[1..]].concat();
    let groups = [&round("first")[..], &mixed, &round("next"), &round("last")];
    let idempotence = format!("idempotent={idempotent}");
    let seen = library.program.behind(sidecar, &NODES).produce(&[&idempotence], &groups);
    let everywhere: BTreeSet<_> =
        NODES.map(|node| sidecar.proxy.node(node as u16)).into_iter().collect();
    assert!(seen.dialled.is_superset(&everywhere), "{topic}: {:?}", seen.dialled);
    for (at, outcome) in seen.outcomes.iter().enumerate() {
        let refused = if library.fails_whole_calls { 6..14 } else { 6..9 };
        if refused.contains(&at) {
            assert_refused(library, outcome);
        } else {
            assert!(outcome.ok, "{topic} {at}: {outcome:?}");
        }
    }
    for at in 0..6 {
        let rounds = if at == 0 { &["first", "next", "last"][..] } else { &ROUNDS };
        let expected: Vec<_> = rounds.iter().map(|name| stored(&format!("{name} {at}"))).collect();
        assert_eq!(log_reader::stored_values(&direct, &topic, at), expected, "{topic}-{at}");
    }
    assert_eq!(sidecar.rejected(&topic, "payload_invalid"), 1.0, "{topic}");
}

const ROUNDS: [&str; 4] = ["first", "mixed", "next", "last"];

#[test]
#[ignore = "long: scripts/full runs it"]
fn a_refusal_does_to_a_client_what_a_brokers_own_does() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    for library in libraries() {
        for idempotent in [false, true] {
            let name = format!("{}-{idempotent}", library.name);
            let settings = [&*format!("idempotent={idempotent}")];
            // The broker refuses records without a key here, with the same code.
            let compact = [("cleanup.policy", "compact")];
            let (judged, compacted) = (format!("judged-{name}"), format!("compacted-{name}"));
            admin::create_topic(&kafka.bootstrap(), &judged, 6, 3);
            admin::create_topic_with(&kafka.bootstrap(), &compacted, 6, 3, &compact);
            let keyless = |topic: &str, at| Case { key: None, ..case(topic, at, "bad") };
            let (ours, stored_ours) = {
                let program = library.program.behind(&sidecar, &NODES);
                let groups = refused_once(kafka, &judged, |at| broken(&judged, at, "bad"));
                let groups: Vec<_> = groups.iter().map(Vec::as_slice).collect();
                (program.produce(&settings, &groups), by_role(kafka, &judged))
            };
            let (theirs, stored_theirs) = {
                let program = library.program.beside(kafka);
                let groups = refused_once(kafka, &compacted, |at| keyless(&compacted, at));
                let groups: Vec<_> = groups.iter().map(Vec::as_slice).collect();
                (program.produce(&settings, &groups), by_role(kafka, &compacted))
            };
            let leaders = roles(kafka, &compacted)
                .map(|at| admin::leader(&kafka.bootstrap(), &compacted, at).unwrap().1.to_string());
            let shows = leaders.iter().all(|leader| theirs.dialled.contains(leader));
            assert!(shows, "{name} hides what it dials: {:?}", theirs.dialled);
            assert_refused(&library, &ours.outcomes[4]);
            assert_eq!(ours.outcomes, theirs.outcomes, "{name}");
            assert_eq!(stored_ours, stored_theirs, "{name}");
        }
    }
}

/// Seen with a broker's own refusals alike: what kafkajs calls an error was stored in part, it takes the sequence numbers
/// of all back, and the broker takes what comes next for a repetition of what it has.
#[test]
#[ignore = "long: scripts/full runs it"]
fn an_idempotent_kafkajs_needs_one_send_for_each_partition() {
    let (Some(kafka), Some(kafkajs)) = (kafka::shared_cluster(), node::kafkajs()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    for (each, lost) in [("each=false", true), ("each=true", false)] {
        let topic = format!("kafkajs-{each}").replace('=', "-");
        admin::create_topic(&kafka.bootstrap(), &topic, 6, 3);
        let groups = refused_once(kafka, &topic, |at| broken(&topic, at, "bad"));
        let groups: Vec<_> = groups.iter().map(Vec::as_slice).collect();
        let program = kafkajs.behind(&sidecar, &NODES);
        let seen = program.produce(&[each, "idempotent=true"], &groups).outcomes;
        // The third round's record for the partition whose leader has refused another one.
        let outcome = &seen[8];
        assert!(outcome.ok, "{each}: {outcome:?}");
        let [_, same_leader, _] = by_role(kafka, &topic);
        let is_there = same_leader.contains(&stored("third"));
        assert_eq!(!is_there, lost, "{each}: {outcome:?}, {same_leader:?}");
    }
}

/// Three rounds over three partitions: one, another of the same leader, one of another leader. In the second round one
/// record of the first partition is bad.
fn refused_once(kafka: &Kafka, topic: &str, bad: impl Fn(i32) -> Case) -> [Vec<Case>; 3] {
    let roles = roles(kafka, topic);
    let round = |name: &str| -> Vec<_> { roles.map(|at| case(topic, at, name)).into() };
    let mut second = round("second");
    second.insert(1, bad(roles[0]));
    [round("first"), second, round("third")]
}

/// What is stored in each of these three partitions.
fn by_role(kafka: &Kafka, topic: &str) -> [Vec<Option<Bytes>>; 3] {
    roles(kafka, topic).map(|at| log_reader::stored_values(&kafka.bootstrap(), topic, at))
}

fn roles(kafka: &Kafka, topic: &str) -> [i32; 3] {
    let leader = |at: &i32| admin::leader_of(&kafka.bootstrap(), topic, *at);
    let first = leader(&0);
    let same = (1..6).find(|at| leader(at) == first).expect("six partitions on three nodes");
    let other = (1..6).find(|at| leader(at) != first).expect("six partitions on three nodes");
    [0, same, other]
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn batches_of_every_codec_are_judged_and_stored_as_sent() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    let direct = kafka.bootstrap();
    for library in libraries() {
        let topic = format!("codecs-{}", library.name);
        admin::create_topic(&direct, &topic, 10, 1);
        for (name, at) in library.codecs.iter().zip(0..) {
            let good = [case(&topic, at, "a"), case(&topic, at, "b")];
            let bad = [case(&topic, at + 5, "c"), broken(&topic, at + 5, "bad")];
            let compression = format!("compression={name}");
            let program = library.program.behind(&sidecar, &NODES);
            let seen = program.produce(&[&compression], &[&good, &bad]).outcomes;
            assert!(seen[..2].iter().all(|outcome| outcome.ok), "{topic} {name}: {seen:?}");
            seen[2..].iter().for_each(|outcome| assert_refused(&library, outcome));
            let batches = log_reader::stored_batches_raw(&direct, &topic, at);
            let [batch] = &batches[..] else { panic!("{name}: {} batches", batches.len()) };
            let (_, codec) = Codec::NAMED.into_iter().find(|named| named.0 == *name).unwrap();
            assert_eq!(Batch::from_bytes(batch).codec, codec, "{topic}");
            let values = log_reader::stored_values(&direct, &topic, at);
            assert_eq!(values, [stored("a"), stored("b")], "{topic} {name}");
            assert_eq!(log_reader::stored(&direct, &topic, at + 5), [], "{topic} {name}");
        }
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn of_a_hundred_pipelined_sends_those_that_are_acknowledged_are_stored_once_and_in_order() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    for library in libraries() {
        for idempotent in [false, true] {
            let topic = format!("pipelined-{}-{idempotent}", library.name);
            admin::create_topic(&kafka.bootstrap(), &topic, 6, 3);
            // Every seventh is bad, in the first three partitions alone.
            let is_bad = |number: i32| number % 7 == 3 && number % 6 < 3;
            let cases: Vec<_> = (0..100)
                .map(|number| {
                    let (at, name) = (number % 6, format!("number {number}"));
                    if is_bad(number) { broken(&topic, at, &name) } else { case(&topic, at, &name) }
                })
                .collect();
            let settings = ["each=true", &*format!("idempotent={idempotent}")];
            let seen = library.program.behind(&sidecar, &NODES).produce(&settings, &[&cases]);
            for (number, outcome) in (0..).zip(&seen.outcomes) {
                assert!(!(outcome.ok && is_bad(number)), "{topic} {number}: {outcome:?}");
                assert!(outcome.ok || number % 6 < 3, "{topic} {number}: {outcome:?}");
            }
            for at in 0..6 {
                check_pipelined(kafka, &topic, at, &cases, &seen.outcomes, idempotent);
            }
        }
    }
}

fn check_pipelined(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    cases: &[Case],
    outcomes: &[Outcome],
    in_order: bool,
) {
    let values = log_reader::stored_values(&kafka.bootstrap(), topic, partition);
    let of_partition = || {
        let all = cases.iter().zip(outcomes);
        all.filter(|(case, _)| case.partition == partition)
    };
    let acknowledged: Vec<_> =
        of_partition().filter(|(_, outcome)| outcome.ok).map(|(case, _)| value(case)).collect();
    for (case, outcome) in of_partition().filter(|(_, outcome)| outcome.ok) {
        let at = usize::try_from(outcome.offset.unwrap()).unwrap();
        assert_eq!(values[at], value(case), "{topic}-{partition}");
    }
    let known: Vec<_> =
        values.iter().filter(|stored| acknowledged.contains(stored)).cloned().collect();
    if in_order {
        assert_eq!(known, acknowledged, "{topic}-{partition}: once and in order");
    } else {
        assert_eq!(sorted(known), sorted(acknowledged), "{topic}-{partition}: once");
    }
    // Clients may say of a good record that nothing is known of it, never of a bad one that it is stored.
    let bad: Vec<_> = of_partition().map(|(case, _)| value(case)).filter(is_broken).collect();
    assert!(!values.iter().any(|stored| bad.contains(stored)), "{topic}-{partition}");
    if partition < 3 {
        assert!(!bad.is_empty(), "{topic}-{partition} was sent bad records");
    }
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn transactions_commit_abort_after_a_refusal_and_go_on() {
    let Some(kafka) = kafka::shared_cluster() else { return };
    let sidecar = Sidecar::start(kafka, "");
    for library in libraries() {
        let topic = format!("transactions-{}", library.name);
        admin::create_topic(&kafka.bootstrap(), &topic, 2, 3);
        let both = |name: &str| [case(&topic, 0, name), case(&topic, 1, name)];
        // What is stored of this one beside the refusal is aborted with it.
        let refused = [case(&topic, 1, "lost"), broken(&topic, 0, "bad"), case(&topic, 0, "lost")];
        let groups = [&both("a")[..], &refused, &both("b"), &both("c")];
        let id = format!("transactional.id={}", library.name);
        let program = library.program.behind(&sidecar, &NODES);
        let seen = program.produce(&[&id], &groups);
        assert_eq!(seen.transactions, ENDS, "{topic}: {seen:?}");
        assert_refused(&library, &seen.outcomes[3]);
        for at in [0, 1, 5, 6, 7, 8] {
            assert!(seen.outcomes[at].ok, "{topic} {at}: {:?}", seen.outcomes[at]);
        }
        let committed_only = ["isolation=read_committed"];
        let read = program.consume(&committed_only, &topic, &format!("{topic}-readers"), 6);
        for at in 0..2 {
            let of_partition = read.iter().filter(|record| record.partition == at);
            let values: Vec<_> = of_partition.map(|it| it.value.clone().unwrap()).collect();
            assert_eq!(values, ["a", "b", "c"].map(user), "{topic}-{at}");
        }
        let values = log_reader::stored_values(&kafka.bootstrap(), &topic, 0);
        assert_eq!(values, ["a", "b", "c"].map(stored), "nothing of the refused batch");
    }
}

const ENDS: [&str; 4] = ["committed", "aborted", "committed", "committed"];

fn assert_refused(library: &Library, outcome: &Outcome) {
    let told = (outcome.ok, outcome.error.as_deref(), outcome.code);
    assert_eq!(told, (false, Some(library.error), Some(INVALID_RECORD)), "{outcome:?}");
}

fn value(case: &Case) -> Option<Bytes> {
    case.value.clone().map(Bytes::from)
}

/// What is stored of [`case`].
fn stored(name: &str) -> Option<Bytes> {
    Some(user(name).into())
}

fn is_broken(value: &Option<Bytes>) -> bool {
    // The age that ends every whole one.
    value.as_ref().is_some_and(|datum| datum.last() != Some(&(36 << 1)))
}

fn sorted(mut values: Vec<Option<Bytes>>) -> Vec<Option<Bytes>> {
    values.sort();
    values
}
