//! Promise: right behind the proxy a real broker stores what idempotent producers send once and in order, whatever was
//! refused or withheld before it, and answers to a hundred requests at once come back in order, complete and once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::net::SocketAddr;

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, ProduceRequest, ProduceResponse,
};
use support::batch::{Batch, Codec, Record};
use support::kafka::{self, Kafka};
use support::raw_client::{RawClient, response_of};
use support::raw_producer::new_producer;
use support::registry::Mood;
use support::sidecar::{Sidecar, user, wait_until};
use support::{admin, log_reader, produce};
use tokio::net::TcpSocket;
use uuid::Uuid;

mod support;

const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const INVALID_REQUEST: i16 = 42;
const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
const UNSUPPORTED_COMPRESSION: i16 = 76;
const INVALID_RECORD: i16 = 87;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// The last sequence before they start again at 0.
const LAST: i32 = i32::MAX;
/// What cannot be decided is so at once.
const LIMITS: &str = "limits: {lookup_deadline: 200ms, max_record_bytes: 64KiB}\n";

/// How a batch is withheld: its code, the request that it comes in, and what has to happen before it is taken.
struct Withheld {
    what: &'static str,
    code: i16,
    request: fn(&World, &Producer) -> (ProduceRequest, i16),
}

const WITHHELD: [Withheld; 9] = [
    Withheld {
        what: "a value that is no datum",
        code: INVALID_RECORD,
        request: |world, producer| world.first(producer, Batch::new(vec![broken()])),
    },
    Withheld {
        what: "no metadata",
        code: INVALID_RECORD,
        request: |world, producer| world.first(producer, Batch::new(vec![Record::new("bare")])),
    },
    Withheld {
        what: "a schema that nobody can give",
        code: NOT_ENOUGH_REPLICAS,
        request: |world, producer| {
            let record = Record::new(user("a")).header("content-type", "avro");
            world.first(producer, Batch::new(vec![record.header("schema-id", "99")]))
        },
    },
    Withheld {
        what: "a checksum that is wrong",
        code: CORRUPT_MESSAGE,
        request: |world, producer| {
            let mut batch = producer.batch(0, &["a"]).to_vec();
            *batch.last_mut().unwrap() ^= 1;
            (world.request(vec![(0, batch.into())]), 9)
        },
    },
    Withheld {
        what: "a record that is too large",
        code: MESSAGE_TOO_LARGE,
        request: |world, producer| {
            world.first(producer, Batch::new(vec![valid(&"x".repeat(100_000))]))
        },
    },
    Withheld {
        what: "zstd before it was known",
        code: UNSUPPORTED_COMPRESSION,
        request: |world, producer| {
            let (request, _) = world.first(producer, good(&["a"]).codec(Codec::Zstd));
            (request, 6)
        },
    },
    Withheld {
        what: "two batches in a partition",
        code: INVALID_RECORD,
        request: |world, producer| {
            let two = [producer.batch(0, &["a"]), producer.batch(1, &["b"])].concat();
            (world.request(vec![(0, two.into())]), 9)
        },
    },
    Withheld {
        what: "a partition that is named twice",
        code: INVALID_REQUEST,
        request: |world, producer| {
            let batch = producer.batch(0, &["a"]);
            (world.request(vec![(0, batch.clone()), (0, batch)]), 9)
        },
    },
    Withheld {
        what: "a topic id that is not known yet",
        code: UNKNOWN_TOPIC_ID,
        request: |world, producer| {
            let batch = producer.batch(0, &["a"]);
            (by_id(world.request(vec![(0, batch)]), world.unlearnt), 13)
        },
    },
];

