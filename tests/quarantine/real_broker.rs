//! With Apache Kafka and its clients: read back past the proxy.

use std::fs;

use super::support::{
    admin,
    case::{Case, Outcome},
    java::Java,
    kafka::{self, Kafka, Options, USERS},
    log_reader::{self, StoredRecord},
    python::Python,
    sidecar::{Sidecar, user},
};
use super::{Said, parted};

const ON: &str = "default_rule: {quarantine: true}\nquarantine: {credentials: none}\n";

fn case(topic: &str, name: &str) -> Case {
    let case = Case::new(topic, &user(name)).key(name.as_bytes());
    case.header("content-type", "avro").header("schema-id", "1")
}

fn broken(topic: &str) -> Case {
    let mut case = case(topic, "broken");
    case.value.as_mut().unwrap().pop();
    case.header("trace", "a").header("trace", "b")
}

/// Whole batches: a producer that sends its records only when it is told to.
const TOGETHER: [&str; 2] = ["linger.ms=60000", "compression.type=zstd"];

fn told(record: &StoredRecord) -> Said {
    parted(&record.headers).0
}

/// The copies are what was sent, in order, each with its reason.
fn check_copies(kafka: &Kafka, topic: &str, sent: &[Case], reasons: &[&str]) {
    let copies = log_reader::stored(&kafka.bootstrap(), &format!("{topic}.rejected"), 0);
    assert_eq!(copies.len(), sent.len(), "{topic}");
    for ((copy, case), reason) in copies.iter().zip(sent).zip(reasons) {
        assert_eq!(copy.key.as_deref(), case.key.as_deref(), "{topic}");
        assert_eq!(copy.value.as_deref(), case.value.as_deref(), "{topic}");
        let (said, headers) = parted(&copy.headers);
        let kept: Vec<_> =
            headers.into_iter().map(|(name, value)| (name, value.map(|it| it.to_vec()))).collect();
        assert_eq!(kept, case.headers, "{topic}");
        assert_eq!(said["schemaward.reason"], *reason, "{topic}");
        assert_eq!(said["schemaward.topic"], topic);
        assert!(!copy.is_control && copy.producer_id == -1, "it is nobody's sequence: {copy:?}");
    }
    let indexes: Vec<_> =
        copies.iter().map(|it| told(it)["schemaward.batch_index"].clone()).collect();
    let expected: Vec<_> = (0..sent.len()).map(|index| index.to_string()).collect();
    assert_eq!(indexes, expected, "{topic}");
}

#[test]
fn a_java_and_a_python_producer_are_told_as_before_and_their_batches_are_kept() {
    let (Some(kafka), Some(java), Some(python)) =
        (kafka::shared_single(), Java::get(), Python::get())
    else {
        return;
    };
    let sidecar = Sidecar::start(kafka, ON);
    let direct = kafka.bootstrap();
    let reasons = ["neighbour", "payload_invalid", "neighbour"];
    let produce = |client: &str, topic: &str| -> (Vec<Case>, Vec<Outcome>) {
        for name in [topic, &format!("{topic}.rejected")] {
            admin::create_topic(&direct, name, 1, 1);
        }
        let cases = vec![case(topic, "a"), broken(topic), case(topic, "b")];
        let seen = match client {
            "java" => java.produce(&sidecar.bootstrap(), &TOGETHER, &cases),
            _ => python.produce_confluent(&sidecar.bootstrap(), &TOGETHER, &cases),
        };
        (cases, seen)
    };
    for client in ["java", "librdkafka"] {
        let topic = format!("kept-{client}");
        let (cases, seen) = produce(client, &topic);
        assert!(seen.iter().all(|outcome| !outcome.ok), "{client}: {seen:?}");
        let said = format!("{seen:?}");
        assert!(!said.contains("not quarantined"), "{said}");
        if client == "java" {
            let message = seen[1].message.as_deref().unwrap();
            assert!(message.contains("payload_invalid: record 1: "), "{message}");
        }
        assert_eq!(log_reader::stored_values(&direct, &topic, 0), []);
        check_copies(kafka, &topic, &cases, &reasons);
    }
    assert_eq!(
        sidecar.proxy.metric("schemaward_quarantined_records_total{outcome=\"written\"}"),
        6.0
    );
}

