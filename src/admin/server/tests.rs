//! The listeners over real sockets, spoken to in plain HTTP.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::{
    admin::{BrokerFact, StatusFacts, TopicFact, TopicsFact},
    health::Latch,
};

struct Fake;

impl StatusSource for Fake {
    fn facts(&self, topic: &str) -> StatusFacts {
        let broker = BrokerFact {
            node_id: 1,
            address: "kafka:9092".into(),
            advertised: "proxy:9101".into(),
            local_port: Some(9101),
        };
        let asked = TopicFact { topic: topic.to_owned(), ..TopicFact::default() };
        let topics = TopicsFact { items: vec![asked], ..TopicsFact::default() };
        StatusFacts { connections: 3, brokers: vec![broker], topics, ..StatusFacts::default() }
    }
}

struct Running {
    full: SocketAddr,
    probes: SocketAddr,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn running(token_file: Option<std::path::PathBuf>) -> Running {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let settings = AdminSettings { listen: any, probes_listen: any, token_file, reload: false };
    let (metrics, readiness) = (Metrics::new(10), Arc::new(Readiness::new()));
    let fake = Arc::new(Fake);
    let admin = Admin::bind(&settings, metrics.clone(), readiness.clone(), fake).await.unwrap();
    let (full, probes) = (admin.address().unwrap(), admin.probes_address().unwrap());
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(admin.serve(async {
        let _ = stopped.await;
    }));
    Running { full, probes, metrics, readiness, stop, served }
}

/// The whole answer to one request.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    get_with(address, path, "").await
}

async fn get_with(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    let answer = ask(address, &request).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn liveness_depends_on_nothing_and_readiness_on_latches() {
    let running = running(None).await;
    assert_eq!(get(running.probes, "/livez").await.0, 200);
    let (status, answer) = get(running.probes, "/readyz").await;
    assert_eq!(status, 503);
    assert!(answer.ends_with("not ready: waiting for: listeners, broker\n"), "{answer}");
    running.readiness.drop_latch(Latch::Listeners);
    running.readiness.drop_latch(Latch::Broker);
    assert_eq!(get(running.full, "/readyz").await.0, 200);
    running.readiness.note_with(|| Some("node 7 has no port".into()));
    let (status, answer) = get(running.probes, "/readyz").await;
    assert_eq!(status, 200);
    assert!(answer.ends_with("ready, but: node 7 has no port\n"), "{answer}");
    running.readiness.drain();
    let (status, answer) = get(running.probes, "/readyz").await;
    assert_eq!(status, 503);
    assert!(answer.ends_with("not ready: draining\n"), "{answer}");
    assert_eq!(get(running.probes, "/livez").await.0, 200);
}

#[tokio::test]
async fn metrics_are_told_in_the_text_format() {
    let running = running(None).await;
    running.metrics.connection_opened();
    for address in [running.full, running.probes] {
        let (status, answer) = get(address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(answer.contains("\nschemaward_connections 1\n"), "{answer}");
    }
}

#[tokio::test]
async fn the_status_is_json_with_the_facts() {
    let running = running(None).await;
    let (status, answer) = get(running.full, "/status").await;
    assert_eq!(status, 200);
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(body["ready"], false);
    assert_eq!(body["message"], "waiting for: listeners, broker");
    assert_eq!(body["draining"], false);
    assert_eq!(body["connections"], 3);
    assert_eq!(body["brokers"][0]["advertised"], "proxy:9101");
    assert_eq!(body["memory_budget"]["bytes"], 0);
}

#[tokio::test]
async fn the_status_is_asked_for_some_topics() {
    let running = running(None).await;
    for (query, expected) in [
        ("", ""),
        ("?topic=orders", "orders"),
        ("?x=1&topic=%3Ca%26b%3E+c&topic=other", "<a&b> c"),
        ("?topic", ""),
        ("?topic=%ff%zz", "\u{fffd}%zz"),
    ] {
        let (status, answer) = get(running.full, &format!("/status{query}")).await;
        assert_eq!(status, 200, "{query}");
        let body: serde_json::Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["topics"]["items"][0]["topic"], expected, "{query}");
    }
}

#[tokio::test]
async fn the_page_is_the_same_for_everybody_and_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret\n").unwrap();
    let mut bodies = Vec::new();
    for token_file in [None, Some(path)] {
        let running = running(token_file).await;
        let (status, answer) = get(running.full, "/").await;
        assert_eq!(status, 200);
        for header in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "x-frame-options: DENY",
        ] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        for fact in ["kafka:9092", "9101", "secret", env!("CARGO_PKG_VERSION")] {
            assert!(!body.contains(fact), "{fact}");
        }
        bodies.push(body);
    }
    assert!(bodies[0] == bodies[1]);
}