#[test]
fn whatever_withholds_a_batch_its_followers_wait_for_it_and_all_are_stored_once_and_in_order() {
    for Withheld { what, code, request } in WITHHELD {
        let Some(world) = World::start(&format!("withheld-{code}-{}", what.len())) else { return };
        let mut client = world.sidecar.client();
        let producer = Producer::new(&mut client);
        // The broker has never heard of the producer: it would take any sequence as its first.
        let (withheld, version) = request(&world, &producer);
        let is_by_id = code == UNKNOWN_TOPIC_ID;
        let of = |batch: Bytes| {
            let request = world.request(vec![(0, batch)]);
            if is_by_id { by_id(request, world.unlearnt) } else { request }
        };
        let followers = [(1, "b"), (2, "c")].map(|(at, name)| of(producer.batch(at, &[name])));
        let follows = if is_by_id { 13 } else { 9 };
        client.send(&withheld, version).unwrap();
        if !is_by_id {
            send_all(&mut client, &followers, follows);
        }
        let (_, response) = client.receive::<ProduceRequest>(version).unwrap();
        assert!(codes(&response).iter().all(|it| *it == code), "{what}: {response:?}");
        if is_by_id {
            // The client asks, as this code wants it to, so that the followers' topic is known.
            world.learn();
            send_all(&mut client, &followers, follows);
        }
        for _ in &followers {
            let (_, response) = client.receive::<ProduceRequest>(follows).unwrap();
            assert_eq!(codes(&response), [OUT_OF_ORDER_SEQUENCE], "{what}");
        }
        assert_eq!(world.values(), users(&[]), "{what}");
        // Again, as clients do: all of them, from the first that was not taken.
        let mended = of(producer.batch(0, &["a"]));
        let [second, third] = followers;
        send_all(&mut client, &[mended, second, third], follows);
        for _ in 0..3 {
            let (_, response) = client.receive::<ProduceRequest>(follows).unwrap();
            assert_eq!(codes(&response), [0], "{what}");
        }
        assert_eq!(world.values(), users(&["a", "b", "c"]), "{what}");
        assert_eq!(world.gaps(), 0, "{what}");
    }
}

fn send_all(client: &mut RawClient, requests: &[ProduceRequest], version: i16) {
    for request in requests {
        client.send(request, version).unwrap();
    }
}

#[test]
fn of_two_bad_batches_in_a_row_the_second_is_judged_when_its_turn_comes() {
    let Some(world) = World::start("two-bad") else { return };
    let mut client = world.sidecar.client();
    let mut producer = Producer::new(&mut client);
    let bad = |producer: &Producer, at| producer.of(Batch::new(vec![broken()]), at);
    let sent = [bad(&producer, 0), bad(&producer, 1), producer.batch(2, &["c"])];
    let expected = [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE, OUT_OF_ORDER_SEQUENCE];
    assert_eq!(world.pipelined(&mut client, &sent), expected);
    // What is left goes into a new epoch, from 0; then the last goes into the next one.
    producer.epoch += 1;
    let sent = [bad(&producer, 0), producer.batch(1, &["c"])];
    assert_eq!(world.pipelined(&mut client, &sent), [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE]);
    producer.epoch += 1;
    let sent = [producer.batch(0, &["c"]), producer.batch(1, &["d"])];
    assert_eq!(world.pipelined(&mut client, &sent), [0, 0]);
    assert_eq!(world.values(), users(&["c", "d"]));
    assert_eq!(world.gaps(), 0);
}

#[test]
fn sequences_start_again_at_0_behind_the_last_one_and_followers_wait_across_it() {
    let Some(world) = World::start("wrap") else { return };
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    // A producer that is new to the broker may begin anywhere.
    let first = producer.batch(LAST - 2, &["a"]);
    assert_eq!(world.pipelined(&mut client, &[first]), [0]);
    let refused = producer.of(Batch::new(vec![valid("b"), broken()]), LAST - 1);
    let followers = [producer.batch(0, &["d", "e"]), producer.batch(2, &["f"])];
    let sent = [&[refused][..], &followers].concat();
    let expected = [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE, OUT_OF_ORDER_SEQUENCE];
    assert_eq!(world.pipelined(&mut client, &sent), expected);
    let mended = producer.batch(LAST - 1, &["b", "c"]);
    let sent = [&[mended][..], &followers].concat();
    assert_eq!(world.pipelined(&mut client, &sent), [0, 0, 0]);
    assert_eq!(world.values(), users(&["a", "b", "c", "d", "e", "f"]));
    assert_eq!(world.gaps(), 0);
}

