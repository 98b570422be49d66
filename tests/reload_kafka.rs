//! Promise: a reload costs nobody anything. While producers send as fast as they can to a real Kafka, the configuration is
//! read again dozens of times; no request fails, nobody connects again, and every record is stored once, in its order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use support::{
    admin,
    batch::{Batch, Record},
    binary::Program,
    case::Case,
    certificates::Files,
    java::Java,
    kafka::{self, Kafka, Options, USERS},
    log_reader, produce,
    proxy::loopback,
    raw_client::RawClient,
    registry::Registry,
    sidecar::{USER, http_get, user, wait_until},
    traffic::{Plan, Traffic},
};
use tokio::runtime::{Builder, Runtime};

mod support;

const CONNECTIONS: usize = 6;
const RECORDS: usize = 10;
const RELOADS: usize = 60;
const BAD_FILE_EVERY: usize = 10;

/// Sections that differ from reload to reload: what they say lets every record of the test pass.
fn variants(registry: &str) -> [String; 7] {
    let registry_with = |more: &str| format!("registry: {{url: '{registry}', {more}}}\n");
    let plain = format!("registry: {{url: '{registry}'}}\n");
    [
        plain.clone(),
        format!("{plain}rules: [{{topics: [other], mode: \"off\"}}]\n"),
        format!(
            "{plain}limits: {{max_record_bytes: 1MiB, max_request_bytes: 8MiB, max_in_flight: 3, \
             memory_budget: 8MiB, idle_timeout: 1m, request_timeout: 5s}}\n"
        ),
        // Nothing is known any more, and everything is looked up again.
        registry_with("allow: ['http://elsewhere.example:1']"),
        format!("{plain}default_rule: {{allow_schemas: ['1'], tombstones: reject}}\n"),
        format!("{plain}default_rule: {{mode: observe}}\nsequence_guard: {{max_entries: 10}}\n"),
        registry_with("cache: {max_entries: 5}, request_timeout: 2s")
            + "log: {level: warn}\nmetrics: {max_topics: 1}\n",
    ]
}

/// One connection that sends batch after batch until it is told to stop.
struct Sender {
    thread: JoinHandle<Sent>,
}

struct Sent {
    batches: usize,
    slowest: Duration,
}

impl Sender {
    fn start(
        address: String,
        topic: String,
        partition: i32,
        stop: Arc<AtomicBool>,
        answered: Arc<AtomicUsize>,
    ) -> Self {
        let thread = thread::spawn(move || {
            let mut client = RawClient::bootstrap(&address).unwrap();
            let mut sent = Sent { batches: 0, slowest: Duration::ZERO };
            while !stop.load(Ordering::Relaxed) {
                let records = (0..RECORDS).map(|index| {
                    Record::new(user(&number(sent.batches * RECORDS + index)))
                        .header("content-type", "avro")
                        .header("schema-id", "1")
                });
                let batch = Batch::new(records.collect()).to_bytes();
                let since = Instant::now();
                let answer = produce::call(&mut client, &topic, partition, batch, 9);
                assert_eq!(answer.error_code, 0, "{answer:?}");
                sent.slowest = sent.slowest.max(since.elapsed());
                sent.batches += 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            sent
        });
        Self { thread }
    }
}

fn number(number: usize) -> String {
    format!("number {number}")
}

/// The program in front of `kafka`, and what its file holds.
struct Scene {
    host: String,
    program: Program,
    direct: String,
    registry: String,
    /// Dropped last.
    _runtime: (Registry, Runtime),
}

impl Scene {
    fn new(kafka: &Kafka) -> Self {
        Self::with(kafka, |host, plain| file(host, &kafka.bootstrap(), plain))
    }

    /// With a file that `text` makes of the host and the sections of the first variant.
    fn with(kafka: &Kafka, text: impl Fn(&str, &str) -> String) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (host, direct) = (loopback(), kafka.bootstrap());
        let (served, program) = runtime.block_on(async {
            let registry = Registry::start().await;
            registry.id(1, USER);
            let plain = &variants(&registry.url())[0];
            let program = Program::run_file(&host, &text(&host, plain), &[]);
            (registry, program.ready().await)
        });
        let registry = served.url();
        Self { host, program, direct, registry, _runtime: (served, runtime) }
    }

