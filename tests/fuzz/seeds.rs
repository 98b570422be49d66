//! Where fuzzing begins: valid requests, answers, batches, data, schemas and files, of every version and codec.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeClusterResponse,
        FetchRequest, FetchResponse, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
        ProduceResponse, ResponseHeader, ShareAcknowledgeResponse, ShareFetchResponse, TopicName,
        api_versions_response::ApiVersion,
        describe_cluster_response::DescribeClusterBroker,
        fetch_response::{self, FetchableTopicResponse, PartitionData},
        find_coordinator_response::Coordinator,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        produce_response::{self, PartitionProduceResponse, TopicProduceResponse},
        share_acknowledge_response, share_fetch_response,
    },
    protocol::{Encodable, HeaderVersion, StrBytes},
};

use crate::{
    bodies::schemas::DOCUMENTS,
    support::{
        batch_builder::{Codec, TestBatch, TestRecord},
        client::{Produce, frame},
    },
};

/// The seeds of a target.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "avro_datum" => data(),
        "avro_json" => values(),
        "avro_schema" => documents(),
        "configuration" => configurations(),
        "decompression" => streams(),
        "frame_prefix" => requests(),
        "json_schema" => json_schemas(),
        "produce_request" => produce_requests(),
        "record_batch" => record_batches(),
        "response_rewrite" => answers(),
        "schema_reference" => references(),
        _ => panic!("no target is called {target}"),
    }
}

fn batches() -> [TestBatch; 4] {
    let event = TestRecord::avro("42", b"\x02a".to_vec());
    let rich = event.clone().key("k").null_header("").header("trace", [0xff; 20]);
    let many = (0..40).map(|index| TestRecord::avro("1", format!("value {index}")));
    [
        TestBatch::of([event]),
        TestBatch::of([rich, TestRecord::tombstone("k")]).sequenced(7, 1, 3),
        TestBatch::of(many),
        TestBatch::of([TestRecord::bare(vec![b'a'; 5_000])]),
    ]
}

fn record_batches() -> Vec<Vec<u8>> {
    let sound = batches().into_iter().flat_map(|batch| {
        Codec::ALL.map(|codec| [vec![1], batch.clone().codec(codec).encode()].concat())
    });
    sound.collect()
}

fn streams() -> Vec<Vec<u8>> {
    let codecs = [(0, Codec::Gzip), (1, Codec::SnappyRaw), (1, Codec::SnappyXerial)];
    let codecs = codecs.into_iter().chain([(2, Codec::Lz4), (3, Codec::Zstd)]);
    let stream = |(choice, codec): (u8, Codec), batch: &TestBatch| {
        let count = u16::try_from(batch.records.len()).unwrap().to_be_bytes();
        // Limits of 64 KiB, and plenty to be granted.
        [&[choice | 0xe0][..], &count, &codec.compress(&batch.plain_body())].concat()
    };
    codecs.flat_map(|codec| batches().map(|batch| stream(codec, &batch))).collect()
}

fn produce(version: i16) -> Vec<Bytes> {
    let mut batches = batches().into_iter();
    let mut batch = || Bytes::from(batches.next().unwrap().encode());
    let one = Produce::to("users", 0, batch());
    let mut many =
        Produce::to("users", 0, batch()).and("users", 1, batch()).and("orders", 0, batch());
    many.transactional_id = Some("tx".to_owned());
    let empty = Produce { acks: 0, transactional_id: None, topics: Vec::new() };
    [one, many, empty].map(|produce| frame(5, version, &produce.request(version))).to_vec()
}

fn produce_requests() -> Vec<Vec<u8>> {
    (3..=13).flat_map(produce).map(|frame| frame[4..].to_vec()).collect()
}

fn requests() -> Vec<Vec<u8>> {
    let mut frames = vec![frame(9, 4, &ApiVersionsRequest::default())];
    frames.extend((0..=3).map(|version| frame(1, version, &ApiVersionsRequest::default())));
    frames.extend((4..=13).map(|version| frame(2, version, &MetadataRequest::default())));
    frames.extend((4..=18).map(|version| frame(3, version, &FetchRequest::default())));
    frames.extend((3..=13).map(|version| produce(version).remove(0)));
    let all = [&[3][..], &frames.concat()].concat();
    frames.iter().map(|frame| [&[9][..], frame].concat()).chain([all]).collect()
}