#[test]
fn a_batch_that_spans_the_wrap_is_filled_and_followed_behind_it() {
    let Some(world) = World::start("spans") else { return };
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    // Sequences LAST - 1, LAST, 0: the follower begins at 1.
    let refused = producer.of(Batch::new(vec![valid("a"), valid("b"), broken()]), LAST - 1);
    let follower = producer.batch(1, &["d"]);
    let sent = [refused, follower.clone()];
    assert_eq!(world.pipelined(&mut client, &sent), [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE]);
    let sent = [producer.batch(LAST - 1, &["a", "b", "c"]), follower];
    assert_eq!(world.pipelined(&mut client, &sent), [0, 0]);
    assert_eq!(world.values(), users(&["a", "b", "c", "d"]));
}

#[test]
fn a_verdict_that_comes_after_its_connection_died_holds_nobody_back() {
    let Some(world) = World::with("late", "limits: {lookup_deadline: 1m}\n") else { return };
    world.sidecar.registry.mood(Mood::Silent);
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    let refused = producer.of(Batch::new(vec![broken()]), 0);
    client.send(&world.request(vec![(0, refused)]), 9).unwrap();
    wait_until("the schema is asked for", || !world.sidecar.registry.requests().is_empty());
    drop(client);
    let mut client = world.sidecar.client();
    let follower = producer.batch(1, &["b"]);
    let sent = client.send(&world.request(vec![(0, follower)]), 9).unwrap();
    world.sidecar.registry.mood(Mood::Well);
    // Nobody was told that the batch is missing: what comes now is the broker's to judge, and to a broker that does not know
    // the producer it is a beginning.
    let (answered, response) = client.receive::<ProduceRequest>(9).unwrap();
    assert_eq!((answered, codes(&response)), (sent, vec![0]));
    assert_eq!(world.values(), users(&["b"]));
    wait_until("no gap is left", || world.gaps() == 0);
}

#[test]
fn somebody_else_who_replays_a_producers_sequence_with_a_bad_batch_does_not_disturb_it() {
    let Some(world) = World::start("replayed") else { return };
    let mut victim = world.client_from("127.0.0.2");
    let mut stranger = world.client_from("127.0.0.3");
    let producer = Producer::new(&mut victim);
    let forged = producer.of(Batch::new(vec![broken()]), 0);
    // Before the victim has sent anything, and again while it has a gap of its own.
    assert_eq!(world.pipelined(&mut stranger, std::slice::from_ref(&forged)), [INVALID_RECORD]);
    assert_eq!(world.gaps(), 1);
    let sent = [0, 1, 2].map(|at| producer.batch(at, &[["a", "b", "c"][at as usize]]));
    assert_eq!(world.pipelined(&mut victim, &sent), [0, 0, 0]);
    let refused = producer.of(Batch::new(vec![broken()]), 3);
    let follower = producer.batch(4, &["e"]);
    assert_eq!(
        world.pipelined(&mut victim, &[refused, follower.clone()]),
        [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE]
    );
    assert_eq!(world.pipelined(&mut stranger, &[forged]), [INVALID_RECORD]);
    let mended = producer.batch(3, &["d"]);
    assert_eq!(world.pipelined(&mut victim, &[mended, follower]), [0, 0]);
    assert_eq!(world.values(), users(&["a", "b", "c", "d", "e"]));
    // Its own followers it does hold back.
    let stray = producer.batch(5, &["stray"]);
    assert_eq!(world.pipelined(&mut stranger, &[stray]), [OUT_OF_ORDER_SEQUENCE]);
}

