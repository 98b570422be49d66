//! Every limit, at the limit and one past it: what is over it is refused or closed, what is within it goes on, and memory
//! stays bounded whatever is announced.

mod support;

use bytes::Bytes;
use kafka_protocol::messages::{MetadataResponse, ProduceResponse};
use support::{
    batch_builder::{Codec, TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, frame, only},
    proxy::Proxy,
    registry::Registry,
    scripted::{Stage, raw_request, raw_response, response},
    wait::{patiently, until},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A Produce request v9 of exactly `size` bytes, to a topic that is not checked: `off`.
fn produce_of(id: i32, size: usize) -> Bytes {
    let of = |filler: usize| frame(id, 9, &Produce::to("off", 0, vec![1; filler]).request(9));
    // The varint of the record set's length has as many bytes with 20 bytes less.
    let overhead = of(size - 100).len() - 4 - (size - 100);
    let request = of(size - overhead);
    assert_eq!(request.len() - 4, size);
    request
}

const OFF: &str = "rules: [{topics: [\"off\"], mode: off}]\n";

#[tokio::test]
async fn a_produce_request_is_taken_up_to_its_limit() {
    let more =
        format!("{OFF}limits: {{max_request_bytes: 100KiB, max_other_request_bytes: 4KiB}}\n");
    let mut stage = Stage::new(&more).await;
    let (mut client, mut broker) = stage.connect().await;
    let request = produce_of(1, 100 * KIB);
    client.send_bytes(&request).await;
    assert!(broker.request().await.0 == request);
    // Six bytes are enough to know.
    client.send_bytes(&produce_of(2, 100 * KIB + 1)[..6]).await;
    assert!(patiently("the end", client.closed()).await);
    assert!(broker.rest().await.is_empty());
    assert_eq!(stage.memory_used(), 0);
}

#[tokio::test]
async fn any_other_request_is_taken_up_to_its_own_limit() {
    let more = "limits: {max_request_bytes: 4KiB, max_other_request_bytes: 100KiB}\n";
    let mut stage = Stage::new(more).await;
    for api_key in [3, 18, 12, 1_000] {
        let (mut client, mut broker) = stage.connect().await;
        let request = raw_request(api_key, 1, 1, &vec![1; 100 * KIB - 8]);
        client.send_bytes(&request).await;
        assert!(broker.request().await.0 == request);
        client.send_bytes(&raw_request(api_key, 1, 2, &vec![1; 100 * KIB - 7])[..6]).await;
        assert!(patiently("the end", client.closed()).await, "{api_key}");
        assert!(broker.rest().await.is_empty());
    }
    until("nothing is held", || stage.memory_used() == 0).await;
}

#[tokio::test]
async fn an_answer_that_is_rewritten_is_taken_up_to_its_limit() {
    let mut stage = Stage::new("limits: {max_rewritten_response_bytes: 64KiB}\n").await;
    for (over, taken) in [(0, true), (1, false)] {
        let (mut client, mut broker) = stage.connect().await;
        client.send_bytes(&raw_request(3, 9, 1, b"")).await;
        broker.request().await;
        let sized = |filler: usize| {
            let tags = [(77, Bytes::from(vec![0; filler]))].into_iter().collect();
            response(1, 9, &MetadataResponse::default().with_unknown_tagged_fields(tags))
        };
        let overhead = sized(60 * KIB).len() - 4 - 60 * KIB;
        let answer = sized(64 * KIB + over - overhead);
        assert_eq!(answer.len() - 4, 64 * KIB + over);
        broker.send(&answer).await;
        if taken {
            assert!(client.raw().await == answer);
        } else {
            assert!(patiently("the end", client.closed()).await);
            // The client may see the end before it is counted.
            until("the error is counted", || stage.upstream_errors("protocol") >= 1.0).await;
            assert_eq!(stage.upstream_errors("protocol"), 1.0);
        }
    }
}

#[tokio::test]
async fn too_many_requests_in_flight_wait_and_none_is_lost() {
    let mut stage = Stage::new("limits: {max_in_flight: 5}\n").await;
    let (mut client, mut broker) = stage.connect().await;
    for id in 1..=20 {
        client.send_bytes(&raw_request(12, 2, id, b"")).await;
    }
    let mut held = std::collections::VecDeque::new();
    for _ in 0..5 {
        held.push_back(broker.request().await);
    }
    let (mut other, mut its_broker) = stage.connect().await;
    for id in 1..=20 {
        // While another connection goes on, the sixth comes no sooner than the first is answered.
        other.send_bytes(&raw_request(12, 2, id, b"")).await;
        let request = its_broker.request().await;
        its_broker.answer(&request, b"").await;
        other.raw().await;
        assert!(broker.has_nothing());
        let request = held.pop_front().unwrap();
        assert_eq!(request.correlation_id(), id);
        broker.answer(&request, b"x").await;
        assert_eq!(client.raw().await, raw_response(id, b"x"));
        if id <= 15 {
            held.push_back(broker.request().await);
        }
    }
}

const SCHEMA: &str = r#"{"type":"bytes"}"#;

/// A proxy whose registry knows schema 1, bytes.
struct World {
    broker: FakeBroker,
    _registry: Registry,
    proxy: Proxy,
    client: Client,
}

impl World {
    async fn new(more: &str) -> Self {
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        registry.id(1, SCHEMA);
        let proxy = Proxy::start(&[broker.address()], &registry.url(), more).await;
        let client = Client::connect(&proxy.bootstrap()).await;
        Self { broker, _registry: registry, proxy, client }
    }

    async fn produce(&mut self, batch: &TestBatch) -> (i16, String) {
        let request = Produce::to("users", 0, batch.encode());
        let response: ProduceResponse = self.client.produce(9, &request).await;
        let partition = only(&response);
        let message = partition.error_message.as_ref().map(ToString::to_string);
        (partition.error_code, message.unwrap_or_default())
    }
}

/// A record whose body, its length apart, has exactly `size` bytes.
fn record_of(size: usize) -> TestRecord {
    let with = |payload: usize| {
        let mut value = Vec::new();
        support::batch_builder::varint(&mut value, payload as i64);
        value.extend(std::iter::repeat_n(b'a', payload));
        TestRecord::avro("1", value)
    };
    let body = |record: &TestRecord| {
        let whole = TestBatch::of([record.clone()]).plain_body().len();
        // Lengths of a few KiB take two bytes.
        whole - 2
    };
    let overhead = body(&with(size - 100)) - (size - 100);
    let record = with(size - overhead);
    assert_eq!(body(&record), size);
    record
}

#[tokio::test]
async fn a_record_is_taken_up_to_its_limit() {
    let mut world = World::new("limits: {max_record_bytes: 4KiB}\n").await;
    for codec in Codec::ALL {
        let (code, message) =
            world.produce(&TestBatch::of([record_of(4 * KIB)]).codec(codec)).await;
        assert_eq!(code, 0, "{codec:?} {message}");
        let (code, message) =
            world.produce(&TestBatch::of([record_of(4 * KIB + 1)]).codec(codec)).await;
        assert_eq!(code, 10, "{codec:?} {message}");
        assert!(message.starts_with("batch_too_large: "), "{message}");
    }
    assert_eq!(world.broker.received().len(), Codec::ALL.len());
}

#[tokio::test]
async fn a_batch_may_decompress_up_to_its_limit() {
    let mut world =
        World::new("limits: {max_decompressed_bytes: 16KiB, max_record_bytes: 8KiB}\n").await;
    // Each record takes two bytes for its length.
    let sized = |total: usize| {
        let last = total - 3 * (4 * KIB + 2) - 2;
        TestBatch::of([4 * KIB, 4 * KIB, 4 * KIB, last].map(record_of))
    };
    for codec in Codec::ALL {
        for over in [0, 1] {
            let batch = sized(16 * KIB + over);
            assert_eq!(batch.plain_body().len(), 16 * KIB + over);
            let (code, message) = world.produce(&batch.codec(codec)).await;
            let expected = if over == 0 || codec == Codec::None { 0 } else { 10 };
            assert_eq!(code, expected, "{codec:?} {over} {message}");
        }
    }
}

#[tokio::test]
async fn bombs_of_every_codec_are_refused_and_take_no_memory_worth_mentioning() {
    let mut world =
        World::new("limits: {max_decompressed_bytes: 1MiB, max_record_bytes: 512KiB}\n").await;
    let zeros = vec![0; 300 * MIB];
    for codec in Codec::ALL {
        if codec == Codec::None {
            continue;
        }
        // Raw, xerial and frames alike: 300 MiB of zeros, declared as many records as one may claim.
        let mut batch = TestBatch::of([]).codec(codec);
        batch.body = Some(codec.compress(&zeros));
        batch.declared_records = Some(i32::MAX);
        let body = batch.body.as_ref().map_or(0, Vec::len);
        if body > 15 * MIB {
            continue;
        }
        let (code, message) = world.produce(&batch).await;
        assert!(matches!(code, 10 | 87), "{codec:?} {code} {message}");
        // One record that claims it all.
        let mut plain = Vec::new();
        support::batch_builder::varint(&mut plain, (300 * MIB) as i64);
        plain.extend(&zeros[..100 * MIB]);
        batch.body = Some(codec.compress(&plain));
        batch.declared_records = Some(1);
        let (code, message) = world.produce(&batch).await;
        assert_eq!(code, 10, "{codec:?} {message}");
    }
    assert_eq!(world.proxy.app().memory_budget().used(), 0);
    assert!(world.broker.received().is_empty());
}

/// A zstd frame with this window descriptor and nothing but one empty raw block that is its last.
fn zstd_frame(window_descriptor: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window_descriptor];
    let plain = TestBatch::of([TestRecord::avro("1", b"\x02a".to_vec())]).plain_body();
    let header = (plain.len() << 3 | 1) as u32;
    frame.extend(&header.to_le_bytes()[..3]);
    frame.extend(plain);
    frame
}