/// A page from elsewhere whose own name leads to this machine must not read what is here.
#[tokio::test]
async fn without_a_token_nothing_is_told_to_those_who_come_by_another_name() {
    let with_host = async |address, host: &str| {
        let request = format!("GET /status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        ask(address, &request).await.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let open = running(None).await;
    for (host, expected) in [
        ("127.0.0.1:9464", 200),
        ("127.0.0.1", 200),
        ("[::1]:9464", 200),
        ("localhost:9464", 200),
        ("LocalHost", 200),
        ("schemaward.localhost", 200),
        ("attacker.example:9464", 421),
        ("localhost.attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("", 421),
        ("a b", 421),
    ] {
        assert_eq!(with_host(open.full, host).await, expected, "{host}");
    }
    assert_eq!(with_host(open.probes, "attacker.example").await, 404, "what is there is for all");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret\n").unwrap();
    let guarded = running(Some(path)).await;
    assert_eq!(with_host(guarded.full, "proxy.example").await, 401, "the token is what counts");
}

#[tokio::test]
async fn the_probes_listener_tells_nothing_else() {
    let running = running(None).await;
    for path in ["/", "/status", "/metrics/", "/x"] {
        assert_eq!(get(running.probes, path).await.0, 404, "{path}");
    }
    assert_eq!(get(running.full, "/x").await.0, 404);
    let post =
        "POST /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(ask(running.full, post).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn with_a_token_file_nothing_is_told_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret\n").unwrap();
    let running = running(Some(path.clone())).await;
    for path in ["/status", "/status?topic=a", "/metrics", "/livez", "/readyz", "/x", "/status/"] {
        let (status, answer) = get(running.full, path).await;
        assert_eq!(status, 401, "{path}");
        assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
        assert_eq!(get_with(running.full, path, "authorization: Bearer no\r\n").await.0, 401);
    }
    let token = "authorization: Bearer secret\r\n";
    assert_eq!(get_with(running.full, "/status", token).await.0, 200);
    assert_eq!(get(running.probes, "/metrics").await.0, 200);
    std::fs::write(&path, "rotated").unwrap();
    assert_eq!(get_with(running.full, "/status", token).await.0, 401);
}

#[tokio::test]
async fn headers_are_bounded() {
    let running = running(None).await;
    let long = format!("x: {}\r\n", "y".repeat(MAX_HEADER_BYTES));
    assert_eq!(get_with(running.full, "/livez", &long).await.0, 431);
    let many: String = (0..=MAX_HEADERS).map(|at| format!("x{at}: y\r\n")).collect();
    assert_eq!(get_with(running.full, "/livez", &many).await.0, 431);
}

/// Serves one connection that may wait no time for its headers; the client sends `bytes` and waits for the end.
async fn impatient(bytes: &[u8]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
    connection(stream, router, Duration::from_millis(1)).await;
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn connections_that_say_nothing_more_are_closed() {
    assert_eq!(impatient(b"").await, b"");
    impatient(b"GET / HTTP/1.1\r\nhost:").await;
    let idle = impatient(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_key() {
    let running = running(None).await;
    let settings = AdminSettings { listen: Some(running.full), ..AdminSettings::default() };
    let readiness = Arc::new(Readiness::new());
    let error =
        Admin::bind(&settings, Metrics::new(1), readiness, Arc::new(Fake)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("admin.listen {} cannot be bound", running.full));
}

#[tokio::test]
async fn a_token_file_without_a_token_is_an_error_at_start() {
    let settings =
        AdminSettings { token_file: Some("/does/not/exist".into()), ..AdminSettings::default() };
    let readiness = Arc::new(Readiness::new());
    let error = Admin::bind(&settings, Metrics::new(1), readiness, Arc::new(Fake)).await;
    assert_eq!(error.unwrap_err().to_string(), "admin.token_file cannot be used");
}

#[tokio::test]
async fn it_stops_when_told() {
    let running = running(None).await;
    let mut idle = TcpStream::connect(running.full).await.unwrap();
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
    let _ = idle.read(&mut [0]).await;
}
