//! The listeners over real sockets, spoken to in plain HTTP.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::{
    admin::{BrokerFact, StatusFacts},
    health::Latch,
};

struct Fake;

impl StatusSource for Fake {
    fn facts(&self) -> StatusFacts {
        let broker = BrokerFact {
            node_id: 1,
            address: "kafka:9092".into(),
            advertised: "proxy:9101".into(),
        };
        StatusFacts { connections: 3, brokers: vec![broker], ..StatusFacts::default() }
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
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
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
async fn the_page_may_load_nothing() {
    let running = running(None).await;
    let (status, answer) = get(running.full, "/").await;
    assert_eq!(status, 200);
    assert!(answer.contains("content-security-policy: default-src 'none';"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff"));
    assert!(answer.contains("kafka:9092"));
}

#[tokio::test]
async fn the_probes_listener_tells_nothing_else() {
    let running = running(None).await;
    for path in ["/", "/status", "/metrics/", "/x"] {
        assert_eq!(get(running.probes, path).await.0, 404, "{path}");
    }
    assert_eq!(get(running.full, "/x").await.0, 404);
    let post = "POST /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(ask(running.full, post).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn with_a_token_file_nothing_is_told_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret\n").unwrap();
    let running = running(Some(path.clone())).await;
    for path in ["/", "/status", "/metrics", "/livez", "/readyz", "/x"] {
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
