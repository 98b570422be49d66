//! Promise: any combination of plain, TLS and mTLS, towards clients and towards brokers, works with real clients and a real
//! broker; who cannot be trusted there is named.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{net::TcpStream, path::Path, time::Duration};

use bytes::Bytes;
use support::{
    admin,
    binary::Program,
    case::Case,
    certificates::{Authority, Files},
    http,
    java::Java,
    kafka::{Kafka, Options},
    log_reader,
    proxy::loopback,
    python::Python,
    registry::Registry,
    sidecar::{USER, user},
    wait::until,
};
use tokio::time::timeout;

mod support;

const PATIENCE: Duration = Duration::from_secs(60);
const SIDES: [&str; 3] = ["plain", "tls", "mtls"];

/// A broker with three listeners, and the authorities of everybody.
struct Stage {
    kafka: Kafka,
    files: Files,
    brokers: Authority,
    schemawards: Authority,
    servers: Authority,
    clients: Authority,
    registry: Registry,
}

impl Stage {
    async fn start() -> Option<Self> {
        let files = Files::new();
        let [brokers, schemawards, servers, clients] =
            ["brokers", "schemawards", "servers", "clients"].map(Authority::new);
        files.identity("broker", &brokers.issue("broker", &["127.0.0.1", "kafka.example.com"]));
        files.identity("own", &schemawards.issue("schemaward", &[]));
        files.identity("client", &clients.issue("client", &[]));
        for (name, authority) in [
            ("brokers.crt", &brokers),
            ("schemawards.crt", &schemawards),
            ("servers.crt", &servers),
            ("clients.crt", &clients),
        ] {
            files.write(name, &authority.pem());
        }
        let kafka = Kafka::with(&Options {
            brokers: 1,
            listeners: vec![("TLS", "SSL"), ("MTLS", "SSL")],
            properties: broker_properties(files.folder()),
            ..Options::default()
        })?;
        let registry = Registry::start().await;
        registry.id(1, USER);
        Some(Self { kafka, files, brokers, schemawards, servers, clients, registry })
    }

    /// The program between clients and a broker, each side in one of [`SIDES`].
    fn program(&self, client: &str, broker: &str) -> Program {
        let host = loopback();
        self.files.identity("server", &self.servers.issue("schemaward", &[&host]));
        let folder = self.files.folder().display();
        let pair = format!("certificate: {folder}/server.crt, key: {folder}/server.key");
        let listen = match client {
            "plain" => String::new(),
            "tls" => format!(", tls: {{{pair}}}"),
            _ => format!(", client_auth: mtls, tls: {{{pair}, client_ca: {folder}/clients.crt}}"),
        };
        let ca = format!("ca: {folder}/brokers.crt");
        let upstream = match broker {
            "plain" => "null".to_owned(),
            "tls" => format!("{{{ca}}}"),
            _ => format!("{{{ca}, certificate: {folder}/own.crt, key: {folder}/own.key}}"),
        };
        self.run(&host, &listen, broker, &upstream)
    }

    /// The program with this `upstream.tls`, in front of one of the broker's listeners.
    fn run(&self, host: &str, listen: &str, broker: &str, tls: &str) -> Program {
        let at = match broker {
            "plain" => self.kafka.address(1),
            name => self.kafka.listener(1, &name.to_uppercase()),
        };
        let file = format!(
            "listen: {{bootstrap: '{host}:9092', broker_ports: 9100-9109{listen}}}\n\
             upstream: {{bootstrap: ['{at}'], tls: {tls}}}\n\
             registry: {{url: '{}'}}\nadmin: {{listen: '{host}:9464'}}\n",
            self.registry.url(),
        );
        Program::run_file(host, &file, &[])
    }

    /// Settings of a Java client.
    fn java(&self, client: &str) -> Vec<String> {
        let at = self.files.folder().display();
        let mut settings = Vec::new();
        if client != "plain" {
            settings.push("security.protocol=SSL".to_owned());
            settings.push("ssl.truststore.type=PEM".to_owned());
            settings.push(format!("ssl.truststore.location={at}/servers.crt"));
        }
        if client == "mtls" {
            settings.push("ssl.keystore.type=PEM".to_owned());
            settings.push(format!("ssl.keystore.location={at}/client.pem"));
        }
        settings
    }

