//! Promise: a scrape shows every family from the start, in Prometheus' text format, with bounded labels and counts that add
//! up; probes and pages say what state the process is in, and why.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeSet;

use schemaward::{app::App, config::Config, metrics::REGISTRY_OUTCOMES, reason::Reason, wire::api};
use support::{
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, only},
    http::{self, Reply},
    proxy::{Proxy, install_crypto, loopback},
    registry::{Mood, Registry},
    scrape::Scrape,
    sidecar::USER,
    stage::Stage as World,
    valve::Valve,
};

const ADA: &[u8] = b"\x06Ada\x48";

/// Every family of ours and its type.
const FAMILIES: [(&str, &str); 32] = [
    ("batches_total", "counter"),
    ("build_info", "gauge"),
    ("bytes_total", "counter"),
    ("certificate_rotations_total", "counter"),
    ("clients_turned_away_total", "counter"),
    ("config_reloads_total", "counter"),
    ("connections", "gauge"),
    ("connections_closed_total", "counter"),
    ("connections_max", "gauge"),
    ("connections_total", "counter"),
    ("memory_budget_bytes", "gauge"),
    ("memory_budget_evictions_total", "counter"),
    ("memory_budget_used_bytes", "gauge"),
    ("memory_budget_waits_total", "counter"),
    ("nodes_outside_map", "gauge"),
    ("produce_broker_seconds", "histogram"),
    ("produce_own_seconds", "histogram"),
    ("quarantine_queue_bytes", "gauge"),
    ("quarantined_records_total", "counter"),
    ("records_total", "counter"),
    ("registry_circuits_open", "gauge"),
    ("registry_request_seconds", "histogram"),
    ("registry_requests_avoided_total", "counter"),
    ("registry_requests_total", "counter"),
    ("registry_retries_total", "counter"),
    ("requests_total", "counter"),
    ("schema_cache_entries", "gauge"),
    ("schema_cache_hits_total", "counter"),
    ("schema_cache_misses_total", "counter"),
    ("sequence_gaps_open", "gauge"),
    ("upstream_errors_total", "counter"),
    ("validation_seconds", "histogram"),
];

impl World {
    async fn produce(&mut self, topic: &str, batch: &TestBatch) -> i16 {
        let response = self.client.produce(9, &Produce::to(topic, 0, batch.encode())).await;
        only(&response).error_code
    }

    async fn scrape(&self) -> Scrape {
        scrape(&admin(&self.proxy)).await
    }
}

fn admin(proxy: &Proxy) -> String {
    proxy.admin().replace("http://", "")
}

async fn scrape(admin: &str) -> Scrape {
    let reply = http::get(admin, "/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
    Scrape::of(&reply.body)
}

fn good() -> TestRecord {
    TestRecord::avro("1", ADA)
}

fn bad() -> TestRecord {
    TestRecord::avro("1", b"\x06Ad")
}

#[tokio::test]
async fn the_first_scrape_has_every_family_with_its_closed_labels_at_zero() {
    let registry = Registry::start().await;
    let nobody = format!("{}:1", loopback());
    let proxy = Proxy::start_unready(&[nobody], &registry.url(), "").await;
    let scrape = scrape(&admin(&proxy)).await;
    let own = scrape
        .types
        .iter()
        .filter_map(|(name, kind)| Some((name.strip_prefix("schemaward_")?, kind.as_str())));
    assert_eq!(own.collect::<Vec<_>>(), FAMILIES);
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(scrape.types.contains_key(name), "{name}");
    }
    let closed: [(&str, &str, BTreeSet<&str>); 11] = [
        (
            "quarantined_records_total",
            "outcome",
            ["failed", "queue_full", "timed_out", "undecodable", "written"].into(),
        ),
        ("bytes_total", "direction", ["broker_to_client", "client_to_broker"].into()),
        (
            "clients_turned_away_total",
            "cause",
            [
                "handshake_timeout",
                "max_connections",
                "max_connections_per_address",
                "proxy_protocol",
                "tls",
            ]
            .into(),
        ),
        ("certificate_rotations_total", "outcome", ["applied", "failed"].into()),
        ("config_reloads_total", "outcome", ["applied", "failed"].into()),
        ("registry_requests_avoided_total", "cause", ["budget", "circuit"].into()),
        ("registry_requests_total", "outcome", REGISTRY_OUTCOMES.into()),
        (
            "upstream_errors_total",
            "kind",
            ["closed", "connect", "connect_timeout", "io", "login", "protocol", "tls"].into(),
        ),
        ("batches_total", "verdict", ["forwarded", "observed", "off", "refused"].into()),
        (
            "records_total",
            "verdict",
            ["accepted", "observed", "rejected", "unjudged", "withheld"].into(),
        ),
        ("requests_total", "api", api::LABELS.iter().copied().collect()),
    ];
    for (family, label, expected) in closed {
        let found = scrape.labels(family, label);
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{family}");
        if family != "upstream_errors_total" {
            assert_eq!(scrape.sum(family, ""), 0.0, "{family}");
        }
    }
    for reason in Reason::ALL.map(Reason::label) {
        let labels = format!("{{reason=\"{reason}\",topic=\"other\",verdict=\"rejected\"}}");
        assert_eq!(scrape.value(&format!("records_total{labels}")), 0.0);
    }
    assert_eq!(scrape.value("memory_budget_bytes"), f64::from(64 * 1024 * 1024));
}