#[test]
fn what_is_acknowledged_with_1_and_all_is_stored_and_what_is_sent_with_0_as_well() {
    let Some(world) = World::start("acks") else { return };
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    let mut names = Vec::new();
    for (at, acks) in [-1, 1, 0, 1, 0, 0, -1].into_iter().enumerate() {
        let name = format!("{at}");
        let at = i32::try_from(at).unwrap();
        let request = world.request(vec![(0, producer.batch(at, &[&name]))]).with_acks(acks);
        names.push(name);
        if acks == 0 {
            client.send(&request, 9).unwrap();
        } else {
            assert_eq!(codes(&client.call(&request, 9).unwrap()), [0], "acks {acks}");
        }
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(world.values(), users(&names));
}

/// One of a hundred requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All partitions good, acks 1 or all.
    Good,
    /// Not answered at all.
    Unanswered,
    /// One partition good, one bad.
    Mixed,
    /// Nothing left.
    Bad,
    /// Answered by the proxy alone: too old to be judged.
    Old,
    /// Answered by the proxy alone: a version that nobody offered.
    TooNew,
    /// The broker's, rewritten.
    Metadata,
    /// The broker's, cut to what is offered.
    Versions,
}

const KINDS: [Kind; 8] = [
    Kind::Good,
    Kind::Unanswered,
    Kind::Mixed,
    Kind::Bad,
    Kind::Old,
    Kind::TooNew,
    Kind::Metadata,
    Kind::Versions,
];

#[test]
fn a_hundred_requests_at_once_are_answered_in_order_complete_and_once() {
    let Some(world) = World::start("hundred") else { return };
    let mut client = world.sidecar.client();
    let kinds: Vec<_> = (0..100).map(|at| KINDS[at * 7 % 13 % KINDS.len()]).collect();
    assert!(KINDS.iter().all(|kind| kinds.contains(kind)));
    let mut expected = [Vec::new(), Vec::new()];
    let mut sent = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let name = format!("request {at}");
        sent.push(send(&world, &mut client, *kind, at, &name));
        if matches!(kind, Kind::Good | Kind::Unanswered) {
            expected.iter_mut().for_each(|it| it.push(name.clone()));
        } else if *kind == Kind::Mixed {
            expected[at % 2].push(name);
        }
    }
    let answered = kinds.iter().zip(&sent).enumerate();
    for (at, (kind, sent)) in answered.filter(|(_, (kind, _))| **kind != Kind::Unanswered) {
        let frame = client.read_frame().unwrap();
        assert_eq!(frame[..4], sent.to_be_bytes(), "request {at}, {kind:?}");
        check(*kind, at, frame);
    }
    // Nothing more comes: the next answer is that to the next request.
    client.call(&api_versions(), 3).unwrap();
    for (partition, names) in expected.iter().enumerate() {
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let partition = i32::try_from(partition).unwrap();
        assert_eq!(world.values_of(partition), users(&names), "partition {partition}");
    }
}

fn send(world: &World, client: &mut RawClient, kind: Kind, at: usize, name: &str) -> i32 {
    let (yes, no) = (|| good(&[name]).to_bytes(), || Batch::new(vec![broken()]).to_bytes());
    let acks = [-1, 1][at / 3 % 2];
    let request = match kind {
        Kind::Metadata => {
            return client.send(&MetadataRequest::default().with_topics(Some(vec![])), 12).unwrap();
        }
        Kind::Versions => return client.send(&api_versions(), 3).unwrap(),
        Kind::TooNew => return send_too_new(client),
        Kind::Old => return send_old(client, &world.topic, acks),
        Kind::Good => world.request(vec![(0, yes()), (1, yes())]).with_acks(acks),
        Kind::Unanswered => world.request(vec![(0, yes()), (1, yes())]).with_acks(0),
        Kind::Mixed if at.is_multiple_of(2) => {
            world.request(vec![(0, yes()), (1, no())]).with_acks(acks)
        }
        Kind::Mixed => world.request(vec![(0, no()), (1, yes())]).with_acks(acks),
        Kind::Bad => world.request(vec![(0, no()), (1, no())]).with_acks(acks),
    };
    client.send(&request, 9).unwrap()
}

/// A broker wants to know who asks.
fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(admin::text("raw-client"))
        .with_client_software_version(admin::text("1"))
}

