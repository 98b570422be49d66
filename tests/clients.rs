//! Promise: real producers and consumers work through the proxy as they come, with the defaults of their libraries; what
//! they send without fault is stored as they sent it, and nothing else is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use bytes::Bytes;
use serde_json::json;
use support::batch::{Batch, Codec};
use support::case::{Case, Outcome};
use support::java::Java;
use support::kafka::{self, Kafka};
use support::my_schema_server::Documented;
use support::python::Python;
use support::registry::Mood;
use support::sidecar::{Sidecar, user, wait_until};
use support::{admin, log_reader};

mod support;

/// What a dataclasses-avroschema user sees of a broker's or our refusal: aiokafka 0.14 has no class for 87.
const REFUSED: &str = "UnknownError";

/// The cases of `tests/python/events.py` in the order in which they are sent, and whether they are valid.
const EVENTS: [(&str, bool); 10] = [
    ("valid_avro", true),
    ("without_schema_id", false),
    ("valid_avro_json", true),
    ("without_metadata", false),
    ("truncated", false),
    ("valid_serialization_type", true),
    ("wrong_schema", false),
    ("wrong_type_in_avro_json", false),
    ("valid_avro", true),
    ("valid_avro_json", true),
];

#[test]
fn events_of_the_streaming_example_pass_and_broken_ones_are_refused() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    for (path, schema) in event_schemas(&python) {
        sidecar.registry.document(path, &schema);
    }
    let python = python.schemas_at(&sidecar.registry.url());
    check_events(kafka, &python, &sidecar.bootstrap(), "events");
    for (reason, count) in
        [("missing_schema_id", 1.0), ("missing_content_type", 1.0), ("payload_invalid", 3.0)]
    {
        assert_eq!(sidecar.rejected("events", reason), count, "{reason}");
    }
}

#[test]
fn the_streaming_example_needs_no_change_but_its_bootstrap_servers() {
    let (Some(kafka), Some(java), Some(python)) =
        (kafka::shared_single(), Java::get(), Python::get())
    else {
        return;
    };
    let schemas = event_schemas(&python);
    let Some(documented) = Documented::start(kafka, &java, &schemas) else { return };
    check_events(kafka, &python, &documented.bootstrap(), "events-as-documented");
}

fn event_schemas(python: &Python) -> [(&'static str, String); 2] {
    [("users/schema.avsc", "UserModel"), ("orders/schema.avsc", "OrderModel")]
        .map(|(path, model)| (path, python.schema_of(model)))
}

/// Sends all [`EVENTS`] to `topic` through the proxy at `bootstrap`, and reads those that are left through it.
fn check_events(kafka: &Kafka, python: &Python, bootstrap: &str, topic: &str) {
    let (direct, beside) = (kafka.bootstrap(), format!("{topic}-direct"));
    for topic in [topic, &beside] {
        admin::create_topic(&direct, topic, 1, 1);
    }
    let seen = python.produce_events(bootstrap, topic, &[], &EVENTS.map(|(name, _)| name));
    for ((name, ok), outcome) in EVENTS.iter().zip(&seen) {
        assert_eq!(outcome.ok, *ok, "{name}: {outcome:?}");
        assert_eq!(outcome.error.as_deref(), (!ok).then_some(REFUSED), "{name}");
    }
    // The same library without the proxy says what the bytes have to be.
    let valid: Vec<_> = EVENTS.iter().filter(|(_, ok)| *ok).map(|(name, _)| *name).collect();
    let sent = python.produce_events(&direct, &beside, &[], &valid);
    assert!(sent.iter().all(|outcome| outcome.ok), "{sent:?}");
    assert_eq!(contents_of(&direct, topic, 0), contents_of(&direct, &beside, 0));

    let read = python.consume_events(bootstrap, topic, valid.len());
    let bob = json!({"name": "bob", "age": 5, "accounts": {"key": 1}});
    assert_eq!(read.iter().map(|line| &line["event"]).collect::<Vec<_>>(), vec![&bob; valid.len()]);
}

#[test]
fn librdkafka_stores_valid_batches_of_every_codec_and_is_told_of_bad_ones() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    let direct = kafka.bootstrap();
    for (name, codec) in Codec::NAMED {
        for idempotent in [false, true] {
            let topic = format!("librdkafka-{name}-{idempotent}");
            admin::create_topic(&direct, &topic, 2, 1);
            let compression = format!("compression.type={name}");
            let idempotence = format!("enable.idempotence={idempotent}");
            let settings = ["linger.ms=1000", &compression, &idempotence];
            let good = [case(&topic, 0, "a"), case(&topic, 0, "b"), case(&topic, 0, "c")];
            let bad = broken(&topic, 1);
            let mixed = [case(&topic, 1, "d"), bad.clone(), case(&topic, 1, "e")];
            let cases = [&good[..], &mixed[..]].concat();
            let seen = python.produce_confluent(&sidecar.bootstrap(), &settings, &cases);
            assert!(seen[..3].iter().all(|outcome| outcome.ok), "{topic}: {seen:?}");
            let codes: Vec<_> = seen[3..].iter().map(|outcome| outcome.code).collect();
            assert_eq!(codes, [Some(87); 3], "{topic}: a batch is atomic: {seen:?}");

            let batches = log_reader::stored_batches_raw(&direct, &topic, 0);
            let [batch] = &batches[..] else { panic!("{topic}: {} batches", batches.len()) };
            let batch = Batch::from_bytes(batch);
            assert_eq!(batch.codec, codec, "{topic}");
            assert_eq!(batch.producer_id >= 0, idempotent, "{topic}");
            assert_eq!(contents_of(&direct, &topic, 0), good.map(content), "{topic}");
            assert_eq!(log_reader::stored(&direct, &topic, 1), [], "{topic}");
            assert_eq!(sidecar.rejected(&topic, "payload_invalid"), 1.0, "{topic}");
        }
    }
}

