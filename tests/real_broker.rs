//! Promise: what only a broker decides is decided right behind the proxy: checksums, sequences, topic ids, answers to
//! requests of which little or nothing is left, and large answers that stream through.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, InitProducerIdRequest, ProduceRequest, ProduceResponse,
};
use support::batch::{self, Batch, Codec, Record};
use support::kafka::{self, Kafka};
use support::raw_client::{self, RawClient};
use support::registry::Mood;
use support::sidecar::{Sidecar, user, wait_until};
use support::{admin, log_reader, produce};
use uuid::Uuid;

mod support;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const INVALID_RECORD: i16 = 87;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;

#[test]
fn a_request_of_which_nothing_is_left_is_answered_in_every_version() {
    let Some(world) = World::start("nothing-left", 1, "") else { return };
    let mut client = world.sidecar.client();
    for version in 3..=13 {
        for acks in [1, -1] {
            let request = world.request(version, acks, &[(0, bad().to_bytes())]);
            let response = client.call(&request, version).unwrap();
            assert_eq!(answers(&response), [(0, INVALID_RECORD, -1)], "v{version}, acks {acks}");
        }
    }
    assert_eq!(world.values(0), users(&[]));
}

#[test]
fn batches_are_stored_byte_by_byte_as_they_were_sent_in_every_version_and_codec() {
    let Some(world) = World::start("as-sent", 1, "") else { return };
    let mut client = world.sidecar.client();
    let mut sent = Vec::new();
    for version in 3..=13 {
        // Brokers take zstd from v7 on.
        let codecs = Codec::NAMED.iter().filter(|(_, codec)| version >= 7 || *codec != Codec::Zstd);
        for (name, codec) in codecs {
            let odd = valid("odd").header("h", "1").header("h", "2");
            let odd = Record { timestamp_delta: 7, ..odd };
            let batch = Batch::new(vec![valid("first"), odd, Record::default().key("k")]);
            let batch = batch.codec(*codec).to_bytes();
            let request = world.request(version, -1, &[(0, batch.clone())]);
            let answer = answers(&client.call(&request, version).unwrap());
            let offset = i64::try_from(sent.len() * 3).unwrap();
            assert_eq!(answer, [(0, 0, offset)], "v{version} {name}");
            sent.push(batch::as_sent(&batch));
        }
    }
    let stored = log_reader::stored_batches_raw(&world.direct, world.topic, 0);
    assert_eq!(stored.iter().map(|it| batch::as_sent(it)).collect::<Vec<_>>(), sent);
}

#[test]
fn a_damaged_batch_is_refused_as_a_broker_refuses_it() {
    let Some(world) = World::start("damaged", 1, "") else { return };
    let mut batch = good(&["x"]).to_bytes().to_vec();
    *batch.last_mut().unwrap() ^= 1;
    for address in [world.sidecar.bootstrap(), world.direct.clone()] {
        let mut client = RawClient::bootstrap(&address).unwrap();
        let answer = produce::call(&mut client, world.topic, 0, batch.clone().into(), 9);
        assert_eq!(answer.error_code, 2, "at {address}");
    }
    assert_eq!(world.values(0), users(&[]));
}

#[test]
fn a_topic_id_that_nobody_has_asked_about_makes_the_client_ask() {
    let Some(kafka) = kafka::shared_single() else { return };
    let direct = kafka.bootstrap();
    admin::create_topic(&direct, "by-id", 1, 1);
    let sidecar = Sidecar::start(kafka, "");
    let topic_id = admin::describe_topic(&direct, "by-id").topic_id;
    let request = by_id(produce::request("by-id", 0, good(&["a"]).to_bytes()), topic_id);
    let mut client = sidecar.client();
    assert_eq!(answers(&client.call(&request, 13).unwrap()), [(0, 100, -1)]);
    admin::metadata(&sidecar.bootstrap(), "by-id").unwrap();
    assert_eq!(answers(&client.call(&request, 13).unwrap()), [(0, 0, 0)]);
    let unknown = by_id(request, Uuid::from_u128(1));
    assert_eq!(answers(&client.call(&unknown, 13).unwrap()), [(0, 100, -1)]);
    assert_eq!(log_reader::stored_values(&direct, "by-id", 0), users(&["a"]));
}