#[tokio::test]
async fn counts_add_up_to_the_records_that_were_judged() {
    let rules = "rules:\n  - {topics: [seen], mode: observe}\n  \
                 - {topics: [open], on_registry_unavailable: accept}\n  \
                 - {topics: [shut], on_registry_unavailable: reject}\n  - {topics: [off], mode: off}\n\
                 limits: {lookup_deadline: 50ms}\n";
    let mut world = World::new(rules).await;
    assert_eq!(world.produce("users", &TestBatch::of([good(), good()])).await, 0);
    let topics = ["users", "seen", "open", "shut", "late", "off"];
    for topic in topics {
        let unknown = || TestRecord::avro("7", ADA);
        world.registry.mood(Mood::Status(503));
        for records in [
            vec![good(), good(), TestRecord::tombstone("k")],
            vec![good(), bad(), good(), bad(), unknown()],
            vec![unknown(), good()],
        ] {
            world.produce(topic, &TestBatch::of(records)).await;
        }
    }
    let scrape = world.scrape().await;
    let count = |topic: &str, verdict: &str| {
        let all = scrape.series.iter().filter(|(name, _)| {
            name.starts_with("schemaward_records_total")
                && name.contains(&format!("topic=\"{topic}\""))
                && name.contains(&format!("verdict=\"{verdict}\""))
        });
        all.map(|(_, value)| value).sum::<f64>()
    };
    let verdicts = ["accepted", "rejected", "observed", "unjudged", "withheld"];
    let table = [
        ("users", [5.0, 3.0, 0.0, 0.0, 4.0]),
        ("seen", [6.0, 0.0, 2.0, 2.0, 0.0]),
        ("open", [4.0, 2.0, 0.0, 1.0, 3.0]),
        ("shut", [3.0, 3.0, 0.0, 0.0, 4.0]),
        ("late", [3.0, 3.0, 0.0, 0.0, 4.0]),
        ("off", [0.0; 5]),
    ];
    for (topic, expected) in table {
        assert_eq!(verdicts.map(|verdict| count(topic, verdict)), expected, "{topic}");
    }
    let batches = |topic: &str, verdict: &str| {
        scrape.value(&format!("batches_total{{topic=\"{topic}\",verdict=\"{verdict}\"}}"))
    };
    let kinds = ["forwarded", "observed", "off", "refused"];
    let table = [
        ("users", [2.0, 0.0, 0.0, 2.0]),
        ("seen", [1.0, 2.0, 0.0, 0.0]),
        ("open", [1.0, 1.0, 0.0, 1.0]),
        ("shut", [1.0, 0.0, 0.0, 2.0]),
        ("off", [0.0, 0.0, 3.0, 0.0]),
    ];
    for (topic, expected) in table {
        assert_eq!(kinds.map(|kind| batches(topic, kind)), expected, "{topic}");
    }
}

