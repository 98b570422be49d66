//! Answers arrive in the order of the requests, complete and once, whoever gives them; who waits for a schema delays nobody
//! else and nobody twice.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests are tests: a panic is a failed test"
)]

mod support;

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{MetadataResponse, ProduceResponse};
use proptest::prelude::*;
use support::{
    batch_builder::{TestBatch, TestRecord},
    client::{Produce, frame, only},
    registry::{Mood, Registry},
    scripted::{BrokerEnd, Request, Stage, raw_request, raw_response, response},
    wait::{patiently, until},
};
use tokio::io::AsyncWriteExt;

/// What kinds of requests there are, by who answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The broker.
    Opaque,
    /// The proxy: an old Produce to an enforced topic.
    OldProduce,
    /// Both: the broker answers an empty Produce, the proxy adds the refusal.
    RefusedProduce,
    /// The proxy: versions above ours.
    TooNewApiVersions,
}

const KINDS: [Kind; 4] =
    [Kind::Opaque, Kind::OldProduce, Kind::RefusedProduce, Kind::TooNewApiVersions];

/// A Produce request to one partition, v0: magic-1 messages would be in it, nobody looks.
fn old_produce(id: i32) -> Bytes {
    let mut body = Vec::new();
    body.extend((-1_i16).to_be_bytes()); // client id
    body.extend(1_i16.to_be_bytes()); // acks
    body.extend(1_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(5_i16.to_be_bytes());
    body.extend(b"users");
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(3_i32.to_be_bytes());
    body.extend(b"old");
    raw_request(0, 0, id, &body)
}

fn bare_batch() -> Vec<u8> {
    TestBatch::of([TestRecord::bare(b"no metadata".to_vec())]).encode()
}

impl Kind {
    fn request(self, id: i32) -> Bytes {
        match self {
            Self::Opaque => raw_request(12, 2, id, &vec![7; id as usize * 37 % 3_000]),
            Self::OldProduce => old_produce(id),
            Self::RefusedProduce => frame(id, 9, &Produce::to("users", 0, bare_batch()).request(9)),
            Self::TooNewApiVersions => raw_request(18, 5, id, b"\xff\xff"),
        }
    }

    const fn reaches_the_broker(self) -> bool {
        matches!(self, Self::Opaque | Self::RefusedProduce)
    }

    /// Checks an answer, size included.
    fn check(self, id: i32, answer: &Bytes) {
        assert_eq!(answer.slice(4..).get_i32(), id, "{self:?}");
        let body = &answer[8..];
        match self {
            Self::Opaque => assert_eq!(body, opaque_answer(id), "{id}"),
            Self::OldProduce => {
                // One topic, one partition, error 43.
                assert_eq!(body[..11], *b"\0\0\0\x01\0\x05users");
                assert_eq!(body[11..21], [0, 0, 0, 1, 0, 0, 0, 0, 0, 43]);
            }
            Self::RefusedProduce => {
                use kafka_protocol::protocol::Decodable;
                let response = ProduceResponse::decode(&mut answer.slice(9..), 9).unwrap();
                assert_eq!(only(&response).error_code, 87);
            }
            Self::TooNewApiVersions => {
                assert_eq!(body, [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
            }
        }
    }
}

fn opaque_answer(id: i32) -> Vec<u8> {
    vec![id as u8; id as usize * 53 % 5_000]
}

async fn answer(broker: &mut BrokerEnd, request: &Request) {
    let id = request.correlation_id();
    match request.api_key() {
        0 => broker.send(&response(id, 9, &ProduceResponse::default())).await,
        _ => broker.answer(request, &opaque_answer(id)).await,
    }
}

/// Sends all `kinds` in pieces of `pieces` bytes, and checks every answer; the broker answers in bundles of `bundle`.
async fn converse(stage: &mut Stage, kinds: &[Kind], pieces: &[usize], bundle: usize) {
    let (mut client, mut broker) = stage.connect().await;
    let requests: Vec<u8> =
        kinds.iter().zip(1..).flat_map(|(kind, id)| kind.request(id).to_vec()).collect();
    let expected: Vec<i32> = kinds
        .iter()
        .zip(1..)
        .filter(|(kind, _)| kind.reaches_the_broker())
        .map(|it| it.1)
        .collect();
    let serving = async {
        for ids in expected.chunks(bundle) {
            let mut bundle = Vec::new();
            for id in ids {
                let request = broker.request().await;
                assert_eq!(request.correlation_id(), *id, "the broker gets them in order");
                bundle.push(request);
            }
            for request in bundle {
                answer(&mut broker, &request).await;
            }
        }
    };
    let (mut reading, mut writing) = client.stream.split();
    let sending = async {
        let (mut left, mut sizes) = (&requests[..], pieces.iter().cycle());
        while !left.is_empty() {
            let (piece, rest) = left.split_at(sizes.next().unwrap().min(&left.len()).to_owned());
            writing.write_all(piece).await.unwrap();
            left = rest;
        }
    };
    let receiving = async {
        for (kind, id) in kinds.iter().zip(1..) {
            let answer = support::client::read_frame(&mut reading).await;
            kind.check(id, &answer.expect("closed instead of an answer"));
        }
    };
    patiently("all answers", async { tokio::join!(serving, sending, receiving) }).await;
    // Once: nothing more comes.
    client.stream.shutdown().await.unwrap();
    assert!(broker.rest().await.is_empty(), "a request that nobody sent");
    drop(broker);
    assert!(client.closed().await, "an answer that nobody asked for");
}

#[tokio::test]
async fn a_hundred_pipelined_requests_are_answered_in_order_once() {
    let mut stage = Stage::new("").await;
    let kinds: Vec<_> = (0..100).map(|at| KINDS[at * at % 7 % 4]).collect();
    for (pieces, bundle) in [(&[100_000][..], 1), (&[1_460, 3], 10), (&[17, 900, 4_000], 100)] {
        converse(&mut stage, &kinds, pieces, bundle).await;
    }
    assert_eq!(stage.upstream_errors("protocol"), 0.0);
    until("nothing is held", || stage.memory_used() == 0).await;
}

#[test]
fn any_interleaving_is_answered_in_order_wherever_the_stream_is_split() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut stage = runtime.block_on(Stage::new(""));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let kinds = proptest::collection::vec(prop::sample::select(KINDS.to_vec()), 1..12);
    let pieces = proptest::collection::vec(1_usize..60, 1..6);
    let stage = std::cell::RefCell::new(&mut stage);
    let cases = (kinds, pieces, 1_usize..5);
    let result = runner.run(&cases, |(kinds, pieces, bundle)| {
        let mut stage = stage.borrow_mut();
        runtime.block_on(converse(&mut stage, &kinds, &pieces, bundle));
        Ok(())
    });
    result.unwrap();
}

const SCHEMA: &str =
    r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}"#;

fn avro_batch(schema_id: &str) -> Vec<u8> {
    TestBatch::of([TestRecord::avro(schema_id, b"\x06Ada".to_vec())]).encode()
}

/// Reads the answer to a Produce request v9 and gives its id and code.
async fn produced(client: &mut support::client::Client) -> (i32, i16) {
    let (id, response) =
        patiently("an answer", client.receive::<ProduceResponse>(9)).await.expect("closed");
    (id, only(&response).error_code)
}

#[tokio::test]
async fn who_waits_for_a_schema_delays_no_other_connection() {
    let registry = Registry::start().await;
    registry.id(1, SCHEMA);
    registry.mood(Mood::Silent);
    let more = "limits: {lookup_deadline: 60s}\n";
    let mut stage = Stage::with_registry(&registry.url(), more).await;
    let (mut waiting, mut waiting_broker) = stage.connect().await;
    waiting.send(9, &Produce::to("users", 0, avro_batch("1")).request(9)).await;
    until("the registry is asked", || !registry.requests().is_empty()).await;
    let (mut other, mut broker) = stage.connect().await;
    for id in 1..20 {
        let request = Kind::RefusedProduce.request(id);
        other.send_bytes(&request).await;
        let arrived = broker.request().await;
        answer(&mut broker, &arrived).await;
        Kind::RefusedProduce.check(id, &other.raw().await);
    }
    registry.mood(Mood::Well);
    let arrived = waiting_broker.request().await;
    answer_stored(&mut waiting_broker, &arrived).await;
    assert_eq!(produced(&mut waiting).await.1, 0);
}

/// Answers a Produce request v9 to partition 0 of `users` with success.
async fn answer_stored(broker: &mut BrokerEnd, request: &Request) {
    use kafka_protocol::messages::produce_response::{
        PartitionProduceResponse, TopicProduceResponse,
    };
    use kafka_protocol::protocol::StrBytes;
    let topic = TopicProduceResponse::default()
        .with_name(StrBytes::from_static_str("users").into())
        .with_partition_responses(vec![PartitionProduceResponse::default()]);
    let stored = ProduceResponse::default().with_responses(vec![topic]);
    broker.send(&response(request.correlation_id(), 9, &stored)).await;
}

/// Serves a connection whose Produce requests lose all their partitions on the way.
fn serve_refused(mut broker: BrokerEnd) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(request) = broker.try_request().await {
            answer(&mut broker, &request).await;
        }
    })
}