/// An answer behind the three bytes that say how to take it.
fn answer<T: Encodable + HeaderVersion>(kind: u8, version: i16, answer: &T) -> Vec<u8> {
    let mut out = BytesMut::new();
    ResponseHeader::default().encode(&mut out, T::header_version(version)).unwrap();
    answer.encode(&mut out, version).unwrap();
    [&[kind, u8::try_from(version).unwrap(), 6][..], &out[4..]].concat()
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

const HOST: &str = "kafka-0.kafka.svc";

fn answers() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = (3..=13).map(|version| answer(0, version, &stored(version))).collect();
    seeds.extend((0..=13).map(|version| answer(1, version, &metadata(version))));
    seeds.extend((0..=6).map(|version| answer(2, version, &coordinator(version))));
    seeds.extend((0..=4).map(|version| answer(3, version, &api_versions())));
    seeds.extend((0..=2).map(|version| answer(4, version, &cluster())));
    seeds.push(answer(5, 1, &acknowledged()));
    seeds.extend((16..=18).map(|version| answer(6, version, &fetched())));
    seeds.push(answer(7, 1, &share_fetched()));
    seeds.extend((3..=13).map(|version| answer(8, version, &forwarded(version))));
    seeds
}

fn stored(version: i16) -> ProduceResponse {
    let endpoint = produce_response::NodeEndpoint::default()
        .with_node_id(BrokerId(2))
        .with_host(text(HOST))
        .with_port(9092);
    let endpoints = if version >= 10 { vec![endpoint] } else { Vec::new() };
    forwarded(version).with_node_endpoints(endpoints)
}

/// The answer to the one partition that was forwarded.
fn forwarded(version: i16) -> ProduceResponse {
    let partition = PartitionProduceResponse::default().with_index(1).with_base_offset(77);
    let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
    let topic = match version {
        13.. => topic.with_topic_id("01".repeat(16).parse().unwrap()),
        _ => topic.with_name(TopicName(text("users"))),
    };
    ProduceResponse::default().with_responses(vec![topic])
}

fn metadata(version: i16) -> MetadataResponse {
    let broker = |node, host| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(node))
            .with_host(text(host))
            .with_port(9092)
    };
    let partition = MetadataResponsePartition::default()
        .with_leader_id(BrokerId(1))
        .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
        .with_isr_nodes(vec![BrokerId(1)]);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text("users"))))
        .with_partitions(vec![partition]);
    let topic = match version {
        10.. => topic.with_topic_id("01".repeat(16).parse().unwrap()),
        _ => topic,
    };
    MetadataResponse::default()
        .with_brokers(vec![broker(1, HOST), broker(2, "kafka-2"), broker(77, "elsewhere")])
        .with_topics(vec![topic])
}

fn coordinator(version: i16) -> FindCoordinatorResponse {
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_node_id(BrokerId(3))
            .with_host(text(HOST))
            .with_port(9092);
    }
    let coordinator = |key, node| {
        Coordinator::default()
            .with_key(text(key))
            .with_node_id(BrokerId(node))
            .with_host(text(HOST))
            .with_port(9092)
    };
    let coordinators = vec![coordinator("group", 3), coordinator("nobody's", -1)];
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

fn api_versions() -> ApiVersionsResponse {
    let range = |api_key, max_version| {
        ApiVersion::default().with_api_key(api_key).with_max_version(max_version)
    };
    let keys = [ApiKey::Produce, ApiKey::Fetch, ApiKey::Metadata, ApiKey::ApiVersions];
    let ranges = keys.into_iter().map(|key| range(key as i16, 19)).chain([range(1_000, 3)]);
    ApiVersionsResponse::default().with_api_keys(ranges.collect())
}

fn cluster() -> DescribeClusterResponse {
    let broker = |node| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(node))
            .with_host(text(HOST))
            .with_port(9092)
    };
    DescribeClusterResponse::default().with_brokers(vec![broker(1), broker(55)])
}

fn acknowledged() -> ShareAcknowledgeResponse {
    let endpoint = share_acknowledge_response::NodeEndpoint::default()
        .with_node_id(BrokerId(1))
        .with_host(text(HOST))
        .with_port(9092);
    ShareAcknowledgeResponse::default().with_node_endpoints(vec![endpoint])
}

fn fetched() -> FetchResponse {
    let endpoint = fetch_response::NodeEndpoint::default()
        .with_node_id(BrokerId(1))
        .with_host(text("a-long-host-name-of-a-broker.kafka.svc.cluster.local"))
        .with_port(9092);
    let batch = batches()[0].encode();
    let partition = PartitionData::default().with_records(Some(batch.into()));
    let topic = FetchableTopicResponse::default()
        .with_topic_id("01".repeat(16).parse().unwrap())
        .with_partitions(vec![partition]);
    FetchResponse::default().with_responses(vec![topic]).with_node_endpoints(vec![endpoint])
}

fn share_fetched() -> ShareFetchResponse {
    let endpoint = share_fetch_response::NodeEndpoint::default()
        .with_node_id(BrokerId(1))
        .with_host(text("a-long-host-name-of-a-broker.kafka.svc.cluster.local"))
        .with_port(9092);
    let batch = batches()[0].encode();
    let partition = share_fetch_response::PartitionData::default().with_records(Some(batch.into()));
    let topic = share_fetch_response::ShareFetchableTopicResponse::default()
        .with_topic_id("01".repeat(16).parse().unwrap())
        .with_partitions(vec![partition]);
    ShareFetchResponse::default().with_responses(vec![topic]).with_node_endpoints(vec![endpoint])
}

