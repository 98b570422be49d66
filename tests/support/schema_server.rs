//! The schema server as a program of its own, on a loopback address of its own, and a plain HTTP client for it.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::proxy::{install_crypto, loopback};

/// A running schema server. It is killed when dropped.
#[derive(Debug)]
pub struct SchemaServer {
    child: Child,
    host: String,
    scheme: &'static str,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    client: Client,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error code of a refusal, or 0.
    pub fn code(&self) -> u64 {
        self.json()["error_code"].as_u64().unwrap_or(0)
    }

    async fn of(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }
}

impl Drop for SchemaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `schemaward serve-schemas` with these arguments and nothing of the test's environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schemaward"));
    command.arg("serve-schemas").args(args).env_clear().stdin(Stdio::null());
    command
}

impl SchemaServer {
    /// In memory.
    pub async fn in_memory() -> Self {
        Self::start(&loopback(), "http", &[]).await
    }

    /// With its schemas in `folder`.
    pub async fn keeping(folder: &Path) -> Self {
        Self::start(&loopback(), "http", &["--data", folder.to_str().unwrap()]).await
    }

    /// At an address of its own, and waits until it answers.
    pub async fn start(host: &str, scheme: &'static str, args: &[&str]) -> Self {
        install_crypto();
        let client = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy();
        let client = client.timeout(Duration::from_secs(60)).build().unwrap();
        let listen = format!("{host}:8081");
        let mut child = command(&[&["--listen", &listen], args].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::<Mutex<String>>::default();
        let (mut stderr, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let (host, reader) = (host.to_owned(), Some(reader));
        let mut server = Self { child, host, scheme, said, reader, client };
        while server.try_ask(Method::GET, "/livez", &[], "").await.is_err() {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("it has ended: {status}\n{}", server.said());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}:8081", self.scheme, self.host)
    }

    /// Where it listens, without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// One request.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let answered = self.try_ask(method, path, headers, body).await;
        answered.unwrap_or_else(|error| panic!("{path}: {error:?}\n{}", self.said()))
    }

    /// One request, where perhaps nobody answers.
    ///
    /// # Errors
    /// Nobody did.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.body(body.to_owned()).send().await?).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[], "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Reply {
        self.ask(Method::PUT, path, JSON, body).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path, JSON, &body.to_string()).await
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it as a crash does.
    pub fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code, and what it said.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.said())
    }
}

const JSON: &[(&str, &str)] = &[("content-type", "application/vnd.schemaregistry.v1+json")];
