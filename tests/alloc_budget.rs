//! How often the accepting path asks the allocator. The numbers do not depend on the machine, so one more is a failure;
//! and one less is to be written down here, so that it stays.
//!
//! moka's upkeep of the schema cache runs now and then inside a look-up: the least of several rounds counts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

#[path = "../benches/workloads/mod.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod workloads;

use bytes::Bytes;
use kafka_protocol::records::Compression;
use schemaward::proxy::connection;
use schemaward::record::Unlimited;
use schemaward::validate::{
    judge::{Judge, Resolved, Workspace},
    plan::{At, Plan, Planner},
    policy::{Check, RuleSettings, TopicPolicy},
};
use schemaward::wire::{Frame, produce::ProduceRequest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
    sync::watch,
};
use workloads::{CODECS, Value};

const ID: &str = "42";
const ID_URL: &str = "https://my-schema-server/schemas/ids/42";
const DOCUMENT: &str = "https://my-schema-server/users/schema.avsc";
const PATH: &str = "users/schema.avsc";
const ROUNDS: usize = 8;
/// Requests in one round of the connection.
const REQUESTS: u64 = 64;

/// The least number of allocations of several rounds of `act`.
fn least(mut act: impl FnMut()) -> u64 {
    (0..ROUNDS).map(|_| allocation_counter::measure(&mut act).count_total).min().unwrap()
}

/// What judging `record_set` allocates once the connection is warm. All of it must pass.
fn judging(
    judge: &Judge,
    policy: &TopicPolicy,
    workspace: &mut Workspace,
    record_set: &Bytes,
) -> u64 {
    let resolved = Resolved::new();
    let mut walk = || {
        let walked = judge.walk(record_set, policy, &resolved, workspace, &mut Unlimited);
        let verdict = walked.unwrap();
        assert!(verdict.is_settled() && verdict.fault().is_none());
        assert_eq!(verdict.rejected_records(), 0, "{:?}", verdict.rejected().first());
    };
    walk();
    least(walk)
}

