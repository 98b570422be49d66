//! What the tests of this layer share: a schema, and an HTTP server that can misbehave.

use std::{
    sync::{Arc, Mutex, Once},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use super::{
    Clock, Compile, Documents, HttpSource, References, RegistrySettings, Schema, SchemaFormat,
    SchemaRef, fetch::Surroundings, resolver,
};
use crate::limits::SchemaLimits;

/// A schema that can be told from others by its address only.
pub(super) fn any_schema() -> Schema {
    let text = "\"string\"".to_owned();
    let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
    Schema::compile(&documents, &SchemaLimits::default()).unwrap()
}

/// What a server does with a request.
pub(super) enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes, and then a blank now and then for as long as somebody reads.
    Drip(Vec<u8>),
    /// Sends these bytes, and then others for as long as somebody reads.
    Endless(Vec<u8>),
    /// Sends these bytes, and then nothing.
    Hang(Vec<u8>),
}

impl Reply {
    pub(super) fn new(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }

    pub(super) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, "", body)
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::new(302, &format!("location: {to}\r\n"), "")
    }
}

type Answers = dyn Fn(&str) -> Reply + Send + Sync;

/// An HTTP server on a port of its own that ends with the test.
pub(super) struct Server {
    pub(super) url: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// `answers` gets the head of each request.
    pub(super) async fn start(answers: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, answers).await
    }

    /// The same under TLS, as `localhost`.
    pub(super) async fn start_with(
        tls: Option<Arc<rustls::ServerConfig>>,
        answers: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = match &tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answers): (_, Arc<Answers>) = (Arc::clone(&heads), Arc::new(answers));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
                match tls.clone() {
                    None => drop(tokio::spawn(serve(stream, log, answers))),
                    Some(tls) => drop(tokio::spawn(async move {
                        let accepted = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await;
                        if let Ok(stream) = accepted {
                            serve(stream, log, answers).await;
                        }
                    })),
                }
            }
        });
        Self { url, heads, task }
    }

    /// The heads of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The targets of the requests so far.
    pub(super) fn targets(&self) -> Vec<String> {
        self.heads().iter().map(|head| target(head).to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: Arc<Mutex<Vec<String>>>,
    answers: Arc<Answers>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    log.lock().unwrap().push(head.clone());
    match answers(&head) {
        Reply::Bytes(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.shutdown().await);
        }
        Reply::Drip(bytes) => {
            drop(stream.write_all(&bytes).await);
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Reply::Endless(bytes) => {
            drop(stream.write_all(&bytes).await);
            while stream.write_all(&[b' '; 1024]).await.is_ok() {}
        }
        Reply::Hang(bytes) => {
            drop(stream.write_all(&bytes).await);
            drop(stream.read(&mut [0]).await);
        }
    }
}

/// The target of the request with this head: `/a?b`.
pub(super) fn target(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// The system's resolver and clock, and nobody who is told.
pub(super) fn surroundings() -> Surroundings {
    let clock: Clock = Arc::new(Instant::now);
    Surroundings { names: resolver::system(), clock, observer: Arc::new(()) }
}

/// Settings with this registry, time enough, and no other origin.
pub(super) fn settings(registry: &str) -> RegistrySettings {
    RegistrySettings {
        url: Some(Url::parse(registry).unwrap()),
        request_timeout: Duration::from_secs(20),
        ..RegistrySettings::default()
    }
}

/// A source with small bounds, and the documents that it has compiled. Documents that contain `panic` make the compiler
/// panic.
pub(super) fn source(settings: &RegistrySettings) -> (HttpSource, Arc<Mutex<Vec<Documents>>>) {
    source_within(settings, surroundings())
}

/// The same in other surroundings.
pub(super) fn source_within(
    settings: &RegistrySettings,
    around: Surroundings,
) -> (HttpSource, Arc<Mutex<Vec<Documents>>>) {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let compiled: Arc<Mutex<Vec<Documents>>> = Arc::default();
    let log = Arc::clone(&compiled);
    let compile: Compile = Arc::new(move |documents| {
        assert!(!documents.text.contains("panic"), "as the document asks for");
        log.lock().unwrap().push(documents.clone());
        if documents.text.contains("fault") {
            return Err(crate::datum::SchemaFault { detail: "a fault".into() });
        }
        Ok(any_schema())
    });
    let limits = SchemaLimits { max_schema_bytes: 1_000, max_references: 4, ..Default::default() };
    (HttpSource::within(settings, limits, compile, around).unwrap(), compiled)
}

/// The reference that a header names.
pub(super) fn reference(settings: &RegistrySettings, header: &str) -> SchemaRef {
    References::new(settings).parse(header.as_bytes()).unwrap()
}