#[test]
fn a_java_producer_is_told_which_record_is_bad_and_goes_on() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    let direct = kafka.bootstrap();
    let topic = "java-defaults";
    admin::create_topic(&direct, topic, 2, 1);
    let mut producer = java.producer(&sidecar.bootstrap(), &["linger.ms=60000"]);

    assert_stored(&producer.send(&[case(topic, 0, "a"), case(topic, 0, "b")]), 0);
    let seen = producer.send(&[
        case(topic, 0, "with"),
        broken(topic, 0),
        case(topic, 0, "after"),
        case(topic, 1, "elsewhere"),
    ]);
    let bad = &seen[1];
    assert_eq!(
        (bad.error.as_deref(), bad.code),
        (Some("InvalidRecordException"), Some(87)),
        "{bad:?}"
    );
    let message = bad.message.as_deref().unwrap();
    assert!(message.contains("payload_invalid: record 1: age at byte 5: "), "{message}");
    for neighbour in [&seen[0], &seen[2]] {
        assert!(!neighbour.ok, "a batch is atomic: {neighbour:?}");
        assert_eq!(neighbour.error.as_deref(), Some("KafkaException"), "{neighbour:?}");
    }
    assert_eq!(seen[3].offset, Some(0), "another partition of the same request: {:?}", seen[3]);
    assert_stored(&producer.send(&[case(topic, 0, "c")]), 2);
    assert_stored(&producer.send(&[case(topic, 0, "d"), case(topic, 0, "e")]), 3);

    assert_eq!(names(&direct, topic, 0), users(["a", "b", "c", "d", "e"]));
    assert_eq!(names(&direct, topic, 1), users(["elsewhere"]));
    let stored = log_reader::stored(&direct, topic, 0);
    assert!(stored.iter().all(|record| record.producer_id == stored[0].producer_id));
    let epochs: Vec<_> = stored.iter().map(|record| record.producer_epoch).collect();
    assert_eq!(epochs, [0, 0, 1, 1, 1], "the producer starts a new epoch by itself");
}

#[test]
fn java_stores_batches_of_every_codec() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    let direct = kafka.bootstrap();
    for (name, codec) in Codec::NAMED {
        let topic = format!("java-{name}");
        admin::create_topic(&direct, &topic, 1, 1);
        let compression = format!("compression.type={name}");
        let cases = [case(&topic, 0, "a"), case(&topic, 0, "b")];
        let settings = ["linger.ms=60000", &compression];
        assert_stored(&java.produce(&sidecar.bootstrap(), &settings, &cases), 0);
        let batches = log_reader::stored_batches_raw(&direct, &topic, 0);
        let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
        let batch = Batch::from_bytes(batch);
        assert_eq!((batch.codec, batch.base_sequence), (codec, 0));
        assert_eq!(contents_of(&direct, &topic, 0), cases.map(content));
    }
}