#[tokio::test]
async fn traffic_is_counted() {
    let mut world = World::new("").await;
    let before = world.scrape().await;
    for batch in [TestBatch::of([good()]), TestBatch::of([bad()])] {
        world.produce("users", &batch).await;
    }
    let after = world.scrape().await;
    let more = |series: &str| after.value(series) - before.value(series);
    assert_eq!(more("requests_total{api=\"Produce\"}"), 2.0);
    assert_eq!(more("validation_seconds_count"), 3.0, "the first is walked again with its schema");
    assert_eq!(more("registry_requests_total{outcome=\"found\"}"), 1.0);
    assert_eq!(more("registry_request_seconds_count"), 1.0);
    assert_eq!(more("schema_cache_misses_total"), 1.0);
    assert!(more("schema_cache_hits_total") >= 1.0);
    assert_eq!(after.value("schema_cache_entries"), 1.0);
    assert!(more("bytes_total{direction=\"client_to_broker\"}") > 100.0);
    assert!(more("bytes_total{direction=\"broker_to_client\"}") > 100.0);
    for part in ["own", "broker"] {
        assert_eq!(more(&format!("produce_{part}_seconds_count")), 2.0, "{part}");
        assert!(more(&format!("produce_{part}_seconds_sum")) > 0.0, "{part}");
    }
    assert_eq!(after.value("connections"), 1.0);
    assert_eq!(after.value("connections_total"), 1.0);
    drop(world.client);
    while scrape(&admin(&world.proxy)).await.value("connections") != 0.0 {}
}

#[tokio::test]
async fn what_a_broker_takes_is_told_apart_and_counted_with_its_answer() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    registry.id(1, USER);
    let wire = Valve::to(&broker.address()).await;
    let proxy = Proxy::start(&[wire.address()], &registry.url(), "").await;
    let counts = async || {
        let scrape = scrape(&admin(&proxy)).await;
        ["own", "broker"].map(|part| scrape.value(&format!("produce_{part}_seconds_count")))
    };
    // Metadata and the like count in neither.
    assert_eq!(counts().await, [0.0, 0.0]);
    for (version, expected) in [(9, [1.0, 1.0]), (12, [2.0, 2.0])] {
        let mut client = Client::connect(&proxy.bootstrap()).await;
        wire.shut();
        let before = counts().await;
        let request = Produce::to("users", 0, TestBatch::of([good()]).encode());
        let known = broker.received().len();
        client.send(version, &request.request(version)).await;
        while broker.received().len() == known {
            tokio::task::yield_now().await;
        }
        let own = before.map(|count| count + 1.0)[0];
        assert_eq!(counts().await, [own, before[1]], "v{version}: the broker still has it");
        wire.open();
        client.receive_frame().await.unwrap();
        assert_eq!(counts().await, expected, "v{version}");
    }
}

#[tokio::test]
async fn topics_past_the_bound_are_counted_as_other() {
    let mut world = World::new("metrics: {max_topics: 2}\n").await;
    for topic in ["a", "b", "c", "d", "a", "not a topic"] {
        world.produce(topic, &TestBatch::of([good()])).await;
    }
    let scrape = world.scrape().await;
    let expected: BTreeSet<_> = ["a", "b", "other"].map(str::to_owned).into();
    assert_eq!(scrape.labels("records_total", "topic"), expected);
    assert_eq!(scrape.labels("batches_total", "topic"), expected);
    assert_eq!(scrape.sum("records_total", "topic=\"other\",verdict=\"accepted\""), 3.0);
}

#[tokio::test]
async fn open_sequence_gaps_are_shown() {
    let mut world = World::new("").await;
    let batch = |record, sequence| TestBatch::of([record]).sequenced(7, 0, sequence);
    assert_eq!(world.scrape().await.value("sequence_gaps_open"), 0.0);
    assert_eq!(world.produce("users", &batch(bad(), 0)).await, 87);
    assert_eq!(world.scrape().await.value("sequence_gaps_open"), 1.0);
    let status = http::get(&admin(&world.proxy), "/status").await;
    let status: serde_json::Value = serde_json::from_str(&status.body).unwrap();
    assert_eq!(status["sequence_gaps_open"], 1);
    assert_eq!(world.produce("users", &batch(good(), 0)).await, 0);
    assert_eq!(world.scrape().await.value("sequence_gaps_open"), 0.0);
}

