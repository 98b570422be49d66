//! Every reason of the contract, provoked through a socket: the code, the record, the message, the metric, and that the
//! broker never saw the batch.

mod support;

use kafka_protocol::messages::{MetadataRequest, metadata_request::MetadataRequestTopic};
use kafka_protocol::protocol::StrBytes;
use support::{
    batch_builder::{Codec, TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, only},
    proxy::Proxy,
    registry::{Mood, Registry},
    sidecar::USER,
    stage::Stage as World,
};

/// `{"name": "Ada", "age": 36}` in binary.
const ADA: &[u8] = b"\x06Ada\x48";

impl World {
    /// Produces one batch to `topic` and gives code, partition message, and record errors.
    async fn produce(&mut self, topic: &str, batch: &[u8]) -> Answer {
        self.produce_in(9, topic, batch).await
    }

    async fn produce_in(&mut self, version: i16, topic: &str, batch: &[u8]) -> Answer {
        let request = Produce::to(topic, 0, batch.to_vec());
        let response = self.client.produce(version, &request).await;
        let partition = only(&response);
        let errors = partition.record_errors.iter().map(|error| {
            let message = error.batch_index_error_message.as_ref().map(ToString::to_string);
            (error.batch_index, message.unwrap_or_default())
        });
        if partition.error_code != 0 {
            assert_eq!(partition.base_offset, -1);
            assert_eq!(partition.log_append_time_ms, -1);
            assert_eq!(partition.log_start_offset, -1);
        }
        Answer {
            code: partition.error_code,
            message: partition.error_message.as_ref().map(ToString::to_string).unwrap_or_default(),
            errors: errors.collect(),
        }
    }