#[test]
fn a_consumer_group_reads_headers_in_order_and_repeated() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let sidecar = Sidecar::start(kafka, "");
    let topic = "headers";
    admin::create_topic(&kafka.bootstrap(), topic, 1, 1);
    let mut odd = case(topic, 0, "odd").key(b"k").header("z", "1").header("a", [0xff, 0]);
    odd.headers.push(("z".to_owned(), None));
    odd.headers.push((String::new(), Some(Vec::new())));
    let cases = [odd, Case::tombstone(topic).key(b"k"), case(topic, 0, "plain")];
    assert_stored(&java.produce(&sidecar.bootstrap(), &[], &cases), 0);
    let read = java.consume(&sidecar.bootstrap(), topic, "headers-group", cases.len());
    for (read, sent) in read.iter().zip(&cases) {
        assert_eq!((&read.key, &read.value), (&sent.key, &sent.value));
        assert_eq!(read.headers, sent.headers);
    }
    assert_eq!(read.len(), cases.len());
}

#[test]
fn while_the_registry_is_down_java_retries_and_every_record_is_stored_once_and_in_order() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let limits = "limits: {lookup_deadline: 200ms}\n";
    let sidecar = Sidecar::start(kafka, limits);
    let topic = "outage";
    admin::create_topic(&kafka.bootstrap(), topic, 1, 1);
    sidecar.registry.mood(Mood::Status(503));
    // Five small batches are under way at once.
    let mut producer = java.producer(&sidecar.bootstrap(), &["batch.size=1"]);
    let sent: Vec<_> = (0..20).map(|number| format!("user {number}")).collect();
    let cases: Vec<_> = sent.iter().map(|name| case(topic, 0, name)).collect();
    producer.begin(&cases);
    wait_until("refusals for want of a schema", || {
        sidecar.rejected(topic, "registry_unavailable") >= 2.0
            && sidecar.rejected(topic, "sequence_gap") >= 1.0
    });
    assert_eq!(log_reader::stored(&kafka.bootstrap(), topic, 0), []);
    sidecar.registry.mood(Mood::Well);
    assert_stored(&producer.outcomes(cases.len()), 0);
    assert_eq!(
        names(&kafka.bootstrap(), topic, 0),
        sent.iter().map(|name| Some(Bytes::from(user(name)))).collect::<Vec<_>>()
    );
}

/// A valid record, long enough that clients do compress it.
fn case(topic: &str, partition: i32, name: &str) -> Case {
    let case = Case::new(topic, &user(name)).partition(partition);
    case.header("content-type", "avro").header("schema-id", "1").header("padding", [b'x'; 500])
}

/// A record whose value ends before its age.
fn broken(topic: &str, partition: i32) -> Case {
    let datum = &user("Carl")[..5];
    let case = Case::new(topic, datum).partition(partition);
    case.header("content-type", "avro").header("schema-id", "1")
}

fn assert_stored(seen: &[Outcome], first: i64) {
    for (outcome, offset) in seen.iter().zip(first..) {
        assert_eq!(outcome.offset, Some(offset), "{outcome:?}");
    }
}

/// Key, value and headers.
type Content = (Option<Bytes>, Option<Bytes>, Vec<(String, Option<Bytes>)>);

fn contents_of(bootstrap: &str, topic: &str, partition: i32) -> Vec<Content> {
    let records = log_reader::stored(bootstrap, topic, partition).into_iter();
    records.map(|record| (record.key, record.value, record.headers)).collect()
}

fn content(case: Case) -> Content {
    let bytes = |bytes: Option<Vec<u8>>| bytes.map(Bytes::from);
    let headers = case.headers.into_iter().map(|(name, value)| (name, bytes(value)));
    (bytes(case.key), bytes(case.value), headers.collect())
}

fn names(bootstrap: &str, topic: &str, partition: i32) -> Vec<Option<Bytes>> {
    log_reader::stored_values(bootstrap, topic, partition)
}

fn users<const N: usize>(names: [&str; N]) -> Vec<Option<Bytes>> {
    names.map(|name| Some(Bytes::from(user(name)))).into()
}
