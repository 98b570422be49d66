//! Promise: what a record holds, its metadata apart, shows up nowhere: in no log line, no metric, no page, no answer. And of
//! the metadata, no reference is shown with its user information, query or fragment.
//!
//! A canary sits in every position of values, keys and headers, while every reason is provoked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use schemaward::{
    logging::{LogFormat, LogLevel, LogSettings, layer},
    reason::Reason,
};
use support::{
    batch_builder::{Codec, TestBatch, TestRecord, bytes, varint},
    broker::FakeBroker,
    client::{Client, Produce, frame},
    http,
    proxy::Proxy,
    registry::{Mood, Registry},
};
use tracing_subscriber::layer::SubscriberExt;

/// In texts.
const CANARY: &str = "cAnaRy8F3x";
/// In numbers.
const NUMBER: &str = "735560899172";
/// The whole number, where an int is expected.
const NUMBER_VALUE: i64 = 735_560_899_172;

/// A field of each kind.
const EVENT: &str = r#"{"type":"record","name":"Event","namespace":"example","fields":[
    {"name":"text","type":"string"},
    {"name":"labels","type":{"type":"map","values":"int"}},
    {"name":"suit","type":{"type":"enum","name":"Suit","symbols":["A","B"]}},
    {"name":"raw","type":"bytes"},
    {"name":"code","type":{"type":"fixed","name":"Code","size":4}},
    {"name":"choice","type":["null","string"]},
    {"name":"items","type":{"type":"array","items":"string"}},
    {"name":"n","type":"int"},
    {"name":"flag","type":"boolean"}]}"#;