#[tokio::test]
async fn memory_that_unfinished_work_holds_is_shown() {
    let mut world = World::new("limits: {lookup_deadline: 1m}\n").await;
    world.registry.mood(Mood::Silent);
    let request = Produce::to("users", 0, TestBatch::of(vec![good(); 2_000]).encode());
    world.client.send(9, &request.request(9)).await;
    while world.registry.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(world.scrape().await.value("memory_budget_used_bytes") > 50_000.0);
    world.registry.mood(Mood::Well);
    world.client.receive_frame().await.unwrap();
    while world.scrape().await.value("memory_budget_used_bytes") > 0.0 {}
    assert_eq!(world.broker.received().len(), 1);
}

/// A proxy whose ports stand for nodes 5 and 6 only, before a cluster of node 1.
async fn with_node_outside(broker: &FakeBroker, registry: &Registry) -> App {
    install_crypto();
    let host = loopback();
    let file = format!(
        "listen:\n  bootstrap: {host}:9092\n  broker_ports: [{{nodes: 5-6, ports: 9105-9106}}]\n\
         upstream: {{bootstrap: [\"{}\"]}}\nregistry: {{url: {}}}\nadmin: {{listen: {host}:9464}}\n",
        broker.address(),
        registry.url(),
    );
    let config = Config::parse(&file, "test.yaml", std::iter::empty()).unwrap();
    App::start(config).await.unwrap()
}

#[tokio::test]
async fn a_node_outside_the_map_is_counted_and_named_with_the_line_to_add() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    let app = with_node_outside(&broker, &registry).await;
    let admin = app.admin_address().unwrap().to_string();
    let reply = ready(&admin).await;
    let entry = "{nodes: 1-1, ports: 9107-9107}";
    let expected = format!(
        "ready, but: nodes without a local port are hidden from clients: 1; add to listen.broker_ports: {entry}\n"
    );
    assert_eq!(reply.body, expected);
    assert_eq!(scrape(&admin).await.value("nodes_outside_map"), 1.0);
    let status: serde_json::Value =
        serde_json::from_str(&http::get(&admin, "/status").await.body).unwrap();
    assert_eq!(status["nodes_outside_map"], serde_json::json!([1]));
    assert!(status["message"].as_str().unwrap().contains(entry), "{status}");
}

async fn ready(admin: &str) -> Reply {
    loop {
        let reply = http::get(admin, "/readyz").await;
        if reply.status == 200 {
            return reply;
        }
    }
}

async fn not_ready(admin: &str, because: &str) {
    loop {
        let reply = http::get(admin, "/readyz").await;
        assert_eq!(reply.status, 503);
        if reply.body.contains(because) {
            return;
        }
    }
}

#[tokio::test]
async fn readiness_waits_for_a_broker_says_so_and_latches() {
    let broker = FakeBroker::start().await;
    let registry = Registry::start().await;
    let address = format!("{}:9000", loopback());
    let proxy = Proxy::start_unready(std::slice::from_ref(&address), &registry.url(), "").await;
    let admin = admin(&proxy);
    assert_eq!(http::get(&admin, "/livez").await.status, 200);
    let why = format!("not ready: waiting for: broker (broker {address} cannot be reached: ");
    not_ready(&admin, &why).await;
    assert!(scrape(&admin).await.types.contains_key("schemaward_build_info"));
    let wire = Valve::at(&address, &broker.address()).await;
    ready(&admin).await;
    drop((wire, broker, registry));
    let mut client = Client::connect(&proxy.bootstrap()).await;
    assert!(client.closed().await, "there is no broker any more");
    assert_eq!(http::get(&admin, "/readyz").await.body, "ready\n");
    assert_eq!(http::get(&admin, "/livez").await.status, 200);
}

#[tokio::test]
async fn a_broker_that_accepts_and_says_nothing_does_not_make_ready() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    let wire = Valve::to(&broker.address()).await;
    wire.shut();
    let proxy = Proxy::start_unready(&[wire.address()], &registry.url(), "").await;
    while broker.frames().is_empty() {
        tokio::task::yield_now().await;
    }
    not_ready(&admin(&proxy), "not ready: waiting for: broker").await;
    wire.open();
    ready(&admin(&proxy)).await;
}

