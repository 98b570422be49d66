//! The support of the end-to-end tests works by itself: real brokers, without the proxy.

use serde_json::json;
use support::batch::{self, Batch, Codec, Record};
use support::case::Case;
use support::java::Java;
use support::kafka::{self, Kafka};
use support::python::{EVENT_CASES, Python};
use support::raw_client::RawClient;
use support::{admin, log_reader, produce};

mod support;

#[test]
fn a_broker_stores_raw_batches_as_they_were_sent_whatever_their_codec() {
    let Some(kafka) = kafka::shared_single() else { return };
    let bootstrap = kafka.bootstrap();
    admin::create_topic(&bootstrap, "raw-batches", 1, 1);
    let records = || {
        let odd = Record::new("").header("h", "1").header("h", "2");
        let null_header = Record { headers: vec![(String::new(), None)], ..Record::default() };
        vec![Record::new("value").key("key"), odd, null_header]
    };
    let sent: Vec<_> = Codec::NAMED.map(|(_, codec)| Batch::new(records()).codec(codec)).into();
    let mut client = RawClient::connect(kafka.address(1)).unwrap();
    for batch in &sent {
        let answer = produce::call(&mut client, "raw-batches", 0, batch.to_bytes(), 9);
        assert_eq!((answer.error_code, answer.error_message), (0, None), "{:?}", batch.codec);
    }
    let stored = log_reader::stored_batches_raw(&bootstrap, "raw-batches", 0);
    let expected: Vec<_> = sent.iter().map(|batch| batch::as_sent(&batch.to_bytes())).collect();
    assert_eq!(stored.iter().map(|batch| batch::as_sent(batch)).collect::<Vec<_>>(), expected);
    let read = log_reader::stored(&bootstrap, "raw-batches", 0);
    assert_eq!(read.len(), 15);
    assert_eq!(read[4].headers, records()[1].headers);
    assert_eq!((read[14].offset, &read[14].value, read[14].producer_id), (14, &None, -1));
}

#[test]
fn java_sends_records_in_one_batch_for_every_codec_and_reads_them_back() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let bootstrap = kafka.bootstrap();
    for (name, codec) in Codec::NAMED {
        let topic = format!("java-{name}");
        admin::create_topic(&bootstrap, &topic, 1, 1);
        let cases = [
            Case::new(&topic, b"first").key(b"k").header("h", "1").header("h", [0xff]),
            Case::new(&topic, b""),
            Case::tombstone(&topic).key(b"k"),
        ];
        let compression = format!("compression.type={name}");
        let seen = java.produce(&bootstrap, &["linger.ms=60000", &compression], &cases);
        assert_eq!(
            seen.iter().map(|outcome| outcome.offset).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(2)]
        );
        let batches = log_reader::stored_batches_raw(&bootstrap, &topic, 0);
        let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
        let batch = Batch::from_bytes(batch);
        assert_eq!((batch.codec, batch.base_sequence), (codec, 0));
        assert!(batch.producer_id >= 0);
    }
    let read = java.consume(&bootstrap, "java-none", "java-group", 3);
    assert_eq!(read[0].headers[1], ("h".to_owned(), Some(vec![0xff])));
    assert_eq!(
        read.iter().map(|r| r.value.as_deref()).collect::<Vec<_>>(),
        [Some(&b"first"[..]), Some(b""), None]
    );
    let shared = java.share(&bootstrap, "java-gzip", "java-share-group", 3);
    assert_eq!(shared.len(), 3);
}

#[test]
fn producers_report_the_refusal_of_a_record_without_key_on_a_compacted_topic() {
    let Some(kafka) = kafka::shared_single() else { return };
    let bootstrap = kafka.bootstrap();
    let topic = "compacted";
    admin::create_topic_with(&bootstrap, topic, 1, 1, &[("cleanup.policy", "compact")]);
    let cases = [Case::new(topic, b"good").key(b"k"), Case::new(topic, b"bad")];
    if let Some(java) = Java::get() {
        let seen = java.produce(&bootstrap, &["linger.ms=60000"], &cases);
        assert!(!seen[0].ok, "a batch is atomic: {seen:?}");
        assert_eq!(
            (seen[1].error.as_deref(), seen[1].code),
            (Some("InvalidRecordException"), Some(87))
        );
        assert!(seen[1].message.as_deref().unwrap().contains("without key"), "{seen:?}");
    }
    if let Some(python) = Python::get() {
        let seen = python.produce_confluent(&bootstrap, &["linger.ms=5000"], &cases);
        assert_eq!((seen[1].ok, seen[1].code), (false, Some(87)), "{seen:?}");
    }
    let bad = Batch::new(vec![Record::new("bad")]).to_bytes();
    let answer =
        produce::call(&mut RawClient::connect(kafka.address(1)).unwrap(), topic, 0, bad, 9);
    assert_eq!(answer.error_code, 87);
    assert_eq!(answer.record_errors.iter().map(|e| e.batch_index).collect::<Vec<_>>(), [0]);
    assert_eq!(log_reader::stored_values(&bootstrap, topic, 0), []);
}