#[tokio::test]
async fn requests_behind_a_look_up_wait_from_their_own_arrival() {
    let registry = Registry::start().await;
    registry.mood(Mood::Silent);
    let mut stage =
        Stage::with_registry(&registry.url(), "limits: {lookup_deadline: 300ms}\n").await;
    // As many as are read ahead, and far more than that: large ones that go beyond its bytes.
    for (count, filler) in [(10, 0), (1_500, 0), (12, 3 << 20)] {
        let (mut client, broker) = stage.connect().await;
        let serving = serve_refused(broker);
        let started = Instant::now();
        let record = |id: i32| TestRecord::avro(&(1_000 + id).to_string(), vec![0; filler]);
        let requests: Vec<Bytes> = (0..count)
            .map(|id| {
                let batch = TestBatch::of([record(id)]).encode();
                frame(id, 9, &Produce::to("users", 0, batch).request(9))
            })
            .collect();
        let (mut reading, mut writing) = client.stream.split();
        let sending = async {
            for request in &requests {
                writing.write_all(request).await.unwrap();
            }
        };
        let receiving = async {
            for id in 0..count {
                let mut answer = support::client::read_frame(&mut reading).await.expect("closed");
                answer.advance(4);
                assert_eq!(answer.get_i32(), id);
                answer.advance(1);
                use kafka_protocol::protocol::Decodable;
                let response = ProduceResponse::decode(&mut answer, 9).unwrap();
                assert_eq!(only(&response).error_code, 19);
                // What is judged, what is read ahead of it, and the one that goes beyond that.
                let most = (3 + 8 + 3 + 1) << 20;
                assert!(stage.memory_used() <= most, "{} bytes held", stage.memory_used());
            }
        };
        patiently("all answers", async { tokio::join!(sending, receiving) }).await;
        // One deadline each would be 3 seconds at least.
        let took = started.elapsed();
        assert!(took < Duration::from_millis(2_900), "{count} requests took {took:?}");
        serving.abort();
    }
}

