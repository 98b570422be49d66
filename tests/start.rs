//! Promise: whatever is wrong at start is said in a sentence that names it, the exit code tells the kind, and what may yet
//! come right (a broker, a registry) is waited for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::process::{Command, Output};

use kafka_protocol::messages::ApiVersionsRequest;
use support::{
    binary::{Ended, Program},
    broker::FakeBroker,
    client::{Client, Produce, only},
    http,
    proxy::{Proxy, loopback},
    registry::Registry,
    valve::Valve,
    wait::{patiently, until},
};

/// A configuration without mistakes on `host`.
fn sound(host: &str) -> String {
    format!(
        "listen:\n  bootstrap: {host}:9092\n  broker_ports: 9100-9103\nupstream:\n  \
         bootstrap: [\"{host}:1\"]\nregistry:\n  url: http://{host}:2\nadmin:\n  \
         listen: {host}:9464\n"
    )
}

async fn run(host: &str, file: &str) -> Ended {
    Program::run_file(host, file, &[]).ended().await
}

/// The one line that was said.
fn sentence(ended: &Ended) -> &str {
    assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
    ended.said.trim_end()
}

#[tokio::test]
async fn an_unknown_key_is_named_with_file_and_line() {
    let host = loopback();
    let file = sound(&host).replace("broker_ports", "broker_port");
    let ended = run(&host, &file).await;
    assert_eq!(ended.code, Some(2));
    let expected = "schemaward.yaml:3: listen.broker_port: unknown key, did you mean broker_ports";
    assert!(sentence(&ended).ends_with(expected), "{}", ended.said);
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let host = loopback();
    let file = format!(
        "listen:\n  bootstrap: {host}\nupstream:\n  bootstrap: [kafka, \"kafka:0\"]\nregistry:\n  \
         url: schema-registry:8081\nrules:\n  - topics: [\"a b\"]\n    mode: enforced\n\
         drain: {{grace: soon}}\ncolour: red\n"
    );
    let ended = run(&host, &file).await;
    assert_eq!(ended.code, Some(2));
    let lines: Vec<_> = ended.said.lines().collect();
    let expected = [
        (2, "listen.bootstrap: must be an IP address and a port"),
        (
            4,
            "upstream.bootstrap[0]: must be host:port, such as kafka-0.kafka.svc:9092, found \"kafka\"",
        ),
        (
            4,
            "upstream.bootstrap[1]: must be host:port, such as kafka-0.kafka.svc:9092, found \"kafka:0\"",
        ),
        (6, "registry.url: must be an http or https URL"),
        (8, "rules[0].topics[0]: must be a topic name or a glob"),
        (9, "rules[0].mode: must be one of enforce, observe, off, found \"enforced\""),
        (10, "drain.grace: must be a duration"),
        (11, "colour: unknown key"),
    ];
    assert_eq!(lines.len(), expected.len(), "{}", ended.said);
    for (line, (number, message)) in lines.iter().zip(expected) {
        assert!(line.contains(&format!("schemaward.yaml:{number}: {message}")), "{line}");
    }
}

