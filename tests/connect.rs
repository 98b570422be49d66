//! Promise: `check --connect` tries every broker, registry, folder and certificate that a configuration names, says of each in
//! one line that it is well or exactly why not, is done in time, and ends with a code of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::{fs, path::Path, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use support::{
    broker::FakeBroker,
    certificates::{Authority, Files, Issued},
    kafka::{Kafka, Options, USERS},
    registry::{Mood, Registry},
    wait::patiently,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What `check --connect` has said.
struct Said {
    code: i32,
    /// What it printed.
    shown: String,
    /// The lines about what was tried.
    found: Vec<String>,
}

async fn check(file: &str, more: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schemaward.yaml");
    fs::write(&path, file).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_schemaward"))
        .args(["check", "--connect", "--config", path.to_str().unwrap()])
        .args(more)
        .env_clear()
        .output();
    let output = patiently("check --connect", ended).await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let found = shown.lines().filter_map(|line| {
        let found = line.strip_prefix("# ")?;
        (found.starts_with("ok: ") || found.starts_with("failed: ")).then(|| found.to_owned())
    });
    let found = found.collect();
    Said { code: output.status.code().unwrap(), shown: format!("{shown}{told}"), found }
}

/// A configuration with one broker and `registry`.
fn file(broker: &str, registry: &str, more: &str) -> String {
    format!("upstream: {{bootstrap: ['{broker}']}}\nregistry: {registry}\n{more}")
}

/// A server that does `what` with each connection.
struct Server {
    address: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start<F>(what: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(what(stream));
            }
        });
        Self { address, task }
    }

    /// Takes connections and says nothing.
    async fn silent() -> Self {
        Self::start(|mut stream| async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await
    }

    /// Answers whatever comes with `bytes`, then closes.
    async fn saying(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(bytes).await;
        })
        .await
    }

    /// Speaks TLS, and passes on what is said.
    async fn tls(issued: &Issued, to: &str) -> Self {
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let to = to.to_owned();
        Self::start(move |stream| {
            let (acceptor, to) = (acceptor.clone(), to.clone());
            async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut upstream = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut secured, &mut upstream).await;
            }
        })
        .await
    }
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn what_is_well_is_said_in_one_line_each_and_ends_with_0() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    registry.id(1, "\"string\"");
    let said =
        check(&file(&broker.address(), &format!("{{url: '{}'}}", registry.url()), ""), &[]).await;
    let expected = [
        format!(
            "ok: broker {}: a cluster without an id, nodes 1, each in listen.broker_ports",
            broker.address()
        ),
        format!("ok: registry {}/: answers", registry.url()),
    ];
    assert_eq!((said.code, &*said.found), (0, &expected[..]), "{}", said.shown);
    assert!(said.shown.starts_with("# ok\nlisten:\n"), "{}", said.shown);
    let again = check(&said.shown, &[]).await;
    assert_eq!(again.code, 0, "what is printed is a configuration file still: {}", again.shown);
}

#[tokio::test]
async fn each_fault_of_a_broker_is_named_and_ends_with_5() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    let at = format!("{{url: '{}'}}", registry.url());
    let closes = Server::saying(b"").await;
    let no_kafka = Server::saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let speaks_tls = Server::saying(&[0x15, 3, 3, 0, 2, 2, 70]).await;
    let silent = Server::silent().await;
    let outside = "listen: {broker_ports: [{nodes: 5-6, ports: 9100-9101}]}\n";
    let nobody = nobody().await;
    let table = [
        (nobody.as_str(), "", "cannot be reached: Connection refused"),
        ("no.such.host.invalid:9092", "", "cannot be reached: failed to lookup address"),
        (&closes.address, "", "the broker closed the connection or sent no answer"),
        (&no_kafka.address, "", "the broker's answer cannot be read: "),
        (&speaks_tls.address, "", "the broker speaks TLS, but there is no upstream.tls"),
        (&silent.address, "", "no answer within 500ms"),
        (
            &broker.address(),
            outside,
            "a cluster without an id: no local port stands for nodes 1: add {nodes: 1-1, ports: 9102-9102} to listen.broker_ports",
        ),
    ];
    for (address, more, expected) in table {
        let said = check(&file(address, &at, more), &["--timeout", "500ms"]).await;
        let line = format!("failed: broker {address}: {expected}");
        assert!(said.found[0].starts_with(&line), "{line}\n{}", said.shown);
        assert_eq!((said.code, said.found.len()), (5, 2), "{}", said.shown);
        assert!(said.found[1].starts_with("ok: registry "), "the others are tried as well");
    }
}