    fn rejected(&self, topic: &str, reason: &str) -> f64 {
        self.proxy.metric(&format!(
            "schemaward_records_total{{reason=\"{reason}\",topic=\"{topic}\",verdict=\"rejected\"}}"
        ))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: i16,
    message: String,
    errors: Vec<(i32, String)>,
}

fn good() -> TestRecord {
    TestRecord::avro("1", ADA)
}

#[tokio::test]
async fn a_valid_batch_reaches_the_broker_as_the_bytes_that_came() {
    let mut world = World::new("").await;
    for codec in Codec::ALL {
        let batch = TestBatch::of([good(), good()]).codec(codec).encode();
        let answer = world.produce("users", &batch).await;
        assert_eq!(answer.code, 0, "{codec:?} {answer:?}");
        let received = world.broker.received();
        let last = received.last().unwrap();
        assert_eq!(last.record_set.as_deref(), Some(&batch[..]), "{codec:?}");
    }
}

#[tokio::test]
async fn each_fault_of_a_record_has_its_reason_its_record_and_its_message() {
    let mut world = World::new("").await;
    let bare = || TestRecord::bare(ADA);
    let table: Vec<(&str, TestRecord, &str)> = vec![
        ("missing_content_type", bare().header("schema-id", "1"), "no content-type header"),
        (
            "unsupported_content_type",
            bare().header("content-type", "text/csv").header("schema-id", "1"),
            "content type \"text/csv\" is not understood",
        ),
        (
            "conflicting_metadata",
            good().header("schema-id", "2"),
            "the schema reference is given twice with different values",
        ),
        (
            "conflicting_metadata",
            bare().header("content-type", "protobuf").header("schema-id", "1"),
            "the content type is protobuf but the schema is an Avro one",
        ),
        ("missing_schema_id", bare().header("content-type", "avro"), "no schema-id header"),
        ("malformed_schema_id", TestRecord::avro("ftp://x/1", ADA), ""),
        (
            "schema_not_allowed",
            TestRecord::avro("http://elsewhere.example/a.avsc", ADA),
            "origin http://elsewhere.example is not allowed",
        ),
        ("schema_not_found", TestRecord::avro("404", ADA), ""),
        ("schema_invalid", TestRecord::avro("3", ADA), ""),
        ("payload_invalid", TestRecord::avro("1", b"\x06Ad"), ""),
        ("payload_trailing_bytes", TestRecord::avro("1", b"\x06Ada\x48\0"), ""),
    ];
    world.registry.id(3, r#"{"type":"recrod"}"#);
    for (index, (reason, record, detail)) in table.into_iter().enumerate() {
        let topic = format!("faults-{index}");
        let answer = world.produce(&topic, &TestBatch::of([good(), record, good()]).encode()).await;
        assert_eq!(answer.code, 87, "{reason}: {answer:?}");
        let [(batch_index, message)] = &answer.errors[..] else {
            panic!("{reason}: {answer:?}");
        };
        assert_eq!(*batch_index, 1, "{reason}");
        assert!(message.starts_with(&format!("{reason}: record 1: {detail}")), "{message}");
        assert_eq!(&answer.message, message);
        assert_eq!(world.rejected(&topic, reason), 1.0, "{reason}\n{}", world.proxy.metrics());
    }
    assert!(world.broker.received().is_empty(), "nothing of it reached the broker");
}

#[tokio::test]
async fn a_tombstone_needs_no_metadata_unless_the_rule_refuses_it() {
    let rules = "rules:\n  - {topics: [strict], tombstones: reject}\n";
    let mut world = World::new(rules).await;
    let batch = TestBatch::of([TestRecord::tombstone("k")]).encode();
    assert_eq!(world.produce("users", &batch).await.code, 0);
    let record = TestRecord::tombstone("k").header("content-type", "avro").header("schema-id", "1");
    let answer = world.produce("strict", &TestBatch::of([record]).encode()).await;
    assert_eq!(answer.code, 87);
    assert!(answer.message.starts_with("payload_missing: record 0: "), "{answer:?}");
    assert_eq!(world.rejected("strict", "payload_missing"), 1.0);
    let empty = TestBatch::of([TestRecord::avro("1", b"")]).encode();
    assert_eq!(world.produce("users", &empty).await.code, 87, "an empty value is no tombstone");
}

#[tokio::test]
async fn each_fault_of_a_batch_has_its_code() {
    let mut world =
        World::new("limits: {max_record_bytes: 4KiB, max_decompressed_bytes: 64KiB}\n").await;
    let batch = || TestBatch::of([good()]);
    let mut broken = batch();
    broken.break_checksum = true;
    let mut lying = batch();
    lying.declared_records = Some(2);
    let mut old = batch();
    old.magic = 1;
    let mut unknown_codec = batch();
    unknown_codec.attributes = 5;
    let large = TestBatch::of([TestRecord::avro("1", vec![0; 5_000])]);
    let bomb = TestBatch::of([TestRecord::bare(vec![0; 100_000])]).codec(Codec::Zstd);
    let two = [batch().encode(), batch().encode()].concat();
    let table: Vec<(&str, i16, Vec<u8>)> = vec![
        ("batch_corrupt", 2, broken.encode()),
        ("batch_corrupt", 87, lying.encode()),
        ("unsupported_format", 87, old.encode()),
        ("unsupported_format", 87, two),
        ("unsupported_format", 87, Vec::new()),
        ("unsupported_compression", 76, unknown_codec.encode()),
        ("batch_too_large", 10, large.encode()),
        ("batch_too_large", 10, bomb.encode()),
    ];
    for (index, (reason, code, batch)) in table.into_iter().enumerate() {
        let topic = format!("batches-{index}");
        let answer = world.produce(&topic, &batch).await;
        assert_eq!(answer.code, code, "{index} {reason}: {answer:?}");
        assert!(answer.message.starts_with(&format!("{reason}: ")), "{answer:?}");
        assert!(answer.errors.is_empty());
        assert_eq!(world.rejected(&topic, reason), 1.0, "{reason}");
    }
    assert!(world.broker.received().is_empty());
}

#[tokio::test]
async fn while_the_registry_is_down_the_producer_is_told_to_try_again() {
    let mut world = World::new("limits: {lookup_deadline: 200ms}\n").await;
    world.registry.mood(Mood::Status(503));
    let batch = TestBatch::of([good()]).encode();
    let answer = world.produce("users", &batch).await;
    assert_eq!(answer.code, 19, "{answer:?}");
    assert!(answer.message.starts_with("registry_unavailable: record 0: schema "), "{answer:?}");
    assert_eq!(world.rejected("users", "registry_unavailable"), 1.0);
    world.registry.mood(Mood::Well);
    while world.produce("users", &batch).await.code != 0 {}
    assert_eq!(world.broker.received().len(), 1);
}

#[tokio::test]
async fn one_certainly_bad_record_is_refused_without_waiting_for_the_others_schema() {
    let mut world = World::new("").await;
    world.registry.mood(Mood::Silent);
    let batch = TestBatch::of([TestRecord::avro("7", ADA), TestRecord::bare(ADA)]).encode();
    let answer = world.produce("users", &batch).await;
    assert_eq!(answer.code, 87);
    assert_eq!(answer.errors.len(), 1);
    assert_eq!(answer.errors[0].0, 1);
}

#[tokio::test]
async fn a_schema_that_came_is_enough_to_refuse_while_another_is_still_awaited() {
    let silent = Registry::start().await;
    silent.mood(Mood::Silent);
    let awaited = format!("{}/never.avsc", silent.url());
    let variables = [("SCHEMAWARD_REGISTRY__ALLOW", format!("[\"{}\"]", silent.url()))];
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    registry.id(1, USER);
    let variables = variables.each_ref().map(|(key, value)| (*key, value.as_str()));
    let more = "limits: {lookup_deadline: 1m}\n";
    let proxy = Proxy::start_with(&[broker.address()], &registry.url(), more, &variables).await;
    let records = [TestRecord::avro(&awaited, ADA), TestRecord::avro("1", b"".to_vec())];
    let produce = Produce::to("users", 0, TestBatch::of(records).encode());
    let mut client = Client::connect(&proxy.bootstrap()).await;
    // Half of the deadline, which is what it would otherwise take.
    let half = std::time::Duration::from_secs(30);
    let answer = tokio::time::timeout(half, client.produce(9, &produce)).await.unwrap();
    assert_eq!(only(&answer).error_code, 87);
    assert_eq!(silent.requests(), ["/never.avsc"]);
}

#[tokio::test]
async fn a_follower_of_a_refused_batch_is_refused_until_the_batch_comes_again() {
    let mut world = World::new("").await;
    let batch = |value: &[u8], sequence| {
        TestBatch::of([TestRecord::avro("1", value)]).sequenced(7, 0, sequence).encode()
    };
    assert_eq!(world.produce("users", &batch(ADA, 0)).await.code, 0);
    assert_eq!(world.produce("users", &batch(b"", 1)).await.code, 87);
    let follower = world.produce("users", &batch(ADA, 2)).await;
    assert_eq!(follower.code, 45);
    assert!(follower.message.starts_with("sequence_gap: "), "{follower:?}");
    assert_eq!(world.rejected("users", "sequence_gap"), 1.0);
    assert_eq!(world.produce("users", &batch(ADA, 1)).await.code, 0);
    assert_eq!(world.produce("users", &batch(ADA, 2)).await.code, 0);
    assert_eq!(world.broker.received().len(), 3);
}

#[tokio::test]
async fn a_topic_id_is_known_once_a_metadata_answer_named_it() {
    let mut world = World::new("").await;
    let batch = TestBatch::of([good()]).encode();
    assert_eq!(world.produce_in(13, "users", &batch).await.code, 100);
    let topic = MetadataRequestTopic::default()
        .with_name(Some(kafka_protocol::messages::TopicName(StrBytes::from_static_str("users"))));
    let metadata = MetadataRequest::default().with_topics(Some(vec![topic]));
    let answer = world.client.call(12, &metadata).await;
    assert_eq!(answer.brokers[0].host.as_str(), world.proxy.host());
    assert_eq!(answer.brokers[0].port, i32::from(support::proxy::FIRST_BROKER_PORT) + 1);
    let answer = world.produce_in(13, "users", &batch).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(world.broker.received()[0].topic, "users");
    let bad = world.produce_in(13, "users", &TestBatch::of([TestRecord::bare(ADA)]).encode()).await;
    assert_eq!(bad.code, 87);
}

#[tokio::test]
async fn every_version_with_headers_is_judged_and_older_ones_are_refused() {
    let mut world = World::new("").await;
    let good = TestBatch::of([good()]).encode();
    let bad = TestBatch::of([TestRecord::bare(ADA)]).encode();
    for version in 3..=12 {
        assert_eq!(world.produce_in(version, "users", &good).await.code, 0, "v{version}");
        let answer = world.produce_in(version, "users", &bad).await;
        assert_eq!(answer.code, 87, "v{version}");
        assert_eq!(answer.errors.is_empty(), version < 8, "v{version}");
    }
    assert_eq!(world.broker.received().len(), 10);
}

#[tokio::test]
async fn a_partition_that_is_named_twice_is_refused_in_both_places() {
    let mut world = World::new("").await;
    let batch = TestBatch::of([good()]).encode();
    let request = Produce::to("users", 0, batch.clone()).and("users", 1, batch.clone()).and(
        "users",
        0,
        batch.clone(),
    );
    let response = world.client.produce(9, &request).await;
    let codes: Vec<_> = response.responses[0]
        .partition_responses
        .iter()
        .map(|partition| (partition.index, partition.error_code))
        .collect();
    assert_eq!(codes, [(0, 42), (1, 0)]);
    assert_eq!(world.broker.received().len(), 1);
}

#[tokio::test]
async fn the_good_partitions_of_a_request_go_on_without_the_bad_ones() {
    let mut world = World::new("").await;
    let good = TestBatch::of([good()]).encode();
    let bad = TestBatch::of([TestRecord::bare(ADA)]).encode();
    let request = Produce::to("users", 0, good.clone())
        .and("orders", 0, bad.clone())
        .and("users", 1, bad.clone())
        .and("users", 2, good.clone());
    let response = world.client.produce(9, &request).await;
    let codes: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partition_responses.iter().map(move |it| (name.clone(), it.index, it.error_code))
        })
        .collect();
    let expected = [("users", 0, 0), ("users", 1, 87), ("users", 2, 0), ("orders", 0, 87)];
    assert_eq!(codes, expected.map(|(topic, index, code)| (topic.to_owned(), index, code)));
    let received: Vec<_> =
        world.broker.received().into_iter().map(|it| (it.topic, it.partition)).collect();
    assert_eq!(received, [("users".to_owned(), 0), ("users".to_owned(), 2)]);
}

