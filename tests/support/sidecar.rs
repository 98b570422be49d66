//! A proxy and a registry on threads of their own, in front of a real Kafka: for tests that block, on other programs or
//! on a [`RawClient`].

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use tokio::runtime::{Builder, Runtime};

use super::kafka::Kafka;
use super::proxy::Proxy;
use super::raw_client::{RawClient, invalid};
use super::registry::Registry;

/// The schema that [`Sidecar::start`] publishes as number 1: a name and an age.
pub const USER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"}]}"#;

/// What stands between the clients of a test and its brokers.
pub struct Sidecar {
    /// Dropped first: its tasks end while the runtime is there.
    pub proxy: Proxy,
    pub registry: Registry,
    runtime: Runtime,
}

impl Sidecar {
    /// Starts in front of `kafka`; see [`Proxy::start`] for `more`.
    pub fn start(kafka: &Kafka, more: &str) -> Self {
        Self::start_with(kafka, more, &[])
    }

    /// The same with environment variables, which go over what the file says.
    pub fn start_with(kafka: &Kafka, more: &str, variables: &[(&str, &str)]) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let upstream: Vec<_> = kafka.addresses().iter().map(ToString::to_string).collect();
        let (proxy, registry) = runtime.block_on(async {
            let registry = Registry::start().await;
            registry.id(1, USER);
            (Proxy::start_with(&upstream, &registry.url(), more, variables).await, registry)
        });
        Self { proxy, registry, runtime }
    }

    /// What a client puts into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.proxy.bootstrap()
    }

    /// Connects to the bootstrap listener.
    pub fn client(&self) -> RawClient {
        RawClient::bootstrap(&self.bootstrap()).expect("the proxy listens")
    }

    /// Connects to the port that stands for a node.
    pub fn client_of(&self, node: i32) -> RawClient {
        let node = u16::try_from(node).expect("a node of the tests");
        RawClient::bootstrap(&self.proxy.node(node)).expect("the proxy listens")
    }

    /// Records that were refused for `reason`.
    pub fn rejected(&self, topic: &str, reason: &str) -> f64 {
        self.proxy.metric(&format!(
            "schemaward_records_total{{reason=\"{reason}\",topic=\"{topic}\",verdict=\"rejected\"}}"
        ))
    }

    /// What the admin listener answers at `path`.
    pub fn admin(&self, path: &str) -> String {
        let at = self.proxy.admin();
        let address = at.strip_prefix("http://").expect("plain HTTP");
        http_get(address, path).expect("the admin listener answers")
    }

    /// Bytes of memory that unfinished work holds at this moment.
    pub fn memory_used(&self) -> u64 {
        let status: serde_json::Value = serde_json::from_str(&self.admin("/status")).expect("JSON");
        status["memory_budget"]["used_bytes"].as_u64().expect("a number")
    }

    /// Runs something that must not block.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

/// The body of what an HTTP server at `address` answers.
///
/// # Errors
/// Nobody is there, or no text comes.
pub fn http_get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| invalid(format!("no HTTP: {answer:?}")))
}

/// `{"name": name, "age": 36}` in binary, for [`USER`].
pub fn user(name: &str) -> Vec<u8> {
    let mut datum = Vec::new();
    super::batch::put_varint(&mut datum, name.len() as i64);
    datum.extend_from_slice(name.as_bytes());
    datum.push(36 << 1);
    datum
}

/// Waits until `holds`; panics with `what` if that takes too long.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "still waiting: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