#[test]
fn librdkafka_sends_from_python() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let bootstrap = kafka.bootstrap();
    admin::create_topic(&bootstrap, "confluent", 1, 1);
    let cases = [Case::new("confluent", b"a").header("h", "1"), Case::tombstone("confluent")];
    let settings = ["enable.idempotence=true", "compression.type=lz4"];
    let seen = python.produce_confluent(&bootstrap, &settings, &cases);
    assert!(seen.iter().all(|outcome| outcome.ok), "{seen:?}");
    let stored = log_reader::stored(&bootstrap, "confluent", 0);
    assert_eq!(stored[0].headers, [("h".to_owned(), Some("1".into()))]);
    assert_eq!((stored.len(), &stored[1].value), (2, &None));
    assert!(stored[0].producer_id >= 0);
}

#[test]
fn events_of_dataclasses_avroschema_arrive_with_their_headers() {
    let (Some(kafka), Some(python)) = (kafka::shared_single(), Python::get()) else { return };
    let bootstrap = kafka.bootstrap();
    admin::create_topic(&bootstrap, "events", 1, 1);
    let seen = python.produce_events(&bootstrap, "events", &[], &EVENT_CASES);
    assert!(seen.iter().all(|outcome| outcome.ok), "a broker takes them all: {seen:?}");
    let stored = log_reader::stored_at_least(&bootstrap, "events", 0, EVENT_CASES.len());
    assert_eq!(stored[0].value.as_deref(), Some(&b"\x06bob\x0a\x02\x06key\x02\x00"[..]));
    let headers = stored[0].headers.clone();
    let url = "https://my-schema-server/users/schema.avsc";
    assert_eq!(headers[0], ("content-type".to_owned(), Some("avro".into())));
    assert_eq!(headers[1], ("schema-id".to_owned(), Some(url.into())));
    let read = python.consume_events(&bootstrap, "events", EVENT_CASES.len());
    assert_eq!(read[0]["event"], json!({"name": "bob", "age": 5, "accounts": {"key": 1}}));
    assert_eq!(read[1]["event"], read[0]["event"]);
    assert!(read[5]["error"].is_string(), "truncated: {}", read[5]);
    let schema: serde_json::Value = serde_json::from_str(&python.schema_of("UserModel")).unwrap();
    assert_eq!(schema["fields"][1]["type"], "long");
}

#[test]
fn a_cluster_of_three_survives_the_loss_of_a_broker_and_takes_it_back() {
    let Some(mut kafka) = Kafka::cluster(3) else { return };
    let bootstrap = kafka.bootstrap();
    assert_eq!(kafka.node_ids(), [1, 2, 3]);
    admin::create_topic(&bootstrap, "replicated", 3, 3);
    let leaders: Vec<_> = (0..3).map(|p| admin::leader_of(&bootstrap, "replicated", p)).collect();
    assert_ne!((leaders[0], leaders[1]), (leaders[1], leaders[2]), "one broker leads them all");
    let send = |address, value: &'static str| {
        let batch = Batch::new(vec![Record::new(value)]).to_bytes();
        produce::call(&mut RawClient::connect(address).unwrap(), "replicated", 0, batch, 9)
            .error_code
    };
    assert_eq!(send(kafka.address(leaders[0]), "before"), 0);
    kafka.kill(leaders[0]);
    let other = kafka.address(leaders[1]).to_string();
    let next = admin::wait_for_leader(&other, "replicated", 0, |leader| leader != leaders[0]);
    assert_eq!(send(kafka.address(next), "after"), 0);
    assert_eq!(
        log_reader::stored_values(&other, "replicated", 0),
        [Some("before".into()), Some("after".into())]
    );
    kafka.restart(leaders[0]);
    kafka.pause(leaders[1]);
    kafka.resume(leaders[1]);
    kafka.stop(leaders[1]);
    let told = Java::get().unwrap().admin_tour(&kafka.address(leaders[0]).to_string(), "tour");
    assert_eq!(told.step("createTopics")["partitions"], 3);
    let known: Vec<_> = kafka.addresses().iter().map(ToString::to_string).collect();
    assert!(told.addresses().iter().all(|address| known.contains(address)), "{told:?}");
}