/// The same for batches of 1 and of 1,000 records, which have to cost the same.
fn judging_any_number(codec: Compression, value: Value, schemas: &[&'static str]) -> u64 {
    let judge = workloads::judge(schemas);
    let mut workspace = Workspace::default();
    let [one, many] = [1, 1_000].map(|count| {
        let record_set = workloads::record_set(codec, value, schemas, count * schemas.len());
        judging(&judge, &workloads::policy(), &mut workspace, &record_set)
    });
    assert_eq!(one, many, "{codec:?} {value:?} {schemas:?}");
    many
}

#[test]
fn judging_a_batch_allocates_nothing_however_many_records_it_has() {
    for codec in CODECS {
        for value in [Value::Avro, Value::AvroJson] {
            let count = judging_any_number(codec, value, &[ID]);
            assert_eq!(count, 0, "{codec:?} {value:?}");
        }
    }
}

#[test]
fn however_a_schema_is_named_it_is_read_once_on_a_connection() {
    for schema in [ID_URL, DOCUMENT, PATH] {
        for value in [Value::Avro, Value::AvroJson] {
            assert_eq!(judging_any_number(Compression::None, value, &[schema]), 0, "{schema}");
        }
    }
}

#[test]
fn schemas_that_take_turns_are_read_once_each() {
    let eight = [DOCUMENT, PATH, ID_URL, ID, "43", "44", "45", "46"];
    for schemas in [&[ID, "43"][..], &[DOCUMENT, PATH, ID_URL, ID], &eight] {
        assert_eq!(judging_any_number(Compression::None, Value::Avro, schemas), 0, "{schemas:?}");
    }
}

#[test]
fn where_only_metadata_is_asked_for_nothing_is_allocated_either() {
    let judge = workloads::judge(&[]);
    let rule = RuleSettings { check: Check::Metadata, ..RuleSettings::default() };
    let policy = TopicPolicy::new(&rule, &schemaward::validate::metadata::HeaderNames::default());
    let record_set = workloads::record_set(Compression::None, Value::Avro, &[DOCUMENT], 1_000);
    assert_eq!(judging(&judge, &policy, &mut Workspace::default(), &record_set), 0);
}

#[test]
fn tombstones_allocate_nothing() {
    for codec in CODECS {
        let count = judging_any_number(codec, Value::Tombstone, &[ID]);
        assert_eq!(count, 0, "{codec:?}");
    }
}

/// Parses, judges and plans a request as a connection does.
fn plan(judge: &Judge, policy: &TopicPolicy, workspace: &mut Workspace, frame: &Frame) -> Plan {
    let resolved = Resolved::new();
    let request = ProduceRequest::parse(frame).unwrap();
    let mut planner = Planner::new(&request);
    for (topic, produced) in request.topics.iter().enumerate() {
        for (partition, data) in produced.partitions.iter().enumerate() {
            let record_set = data.record_set.unwrap();
            let walked = judge.walk(record_set, policy, &resolved, workspace, &mut Unlimited);
            planner.judged(At { topic, partition }, policy, &walked.unwrap());
        }
    }
    planner.finish(frame.bytes())
}

/// What a request of so many topics, partitions and records allocates from its frame to what goes to the broker.
fn planning(topics: i32, partitions: i32, records: usize) -> u64 {
    let judge = workloads::judge(&[ID]);
    let (policy, mut workspace) = (workloads::policy(), Workspace::default());
    let record_set = workloads::record_set(Compression::None, Value::Avro, &[ID], records);
    let frame = workloads::produce(12, topics, partitions, &record_set);
    least(|| {
        let plan = plan(&judge, &policy, &mut workspace, &frame);
        assert!(plan.shape.is_none());
        let [forwarded] = &plan.cleared.into_inner()[..] else { panic!("in pieces") };
        assert_eq!(forwarded.as_ptr_range(), frame.bytes().as_ptr_range(), "copied");
    })
}

#[test]
fn a_request_allocates_for_its_topics_and_partitions_and_is_never_copied() {
    for (topics, partitions, expected) in [(1, 1, 5), (1, 4, 5), (4, 4, 11), (10, 10, 45)] {
        let [one, many] = [1, 200].map(|records| planning(topics, partitions, records));
        assert_eq!(one, many, "{topics} topics, {partitions} partitions");
        assert_eq!(one, expected, "{topics} topics, {partitions} partitions");
    }
}

/// A connection with its client and its broker, all on one thread and without sockets.
struct Proxied {
    runtime: Runtime,
    client: DuplexStream,
    request: Frame,
    answer: Frame,
    buffer: Vec<u8>,
    _running: watch::Sender<bool>,
}

impl Proxied {
    fn new(version: i16, records: usize) -> Self {
        let (running, gateway) = workloads::gateway(&[ID]);
        let record_set = workloads::record_set(Compression::None, Value::Avro, &[ID], records);
        let request = workloads::produce(version, 1, 1, &record_set);
        let answer = workloads::produced(version, 1, 1);
        let (client, accepted) = tokio::io::duplex(1 << 20);
        let (dialled, broker) = tokio::io::duplex(1 << 20);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let size = request.bytes().len();
        runtime.spawn(answer_always(broker, size, answer.clone()));
        let (client_side, broker_side) = (tokio::io::split(accepted), tokio::io::split(dialled));
        let connection =
            connection::serve(gateway, workloads::peer(), client_side, broker_side, None);
        runtime.spawn(async move { connection.await.unwrap() });
        let buffer = vec![0; answer.bytes().len()];
        Self { runtime, client, request, answer, buffer, _running: running }
    }

    /// Sends so many requests one after the other, and reads their answers.
    fn exchange(&mut self, times: u64) {
        let Self { runtime, client, request, answer, buffer, .. } = self;
        runtime.block_on(async {
            for _ in 0..times {
                client.write_all(request.bytes()).await.unwrap();
                client.read_exact(buffer).await.unwrap();
                assert_eq!(buffer, answer.bytes());
            }
        });
    }
}

/// A broker that answers every `size` bytes with the same.
async fn answer_always(mut io: DuplexStream, size: usize, answer: Frame) {
    let mut request = vec![0; size];
    while io.read_exact(&mut request).await.is_ok() {
        io.write_all(answer.bytes()).await.unwrap();
    }
}

#[test]
fn a_produce_request_costs_a_connection_a_fixed_number_of_allocations() {
    // One of them keeps what judging takes apart from the task, so that an idle connection does not hold it.
    // v9 answers stream through, those of v12 are held whole and looked through for addresses.
    for (version, records, expected) in [(9, 1, 6), (9, 1_000, 10), (12, 1, 6), (12, 1_000, 10)] {
        let mut proxied = Proxied::new(version, records);
        proxied.exchange(REQUESTS);
        let count = least(|| proxied.exchange(REQUESTS));
        // Buffers that grow now and then are less than one for each request.
        let each = (count + REQUESTS / 2) / REQUESTS;
        assert_eq!(each, expected, "v{version}, {records} records: {count}");
    }
}
