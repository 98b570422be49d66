//! Clients and brokers that mean no good: whatever they send, only their own connection ends, and memory stays bounded.

mod support;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, FetchResponse, MetadataResponse, ProduceResponse,
};
use schemaward::{
    app,
    config::Config,
    metrics::Metrics,
    proxy::{
        listener::{Accept, House, Leads, Listener},
        upstream::{TcpDial, Upstream},
    },
};
use support::{
    batch_builder::{Codec, TestBatch, TestRecord, varint},
    broker::FakeBroker,
    client::{Client, Produce, frame, only},
    proxy::Proxy,
    registry::Registry,
    scripted::{BrokerEnd, NO_REGISTRY, Stage, raw_request, raw_response, response},
    wait::{patiently, until},
};
use tokio::io::ReadBuf;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Whether a connection to `stage` still works.
async fn assert_works(stage: &mut Stage) {
    let (mut client, mut broker) = stage.connect().await;
    assert_answers(&mut client, &mut broker).await;
}

async fn assert_answers(client: &mut Client, broker: &mut BrokerEnd) {
    client.send_bytes(&raw_request(12, 2, 77, b"still there?")).await;
    let request = broker.request().await;
    broker.answer(&request, b"yes").await;
    assert_eq!(client.raw().await, raw_response(77, b"yes"));
}

#[tokio::test]
async fn sizes_that_no_frame_has_end_the_connection_and_no_other() {
    let mut stage = Stage::new("").await;
    let (mut bystander, mut its_broker) = stage.connect().await;
    for size in [i32::MIN, -2, -1, 0, 1, 7, 16 * MIB as i32 + 1, i32::MAX] {
        for api_key in [0_i16, 1, 3, 18, 36, -1] {
            let (mut client, mut broker) = stage.connect().await;
            let head = [&size.to_be_bytes()[..], &api_key.to_be_bytes()].concat();
            client.send_bytes(&head).await;
            assert!(patiently("the end", client.closed()).await, "{size} {api_key}");
            assert!(broker.rest().await.is_empty());
        }
    }
    assert_eq!(stage.memory_used(), 0);
    assert_answers(&mut bystander, &mut its_broker).await;
}

#[tokio::test]
async fn half_a_frame_and_silence_hold_what_came_and_nothing_more() {
    let mut stage = Stage::new("").await;
    let mut silent = Vec::new();
    for length in [1, 3, 4, 5, 6, 11, 12, 100, 1_000, 10_000] {
        let (mut client, broker) = stage.connect().await;
        let request = raw_request(12, 2, 1, &vec![0; 16 * MIB - 8]);
        client.send_bytes(&request[..length]).await;
        silent.push((client, broker));
    }
    assert_works(&mut stage).await;
    assert!(stage.memory_used() < 10 * 128 * KIB, "{} bytes held", stage.memory_used());
    drop(silent);
    until("nothing is held", || stage.memory_used() == 0 && stage.connections() == 0.0).await;
}

#[tokio::test]
async fn garbage_ends_the_connection_or_waits_for_more_and_never_reaches_the_broker() {
    let mut stage = Stage::new("").await;
    for seed in 0_u32..200 {
        let (mut client, mut broker) = stage.connect().await;
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut garbage = BytesMut::new();
        // A Produce request in form, but not in content: its version and all that follows are noise.
        garbage.extend_from_slice(&400_i32.to_be_bytes());
        garbage.extend_from_slice(&[0, 0, 0, (seed % 14) as u8]);
        for _ in 0..396 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            garbage.extend_from_slice(&[(state >> 9) as u8]);
        }
        client.send_bytes(&garbage).await;
        assert!(patiently("the end", client.closed()).await, "seed {seed}");
        assert!(broker.rest().await.is_empty(), "seed {seed}");
    }
    for text in [
        "GET / HTTP/1.1\r\nHost: kafka\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}",
        "\0\0\0\u{8}",
    ] {
        let (mut client, mut broker) = stage.connect().await;
        client.send_bytes(text.as_bytes()).await;
        use tokio::io::AsyncWriteExt;
        client.stream.shutdown().await.unwrap();
        assert!(broker.rest().await.is_empty(), "{text:?}");
        drop(broker);
        assert!(patiently("the end", client.closed()).await);
    }
    assert_works(&mut stage).await;
}

