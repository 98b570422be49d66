//! Promise: `/status` is what its page of the documents says: every fact, bounded lists, the rejections with who and why, the
//! registries with what went wrong; and however many look, traffic does not wait.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};
use support::{
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, frame_of, only},
    http,
    proxy::Proxy,
    registry::{Mood, Registry},
    sidecar::user,
    stage::Stage,
    wait::patiently,
};

struct World {
    registry: Registry,
    proxy: Proxy,
    client: Client,
    requests: i32,
    _broker: FakeBroker,
}

impl World {
    async fn new(more: &str) -> Self {
        let Stage { broker, registry, proxy, client } = Stage::new(more).await;
        Self { registry, proxy, client, requests: 0, _broker: broker }
    }

    async fn produce(&mut self, topic: &str, records: &[TestRecord]) -> i16 {
        self.produce_as("app", topic, records).await
    }

    async fn produce_as(&mut self, client_id: &str, topic: &str, records: &[TestRecord]) -> i16 {
        self.requests += 1;
        let batch = TestBatch::of(records.to_vec()).encode();
        let request = Produce::to(topic, 2, batch).request(9);
        self.client.send_bytes(&frame_of(client_id, self.requests, 9, &request)).await;
        let answer = self.client.receive::<kafka_protocol::messages::ProduceResponse>(9).await;
        only(&answer.unwrap().1).error_code
    }

    fn admin(&self) -> String {
        self.proxy.admin().replace("http://", "")
    }

    async fn status(&self, query: &str) -> Value {
        let reply = http::get(&self.admin(), &format!("/status{query}")).await;
        assert_eq!(reply.status, 200);
        serde_json::from_str(&reply.body).unwrap()
    }
}

fn good() -> TestRecord {
    TestRecord::avro("1", user("Ada"))
}

fn bad() -> TestRecord {
    TestRecord::avro("1", "")
}

/// Every path of a document down to what is no mapping; what has names of its own making is one.
fn paths(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !prefix.ends_with("reasons") && !prefix.starts_with("rules") => {
            for (key, value) in map {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                paths(&path, value, found);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| paths(&format!("{prefix}[]"), item, found));
        }
        _ => drop(found.insert(prefix.to_owned())),
    }
}

#[tokio::test]
async fn every_fact_is_documented_and_every_documented_fact_is_told() {
    let mut world = World::new("limits: {lookup_deadline: 50ms}\n").await;
    world.produce("orders", &[good()]).await;
    world.produce("orders", &[bad()]).await;
    world.registry.mood(Mood::Status(503));
    world.produce("orders", &[TestRecord::avro("2", user("Ada"))]).await;
    let mut told = BTreeSet::new();
    patiently("a history and an error", async {
        while !["history.connections[]", "registries[].last_error.at"]
            .iter()
            .all(|it| told.contains(*it))
        {
            told.clear();
            paths("", &world.status("").await, &mut told);
        }
    })
    .await;
    // Nothing of this world is outside of the map.
    told.insert("nodes_outside_map[]".into());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.md");
    let document = fs::read_to_string(document).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<_> = rows.map(|(fact, _)| fact.to_owned()).collect();
    // The configuration was not read again.
    told.extend(documented.iter().filter(|fact| fact.starts_with("reload.")).cloned());
    assert_eq!(told, documented);
}

#[tokio::test]
async fn rejections_are_told_with_who_and_why_and_repeats_are_one() {
    let mut world = World::new("rules:\n  - {topics: [seen], mode: observe}\n").await;
    let url = world.registry.url();
    assert_eq!(world.status("").await["rejections"], json!([]));
    for _ in 0..3 {
        assert_eq!(world.produce("orders", &[good(), bad()]).await, 87);
    }
    assert_eq!(world.produce_as("a\"\u{202e}b", "orders", &[TestRecord::bare("x")]).await, 87);
    assert_eq!(world.produce("orders", &[TestRecord::avro("7?secret", "x")]).await, 87);
    assert_eq!(world.produce("seen", &[bad()]).await, 0);
    let status = world.status("").await;
    let told: Vec<_> = status["rejections"].as_array().unwrap().iter().rev().collect();
    let table = [
        ("orders", "app", "payload_invalid", "refused", 3, Some("schemas/ids/1")),
        ("orders", "a\\\"\\u{202e}b", "missing_content_type", "refused", 1, None),
        ("orders", "app", "schema_not_found", "refused", 1, Some("7")),
        ("seen", "app", "payload_invalid", "observed", 1, Some("schemas/ids/1")),
    ];
    assert_eq!(told.len(), table.len(), "{status:#}");
    for (told, (topic, client, reason, outcome, times, schema)) in told.iter().zip(table) {
        assert_eq!((&told["topic"], &told["client_id"]), (&topic.into(), &client.into()));
        assert_eq!((&told["reason"], &told["outcome"]), (&reason.into(), &outcome.into()));
        assert_eq!((&told["times"], &told["partition"]), (&times.into(), &2.into()));
        let schema = schema.map(|path| format!("{url}/{path}"));
        assert_eq!(told["schema"], json!(schema), "{told:#}");
        assert!(told["message"].as_str().unwrap().starts_with(&format!("{reason}: record ")));
        assert!(told["peer"].as_str().unwrap().starts_with("127."));
        assert!(told["first_at"].as_str().unwrap() <= told["at"].as_str().unwrap());
    }
    assert!(!status.to_string().contains("secret"));
    let orders = &status["topics"]["items"][0];
    assert_eq!(orders["topic"], "orders");
    assert_eq!((&orders["rejected"], &orders["withheld"]), (&5.into(), &3.into()));
    assert_eq!(
        orders["reasons"],
        json!({"missing_content_type": 1, "payload_invalid": 3, "schema_not_found": 1})
    );
}