#[test]
fn a_dead_letter_topic_that_is_not_there_is_not_made_and_the_producer_hears_of_it() {
    let (Some(java), Some(kafka)) = (
        Java::get(),
        Kafka::with(&Options {
            brokers: 1,
            properties: vec![("auto.create.topics.enable".to_owned(), "true".to_owned())],
            ..Options::default()
        }),
    ) else {
        return;
    };
    let sidecar = Sidecar::start(&kafka, ON);
    admin::create_topic(&kafka.bootstrap(), "lonely", 1, 1);
    let seen = java.produce(&sidecar.bootstrap(), &TOGETHER, &[broken("lonely")]);
    let message = seen[0].message.as_deref().unwrap();
    assert!(message.ends_with("; not quarantined: there is no dead-letter topic"), "{message}");
    // Asking a second time would find it, if asking had made it.
    let seen = java.produce(&sidecar.bootstrap(), &TOGETHER, &[broken("lonely")]);
    let message = seen[0].message.as_deref().unwrap();
    assert!(message.ends_with("; not quarantined: there is no dead-letter topic"), "{message}");
}

#[test]
fn while_the_broker_of_the_copies_is_down_refusals_say_so() {
    let (Some(java), Some(mut kafka)) = (Java::get(), Kafka::cluster(2)) else { return };
    let direct = kafka.bootstrap();
    admin::create_topic(&direct, "split", 2, 1);
    admin::create_topic(&direct, "split.rejected", 1, 1);
    let dead_leader = admin::leader_of(&direct, "split.rejected", 0);
    let partition = i32::from(admin::leader_of(&direct, "split", 0) == dead_leader);
    assert_ne!(admin::leader_of(&direct, "split", partition), dead_leader);
    let sidecar = Sidecar::start(&kafka, ON);
    let mut producer = java.producer(&sidecar.bootstrap(), &TOGETHER);
    let refused = broken("split").partition(partition);
    let kept = |seen: &[Outcome]| {
        let message = seen[0].message.as_deref().unwrap();
        assert!(message.contains("payload_invalid: record 0: "), "{message}");
        !message.contains("; not quarantined: ")
    };
    assert!(kept(&producer.send(std::slice::from_ref(&refused))));
    kafka.pause(dead_leader);
    // A process that is told to stop goes on until one of its threads has its turn.
    while kept(&producer.send(std::slice::from_ref(&refused))) {}
    kafka.resume(dead_leader);
    while !kept(&producer.send(std::slice::from_ref(&refused))) {}
    let alive = kafka.node_ids().into_iter().find(|node| *node != dead_leader).unwrap();
    let copies = log_reader::stored(&kafka.address(alive).to_string(), "split.rejected", 0);
    assert!(copies.len() >= 2, "each that was acknowledged, and perhaps the one that was late");
}

#[test]
fn copies_are_written_with_a_login_of_their_own() {
    let (Some(java), Some(kafka)) =
        (Java::get(), Kafka::with(&Options { brokers: 1, sasl: true, ..Options::default() }))
    else {
        return;
    };
    let direct = kafka.bootstrap();
    let (name, password) = USERS[0];
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("username"), name).unwrap();
    fs::write(files.path().join("password"), password).unwrap();
    let folder = files.path().display();
    let login = format!(
        "{{mechanism: SCRAM-SHA-256, username_file: {folder}/username, password_file: {folder}/password}}"
    );
    let upstream: Vec<_> = kafka.sasl_addresses().iter().map(ToString::to_string).collect();
    let upstream = format!(
        "[{}]",
        upstream.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ")
    );
    let brokers = ("SCHEMAWARD_UPSTREAM__BOOTSTRAP", upstream.as_str());
    let rule = ("SCHEMAWARD_DEFAULT_RULE", "{quarantine: true}");
    // schemaward logs in for everybody; or clients log in themselves, and schemaward for the copies alone.
    let jaas = "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
                required username=\"bob\" password=\"bob-secret\";";
    let bob = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256", jaas];
    for (topic, key, client) in [
        ("own-login", "SCHEMAWARD_UPSTREAM__SASL", &[][..]),
        ("beside-clients", "SCHEMAWARD_QUARANTINE__SASL", &bob[..]),
    ] {
        for name in [topic, &format!("{topic}.rejected")] {
            admin::create_topic(&direct, name, 1, 1);
        }
        let sidecar = Sidecar::start_with(&kafka, "", &[brokers, rule, (key, &login)]);
        let cases = [broken(topic), case(topic, "a")];
        let settings = [&TOGETHER[..], client].concat();
        let seen = java.produce(&sidecar.bootstrap(), &settings, &cases);
        assert!(seen.iter().all(|outcome| !outcome.ok), "{topic}: {seen:?}");
        assert!(!format!("{seen:?}").contains("not quarantined"), "{topic}: {seen:?}");
        check_copies(&kafka, topic, &cases, &["payload_invalid", "neighbour"]);
    }
}