    /// Settings of librdkafka.
    fn librdkafka(&self, client: &str) -> Vec<String> {
        let at = self.files.folder().display();
        let mut settings = Vec::new();
        if client != "plain" {
            settings.push("security.protocol=ssl".to_owned());
            settings.push(format!("ssl.ca.location={at}/servers.crt"));
        }
        if client == "mtls" {
            settings.push(format!("ssl.certificate.location={at}/client.crt"));
            settings.push(format!("ssl.key.location={at}/client.key"));
        }
        settings
    }
}

fn broker_properties(folder: &Path) -> Vec<(String, String)> {
    let at = folder.display();
    let own = ["tls", "mtls"].into_iter().flat_map(|listener| {
        let key = move |rest: &str| format!("listener.name.{listener}.ssl.{rest}");
        [
            (key("keystore.type"), "PEM".to_owned()),
            (key("keystore.location"), format!("{at}/broker.pem")),
        ]
    });
    let asks = [
        ("client.auth", "required".to_owned()),
        ("truststore.type", "PEM".to_owned()),
        ("truststore.location", format!("{at}/schemawards.crt")),
    ];
    own.chain(asks.map(|(rest, value)| (format!("listener.name.mtls.ssl.{rest}"), value))).collect()
}

/// Valid records are stored, invalid ones are refused, by both clients; and what is stored can be read.
fn check(stage: &Stage, java: &Java, python: &Python, bootstrap: &str, client: &str, topic: &str) {
    let direct = stage.kafka.bootstrap();
    admin::create_topic(&direct, topic, 1, 1);
    let case = |value: &[u8]| {
        Case::new(topic, value).header("content-type", "avro").header("schema-id", "1")
    };
    let (java_settings, librdkafka) = (stage.java(client), stage.librdkafka(client));
    let texts = |settings: &[String]| settings.to_vec();
    let (java_settings, librdkafka) = (texts(&java_settings), texts(&librdkafka));
    let java_settings: Vec<_> = java_settings.iter().map(String::as_str).collect();
    let librdkafka: Vec<_> = librdkafka.iter().map(String::as_str).collect();
    let mut producer = java.producer(bootstrap, &java_settings);
    let mut stored = Vec::new();
    for (name, codes) in [("java", [None, Some(87)]), ("librdkafka", [None, Some(87)])] {
        let good = user(name);
        for (value, code) in [&good[..], &good[..3]].into_iter().zip(codes) {
            let outcome = match name {
                "java" => producer.send(&[case(value)]).remove(0),
                _ => python.produce_confluent(bootstrap, &librdkafka, &[case(value)]).remove(0),
            };
            assert_eq!((outcome.ok, outcome.code), (code.is_none(), code), "{topic}: {outcome:?}");
        }
        stored.push(Some(Bytes::from(good)));
    }
    assert_eq!(log_reader::stored_values(&direct, topic, 0), stored, "{topic}");
    let read = java.consume_with(bootstrap, topic, topic, stored.len(), &java_settings);
    let read: Vec<_> = read.into_iter().map(|record| record.value.map(Bytes::from)).collect();
    assert_eq!(read, stored, "{topic}");
}