/// The head of a Produce request v9, up to the number of its topics.
fn produce_head() -> Vec<u8> {
    // Null client id, no tags, null transactional id, acks, timeout.
    let mut body = vec![0xff, 0xff, 0, 0];
    body.extend((-1_i16).to_be_bytes());
    body.extend(1_000_i32.to_be_bytes());
    body
}

/// The longest unsigned varint.
const GIGANTIC: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];

#[tokio::test]
async fn counts_that_promise_gigabytes_are_not_believed() {
    let mut stage = Stage::new("").await;
    let topic = [&[2, b't'][..]].concat();
    let partition = [0, 0, 0, 0];
    for tail in [
        GIGANTIC.to_vec(),
        [&[2][..], GIGANTIC].concat(),
        [&[2][..], &topic, GIGANTIC].concat(),
        [&[2][..], &topic, &[2], &partition, GIGANTIC].concat(),
        [&[2][..], &topic, &[2], &partition, &[1], GIGANTIC].concat(),
        // Wide: as many empty topics as fit, far more than are taken.
        [&[0x81, 0x80, 0x40][..], &[1, 1, 0].repeat(MIB)].concat(),
        // Twenty thousand and one partitions of one topic.
        [&[2][..], &topic, &[0xa2, 0x9c, 1], &[0, 0, 0, 1, 0, 0].repeat(20_001), &[0, 0]].concat(),
    ] {
        let (mut client, mut broker) = stage.connect().await;
        let body = [produce_head(), tail].concat();
        client.send_bytes(&raw_request(0, 9, 1, &body)).await;
        assert!(patiently("the end", client.closed()).await);
        assert!(broker.rest().await.is_empty());
    }
    until("nothing is held", || stage.memory_used() == 0).await;
    assert_works(&mut stage).await;
}

/// A proxy whose registry knows schema 1, bytes.
async fn world() -> (FakeBroker, Registry, Proxy) {
    let broker = FakeBroker::start().await;
    let registry = Registry::start().await;
    registry.id(1, r#"{"type":"bytes"}"#);
    let proxy = Proxy::start(&[broker.address()], &registry.url(), "").await;
    (broker, registry, proxy)
}

#[tokio::test]
async fn records_that_promise_more_than_they_hold_are_refused_in_time() {
    let (broker, _registry, proxy) = world().await;
    let mut client = Client::connect(&proxy.bootstrap()).await;
    let record = |headers: i64, rest: &[u8]| {
        let mut body = vec![0, 0, 0, 1, 2, b'v'];
        varint(&mut body, headers);
        body.extend(rest);
        let mut record = Vec::new();
        varint(&mut record, body.len() as i64);
        record.extend(body);
        record
    };
    // Name and value of each header are empty.
    let million = record(1_000_000, &vec![0; 2_000_000]);
    let bodies = [
        (1, million.clone(), "missing_content_type"),
        (1, record(i64::from(i32::MAX), &[]), "batch_corrupt"),
        (1, record(-1, &[]), "batch_corrupt"),
        (i32::MAX, record(0, &[]), "batch_corrupt"),
        (1, vec![0xff; 20], "batch_corrupt"),
        (-1, Vec::new(), "batch_corrupt"),
    ];
    for codec in Codec::ALL {
        for (count, body, reason) in &bodies {
            let mut batch = TestBatch::of([]).codec(codec);
            batch.body = Some(codec.compress(body));
            batch.declared_records = Some(*count);
            let request = Produce::to("users", 0, batch.encode());
            let answer = patiently("an answer", client.produce(9, &request)).await;
            let partition = only(&answer);
            assert!(matches!(partition.error_code, 2 | 87), "{codec:?} {partition:?}");
            let message = partition.error_message.as_ref().map(ToString::to_string);
            let message = message.unwrap_or_default();
            assert!(message.starts_with(reason), "{codec:?} {count} {message}");
        }
    }
    assert!(broker.received().is_empty());
    assert_eq!(proxy.app().memory_budget().used(), 0);
}

#[tokio::test]
async fn thousands_of_refused_partitions_take_bounded_memory_and_are_all_answered() {
    let (_broker, _registry, proxy) = world().await;
    let mut client = Client::connect(&proxy.bootstrap()).await;
    let batch: Bytes =
        TestBatch::of(std::iter::repeat_n(TestRecord::bare(b"x".to_vec()), 40)).encode().into();
    let mut produce = Produce { acks: -1, transactional_id: None, topics: Vec::new() };
    let partitions = (0..10_000).map(|index| (index, Some(batch.clone()))).collect();
    produce.topics.push(("users".to_owned(), uuid::Uuid::nil(), partitions));
    let answer = patiently("an answer", client.produce(9, &produce)).await;
    let answered = &answer.responses[0].partition_responses;
    assert_eq!(answered.len(), 10_000);
    assert!(answered.iter().all(|partition| partition.error_code == 87));
    assert!(answered[0].error_message.is_some());
    assert_eq!(proxy.app().memory_budget().used(), 0);
}

#[tokio::test]
async fn five_hundred_idle_connections_are_no_burden() {
    let mut stage = Stage::new("").await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(stage.connect().await);
    }
    until("all are open", || stage.connections() == 500.0).await;
    for _ in 0..20 {
        assert_works(&mut stage).await;
    }
    let (client, broker) = &mut idle[250];
    assert_answers(client, broker).await;
    assert_eq!(stage.memory_used(), 0);
    drop(idle);
    until("all are closed", || stage.connections() == 0.0).await;
}

