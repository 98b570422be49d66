//! Promise: under TLS clients get in who trust us and whom we trust, and nobody else; files rotate under way; who fails or
//! stalls harms nobody but himself, and is named.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::fs::symlink,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::messages::ApiVersionsRequest;
use rustls::ClientConfig;
use support::{
    batch_builder::{TestBatch, TestRecord},
    binary::Program,
    broker::FakeBroker,
    certificates::{self, Authority, Files, Issued, TlsStream},
    http, produce,
    proxy::loopback,
    raw_client::RawClient,
    registry::Registry,
    sidecar::{USER, user},
};

mod support;

/// The program under TLS in front of a broker that says yes to everything.
struct Stage {
    program: Program,
    broker: FakeBroker,
    files: Files,
    /// Signs what schemaward shows.
    servers: Authority,
    /// Signs what clients show.
    clients: Authority,
    _registry: Registry,
    host: String,
}

impl Stage {
    /// With `more` lines in the file; clients have to show certificates if it `asks`.
    async fn start(asks: bool, more: &str) -> Self {
        let (host, files) = (loopback(), Files::new());
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        files.identity("tls", &servers.issue("schemaward", &[&host]));
        files.write("ca.crt", &clients.pem());
        let folder = files.folder().display();
        let (auth, ca) = if asks { ("mtls", "ca.crt") } else { ("none", "") };
        let ca = if asks { format!(", client_ca: {folder}/{ca}") } else { String::new() };
        let tls = format!("{{certificate: {folder}/tls.crt, key: {folder}/tls.key{ca}}}");
        let listen = format!("client_auth: {auth}, tls: {tls}");
        Self::listening(&listen, host, files, servers, clients, more).await
    }

    async fn listening(
        listen: &str,
        host: String,
        files: Files,
        servers: Authority,
        clients: Authority,
        more: &str,
    ) -> Self {
        let (broker, registry) = (FakeBroker::start().await, Registry::start().await);
        registry.id(1, USER);
        let file = format!(
            "listen: {{bootstrap: '{host}:9092', broker_ports: 9100-9109, {listen}}}\n\
             upstream: {{bootstrap: ['{}']}}\nregistry: {{url: '{}'}}\n\
             admin: {{listen: '{host}:9464'}}\n{more}",
            broker.address(),
            registry.url(),
        );
        let program = Program::run_file(&host, &file, &[]).ready().await;
        Self { program, broker, files, servers, clients, _registry: registry, host }
    }

    fn client(&self, subject: &str) -> Arc<ClientConfig> {
        certificates::client_config(&self.servers, Some(&self.clients.issue(subject, &[])))
    }

    /// Whether this client gets an answer.
    fn admits(&self, config: &Arc<ClientConfig>) -> bool {
        admitted(&self.program.bootstrap(), config).is_ok()
    }

    async fn metric(&self, line: &str) -> f64 {
        let scrape = http::get(&self.program.admin(), "/metrics").await.body;
        let found = scrape.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0.0)
    }

    async fn turned_away(&self, cause: &str) -> f64 {
        self.metric(&format!("schemaward_clients_turned_away_total{{cause=\"{cause}\"}}")).await
    }

    async fn reloads(&self, outcome: &str) -> f64 {
        self.metric(&format!("schemaward_certificate_rotations_total{{outcome=\"{outcome}\"}}"))
            .await
    }

    /// Waits until the program has said it.
    async fn said(&self, words: &str) {
        until(words, || self.program.said().contains(words)).await;
    }
}

