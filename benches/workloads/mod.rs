//! What producers send, as bytes, and a judge that knows its schemas already: shared by the benchmarks, the instruction
//! counts and the allocation budget.

#[path = "../avro_shapes/mod.rs"]
pub(crate) mod shapes;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use schemaward::limits::{MIB, RecordLimits, SchemaLimits, WireLimits};
use schemaward::metrics::Metrics;
use schemaward::proxy::{
    address_map::AddressMap,
    budget::MemoryBudget,
    cluster_view::ClusterView,
    end_log::EndLog,
    gateway::Gateway,
    in_force::{Bounds, Judging},
    peer::Peer,
    quarantine::DeadLetters,
    sequence_guard::{Identity, SequenceGuard},
    settings::{ClientLogins, ListenSettings, QuarantineSettings, TimeSettings},
    topic_ids::TopicIds,
};
use schemaward::record::{Batch, Scratch, Unlimited};
use schemaward::rejection_log::RejectionLog;
use schemaward::schema::{
    Documents, Fetched, Lookup, References, RegistrySettings, Schema, SchemaCache, SchemaFormat,
    SchemaRef, SchemaSource,
};
use schemaward::validate::{
    judge::Judge,
    metadata::{Fact, HeaderNames, Metadata, NameTable, OWN, Side, What},
    policy::{Check, Policy, RuleSettings, TopicPolicy},
};
use schemaward::wire::{Frame, frame::FrameBuilder};
use std::{hint::black_box, io::Write as _, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Every codec that there is.
pub(crate) const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// The registry that bare ids belong to.
const REGISTRY: &str = "https://my-schema-server";

/// The value of a record and how it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// An event of about 100 bytes in Avro's binary encoding.
    Avro,
    /// The same event in Avro's JSON encoding.
    AvroJson,
    /// Null: no metadata either.
    Tombstone,
}

/// A batch of `count` records, each with four headers; the schema references take turns.
pub(crate) fn record_set(
    codec: Compression,
    value: Value,
    schemas: &[&'static str],
    count: usize,
) -> Bytes {
    let event = shapes::all().remove(0);
    let bytes = match value {
        Value::Avro => Some(Bytes::from(event.binary)),
        Value::AvroJson => Some(Bytes::from(event.json)),
        Value::Tombstone => None,
    };
    let schemas = schemas.iter().cycle();
    let records = (0..).zip(schemas).take(count).map(|(index, schema)| {
        let headers = headers(value, schema);
        record(index, bytes.clone(), headers)
    });
    encode(codec, records.collect())
}

/// The same, uncompressed, where every record has a trace of its own and thus no headers in common with another.
pub(crate) fn traced_record_set(value: Value, schema: &'static str, count: usize) -> Bytes {
    let event = shapes::all().remove(0);
    let records = (0..).take(count).map(|index| {
        let mut headers = headers(value, schema);
        let trace = format!("4bf92f3577b34da6a3ce9{index:011x}");
        headers.insert(StrBytes::from_static_str("trace-id"), Some(Bytes::from(trace)));
        record(index, Some(Bytes::from(event.binary.clone())), headers)
    });
    encode(Compression::None, records.collect())
}

/// A batch of `count` records with the same value in Avro's binary encoding and no headers but those that schemaward reads;
/// the schema references take turns.
pub(crate) fn record_set_of(
    codec: Compression,
    datum: &[u8],
    references: &[String],
    count: usize,
) -> Bytes {
    let header = |key, value: &str| {
        (StrBytes::from_static_str(key), Some(Bytes::copy_from_slice(value.as_bytes())))
    };
    let records = (0..).zip(references.iter().cycle()).take(count).map(|(index, reference)| {
        let headers = [header("content-type", "avro"), header("schema-id", reference)];
        record(index, Some(Bytes::copy_from_slice(datum)), Headers::from_iter(headers))
    });
    encode(codec, records.collect())
}

fn encode(codec: Compression, records: Vec<Record>) -> Bytes {
    let options = RecordEncodeOptions { version: 2, compression: codec };
    let mut out = BytesMut::new();
    let compressor = |content: &mut BytesMut, out: &mut BytesMut, codec| {
        out.extend_from_slice(&compress(content, codec));
        Ok(())
    };
    RecordBatchEncoder::encode_with_custom_compression(
        &mut out,
        &records,
        &options,
        Some(compressor),
    )
    .unwrap();
    out.freeze()
}

type Headers = IndexMap<StrBytes, Option<Bytes>>;

fn headers(value: Value, schema: &'static str) -> Headers {
    let content_type: &[u8] = match value {
        Value::Avro => b"avro",
        Value::AvroJson => b"avro-json",
        Value::Tombstone => return Headers::default(),
    };
    let header = |key, value| (StrBytes::from_static_str(key), Some(Bytes::from_static(value)));
    Headers::from_iter([
        header("content-type", content_type),
        header("schema-id", schema.as_bytes()),
        header("trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736"),
        header("source", b"accounts"),
    ])
}

fn record(index: i32, value: Option<Bytes>, headers: Headers) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(index),
        sequence: index,
        timestamp: 1_700_000_000_000 + i64::from(index),
        key: Some(Bytes::from_static(b"account-0001")),
        value,
        headers,
    }
}

