//! Promise: while a registry is down, slow or wrong, records are neither let through unjudged nor lost, unless a rule says so;
//! nobody asks more than needed, nobody else waits, and all goes on as soon as the registry is back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use support::{
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, only},
    proxy::Proxy,
    registry::{Mood, Registry},
};

const USER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"}]}"#;
/// The same with a long after it: what is a datum of one is none of the other.
const LONGER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"},{"name":"more","type":"long"}]}"#;
const ADA: &[u8] = b"\x06Ada\x48";

struct World {
    broker: FakeBroker,
    registry: Registry,
    proxy: Proxy,
    client: Client,
}

impl World {
    async fn new(more: &str) -> Self {
        Self::with_registry("", more).await
    }

    /// With further lines of the section `registry`, and further sections.
    async fn with_registry(registry_lines: &str, more: &str) -> Self {
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        let section = format!("{}\n  {registry_lines}", registry.url());
        let proxy = Proxy::start(&[broker.address()], &section, more).await;
        let client = Client::connect(&proxy.node(1)).await;
        Self { broker, registry, proxy, client }
    }

    async fn produce(&mut self, topic: &str, records: Vec<TestRecord>) -> (i16, String) {
        produce(&mut self.client, topic, records).await
    }

    async fn one(&mut self, topic: &str, reference: &str) -> (i16, String) {
        self.produce(topic, vec![TestRecord::avro(reference, ADA)]).await
    }

    fn records(&self, topic: &str, verdict: &str, reason: &str) -> f64 {
        self.proxy.metric(&format!(
            "schemaward_records_total{{reason=\"{reason}\",topic=\"{topic}\",verdict=\"{verdict}\"}}"
        ))
    }

    fn misses(&self) -> f64 {
        self.proxy.metric("schemaward_schema_cache_misses_total")
    }
}

async fn produce(client: &mut Client, topic: &str, records: Vec<TestRecord>) -> (i16, String) {
    let request = Produce::to(topic, 0, TestBatch::of(records).encode());
    let response = client.produce(9, &request).await;
    let partition = only(&response);
    let message = partition.error_message.as_ref().map(ToString::to_string);
    (partition.error_code, message.unwrap_or_default())
}

/// Waits for something that happens in the background.
async fn until(happened: impl Fn() -> bool) {
    while !happened() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_rule_says_what_an_outage_means() {
    let rules = "rules:\n  - {topics: [refuse], on_registry_unavailable: reject}\n  \
                 - {topics: [accept], on_registry_unavailable: accept}\n";
    let mut world = World::new(rules).await;
    world.registry.mood(Mood::Status(503));
    for (topic, code) in [("retry", 19), ("refuse", 87)] {
        let (got, message) = world.one(topic, "1").await;
        assert_eq!(got, code, "{message}");
        assert!(message.starts_with("registry_unavailable: record 0: schema "), "{message}");
        assert_eq!(world.records(topic, "rejected", "registry_unavailable"), 1.0);
    }
    assert!(world.broker.received().is_empty());
    assert_eq!(world.one("accept", "1").await.0, 0);
    assert_eq!(world.records("accept", "unjudged", "registry_unavailable"), 1.0);
    assert_eq!(world.records("accept", "accepted", "none"), 0.0);
    assert_eq!(world.broker.received().len(), 1);
}

#[tokio::test]
async fn accepting_in_an_outage_still_refuses_what_is_certainly_bad() {
    let mut world = World::new("default_rule: {on_registry_unavailable: accept}\n").await;
    world.registry.mood(Mood::Status(503));
    let records = vec![TestRecord::avro("1", ADA), TestRecord::bare(ADA)];
    let (code, message) = world.produce("users", records).await;
    assert_eq!(code, 87);
    assert!(message.starts_with("missing_content_type: record 1: "), "{message}");
    assert_eq!(world.records("users", "withheld", "none"), 1.0);
}

#[tokio::test]
async fn a_producer_waits_no_longer_than_the_deadline() {
    let mut world = World::new("limits: {lookup_deadline: 50ms}\n").await;
    world.registry.mood(Mood::Silent);
    let (code, message) = world.one("users", "1").await;
    assert_eq!(code, 19);
    assert!(message.ends_with("/schemas/ids/1: no answer in time"), "{message}");
}

#[tokio::test]
async fn with_a_deadline_of_nothing_nobody_waits_and_the_retry_finds_the_schema() {
    let mut world = World::new("limits: {lookup_deadline: 0s}\n").await;
    world.registry.id(1, USER);
    while world.one("users", "1").await.0 != 0 {}
    assert_eq!(world.registry.requests().len(), 1);
}

#[tokio::test]
async fn who_waits_goes_on_when_the_registry_answers() {
    let mut world = World::new("limits: {lookup_deadline: 1m}\n").await;
    world.registry.id(1, USER);
    world.registry.mood(Mood::Silent);
    let mut client = Client::connect(&world.proxy.node(1)).await;
    let waiting = tokio::spawn(async move {
        produce(&mut client, "users", vec![TestRecord::avro("1", ADA)]).await
    });
    until(|| !world.registry.requests().is_empty()).await;
    let (code, _) = world.produce("users", vec![TestRecord::tombstone("k")]).await;
    assert_eq!(code, 0, "another connection does not wait");
    assert!(!waiting.is_finished());
    world.registry.mood(Mood::Well);
    assert_eq!(waiting.await.unwrap().0, 0);
    assert_eq!(world.broker.received().len(), 2);
}

#[tokio::test]
async fn a_producer_that_tries_again_is_served_once_the_registry_is_back() {
    let mut world = World::with_registry("cache: {unavailable_ttl: 0s}", "").await;
    world.registry.id(1, USER);
    world.registry.mood(Mood::Status(500));
    for _ in 0..3 {
        assert_eq!(world.one("users", "1").await.0, 19);
    }
    world.registry.mood(Mood::Well);
    assert_eq!(world.one("users", "1").await.0, 0);
    assert_eq!(world.broker.received().len(), 1);
}

#[tokio::test]
async fn one_question_is_asked_though_ten_thousand_records_wait() {
    const CONNECTIONS: u32 = 20;
    const RECORDS: u32 = 500;
    let world = World::new("limits: {lookup_deadline: 1m}\n").await;
    world.registry.id(1, USER);
    world.registry.mood(Mood::Silent);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(&world.proxy.node(1)).await;
        let records = vec![TestRecord::avro("1", ADA); RECORDS as usize];
        waiting.spawn(async move { produce(&mut client, "users", records).await.0 });
    }
    until(|| world.misses() >= f64::from(CONNECTIONS)).await;
    world.registry.mood(Mood::Well);
    while let Some(code) = waiting.join_next().await {
        assert_eq!(code.unwrap(), 0);
    }
    assert_eq!(world.registry.requests(), ["/schemas/ids/1"]);
    let accepted = world.records("users", "accepted", "none");
    assert_eq!(accepted, f64::from(CONNECTIONS * RECORDS));
    assert_eq!(world.proxy.metric("schemaward_registry_requests_total{outcome=\"found\"}"), 1.0);
}