#[tokio::test]
async fn a_request_of_which_nothing_is_left_goes_on_without_topics() {
    let mut world = World::new("").await;
    let before = world.broker.frames().len();
    let bad = TestBatch::of([TestRecord::bare(ADA)]).encode();
    assert_eq!(world.produce("users", &bad).await.code, 87);
    assert_eq!(world.broker.frames().len(), before + 1);
    assert!(world.broker.received().is_empty());
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_is_cut_off_after_a_refusal() {
    let mut world = World::new("").await;
    let good = TestBatch::of([good()]).encode();
    let bad = TestBatch::of([TestRecord::bare(ADA)]).encode();
    let request = Produce::to("users", 0, good).and("users", 1, bad).acks(0);
    world.client.send(9, &request.request(9)).await;
    assert!(world.client.closed().await);
    let received = world.broker.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].partition, 0);
}

#[tokio::test]
async fn observe_refuses_nothing_and_counts() {
    let mut world = World::new("rules:\n  - {topics: [\"o*\"], mode: observe}\n").await;
    let mut broken = TestBatch::of([good()]);
    broken.break_checksum = true;
    for batch in [TestBatch::of([TestRecord::bare(ADA)]), broken] {
        assert_eq!(world.produce("orders", &batch.encode()).await.code, 0);
    }
    assert_eq!(world.broker.received().len(), 2);
    for reason in ["missing_content_type", "batch_corrupt"] {
        let line = format!(
            "schemaward_records_total{{reason=\"{reason}\",topic=\"orders\",verdict=\"observed\"}}"
        );
        assert_eq!(world.proxy.metric(&line), 1.0, "{reason}");
    }
}

