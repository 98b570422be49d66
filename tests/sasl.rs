//! Promise: clients' logins pass, and where one is required nothing passes before it; with credentials of its own the proxy
//! logs in for clients that need none, and again before a login ends; nobody disturbs somebody else by his name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use std::{fs, thread, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
    },
    protocol::StrBytes,
};
use support::{
    admin,
    batch_builder::{TestBatch, TestRecord},
    case::{Case, Outcome},
    client::{Client, Produce, frame, only},
    java::Java,
    kafka::{Kafka, Options, USERS},
    log_reader,
    proxy::Proxy,
    python::Python,
    scripted::{BrokerEnd, Stage, raw_request, response},
    sidecar::{Sidecar, user},
    wait::patiently,
};

mod support;

const REQUIRED: (&str, &str) = ("SCHEMAWARD_LISTEN__CLIENT_AUTH", "sasl");
const PASSWORD: &str = "correct horse";

fn handshake(mechanism: &'static str) -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism))
}

fn authenticate(message: impl Into<Bytes>) -> SaslAuthenticateRequest {
    SaslAuthenticateRequest::default().with_auth_bytes(message.into())
}

/// Answers the next two requests as a broker does: the mechanism is taken, the message answered with `error`.
async fn answer_login(broker: &mut BrokerEnd, error: i16, message: &'static [u8]) {
    let named = broker.request().await;
    assert_eq!((named.api_key(), named.version()), (17, 1));
    let taken = SaslHandshakeResponse::default();
    broker.send(&response(named.correlation_id(), 1, &taken)).await;
    let proven = broker.request().await;
    assert_eq!(proven.api_key(), 36);
    let answer = SaslAuthenticateResponse::default()
        .with_error_code(error)
        .with_error_message(Some(StrBytes::from_static_str("the broker's own words")))
        .with_auth_bytes(Bytes::from_static(message));
    broker.send(&response(proven.correlation_id(), proven.version(), &answer)).await;
}

/// Logs in through the proxy, and gives what the broker's answer says.
async fn log_in(
    client: &mut Client,
    broker: &mut BrokerEnd,
    name: &str,
    error: i16,
) -> SaslAuthenticateResponse {
    let message = format!("\0{name}\0{PASSWORD}");
    let (answer, ()) = tokio::join!(
        async {
            client.call(1, &handshake("PLAIN")).await;
            client.call(2, &authenticate(message)).await
        },
        answer_login(broker, error, b""),
    );
    answer
}