#[tokio::test]
async fn what_is_known_needs_no_registry() {
    let mut world = World::new("").await;
    world.registry.id(1, USER);
    assert_eq!(world.one("users", "1").await.0, 0);
    world.registry.mood(Mood::Status(503));
    for _ in 0..5 {
        assert_eq!(world.one("users", "1").await.0, 0);
    }
    let (code, message) = world.produce("users", vec![TestRecord::avro("1", b"")]).await;
    assert_eq!(code, 87, "{message}");
    assert_eq!(world.registry.requests().len(), 1);
}

#[tokio::test]
async fn a_document_that_is_out_of_date_serves_while_its_server_is_down() {
    let mut world =
        World::with_registry("cache: {document_ttl: 0s, unavailable_ttl: 0s}", "").await;
    world.registry.document("users.avsc", USER);
    assert_eq!(world.one("users", "users.avsc").await.0, 0);
    world.registry.mood(Mood::Status(503));
    let asked = world.registry.requests().len();
    while world.registry.requests().len() < asked + 3 {
        assert_eq!(world.one("users", "users.avsc").await.0, 0, "the old one serves");
    }
    world.registry.document("users.avsc", LONGER);
    world.registry.mood(Mood::Well);
    loop {
        let (code, message) = world.one("users", "users.avsc").await;
        if code != 0 {
            assert_eq!(code, 87, "the new one has come");
            assert!(
                message.starts_with("payload_invalid: record 0: more at byte 5: "),
                "{message}"
            );
            return;
        }
    }
}

#[tokio::test]
async fn a_document_that_may_not_serve_out_of_date_does_not() {
    let cache = "cache: {document_ttl: 0s, stale_ttl: 0s, unavailable_ttl: 0s}";
    let mut world = World::with_registry(cache, "").await;
    world.registry.document("users.avsc", USER);
    assert_eq!(world.one("users", "users.avsc").await.0, 0);
    world.registry.mood(Mood::Status(503));
    assert_eq!(world.one("users", "users.avsc").await.0, 19);
}

#[tokio::test]
async fn that_there_is_none_is_believed_for_a_while() {
    let mut world = World::new("").await;
    for _ in 0..5 {
        let (code, message) = world.one("users", "5").await;
        assert_eq!(code, 87);
        assert!(message.starts_with("schema_not_found: record 0: schema "), "{message}");
    }
    assert_eq!(world.registry.requests().len(), 1);
}

#[tokio::test]
async fn a_schema_that_is_registered_later_is_found() {
    let mut world = World::with_registry("cache: {negative_ttl: 0s}", "").await;
    assert_eq!(world.one("users", "5").await.0, 87);
    world.registry.id(5, USER);
    assert_eq!(world.one("users", "5").await.0, 0);
}