#[tokio::test]
async fn off_forwards_unread() {
    let mut world = World::new("default_rule: {mode: off}\n").await;
    assert_eq!(world.produce("anything", b"not a batch at all").await.code, 0);
    assert_eq!(world.broker.received()[0].record_set.as_deref(), Some(&b"not a batch at all"[..]));
}

#[tokio::test]
async fn one_verdict_comes_before_another_corrupt_certain_undecided() {
    let mut world = World::new("limits: {lookup_deadline: 50ms}\n").await;
    assert_eq!(world.produce("users", &TestBatch::of([good()]).encode()).await.code, 0);
    world.registry.mood(Mood::Status(503));
    let unknown = || TestRecord::avro("7", ADA);
    let bad = || TestRecord::bare(ADA);
    let mut corrupt = TestBatch::of([unknown(), bad()]);
    corrupt.break_checksum = true;
    let mut cut = TestBatch::of([unknown(), bad(), good()]);
    cut.declared_records = Some(4);
    let table = [
        (corrupt, 2, "batch_corrupt: "),
        (cut, 87, "batch_corrupt: "),
        (TestBatch::of([unknown(), bad(), good()]), 87, "missing_content_type: record 1: "),
        (TestBatch::of([good(), unknown()]), 19, "registry_unavailable: record 1: "),
        (TestBatch::of([good()]), 0, ""),
    ];
    for (batch, code, message) in table {
        let answer = world.produce("users", &batch.encode()).await;
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.message.starts_with(message), "{answer:?}");
    }
}

