//! Promise: Prometheus itself takes what a scrape shows, and the rules and their unit tests in `deploy/monitoring`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use support::{
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce},
    http, process,
    proxy::{Proxy, loopback},
    registry::Registry,
    require,
};

const USER: &str = r#"{"type":"record","name":"User","fields":[{"name":"age","type":"int"}]}"#;
const TOPICS: usize = 30;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn is_here() -> bool {
    let found = require::prometheus();
    require::or_skip_unless(&["SCHEMAWARD_REQUIRE_PROMETHEUS"], &found).is_some()
}

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(file)
}

/// A proxy that has let records pass and refused some, on many topics.
async fn under_traffic() -> (FakeBroker, Registry, Proxy) {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    registry.id(1, USER);
    let proxy = Proxy::start(&[broker.address()], &registry.url(), "").await;
    let mut client = Client::connect(&proxy.node(1)).await;
    for topic in 0..TOPICS {
        for value in [&b"\x02"[..], b"\x02\x02"] {
            let batch = TestBatch::of([TestRecord::avro("1", value)]);
            client.produce(9, &Produce::to(&format!("t.{topic}-x_y"), 0, batch.encode())).await;
        }
    }
    (broker, registry, proxy)
}

#[tokio::test]
#[ignore = "long: scripts/full runs it"]
async fn promtool_finds_nothing_to_say_about_a_scrape() {
    if !is_here() {
        return;
    }
    let (_broker, _registry, proxy) = under_traffic().await;
    let scrape = proxy.metrics();
    assert!(scrape.contains("t.29-x_y"));
    let mut promtool = Command::new("promtool");
    let checked = process::run(promtool.args(["check", "metrics"]), &scrape, PATIENCE);
    assert!(checked.status.success(), "{}{}", checked.stdout, checked.stderr);
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn the_rules_are_taken_and_their_tests_pass() {
    if !is_here() {
        return;
    }
    for (what, file) in [("check", "rules.yaml"), ("test", "rules.test.yaml")] {
        let mut promtool = Command::new("promtool");
        promtool.args([what, "rules"]).arg(monitoring(file));
        let finished = process::run(&mut promtool, "", PATIENCE);
        assert!(finished.status.success(), "{file}: {}{}", finished.stdout, finished.stderr);
        assert!(finished.stdout.contains("SUCCESS"), "{file}: {}", finished.stdout);
    }
}

/// What an answer holds, in whatever chunks it came.
fn body(reply: &http::Reply) -> String {
    if !reply.head.contains("transfer-encoding: chunked") {
        return reply.body.clone();
    }
    let (mut whole, mut rest) = (String::new(), reply.body.as_str());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let (chunk, after) = after.split_at(usize::from_str_radix(size, 16).unwrap());
        whole.push_str(chunk);
        rest = after.strip_prefix("\r\n").unwrap_or_default();
    }
    whole
}

/// A running Prometheus. It is killed when dropped.
struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that scrapes `target` every second and has our rules.
    fn scraping(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("{}:9090", loopback());
        let config = folder.path().join("prometheus.yaml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n  - {{job_name: sidecar, static_configs: [{{targets: [\"{target}\"]}}]}}\n",
            monitoring("rules.yaml").display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, _folder: folder }
    }

    /// Asks until the answer is as `wanted`.
    async fn until(&mut self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let patience = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < patience {
            assert!(self.child.try_wait().unwrap().is_none(), "Prometheus has ended");
            if let Some(reply) = http::try_get(&self.address, path).await {
                last = serde_json::from_str(&body(&reply)).unwrap_or(Value::Null);
                if wanted(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path}: {last:#}")
    }

    /// The value of a query with one answer, once it has one.
    async fn value(&mut self, query: &str) -> f64 {
        let escaped = query.bytes().fold(String::new(), |mut escaped, byte| {
            write!(escaped, "%{byte:02X}").unwrap();
            escaped
        });
        let path = format!("/api/v1/query?query={escaped}");
        let one =
            |answer: &Value| answer["data"]["result"].as_array().is_some_and(|it| it.len() == 1);
        let answer = self.until(&path, one).await;
        answer["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test]
#[ignore = "long: scripts/full runs it"]
async fn prometheus_scrapes_what_was_counted_and_evaluates_every_rule() {
    if !is_here() {
        return;
    }
    let (_broker, _registry, proxy) = under_traffic().await;
    let mut prometheus = Prometheus::scraping(&format!("{}:9464", proxy.host()));
    let healthy = |answer: &Value| answer["data"]["activeTargets"][0]["health"] == "up";
    let targets = prometheus.until("/api/v1/targets", healthy).await;
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "");
    for (query, expected) in [
        ("count(schemaward_records_total{verdict=\"accepted\"} > 0)", TOPICS as f64),
        (
            "sum(schemaward_records_total{topic=\"t.0-x_y\",reason=\"payload_trailing_bytes\",verdict=\"rejected\"})",
            1.0,
        ),
        ("schemaward_produce_own_seconds_count", 2.0 * TOPICS as f64),
        ("schemaward_produce_broker_seconds_count", 2.0 * TOPICS as f64),
        ("schemaward_connections_total", 1.0),
    ] {
        assert_eq!(prometheus.value(query).await, expected, "{query}");
    }
    let evaluated = |answer: &Value| {
        let groups = answer["data"]["groups"].as_array();
        let mut rules = groups.into_iter().flatten().flat_map(|group| group["rules"].as_array());
        groups.is_some_and(|groups| !groups.is_empty())
            && rules.all(|rules| rules.iter().all(|rule| rule["health"] == "ok"))
    };
    let rules = prometheus.until("/api/v1/rules", evaluated).await;
    let groups = rules["data"]["groups"].as_array().unwrap();
    assert!(
        groups.iter().map(|group| group["rules"].as_array().unwrap().len()).sum::<usize>() > 20
    );
}