fn admitted(address: &str, config: &Arc<ClientConfig>) -> io::Result<RawClient<TlsStream>> {
    let mut client = certificates::connect(address, config)?;
    client.call(&ApiVersionsRequest::default(), 3)?;
    Ok(client)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "still waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_certificate_of_the_authority_is_refused_and_named() {
    let stage = Stage::start(true, "").await;
    assert!(stage.admits(&stage.client("good")));
    let address = stage.program.bootstrap();
    let shows = |issued: &Issued| certificates::client_config(&stage.servers, Some(issued));
    let table = [
        (certificates::client_config(&stage.servers, None), "the other side showed no certificate"),
        (shows(&Authority::new("strangers").issue("good", &[])), "UnknownIssuer"),
        (shows(&stage.clients.issue_expired("good")), "certificate expired"),
        (
            certificates::client_config(&stage.clients, None),
            "the other side does not accept our certificate",
        ),
    ];
    let frames = stage.broker.frames().len();
    for (count, (config, expected)) in (1_u8..).zip(table) {
        assert!(admitted(&address, &config).is_err(), "{expected}");
        stage.said(expected).await;
        assert_eq!(stage.turned_away("tls").await, f64::from(count), "{expected}");
    }
    let mut plain = RawClient::bootstrap(&address).unwrap();
    assert!(plain.call(&ApiVersionsRequest::default(), 3).is_err());
    stage.said("TLS handshake failed: the other side does not speak TLS").await;
    assert_eq!(stage.turned_away("tls").await, 5.0);
    assert_eq!(stage.broker.frames().len(), frames, "nothing of theirs has reached the broker");
    assert!(stage.admits(&stage.client("good")));
    assert!(!stage.program.said().contains("WARN"), "{}", stage.program.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_meets_a_listener_in_the_clear_is_named() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let stage =
        Stage::listening("client_auth: none", loopback(), Files::new(), servers, clients, "").await;
    assert!(!stage.admits(&stage.client("good")));
    stage.said("it speaks TLS, but there is no listen.tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_stalls_ends_in_time_while_others_go_on() {
    let stage = Stage::start(true, "limits: {handshake_timeout: 500ms}\n").await;
    let address = stage.program.bootstrap();
    let mut silent = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    assert!(stage.admits(&stage.client("good")), "others go on");
    for stalled in [&mut silent, &mut half] {
        stalled.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let read = stalled.read(&mut [0; 64]);
        assert!(
            matches!(read, Ok(0))
                || read.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
        );
    }
    stage.said("no handshake within 500ms").await;
    assert_eq!(stage.turned_away("handshake_timeout").await, 2.0);
    drop(TcpStream::connect(&address).unwrap());
    until("the probe of the port is gone", || stage.admits(&stage.client("good"))).await;
    assert_eq!(stage.turned_away("tls").await, 0.0, "who only looks whether the port is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_handshakes() {
    let stage = Stage::start(false, "").await;
    let _silent = TcpStream::connect(stage.program.bootstrap()).unwrap();
    let open = loop {
        let open = stage.metric("schemaward_connections ").await;
        if open > 0.0 {
            break open;
        }
    };
    assert_eq!(open, 1.0);
    stage.program.signal("TERM");
    let ended = stage.program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_rotate_as_a_mounted_secret_does_and_bad_ones_leave_the_old_in_force() {
    let (host, files) = (loopback(), Files::new());
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let others = Authority::new("others");
    // kubelet: files are links into ..data, which is a link to a folder, and is swapped.
    let lay = |folder: &str, issued: &Issued| {
        std::fs::create_dir(files.path(folder)).unwrap();
        files.identity(&format!("{folder}/tls"), issued);
        files.write(&format!("{folder}/ca.crt"), &clients.pem());
    };
    let swap = |folder: &str| {
        symlink(folder, files.path("..new")).unwrap();
        std::fs::rename(files.path("..new"), files.path("..data")).unwrap();
    };
    lay("first", &servers.issue("first", &[&host]));
    lay("second", &others.issue("second", &[&host]));
    lay("third", &servers.issue("third", &[&host]));
    swap("first");
    let path = |name: &str| files.path(&format!("..data/{name}")).display().to_string();
    let listen = format!(
        "client_auth: mtls, tls: {{certificate: '{}', key: '{}', client_ca: '{}'}}",
        path("tls.crt"),
        path("tls.key"),
        path("ca.crt"),
    );
    let client = clients.issue("client", &[]);
    let [trusts_first, trusts_second] =
        [&servers, &others].map(|trusted| certificates::client_config(trusted, Some(&client)));
    // What is in the folder may not go with it.
    let kept = Files::new();
    kept.identity("unused", &client);
    let stage = Stage::listening(&listen, host.clone(), kept, servers, clients, "").await;
    let mut open = admitted(&stage.program.bootstrap(), &trusts_first).unwrap();
    swap("second");
    until("the second certificate is shown", || stage.admits(&trusts_second)).await;
    assert!(!stage.admits(&trusts_first), "the first one is shown no more");
    open.call(&ApiVersionsRequest::default(), 3).expect("open connections go on");
    assert_eq!(stage.reloads("applied").await, 1.0);

    files.write("third/tls.key", "no key");
    swap("third");
    stage.said("new TLS files cannot be used, the old ones stay in force").await;
    assert!(stage.program.said().contains("tls.key: no private key in it"));
    assert!(stage.admits(&trusts_second), "the old one stays in force");
    assert_eq!(stage.reloads("failed").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_outlives_the_authority_that_signed_its_client() {
    let stage = Stage::start(true, "").await;
    let old = stage.client("old");
    for _ in 0..2 {
        // The second one would take up the session of the first.
        assert!(stage.admits(&old));
    }
    let authority = Authority::new("new clients");
    stage.files.write("ca.crt", &authority.pem());
    let new = certificates::client_config(&stage.servers, Some(&authority.issue("new", &[])));
    until("the new authority is in force", || stage.admits(&new)).await;
    assert!(!stage.admits(&old), "its session has died with its authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_close_its_half_and_both_ends_say_goodbye() {
    let stage = Stage::start(false, "").await;
    let config = certificates::client_config(&stage.servers, None);
    let mut client = admitted(&stage.program.bootstrap(), &config).unwrap();
    client.send(&ApiVersionsRequest::default(), 3).unwrap();
    let stream = client.stream();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    client.read_frame().expect("what is owed still comes");
    let read = client.stream().read(&mut [0; 16]);
    assert_eq!(read.expect("a close_notify, and not only the end of the socket"), 0);

    // Many clients just go.
    let rude = admitted(&stage.program.bootstrap(), &config).unwrap();
    drop(rude);
    while stage.metric("schemaward_connections ").await > 0.0 {}
    assert!(!stage.program.said().contains("WARN"), "{}", stage.program.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_are_judged_and_passed_on_under_tls_as_they_came() {
    let stage = Stage::start(false, "").await;
    let config = certificates::client_config(&stage.servers, None);
    let mut client = admitted(&stage.program.bootstrap(), &config).unwrap();
    // More than any buffer of TLS.
    let name = "x".repeat(3_000_000);
    let batch = TestBatch::of([TestRecord::avro("1", user(&name))]).encode();
    assert_eq!(produce(&mut client, &batch), 0);
    assert_eq!(stage.broker.received()[0].record_set.as_deref(), Some(&batch[..]));
    let torn = &user(&name)[..1_000];
    assert_eq!(produce(&mut client, &TestBatch::of([TestRecord::avro("1", torn)]).encode()), 87);
    assert_eq!(stage.broker.received().len(), 1);
}

fn produce(client: &mut RawClient<TlsStream>, batch: &[u8]) -> i16 {
    let request = produce::request("users", 0, batch.to_vec().into());
    let response = client.call(&request, 11).unwrap();
    response.responses[0].partition_responses[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_belongs_to_the_subject_of_a_certificate_from_wherever_it_comes() {
    let stage = Stage::start(true, "").await;
    let at = stage.program.bootstrap();
    let (alice, bob) = (stage.client("alice"), stage.client("bob"));
    let batch = |value: &[u8], sequence| {
        TestBatch::of([TestRecord::avro("1", value)]).sequenced(7, 0, sequence).encode()
    };
    let (good, torn) = (user("ada"), &user("ada")[..2]);
    assert_eq!(produce(&mut admitted(&at, &alice).unwrap(), &batch(torn, 0)), 87);
    assert_eq!(produce(&mut admitted(&at, &bob).unwrap(), &batch(&good, 1)), 0, "not bob's gap");
    assert_eq!(produce(&mut admitted(&at, &alice).unwrap(), &batch(&good, 1)), 45, "alice's gap");
    assert_eq!(stage.broker.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_under_tls_costs_little_memory() {
    const CONNECTIONS: u32 = 200;
    const RSS: &str = "process_resident_memory_bytes ";
    let stage = Stage::start(true, "").await;
    let (config, at) = (stage.client("idle"), stage.program.bootstrap());
    // What is set aside once is not a connection's.
    let open = |count| (0..count).map(|_| admitted(&at, &config).unwrap()).collect::<Vec<_>>();
    let _warm = open(20);
    let before = stage.metric(RSS).await;
    let _idle = open(CONNECTIONS);
    let after = stage.metric(RSS).await;
    let each = (after - before) / f64::from(CONNECTIONS) / 1024.0;
    println!(
        "memory of an idle connection, mTLS to the client, broker in the clear: {each:.1} KiB"
    );
    assert!(each < 64.0, "{each} KiB");
    assert!(stage.host.starts_with("127."));
}