async fn each(combinations: &[(&str, &str)]) {
    let (Some(java), Some(python)) = (Java::get(), Python::get()) else { return };
    let Some(stage) = Stage::start().await else { return };
    for (client, broker) in combinations {
        let program = stage.program(client, broker).ready().await;
        let topic = format!("{client}-to-{broker}");
        check(&stage, &java, &python, &program.bootstrap(), client, &topic);
        assert!(!program.said().contains("WARN connection"), "{topic}: {}", program.said());
        program.signal("TERM");
        assert_eq!(program.ended().await.code, Some(0), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mtls_to_clients_and_to_brokers_works_with_real_ones() {
    each(&[("mtls", "mtls")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: scripts/full runs it"]
async fn every_combination_of_plain_tls_and_mtls_works_with_real_clients_and_brokers() {
    let all = SIDES.into_iter().flat_map(|client| SIDES.map(|broker| (client, broker)));
    each(&all.collect::<Vec<_>>()).await;
}

/// Waits for an answer that `wanted` takes, and shows the log where there is none.
async fn eventually(program: &mut Program, path: &str, wanted: impl Fn(&http::Reply) -> bool) {
    let reply = timeout(PATIENCE, program.until(path, wanted)).await;
    assert!(reply.is_ok(), "no such answer at {path}\n{}", program.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_be_trusted_or_does_not_trust_is_named_and_counted() {
    let Some(stage) = Stage::start().await else { return };
    let at = stage.files.folder().display().to_string();
    stage.files.identity("expired", &stage.schemawards.issue_expired("schemaward"));
    let ca = format!("ca: {at}/brokers.crt");
    let table = [
        ("tls", format!("{{{ca}, server_name: kafka.example.com}}"), None, ""),
        (
            "tls",
            format!("{{{ca}, server_name: other.example.com}}"),
            Some("tls"),
            "certificate not valid for name \"other.example.com\"",
        ),
        ("tls", format!("{{ca: {at}/clients.crt}}"), Some("tls"), "UnknownIssuer"),
        ("mtls", format!("{{{ca}}}"), Some("tls"), "does not accept our certificate"),
        (
            "mtls",
            format!("{{{ca}, certificate: {at}/client.crt, key: {at}/client.key}}"),
            Some("tls"),
            "does not accept our certificate",
        ),
        (
            "mtls",
            format!("{{{ca}, certificate: {at}/expired.crt, key: {at}/expired.key}}"),
            Some("tls"),
            "does not accept our certificate",
        ),
        ("plain", format!("{{{ca}}}"), Some("tls"), "TLS handshake failed: "),
        ("tls", "null".to_owned(), None, "the broker speaks TLS, but there is no upstream.tls"),
    ];
    for (broker, tls, counted, expected) in table {
        let mut program = stage.run(&loopback(), "", broker, &tls);
        if expected.is_empty() {
            program.ready().await;
            continue;
        }
        eventually(&mut program, "/readyz", |reply| {
            reply.status == 503 && reply.body.contains(expected)
        })
        .await;
        let Some(kind) = counted else { continue };
        let mut client = TcpStream::connect(program.bootstrap()).unwrap();
        // Where a broker judges after the handshake, it is asked for something.
        std::io::Write::write_all(&mut client, &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
            .unwrap();
        let line = format!("schemaward_upstream_errors_total{{kind=\"{kind}\"}} 0\n");
        eventually(&mut program, "/metrics", |reply| !reply.body.contains(&line)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_are_shown_and_believed_by_rotates_without_a_restart() {
    let Some(stage) = Stage::start().await else { return };
    let at = stage.files.folder().display().to_string();
    stage.files.write("rotating-ca.crt", &stage.clients.pem());
    stage.files.identity("rotating", &stage.schemawards.issue_expired("schemaward"));
    let tls = format!(
        "{{ca: {at}/rotating-ca.crt, certificate: {at}/rotating.crt, key: {at}/rotating.key}}"
    );
    let mut program = stage.run(&loopback(), "", "mtls", &tls);
    eventually(&mut program, "/readyz", |reply| reply.body.contains("UnknownIssuer")).await;
    stage.files.write("rotating-ca.crt", &stage.brokers.pem());
    let refused = |reply: &http::Reply| reply.body.contains("does not accept our certificate");
    eventually(&mut program, "/readyz", refused).await;
    assert!(program.said().contains("has expired on 2020-01-01"), "{}", program.said());
    stage.files.identity("rotating", &stage.schemawards.issue("schemaward", &[]));
    let program = program.ready().await;
    until("both reloads are in the log", || {
        program.said().matches("new TLS files are in force").count() >= 2
    })
    .await;
}