#[tokio::test]
async fn a_zstd_window_is_taken_up_to_8_mib() {
    let mut world = World::new("").await;
    for (descriptor, expected) in [(13 << 3, 0), (13 << 3 | 1, 10), (14 << 3, 10), (0xff, 10)] {
        let mut batch = TestBatch::of([]).codec(Codec::Zstd);
        batch.body = Some(zstd_frame(descriptor));
        batch.declared_records = Some(1);
        let (code, message) = world.produce(&batch).await;
        assert_eq!(code, expected, "{descriptor:#x} {message}");
    }
}

#[tokio::test]
async fn versions_that_were_not_offered_close_the_connection_and_nothing_is_forwarded() {
    let mut stage = Stage::new("").await;
    for (api_key, version) in [
        (0, 14),
        (0, -1),
        (0, i16::MAX),
        (1, 19),
        (1, -1),
        (3, 14),
        (10, 7),
        (17, 0),
        (17, 2),
        (18, -1),
        (60, 3),
        (78, 3),
        (79, 3),
    ] {
        let (mut client, mut broker) = stage.connect().await;
        client.send_bytes(&raw_request(api_key, version, 1, &[0; 40])).await;
        assert!(patiently("the end", client.closed()).await, "{api_key} v{version}");
        assert!(broker.rest().await.is_empty(), "{api_key} v{version}");
    }
}