#[tokio::test]
async fn each_answer_of_a_registry_has_its_verdict() {
    let registry = "request_timeout: 300ms";
    let limits = "limits: {max_schema_bytes: 1KiB}\n";
    let mut world = World::with_registry(registry, limits).await;
    let huge = format!("{USER}{}", " ".repeat(200 * 1024));
    let large = format!("{USER}{}", " ".repeat(2 * 1024));
    world.registry.id(20, &huge);
    world.registry.id(21, &large);
    world.registry.document("huge.avsc", &huge);
    world.registry.document("large.avsc", &large);
    world.registry.document("moved/to.avsc", USER);
    let elsewhere = || Mood::Redirect("http://elsewhere.example/users.avsc".to_owned());
    let unavailable = (19, "registry_unavailable");
    let table = [
        (Mood::Status(500), "10", unavailable),
        (Mood::Status(500), "a.avsc", unavailable),
        (Mood::Status(401), "11", unavailable),
        (Mood::Status(429), "12", unavailable),
        (Mood::Status(204), "b.avsc", unavailable),
        (Mood::Silent, "13", unavailable),
        (Mood::Silent, "c.avsc", unavailable),
        (Mood::Garbage, "14", unavailable),
        (Mood::Garbage, "d.avsc", (87, "schema_invalid")),
        (Mood::Status(404), "15", (87, "schema_not_found")),
        (Mood::Status(410), "e.avsc", (87, "schema_not_found")),
        (elsewhere(), "16", (87, "schema_not_allowed")),
        (elsewhere(), "f.avsc", (87, "schema_not_allowed")),
        (Mood::Redirect("/loop.avsc".to_owned()), "loop.avsc", unavailable),
        (Mood::Well, "20", (87, "schema_invalid")),
        (Mood::Well, "21", (87, "schema_invalid")),
        (Mood::Well, "huge.avsc", (87, "schema_invalid")),
        (Mood::Well, "large.avsc", (87, "schema_invalid")),
    ];
    for (mood, reference, (code, reason)) in table {
        world.registry.mood(mood.clone());
        let (got, message) = world.one("users", reference).await;
        assert_eq!(got, code, "{mood:?} {reference}: {message}");
        assert!(
            message.starts_with(&format!("{reason}: record 0: schema ")),
            "{mood:?}: {message}"
        );
        assert!(message.len() < 1_024, "{message}");
    }
    assert!(world.broker.received().is_empty());
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_an_outage() {
    let mut world = World::new("").await;
    let broker = FakeBroker::start().await;
    let nowhere = support::proxy::loopback();
    let proxy = Proxy::start(&[broker.address()], &format!("http://{nowhere}:1"), "").await;
    world.client = Client::connect(&proxy.node(1)).await;
    let (code, message) = world.one("users", "1").await;
    assert_eq!(code, 19);
    assert!(message.contains("cannot be read: "), "{message}");
    assert_eq!(proxy.metric("schemaward_registry_requests_total{outcome=\"unavailable\"}"), 1.0);
}

#[tokio::test]
async fn a_deadline_for_one_request_is_not_outwaited_by_those_behind_it() {
    let mut world = World::new("limits: {lookup_deadline: 200ms}\n").await;
    world.registry.mood(Mood::Silent);
    let mut sent = Vec::new();
    for reference in 1..=20 {
        let record = TestRecord::avro(&reference.to_string(), ADA);
        let request = Produce::to("users", 0, TestBatch::of([record]).encode());
        sent.push(world.client.send(9, &request.request(9)).await);
    }
    for expected in sent {
        let answer = world.client.receive::<kafka_protocol::messages::ProduceResponse>(9).await;
        let (correlation_id, response) = answer.unwrap();
        assert_eq!(correlation_id, expected);
        assert_eq!(only(&response).error_code, 19);
    }
    let asked = world.registry.requests().len();
    assert!(asked < 20, "those behind the first had no time of their own: {asked} look-ups");
}

#[tokio::test]
async fn observe_waits_for_nothing_and_judges_once_the_schema_has_come() {
    let mut world = World::new("default_rule: {mode: observe}\n").await;
    world.registry.id(1, USER);
    world.registry.mood(Mood::Silent);
    let bad = || vec![TestRecord::avro("1", b"\x06Ad")];
    for _ in 0..3 {
        assert_eq!(world.produce("users", bad()).await.0, 0, "while nobody answers");
    }
    assert_eq!(world.records("users", "unjudged", "registry_unavailable"), 3.0);
    assert_eq!(world.records("users", "observed", "payload_invalid"), 0.0);
    until(|| !world.registry.requests().is_empty()).await;
    world.registry.mood(Mood::Well);
    until(|| world.proxy.metric("schemaward_schema_cache_entries") == 1.0).await;
    assert_eq!(world.produce("users", bad()).await.0, 0);
    assert_eq!(world.records("users", "observed", "payload_invalid"), 1.0);
    assert_eq!(world.records("users", "unjudged", "registry_unavailable"), 3.0);
    assert_eq!(world.broker.received().len(), 4);
    assert_eq!(world.registry.requests().len(), 1);
}