#[tokio::test]
async fn every_bad_record_is_named_in_order_up_to_a_bound() {
    let mut world = World::new("").await;
    let records = (0..1_000).map(|at| if at % 2 == 0 { good() } else { TestRecord::bare(ADA) });
    let answer = world.produce("users", &TestBatch::of(records).encode()).await;
    assert_eq!(answer.code, 87);
    let named: Vec<_> = answer.errors.iter().map(|(index, _)| *index).collect();
    assert_eq!(named, (0..100).map(|at| 2 * at + 1).collect::<Vec<_>>());
    let expected = "missing_content_type: record 1: no content-type header (and 499 more records)";
    assert_eq!(answer.message, expected);
    assert_eq!(world.rejected("users", "missing_content_type"), 500.0);
    let withheld = "schemaward_records_total{reason=\"none\",topic=\"users\",verdict=\"withheld\"}";
    assert_eq!(world.proxy.metric(withheld), 500.0);
}

#[tokio::test]
async fn text_from_the_wire_is_cut_and_escaped_in_messages() {
    let mut world = World::new("").await;
    let long = "x\"\n".repeat(10_000);
    let record = TestRecord::bare(ADA).header("content-type", &long).header("schema-id", "1");
    let answer = world.produce("users", &TestBatch::of([record]).encode()).await;
    assert!(answer.message.len() < 1_024, "{}", answer.message.len());
    assert!(!answer.message.contains('\n'), "{}", answer.message);
    let record = TestRecord::avro(&long, ADA);
    let answer = world.produce("users", &TestBatch::of([record]).encode()).await;
    assert!(answer.message.starts_with("malformed_schema_id: record 0: "), "{answer:?}");
    assert!(answer.message.len() < 1_024 && !answer.message.contains('\n'), "{answer:?}");
}

