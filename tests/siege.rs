//! Promise: besieged with its default limits, the program says what happens without filling the log, and serves those who
//! mean well: what they are told is stored, is stored once and in order. How much memory that takes is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, MetadataRequest, TopicName, metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};
use support::{
    batch_builder::{Codec, TestBatch, TestRecord, varint},
    binary::Program,
    broker::FakeBroker,
    client::{Client, Produce, frame, only},
    http,
    registry::Registry,
    scrape::Scrape,
    scripted::raw_request,
    wait::patiently,
};
use tokio::task::JoinSet;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The program between a broker that says yes and a registry that knows schema 1, bytes.
struct World {
    broker: FakeBroker,
    _registry: Registry,
    program: Program,
}

impl World {
    async fn new(more: &str) -> Self {
        raise_descriptors();
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        registry.id(1, r#"{"type":"bytes"}"#);
        let program = Program::run(&broker.address(), &registry.url(), more).ready().await;
        Self { broker, _registry: registry, program }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.program.bootstrap()).await
    }

    async fn scrape(&self) -> Scrape {
        Scrape::of(&http::get(&self.program.admin(), "/metrics").await.body)
    }

    async fn closed(&self, cause: &str) -> f64 {
        self.scrape().await.value(&format!("connections_closed_total{{cause=\"{cause}\"}}"))
    }