#[tokio::test]
async fn faults_of_one_value_are_one_sentence_each() {
    let host = loopback();
    let table = [
        (
            format!("\"{host}:1\""),
            "kafka-0.kafka.svc".to_owned(),
            "upstream.bootstrap[0]: must be host:port",
        ),
        (
            format!("\"{host}:1\""),
            "\"kafka:99999\"".to_owned(),
            "upstream.bootstrap[0]: must be host:port",
        ),
        (format!("\"{host}:1\""), format!("\"{host}:9092\""), "is where schemaward itself listens"),
        (
            format!("http://{host}:2"),
            "registry".to_owned(),
            "registry.url: must be an http or https URL",
        ),
        (
            format!("http://{host}:2"),
            "ftp://registry".to_owned(),
            "registry.url: must be an http or https URL",
        ),
        (
            format!("http://{host}:2"),
            "http://user:secret@registry".to_owned(),
            "registry.url: must not hold a user name or password: http://registry",
        ),
        (
            format!("listen: {host}:9464"),
            "listen: 0.0.0.0:9464".to_owned(),
            "it needs admin.token_file",
        ),
        (
            format!("listen: {host}:9464"),
            format!("listen: {host}:9101"),
            "is taken by listen.broker_ports",
        ),
        (
            format!("bootstrap: {host}:9092"),
            "bootstrap: 10.0.0.1:9092".to_owned(),
            "listen.client_auth: missing",
        ),
    ];
    for (old, new, expected) in table {
        let file = sound(&host);
        assert!(file.contains(&old));
        let ended = run(&host, &file.replacen(&old, &new, 1)).await;
        assert_eq!(ended.code, Some(2), "{new}: {}", ended.said);
        assert!(sentence(&ended).contains(expected), "{new}: {}", ended.said);
        assert!(!ended.said.contains("secret"), "{}", ended.said);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let host = loopback();
    for (address, key) in [
        (format!("{host}:9092"), "cannot listen on "),
        (format!("{host}:9102"), "cannot listen on "),
        (format!("{host}:9464"), "admin.listen "),
    ] {
        let taken = std::net::TcpListener::bind(&address).unwrap();
        let ended = run(&host, &sound(&host)).await;
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        let last = ended.said.lines().last().unwrap();
        assert!(last.starts_with(&format!("schemaward: {key}{address}")), "{}", ended.said);
        assert!(last.contains(": Address already in use"), "{}", ended.said);
        assert_eq!(ended.said.matches("already in use").count(), 1, "{}", ended.said);
        drop(taken);
    }
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_named() {
    let host = loopback();
    let file = sound(&host).replace(
        &format!("bootstrap: {host}:9092"),
        "bootstrap: 192.0.2.1:9092\n  client_auth: none",
    );
    let ended = run(&host, &file).await;
    assert_eq!(ended.code, Some(1));
    let expected = "schemaward: cannot listen on 192.0.2.1:9092: Cannot assign requested address";
    assert!(sentence(&ended).starts_with(expected), "{}", ended.said);
}

#[tokio::test]
async fn a_token_file_that_is_not_there_is_named() {
    let host = loopback();
    let file = format!("{}  token_file: /nowhere/token\n", sound(&host));
    let ended = run(&host, &file).await;
    assert_eq!(ended.code, Some(1));
    let last = ended.said.lines().last().unwrap();
    assert!(last.starts_with("schemaward: admin.token_file cannot be used: "), "{}", ended.said);
}

fn schemaward(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schemaward"))
        .args(arguments)
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap()
}

#[test]
fn files_that_cannot_be_read_are_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("latin.yaml"), b"listen: \xff").unwrap();
    std::fs::write(path("broken.yaml"), "listen: {bootstrap: [\n").unwrap();
    std::fs::write(path("text.yaml"), "hello").unwrap();
    std::fs::write(path("binary.yaml"), [0; 64]).unwrap();
    std::fs::write(path("twice.yaml"), "log: {level: info}\nlog: {level: warn}\n").unwrap();
    std::fs::write(path("deep.yaml"), "[".repeat(100_000)).unwrap();
    std::fs::write(path("large.yaml"), " ".repeat(2 * 1024 * 1024)).unwrap();
    for name in [
        "none.yaml",
        ".",
        "latin.yaml",
        "broken.yaml",
        "text.yaml",
        "binary.yaml",
        "twice.yaml",
        "deep.yaml",
        "large.yaml",
    ] {
        for command in ["run", "check"] {
            let output = schemaward(&[command, "--config", &path(name)]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {said}");
            assert_eq!(said.lines().count(), 1, "{command} {name}: {said}");
            assert!(said.starts_with(&path(name)) && said.len() < 500, "{command} {name}: {said}");
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.yaml");
    std::fs::write(&path, "").unwrap();
    let output = schemaward(&["check", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("upstream.bootstrap: missing: give at least one broker"), "{said}");
    assert!(said.contains("registry.url: missing: "), "{said}");
}

#[tokio::test]
async fn brokers_that_do_not_answer_leave_it_running_and_saying_why() {
    let host = loopback();
    for (broker, why) in [
        (format!("{host}:1"), "cannot be reached: Connection refused"),
        ("nowhere.invalid:9092".to_owned(), "broker nowhere.invalid:9092 cannot be reached: "),
    ] {
        let file = sound(&host).replace(&format!("{host}:1"), &broker);
        let mut program = Program::run_file(&host, &file, &[]);
        let reply = program.until("/readyz", |reply| reply.body.contains(why)).await;
        assert_eq!(reply.status, 503);
        assert!(reply.body.starts_with("not ready: waiting for: broker ("), "{}", reply.body);
        assert_eq!(http::get(&program.admin(), "/livez").await.status, 200);
        let mut client = Client::connect(&program.bootstrap()).await;
        assert!(client.closed().await, "a client is not kept waiting");
        assert!(program.said().contains("no broker has answered yet"), "{}", program.said());
        program.signal("TERM");
        assert_eq!(program.ended().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_client_that_came_before_its_broker_was_known_is_sent_there_once_it_is() {
    let broker = FakeBroker::start().await;
    // Where the proxy asks first is not where the broker says that it listens.
    let elsewhere = Valve::to(&broker.address()).await;
    elsewhere.shut();
    let upstream = [elsewhere.address()];
    let proxy = Proxy::start_unready(&upstream, "http://127.0.0.1:1", "").await;
    let mut early = Client::connect(&proxy.node(1)).await;
    early.send(3, &ApiVersionsRequest::default()).await;
    until("it is led somewhere", || {
        proxy.metric("schemaward_requests_total{api=\"ApiVersions\"}") >= 1.0
    })
    .await;
    elsewhere.open();
    // It is told to come again: where it is it would stay for ever.
    patiently("its end", async { while early.receive_frame().await.is_some() {} }).await;
    elsewhere.shut();
    let mut late = Client::connect(&proxy.node(1)).await;
    patiently("the broker itself", late.call(3, &ApiVersionsRequest::default())).await;
}

#[tokio::test]
async fn a_registry_that_is_not_there_does_not_keep_it_from_starting() {
    let (broker, host) = (FakeBroker::start().await, loopback());
    let file = sound(&host).replace(&format!("{host}:1"), &broker.address());
    let program = Program::run_file(&host, &file, &[]).ready().await;
    assert_eq!(http::get(&program.admin(), "/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn variables_override_the_file() {
    let (broker, registry, host) = (FakeBroker::start().await, Registry::start().await, loopback());
    let elsewhere = format!("{host}:19092");
    let upstream = format!("[\"{}\"]", broker.address());
    let url = registry.url();
    let variables = [
        ("SCHEMAWARD_LISTEN__BOOTSTRAP", elsewhere.as_str()),
        ("SCHEMAWARD_UPSTREAM__BOOTSTRAP", &upstream),
        ("SCHEMAWARD_REGISTRY__URL", &url),
        ("SCHEMAWARD_RULES", "[{topics: [\"free.*\"], mode: off}]"),
        ("SCHEMAWARD_LOG__FORMAT", "json"),
        ("SCHEMAWARD_SERVICE_HOST", "10.0.0.1"),
    ];
    let program = Program::run_file(&host, &sound(&host), &variables).ready().await;
    let mut client = Client::connect(&elsewhere).await;
    for (topic, code) in [("free.one", 0), ("other", 87)] {
        let response = client.produce(9, &Produce::to(topic, 0, &b"not a batch"[..])).await;
        assert_eq!(only(&response).error_code, code, "{topic}");
    }
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0));
    for line in ended.said.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_faulty_variable_is_named() {
    let host = loopback();
    let variables = [("SCHEMAWARD_LISTEN__BOOTSTRAP", "here"), ("SCHEMAWARD_LOG_LEVEL", "info")];
    let ended = Program::run_file(&host, &sound(&host), &variables).ended().await;
    assert_eq!(ended.code, Some(2));
    let expected =
        "SCHEMAWARD_LISTEN__BOOTSTRAP: listen.bootstrap: must be an IP address and a port";
    assert!(ended.said.contains(expected), "{}", ended.said);
    let expected = "SCHEMAWARD_LOG_LEVEL: unknown variable, did you mean SCHEMAWARD_LOG__LEVEL";
    assert!(ended.said.contains(expected), "{}", ended.said);
}

#[tokio::test]
async fn it_can_be_stopped_before_it_is_ready_and_started_again() {
    let host = loopback();
    for _ in 0..2 {
        let mut program = Program::run_file(&host, &sound(&host), &[]);
        program.until("/livez", |_| true).await;
        program.signal("INT");
        let ended = program.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
    }
}