#[tokio::test]
async fn too_new_api_versions_are_answered_in_v0_with_the_range() {
    let mut stage = Stage::new("").await;
    let (mut client, _broker) = stage.connect().await;
    for version in [5, 6, 1_000, i16::MAX] {
        client.send_bytes(&raw_request(18, version, 7, b"\xff\xff\x01\x02")).await;
        let body = [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
        assert_eq!(client.raw().await, raw_response(7, &body));
    }
}

/// 16 MiB, the largest request.
const LARGE: usize = 16 * MIB;

fn half_of_a_large_request() -> Bytes {
    produce_of(1, LARGE).slice(..LARGE / 2)
}

#[tokio::test]
async fn half_sent_requests_hold_no_more_than_the_budget_and_one_request_and_others_go_on() {
    const BUDGET: usize = 64 * MIB;
    let mut stage = Stage::new(&format!("{OFF}limits: {{stall_timeout: 10m}}\n")).await;
    let half = half_of_a_large_request();
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (mut client, broker) = stage.connect().await;
        let half = half.clone();
        senders.spawn(async move {
            // Back-pressure: not all of it is taken.
            client.try_send_bytes(&half).await;
            std::future::pending::<()>().await;
            drop((client, broker));
        });
    }
    let budget = std::sync::Arc::clone(stage.proxy.app().memory_budget());
    until("the budget is spent", || {
        let used = budget.used();
        most.fetch_max(used, std::sync::atomic::Ordering::Relaxed);
        assert!(used <= BUDGET + LARGE + 4, "{used} bytes held");
        used > BUDGET && budget.waits_total() >= 20
    })
    .await;
    // Others go on, in every way: opaque, rewritten, produced.
    let (mut client, mut broker) = stage.connect().await;
    for id in 0..20 {
        client.send_bytes(&raw_request(12, 2, id, &[1; 10 * KIB])).await;
        let request = broker.request().await;
        broker.answer(&request, &[2; 200 * KIB]).await;
        assert_eq!(client.raw().await, raw_response(id, &[2; 200 * KIB]));
        client.send_bytes(&raw_request(3, 9, id, b"")).await;
        broker.request().await;
        let answer = response(id, 9, &MetadataResponse::default());
        broker.send(&answer).await;
        assert_eq!(client.raw().await, answer);
        client.send_bytes(&produce_of(id, 12 * KIB)).await;
        let request = broker.request().await;
        broker.answer(&request, b"\0\x01\0\0\0\0\0").await;
        client.raw().await;
        let batch = TestBatch::of([TestRecord::bare(vec![0; 500])]).codec(Codec::Gzip).encode();
        client.send_bytes(&frame(id, 9, &Produce::to("users", 0, batch).request(9))).await;
        broker.request().await;
        broker.send(&response(id, 9, &ProduceResponse::default())).await;
        client.raw().await;
        let used = budget.used();
        assert!(used <= BUDGET + LARGE + 4, "{used} bytes held");
    }
    senders.shutdown().await;
    until("all of it is given back", || budget.used() == 0).await;
}