    async fn until_open(&self, count: f64) {
        patiently("the number of connections", async {
            while self.scrape().await.value("connections") != count {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory_kib(&self, line: &str) -> usize {
        let path = format!("/proc/{}/status", self.program.id());
        let status = std::fs::read_to_string(path).unwrap();
        let found = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap().trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

/// Thousands of connections need more descriptors than a shell allows by default. The program inherits what is set here.
fn raise_descriptors() {
    let pid = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard = line.split_whitespace().nth(4).unwrap();
    let raised =
        Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={hard}:{hard}")]).status();
    assert!(raised.is_ok_and(|status| status.success()), "prlimit (util-linux) is needed");
}

fn event(value: &str) -> TestRecord {
    let mut datum = Vec::new();
    varint(&mut datum, value.len() as i64);
    datum.extend(value.bytes());
    TestRecord::avro("1", datum)
}

/// Uses a connection as a client does before it falls silent.
async fn greet(client: &mut Client, topic: &str, size: usize) {
    client.call(3, &ApiVersionsRequest::default()).await;
    client.call(9, &MetadataRequest::default()).await;
    let batch = TestBatch::of([event(&"hello".repeat(size / 5))]).encode();
    let answer = client.produce(9, &Produce::to(topic, 0, batch)).await;
    assert_eq!(only(&answer).error_code, 0);
}

/// KiB that each of `count` idle connections takes, when some are there already.
async fn cost_of_idle(world: &World, count: usize, used: bool) -> f64 {
    let mut idle = Vec::new();
    let mut before = 0;
    let others = world.scrape().await.value("connections");
    for opened in 0..count + 200 {
        if opened == 200 {
            world.until_open(others + 200.0).await;
            before = world.memory_kib("VmRSS");
        }
        let mut client = world.client().await;
        if used {
            greet(&mut client, "idle", 20 * KIB).await;
            greet(&mut client, "idle", 2 * KIB).await;
        }
        idle.push(client);
    }
    world.until_open(others + (count + 200) as f64).await;
    let each = (world.memory_kib("VmRSS") - before) as f64 / count as f64;
    // All of them still work.
    for client in &mut idle {
        client.call(3, &ApiVersionsRequest::default()).await;
    }
    each
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_take_at_most_8_kib_each() {
    for used in [false, true] {
        let world = World::new("").await;
        let each = cost_of_idle(&world, 1_000, used).await;
        println!("an idle connection takes {each:.1} KiB (used before: {used})");
        assert!(each <= 8.0, "{each} KiB, used before: {used}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: scripts/full runs it"]
async fn five_thousand_idle_connections_disturb_nobody() {
    let world = World::new("").await;
    let good = GoodProducer::start(&world).await;
    // The bar is for connections beside which nothing happens: what a busy neighbour takes is in this figure too.
    let each = cost_of_idle(&world, 5_000 - 200, true).await;
    println!("an idle connection takes {each:.1} KiB beside a busy one");
    good.assert_all_stored(&world).await;
}

/// Produces one record after the other, as long as it is let.
struct GoodProducer {
    stop: Arc<AtomicBool>,
    sent: tokio::task::JoinHandle<Vec<Bytes>>,
}

impl GoodProducer {
    async fn start(world: &World) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (mut client, stopped) = (world.client().await, Arc::clone(&stop));
        let sent = tokio::spawn(async move {
            let mut sent = Vec::new();
            while !stopped.load(Ordering::Relaxed) || sent.len() < 10 {
                let codec = Codec::ALL[sent.len() % Codec::ALL.len()];
                let record = event(&format!("good {} {}", sent.len(), "x".repeat(2_000)));
                let batch = Bytes::from(TestBatch::of([record]).codec(codec).encode());
                let produce = Produce::to("good", 0, batch.clone());
                let answer = patiently("an answer", client.produce(9, &produce)).await;
                assert_eq!(only(&answer).error_code, 0, "{answer:?}");
                sent.push(batch);
            }
            sent
        });
        Self { stop, sent }
    }

    /// What it sent is what the broker has, each once and in order.
    async fn assert_all_stored(self, world: &World) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sent.await.unwrap();
        let received = world.broker.received();
        let stored = received.iter().filter(|it| it.topic == "good");
        let stored: Vec<_> = stored.map(|it| it.record_set.clone().unwrap()).collect();
        assert!(stored == sent, "{} stored, {} sent", stored.len(), sent.len());
    }
}

/// Sends each of `requests` on a connection of its own, all at once, and waits until the proxy has closed or answered.
async fn storm(world: &World, requests: Vec<Bytes>) {
    let mut attackers = JoinSet::new();
    for request in requests {
        let address = world.program.bootstrap();
        attackers.spawn(async move {
            let mut client = Client::connect(&address).await;
            client.try_send_bytes(&request).await;
            patiently("an answer or the end", client.receive_frame()).await;
        });
    }
    while let Some(attacked) = attackers.join_next().await {
        attacked.unwrap();
    }
}

fn produce(record_set: Vec<u8>) -> Bytes {
    frame(1, 9, &Produce::to("evil", 0, record_set).request(9))
}

/// Frames whose size, version or counts are lies.
fn lies() -> Vec<Bytes> {
    let head = |size: i32, api_key: i16| -> Bytes {
        [&size.to_be_bytes()[..], &api_key.to_be_bytes(), &[0; 6]].concat().into()
    };
    let sizes = [i32::MIN, -1, 0, 3, 16 * MIB as i32 + 1, i32::MAX];
    let sizes = sizes.into_iter().flat_map(|size| [head(size, 0), head(size, 3)]);
    // Null client id, no tags, null transactional id, acks, timeout; then counts of topics, partitions, bytes.
    let produce = [0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 3, 0xe8];
    let gigantic = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let counts: [&[u8]; 3] = [&[], &[2, 2, b't'], &[2, 2, b't', 2, 0, 0, 0, 0]];
    let counts = counts.map(|before| {
        let wide = [1, 1, 0].repeat(MIB);
        raw_request(0, 9, 1, &[&produce, before, &gigantic, &wide].concat())
    });
    let garbage = (0_u8..40).map(|seed| {
        let noise = (0..400_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8 ^ seed);
        raw_request(0, i16::from(seed % 14), 1, &noise.collect::<Vec<_>>())
    });
    sizes.chain(counts).chain(garbage).chain([raw_request(0, 99, 1, b"")]).collect()
}

/// Batches that are more than they seem, in every codec.
fn bombs() -> Vec<Bytes> {
    let zeros = vec![0; 256 * MIB];
    let mut record = Vec::new();
    varint(&mut record, (200 * MIB) as i64);
    record.extend(&zeros[..200 * MIB]);
    // As many empty records as fit into what may be decompressed: no metadata in any of them.
    let tiny = [12, 0, 0, 0, 1, 0, 0].repeat(60 * MIB / 7);
    let tiny_count = (60 * MIB / 7) as i32;
    let bodies = [(&zeros, i32::MAX), (&record, 1), (&tiny, tiny_count)];
    let codecs = Codec::ALL.into_iter().filter(|codec| *codec != Codec::None);
    codecs
        .flat_map(|codec| {
            bodies.map(|(plain, count)| {
                let mut batch = TestBatch::of([]).codec(codec);
                batch.body = Some(codec.compress(plain));
                batch.declared_records = Some(count);
                produce(batch.encode())
            })
        })
        .filter(|request| request.len() < 16 * MIB)
        .collect()
}

/// Records that promise more than they hold, or hold more than anyone needs.
fn strange_records() -> Vec<Bytes> {
    let record = |headers: i64, rest: &[u8]| {
        let mut body = vec![0, 0, 0, 1, 2, b'v'];
        varint(&mut body, headers);
        body.extend(rest);
        let mut record = Vec::new();
        varint(&mut record, body.len() as i64);
        [record, body].concat()
    };
    let bodies = [
        (1, record(1_000_000, &vec![0; 2_000_000])),
        (1, record(i64::from(i32::MAX), &[])),
        (i32::MAX, record(0, &[])),
        (-1, Vec::new()),
        (1, vec![0xff; 20]),
    ];
    let mut requests = Vec::new();
    for codec in Codec::ALL {
        for (count, body) in &bodies {
            let mut batch = TestBatch::of([]).codec(codec);
            batch.body = Some(codec.compress(body));
            batch.declared_records = Some(*count);
            requests.push(produce(batch.encode()));
            batch.break_checksum = true;
            requests.push(produce(batch.encode()));
        }
    }
    // Twenty thousand partitions, each refused.
    let batch = Bytes::from(TestBatch::of([TestRecord::bare(b"x".to_vec())]).encode());
    let mut wide = Produce::to("evil", 0, batch.clone());
    wide.topics[0].2.extend((1..20_000).map(|index| (index, Some(batch.clone()))));
    requests.push(frame(1, 9, &wide.request(9)));
    requests
}

/// Half of a large request each, and then silence. They stay as long as what is returned.
async fn half_sent(world: &World, count: usize) -> JoinSet<()> {
    let half = raw_request(36, 2, 1, &vec![7; 16 * MIB - 8]).slice(..8 * MIB);
    let mut silent = JoinSet::new();
    for _ in 0..count {
        let (mut client, half) = (world.client().await, half.clone());
        silent.spawn(async move {
            client.try_send_bytes(&half).await;
            std::future::pending::<()>().await;
            drop(client);
        });
    }
    let full = || async { world.scrape().await.value("memory_budget_waits_total") > 0.0 };
    patiently("the budget to be spent", async { while !full().await {} }).await;
    silent
}

/// Clients that ask for much and read nothing.
async fn deaf(world: &World, count: usize) -> Vec<Client> {
    let topics = (0..5_000).map(|topic| {
        let name = TopicName(StrBytes::from_string(format!("{topic}{}", "t".repeat(100))));
        MetadataRequestTopic::default().with_name(Some(name))
    });
    let request = frame(1, 9, &MetadataRequest::default().with_topics(Some(topics.collect())));
    let mut deaf = Vec::new();
    for _ in 0..count {
        let mut client = world.client().await;
        let asking = async { while client.try_send_bytes(&request).await {} };
        // Until nobody takes any more of it.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), asking).await;
        deaf.push(client);
    }
    deaf
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn besieged_the_program_serves_who_means_well_and_stays_below_128_mib() {
    let peak = besiege().await;
    assert!(peak < 128 * KIB, "{peak} KiB");
}

/// Everything at once and one after the other. Gives the peak of the program's resident memory, in KiB.
async fn besiege() -> usize {
    let world = World::new("").await;
    let good = GoodProducer::start(&world).await;
    let report = |what: &str| {
        println!("after {what}: peak {} MiB", world.memory_kib("VmHWM") / KIB);
    };
    let (many, bombs) = (lies(), bombs());
    let lied = many.len() as f64;
    storm(&world, many).await;
    report("lies");
    assert!(world.closed("client").await >= lied - 1.0);
    storm(&world, bombs.clone()).await;
    report("bombs");
    storm(&world, strange_records()).await;
    report("strange records");
    let silent = half_sent(&world, 60).await;
    report("half-sent requests");
    let waits = world.scrape().await.value("memory_budget_waits_total");
    let released = async {
        let waiting = || async { world.scrape().await.value("memory_budget_waits_total") > waits };
        patiently("a bomb to wait", async { while !waiting().await {} }).await;
        drop(silent);
    };
    tokio::join!(storm(&world, bombs.clone()), released);
    report("bombs while memory is spent");
    let deaf = deaf(&world, 20).await;
    report("clients that do not read");
    drop(deaf);
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(world.client().await);
    }
    storm(&world, [bombs, strange_records(), lies()].concat()).await;
    report("everything at once, among 500 idle connections");
    let received = world.broker.received();
    assert!(received.iter().all(|it| it.topic == "good"), "something bad got in");
    good.assert_all_stored(&world).await;
    drop(idle);
    world.until_open(0.0).await;
    let scrape = world.scrape().await;
    assert_eq!(scrape.value("memory_budget_used_bytes"), 0.0);
    assert_eq!(world.closed("panic").await, 0.0);
    let peak = world.memory_kib("VmHWM");
    println!("peak RSS under siege: {} MiB", peak / KIB);
    let said = world.program.said();
    for line in ["connection closed", "batch rejected", "end=\"client\""] {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
    assert!(said.lines().count() < 300, "{} lines", said.lines().count());
    let program = world.program;
    program.signal("TERM");
    assert_eq!(program.ended().await.code, Some(0));
    peak
}