fn references() -> Vec<Vec<u8>> {
    let references = [
        "42",
        "0",
        "2147483647",
        "users/schema.avsc",
        "/users/schema.avsc?version=1#top",
        "schemas/ids/7/schema",
        "https://my-schema-server/users/schema.avsc",
        "HTTPS://My-Schema-Server:443/a%20b?c=%2e%2e#d",
        "https://my-schema-server/v7/schemas/ids/042",
        "http://[::1]:9000/gr\u{fc}n.avsc",
        "http://registry:8081/api/subjects/a~b/versions/1",
    ];
    references.map(|reference| reference.as_bytes().to_vec()).to_vec()
}

fn documents() -> Vec<Vec<u8>> {
    let mut documents: Vec<_> = DOCUMENTS.map(|document| document.as_bytes().to_vec()).to_vec();
    let more = [
        r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
        r#"{"type":"string","logicalType":"uuid","doc":"a","unknown":[{"x":1e9}]}"#,
        r#"{"type":"record","name":"n.R","aliases":["Old"],"fields":[{"name":"f","aliases":["g"],
            "type":["int","null"],"default":7,"order":"ignore","doc":"d"}]}"#,
        r#"{"type":"error","name":"E","fields":[]}"#,
        "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":\"x.B\"}]}\0\
         {\"type\":\"enum\",\"name\":\"x.B\",\"symbols\":[\"S\"],\"default\":\"S\"}",
        "\"C\"\0{\"type\":\"fixed\",\"name\":\"D\",\"size\":3}\0\
         {\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"d\",\"type\":[\"D\",\"null\"]}]}",
    ];
    documents.extend(more.map(|document| document.as_bytes().to_vec()));
    documents
}

/// A value, a schema, and what it refers to.
fn json_schemas() -> Vec<Vec<u8>> {
    let table: [&[&str]; 12] = [
        &[
            r#"{"id":"a","n":7,"tags":["x","y"],"kind":"A"}"#,
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["id"],
                "properties":{"id":{"type":"string","minLength":1,"pattern":"^[a-z]+$"},
                "n":{"type":"integer","minimum":0,"maximum":9,"multipleOf":7},
                "tags":{"type":"array","items":{"$ref":"#/definitions/t"},"uniqueItems":true,"maxItems":3},
                "kind":{"enum":["A","B"]}},"additionalProperties":false,
                "definitions":{"t":{"type":["string","null"],"format":"date"}}}"##,
        ],
        &[
            r#"{"c":[{"c":[]}]}"#,
            r##"{"properties":{"c":{"items":{"$ref":"#"}}},"type":"object"}"##,
        ],
        &["[null,1]", r#"{"prefixItems":[{"type":"null"}],"items":{"const":1},"contains":true}"#],
        &[
            "5",
            r#"{"anyOf":[{"type":"null"},{"oneOf":[{"maximum":9},{"not":{"type":"number"}}]}]}"#,
        ],
        &[r#"{"a":{}}"#, r##"{"$dynamicAnchor":"n","additionalProperties":{"$dynamicRef":"#n"}}"##],
        &[
            r#"{"a":{}}"#,
            r##"{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,
                "additionalProperties":{"$recursiveRef":"#"}}"##,
        ],
        &[
            r#"{"a":1,"b":2}"#,
            r##"{"allOf":[{"properties":{"a":true}},{"$ref":"#/$defs/b"}],"unevaluatedProperties":false,
                "$defs":{"b":{"if":{"required":["b"]},"then":{"properties":{"b":{"maximum":2}}},"else":false}}}"##,
        ],
        &[
            "null",
            r##"{"$id":"https://e/x","$ref":"r0#/$defs/a"}"##,
            r#"{"$defs":{"a":{"$ref":"r1"}}}"#,
            "true",
        ],
        &[
            r#"{"ab":"\u00fc"}"#,
            r#"{"patternProperties":{"^a":{"maxLength":1}},"propertyNames":{"minLength":2}}"#,
        ],
        &[
            r#"{"a":1,"b":1}"#,
            r#"{"dependentRequired":{"a":["b"]},"dependentSchemas":{"b":{"minProperties":2}}}"#,
        ],
        &[
            "1.5",
            r#"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}"#,
        ],
        &[
            "[1,[2]]",
            r#"{"unevaluatedItems":{"type":"array"},"prefixItems":[{}],"$anchor":"x","minItems":1}"#,
        ],
    ];
    table.map(|texts| texts.join("\0").into_bytes()).to_vec()
}