#[tokio::test]
async fn json_beside_an_avro_schema_means_avro_json() {
    let mut world = World::new("").await;
    let record = |content_type: &str, value: &str| {
        let record = TestRecord::bare(value).header("schema-id", "1");
        TestBatch::of([record.header("serialization-type", content_type)]).encode()
    };
    for content_type in ["avro-json", "json", "application/json; charset=utf-8"] {
        let good = record(content_type, r#"{"name":"Ada","age":36}"#);
        assert_eq!(world.produce("users", &good).await.code, 0, "{content_type}");
        let bad =
            world.produce("users", &record(content_type, r#"{"name":"Ada","age":"36"}"#)).await;
        assert_eq!(bad.code, 87, "{content_type}");
        assert!(bad.message.starts_with("payload_invalid: record 0: age at byte 20: "), "{bad:?}");
    }
}

#[tokio::test]
async fn headers_that_contradict_each_other_are_a_conflict() {
    let mut world = World::new("").await;
    let table = [
        (good().header("schema-id", "1").header("serialization-type", "avro"), 0),
        (good().header("serialization-type", "avro-json"), 87),
        (good().header("serialization-type", "text/csv"), 87),
        (good().header("schema-id", "01"), 87),
        (good().null_header("schema-id"), 87),
        (good().null_header("content-type"), 87),
    ];
    for (index, (record, code)) in table.into_iter().enumerate() {
        let answer = world.produce("users", &TestBatch::of([record]).encode()).await;
        assert_eq!(answer.code, code, "{index}: {answer:?}");
        let expected = if code == 0 { "" } else { "conflicting_metadata: record 0: " };
        assert!(answer.message.starts_with(expected), "{index}: {answer:?}");
    }
}

#[tokio::test]
async fn renamed_headers_are_named_as_they_are_configured() {
    let mut world = World::new("metadata: {content_type: [x-type], schema_id: x-schema}\n").await;
    let bare = || TestRecord::bare(ADA);
    let table = [
        (good(), 87, "missing_content_type: record 0: no x-type header"),
        (bare().header("x-type", "avro"), 87, "missing_schema_id: record 0: no x-schema header"),
        (bare().header("x-type", "avro").header("x-schema", "1"), 0, ""),
    ];
    for (record, code, message) in table {
        let answer = world.produce("users", &TestBatch::of([record]).encode()).await;
        assert_eq!((answer.code, answer.message.as_str()), (code, message));
    }
}

#[tokio::test]
async fn a_null_value_that_may_not_be_is_missing_whatever_its_headers() {
    let mut world = World::new("default_rule: {tombstones: reject}\n").await;
    let answer =
        world.produce("users", &TestBatch::of([TestRecord::tombstone("k")]).encode()).await;
    assert_eq!(answer.code, 87);
    assert!(answer.message.starts_with("payload_missing: record 0: "), "{answer:?}");
}

#[tokio::test]
async fn a_rule_for_presence_reads_no_value_and_asks_nobody_but_keeps_its_allow_list() {
    let rules = "rules:\n  - {topics: [narrow], check: metadata, allow_schemas: [\"1\"]}\n\
                 default_rule: {check: metadata}\n";
    let mut world = World::new(rules).await;
    world.registry.mood(Mood::Status(503));
    let table = [
        ("users", TestRecord::avro("7", b"anything"), 0, ""),
        ("users", TestRecord::avro("users.avsc", b""), 0, ""),
        ("users", TestRecord::bare(ADA), 87, "missing_content_type"),
        ("users", TestRecord::avro("ftp://x/1", ADA), 87, "malformed_schema_id"),
        ("users", TestRecord::avro("http://elsewhere.example/a", ADA), 87, "schema_not_allowed"),
        ("narrow", TestRecord::avro("1", b"anything"), 0, ""),
        ("narrow", TestRecord::avro("7", ADA), 87, "schema_not_allowed"),
    ];
    for (topic, record, code, reason) in table {
        let answer = world.produce(topic, &TestBatch::of([record]).encode()).await;
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.message.starts_with(reason), "{answer:?}");
    }
    assert!(world.registry.requests().is_empty());
}

#[tokio::test]
async fn an_allow_list_keeps_valid_events_of_other_schemas_out() {
    let rules = "rules:\n  - {topics: [users], allow_schemas: [\"users/*\", \"1\"]}\n";
    let mut world = World::new(rules).await;
    for path in ["users/a.avsc", "orders/a.avsc"] {
        world.registry.document(path, USER);
    }
    world.registry.id(2, USER);
    let url = world.registry.url();
    let table = [
        ("1", 0),
        ("users/a.avsc", 0),
        ("/users/a.avsc", 0),
        (&format!("{url}/schemas/ids/1"), 0),
        ("2", 87),
        ("orders/a.avsc", 87),
        ("orders/a.avsc?/users/", 87),
        ("users/../orders/a.avsc", 87),
    ];
    for (reference, code) in table {
        let batch = TestBatch::of([TestRecord::avro(reference, ADA)]).encode();
        let answer = world.produce("users", &batch).await;
        assert_eq!(answer.code, code, "{reference}: {answer:?}");
        assert_eq!(world.produce("orders", &batch).await.code == 0, !reference.contains(".."));
    }
}

#[tokio::test]
async fn internal_topics_are_not_judged_unless_a_rule_names_them() {
    let mut world = World::new("rules:\n  - {topics: [_schemas], mode: enforce}\n").await;
    let bad = TestBatch::of([TestRecord::bare(ADA)]).encode();
    for topic in
        ["__consumer_offsets", "app-store-changelog", "app-x-repartition", "connect-configs"]
    {
        assert_eq!(world.produce(topic, &bad).await.code, 0, "{topic}");
    }
    assert_eq!(world.produce("_schemas", &bad).await.code, 87);
}

#[tokio::test]
async fn observe_refuses_nothing_also_not_for_format_place_or_order() {
    let mut world = World::new("default_rule: {mode: observe}\n").await;
    let batch = |value: &[u8], sequence| {
        TestBatch::of([TestRecord::avro("1", value)]).sequenced(7, 0, sequence).encode()
    };
    for sequence in [0, 1, 2] {
        assert_eq!(world.produce("users", &batch(b"", sequence)).await.code, 0);
    }
    let unnamed = world.produce_in(13, "users", &batch(ADA, 3)).await;
    assert_eq!(unnamed.code, 0, "a topic id that nobody has named yet: {unnamed:?}");
    let twice = Produce::to("users", 0, batch(ADA, 4)).and("users", 0, batch(ADA, 5));
    let response = world.client.produce(9, &twice).await;
    assert!(
        response
            .responses
            .iter()
            .flat_map(|it| &it.partition_responses)
            .all(|it| it.error_code == 0)
    );
    assert_eq!(world.broker.received().len(), 6);
}

#[tokio::test]
async fn bits_that_brokers_look_at_are_no_way_around_the_check() {
    let mut world = World::new("").await;
    const CONTROL: i16 = 0x20;
    const TRANSACTIONAL: i16 = 0x10;
    const LOG_APPEND_TIME: i16 = 0x08;
    for attributes in [CONTROL, TRANSACTIONAL, LOG_APPEND_TIME, CONTROL | TRANSACTIONAL] {
        for (record, code) in [(good(), 0), (TestRecord::bare(ADA), 87)] {
            let mut batch = TestBatch::of([record]);
            batch.attributes = attributes;
            assert_eq!(world.produce("users", &batch.encode()).await.code, code, "{attributes:#x}");
        }
    }
    for (record, code) in [(good(), 0), (TestRecord::bare(ADA), 87)] {
        let batch = TestBatch::of([record]).sequenced(7, 0, -5).encode();
        assert_eq!(world.produce("users", &batch).await.code, code, "a negative sequence");
    }
}