/// One way in which a broker goes wrong: the request, what the broker sends, and how that is counted. It closes in the end.
struct Misdeed {
    name: &'static str,
    request: Bytes,
    answer: Vec<u8>,
    kind: &'static str,
}

fn misdeeds() -> Vec<Misdeed> {
    let opaque = || raw_request(12, 2, 5, b"");
    let metadata = || raw_request(3, 9, 5, b"");
    let fetch = || raw_request(1, 17, 5, b"");
    let produce = || {
        let batch = TestBatch::of([TestRecord::bare(b"x".to_vec())]).encode();
        frame(5, 9, &Produce::to("users", 0, batch).request(9))
    };
    let misdeed = |name, request, answer: &[u8], kind| Misdeed {
        name,
        request,
        answer: answer.to_vec(),
        kind,
    };
    let protocol = "protocol";
    let good = response(5, 9, &MetadataResponse::default());
    let fetched = response(5, 17, &FetchResponse::default());
    let stored = response(5, 9, &ProduceResponse::default());
    let oversize = [&i32::MAX.to_be_bytes()[..], &5_i32.to_be_bytes()].concat();
    let negative = [&(-1_i32).to_be_bytes()[..], &5_i32.to_be_bytes()].concat();
    let wrong_id = raw_response(6, b"x");
    vec![
        misdeed("wrong id, relayed", opaque(), &wrong_id, protocol),
        misdeed("wrong id, rewritten", metadata(), &wrong_id, protocol),
        misdeed("wrong id, walked", fetch(), &wrong_id, protocol),
        misdeed("wrong id, merged", produce(), &wrong_id, protocol),
        misdeed("negative size", opaque(), &negative, protocol),
        misdeed("size below a header", opaque(), &[0, 0, 0, 3, 0, 0, 0, 5], protocol),
        misdeed("garbage, rewritten", metadata(), &raw_response(5, &[0xff; 50]), protocol),
        misdeed("garbage, walked", fetch(), &raw_response(5, &[0xff; 50]), protocol),
        misdeed("garbage, merged", produce(), &raw_response(5, &[0xff; 50]), protocol),
        misdeed("empty, rewritten", metadata(), &raw_response(5, b""), protocol),
        misdeed("empty, walked", fetch(), &raw_response(5, b""), protocol),
        misdeed("oversize, rewritten", metadata(), &oversize, protocol),
        misdeed("oversize, merged", produce(), &oversize, protocol),
        misdeed(
            "an answer nobody asked for",
            opaque(),
            &[&raw_response(5, b"")[..], &wrong_id].concat(),
            protocol,
        ),
        misdeed("closed at once", opaque(), b"", "closed"),
        misdeed("closed in the size", opaque(), &good[..3], "closed"),
        misdeed("closed in a relayed answer", opaque(), &good[..20], "closed"),
        misdeed("closed in a rewritten answer", metadata(), &good[..20], "closed"),
        misdeed("closed in a walked answer", fetch(), &fetched[..12], "closed"),
        misdeed("closed in a merged answer", produce(), &stored[..12], "closed"),
    ]
}