#[test]
fn what_is_pipelined_behind_a_refused_batch_waits_for_it() {
    let Some(world) = World::start("gap", 1, "") else { return };
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    let follower = producer.batch(2, &["c", "d"]);
    // The broker has never heard of the producer: it would take any sequence as its first.
    let refused = Batch::new(vec![valid("a"), broken()]);
    let refused = refused.sequenced(producer.id, producer.epoch, 0).to_bytes();
    assert_eq!(
        world.pipelined(&mut client, &[refused, follower.clone()]),
        [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE]
    );
    assert_eq!(world.values(0), users(&[]));
    let mended = producer.batch(0, &["a", "b"]);
    assert_eq!(world.pipelined(&mut client, &[mended.clone(), follower.clone()]), [0, 0]);
    // A retry whose first answer was lost is a duplicate for the broker, and not stored again.
    assert_eq!(world.pipelined(&mut client, &[mended, follower]), [0, 0]);
    assert_eq!(world.values(0), users(&["a", "b", "c", "d"]));
    let sequences: Vec<_> = world.stored(0).iter().map(|record| record.base_sequence).collect();
    assert_eq!(sequences, [0, 0, 2, 2]);
}

#[test]
fn without_the_guard_the_follower_is_stored_out_of_order() {
    let rule = "default_rule: {sequence_guard: \"off\"}\n";
    let Some(world) = World::start("unguarded", 1, rule) else { return };
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    let refused = bad().sequenced(producer.id, producer.epoch, 0).to_bytes();
    let codes = world.pipelined(&mut client, &[refused, producer.batch(1, &["b"])]);
    assert_eq!(codes, [INVALID_RECORD, 0], "this is what the guard is for");
    assert_eq!(world.values(0), users(&["b"]));
}

#[test]
fn a_new_epoch_starts_over_behind_a_refused_batch() {
    let Some(world) = World::start("new-epoch", 1, "") else { return };
    let mut client = world.sidecar.client();
    let mut producer = Producer::new(&mut client);
    assert_eq!(world.pipelined(&mut client, &[producer.batch(0, &["a"])]), [0]);
    let refused = bad().sequenced(producer.id, producer.epoch, 1).to_bytes();
    let codes = world.pipelined(&mut client, &[refused, producer.batch(2, &["b"])]);
    assert_eq!(codes, [INVALID_RECORD, OUT_OF_ORDER_SEQUENCE]);
    producer.epoch += 1;
    let (first, second) = (producer.batch(0, &["b"]), producer.batch(1, &["c"]));
    // The second must not be the first that the broker sees of the epoch.
    assert_eq!(
        world.pipelined(&mut client, std::slice::from_ref(&second)),
        [OUT_OF_ORDER_SEQUENCE]
    );
    assert_eq!(world.pipelined(&mut client, &[first, second]), [0, 0]);
    assert_eq!(world.values(0), users(&["a", "b", "c"]));
}

#[test]
fn through_a_registry_outage_pipelined_batches_are_stored_once_and_in_order() {
    let limits = "limits: {lookup_deadline: 300ms}\n";
    let Some(world) = World::start("outage", 1, limits) else { return };
    world.sidecar.registry.mood(Mood::Status(503));
    let mut client = world.sidecar.client();
    let producer = Producer::new(&mut client);
    let batches = [0, 1, 2].map(|at| producer.batch(at, &[["a", "b", "c"][at as usize]]));
    assert_eq!(
        world.pipelined(&mut client, &batches),
        [NOT_ENOUGH_REPLICAS, OUT_OF_ORDER_SEQUENCE, OUT_OF_ORDER_SEQUENCE]
    );
    // As a client does: again from the first that was not taken, until all are.
    world.sidecar.registry.mood(Mood::Well);
    let mut left = &batches[..];
    wait_until("all batches taken", || {
        let codes = world.pipelined(&mut client, left);
        let taken = codes.iter().take_while(|code| **code == 0).count();
        assert!(codes[taken..].iter().all(|code| *code != 0), "{codes:?} out of order");
        left = &left[taken..];
        left.is_empty()
    });
    assert_eq!(world.values(0), users(&["a", "b", "c"]));
}