/// All log lines of this process, as text and as JSON, down to the least severe.
fn log() -> &'static Lines {
    static LOG: OnceLock<Lines> = OnceLock::new();
    LOG.get_or_init(|| {
        let lines = Lines::default();
        let layers = [LogFormat::Text, LogFormat::Json].map(|format| {
            let made = lines.clone();
            layer(&LogSettings { level: LogLevel::Trace, format }, move || made.clone())
        });
        let subscriber = tracing_subscriber::registry().with(Vec::from(layers));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        lines
    })
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails where a canary sits in `text`, in whatever shape bytes are printed.
fn assert_clean(what: &str, text: &str) {
    let lower = text.to_lowercase();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    for shape in [&CANARY.to_lowercase(), NUMBER, &hex, &list] {
        if let Some(at) = lower.find(shape) {
            let end = (at + 200).min(lower.len());
            let around = &lower.as_bytes()[at.saturating_sub(400)..end];
            panic!("{shape} sits in {what}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// Bytes that hold the canary.
fn canary_bytes() -> Vec<u8> {
    format!("{CANARY}{NUMBER}").into_bytes()
}

/// A record with canaries in its key and in headers that are no metadata.
fn dressed(record: TestRecord) -> TestRecord {
    record
        .key(format!("key-{CANARY}"))
        .header("x-secret", CANARY)
        .header(&format!("x-{CANARY}"), NUMBER)
        .header(&format!("content-type-{CANARY}"), CANARY)
        .null_header(CANARY)
}

fn avro(value: impl Into<Vec<u8>>) -> TestRecord {
    dressed(TestRecord::avro("1", value))
}

fn json(value: &str) -> TestRecord {
    dressed(
        TestRecord::bare(value.replace("CANARY", CANARY).replace("NUMBER", NUMBER))
            .header("content-type", "avro-json")
            .header("schema-id", "1"),
    )
}

/// A datum of [`EVENT`], field by field, with the canary in each place that takes text.
fn fields() -> [Vec<u8>; 9] {
    let mut labels = Vec::new();
    varint(&mut labels, 1);
    labels.extend(text(CANARY.as_bytes()));
    varint(&mut labels, 7);
    varint(&mut labels, 0);
    let mut choice = vec![2];
    choice.extend(text(CANARY.as_bytes()));
    let mut items = vec![2];
    items.extend(text(CANARY.as_bytes()));
    items.push(0);
    let raw = text(&canary_bytes());
    [
        text(CANARY.as_bytes()),
        labels,
        vec![0],
        raw,
        CANARY.as_bytes()[..4].into(),
        choice,
        items,
        vec![2],
        vec![1],
    ]
}

fn text(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, Some(value));
    out
}

fn number(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, value);
    out
}

/// Binary data that is broken in every place, with the canary around it.
fn broken_binary() -> Vec<Vec<u8>> {
    let not_utf8 = [CANARY.as_bytes(), b"\xff"].concat();
    let mut bad_key = number(1);
    bad_key.extend(text(&not_utf8));
    let sized = |size: i64| [number(size), CANARY.as_bytes().to_vec()].concat();
    let replacements: Vec<(usize, Vec<u8>)> = vec![
        (0, text(&not_utf8)),
        (0, sized(NUMBER_VALUE)),
        (0, sized(-NUMBER_VALUE)),
        (1, bad_key),
        (1, sized(NUMBER_VALUE)),
        (2, number(NUMBER_VALUE)),
        (3, sized(NUMBER_VALUE)),
        (5, number(NUMBER_VALUE)),
        (6, sized(-NUMBER_VALUE)),
        (7, number(NUMBER_VALUE)),
        (8, CANARY.as_bytes().to_vec()),
        (1, [number(NUMBER_VALUE), vec![0]].concat()),
        (6, [number(-2), number(NUMBER_VALUE), vec![0]].concat()),
    ];
    let mut broken: Vec<_> = replacements
        .into_iter()
        .map(|(field, bytes)| {
            let mut fields = fields();
            fields[field] = bytes;
            fields.concat()
        })
        .collect();
    let whole = fields().concat();
    broken.extend((1..whole.len()).step_by(7).map(|end| whole[..end].to_vec()));
    broken.push([whole, CANARY.into()].concat());
    broken
}

/// Documents that are broken in every place, with the canary around it.
fn broken_json() -> Vec<String> {
    let good = r#"{"text":"CANARY","labels":{"CANARY":1},"suit":"A","raw":"CANARY","code":"abcd","choice":{"string":"CANARY"},"items":["CANARY"],"n":1,"flag":true}"#;
    let replaced = [
        (r#""text":"CANARY""#, r#""text":NUMBER"#),
        (r#""text":"CANARY""#, r#""text":"CANARY\q""#),
        (r#""text":"CANARY""#, r#""text":CANARY"#),
        (r#""text":"CANARY""#, r#""CANARY":"CANARY""#),
        (r#""text":"CANARY""#, r#""text":"CANARY","CANARY":NUMBER"#),
        (r#""text":"CANARY""#, r#""text":"CANARY","text":"CANARY""#),
        (r#"{"CANARY":1}"#, r#"{"CANARY":"CANARY"}"#),
        (r#"{"CANARY":1}"#, r#"{"CANARY":NUMBER}"#),
        (r#"{"CANARY":1}"#, r#"{CANARY:1}"#),
        (r#"{"CANARY":1}"#, r#"["CANARY"]"#),
        (r#""suit":"A""#, r#""suit":"CANARY""#),
        (r#""raw":"CANARY""#, r#""raw":"CANARY\u0100""#),
        (r#""code":"abcd""#, r#""code":"CANARY""#),
        (r#"{"string":"CANARY"}"#, r#"{"CANARY":"x"}"#),
        (r#"{"string":"CANARY"}"#, r#"{"string":NUMBER}"#),
        (r#"{"string":"CANARY"}"#, r#""CANARY""#),
        (r#"{"string":"CANARY"}"#, r#"{"string":"CANARY","CANARY":1}"#),
        (r#"["CANARY"]"#, r#"["x",NUMBER]"#),
        (r#""n":1"#, r#""n":NUMBER"#),
        (r#""n":1"#, r#""n":-0.NUMBER"#),
        (r#""n":1"#, r#""n":"CANARY""#),
        (r#""flag":true"#, r#""flag":CANARY"#),
        (r#""flag":true}"#, r#""flag":true}CANARY"#),
        (r#""flag":true}"#, r#""flag":true,"CANARY":[[[[NUMBER]]]]}"#),
    ];
    let mut broken: Vec<_> = replaced.iter().map(|(old, new)| good.replacen(old, new, 1)).collect();
    assert!(broken.iter().all(|document| document != good), "every replacement replaces");
    broken.extend((1..good.len()).step_by(5).map(|end| good[..end].to_owned()));
    broken
}

/// A proxy with a rule for each reason that needs one.
struct World {
    broker: FakeBroker,
    registry: Registry,
    proxy: Proxy,
    client: Client,
    requests: i32,
}

impl World {
    async fn new(mode: &str) -> Self {
        log();
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        registry.id(1, EVENT);
        registry.id(3, r#"{"type":"recrod"}"#);
        registry.document("moved.avsc", EVENT);
        let more = format!(
            "limits: {{max_record_bytes: 4KiB, max_decompressed_bytes: 64KiB, lookup_deadline: 100ms}}\n\
             rules:\n  - {{topics: [strict], tombstones: reject, mode: {mode}}}\n  \
             - {{topics: [narrow], allow_schemas: [\"9\"], mode: {mode}}}\n  \
             - {{topics: [present], allow_schemas: [\"9\"], check: metadata, mode: {mode}}}\n\
             default_rule: {{mode: {mode}}}\nquarantine: {{credentials: none}}\n"
        );
        let proxy = Proxy::start(&[broker.address()], &registry.url(), &more).await;
        let client = Client::connect(&proxy.node(1)).await;
        Self { broker, registry, proxy, client, requests: 0 }
    }

    /// Sends a request, and looks for canaries in the bytes of the answer.
    async fn send(&mut self, version: i16, request: &Produce) {
        self.requests += 1;
        self.send_bytes(&frame(self.requests, version, &request.request(version))).await;
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.client.send_bytes(bytes).await;
        let answer = self.client.receive_frame().await.expect("every request is answered");
        assert_clean("an answer", &String::from_utf8_lossy(&answer));
        assert_clean("an answer, as bytes", &format!("{answer:?}"));
        // More often than the status forgets rejections.
        if self.requests % 50 == 0 {
            self.assert_clean_status().await;
        }
    }

    /// What the status tells of the latest rejections.
    async fn assert_clean_status(&self) {
        let admin = self.proxy.admin().replace("http://", "");
        let status = http::get(&admin, "/status").await.body;
        assert!(status.contains("\"message\":"), "rejections are told");
        assert_clean("/status", &status);
    }

    /// Sends a batch to a topic of its own, so that its line in the log is not one too many.
    async fn batch(&mut self, topic: &str, batch: &TestBatch) {
        let topic =
            if topic == "events" { format!("events-{}", self.requests) } else { topic.to_owned() };
        self.send(9, &Produce::to(&topic, 0, batch.encode())).await;
    }

    /// One record, in each codec.
    async fn record(&mut self, topic: &str, record: TestRecord) {
        for codec in [Codec::None, Codec::Zstd] {
            self.batch(topic, &TestBatch::of([record.clone()]).codec(codec)).await;
        }
    }

    async fn faulty_metadata(&mut self) {
        let bare = || dressed(TestRecord::bare(canary_bytes()));
        for record in [
            bare(),
            bare().header("schema-id", "1"),
            bare().header("content-type", "avro"),
            bare().header("content-type", "text/csv").header("schema-id", "1"),
            bare().header("content-type", "protobuf").header("schema-id", "1"),
            avro(canary_bytes()).header("schema-id", "2"),
            avro(canary_bytes()).header("serialization-type", "json"),
            avro(canary_bytes()).null_header("schema-id"),
        ] {
            self.record("events", record).await;
        }
        self.record("strict", TestRecord { value: None, ..avro("") }).await;
    }

    async fn faulty_references(&mut self) {
        for reference in [
            "ftp://x/CANARY-is-cut?CANARY",
            "https://user:CANARY@elsewhere.example/a",
            "https:/CANARY@elsewhere.example/a?CANARY",
            "http://elsewhere.example/a.avsc?token=CANARY#CANARY",
            "404?token=CANARY#CANARY",
            "none.avsc?token=CANARY#CANARY",
            "none\tx.avsc?token=CANARY#CANARY",
            "3",
            "3#CANARY",
        ] {
            // A path is part of what is shown; what may be secret is not.
            let reference = reference.replace("CANARY-is-cut", "a").replace("CANARY", CANARY);
            self.record("events", dressed(TestRecord::avro(&reference, canary_bytes()))).await;
            for topic in ["narrow", "present"] {
                let reference = format!("1?token={CANARY}#{CANARY}");
                self.record(topic, dressed(TestRecord::avro(&reference, canary_bytes()))).await;
            }
        }
    }

    async fn faulty_registry(&mut self) {
        let elsewhere = format!("http://elsewhere.example/{CANARY}?{CANARY}");
        for (turn, mood) in [
            Mood::Status(503),
            Mood::Status(418),
            Mood::Garbage,
            Mood::Silent,
            Mood::Redirect(elsewhere),
            Mood::Redirect(format!("moved.avsc?{CANARY}")),
        ]
        .into_iter()
        .enumerate()
        {
            self.registry.mood(mood);
            for reference in
                [format!("moved.avsc?turn={turn}&token={CANARY}"), (100 + turn).to_string()]
            {
                self.record("events", dressed(TestRecord::avro(&reference, canary_bytes()))).await;
            }
        }
        self.registry.mood(Mood::Well);
    }

    async fn faulty_values(&mut self) {
        for value in broken_binary() {
            self.record("events", avro(value)).await;
        }
        for document in broken_json() {
            self.record("events", json(&document)).await;
        }
        let many = broken_json().into_iter().map(|document| json(&document));
        self.batch("events", &TestBatch::of(many)).await;
    }

    async fn faulty_batches(&mut self) {
        let good = || TestBatch::of([avro(fields().concat())]);
        let mut corrupt = good();
        corrupt.break_checksum = true;
        let mut lying = good();
        lying.declared_records = Some(2);
        let mut cut = good();
        cut.body = Some(good().plain_body()[..40].to_vec());
        let mut old = good();
        old.magic = 1;
        let mut codec = good();
        codec.attributes = 5;
        let mut garbage = good().codec(Codec::Gzip);
        garbage.body = Some(canary_bytes());
        let large = TestBatch::of([avro(canary_bytes().repeat(300))]);
        for batch in [corrupt, lying, cut, old, codec, garbage, large] {
            self.batch("events", &batch).await;
        }
        self.send(9, &Produce::to("events", 0, canary_bytes())).await;
        self.send(13, &Produce::to("unnamed", 0, good().encode())).await;
    }

    async fn faulty_order(&mut self) {
        let batch = |value: Vec<u8>, sequence| {
            TestBatch::of([avro(value)]).sequenced(7, 0, sequence).encode()
        };
        for sequence in [0, 1] {
            self.send(9, &Produce::to("order", 0, batch(canary_bytes(), sequence))).await;
        }
        let mut twice = Produce::to("twice", 0, batch(canary_bytes(), 0));
        let copy = twice.topics[0].2[0].clone();
        twice.topics[0].2.push(copy);
        self.send(9, &twice).await;
    }

    /// Produce v1, which has no place for headers and which crates do not write any more.
    async fn old_request(&mut self) {
        let batch = TestBatch::of([avro(fields().concat())]).encode();
        let text = |text: &str| {
            [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
        };
        let head = [0, 0, 0, 1, 0, 0, 0, 1];
        let body = [
            &head[..],
            &text("test-client"),
            &(-1_i16).to_be_bytes(),
            &1_000_i32.to_be_bytes(),
            &1_i32.to_be_bytes(),
            &text("events"),
            &1_i32.to_be_bytes(),
            &0_i32.to_be_bytes(),
            &i32::try_from(batch.len()).unwrap().to_be_bytes(),
            &batch,
        ]
        .concat();
        let size = i32::try_from(body.len()).unwrap();
        self.send_bytes(&[&size.to_be_bytes()[..], &body].concat()).await;
    }

    /// Everything that can go wrong.
    async fn provoke(&mut self) {
        self.record("events", avro(fields().concat())).await;
        self.faulty_metadata().await;
        self.faulty_references().await;
        self.faulty_registry().await;
        self.faulty_values().await;
        self.faulty_batches().await;
        self.faulty_order().await;
    }

    async fn assert_clean(&self) {
        let admin = self.proxy.admin().replace("http://", "");
        for path in ["/metrics", "/status", "/", "/readyz", "/livez"] {
            let reply = http::get(&admin, path).await;
            assert_eq!(reply.status, 200, "{path}");
            assert_clean(path, &reply.head);
            assert_clean(path, &reply.body);
        }
        let log = log().text();
        assert!(log.contains("batch "), "rejections are logged");
        assert_clean("the log", &log);
    }

    fn counted(&self, reason: &str, verdict: &str) -> bool {
        let metrics = self.proxy.metrics();
        let (reason, verdict) = (format!("reason=\"{reason}\""), format!("verdict=\"{verdict}\""));
        metrics.lines().any(|line| {
            line.starts_with("schemaward_records_total")
                && line.contains(&reason)
                && line.contains(&verdict)
                && !line.ends_with(" 0")
        })
    }
}

#[tokio::test]
async fn a_canary_shows_up_nowhere_while_every_reason_is_provoked() {
    let mut world = World::new("enforce").await;
    world.provoke().await;
    world.old_request().await;
    for reason in Reason::ALL.map(Reason::label) {
        assert!(world.counted(reason, "rejected"), "{reason} was not provoked");
    }
    world.assert_clean().await;
    let mut gone = Client::connect(&world.proxy.node(1)).await;
    gone.send_bytes(format!("\0\0\x10\0\0\0\0\x09{CANARY}").as_bytes()).await;
    gone.send_bytes(CANARY.as_bytes()).await;
    drop(gone);
    world.proxy.drain().await.unwrap();
    assert_clean("the log after the drain", &log().text());
}

#[tokio::test]
async fn a_canary_shows_up_nowhere_but_in_the_dead_letter_topic() {
    let mut world = World::new("enforce, quarantine: true").await;
    world.provoke().await;
    let copies = || {
        let received = world.broker.received().into_iter();
        received.filter(|it| it.topic.ends_with(".rejected")).filter_map(|it| it.record_set)
    };
    assert!(copies().count() > 10, "refused batches are copied");
    assert!(copies().any(|set| set.windows(CANARY.len()).any(|at| at == CANARY.as_bytes())));
    world.assert_clean().await;
    let written = "schemaward_quarantined_records_total{outcome=\"undecodable\"}";
    assert!(world.proxy.metric(written) > 0.0, "some could not be copied, which was logged");
    world.proxy.drain().await.unwrap();
    assert_clean("the log after the drain", &log().text());
}

#[tokio::test]
async fn a_canary_shows_up_nowhere_where_everything_is_only_observed() {
    let mut world = World::new("observe").await;
    world.provoke().await;
    // Observing waits for no schema: what came before its schema was known is not judged. It is sent again until it is.
    let need_a_schema =
        ["schema_invalid", "schema_not_found", "payload_invalid", "payload_trailing_bytes"];
    while !need_a_schema.iter().all(|reason| world.counted(reason, "observed")) {
        world.faulty_references().await;
        world.faulty_values().await;
    }
    let decided_before_judging = ["duplicate_partition", "sequence_gap", "unknown_topic_id"];
    for reason in Reason::ALL.map(Reason::label) {
        if !decided_before_judging.contains(&reason) {
            let counted = ["observed", "unjudged"].iter().any(|it| world.counted(reason, it));
            assert!(counted, "{reason} was not provoked");
        }
        assert!(!world.counted(reason, "rejected"), "{reason}: observe refuses nothing");
    }
    assert_eq!(i32::try_from(world.broker.received().len()).unwrap(), world.requests + 1);
    world.assert_clean().await;
}