#[tokio::test]
async fn a_broker_that_goes_wrong_ends_that_connection_and_is_counted_by_kind() {
    let mut stage = Stage::new("").await;
    let (mut bystander, mut its_broker) = stage.connect().await;
    for Misdeed { name, request, answer, kind } in misdeeds() {
        let before = ["closed", "connect", "connect_timeout", "io", "protocol"]
            .map(|kind| (kind, stage.upstream_errors(kind)));
        let (mut client, mut broker) = stage.connect().await;
        client.send_bytes(&request).await;
        broker.request().await;
        broker.send(&answer).await;
        if kind == "closed" {
            drop(broker);
        }
        let mut got = Vec::new();
        use tokio::io::AsyncReadExt;
        // A reset is an end, too.
        let _ = patiently("the end", client.stream.read_to_end(&mut got)).await;
        drop(client);
        until(name, || stage.upstream_errors(kind) > 0.0 && stage.connections() == 1.0).await;
        for (other, count) in before {
            let expected = if other == kind { count + 1.0 } else { count };
            assert_eq!(stage.upstream_errors(other), expected, "{name}: {other}");
        }
        assert_eq!(stage.memory_used(), 0, "{name}");
        assert_answers(&mut bystander, &mut its_broker).await;
    }
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_an_idle_connection() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    assert_answers(&mut client, &mut broker).await;
    broker.send(b"\0").await;
    assert!(patiently("the end", client.closed()).await);
    until("it is counted", || stage.upstream_errors("protocol") == 1.0).await;
}