/// Produce v2 to both partitions: nobody looks at what they hold.
fn send_old(client: &mut RawClient, topic: &str, acks: i16) -> i32 {
    const CORRELATION_ID: i32 = 22_222;
    let mut frame = vec![0, 0, 0, 2];
    frame.extend(CORRELATION_ID.to_be_bytes());
    frame.extend((-1_i16).to_be_bytes());
    frame.extend(acks.to_be_bytes());
    frame.extend(30_000_i32.to_be_bytes());
    frame.extend(1_i32.to_be_bytes());
    frame.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
    frame.extend(topic.as_bytes());
    frame.extend(2_i32.to_be_bytes());
    for partition in 0..2_i32 {
        frame.extend(partition.to_be_bytes());
        frame.extend(3_i32.to_be_bytes());
        frame.extend(b"old");
    }
    client.send_frame(&frame).unwrap();
    CORRELATION_ID
}

/// The header of a version of ApiVersions that is not offered; nobody looks further.
fn send_too_new(client: &mut RawClient) -> i32 {
    const CORRELATION_ID: i32 = 77_777;
    let mut frame = vec![0, 18, 0, 5];
    frame.extend(CORRELATION_ID.to_be_bytes());
    frame.extend([0xff, 0xff, 0]);
    client.send_frame(&frame).unwrap();
    CORRELATION_ID
}

fn check(kind: Kind, at: usize, frame: Bytes) {
    let produced = |version| {
        let (_, response) = response_of::<ProduceRequest>(frame.clone(), version).unwrap();
        let partitions = response.responses.iter().flat_map(|it| &it.partition_responses);
        let mut all: Vec<_> = partitions.map(|it| (it.index, it.error_code)).collect();
        all.sort_unstable();
        all
    };
    match kind {
        Kind::Good => assert_eq!(produced(9), [(0, 0), (1, 0)], "{at}"),
        Kind::Mixed if at.is_multiple_of(2) => {
            assert_eq!(produced(9), [(0, 0), (1, INVALID_RECORD)])
        }
        Kind::Mixed => assert_eq!(produced(9), [(0, INVALID_RECORD), (1, 0)], "{at}"),
        Kind::Bad => assert_eq!(produced(9), [(0, INVALID_RECORD), (1, INVALID_RECORD)], "{at}"),
        Kind::Old => {
            let code = UNSUPPORTED_FOR_MESSAGE_FORMAT;
            let codes: Vec<_> = old_codes(&frame);
            assert_eq!(codes, [code, code], "{at}");
        }
        Kind::Unanswered => panic!("request {at} is answered"),
        Kind::TooNew => assert_eq!(frame[4..6], [0, 35], "{at}"),
        Kind::Metadata => {
            let (_, response) = response_of::<MetadataRequest>(frame, 12).unwrap();
            assert_eq!(response.brokers.len(), 1, "{at}");
        }
        Kind::Versions => {
            let (_, response) = response_of::<ApiVersionsRequest>(frame, 3).unwrap();
            let ApiVersionsResponse { error_code, api_keys, .. } = response;
            assert!(error_code == 0 && api_keys.len() > 20, "{at}");
        }
    }
}

/// The codes of a Produce answer v2, which has one topic with two partitions.
fn old_codes(frame: &[u8]) -> Vec<i16> {
    // Correlation id, one topic, its name, two partitions.
    let name = usize::from(u16::from_be_bytes([frame[8], frame[9]]));
    let partitions = &frame[10 + name + 4..];
    // Index, code, offset, timestamp.
    let each = partitions.chunks_exact(4 + 2 + 8 + 8).take(2);
    each.map(|it| i16::from_be_bytes([it[4], it[5]])).collect()
}

/// A proxy in front of the one broker, with a topic of two partitions.
struct World {
    kafka: &'static Kafka,
    sidecar: Sidecar,
    topic: String,
    /// The id of the topic, of which the proxy has not heard.
    unlearnt: Uuid,
}

impl World {
    fn start(topic: &str) -> Option<Self> {
        Self::with(topic, LIMITS)
    }