#[tokio::test]
async fn a_whole_request_completes_and_those_that_stall_are_closed_meanwhile() {
    let more = format!(
        "{OFF}limits: {{stall_timeout: 1s, memory_budget: 32MiB, max_request_bytes: 16MiB, \
         max_other_request_bytes: 16MiB, max_rewritten_response_bytes: 16MiB}}\n"
    );
    let mut stage = Stage::new(&more).await;
    let half = half_of_a_large_request();
    let mut stalled = Vec::new();
    let budget = std::sync::Arc::clone(stage.proxy.app().memory_budget());
    for _ in 0..6 {
        let (mut client, broker) = stage.connect().await;
        let before = budget.used();
        if tokio::time::timeout(std::time::Duration::from_millis(500), client.send_bytes(&half))
            .await
            .is_ok()
        {
            until("it is held or waits", || budget.used() > before || budget.waits_total() > 0)
                .await;
        }
        stalled.push((client, broker));
    }
    until("the budget is spent", || budget.used() > budget.capacity()).await;
    let (mut client, mut broker) = stage.connect().await;
    let whole = produce_of(9, LARGE);
    let (arrived, ()) = tokio::join!(broker.request(), client.send_bytes(&whole));
    assert!(arrived.0 == whole);
    assert!(budget.evictions_total() >= 1);
    // The oldest went first.
    let mut end = stalled.into_iter();
    let (mut first, _) = end.next().unwrap();
    assert!(patiently("the end", first.closed()).await);
    drop(end);
    until("all of it is given back", || budget.used() == 0).await;
}

