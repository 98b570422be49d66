//! Promise: what producers write by other conventions than headers of our own is judged in front of a real Kafka as well:
//! what is valid is stored as it was sent, what is not is refused, and nothing is taken for a convention that is not accepted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use serde_json::Value;
use support::{
    admin, apicurio,
    case::Case,
    kafka::{self, Kafka},
    log_reader,
    python::Python,
    schema_server::SchemaServer,
    sidecar::{Sidecar, user},
};

mod support;

/// A user of `tests/support/sidecar.rs`, cut by a byte.
fn cut(mut datum: Vec<u8>) -> Vec<u8> {
    datum.pop();
    datum
}

fn framed(framing: &[u8], datum: Vec<u8>) -> Vec<u8> {
    [framing, &datum[..]].concat()
}

/// Sends the cases with librdkafka, each in a batch of its own, and compares what it is told (`None` for stored, else 87 and
/// a reason, which is counted) and what the topic holds then.
fn assert_judged(
    kafka: &Kafka,
    python: &Python,
    sidecar: &Sidecar,
    topic: &str,
    cases: &[(Case, Option<&str>)],
) {
    admin::create_topic(&kafka.bootstrap(), topic, 1, 1);
    for (case, expected) in cases {
        let before = expected.map(|reason| sidecar.rejected(topic, reason));
        let one = std::slice::from_ref(case);
        let seen = python.produce_confluent(&sidecar.bootstrap(), &["linger.ms=0"], one);
        let [outcome] = &seen[..] else { panic!("{topic}: {seen:?}") };
        assert_eq!(outcome.ok, expected.is_none(), "{topic}: {case:?}: {outcome:?}");
        assert_eq!(outcome.code, expected.map(|_| 87), "{topic}: {case:?}: {outcome:?}");
        let counted = expected.map(|reason| sidecar.rejected(topic, reason) - 1.0);
        assert_eq!(counted, before, "{topic}: {case:?}: {expected:?}");
    }
    let stored = log_reader::stored(&kafka.bootstrap(), topic, 0);
    let stored: Vec<_> = stored
        .into_iter()
        .map(|record| (record.value.map(|it| it.to_vec()), record.headers))
        .map(|(value, headers)| {
            (value, headers.into_iter().map(|(n, v)| (n, v.map(|v| v.to_vec()))))
        })
        .map(|(value, headers)| (value, headers.collect::<Vec<_>>()))
        .collect();
    let valid = cases.iter().filter(|(_, expected)| expected.is_none());
    let sent: Vec<_> = valid.map(|(case, _)| (case.value.clone(), case.headers.clone())).collect();
    assert_eq!(stored, sent, "{topic}");
}

#[test]
fn each_convention_is_judged_where_it_is_accepted() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let rules = "rules:
  - {topics: [conv-confluent-prefix], conventions: [confluent_prefix]}
  - {topics: [conv-confluent-headers], conventions: [confluent_headers]}
  - {topics: [conv-cloudevents], conventions: [cloudevents]}
";
    let sidecar = Sidecar::start(kafka, rules);
    let document = sidecar.registry.document("users/schema.avsc", support::sidecar::USER);
    let (ada, id) = (user("ada"), [0, 0, 0, 0, 1]);
    let bare = |topic: &str, value: &[u8]| Case::new(topic, value);
    let in_headers = |topic: &str, id: &[u8], value: Vec<u8>| {
        Case::new(topic, &value).header("__value_schema_id", id)
    };
    let event = |topic: &str, value: Vec<u8>| {
        let case = Case::new(topic, &value).header("content-type", "application/avro");
        case.header("ce_dataschema", &document)
    };
    let own = |topic: &str, value: &[u8]| {
        Case::new(topic, value).header("content-type", "avro").header("schema-id", "1")
    };
    let (invalid, unknown) = (Some("payload_invalid"), Some("schema_not_found"));
    let missing = Some("missing_schema_id");
    let topic = "conv-confluent-prefix";
    let cases = [
        (bare(topic, &framed(&id, ada.clone())), None),
        (bare(topic, &framed(&id, cut(ada.clone()))), invalid),
        (bare(topic, &framed(&[0, 0, 0, 0, 99], ada.clone())), unknown),
        (bare(topic, &ada), missing),
        (own(topic, &ada), missing),
    ];
    assert_judged(kafka, &python, &sidecar, topic, &cases);
    let topic = "conv-confluent-headers";
    let cases = [
        (in_headers(topic, &id, ada.clone()), None),
        (in_headers(topic, &id, cut(ada.clone())), invalid),
        (in_headers(topic, &id[1..], ada.clone()), Some("malformed_schema_id")),
        (bare(topic, &framed(&id, ada.clone())), missing),
    ];
    assert_judged(kafka, &python, &sidecar, topic, &cases);
    let topic = "conv-cloudevents";
    let cases = [
        (event(topic, ada.clone()), None),
        (event(topic, cut(ada.clone())), invalid),
        (bare(topic, &ada), missing),
    ];
    assert_judged(kafka, &python, &sidecar, topic, &cases);
}