#[tokio::test]
async fn a_broker_that_closes_an_idle_connection_does_nothing_wrong() {
    let mut stage = Stage::new("").await;
    let (mut client, mut broker) = stage.connect().await;
    assert_answers(&mut client, &mut broker).await;
    drop(broker);
    assert!(patiently("the end", client.closed()).await);
    drop(client);
    until("it is closed", || stage.connections() == 0.0).await;
    assert!(!stage.proxy.metrics().lines().any(|line| {
        line.starts_with("schemaward_upstream_errors_total") && !line.ends_with(" 0")
    }));
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_counted_and_the_client_is_told_by_the_end() {
    let proxy = Proxy::start_unready(&["127.0.0.1:9".to_owned()], NO_REGISTRY, "").await;
    let mut client = Client::connect(&proxy.bootstrap()).await;
    assert!(patiently("the end", client.closed()).await);
    until("it is counted", || {
        proxy.metric("schemaward_upstream_errors_total{kind=\"connect\"}") >= 1.0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody_else_and_costs_little() {
    let mut stage = Stage::new("").await;
    let (mut greedy, mut its_broker) = stage.connect().await;
    // The broker has 50 MiB for it, in answers that stream and in one that is rewritten.
    let sending = tokio::spawn(async move {
        while let Some(request) = its_broker.try_request().await {
            let answer = match request.api_key() {
                3 => {
                    let filler = [(77, Bytes::from(vec![0; MIB]))].into_iter().collect();
                    let metadata = MetadataResponse::default().with_unknown_tagged_fields(filler);
                    response(request.correlation_id(), 9, &metadata)
                }
                _ => raw_response(request.correlation_id(), &vec![1; 5 * MIB]),
            };
            use tokio::io::AsyncWriteExt;
            if its_broker.stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    });
    for id in 0..10 {
        greedy.send_bytes(&raw_request(12, 2, id, b"")).await;
        greedy.send_bytes(&raw_request(3, 9, id, b"")).await;
    }
    for _ in 0..50 {
        assert_works(&mut stage).await;
        assert!(stage.memory_used() <= 4 * MIB, "{} bytes held", stage.memory_used());
    }
    // It reads after all, and nothing is lost.
    for id in 0..10 {
        assert_eq!(greedy.raw().await, raw_response(id, &vec![1; 5 * MIB]));
        assert!(greedy.raw().await.len() > MIB);
    }
    drop(greedy);
    patiently("the broker's end", sending).await.unwrap();
    until("nothing is held", || stage.memory_used() == 0).await;
}

#[tokio::test]
async fn a_broker_that_reads_nothing_holds_up_nobody_else() {
    let mut stage = Stage::new("limits: {stall_timeout: 10m}\n").await;
    let (mut client, broker) = stage.connect().await;
    let request = raw_request(12, 2, 1, &vec![3; MIB]);
    let sending = tokio::spawn(async move {
        for _ in 0..60 {
            if !client.try_send_bytes(&request).await {
                break;
            }
        }
        client
    });
    until("a request waits", || stage.memory_used() > 0).await;
    for _ in 0..20 {
        assert_works(&mut stage).await;
        // Back-pressure reaches the client: one request at a time.
        assert!(stage.memory_used() <= 2 * MIB, "{} bytes held", stage.memory_used());
    }
    let mut broker = broker;
    for _ in 0..60 {
        assert_eq!(broker.request().await.0.len(), MIB + 12);
    }
    patiently("the client", sending).await.unwrap();
}

#[tokio::test]
async fn clients_that_vanish_at_any_moment_leave_nothing_behind() {
    let mut stage = Stage::new("").await;
    let request = frame(
        1,
        9,
        &Produce::to("users", 0, TestBatch::of([TestRecord::bare(vec![0; 40_000])]).encode())
            .request(9),
    );
    for cut in [0, 1, 5, 13, 1_000, 20_000, request.len()] {
        for reset in [false, true] {
            let (mut client, mut broker) = stage.connect().await;
            client.send_bytes(&request[..cut]).await;
            if reset {
                client.stream.set_zero_linger().unwrap();
            }
            drop(client);
            broker.rest().await;
        }
    }
    until("all are closed", || stage.connections() == 0.0 && stage.memory_used() == 0).await;
    assert_works(&mut stage).await;
    assert_eq!(stage.upstream_errors("protocol"), 0.0);
}

/// A stream of a client, with a fault of ours built in: it panics at a word.
struct Trap(tokio::net::TcpStream);

const WORD: &[u8] = b"step on it";

impl tokio::io::AsyncRead for Trap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buf);
        assert!(!buf.filled().windows(WORD.len()).any(|bytes| bytes == WORD), "forced");
        read
    }
}

impl tokio::io::AsyncWrite for Trap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

struct Trapped(tokio::net::TcpListener);

impl Accept for Trapped {
    type Io = Trap;

    async fn accept(&self) -> io::Result<(Trap, SocketAddr)> {
        let (stream, address) = self.0.accept().await?;
        Ok((Trap(stream), address))
    }
}

#[tokio::test]
async fn a_fault_of_ours_ends_the_connection_that_meets_it_and_no_other() {
    let broker = FakeBroker::start().await;
    let file = format!(
        "upstream: {{bootstrap: [\"{}\"]}}\nregistry: {{url: {NO_REGISTRY}}}\n",
        broker.address()
    );
    let config = Config::parse(&file, "test.yaml", std::iter::empty()).unwrap();
    let (_drain, draining) = tokio::sync::watch::channel(false);
    let metrics = Metrics::new(10);
    support::proxy::install_crypto();
    let source = app::schema_source(&config, &metrics).unwrap();
    let gateway = app::gateway(source, &config, Arc::clone(&metrics), draining);
    let upstream = Arc::new(Upstream::new(&config.upstream, TcpDial, None));
    let house = House::new(&config.listen, None, upstream, Arc::new(gateway));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let listener = Listener {
        accept: Trapped(listener),
        leads: Leads::Bootstrap,
        name: "test".into(),
        dealer: None,
    };
    let serving = tokio::spawn(listener.serve(Arc::new(house)));
    let request = ApiVersionsRequest::default();
    let mut bystander = Client::connect(&address).await;
    bystander.call(3, &request).await;
    for round in 1..=3 {
        let mut victim = Client::connect(&address).await;
        victim.call(3, &request).await;
        assert_eq!(metrics.connections(), 2);
        // In the middle of a request whose first half holds memory.
        victim.send_bytes(&raw_request(12, 2, 1, &vec![0; MIB])[..MIB / 2]).await;
        victim.send_bytes(WORD).await;
        assert!(patiently("the end", victim.closed()).await);
        until("it is counted", || metrics.connections() == 1).await;
        let counted = format!("schemaward_connections_closed_total{{cause=\"panic\"}} {round}\n");
        assert!(metrics.encode().contains(&counted));
        bystander.call(3, &request).await;
    }
    Client::connect(&address).await.call(3, &request).await;
    serving.abort();
}