#[tokio::test]
async fn an_answer_needs_no_memory_that_its_own_connection_holds() {
    let registry = Registry::start().await;
    registry.mood(Mood::Silent);
    let limits = "limits: {lookup_deadline: 60s, memory_budget: 2MiB, max_request_bytes: 2MiB, \
                  max_other_request_bytes: 2MiB}\n";
    let mut stage = Stage::with_registry(&registry.url(), limits).await;
    let (mut client, mut broker) = stage.connect().await;
    client.send_bytes(&raw_request(3, 9, 1, b"")).await;
    let request = broker.request().await;
    for id in 2..4 {
        let record = TestRecord::avro("7", vec![0; 1_800_000]);
        let produce = Produce::to("users", 0, TestBatch::of([record]).encode());
        client.send_bytes(&frame(id, 9, &produce.request(9))).await;
    }
    until("it holds more than there is", || stage.memory_used() > 2 << 20).await;
    let filler = [(77, Bytes::from(vec![0; 500_000]))].into_iter().collect();
    let metadata = MetadataResponse::default().with_unknown_tagged_fields(filler);
    let answer = response(request.correlation_id(), 9, &metadata);
    broker.send(&answer).await;
    assert!(client.raw().await == answer);
    assert!(broker.has_nothing(), "the Produce requests wait still");
    registry.mood(Mood::Status(404));
    for id in 2..4 {
        let request = broker.request().await;
        assert_eq!(request.correlation_id(), id);
    }
}

