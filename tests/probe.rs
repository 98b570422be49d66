//! Promise: `schemaward probe` says by its exit code what a running process says of itself, and what happens to brokers and
//! registry changes no probe of a process that is up.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Output},
    thread,
};

use support::{
    batch_builder::{TestBatch, TestRecord},
    binary::Program,
    broker::FakeBroker,
    client::{Client, Produce, only},
    http,
    proxy::loopback,
    registry::Registry,
};

const USER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"}]}"#;
const ADA: &[u8] = b"\x06Ada\x48";

fn probe(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_schemaward");
    Command::new(program).env_clear().arg("probe").args(arguments).output().unwrap()
}

/// Exit code 0 and silence, or 1 and one sentence, which is returned.
fn says_no(output: &Output) -> Option<String> {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    match output.status.code() {
        Some(0) => {
            assert_eq!(said, "");
            None
        }
        Some(1) => {
            assert_eq!(said.lines().count(), 1, "{said}");
            Some(said)
        }
        _ => panic!("{output:?}"),
    }
}

/// A configuration file for a process on `host`.
fn file(host: &str, broker: &str, registry: &str, admin: &str) -> String {
    format!(
        "listen: {{bootstrap: \"{host}:9092\", broker_ports: 9100-9109}}\n\
         upstream: {{bootstrap: [\"{broker}\"]}}\nregistry: {{url: \"{registry}\"}}\n\
         admin: {admin}\n"
    )
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn produce(client: &mut Client) -> i16 {
    let batch = TestBatch::of([TestRecord::avro("1", ADA)]);
    only(&client.produce(9, &Produce::to("users", 0, batch.encode())).await).error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_broker_and_registry_changes_no_probe_of_a_process_that_is_up() {
    // On a runtime of their own: with it their connections end too.
    let theirs = tokio::runtime::Runtime::new().unwrap();
    let (broker, registry) =
        theirs.spawn(async { (FakeBroker::start().await, Registry::start().await) }).await.unwrap();
    registry.id(1, USER);
    let host = loopback();
    let admin = format!("{{listen: \"{host}:9464\", probes_listen: \"{host}:9465\"}}");
    let text = file(&host, &broker.address(), &registry.url(), &admin);
    let program = Program::run_file(&host, &text, &[]).ready().await;
    let mut client = Client::connect(&program.node(1)).await;
    assert_eq!(produce(&mut client).await, 0);
    let config = written(&text);
    let config = config.path().to_str().unwrap();
    let probes = format!("{host}:9465");
    let ask = async |when: &str| {
        for path in ["/livez", "/readyz"] {
            assert_eq!(http::get(&probes, path).await.status, 200, "{when}: {path}");
            let url = format!("http://{probes}{path}");
            assert_eq!(says_no(&probe(&["--url", &url])), None, "{when}: {path}");
        }
        assert_eq!(says_no(&probe(&["--config", config])), None, "{when}");
        assert_eq!(says_no(&probe(&["--config", config, "--ready"])), None, "{when}");
    };
    ask("all is well").await;
    theirs.shutdown_background();
    // It has noticed: what was connected is closed, and so is who comes now.
    assert!(client.closed().await);
    assert!(Client::connect(&program.node(1)).await.closed().await);
    ask("nobody is there").await;
    program.signal("TERM");
    assert_eq!(program.ended().await.code, Some(0));
    let refused = says_no(&probe(&["--config", config])).unwrap();
    assert!(refused.contains(&format!("http://{probes}/livez cannot be asked")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_a_broker_lives_and_is_not_ready_and_the_probe_says_why() {
    let host = loopback();
    let nobody = format!("{}:9000", loopback());
    let token = written("a-token\n");
    let path = token.path().to_str().unwrap();
    let text = file(
        &host,
        &nobody,
        "http://127.0.0.1:1",
        &format!("{{listen: \"{host}:9464\", token_file: {path}}}"),
    );
    let config = written(&text);
    let config = config.path().to_str().unwrap();
    let mut program = Program::run_file(&host, &text, &[]);
    // Without the token nothing is told; the probe reads it from where the configuration says.
    program.until("/livez", |reply| reply.status == 401).await;
    assert_eq!(says_no(&probe(&["--config", config])), None);
    let why = says_no(&probe(&["--config", config, "--ready"])).unwrap();
    assert!(why.contains("503") && why.contains("not ready: waiting for: broker"), "{why}");
    let why = says_no(&probe(&["--url", &format!("http://{host}:9464/livez")])).unwrap();
    assert!(why.contains("401"), "{why}");
}

#[test]
fn whatever_answers_or_does_not_the_probe_ends_with_a_reason() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let chatty = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |listener: &TcpListener| format!("http://{}/livez", listener.local_addr().unwrap());
    let (silent_url, chatty_url) = (at(&silent), at(&chatty));
    // Never ends, and never says what is wanted.
    thread::spawn(move || {
        let (mut stream, _) = chatty.accept().unwrap();
        while stream.write_all(b"HTTP/1.1 500 no\r\nx: y\r\n").is_ok() {}
    });
    let no_probes = written(&file("127.0.0.1", "127.0.0.1:1", "http://127.0.0.1:1", "{}"));
    let broken = written("listen: [\n");
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let table: [(&[&str], &str); 6] = [
        (&["--url", &silent_url, "--timeout", "1"], "did not answer within 1 s"),
        (&["--url", &chatty_url], "500"),
        (&["--url", "https://127.0.0.1:9465/livez"], "it takes a URL such as"),
        (&["--config", &path(&no_probes)], "there is nothing to ask"),
        (&["--config", &path(&broken)], &path(&broken)),
        (&["--config", "/nowhere/schemaward.yaml"], "/nowhere/schemaward.yaml"),
    ];
    for (arguments, expected) in table {
        let why = says_no(&probe(arguments)).unwrap();
        assert!(why.contains(expected), "{arguments:?}: {why}");
    }
    drop(silent);
}