/// Everything that must not pass before a login, as bytes.
fn strangers() -> Vec<(&'static str, Vec<u8>)> {
    let produce = Produce::to("t", 0, TestBatch::of([TestRecord::bare("x")]).encode()).request(9);
    let oversized = [&(512 * 1024 + 1_i32).to_be_bytes()[..], &[0, 36, 0, 2]].concat();
    vec![
        ("Produce", frame(1, 9, &produce).to_vec()),
        ("Produce, announced only", frame(1, 9, &produce)[..6].to_vec()),
        ("Metadata", frame(1, 9, &MetadataRequest::default()).to_vec()),
        ("an unknown api", raw_request(999, 0, 1, b"").to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("TLS", vec![22, 3, 1, 2, 0, 1, 0, 1, 252]),
        ("an oversized login", oversized),
        ("a login by an unknown mechanism", frame(1, 1, &handshake("GSSAPI")).to_vec()),
        (
            "two logins at once",
            [&frame(1, 1, &handshake("PLAIN"))[..], &frame(2, 1, &handshake("PLAIN"))].concat(),
        ),
        (
            "what is pipelined behind a login",
            [
                &frame(1, 1, &handshake("PLAIN"))[..],
                &frame(2, 2, &authenticate("\0a\0b")),
                &frame(3, 9, &produce),
            ]
            .concat(),
        ),
    ]
}

/// The api keys of the requests in `bytes`.
fn api_keys(mut bytes: &[u8]) -> Vec<i16> {
    let mut keys = Vec::new();
    while let Some((size, rest)) = bytes.split_first_chunk() {
        let (request, rest) = rest.split_at(u32::from_be_bytes(*size) as usize);
        keys.push(i16::from_be_bytes(*request.first_chunk().unwrap()));
        bytes = rest;
    }
    keys
}

#[tokio::test]
async fn a_stranger_is_closed_before_anything_of_his_is_looked_at() {
    let registry = support::registry::Registry::start().await;
    let mut stage = Stage::with(&registry.url(), "", &[REQUIRED]).await;
    for (what, bytes) in strangers() {
        let (mut client, mut broker) = stage.connect().await;
        client.send_bytes(&bytes).await;
        let silent = patiently(what, client.closed()).await;
        assert!(silent, "{what} was answered");
        let keys = api_keys(&broker.rest().await);
        assert!(keys.iter().all(|key| matches!(key, 17 | 36)), "{what}: {keys:?}");
    }
    assert_eq!(registry.requests(), [""; 0]);
    assert_eq!(stage.memory_used(), 0);
}

#[tokio::test]
async fn a_login_that_the_broker_has_accepted_opens_the_way_and_no_other_does() {
    let mut stage = Stage::with(support::scripted::NO_REGISTRY, "", &[REQUIRED]).await;
    let (mut client, mut broker) = stage.connect().await;
    let ask = ApiVersionsRequest::default();
    let (versions, ()) = tokio::join!(client.call(0, &ask), async {
        let asked = broker.request().await;
        let none = ApiVersionsResponse::default();
        broker.send(&response(asked.correlation_id(), 0, &none)).await;
    });
    assert_eq!(versions.error_code, 0);
    let answer = log_in(&mut client, &mut broker, "alice", 0).await;
    assert_eq!(answer.error_code, 0);
    client.send_bytes(&raw_request(2, 1, 77, b"anything")).await;
    assert_eq!(broker.request().await.correlation_id(), 77);

    // Refused by code, and refused by a message with code 0 (RFC 7628).
    let (mut client, mut broker) = stage.connect().await;
    let answer = log_in(&mut client, &mut broker, "mallory", 58).await;
    assert_eq!(answer.error_code, 58);
    assert_eq!(answer.error_message.as_deref(), Some("the broker's own words"));
    client.send_bytes(&raw_request(2, 1, 77, b"anything")).await;
    assert!(patiently("the end", client.closed()).await);
    assert_eq!(broker.rest().await, [0; 0]);

    let (mut client, mut broker) = stage.connect().await;
    tokio::join!(
        async {
            client.call(1, &handshake("OAUTHBEARER")).await;
            let token = "n,,\u{1}auth=Bearer e30.e30.\u{1}\u{1}";
            assert_eq!(client.call(2, &authenticate(token)).await.error_code, 0);
        },
        answer_login(&mut broker, 0, br#"{"status":"invalid_token"}"#),
    );
    client.send_bytes(&raw_request(2, 1, 77, b"anything")).await;
    assert!(patiently("the end", client.closed()).await);
    assert_eq!(broker.rest().await, [0; 0]);
}

#[tokio::test]
async fn who_does_not_log_in_in_time_is_closed_and_who_did_is_not() {
    let limits = "limits:\n  handshake_timeout: 3s\n";
    let mut stage = Stage::with(support::scripted::NO_REGISTRY, limits, &[REQUIRED]).await;
    let (mut known, mut broker) = stage.connect().await;
    log_in(&mut known, &mut broker, "alice", 0).await;
    let mut strangers = Vec::new();
    for bytes in [&b""[..], &[0, 0], &frame(1, 1, &handshake("PLAIN"))] {
        let (mut client, broker) = stage.connect().await;
        client.send_bytes(bytes).await;
        strangers.push((client, broker));
    }
    for (client, _broker) in &mut strangers {
        assert!(patiently("the end of who is silent", client.closed()).await);
    }
    known.send_bytes(&raw_request(2, 1, 77, b"anything")).await;
    assert_eq!(broker.request().await.correlation_id(), 77);
}

#[tokio::test]
async fn a_gap_belongs_to_the_user_who_caused_it() {
    let mut stage = Stage::with(support::scripted::NO_REGISTRY, "", &[]).await;
    let batch = |record, sequence| TestBatch::of([record]).sequenced(7, 0, sequence).encode();
    let bad = |sequence| batch(TestRecord::bare("no metadata"), sequence);
    let good = |sequence| batch(TestRecord::tombstone("k"), sequence);
    let (mut mallory, mut behind_mallory) = stage.connect().await;
    log_in(&mut mallory, &mut behind_mallory, "mallory", 0).await;
    let (mut victim, mut behind_victim) = stage.connect().await;
    log_in(&mut victim, &mut behind_victim, "victim", 0).await;

    mallory.send(9, &Produce::to("t", 0, bad(0)).request(9)).await;
    let empty = behind_mallory.request().await;
    behind_mallory.answer(&empty, &[0, 1, 0, 0, 0, 0, 0]).await;
    let answer = mallory.receive::<kafka_protocol::messages::ProduceResponse>(9).await.unwrap().1;
    assert_eq!(only(&answer).error_code, 87);

    // His own follower waits for it; the victim's, with the same producer id from the same address, does not.
    mallory.send(9, &Produce::to("t", 0, good(1)).request(9)).await;
    let empty = behind_mallory.request().await;
    behind_mallory.answer(&empty, &[0, 1, 0, 0, 0, 0, 0]).await;
    let answer = mallory.receive::<kafka_protocol::messages::ProduceResponse>(9).await.unwrap().1;
    assert_eq!(only(&answer).error_code, 45);
    let sent = Produce::to("t", 0, good(1)).request(9);
    victim.send(9, &sent).await;
    let came = behind_victim.request().await;
    assert_eq!(came.0[12..], frame(1, 9, &sent)[12..]);

    // The gap stays his on his next connection.
    let (mut again, mut behind_again) = stage.connect().await;
    log_in(&mut again, &mut behind_again, "mallory", 0).await;
    again.send(9, &Produce::to("t", 0, good(2)).request(9)).await;
    let empty = behind_again.request().await;
    behind_again.answer(&empty, &[0, 1, 0, 0, 0, 0, 0]).await;
    let answer = again.receive::<kafka_protocol::messages::ProduceResponse>(9).await.unwrap().1;
    assert_eq!(only(&answer).error_code, 45);
}

/// A broker with logins. `lifetime`: how long one holds.
fn kafka(lifetime: Option<u64>) -> Option<Kafka> {
    let lifetime = lifetime.map(|it| ("connections.max.reauth.ms".to_owned(), it.to_string()));
    let properties = lifetime.into_iter().collect();
    Kafka::with(&Options { brokers: 1, sasl: true, properties, ..Options::default() })
}

/// The proxy in front of the listener with logins.
fn sidecar(kafka: &Kafka, more: &[(&str, &str)]) -> Sidecar {
    let upstream: Vec<_> = kafka.sasl_addresses().iter().map(|it| format!("\"{it}\"")).collect();
    let upstream = format!("[{}]", upstream.join(", "));
    let variables = [&[("SCHEMAWARD_UPSTREAM__BOOTSTRAP", &*upstream)], more].concat();
    Sidecar::start_with(kafka, "", &variables)
}

fn good(topic: &str, name: &str) -> Case {
    Case::new(topic, &user(name)).header("content-type", "avro").header("schema-id", "1")
}

fn bad(topic: &str) -> Case {
    Case::new(topic, b"\xff").header("content-type", "avro").header("schema-id", "1")
}

/// A client library, and how it is told to log in.
type Send<'c> = Box<dyn Fn(&str, &[Case]) -> Vec<Outcome> + 'c>;

fn clients<'c>(
    java: &'c Java,
    python: &'c Python,
    mechanism: &'c str,
    password: &'c str,
) -> Vec<(&'static str, Send<'c>)> {
    let module = |class: &str, options: &str| {
        format!("sasl.jaas.config=org.apache.kafka.common.security.{class} required {options};")
    };
    let by_password = format!("username=\"alice\" password=\"{password}\"");
    let jaas = match mechanism {
        "PLAIN" => module("plain.PlainLoginModule", &by_password),
        "OAUTHBEARER" => {
            module("oauthbearer.OAuthBearerLoginModule", "unsecuredLoginStringClaim_sub=\"alice\"")
        }
        _ => module("scram.ScramLoginModule", &by_password),
    };
    let mechanism_set = format!("sasl.mechanism={mechanism}");
    let of_java = move |bootstrap: &str, cases: &[Case]| {
        let patience =
            ["max.block.ms=20000", "delivery.timeout.ms=30000", "request.timeout.ms=10000"];
        let security =
            ["security.protocol=SASL_PLAINTEXT", &mechanism_set, &jaas, "linger.ms=0", "each=true"];
        java.produce(bootstrap, &[&security[..], &patience[..]].concat(), cases)
    };
    let of_librdkafka = move |bootstrap: &str, cases: &[Case]| {
        let mechanism = format!("sasl.mechanism={mechanism}");
        let password = format!("sasl.password={password}");
        let mut settings =
            vec!["security.protocol=sasl_plaintext", "message.timeout.ms=10000", &mechanism];
        if mechanism.ends_with("OAUTHBEARER") {
            settings.extend([
                "enable.sasl.oauthbearer.unsecure.jwt=true",
                "sasl.oauthbearer.config=principal=alice",
            ]);
        } else {
            settings.extend(["sasl.username=alice", &password]);
        }
        // A batch is atomic: each record in one of its own.
        let one = |case: &Case| {
            python.produce_confluent(bootstrap, &settings, std::slice::from_ref(case))
        };
        cases.iter().flat_map(one).collect()
    };
    vec![("Java", Box::new(of_java)), ("librdkafka", Box::new(of_librdkafka))]
}

fn passes(mechanisms: &[&str], required: bool) {
    let (Some(java), Some(python)) = (Java::get(), Python::get()) else { return };
    let Some(kafka) = kafka(None) else { return };
    let more: &[(&str, &str)] = if required { &[REQUIRED] } else { &[] };
    let sidecar = sidecar(&kafka, more);
    for mechanism in mechanisms {
        for (library, send) in clients(&java, &python, mechanism, "alice-secret") {
            let topic = format!("{library}-{mechanism}-{required}");
            admin::create_topic(&kafka.bootstrap(), &topic, 1, 1);
            let seen =
                send(&sidecar.bootstrap(), &[good(&topic, "a"), bad(&topic), good(&topic, "b")]);
            let ok: Vec<_> = seen.iter().map(|outcome| outcome.ok).collect();
            assert_eq!(ok, [true, false, true], "{topic}: {seen:?}");
            assert_eq!(stored(&kafka, &topic), [user("a"), user("b")], "{topic}");
            assert_eq!(sidecar.rejected(&topic, "payload_invalid"), 1.0, "{topic}");
        }
    }
    for mechanism in mechanisms.iter().filter(|mechanism| **mechanism != "OAUTHBEARER") {
        of_aiokafka(&kafka, &sidecar, &python, mechanism);
    }
    let wrong = clients(&java, &python, "SCRAM-SHA-512", "wrong");
    let seen = wrong[0].1(&sidecar.bootstrap(), &[good("any", "a")]);
    assert_eq!(seen[0].error.as_deref(), Some("SaslAuthenticationException"), "{seen:?}");
    let message = seen[0].message.as_deref().unwrap();
    assert!(message.contains("invalid credentials with SASL mechanism SCRAM-SHA-512"), "{message}");
}

/// aiokafka, with events of dataclasses-avroschema.
fn of_aiokafka(kafka: &Kafka, sidecar: &Sidecar, python: &Python, mechanism: &str) {
    sidecar.registry.document("users/schema.avsc", &python.schema_of("UserModel"));
    let topic = format!("aiokafka-{mechanism}-{}", sidecar.bootstrap().replace(':', "-"));
    admin::create_topic(&kafka.bootstrap(), &topic, 1, 1);
    let mechanism = format!("sasl_mechanism={mechanism}");
    let settings = [
        "security_protocol=SASL_PLAINTEXT",
        &mechanism,
        "sasl_plain_username=alice",
        "sasl_plain_password=alice-secret",
    ];
    let python = python.clone().schemas_at(&sidecar.registry.url());
    let names = ["valid_avro", "truncated"];
    let seen = python.produce_events(&sidecar.bootstrap(), &topic, &settings, &names);
    assert_eq!(seen.iter().map(|it| it.ok).collect::<Vec<_>>(), [true, false], "{seen:?}");
    assert_eq!(stored(kafka, &topic).len(), 1, "{topic}");
}

fn stored(kafka: &Kafka, topic: &str) -> Vec<Vec<u8>> {
    let values = log_reader::stored_values(&kafka.bootstrap(), topic, 0);
    values.into_iter().map(|value| value.expect("a value").to_vec()).collect()
}

#[test]
fn logins_pass_to_a_real_broker() {
    passes(&["SCRAM-SHA-512"], false);
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn every_mechanism_passes_whether_a_login_is_required_or_not() {
    for required in [false, true] {
        passes(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], required);
    }
}

/// Files with credentials, and the variable that names them.
struct Files(tempfile::TempDir);

impl Files {
    fn new(name: &str, password: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("username", name);
        files.write("password", password);
        files
    }

    fn write(&self, file: &str, text: &str) {
        // As a mounted Secret changes: never half-written.
        let path = self.0.path().join(file);
        let new = path.with_extension("new");
        fs::write(&new, format!("{text}\n")).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn setting(&self, mechanism: &str) -> String {
        let folder = self.0.path().display();
        format!(
            "{{mechanism: {mechanism}, username_file: {folder}/username, password_file: {folder}/password}}"
        )
    }
}

const OWN: &str = "SCHEMAWARD_UPSTREAM__SASL";

/// A client in the clear sends one record after the other for `lifetimes` lives of a login of two seconds.
fn own_login(mechanisms: &[&str], lifetimes: u32) {
    const LIFETIME: Duration = Duration::from_secs(2);
    let Some(java) = Java::get() else { return };
    let Some(kafka) = kafka(Some(LIFETIME.as_millis() as u64)) else { return };
    for mechanism in mechanisms {
        let (name, password) = USERS[0];
        let files = Files::new(name, password);
        let sidecar = sidecar(&kafka, &[(OWN, &files.setting(mechanism))]);
        let topic = format!("own-{mechanism}");
        admin::create_topic(&kafka.bootstrap(), &topic, 1, 1);
        let mut producer = java.producer(&sidecar.bootstrap(), &["linger.ms=0"]);
        let end = std::time::Instant::now() + LIFETIME * lifetimes;
        let mut sent = Vec::new();
        while std::time::Instant::now() < end {
            let name = sent.len().to_string();
            let seen = producer.send(&[good(&topic, &name)]);
            assert!(seen[0].ok, "{mechanism} {name}: {seen:?}");
            sent.push(user(&name));
        }
        // Idle for longer than a login holds: the next request begins with a new one.
        thread::sleep(LIFETIME + LIFETIME / 2);
        assert!(producer.send(&[good(&topic, "late")])[0].ok, "{mechanism}");
        sent.push(user("late"));
        assert_eq!(stored(&kafka, &topic), sent, "{mechanism}");
        for kind in ["login", "closed", "protocol", "io"] {
            let line = format!("schemaward_upstream_errors_total{{kind=\"{kind}\"}}");
            assert_eq!(sidecar.proxy.metric(&line), 0.0, "{mechanism} {kind}");
        }
        // A wrong password shows at the next login.
        files.write("password", "wrong");
        let mut raw = sidecar.client();
        assert!(raw.call(&MetadataRequest::default(), 12).is_err(), "{mechanism}");
    }
}

#[test]
fn own_credentials_are_renewed_under_traffic_and_after_a_pause() {
    own_login(&["SCRAM-SHA-512"], 2);
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn own_credentials_by_every_mechanism_over_many_lives_of_a_login() {
    own_login(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], 10);
}

#[test]
fn a_wrong_password_of_ones_own_is_said_and_a_rotated_file_is_taken() {
    let Some(kafka) = kafka(None) else { return };
    let files = Files::new("alice", "not the password");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let upstream: Vec<_> = kafka.sasl_addresses().iter().map(ToString::to_string).collect();
        let variables = [(OWN, &*files.setting("SCRAM-SHA-256"))];
        let registry = support::scripted::NO_REGISTRY;
        let proxy = Proxy::start_unready_with(&upstream, registry, "", &variables).await;
        let why = || match proxy.app().readiness().check() {
            Ok(_) => String::new(),
            Err(why) => why.to_string(),
        };
        patiently("the refusal", async {
            while !why().contains("refused") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let said = why();
        assert!(said.contains("login of alice by SCRAM-SHA-256 refused (error 58)"), "{said}");
        assert!(!said.contains("not the password"), "{said}");
        files.write("password", "alice-secret");
        patiently("a login with the new password", async {
            while !proxy.app().readiness().is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        // Clients are not offered to log in.
        let mut client = Client::connect(&proxy.bootstrap()).await;
        let versions = client.call(0, &ApiVersionsRequest::default()).await;
        let keys: Vec<_> = versions.api_keys.iter().map(|it| it.api_key).collect();
        assert!(keys.contains(&0) && !keys.contains(&17) && !keys.contains(&36), "{keys:?}");
        client.send(1, &handshake("PLAIN")).await;
        assert!(patiently("the end of a login", client.closed()).await);
    });
}

#[test]
#[ignore = "long: scripts/full runs it"]
fn clients_log_in_again_through_the_proxy_under_traffic() {
    let (Some(java), Some(kafka)) = (Java::get(), kafka(Some(2_000))) else { return };
    for required in [false, true] {
        let more: &[(&str, &str)] = if required { &[REQUIRED] } else { &[] };
        let sidecar = sidecar(&kafka, more);
        let topic = format!("again-{required}");
        admin::create_topic(&kafka.bootstrap(), &topic, 1, 1);
        let jaas = "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
                    required username=\"alice\" password=\"alice-secret\";";
        let settings = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256", jaas];
        let mut producer = java.producer(&sidecar.bootstrap(), &settings);
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let mut sent = Vec::new();
        while std::time::Instant::now() < end {
            let name = sent.len().to_string();
            let seen = producer.send(&[good(&topic, &name)]);
            assert!(seen[0].ok, "{name}: {seen:?}");
            sent.push(user(&name));
        }
        assert_eq!(stored(&kafka, &topic), sent);
        let again = "schemaward_requests_total{api=\"SaslHandshake\"}";
        assert!(sidecar.proxy.metric(again) >= 5.0, "{}", sidecar.proxy.metric(again));
    }
}