    fn with(topic: &str, more: &str) -> Option<Self> {
        let kafka = kafka::shared_single()?;
        // Raw batches are stamped long ago: a broker would delete them as expired.
        let keeps = [("retention.ms", "-1")];
        admin::create_topic_with(&kafka.bootstrap(), topic, 2, 1, &keeps);
        let unlearnt = admin::describe_topic(&kafka.bootstrap(), topic).topic_id;
        let sidecar = Sidecar::start(kafka, more);
        // A registry that has it would be asked for it; one that fails is asked in vain.
        sidecar.registry.fails("schemas/ids/99");
        Some(Self { kafka, sidecar, topic: topic.to_owned(), unlearnt })
    }

    /// Asks the broker through the proxy, which hears the id.
    fn learn(&self) {
        admin::describe_topic(&self.sidecar.bootstrap(), &self.topic);
    }

    fn request(&self, parts: Vec<(i32, Bytes)>) -> ProduceRequest {
        let parts: Vec<_> =
            parts.into_iter().map(|(at, batch)| (self.topic.as_str(), at, batch)).collect();
        produce::request_of(&parts)
    }

    /// A batch as the first of its producer.
    fn first(&self, producer: &Producer, batch: Batch) -> (ProduceRequest, i16) {
        (self.request(vec![(0, producer.of(batch, 0))]), 9)
    }

    /// Sends one request for each batch before it reads the first answer.
    fn pipelined(&self, client: &mut RawClient, batches: &[Bytes]) -> Vec<i16> {
        let send = |batch: &Bytes| client.send(&self.request(vec![(0, batch.clone())]), 9).unwrap();
        let sent: Vec<_> = batches.iter().map(send).collect();
        let answer = |sent| {
            let (answered, response) = client.receive::<ProduceRequest>(9).unwrap();
            assert_eq!(answered, sent, "answers leave in the order of their requests");
            codes(&response)[0]
        };
        sent.into_iter().map(answer).collect()
    }

    /// A client at another address.
    fn client_from(&self, address: &str) -> RawClient {
        let from: SocketAddr = format!("{address}:0").parse().unwrap();
        let to = self.sidecar.bootstrap().parse().unwrap();
        let stream = self.sidecar.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(from).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        RawClient::over(stream)
    }

    fn gaps(&self) -> u64 {
        let status: serde_json::Value =
            serde_json::from_str(&self.sidecar.admin("/status")).expect("JSON");
        status["sequence_gaps_open"].as_u64().expect("a number")
    }

    fn values(&self) -> Vec<Option<Bytes>> {
        self.values_of(0)
    }

    fn values_of(&self, partition: i32) -> Vec<Option<Bytes>> {
        log_reader::stored_values(&self.kafka.bootstrap(), &self.topic, partition)
    }
}

/// An idempotent producer that the broker has given its id.
struct Producer {
    id: i64,
    epoch: i16,
}

impl Producer {
    fn new(client: &mut RawClient) -> Self {
        let (id, epoch) = new_producer(client).unwrap();
        Self { id, epoch }
    }

    fn of(&self, batch: Batch, sequence: i32) -> Bytes {
        batch.sequenced(self.id, self.epoch, sequence).to_bytes()
    }

    fn batch(&self, sequence: i32, names: &[&str]) -> Bytes {
        self.of(good(names), sequence)
    }
}

fn good(names: &[&str]) -> Batch {
    Batch::new(names.iter().map(|name| valid(name)).collect())
}

fn valid(name: &str) -> Record {
    Record::new(user(name)).header("content-type", "avro").header("schema-id", "1")
}

/// A value that ends too early.
fn broken() -> Record {
    Record { value: Some(Bytes::from_static(b"\x06Ad")), ..valid("Ada") }
}

fn users(names: &[&str]) -> Vec<Option<Bytes>> {
    names.iter().map(|name| Some(user(name).into())).collect()
}

fn by_id(mut request: ProduceRequest, topic_id: Uuid) -> ProduceRequest {
    for topic in &mut request.topic_data {
        topic.name = admin::topic_name("");
        topic.topic_id = topic_id;
    }
    request
}

/// The code of every partition of an answer.
fn codes(response: &ProduceResponse) -> Vec<i16> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|it| it.error_code).collect()
}