#[tokio::test]
async fn draining_is_not_ready_and_alive() {
    let mut world = World::new("limits: {lookup_deadline: 1m}\n").await;
    world.registry.mood(Mood::Silent);
    let request = Produce::to("users", 0, TestBatch::of([good()]).encode());
    world.client.send(9, &request.request(9)).await;
    while world.registry.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let admin = admin(&world.proxy);
    let draining = tokio::spawn(world.proxy.drain());
    while http::get(&admin, "/readyz").await.status == 200 {}
    not_ready(&admin, "not ready: draining").await;
    assert_eq!(http::get(&admin, "/livez").await.status, 200);
    let status = http::get(&admin, "/status").await;
    let status: serde_json::Value = serde_json::from_str(&status.body).unwrap();
    assert_eq!((&status["draining"], &status["ready"]), (&true.into(), &false.into()));
    world.registry.mood(Mood::Well);
    assert!(world.client.receive_frame().await.is_some(), "what is in flight is answered");
    draining.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_status_tells_what_the_process_knows() {
    let mut world = World::new("rules:\n  - {topics: [\"audit.*\"], mode: observe}\n").await;
    world.produce("users", &TestBatch::of([good()])).await;
    let reply = http::get(&admin(&world.proxy), "/status").await;
    assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    let status: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["ready"], &status["message"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(status["connections"], 1);
    assert_eq!(
        (&status["schemas_in_cache"], &status["registry_circuits_open"]),
        (&1.into(), &0.into())
    );
    let advertised = format!("{}:9101", world.proxy.host());
    let broker = serde_json::json!([
        {"node_id": 1, "address": world.broker.address(), "advertised": advertised, "local_port": 9101}
    ]);
    assert_eq!(status["brokers"], broker);
    assert_eq!(status["nodes_outside_map"], serde_json::json!([]));
    assert_eq!(status["memory_budget"]["bytes"], 64 * 1024 * 1024);
    assert_eq!(status["rules"][0]["topics"], serde_json::json!(["audit.*"]));
    assert_eq!(status["rules"][0]["mode"], "observe");
    assert_eq!(status["rules"][1]["mode"], "enforce", "the default rule is last");
    assert!(status["uptime_seconds"].is_u64());
}

#[tokio::test]
async fn the_page_may_load_nothing_and_the_probes_listener_has_no_page() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    let host = loopback();
    install_crypto();
    let file = format!(
        "listen: {{bootstrap: {host}:9092, broker_ports: 9100-9101}}\n\
         upstream: {{bootstrap: [\"{}\"]}}\nregistry: {{url: {}}}\n\
         admin: {{listen: {host}:9464, probes_listen: {host}:9465}}\n",
        broker.address(),
        registry.url(),
    );
    let config = Config::parse(&file, "test.yaml", std::iter::empty()).unwrap();
    let app = App::start(config).await.unwrap();
    let (admin, probes) = (app.admin_address().unwrap(), app.probes_address().unwrap());
    let page = http::get(&admin.to_string(), "/").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    for header in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "x-frame-options: deny",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    for (path, status) in [("/livez", 200), ("/metrics", 200), ("/", 404), ("/status", 404)] {
        assert_eq!(http::get(&probes.to_string(), path).await.status, status, "{path}");
    }
    ready(&probes.to_string()).await;
}

#[tokio::test]
async fn scrapes_by_the_dozen_stall_no_traffic() {
    let mut world = World::new("").await;
    let admin = admin(&world.proxy);
    for topic in 0..200 {
        world.produce(&format!("topic-{topic}"), &TestBatch::of([good()])).await;
    }
    let scrapes = (0..50).map(|_| {
        let admin = admin.clone();
        tokio::spawn(async move { scrape(&admin).await })
    });
    let scrapes: Vec<_> = scrapes.collect();
    for topic in 0..50 {
        assert_eq!(world.produce(&format!("topic-{topic}"), &TestBatch::of([good()])).await, 0);
    }
    for scrape in scrapes {
        assert_eq!(scrape.await.unwrap().labels("batches_total", "topic").len(), 201);
    }
}