fn compress(content: &[u8], codec: Compression) -> Vec<u8> {
    match codec {
        Compression::None => content.to_vec(),
        Compression::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(content).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(content, 1).unwrap(),
    }
}

/// A Produce request of `topics` topics with `partitions` partitions each, all with the same batch.
pub(crate) fn produce(version: i16, topics: i32, partitions: i32, record_set: &Bytes) -> Frame {
    let partition = |index| {
        let data = PartitionProduceData::default().with_index(index);
        data.with_records(Some(record_set.clone()))
    };
    let topic = |index| {
        let topic = TopicProduceData::default().with_name(topic_name(index));
        topic.with_partition_data((0..partitions).map(partition).collect())
    };
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data((0..topics).map(topic).collect());
    let header = RequestHeader::default()
        .with_request_api_key(0)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(StrBytes::from_static_str("accounts-service")));
    let mut frame = FrameBuilder::with_capacity(record_set.len());
    header.encode(frame.payload(), ProduceRequest::header_version(version)).unwrap();
    request.encode(frame.payload(), version).unwrap();
    frame.finish().unwrap()
}

/// What a broker answers to that.
pub(crate) fn produced(version: i16, topics: i32, partitions: i32) -> Frame {
    let partition = |index| PartitionProduceResponse::default().with_index(index);
    let topic = |index| {
        let topic = TopicProduceResponse::default().with_name(topic_name(index));
        topic.with_partition_responses((0..partitions).map(partition).collect())
    };
    let response = ProduceResponse::default().with_responses((0..topics).map(topic).collect());
    let header = ResponseHeader::default().with_correlation_id(CORRELATION_ID);
    let mut frame = FrameBuilder::with_capacity(64);
    header.encode(frame.payload(), ProduceResponse::header_version(version)).unwrap();
    response.encode(frame.payload(), version).unwrap();
    frame.finish().unwrap()
}

const CORRELATION_ID: i32 = 7;

fn topic_name(index: i32) -> TopicName {
    TopicName(StrBytes::from_string(format!("accounts-{index}")))
}

/// A judge with default settings that has every schema of `schemas` at hand.
pub(crate) fn judge(schemas: &[&str]) -> Judge {
    judge_of(&shapes::all().remove(0).schema, schemas)
}