#[test]
fn of_many_partitions_the_good_ones_are_stored_and_every_one_is_answered() {
    let Some(kafka) = kafka::shared_single() else { return };
    let sidecar = Sidecar::start(kafka, "");
    let direct = kafka.bootstrap();
    let topics = ["many-0", "many-1", "many-2", "many-3"];
    for topic in topics {
        admin::create_topic(&direct, topic, 4, 1);
    }
    let is_bad = |topic: usize, partition: i32| match topic {
        0 => true,
        1 => false,
        _ => partition % 2 == 0,
    };
    let name = |topic: usize, partition: i32| format!("{topic}-{partition}");
    let places: Vec<_> = (0..4).flat_map(|topic| (0..4).map(move |at| (topic, at))).collect();
    // A topic that does not exist is the broker's to refuse, between those of ours.
    let mut parts: Vec<_> = places
        .iter()
        .map(|&(topic, at)| {
            let batch = if is_bad(topic, at) { bad() } else { good(&[&name(topic, at)]) };
            (topics[topic], at, batch.to_bytes())
        })
        .collect();
    parts.push(("many-none", 0, good(&["nowhere"]).to_bytes()));
    parts.push(("many-none", 1, bad().to_bytes()));
    let response = sidecar.client().call(&produce::request_of(&parts), 9).unwrap();
    let mut codes: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partition_responses.iter().map(move |it| (name.clone(), it.index, it.error_code))
        })
        .collect();
    codes.sort();
    let mut expected: Vec<_> = places
        .iter()
        .map(|&(topic, at)| {
            (topics[topic].to_owned(), at, if is_bad(topic, at) { INVALID_RECORD } else { 0 })
        })
        .collect();
    expected.push(("many-none".to_owned(), 0, 3));
    expected.push(("many-none".to_owned(), 1, INVALID_RECORD));
    assert_eq!(codes, expected);
    for (topic, at) in places {
        let stored = log_reader::stored_values(&direct, topics[topic], at);
        let expected = if is_bad(topic, at) { vec![] } else { users(&[&name(topic, at)]) };
        assert_eq!(stored, expected, "{}-{at}", topics[topic]);
    }
}

#[test]
fn without_acknowledgements_the_good_partitions_are_stored_and_the_connection_is_closed() {
    let Some(world) = World::start("acks-0", 3, "") else { return };
    let mut client = world.sidecar.client();
    for version in [3, 9, 13] {
        let all_good = world.request(version, 0, &[(0, good(&["a"]).to_bytes())]);
        client.send(&all_good, version).unwrap();
    }
    // Another request on the same connection is answered, and nothing else was.
    let request = world.request(9, -1, &[(2, good(&["answered"]).to_bytes())]);
    assert_eq!(answers(&client.call(&request, 9).unwrap()), [(2, 0, 0)]);

    let parts = [(0, good(&["b"]).to_bytes()), (1, bad().to_bytes()), (2, good(&["c"]).to_bytes())];
    client.send(&world.request(9, 0, &parts), 9).unwrap();
    assert!(client.is_closed_by_peer());
    log_reader::stored_at_least(&world.direct, world.topic, 0, 4);
    log_reader::stored_at_least(&world.direct, world.topic, 2, 2);
    assert_eq!(world.values(0), users(&["a", "a", "a", "b"]));
    assert_eq!(world.values(1), users(&[]));
    assert_eq!(world.values(2), users(&["answered", "c"]));
}

#[test]
fn fetched_data_streams_through_and_is_never_held() {
    let Some(world) = World::start("volume", 1, "") else { return };
    let mut direct = RawClient::bootstrap(&world.direct).unwrap();
    for number in 0..LARGE_BATCHES {
        let batch = Batch::new(vec![Record::new(noise(number))]).to_bytes();
        assert_eq!(produce::call(&mut direct, world.topic, 0, batch, 9).error_code, 0);
    }
    let stored = log_reader::stored_batches_raw(&world.direct, world.topic, 0);
    let stored = stored.concat();
    assert!(stored.len() > 50_000_000);
    // v12 passes unread, v16 and later are walked on their way.
    for version in [12, 16, 17, 18] {
        let mut client = world.sidecar.client();
        client.send(&world.fetch(version), version).unwrap();
        let (read, held) = thread::scope(|scope| {
            // The client reads nothing until the memory was looked at: the proxy has taken all that it takes.
            let held = world.memory_while_stalled();
            (scope.spawn(|| client.read_frame().unwrap()).join().unwrap(), held)
        });
        assert!(held < 1024 * 1024, "v{version}: {held} bytes are held");
        let (_, response) = raw_client::response_of::<FetchRequest>(read, version).unwrap();
        assert!(records(response) == stored, "v{version}: other bytes than stored");
        assert_eq!(world.sidecar.memory_used(), 0);
    }
}

const LARGE_BATCHES: u32 = 51;

/// A megabyte that does not repeat.
fn noise(seed: u32) -> Bytes {
    let mut state = u64::from(seed) + 1;
    let words = (0..125_000).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    });
    words.collect()
}