#[tokio::test]
async fn every_broker_is_tried_and_not_only_the_first_that_answers() {
    let (one, two, dead) = (FakeBroker::start().await, FakeBroker::start().await, nobody().await);
    let brokers = format!("{}', '{dead}', '{}", one.address(), two.address());
    let said = check(&file(&brokers, "{}", "default_rule: {check: metadata}"), &[]).await;
    let beginnings = [
        format!("ok: broker {}", one.address()),
        format!("failed: broker {dead}"),
        format!("ok: broker {}", two.address()),
    ];
    assert_eq!((said.code, said.found.len()), (5, 3), "{}", said.shown);
    for (line, expected) in said.found.iter().zip(beginnings) {
        assert!(line.starts_with(&expected), "{}", said.shown);
    }
}

#[tokio::test]
async fn tls_towards_brokers_is_tried_and_what_fails_is_named() {
    let (broker, files) = (FakeBroker::start().await, Files::new());
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    // Bundles hold old authorities too: the one that ends last counts.
    files.write("ours.crt", &format!("{}{}", others.issue_expired("old").certificate, ours.pem()));
    files.write("others.crt", &others.pem());
    let secured = Server::tls(&ours.issue("broker", &["127.0.0.1"]), &broker.address()).await;
    let misnamed = Server::tls(&ours.issue("broker", &["kafka"]), &broker.address()).await;
    let plain = Registry::start().await;
    let table = [
        (secured.address.clone(), "ours", "ok: broker", "a cluster without an id, nodes 1"),
        (
            secured.address.clone(),
            "others",
            "failed: broker",
            "cannot be reached: TLS handshake failed: ",
        ),
        (
            misnamed.address.clone(),
            "ours",
            "failed: broker",
            "cannot be reached: TLS handshake failed: ",
        ),
        (
            plain.address(),
            "ours",
            "failed: broker",
            "cannot be reached: TLS handshake failed: the other side does not speak TLS",
        ),
    ];
    for (address, authority, verdict, expected) in table {
        let ca = files.path(&format!("{authority}.crt"));
        let text = format!(
            "upstream: {{bootstrap: ['{address}'], tls: {{ca: {}}}}}\ndefault_rule: {{check: metadata}}\n",
            ca.display()
        );
        let said = check(&text, &[]).await;
        let line = format!("{verdict} {address}: {expected}");
        assert!(said.found.last().unwrap().starts_with(&line), "{line}\n{}", said.shown);
        let holds = format!("ok: upstream.tls.ca {}: holds until ", ca.display());
        assert!(said.found[0].starts_with(&holds), "{}", said.shown);
        assert_eq!(said.code, if verdict.starts_with("ok") { 0 } else { 5 });
    }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_a_fault() {
    let (broker, files) = (FakeBroker::start().await, Files::new());
    let authority = Authority::new("ours");
    files.identity("tls", &authority.issue_expired("schemaward"));
    let folder = files.folder().display();
    let tls =
        format!("listen: {{tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}}}\n");
    let rule = "default_rule: {check: metadata}\n";
    let said = check(&file(&broker.address(), "{}", &format!("{tls}{rule}")), &[]).await;
    let expected = format!(
        "failed: listen.tls.certificate {folder}/tls.crt: has expired on 2020-01-01T00:00:00Z"
    );
    assert_eq!((said.code, &said.found[0]), (5, &expected), "{}", said.shown);
}

#[tokio::test]
async fn each_way_a_registry_answers_is_named() {
    let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
    let broker = broker.address();
    let at = registry.url();
    let documents = format!("{{url: '{at}', api: documents}}");
    let template = format!("{{url: '{at}', api: documents, template: '/by/{{guid_hex}}'}}");
    let table = [
        (Mood::Well, "", "ok", "answers, but not like a registry's API (404 Not Found, no JSON)"),
        (
            Mood::Status(401),
            "",
            "failed",
            "wants credentials, and none are configured (401 Unauthorized)",
        ),
        (
            Mood::Status(403),
            "",
            "failed",
            "wants credentials, and none are configured (403 Forbidden)",
        ),
        (Mood::Status(503), "", "failed", "answered 503 Service Unavailable"),
        (Mood::Status(429), "", "failed", "answered 429 Too Many Requests"),
        (Mood::Status(400), "", "failed", "answered 400 Bad Request"),
        (Mood::Garbage, "", "failed", "answers, but not as a registry"),
        (
            Mood::Redirect("http://elsewhere.example.com/".into()),
            "",
            "failed",
            "origin http://elsewhere.example.com is not allowed",
        ),
        (Mood::Redirect(format!("{at}/again")), "", "failed", "more than 5 redirects"),
        (Mood::Silent, "", "failed", "no whole answer within 200ms"),
        (Mood::Well, &documents, "ok", "answers"),
        (
            Mood::Status(403),
            &documents,
            "ok",
            "answers; what it permits to read only a document can tell",
        ),
        (Mood::Status(401), &documents, "failed", "wants credentials"),
        (Mood::Status(403), &template, "failed", "wants credentials"),
        (Mood::Status(404), &template, "ok", "answers"),
    ];
    for (mood, settings, verdict, expected) in table {
        let plain = format!("{{url: '{at}', request_timeout: 200ms}}");
        let settings = if settings.is_empty() { &*plain } else { settings };
        registry.mood(mood.clone());
        let said = check(&file(&broker, settings, ""), &[]).await;
        let line = format!("{verdict}: registry {at}/: {expected}");
        assert!(said.found[1].starts_with(&line), "{mood:?}: {line}\n{}", said.shown);
        assert_eq!(said.code, if verdict == "ok" { 0 } else { 5 }, "{mood:?}");
    }
    assert!(registry.requests().contains(&"/schemas/ids/1".to_owned()));
    assert!(registry.requests().contains(&format!("/by/{}", "0".repeat(32))));
}

#[tokio::test]
async fn credentials_are_shown_to_the_registry_that_they_are_for_and_what_it_thinks_of_them_is_said()
 {
    use axum::{
        Router,
        http::{HeaderMap, StatusCode},
    };
    let app = Router::new().fallback(|headers: HeaderMap| async move {
        let token = headers.get("authorization").and_then(|it| it.to_str().ok());
        let body = "{\"error_code\": 40403}";
        if token == Some("Bearer good") {
            (StatusCode::NOT_FOUND, body)
        } else {
            (StatusCode::UNAUTHORIZED, body)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let (broker, files) = (FakeBroker::start().await, Files::new());
    for (token, verdict, expected, code) in [
        ("good", "ok", "answers, and accepts the credentials", 0),
        ("bad", "failed", "does not accept schemaward's credentials (401 Unauthorized)", 5),
    ] {
        let path = files.write("token", token);
        let registry = format!("{{url: 'http://{address}', token_file: {}}}", path.display());
        let said = check(&file(&broker.address(), &registry, ""), &[]).await;
        let line = format!("{verdict}: registry http://{address}/: {expected}");
        assert_eq!((said.code, &said.found[1]), (code, &line), "{}", said.shown);
        assert!(!said.shown.contains("Bearer"), "{}", said.shown);
    }
    server.abort();
}

#[tokio::test]
async fn registries_under_tls_further_ones_and_allowed_origins_are_tried() {
    let (broker, registry, files) =
        (FakeBroker::start().await, Registry::start().await, Files::new());
    let authority = Authority::new("ours");
    files.write("ours.crt", &authority.pem());
    let secured =
        Server::tls(&authority.issue("registry", &["127.0.0.1"]), &registry.address()).await;
    let (nobody, ca) = (nobody().await, files.path("ours.crt"));
    let ca = ca.display();
    let settings = format!(
        "{{url: 'https://{0}', others: [{{url: 'https://{0}/x', tls: {{ca: {ca}}}}}, {{url: 'http://{nobody}'}}], allow: ['{1}', 'https://*.example.com']}}",
        secured.address,
        registry.url()
    );
    let said = check(&file(&broker.address(), &settings, ""), &[]).await;
    let expected = [
        format!("ok: registry.others[0].tls.ca {ca}: holds until "),
        format!("ok: broker {}", broker.address()),
        format!(
            "failed: registry https://{}/: cannot be read: invalid peer certificate: ",
            secured.address
        ),
        format!("ok: registry https://{}/x: answers", secured.address),
        format!("failed: registry http://{nobody}/: cannot be read: "),
        format!("ok: origin {}: answers (404 Not Found)", registry.url()),
    ];
    assert_eq!((said.code, said.found.len()), (5, expected.len()), "{}", said.shown);
    for (line, expected) in said.found.iter().zip(expected) {
        assert!(line.starts_with(&expected), "{expected}\n{}", said.shown);
    }
}

#[tokio::test]
async fn the_schemas_of_a_folder_are_read() {
    let (broker, folder) = (FakeBroker::start().await, tempfile::tempdir().unwrap());
    let at = folder.path().display().to_string();
    let registry = format!("{{api: directory, path: {at}}}");
    let said = async || check(&file(&broker.address(), &registry, ""), &[]).await;
    let empty = said().await;
    assert_eq!(
        empty.found[1],
        format!("failed: folder {at}: there is no schema file in the folder")
    );
    let write = |name: &str, text: &str| fs::write(Path::new(&at).join(name), text).unwrap();
    write("a.avsc", "\"string\"");
    write("b.proto", "syntax = \"proto3\"; message A { int32 a = 1; }");
    write("notes.txt", "no schema");
    let sound = said().await;
    assert_eq!(
        (sound.code, &sound.found[1]),
        (0, &format!("ok: folder {at}: schema files: 2, each can be used"))
    );
    write("c.avsc", "{\"type\": \"recrod\"}");
    let broken = said().await;
    let expected = format!("failed: folder {at}: 1 of 3 schema files cannot be used: c.avsc: ");
    assert!(broken.code == 5 && broken.found[1].starts_with(&expected), "{}", broken.shown);
}

#[tokio::test]
async fn a_faulty_file_ends_with_2_and_nothing_is_tried() {
    let broker = FakeBroker::start().await;
    let text = file(&broker.address(), "{url: 'http://r', token_file: /no/such}", "");
    let said = check(&text, &[]).await;
    assert_eq!((said.code, said.found.len()), (2, 0), "{}", said.shown);
    assert!(
        said.shown.contains(":2: registry.token_file: /no/such: cannot be read: "),
        "{}",
        said.shown
    );
    assert!(broker.frames().is_empty());
}

#[tokio::test]
async fn what_was_tried_is_in_json_too() {
    let (broker, nobody) = (FakeBroker::start().await, nobody().await);
    let text = file(&broker.address(), &format!("{{url: 'http://{nobody}'}}"), "");
    let said = check(&text, &["--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said.shown).unwrap();
    let found = report["connections"].as_array().unwrap();
    let facts: Vec<_> = found
        .iter()
        .map(|it| (it["subject"].as_str().unwrap(), it["ok"].as_bool().unwrap()))
        .collect();
    let (one, two) = (format!("broker {}", broker.address()), format!("registry http://{nobody}/"));
    assert_eq!((said.code, facts), (5, vec![(&*one, true), (&*two, false)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_broker_names_its_cluster_and_accepts_or_refuses_a_login_of_ones_own() {
    let options = Options { brokers: 1, sasl: true, ..Options::default() };
    let started = tokio::task::spawn_blocking(move || Kafka::with(&options)).await.unwrap();
    let Some(kafka) = started else { return };
    let rule = "default_rule: {check: metadata}\n";
    let plain = kafka.addresses()[0].to_string();
    let said = check(&file(&plain, "{}", rule), &[]).await;
    let line = &said.found[0];
    let named = line.starts_with(&format!("ok: broker {plain}: cluster "));
    assert!(named && line.ends_with(", nodes 1, each in listen.broker_ports"), "{}", said.shown);
    let secured = kafka.sasl_addresses()[0].to_string();
    let stranger = check(&file(&secured, "{}", rule), &[]).await;
    let expected = format!(
        "ok: broker {secured}: answers, but wants a login before it tells more: clients need one, or upstream.sasl"
    );
    assert_eq!((stranger.code, &stranger.found[0]), (0, &expected), "{}", stranger.shown);
    let files = Files::new();
    let (name, password) = USERS[0];
    for (password, verdict, detail, code) in
        [(password, "ok", "cluster ", 0), ("wrong", "failed", "does not let schemaward in: ", 5)]
    {
        files.write("username", name);
        files.write("password", password);
        let folder = files.folder().display();
        let text = format!(
            "upstream:\n  bootstrap: ['{secured}']\n  sasl: {{username_file: {folder}/username, password_file: {folder}/password}}\n{rule}"
        );
        let said = check(&text, &[]).await;
        let line = format!("{verdict}: broker {secured}: {detail}");
        assert!(said.code == code && said.found[0].starts_with(&line), "{line}\n{}", said.shown);
        assert!(!said.shown.contains(password) || password == name, "{}", said.shown);
    }
}
