//! What is in a copy.

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    ADA, CUT, Copy, ON, World, bad, good,
    support::{
        batch::Batch,
        batch_builder::{Codec, TestBatch, TestRecord},
        client::Produce,
        registry::Mood,
    },
};

fn as_sent(copies: &[Copy]) -> Vec<TestRecord> {
    let record = |copy: &Copy| TestRecord {
        key: copy.key.as_ref().map(|key| key.to_vec()),
        value: copy.value.as_ref().map(|value| value.to_vec()),
        headers: copy
            .headers
            .iter()
            .map(|(name, value)| (name.clone().into(), value.as_ref().map(|it| it.to_vec())))
            .collect(),
    };
    copies.iter().map(record).collect()
}

fn said<'a>(copy: &'a Copy, name: &str) -> Option<&'a str> {
    copy.said.get(&format!("schemaward.{name}")).map(String::as_str)
}

#[tokio::test]
async fn every_record_of_a_refused_batch_is_copied_with_what_is_wrong_with_it() {
    let mut world = World::new(ON).await;
    // From here on the schema is at hand.
    assert_eq!(world.produce("users", &TestBatch::of([good()])).await.code, 0);
    let records = [
        good().key("k"),
        bad(),
        TestRecord::bare(ADA).header("schema-id", "1"),
        TestRecord::tombstone("gone").null_header("note"),
    ];
    let answer =
        world.send(&Produce::to("users", 3, TestBatch::of(records.clone()).encode())).await;
    assert_eq!(answer.code, 87);
    assert!(!answer.message.contains("quarantined"), "{answer:?}");
    let copies = world.copies("users.rejected");
    assert_eq!(as_sent(&copies), records);
    let reasons: Vec<_> = copies.iter().map(|copy| said(copy, "reason").unwrap()).collect();
    assert_eq!(reasons, ["neighbour", "payload_invalid", "missing_content_type", "neighbour"]);
    for (index, copy) in copies.iter().enumerate() {
        assert_eq!(said(copy, "topic"), Some("users"));
        assert_eq!(said(copy, "partition"), Some("3"));
        assert_eq!(said(copy, "batch_index"), Some(index.to_string().as_str()));
        assert_eq!(said(copy, "client_id"), Some("test-client"));
        assert!(said(copy, "time").unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
    }
    // The answer tells the same of each record that is bad; the others have the batch's message.
    let messages: Vec<_> = copies.iter().map(|copy| said(copy, "message").unwrap()).collect();
    assert_eq!(messages[1], answer.errors[0].1);
    assert_eq!(messages[2], answer.errors[1].1);
    assert_eq!((messages[0], messages[3]), (&*answer.message, &*answer.message));
    let named: Vec<_> = copies.iter().map(|copy| said(copy, "schema").is_some()).collect();
    assert_eq!(named, [true, true, false, false]);
    assert_eq!(world.received("users").len(), 1, "nothing of it is stored");
    assert_eq!(world.received("users.rejected")[0].partition, 3, "of four partitions, the same");
    assert_eq!((world.counted("written"), world.counted("failed")), (4.0, 0.0));
}

#[tokio::test]
async fn what_was_not_judged_because_another_record_is_bad_is_no_neighbour() {
    let mut world = World::new(ON).await;
    world.registry.mood(Mood::Status(503));
    let records = [good(), TestRecord::bare(ADA), TestRecord::tombstone("k")];
    assert_eq!(world.produce("users", &TestBatch::of(records)).await.code, 87);
    let copies = world.copies("users.rejected");
    let reasons: Vec<_> = copies.iter().map(|copy| said(copy, "reason").unwrap()).collect();
    assert_eq!(reasons, ["unjudged", "missing_content_type", "neighbour"]);
}

#[test]
fn what_is_copied_is_what_was_sent_whatever_it_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50));
    let name = prop_oneof![Just("a"), Just("schema-id"), Just("schemaward-x"), Just("")];
    let headers = proptest::collection::vec((name, bytes()), 0..4);
    let record = (bytes(), bytes(), headers).prop_map(|(key, value, headers)| TestRecord {
        key,
        value,
        headers: headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    });
    let records = proptest::collection::vec(record, 0..12);
    let codec = proptest::sample::select(Codec::ALL.to_vec());
    let compress = proptest::sample::select(vec!["none", "zstd"]);
    let case = (records, codec, compress, any::<bool>());
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    runner
        .run(&case, |(mut records, codec, compression, idempotent)| {
            records.push(bad());
            let more = format!("{ON}  compression: {compression}\n")
                .replace("{credentials: none}\n", "\n  credentials: none\n");
            let copies = runtime.block_on(async {
                let mut world = World::new(&more).await;
                let mut batch = TestBatch::of(records.clone()).codec(codec);
                if idempotent {
                    batch = batch.sequenced(7, 0, 0);
                }
                let answer = world.produce("users", &batch).await;
                assert_eq!(answer.code, 87, "{answer:?}");
                assert!(!answer.message.contains("quarantined"), "{answer:?}");
                world.copies("users.rejected")
            });
            prop_assert_eq!(as_sent(&copies), records);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn each_rule_says_whether_and_where() {
    let more = "rules:\n\
        - {topics: [quiet], quarantine: false}\n\
        - {topics: [seen], mode: observe, quarantine: true}\n\
        - {topics: ['own-*'], quarantine: 'dead.{topic}'}\n\
        - {topics: ['one-*'], quarantine: all-dead}\n\
        default_rule: {quarantine: true}\n\
        quarantine: {credentials: none, topic: '{topic}-dlt'}\n";
    let mut world = World::new(more).await;
    let table = [
        ("quiet", None),
        ("own-x", Some("dead.own-x")),
        ("one-x", Some("all-dead")),
        ("users", Some("users-dlt")),
        // Nothing goes round in circles.
        ("users-dlt", None),
        ("dead.own-x", None),
        ("all-dead", None),
    ];
    for (topic, expected) in table {
        let before = world.broker.received().len();
        assert_eq!(world.produce(topic, &TestBatch::of([bad()])).await.code, 87, "{topic}");
        let came: Vec<_> = world.broker.received().split_off(before);
        let topics: Vec<_> = came.iter().map(|it| it.topic.as_str()).collect();
        assert_eq!(topics, expected.into_iter().collect::<Vec<_>>(), "{topic}");
    }
    assert_eq!(world.produce("seen", &TestBatch::of([bad()])).await.code, 0);
    assert!(world.received("seen-dlt").is_empty(), "what is observed is not refused");
}

#[tokio::test]
async fn what_comes_again_is_not_copied() {
    let more = format!("{ON}limits: {{lookup_deadline: 0s}}\n");
    let mut world = World::new(&more).await;
    world.registry.mood(Mood::Status(503));
    let unknown = TestBatch::of([TestRecord::avro("7", ADA)]);
    let answer = world.produce("users", &unknown).await;
    assert_eq!(answer.code, 19, "{answer:?}");
    assert!(!answer.message.contains("quarantined"), "{answer:?}");
    world.registry.mood(Mood::Well);
    let refused = TestBatch::of([TestRecord::bare(CUT)]).sequenced(7, 0, 0);
    assert_eq!(world.produce("order", &refused).await.code, 87);
    let follower = TestBatch::of([good()]).sequenced(7, 0, 1);
    let answer = world.produce("order", &follower).await;
    assert_eq!(answer.code, 45);
    assert!(!answer.message.contains("quarantined"), "{answer:?}");
    let mut corrupt = TestBatch::of([good()]);
    corrupt.break_checksum = true;
    let answer = world.produce("users", &corrupt).await;
    assert_eq!(answer.code, 2);
    assert!(!answer.message.contains("quarantined"), "{answer:?}");
    assert!(world.received("users.rejected").is_empty());
    assert_eq!(world.copies("order.rejected").len(), 1, "the refused one, not its follower");
}

#[tokio::test]
async fn what_cannot_be_judged_and_is_refused_for_good_is_copied_with_that_reason() {
    let more = "default_rule: {quarantine: true, on_registry_unavailable: reject}\n\
        quarantine: {credentials: none}\nlimits: {lookup_deadline: 0s}\n";
    let mut world = World::new(more).await;
    world.registry.mood(Mood::Status(503));
    let records = [TestRecord::avro("7", ADA), TestRecord::tombstone("k")];
    let answer = world.produce("users", &TestBatch::of(records.clone())).await;
    assert_eq!(answer.code, 87, "{answer:?}");
    let copies = world.copies("users.rejected");
    assert_eq!(as_sent(&copies), records);
    assert_eq!(said(&copies[0], "reason"), Some("registry_unavailable"));
    assert_eq!(said(&copies[1], "reason"), Some("neighbour"));
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_apart_is_not_copied_and_the_refusal_says_so() {
    let mut world = World::new(&format!("{ON}limits: {{max_record_bytes: 4KiB}}\n")).await;
    let mut garbage = TestBatch::of([good()]).codec(Codec::Gzip);
    garbage.body = Some(b"no gzip".to_vec());
    let large = TestBatch::of([TestRecord::avro("1", vec![0; 5_000])]);
    let mut old = TestBatch::of([good()]);
    old.magic = 1;
    for batch in [garbage, large, old] {
        let answer = world.produce("users", &batch).await;
        assert!(matches!(answer.code, 10 | 87), "{answer:?}");
        let expected = "; not quarantined: the batch cannot be taken apart";
        assert!(answer.message.ends_with(expected), "{answer:?}");
    }
    assert!(world.received("users.rejected").is_empty());
    assert_eq!(world.counted("undecodable"), 3.0);
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_has_its_batches_copied_too() {
    let mut world = World::new(ON).await;
    let request = Produce::to("users", 0, TestBatch::of([good(), bad()]).encode()).acks(0);
    world.client.send(9, &request.request(9)).await;
    assert!(world.client.closed().await, "it is cut off, as without copies");
    // Who drains waits for what is on its way.
    let World { broker, proxy, .. } = world;
    proxy.drain().await.unwrap();
    let came: Vec<_> = broker.received().into_iter().map(|it| it.topic).collect();
    assert_eq!(came, ["users.rejected"]);
}

#[tokio::test]
async fn only_the_refused_partitions_of_a_request_are_copied() {
    let mut world = World::new(ON).await;
    let request = Produce::to("users", 0, TestBatch::of([good()]).encode())
        .and("users", 1, TestBatch::of([bad(), good()]).encode())
        .and("users", 2, TestBatch::of([good(), good(), bad()]).encode());
    let response = world.client.produce(9, &request).await;
    let answered = response.responses[0].partition_responses.iter();
    assert_eq!(answered.map(|it| it.error_code).collect::<Vec<_>>(), [0, 87, 87]);
    let copied: Vec<_> =
        world.received("users.rejected").iter().map(|received| received.partition).collect();
    assert_eq!(copied.len(), 2);
    assert!(copied.contains(&1) && copied.contains(&2), "{copied:?}");
    assert_eq!(world.copies("users.rejected").len(), 5);
    assert_eq!(world.received("users").len(), 1);
}

#[tokio::test]
async fn a_hundred_bad_records_and_more_have_their_own_reason_each() {
    let mut world = World::new(ON).await;
    let records = (0..500).map(|index| if index % 3 == 0 { good() } else { bad() });
    assert_eq!(world.produce("users", &TestBatch::of(records)).await.code, 87);
    let copies = world.copies("users.rejected");
    assert_eq!(copies.len(), 500);
    for (index, copy) in copies.iter().enumerate() {
        let expected = if index % 3 == 0 { "neighbour" } else { "payload_invalid" };
        assert_eq!(said(copy, "reason"), Some(expected), "{index}");
        let start = format!("payload_invalid: record {index}: ");
        let own = said(copy, "message").unwrap().starts_with(&start);
        assert_eq!(own, index % 3 != 0, "{index}: {:?}", copy.said);
    }
}

#[tokio::test]
async fn a_copy_is_part_of_no_transaction_and_of_no_sequence() {
    const TRANSACTIONAL: i16 = 0x10;
    let mut world = World::new(ON).await;
    let mut batch = TestBatch::of([bad()]).sequenced(7, 3, 5);
    batch.attributes = TRANSACTIONAL;
    assert_eq!(world.produce("users", &batch).await.code, 87);
    let received = world.received("users.rejected");
    let copy = Batch::from_bytes(received[0].record_set.as_ref().unwrap());
    assert_eq!((copy.attributes, copy.producer_id, copy.producer_epoch), (0, -1, -1));
    assert_eq!(copy.base_sequence, -1);
    // Kafka's own clock of the record is kept.
    let sent = batch.encode();
    let timestamp = i64::from_be_bytes(sent[27..35].try_into().unwrap());
    assert_eq!(copy.base_timestamp + copy.records[0].timestamp_delta, timestamp);
}
