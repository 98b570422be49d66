//! Work for `scripts/instructions` to count: `instructions CASE ROUNDS` does one of the cases that many times and nothing
//! else in a way that depends on that number. Without arguments it prints the cases, each with the units of one round;
//! with `features` what the processor is taken to know.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on shall panic")]

mod formats;
mod frames;
mod scaling;
#[allow(dead_code, reason = "shared with the benchmarks and a test")]
mod workloads;

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use kafka_protocol::records::Compression;
use schemaward::metrics::{BatchVerdict, Metrics, RecordVerdict};
use schemaward::proxy::produce::ProduceGate;
use schemaward::reason::Reason;
use schemaward::record::{Batch, Scratch, Unlimited};
use schemaward::validate::convention::Conventions;
use schemaward::validate::judge::{Resolved, Workspace};
use schemaward::validate::metadata::{Fact, HeaderNames, Metadata, NameTable, OWN, Side, What};
use schemaward::wire::{Frame, produce::ProduceRequest, request::Request};
use workloads::Value;

const ID: &str = "42";
const DOCUMENT: &str = "https://my-schema-server/users/schema.avsc";
const FOUR: [&str; 4] = [ID, "43", DOCUMENT, "users/schema.avsc"];
const RECORDS: usize = 1_000;
const PARTITIONS: i32 = 100;