#[tokio::test]
async fn nobody_is_closed_for_a_pause_while_nobody_waits() {
    let more = format!("{OFF}limits: {{stall_timeout: 1s}}\n");
    let mut stage = Stage::new(&more).await;
    let (mut client, mut broker) = stage.connect().await;
    let request = produce_of(1, LARGE);
    client.send_bytes(&request[..LARGE / 2]).await;
    until("half of it is held", || stage.memory_used() >= LARGE / 2).await;
    // Longer than the stall timeout: what is asserted is that nothing happens.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let (arrived, ()) = tokio::join!(broker.request(), client.send_bytes(&request[LARGE / 2..]));
    assert!(arrived.0 == request);
}

#[tokio::test]
async fn refusals_that_wait_for_the_broker_are_bounded_and_charged() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    // Each has a hundred records without metadata in each of forty partitions.
    let records = std::iter::repeat_n(TestRecord::bare(b"x".to_vec()), 100);
    let batch = TestBatch::of(records).encode();
    let request = |id| {
        let mut produce = Produce { acks: -1, transactional_id: None, topics: Vec::new() };
        for partition in 0..40 {
            produce = produce.and("users", partition, batch.clone());
        }
        frame(id, 9, &produce.request(9))
    };
    let requests: Vec<u8> = (0..200).flat_map(|id| request(id).to_vec()).collect();
    let (mut reading, mut writing) = client.stream.split();
    let sending = async {
        use tokio::io::AsyncWriteExt;
        writing.write_all(&requests).await.unwrap();
    };
    let receiving = async {
        // A broker that is slow to answer: the first have come, and the proxy takes no more than it can hold.
        let mut arrived = vec![broker.request().await];
        until("refusals wait", || stage.memory_used() > 100 * KIB).await;
        let mut most = 0;
        for id in 0..200 {
            if arrived.len() <= id {
                arrived.push(broker.request().await);
            }
            most = most.max(stage.memory_used());
            broker.send(&response(id as i32, 9, &ProduceResponse::default())).await;
            let answer = support::client::read_frame(&mut reading).await.unwrap();
            assert!(answer.len() > 40 * 100 * 20);
        }
        assert!(most < 4 * MIB, "{most} bytes held");
    };
    patiently("all answers", async { tokio::join!(sending, receiving) }).await;
    until("nothing is held", || stage.memory_used() == 0).await;
}

/// Why connections ended so far.
fn closed(stage: &Stage, cause: &str) -> f64 {
    stage.proxy.metric(&format!("schemaward_connections_closed_total{{cause=\"{cause}\"}}"))
}