/// Data of `DOCUMENTS`, by their place there.
fn data() -> Vec<Vec<u8>> {
    let event = b"\x02a\x80\x01\x05\x02\x02\x48\0\x02x\x02\x02t\0\x02\x02k\x02v\0\x01\x04\xff\0\
        \0\0\x80\x3f\0\0\0\0\0\0\xf0\x3fhash\x02\x04";
    let table: [(u8, &[u8]); 23] = [
        (0, event),
        (1, b"\x02\x02\x04\x02\x06\0"),
        (2, b"\x04\0\x02a\0\x02b\0\x02c"),
        (2, b"\x01\x06\0\x02a\0\x02b"),
        (3, b"\x04\x02a\0\x02b\x04\x02\x02c\x02\x01\0\0"),
        (4, b"\x80\x89\x7a\0"),
        (4, b"\x02\x01\0\0"),
        (5, b"\x04\x14\0\x0a\0\0"),
        (6, b"\x02\x02a\x02\x02b\0\0"),
        (7, b"\0"),
        (7, b"\x04\xfe\xff\xff\xff\x0f"),
        (7, b"\x06\x01"),
        (7, b"\x0e\x04\xc3\xbc"),
        (7, b"\x10\x03\x04\x02\x04\0"),
        (7, b"\x12\x02\x02a\x04xy\0"),
        (7, b"\x18\x02"),
        (8, b"\x02aaaaaaaabbbbccc\x01\x1eaaaaaaaabbbbccc\0"),
        (9, b"\x01\x02\x01\x04\x01\0\0\0"),
        (9, b"\0\0\0\x04\x04\0"),
        (10, b"\x06\0\x02\x04\0\x02\x02a\0\0\0"),
        (11, b"\x06abc"),
        (12, b"\0\0\0\0\0\0\xf8\x7f"),
        (13, b"\x02\x80\x01\x02\xfe\x01"),
    ];
    table.map(|(schema, datum)| [&[schema][..], datum].concat()).to_vec()
}

fn values() -> Vec<Vec<u8>> {
    let event = r#"{"id":"a","at":1,"n":-2,"kind":"A","age":{"int":3},"mail":null,"tags":["t"],
        "attributes":{"k":"v"},"active":true,"raw":"\u00ff","f":1.5,"d":-1e300,"hash":"abcd",
        "again":{"a.b.Kind":"B"}}"#;
    let table: [(u8, &str); 18] = [
        (0, event),
        (1, r#"{"v":1,"next":{"List":{"v":2,"next":null}}}"#),
        (2, r#"{"children":[{"children":[],"v":"\ud83d\ude00"}],"v":"gr\u00fcn"}"#),
        (3, r#"{"by_name":{"a":null,"b":{"boolean":false},"c":{"Forest":{"by_name":{}}}}}"#),
        (4, "[null,null]"),
        (5, "[[{},{}],[]]"),
        (6, r#"{"a":{"b":null},"c":{}}"#),
        (7, "null"),
        (7, r#"{"int":-2147483648}"#),
        (7, r#"{"array":[1,2]}"#),
        (7, r#"{"map":{"a":"\u0000"}}"#),
        (7, r#"{"R":{"x":0}}"#),
        (8, r#"[{"x":1,"y":2.5,"tag":"abc"}]"#),
        (9, r#"{"a":true,"b":null,"c":[],"d":{"e":null,"n":null}}"#),
        (10, r#" [ null , { "array" : [ { "string" : "" } ] } ] "#),
        (11, r#""\"\\\/\b\f\n\r\t""#),
        (12, "-0.0E+2"),
        (13, r#"{"day":1,"at":9223372036854775807,"time":{"long":0}}"#),
    ];
    table.map(|(schema, value)| [&[schema][..], value.as_bytes()].concat()).to_vec()
}

fn configurations() -> Vec<Vec<u8>> {
    let whole = include_str!("../../config/schemaward.yaml");
    let least = "upstream: {bootstrap: [kafka:9092]}\nregistry: {url: 'http://registry:8081'}\n";
    let with = |more: &str| format!("{least}{more}");
    let configurations = [
        whole.to_owned(),
        least.to_owned(),
        with(
            "rules:\n- topics: ['orders.*', users]\n  mode: observe\n- topics: [x]\n  mode: off\n",
        ),
        with(
            "rules: [{topics: ['*'], check: metadata, tombstones: reject}]\ndefault_rule: {mode: off}\n",
        ),
        with("limits: {max_record_bytes: 1MiB, lookup_deadline: 1500ms}\nlog: {level: debug}\n"),
        with("metadata: &m {schema_id: x}\n"),
        with("\0SCHEMAWARD_LISTEN__BOOTSTRAP=127.0.0.1:1\0SCHEMAWARD_RULES=[{topics: [a]}]"),
    ];
    configurations.map(String::into_bytes).to_vec()
}