/// What is counted, what one round of it consists of, and how to do a number of rounds.
struct Case {
    name: &'static str,
    units: usize,
    unit: &'static str,
    run: fn(usize),
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "checksum", units: RECORDS, unit: "record", run: checksum },
    Case { name: "walk", units: RECORDS, unit: "record", run: walk },
    Case { name: "bare-walk", units: RECORDS, unit: "record", run: bare_walk },
    Case { name: "look-up", units: RECORDS, unit: "record", run: |rounds| look_up(rounds, &events(Value::Avro, &[DOCUMENT], RECORDS)) },
    Case { name: "look-up-four-schemas", units: RECORDS, unit: "record", run: |rounds| look_up(rounds, &events(Value::Avro, &FOUR, RECORDS)) },
    Case { name: "look-up-traced", units: RECORDS, unit: "record", run: |rounds| look_up(rounds, &workloads::traced_record_set(Value::Avro, DOCUMENT, RECORDS)) },
    Case { name: "judge-avro", units: RECORDS, unit: "record", run: |rounds| judge(rounds, Value::Avro, &[DOCUMENT], RECORDS) },
    Case { name: "judge-avro-four-schemas", units: RECORDS, unit: "record", run: |rounds| judge(rounds, Value::Avro, &FOUR, RECORDS) },
    Case { name: "judge-avro-json", units: RECORDS, unit: "record", run: |rounds| judge(rounds, Value::AvroJson, &[DOCUMENT], RECORDS) },
    Case { name: "judge-batch-of-one-by-url", units: 1, unit: "batch", run: |rounds| judge(rounds, Value::Avro, &[DOCUMENT], 1) },
    Case { name: "judge-batch-of-one-by-id", units: 1, unit: "batch", run: |rounds| judge(rounds, Value::Avro, &[ID], 1) },
    Case { name: "parse", units: 1, unit: "request", run: |rounds| parse(rounds, 1) },
    Case { name: "parse-many-partitions", units: 100, unit: "partition", run: |rounds| parse(rounds, PARTITIONS) },
    Case { name: "gate-one-record", units: 1, unit: "request", run: gate },
    Case { name: "scrape-of-1000-topics", units: 1_000, unit: "topic", run: scrape },
    Case { name: "avro-event", units: 1, unit: "datum", run: |rounds| formats::avro_check("event", rounds) },
    Case { name: "avro-event-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("event", rounds) },
    Case { name: "avro-event-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("event", rounds) },
    Case { name: "avro-flat", units: 1, unit: "datum", run: |rounds| formats::avro_check("flat", rounds) },
    Case { name: "avro-flat-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("flat", rounds) },
    Case { name: "avro-flat-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("flat", rounds) },
    Case { name: "avro-nested", units: 1, unit: "datum", run: |rounds| formats::avro_check("nested", rounds) },
    Case { name: "avro-nested-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("nested", rounds) },
    Case { name: "avro-nested-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("nested", rounds) },
    Case { name: "avro-texts", units: 1, unit: "datum", run: |rounds| formats::avro_check("texts", rounds) },
    Case { name: "avro-texts-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("texts", rounds) },
    Case { name: "avro-texts-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("texts", rounds) },
    Case { name: "avro-doubles", units: 1, unit: "datum", run: |rounds| formats::avro_check("doubles", rounds) },
    Case { name: "avro-doubles-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("doubles", rounds) },
    Case { name: "avro-doubles-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("doubles", rounds) },
    Case { name: "avro-list", units: 1, unit: "datum", run: |rounds| formats::avro_check("list", rounds) },
    Case { name: "avro-list-by-apache-avro", units: 1, unit: "datum", run: |rounds| formats::avro_by_apache_avro("list", rounds) },
    Case { name: "avro-list-by-serde-avro-fast", units: 1, unit: "datum", run: |rounds| formats::avro_by_serde_avro_fast("list", rounds) },
    Case { name: "one-pass-over-avro-texts", units: 1, unit: "datum", run: formats::one_pass_over_texts },
    Case { name: "avro-json-event", units: 1, unit: "value", run: |rounds| formats::avro_json_check("event", rounds) },
    Case { name: "avro-json-event-by-tree", units: 1, unit: "value", run: |rounds| formats::avro_json_by_tree("event", rounds) },
    Case { name: "avro-json-list", units: 1, unit: "value", run: |rounds| formats::avro_json_check("list", rounds) },
    Case { name: "avro-json-flat", units: 1, unit: "value", run: |rounds| formats::avro_json_check("flat", rounds) },
    Case { name: "avro-json-flat-by-tree", units: 1, unit: "value", run: |rounds| formats::avro_json_by_tree("flat", rounds) },
    Case { name: "protobuf-event", units: 1, unit: "message", run: formats::protobuf_check },
    Case { name: "protobuf-event-by-prost-reflect", units: 1, unit: "message", run: formats::protobuf_by_prost_reflect },
    Case { name: "json-schema-event", units: 1, unit: "value", run: formats::json_schema_check },
    Case { name: "json-schema-event-by-tree", units: 1, unit: "value", run: formats::json_schema_by_tree },
    Case { name: "headers", units: HEADERS.len(), unit: "header", run: headers },
    Case { name: "frame-split", units: frames::FRAMES, unit: "request", run: |rounds| frames::split(rounds, &request(1)) },
    Case { name: "rewrite-produce", units: 1, unit: "answer", run: frames::rewrite_produce },
    Case { name: "rewrite-metadata", units: frames::ENTRIES, unit: "topic", run: frames::rewrite_metadata },
    Case { name: "walk-fetch", units: frames::ENTRIES, unit: "partition", run: frames::walk_fetch },
    Case { name: "scaling-partitions-1", units: 1, unit: "partition", run: |rounds| scaling::partitions(rounds, 1) },
    Case { name: "scaling-partitions-10", units: 10, unit: "partition", run: |rounds| scaling::partitions(rounds, 10) },
    Case { name: "scaling-partitions-100", units: 100, unit: "partition", run: |rounds| scaling::partitions(rounds, 100) },
    Case { name: "scaling-partitions-1000", units: 1000, unit: "partition", run: |rounds| scaling::partitions(rounds, 1000) },
    Case { name: "scaling-records-1", units: 1, unit: "record", run: |rounds| scaling::records(rounds, 1) },
    Case { name: "scaling-records-10", units: 10, unit: "record", run: |rounds| scaling::records(rounds, 10) },
    Case { name: "scaling-records-100", units: 100, unit: "record", run: |rounds| scaling::records(rounds, 100) },
    Case { name: "scaling-records-1000", units: 1000, unit: "record", run: |rounds| scaling::records(rounds, 1000) },
    Case { name: "scaling-bytes-100", units: 10, unit: "record", run: |rounds| scaling::bytes(rounds, 100) },
    Case { name: "scaling-bytes-1000", units: 10, unit: "record", run: |rounds| scaling::bytes(rounds, 1_000) },
    Case { name: "scaling-bytes-10000", units: 10, unit: "record", run: |rounds| scaling::bytes(rounds, 10_000) },
    Case { name: "scaling-bytes-100000", units: 10, unit: "record", run: |rounds| scaling::bytes(rounds, 100_000) },
    Case { name: "scaling-fields-1", units: 10, unit: "record", run: |rounds| scaling::fields(rounds, 1) },
    Case { name: "scaling-fields-10", units: 10, unit: "record", run: |rounds| scaling::fields(rounds, 10) },
    Case { name: "scaling-fields-100", units: 10, unit: "record", run: |rounds| scaling::fields(rounds, 100) },
    Case { name: "scaling-fields-1000", units: 10, unit: "record", run: |rounds| scaling::fields(rounds, 1000) },
    Case { name: "scaling-schemas-1", units: 1000, unit: "record", run: |rounds| scaling::schemas(rounds, 1) },
    Case { name: "scaling-schemas-4", units: 1000, unit: "record", run: |rounds| scaling::schemas(rounds, 4) },
    Case { name: "scaling-schemas-8", units: 1000, unit: "record", run: |rounds| scaling::schemas(rounds, 8) },
    Case { name: "scaling-schemas-64", units: 1000, unit: "record", run: |rounds| scaling::schemas(rounds, 64) },
    Case { name: "scaling-schemas-256", units: 1000, unit: "record", run: |rounds| scaling::schemas(rounds, 256) },
    Case { name: "scaling-codec-none", units: 100, unit: "record", run: |rounds| scaling::codec(rounds, Compression::None) },
    Case { name: "scaling-codec-gzip", units: 100, unit: "record", run: |rounds| scaling::codec(rounds, Compression::Gzip) },
    Case { name: "scaling-codec-snappy", units: 100, unit: "record", run: |rounds| scaling::codec(rounds, Compression::Snappy) },
    Case { name: "scaling-codec-lz4", units: 100, unit: "record", run: |rounds| scaling::codec(rounds, Compression::Lz4) },
    Case { name: "scaling-codec-zstd", units: 100, unit: "record", run: |rounds| scaling::codec(rounds, Compression::Zstd) },
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let named = |name: &String| CASES.iter().find(|case| case.name == name);
    match (arguments.get(1).and_then(named), arguments.get(2).map(|rounds| rounds.parse())) {
        (Some(case), Some(Ok(rounds))) => (case.run)(rounds),
        _ if arguments.get(1).is_some_and(|it| it == "features") => println!("{}", features()),
        _ => CASES.iter().for_each(|case| println!("{} {} {}", case.name, case.units, case.unit)),
    }
}

/// What libraries choose their code by while they run. Under valgrind it is less than the processor really knows.
fn features() -> String {
    #[allow(unused_mut, reason = "other processors are told by their family")]
    let mut known = vec![std::env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! note {
            ($($feature:tt)*) => {
                $(if std::arch::is_x86_feature_detected!($feature) {
                    known.push($feature);
                })*
            };
        }
        note!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "pclmulqdq" "avx" "avx2" "bmi1" "bmi2" "lzcnt" "fma" "avx512f");
    }
    known.join(" ")
}

fn events(value: Value, schemas: &[&'static str], records: usize) -> Bytes {
    workloads::record_set(Compression::None, value, schemas, records)
}

fn checksum(rounds: usize) {
    let bytes = events(Value::Avro, &[DOCUMENT], RECORDS);
    for _ in 0..rounds {
        Batch::parse(black_box(&bytes)).unwrap().verify_checksum().unwrap();
    }
}

fn walk(rounds: usize) {
    let bytes = events(Value::Avro, &[DOCUMENT], RECORDS);
    let names = NameTable::new(&HeaderNames::default(), &Conventions::default(), None);
    let mut scratch = Scratch::new();
    for _ in 0..rounds {
        assert_eq!(workloads::walk(black_box(&bytes), &names, &mut scratch), RECORDS);
    }
}

/// The headers of one record, as the walk finds them.
const HEADERS: [(&[u8], &[u8]); 4] = [
    (b"content-type", b"avro"),
    (b"schema-id", DOCUMENT.as_bytes()),
    (b"trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736"),
    (b"source", b"accounts"),
];

fn headers(rounds: usize) {
    let names = NameTable::new(&HeaderNames::default(), &Conventions::default(), None);
    for _ in 0..rounds {
        let mut metadata = Metadata::<'_, OWN>::default();
        for (key, value) in black_box(&HEADERS) {
            metadata.visit(&names, key, Some(*value));
        }
        let fact = |what| metadata.facts().get(Side::Value, what);
        assert!(matches!(black_box(fact(What::ContentType)), Fact::Value(_)));
        assert!(matches!(black_box(fact(What::SchemaId)), Fact::Value(_)));
    }
}

/// What every record costs before its value is checked: the walk, and the look-up of what its headers name.
fn look_up(rounds: usize, bytes: &Bytes) {
    let judge = workloads::judge(&[]);
    let (policy, resolved) = (workloads::policy_of_metadata(), Resolved::new());
    let mut workspace = Workspace::default();
    for _ in 0..rounds {
        let bytes = black_box(bytes);
        let verdict = judge.walk(bytes, &policy, &resolved, &mut workspace, &mut Unlimited);
        let verdict = verdict.unwrap();
        assert!(verdict.is_settled() && verdict.rejected_records() == 0);
    }
}

fn bare_walk(rounds: usize) {
    let bytes = events(Value::Avro, &[DOCUMENT], RECORDS);
    let mut scratch = Scratch::new();
    for _ in 0..rounds {
        assert_eq!(workloads::bare_walk(black_box(&bytes), &mut scratch), RECORDS);
    }
}

fn judge(rounds: usize, value: Value, schemas: &[&'static str], records: usize) {
    let bytes = events(value, schemas, records);
    let judge = workloads::judge(schemas);
    let (policy, resolved) = (workloads::policy(), Resolved::new());
    let mut workspace = Workspace::default();
    for _ in 0..rounds {
        let bytes = black_box(&bytes);
        let verdict = judge.walk(bytes, &policy, &resolved, &mut workspace, &mut Unlimited);
        let verdict = verdict.unwrap();
        assert!(verdict.is_settled() && verdict.rejected_records() == 0);
    }
}

fn request(partitions: i32) -> Frame {
    workloads::produce(12, 1, partitions, &events(Value::Avro, &[DOCUMENT], 1))
}

fn parse(rounds: usize, partitions: i32) {
    let frame = request(partitions);
    for _ in 0..rounds {
        assert_eq!(ProduceRequest::parse(black_box(&frame)).unwrap().topics.len(), 1);
    }
}

/// All families of a process that has seen as many topics as have labels of their own.
fn scrape(rounds: usize) {
    let metrics = Metrics::new(1_000);
    for number in 0..1_000 {
        let topic = metrics.topic(&format!("a-department.a-service.some-events-{number}"));
        topic.records(RecordVerdict::Accepted, None, 123_456_789);
        topic.records(RecordVerdict::Rejected, Some(Reason::PayloadInvalid), 12_345);
        topic.batch(BatchVerdict::Forwarded);
    }
    for _ in 0..rounds {
        black_box(metrics.encode());
    }
}

fn gate(rounds: usize) {
    let frame = request(1);
    let (_running, gateway) = workloads::gateway(&[DOCUMENT]);
    let holding = gateway.budget.holder();
    let mut gate = ProduceGate::new(Arc::clone(&gateway), workloads::peer(), holding);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let arrived = tokio::time::Instant::now();
    runtime.block_on(async {
        for _ in 0..rounds {
            let (_, request) = Request::new(black_box(frame.clone())).unwrap();
            let Request::Produce(produce) = request else { unreachable!("it is one") };
            assert_eq!(gate.judge(&produce, arrived).await.unwrap().forwarded, 1);
        }
    });
}