#[tokio::test]
async fn a_client_that_is_gone_during_a_look_up_gets_its_good_batch_stored_and_opens_no_gap() {
    let registry = Registry::start().await;
    registry.id(1, SCHEMA);
    registry.mood(Mood::Silent);
    let mut stage = Stage::with_registry(&registry.url(), "limits: {lookup_deadline: 60s}\n").await;
    let (mut client, mut broker) = stage.connect().await;
    let mut bad = TestBatch::of([TestRecord::avro("1", b"\x06Ad".to_vec())]);
    bad = bad.sequenced(7, 0, 0);
    let good = TestBatch::of([TestRecord::avro("1", b"\x06Ada".to_vec())]).encode();
    client.send_bytes(&raw_request(12, 2, 100, b"")).await;
    let owed = broker.request().await;
    let request = Produce::to("users", 0, good.clone()).and("users", 1, bad.encode());
    client.send(9, &request.request(9)).await;
    until("the registry is asked", || !registry.requests().is_empty()).await;
    // What is pipelined behind the refused batch must not overtake it.
    client.send(9, &Produce::to("users", 2, good.clone()).request(9)).await;
    client.stream.shutdown().await.unwrap();
    // The proxy has read the end: it holds nothing more to read ahead.
    let (mut probe, mut probe_broker) = stage.connect().await;
    probe.send_bytes(&raw_request(12, 2, 1, b"")).await;
    let request = probe_broker.request().await;
    probe_broker.answer(&request, b"").await;
    assert_eq!(probe.raw().await, raw_response(1, b""));
    registry.mood(Mood::Well);
    let arrived = broker.request().await;
    let text = String::from_utf8_lossy(&arrived.0).into_owned();
    assert!(text.contains("Ada"), "the good partition goes on");
    // What was owed is still delivered; the answer to the good partition is for nobody, and no fault of the broker.
    let stored = response(arrived.correlation_id(), 9, &ProduceResponse::default());
    broker.send(&[&raw_response(100, b"owed")[..], &stored].concat()).await;
    assert_eq!(owed.correlation_id(), 100);
    assert_eq!(client.raw().await, raw_response(100, b"owed"));
    assert!(broker.rest().await.is_empty(), "nothing overtakes the refused batch");
    assert_eq!(stage.upstream_errors("protocol"), 0.0);
    // No gap: the follower of the refused batch is judged on its own merit.
    let follower = TestBatch::of([TestRecord::avro("1", b"\x06Ada".to_vec())]).sequenced(7, 0, 1);
    let (mut client, mut broker) = stage.connect().await;
    client.send(9, &Produce::to("users", 1, follower.encode()).request(9)).await;
    let arrived = broker.request().await;
    answer_stored(&mut broker, &arrived).await;
    assert_eq!(produced(&mut client).await.1, 0);
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answers() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    for id in 1..=3 {
        client.send_bytes(&raw_request(12, 2, id, b"")).await;
    }
    client.stream.shutdown().await.unwrap();
    let mut requests = Vec::new();
    for _ in 1..=3 {
        requests.push(broker.request().await);
    }
    for request in &requests {
        broker.answer(request, b"answer").await;
    }
    for id in 1..=3 {
        assert_eq!(client.raw().await, raw_response(id, b"answer"));
    }
    assert!(broker.rest().await.is_empty());
    drop(broker);
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    client.send_bytes(&raw_request(12, 2, 1, b"")).await;
    let request = broker.request().await;
    let draining = tokio::spawn(stage.proxy.drain());
    let finishing = async {
        broker.answer(&request, b"late").await;
        assert_eq!(client.raw().await, raw_response(1, b"late"));
        assert!(broker.rest().await.is_empty());
        drop(broker);
        assert!(client.closed().await);
        drop(client);
    };
    patiently("the answer", finishing).await;
    patiently("the drain", draining).await.unwrap().unwrap();
}