const MOMENT: std::time::Duration = std::time::Duration::from_millis(20);

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed_and_one_on_which_something_moves_stays() {
    let mut stage = Stage::new("limits: {idle_timeout: 1s}\n").await;
    let (mut lively, mut its_broker) = stage.connect().await;
    let (mut quiet, mut quiet_broker) = stage.connect().await;
    let (mut used, mut used_broker) = stage.connect().await;
    used.send_bytes(&raw_request(12, 2, 1, b"")).await;
    let request = used_broker.request().await;
    used_broker.answer(&request, b"").await;
    used.raw().await;
    let mut answered = 0;
    let lives = async {
        loop {
            lively.send_bytes(&raw_request(12, 2, answered, b"")).await;
            let request = its_broker.request().await;
            its_broker.answer(&request, b"").await;
            lively.raw().await;
            answered += 1;
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::select! {
        () = lives => {}
        ended = async {
            patiently("the end", quiet.closed()).await && patiently("the end", used.closed()).await
        } => assert!(ended),
    }
    assert!(quiet_broker.rest().await.is_empty() && used_broker.rest().await.is_empty());
    drop((quiet, used, quiet_broker, used_broker));
    until("they are counted", || closed(&stage, "idle") == 2.0).await;
    lively.send_bytes(&raw_request(12, 2, answered, b"")).await;
    its_broker.request().await;
}

#[tokio::test]
async fn a_request_that_dribbles_is_cut_off_and_a_connection_of_many_small_ones_is_not() {
    let more = "limits: {request_timeout: 1s, idle_timeout: 0, response_timeout: 0}\n";
    let mut stage = Stage::new(more).await;
    let (mut good, mut its_broker) = stage.connect().await;
    let (mut slow, mut slow_broker) = stage.connect().await;
    let (mut silent, mut silent_broker) = stage.connect().await;
    // Even the size can take too long.
    silent.send_bytes(b"\0\0").await;
    let dribbles = async {
        for byte in raw_request(12, 2, 1, &[7; 100 * KIB]) {
            if !slow.try_send_bytes(&[byte]).await {
                break;
            }
            tokio::time::sleep(MOMENT).await;
        }
    };
    let works = async {
        for id in 0.. {
            let request = raw_request(12, 2, id, &[1; 100]);
            // Never the whole of it at once.
            good.send_bytes(&request[..50]).await;
            tokio::time::sleep(MOMENT).await;
            good.send_bytes(&request[50..]).await;
            let request = its_broker.request().await;
            its_broker.answer(&request, b"").await;
            good.raw().await;
        }
    };
    tokio::select! {
        () = works => {}
        () = patiently("the end", dribbles) => {}
    }
    assert!(slow_broker.rest().await.is_empty() && silent_broker.rest().await.is_empty());
    until("they are counted", || closed(&stage, "request_timeout") == 2.0).await;
    assert_eq!(stage.connections(), 1.0);
}

#[tokio::test]
async fn a_broker_that_owes_an_answer_and_does_nothing_is_given_up_and_a_slow_one_is_not() {
    let more = "limits: {response_timeout: 1s, request_timeout: 0, idle_timeout: 300ms}\n";
    let mut stage = Stage::new(more).await;
    let (mut waiting, mut slow_broker) = stage.connect().await;
    let (mut forgotten, mut dead_broker) = stage.connect().await;
    for (client, broker) in [(&mut waiting, &mut slow_broker), (&mut forgotten, &mut dead_broker)] {
        client.send_bytes(&raw_request(12, 2, 1, b"")).await;
        broker.request().await;
    }
    let answer = raw_response(1, &[5; 100 * KIB]);
    let answers = async {
        for byte in answer.clone() {
            slow_broker.send(&[byte]).await;
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::select! {
        () = answers => {}
        ended = patiently("the end", forgotten.closed()) => assert!(ended),
    }
    until("it is counted", || closed(&stage, "response_timeout") == 1.0).await;
    assert_eq!((closed(&stage, "idle"), stage.connections()), (0.0, 1.0));
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_closed_as_idle() {
    let more = "limits: {idle_timeout: 1s, request_timeout: 0, response_timeout: 0}\n";
    let mut stage = Stage::new(more).await;
    let (mut deaf, mut its_broker) = stage.connect().await;
    deaf.send_bytes(&raw_request(12, 2, 1, b"")).await;
    its_broker.request().await;
    let answer = raw_response(1, &vec![0; 30 * MIB]);
    use tokio::io::AsyncWriteExt;
    // Nobody ever reads. When the proxy closes, this ends one way or the other.
    let _ = patiently("the end", its_broker.stream.write_all(&answer)).await;
    until("it is counted", || closed(&stage, "idle") == 1.0).await;
    drop(deaf);
    until("nothing is held", || stage.memory_used() == 0 && stage.connections() == 0.0).await;
}

/// Every key of `limits` with the test that stands at it and one past it.
const TESTED: [(&str, &str); 13] = [
    (
        "idle_timeout",
        "a_connection_on_which_nothing_moves_is_closed_and_one_on_which_something_moves_stays",
    ),
    ("lookup_deadline", "a_look_up_counts_up_to_its_deadline_and_not_past_it"),
    ("max_decompressed_bytes", "a_batch_may_decompress_up_to_its_limit"),
    ("max_in_flight", "too_many_requests_in_flight_wait_and_none_is_lost"),
    ("max_other_request_bytes", "any_other_request_is_taken_up_to_its_own_limit"),
    ("max_record_bytes", "a_record_is_taken_up_to_its_limit"),
    ("max_request_bytes", "a_produce_request_is_taken_up_to_its_limit"),
    ("max_rewritten_response_bytes", "an_answer_that_is_rewritten_is_taken_up_to_its_limit"),
    ("max_schema_bytes", "a_schema_document_is_taken_up_to_its_limit"),
    (
        "memory_budget",
        "half_sent_requests_hold_no_more_than_the_budget_and_one_request_and_others_go_on",
    ),
    (
        "request_timeout",
        "a_request_that_dribbles_is_cut_off_and_a_connection_of_many_small_ones_is_not",
    ),
    (
        "response_timeout",
        "a_broker_that_owes_an_answer_and_does_nothing_is_given_up_and_a_slow_one_is_not",
    ),
    ("stall_timeout", "a_whole_request_completes_and_those_that_stall_are_closed_meanwhile"),
];

#[test]
fn every_key_of_the_limits_has_its_test() {
    let (this, file) = (include_str!("limits.rs"), include_str!("../config/schemaward.yaml"));
    let section = file.lines().skip_while(|line| *line != "limits:").skip(1);
    let lines = section.take_while(|line| line.starts_with("  ") || line.is_empty());
    let keys = lines.filter_map(|line| line.trim().split_once(": "));
    let mut keys: Vec<_> = keys.map(|(key, _)| key).filter(|key| !key.starts_with('#')).collect();
    keys.sort_unstable();
    // A handshake is tested where TLS is.
    keys.retain(|key| *key != "handshake_timeout");
    assert_eq!(keys, TESTED.map(|(key, _)| key));
    for (key, test) in TESTED {
        assert!(this.contains(&format!("async fn {test}()")), "{key}: {test}");
    }
}

#[tokio::test]
async fn a_schema_document_is_taken_up_to_its_limit() {
    let broker = FakeBroker::start().await;
    let registry = Registry::start().await;
    let sized = |size: usize| {
        let text = |doc: usize| format!(r#"{{"type":"bytes","doc":"{}"}}"#, "d".repeat(doc));
        text(size - text(0).len())
    };
    registry.document("fits.avsc", &sized(4 * KIB));
    registry.document("over.avsc", &sized(4 * KIB + 1));
    let more = "limits: {max_schema_bytes: 4KiB}\n";
    let proxy = Proxy::start(&[broker.address()], &registry.url(), more).await;
    let mut client = Client::connect(&proxy.bootstrap()).await;
    for (path, expected) in [("fits.avsc", 0), ("over.avsc", 87)] {
        let batch = TestBatch::of([TestRecord::avro(path, b"\x02a".to_vec())]).encode();
        let answer = client.produce(9, &Produce::to("users", 0, batch)).await;
        assert_eq!(only(&answer).error_code, expected, "{path} {answer:?}");
    }
}

#[tokio::test]
async fn a_look_up_counts_up_to_its_deadline_and_not_past_it() {
    let broker = FakeBroker::start().await;
    let registry = Registry::start().await;
    registry.id(1, SCHEMA);
    registry.mood(support::registry::Mood::Silent);
    let batch = TestBatch::of([TestRecord::avro("1", b"\x02a".to_vec())]).encode();
    for (deadline, expected) in [("1m", 0), ("50ms", 19)] {
        let more = format!("limits: {{lookup_deadline: {deadline}}}\n");
        let proxy = Proxy::start(&[broker.address()], &registry.url(), &more).await;
        let mut client = Client::connect(&proxy.bootstrap()).await;
        let asked = registry.requests().len();
        client.send(9, &Produce::to("users", 0, batch.clone()).request(9)).await;
        until("it is asked", || registry.requests().len() > asked).await;
        if expected == 0 {
            registry.mood(support::registry::Mood::Well);
        }
        let (_, answer) =
            patiently("an answer", client.receive::<ProduceResponse>(9)).await.unwrap();
        assert_eq!(only(&answer).error_code, expected, "{deadline}");
        registry.mood(support::registry::Mood::Silent);
    }
}