#[test]
fn where_headers_name_a_schema_nothing_is_taken_off_the_value() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let rules = "rules:\n  - {topics: [conv-several], conventions: [headers, confluent_prefix]}\n";
    let sidecar = Sidecar::start(kafka, rules);
    let (ada, id) = (user("ada"), [0, 0, 0, 0, 1]);
    let prefixed = framed(&id, ada.clone());
    let in_header = |topic: &str| Case::new(topic, &ada).header("__value_schema_id", id);
    let own = |topic: &str, value: &[u8]| {
        Case::new(topic, value).header("content-type", "avro").header("schema-id", "1")
    };
    let (missing, no_type) = (Some("missing_schema_id"), Some("missing_content_type"));
    let topic = "conv-several";
    let cases = [
        (own(topic, &ada), None),
        (Case::new(topic, &prefixed), None),
        (own(topic, &prefixed), Some("payload_trailing_bytes")),
        (Case::new(topic, &ada), missing),
    ];
    assert_judged(kafka, &python, &sidecar, topic, &cases);
    // By default only these headers do.
    let topic = "conv-default";
    let cases = [
        (own(topic, &ada), None),
        (Case::new(topic, &prefixed), no_type),
        (in_header(topic), no_type),
    ];
    assert_judged(kafka, &python, &sidecar, topic, &cases);
}

/// What confluent-kafka's serializers write with the registry at `url`, as records of `topic`.
fn serialized(python: &Python, url: &str, part: &str, place: &str, topic: &str) -> Case {
    let hex = |text: &Value| {
        let digits = text.as_str().unwrap().as_bytes();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect::<Vec<_>>()
    };
    let lines = python.run("registry_clients.py", &[part, url, place], "").json_lines();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line["same"], true, "{line}");
    let headers = line["headers"].as_array().unwrap();
    headers.iter().fold(Case::new(topic, &hex(&line["payload"])), |case, header| {
        case.header(header[0].as_str().unwrap(), hex(&header[1]))
    })
}

/// Whatever the serializer, its records pass, and cut by a byte they do not.
fn assert_serializers_work(
    kafka: &Kafka,
    serializers: &Python,
    registry: &str,
    table: &[(&str, &[&str])],
) {
    let python = Python::get().expect("the other environment is there");
    let rule = "default_rule: {conventions: [confluent_headers, confluent_prefix]}\n";
    let sidecar = Sidecar::start_with(kafka, rule, &[("SCHEMAWARD_REGISTRY__URL", registry)]);
    let run = registry.rsplit(':').next().unwrap().replace('/', "-");
    for (part, places) in table {
        for place in *places {
            let topic = format!("serialized-{part}-{place}-{run}");
            let good = serialized(serializers, registry, part, place, &topic);
            let mut bad = good.clone();
            bad.value = bad.value.map(cut);
            let cases = [(good, None), (bad, Some("payload_invalid"))];
            assert_judged(kafka, &python, &sidecar, &topic, &cases);
        }
    }
}

#[test]
fn records_of_confluents_serializers_pass_with_ids_of_the_schema_server() {
    let (Some(kafka), Some(serializers), Some(_)) =
        (kafka::shared_single(), Python::with_registry_clients(), Python::get())
    else {
        return;
    };
    let both: &[_] = &["prefix", "header"];
    let table = [("avro", both), ("json", both), ("protobuf", both)];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(SchemaServer::in_memory());
    assert_serializers_work(kafka, &serializers, &server.url(), &table);
}

#[test]
#[ignore = "needs Apicurio; scripts/full runs it"]
fn records_of_confluents_serializers_pass_with_ids_of_apicurio() {
    let (Some(kafka), Some(serializers), Some(_), Some(apicurio)) = (
        kafka::shared_single(),
        Python::with_registry_clients(),
        Python::get(),
        apicurio::shared(),
    ) else {
        return;
    };
    let registry = format!("{}/apis/ccompat/v7", apicurio.url());
    // It has no GUIDs, and does not give descriptors back to Confluent's deserializer.
    let table = [("avro", &["prefix"][..])];
    assert_serializers_work(kafka, &serializers, &registry, &table);
}
