//! A broker that does what a test tells it, byte by byte: each connection is handed to the test, which reads what came and
//! writes whatever it likes, whenever it likes. Only the probe at the start is answered by itself.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsResponse, BrokerId, MetadataResponse, ResponseHeader,
        metadata_response::MetadataResponseBroker,
    },
    protocol::{Encodable, HeaderVersion, StrBytes},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::{client::Client, proxy::Proxy, wait::patiently};

/// A registry that nobody asks: nothing listens there.
pub const NO_REGISTRY: &str = "http://127.0.0.1:9";

/// A proxy with a scripted broker, node 1, behind it.
pub struct Stage {
    pub proxy: Proxy,
    /// Stops with the stage.
    acceptor: Acceptor,
    connections: mpsc::UnboundedReceiver<TcpStream>,
}

struct Acceptor(JoinHandle<()>);

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stage {
    /// Starts both, with the YAML in `more`.
    pub async fn new(more: &str) -> Self {
        Self::with_registry(NO_REGISTRY, more).await
    }

    /// The same with a registry.
    pub async fn with_registry(registry: &str, more: &str) -> Self {
        Self::with(registry, more, &[]).await
    }

    /// The same with environment variables, which go over what the file says.
    pub async fn with(registry: &str, more: &str, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connections) = mpsc::unbounded_channel();
        let acceptor = tokio::spawn(async move {
            let (probe, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_probe(probe, address.port()));
            while let Ok((stream, _)) = listener.accept().await {
                if accepted.send(stream).is_err() {
                    return;
                }
            }
        });
        let proxy = Proxy::start_with(&[address.to_string()], registry, more, variables).await;
        Self { proxy, acceptor: Acceptor(acceptor), connections }
    }

    /// A client and the broker's end of its connection.
    pub async fn connect(&mut self) -> (Client, BrokerEnd) {
        let client = Client::connect(&self.proxy.bootstrap()).await;
        (client, self.accept().await)
    }

    /// The broker's end of the next connection.
    pub async fn accept(&mut self) -> BrokerEnd {
        let stream = patiently("the proxy to dial the broker", self.connections.recv()).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        BrokerEnd { stream }
    }

    /// Upstream errors of a kind so far.
    pub fn upstream_errors(&self, kind: &str) -> f64 {
        self.proxy.metric(&format!("schemaward_upstream_errors_total{{kind=\"{kind}\"}}"))
    }

    /// Client connections that are open.
    pub fn connections(&self) -> f64 {
        self.proxy.metric("schemaward_connections")
    }

    /// Bytes of the memory budget in use.
    pub fn memory_used(&self) -> usize {
        self.proxy.app().memory_budget().used()
    }
}

async fn answer_probe(stream: TcpStream, port: u16) {
    let mut end = BrokerEnd { stream };
    while let Some(request) = end.try_request().await {
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(i32::from(port));
        let answer = match request.api_key() {
            18 => response(request.correlation_id(), 0, &ApiVersionsResponse::default()),
            _ => {
                let metadata = MetadataResponse::default().with_brokers(vec![broker]);
                response(request.correlation_id(), 1, &metadata)
            }
        };
        end.send(&answer).await;
    }
}

/// A request as the broker got it, size included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request(pub Bytes);

impl Request {
    pub fn api_key(&self) -> i16 {
        self.0.slice(4..).get_i16()
    }

    pub fn version(&self) -> i16 {
        self.0.slice(6..).get_i16()
    }

    pub fn correlation_id(&self) -> i32 {
        self.0.slice(8..).get_i32()
    }
}

/// The broker's end of one connection.
#[derive(Debug)]
pub struct BrokerEnd {
    pub stream: TcpStream,
}

impl BrokerEnd {
    /// The next request; panics if there is none.
    pub async fn request(&mut self) -> Request {
        let request = patiently("a request at the broker", self.try_request()).await;
        request.expect("the proxy closed the connection to the broker")
    }

    /// The next request; `None` when the proxy has closed.
    pub async fn try_request(&mut self) -> Option<Request> {
        let size = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(size).unwrap() + 4];
        frame[..4].copy_from_slice(&size.to_be_bytes());
        self.stream.read_exact(&mut frame[4..]).await.ok()?;
        Some(Request(frame.into()))
    }

    /// Whether nothing has come that was not read.
    pub fn has_nothing(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Writes these bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Writes these bytes in pieces of these sizes, over and over.
    pub async fn send_in_pieces(&mut self, mut bytes: &[u8], sizes: &[usize]) {
        for size in sizes.iter().cycle() {
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            self.send(piece).await;
            bytes = rest;
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// Answers a request with a body that nobody reads.
    pub async fn answer(&mut self, request: &Request, body: &[u8]) {
        self.send(&raw_response(request.correlation_id(), body)).await;
    }

    /// Waits until the proxy closes, and gives what else it sent.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = patiently("the proxy to close", self.stream.read_to_end(&mut rest)).await;
        rest
    }
}

/// A request frame with any body.
pub fn raw_request(api_key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Bytes {
    let size = i32::try_from(8 + body.len()).unwrap();
    let mut out = BytesMut::with_capacity(12 + body.len());
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&api_key.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&correlation_id.to_be_bytes());
    out.extend_from_slice(body);
    out.freeze()
}

/// A response frame with any body.
pub fn raw_response(correlation_id: i32, body: &[u8]) -> Bytes {
    let size = i32::try_from(4 + body.len()).unwrap();
    [&size.to_be_bytes()[..], &correlation_id.to_be_bytes(), body].concat().into()
}

/// A response frame that means something.
pub fn response<R: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    body: &R,
) -> Bytes {
    let mut out = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut out, R::header_version(version)).unwrap();
    body.encode(&mut out, version).unwrap();
    let size = i32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&size.to_be_bytes());
    out.freeze()
}