fn records(response: FetchResponse) -> Bytes {
    let mut partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
    let partition = partitions.next().expect("the partition is answered");
    assert_eq!(partition.error_code, 0);
    partition.records.unwrap_or_default()
}

/// A proxy in front of the one broker, with a topic of the test's own.
struct World {
    kafka: &'static Kafka,
    sidecar: Sidecar,
    direct: String,
    topic: &'static str,
    topic_id: Uuid,
}

impl World {
    fn start(topic: &'static str, partitions: i32, more: &str) -> Option<Self> {
        let kafka = kafka::shared_single()?;
        let sidecar = Sidecar::start(kafka, more);
        let direct = kafka.bootstrap();
        admin::create_topic(&direct, topic, partitions, 1);
        // Asked through the proxy, which learns the id on the way.
        let topic_id = admin::describe_topic(&sidecar.bootstrap(), topic).topic_id;
        Some(Self { kafka, sidecar, direct, topic, topic_id })
    }

    fn request(&self, version: i16, acks: i16, parts: &[(i32, Bytes)]) -> ProduceRequest {
        let parts: Vec<_> =
            parts.iter().map(|(at, records)| (self.topic, *at, records.clone())).collect();
        let request = produce::request_of(&parts).with_acks(acks);
        if version >= 13 { by_id(request, self.topic_id) } else { request }
    }

    /// Sends one request for each batch before it reads the first answer.
    fn pipelined(&self, client: &mut RawClient, batches: &[Bytes]) -> Vec<i16> {
        let sent: Vec<_> = batches
            .iter()
            .map(|batch| client.send(&self.request(9, -1, &[(0, batch.clone())]), 9).unwrap())
            .collect();
        let answer = |sent| {
            let (answered, response) = client.receive::<ProduceRequest>(9).unwrap();
            assert_eq!(answered, sent, "answers leave in the order of their requests");
            answers(&response)[0].1
        };
        sent.into_iter().map(answer).collect()
    }

    fn fetch(&self, version: i16) -> FetchRequest {
        let wanted = FetchPartition::default()
            .with_partition_max_bytes(55_000_000)
            .with_current_leader_epoch(-1);
        let topic = FetchTopic::default().with_partitions(vec![wanted]);
        let topic = if version >= 13 {
            topic.with_topic_id(self.topic_id)
        } else {
            topic.with_topic(admin::topic_name(self.topic))
        };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(55_000_000)
            .with_min_bytes(50_000_000)
            .with_max_wait_ms(5_000)
            .with_session_epoch(-1)
            .with_topics(vec![topic])
    }

    /// The most memory that is held until a client that does not read has filled all buffers on its way.
    fn memory_while_stalled(&self) -> u64 {
        let sent = "schemaward_bytes_total{direction=\"broker_to_client\"}";
        let (mut most, mut passed, mut still) = (0, 0.0, 0);
        wait_until("the stream stalls", || {
            most = most.max(self.sidecar.memory_used());
            let now = self.sidecar.proxy.metric(sent);
            still = if now > 100_000.0 && now == passed { still + 1 } else { 0 };
            passed = now;
            still == 10
        });
        most
    }

    fn stored(&self, partition: i32) -> Vec<log_reader::StoredRecord> {
        log_reader::stored(&self.kafka.bootstrap(), self.topic, partition)
    }

    fn values(&self, partition: i32) -> Vec<Option<Bytes>> {
        log_reader::stored_values(&self.direct, self.topic, partition)
    }
}

/// An idempotent producer that the broker has given its id.
struct Producer {
    id: i64,
    epoch: i16,
}

impl Producer {
    fn new(client: &mut RawClient) -> Self {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        loop {
            let response = client.call(&request, 4).unwrap();
            // A broker that has just started fetches a block of ids first.
            if response.error_code != COORDINATOR_LOAD_IN_PROGRESS {
                assert_eq!(response.error_code, 0);
                return Self { id: response.producer_id.0, epoch: response.producer_epoch };
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn batch(&self, sequence: i32, names: &[&str]) -> Bytes {
        good(names).sequenced(self.id, self.epoch, sequence).to_bytes()
    }
}

fn good(names: &[&str]) -> Batch {
    Batch::new(names.iter().map(|name| valid(name)).collect())
}

fn bad() -> Batch {
    Batch::new(vec![broken()])
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

/// Partition, code and base offset of every answer.
fn answers(response: &ProduceResponse) -> Vec<(i32, i16, i64)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|it| (it.index, it.error_code, it.base_offset)).collect()
}