/// The same where all of `schemas` lead to the Avro schema `text`.
pub(crate) fn judge_of(text: &str, schemas: &[impl AsRef<str>]) -> Judge {
    let url = Some(REGISTRY.parse().unwrap());
    let references = References::new(&RegistrySettings { url, ..RegistrySettings::default() });
    let cache = SchemaCache::new(
        Arc::new(OneSchema::new(text.to_owned())),
        Default::default(),
        Arc::new(()),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for header in schemas {
        let reference = references.parse(header.as_ref().as_bytes()).unwrap();
        runtime.block_on(cache.resolve(&reference)).unwrap();
    }
    Judge::new(references, cache, RecordLimits::default())
}

/// All that connections share, with default settings and a judge that has every schema of `schemas` at hand. The sender
/// keeps it from draining.
pub(crate) fn gateway(schemas: &[&str]) -> (watch::Sender<bool>, Arc<Gateway>) {
    gateway_of(judge(schemas))
}

/// The same with this judge.
pub(crate) fn gateway_of(judge: Judge) -> (watch::Sender<bool>, Arc<Gateway>) {
    let (running, draining) = watch::channel(false);
    let metrics = Metrics::new(100);
    let times = TimeSettings {
        handshake_timeout: Duration::from_secs(10),
        lookup_deadline: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(660),
        request_timeout: Duration::from_secs(60),
        response_timeout: Duration::from_secs(1_800),
        drain_grace: Duration::from_secs(30),
    };
    let gateway = Gateway {
        judging: ArcSwap::from_pointee(Judging {
            judge,
            policy: Policy::new(&[], &RuleSettings::default(), &HeaderNames::default()),
        }),
        bounds: Arc::new(ArcSwap::from_pointee(Bounds { limits: WireLimits::default(), times })),
        cluster: ClusterView {
            addresses: Arc::new(AddressMap::new(&ListenSettings::default())),
            topics: Arc::new(TopicIds::default()),
            logins: ClientLogins::Pass,
        },
        guard: Arc::new(SequenceGuard::new(10_000, Duration::from_secs(60))),
        budget: MemoryBudget::new(64 * MIB, Duration::from_secs(30)),
        dead_letters: Arc::new(DeadLetters::new(QuarantineSettings::default())),
        metrics,
        rejections: RejectionLog::new(),
        ends: EndLog::default(),
        draining,
    };
    (running, Arc::new(gateway))
}

/// A client on the same machine.
pub(crate) fn peer() -> Arc<Peer> {
    let address = SocketAddr::from(([127, 0, 0, 1], 40_000));
    Arc::new(Peer::new(address, Identity::peer("bootstrap", address.ip())))
}

/// Walks every record of `record_set` and finds its metadata; the checksum is not compared.
pub(crate) fn walk(record_set: &[u8], names: &NameTable, scratch: &mut Scratch) -> usize {
    let mut allowance = Unlimited;
    let batch = Batch::parse(record_set).unwrap();
    let mut reader = batch.records(scratch, &RecordLimits::default(), &mut allowance).unwrap();
    let mut named = 0;
    loop {
        let mut metadata = Metadata::<'_, OWN>::default();
        let next = reader.next(|key, value| metadata.visit(names, key, value)).unwrap();
        let Some(record) = next else { return named };
        let fact = |what| metadata.facts().get(Side::Value, what);
        black_box((record, fact(What::ContentType)));
        named += usize::from(matches!(fact(What::SchemaId), Fact::Value(_)));
    }
}

/// What the default rule says.
pub(crate) fn policy() -> TopicPolicy {
    TopicPolicy::new(&RuleSettings::default(), &HeaderNames::default())
}

/// The same where a rule wants no more than metadata.
pub(crate) fn policy_of_metadata() -> TopicPolicy {
    let rule = RuleSettings { check: Check::Metadata, ..RuleSettings::default() };
    TopicPolicy::new(&rule, &HeaderNames::default())
}

/// Walks every record of `record_set` and looks at none of its headers, as where they are known.
pub(crate) fn bare_walk(record_set: &[u8], scratch: &mut Scratch) -> usize {
    let mut allowance = Unlimited;
    let batch = Batch::parse(record_set).unwrap();
    let mut reader = batch.records(scratch, &RecordLimits::default(), &mut allowance).unwrap();
    let mut count = 0;
    while let Some(record) = reader.next_unless_known(|_| true, |_, _| {}).unwrap() {
        black_box(record);
        count += 1;
    }
    count
}

/// Knows one schema under every reference.
struct OneSchema(Arc<Schema>);

impl OneSchema {
    fn new(text: String) -> Self {
        let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
        Self(Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap()))
    }
}

impl SchemaSource for OneSchema {
    fn find<'a>(&'a self, _reference: &'a SchemaRef, _previous: Option<&'a Fetched>) -> Lookup<'a> {
        Box::pin(async { Ok(Arc::new(Fetched::immutable(Arc::clone(&self.0)))) })
    }
}