#[tokio::test]
async fn a_registry_that_fails_is_told_with_what_it_said_and_that_it_is_left_in_peace() {
    let more = "limits: {lookup_deadline: 100ms}\nrules:\n  - {topics: [seen], mode: observe}\n";
    let mut world = World::new(more).await;
    let url = world.registry.url();
    let registry = async |world: &World| world.status("").await["registries"][0].clone();
    let before = registry(&world).await;
    assert_eq!((&before["url"], &before["circuit"]), (&json!(url), &json!("closed")));
    assert_eq!((&before["api"], &before["last_success"]), (&json!("confluent"), &Value::Null));
    assert_eq!(world.produce("orders", &[good()]).await, 0);
    let well = registry(&world).await;
    assert!(well["last_success"].is_string() && well["last_error"].is_null(), "{well}");
    world.registry.mood(Mood::Status(503));
    for id in 10..15 {
        let reference = format!("{id}?token=secret");
        assert_eq!(world.produce("orders", &[TestRecord::avro(&reference, "x")]).await, 19);
    }
    patiently("the circuit opens", async { while registry(&world).await["circuit"] != "open" {} })
        .await;
    let down = registry(&world).await;
    assert!(down["left_in_peace_seconds"].is_u64());
    let message = down["last_error"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{url}/1")) && message.contains("503"), "{message}");
    assert!(!down.to_string().contains("secret"));
    let schemas = &world.status("").await["schemas"];
    assert_eq!(schemas["total"], 1);
    let items = schemas["items"].as_array().unwrap();
    let last = items.last().unwrap();
    assert_eq!(last["reference"], format!("{url}/schemas/ids/1"));
    assert_eq!((&last["state"], &last["format"]), (&json!("immutable"), &json!("avro")));
}

#[tokio::test]
async fn a_thousand_topics_are_bounded_found_by_name_and_stall_no_traffic() {
    let mut world = World::new("").await;
    for topic in 0..1_000 {
        assert_eq!(world.produce(&format!("topic-{topic:04}"), &[good()]).await, 0);
    }
    world.produce("topic-0815", &[bad()]).await;
    let admin = world.admin();
    let looks = (0..50).map(|_| {
        let admin = admin.clone();
        tokio::spawn(async move { http::get(&admin, "/status").await })
    });
    let looks: Vec<_> = looks.collect();
    for topic in 0..50 {
        assert_eq!(world.produce(&format!("topic-{topic:04}"), &[good()]).await, 0);
    }
    for look in looks {
        let reply = look.await.unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body.len() < 64 * 1024, "{}", reply.body.len());
        let status: Value = serde_json::from_str(&reply.body).unwrap();
        let topics = &status["topics"];
        assert_eq!((&topics["total"], &topics["matching"]), (&1_000.into(), &1_000.into()));
        assert_eq!(topics["items"].as_array().unwrap().len(), 200);
        assert_eq!(topics["items"][0]["topic"], "topic-0815", "the worst is first");
    }
    let found = world.status("?topic=-099").await;
    assert_eq!(
        (&found["topics"]["total"], &found["topics"]["matching"]),
        (&1_000.into(), &10.into())
    );
    assert_eq!(found["topics"]["items"][9]["topic"], "topic-0999");
}

#[tokio::test]
async fn the_latest_minutes_are_there_for_who_looks_first() {
    let mut world = World::new("").await;
    patiently("two samples with traffic", async {
        loop {
            assert_eq!(world.produce("orders", &[good(), good()]).await, 0);
            let history = world.status("").await["history"].take();
            let records = history["records_per_second"].as_array().unwrap();
            if records.len() >= 2 && records.iter().all(|rate| rate.as_f64().unwrap() > 0.0) {
                assert_eq!(history["interval_seconds"], 2);
                for (name, values) in history.as_object().unwrap() {
                    let values = values.as_array().map(Vec::len);
                    assert!(name == "interval_seconds" || values == Some(records.len()), "{name}");
                }
                assert_eq!(history["connections"][1], 1);
                return;
            }
        }
    })
    .await;
}