    fn metric(&self, line: &str) -> f64 {
        let scrape = http_get(&self.program.admin(), "/metrics").expect("it answers");
        let found = scrape.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    fn reloads(&self) -> f64 {
        let of = |outcome| {
            self.metric(&format!("schemaward_config_reloads_total{{outcome=\"{outcome}\"}}"))
        };
        of("applied") + of("failed")
    }

    /// Has another file read, and waits until that is done.
    fn reload(&self, text: &str) {
        self.program.rewrite(text);
        let before = self.reloads();
        self.program.signal("HUP");
        wait_until("the reload", || self.reloads() > before);
    }

    fn connections(&self) -> (f64, f64) {
        (self.metric("schemaward_connections_total "), self.metric("schemaward_connections "))
    }
}

fn file(host: &str, upstream: &str, more: &str) -> String {
    format!(
        "listen: {{bootstrap: '{host}:9092', broker_ports: 9100-9109}}\n\
         upstream: {{bootstrap: ['{upstream}']}}\nadmin: {{listen: '{host}:9464'}}\n{more}"
    )
}

#[test]
fn reloads_under_full_load_fail_no_request_and_close_no_connection() {
    let Some(kafka) = kafka::shared_single() else { return };
    let Some(java) = Java::get() else { return };
    let scene = Scene::new(kafka);
    let partitions = i32::try_from(CONNECTIONS).unwrap();
    admin::create_topic(&scene.direct, "under-load", partitions, 1);
    admin::create_topic(&scene.direct, "of-java", 1, 1);
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let senders: Vec<_> = (0..partitions)
        .map(|partition| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let address = scene.program.node(kafka.node_ids()[0]);
            Sender::start(address, "under-load".to_owned(), partition, stop, answered)
        })
        .collect();
    let plan = Plan { one_bad_in: 0, ..Plan::new("of-java", 1) };
    let traffic: Traffic = java.traffic(&scene.program.bootstrap(), &[], plan);
    traffic.flows();
    let before = scene.connections();
    let texts = variants(&scene.registry).map(|more| file(&scene.host, &scene.direct, &more));
    let since = Instant::now();
    for round in 1..=RELOADS {
        if round % BAD_FILE_EVERY == 0 {
            scene.reload("listen: {bootstrap: nowhere}\n");
        }
        scene.reload(&texts[round % texts.len()]);
        // The load goes on between any two.
        let then = answered.load(Ordering::Relaxed);
        wait_until("answers", || answered.load(Ordering::Relaxed) > then + CONNECTIONS);
    }
    let took = since.elapsed();
    traffic.flows();
    assert_eq!(scene.connections(), before, "nobody has connected again");
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<_> = senders.into_iter().map(|it| it.thread.join().unwrap()).collect();
    let tally = traffic.finish(&scene.direct);
    assert_eq!(tally.refused, 0);
    for (partition, sent) in (0..).zip(&sent) {
        let stored = log_reader::stored_values(&scene.direct, "under-load", partition);
        let expected = (0..sent.batches * RECORDS).map(|it| user(&number(it)));
        assert!(stored.iter().map(|value| value.as_deref().unwrap().to_vec()).eq(expected));
    }
    assert_eq!(scene.metric("schemaward_memory_budget_used_bytes "), 0.0);
    let requests: usize = sent.iter().map(|it| it.batches).sum();
    let slowest = sent.iter().map(|it| it.slowest).max().unwrap();
    println!(
        "{} reloads in {took:?}: {requests} requests of {RECORDS} records, the slowest in {slowest:?}, and {} records of Java",
        scene.reloads(),
        tally.acknowledged,
    );
}

#[test]
fn a_login_is_repeated_with_new_files_on_connections_that_stay_open() {
    const LIFETIME: Duration = Duration::from_secs(2);
    let properties =
        vec![("connections.max.reauth.ms".to_owned(), LIFETIME.as_millis().to_string())];
    let options = Options { brokers: 1, sasl: true, properties, ..Options::default() };
    let (Some(kafka), Some(java)) = (Kafka::with(&options), Java::get()) else { return };
    let (name, password) = USERS[0];
    let lay = || {
        let files = Files::new();
        files.write("username", name);
        files.write("password", password);
        files
    };
    let upstream = kafka.sasl_addresses()[0].to_string();
    let text = |files: &Files, host: &str, more: &str| {
        let folder = files.folder().display();
        let sasl = format!(
            "sasl: {{mechanism: SCRAM-SHA-256, username_file: '{folder}/username', password_file: '{folder}/password'}}"
        );
        file(host, &upstream, more).replace("']}\nadmin", &format!("'], {sasl}}}\nadmin"))
    };
    let (first, second) = (lay(), lay());
    let scene = Scene::with(&kafka, |host, plain| text(&first, host, plain));
    admin::create_topic(&scene.direct, "logins", 1, 1);
    let mut producer = java.producer(&scene.program.bootstrap(), &["linger.ms=0"]);
    let mut sent = Vec::new();
    let mut send_for = |time: Duration| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let case = Case::new("logins", &user(&number(sent.len())));
            let case = case.header("content-type", "avro").header("schema-id", "1");
            let seen = producer.send(&[case]);
            assert!(seen[0].ok, "{seen:?}");
            sent.push(user(&number(sent.len())));
        }
    };
    send_for(LIFETIME / 2);
    let before = scene.connections();
    let plain = &variants(&scene.registry)[0];
    scene.reload(&text(&second, &scene.host, plain));
    drop(first);
    send_for(LIFETIME * 2);
    assert_eq!(scene.connections(), before, "nobody has connected again");
    let mut fresh = RawClient::bootstrap(&scene.program.bootstrap()).unwrap();
    fresh.call(&kafka_protocol::messages::MetadataRequest::default(), 9).expect("new ones log in");
    for kind in ["login", "closed", "protocol", "io"] {
        let line = format!("schemaward_upstream_errors_total{{kind=\"{kind}\"}}");
        assert_eq!(scene.metric(&line), 0.0, "{kind}");
    }
    let stored = log_reader::stored_values(&scene.direct, "logins", 0);
    assert!(stored.iter().map(|value| value.as_deref().unwrap().to_vec()).eq(sent));
}
