//! The proxy in this process, on a loopback address of its own, so that ports are never contended.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use schemaward::{app::App, config::Config};

/// A running proxy.
pub struct Proxy {
    app: App,
    host: String,
}

/// Port of the bootstrap listener.
pub const BOOTSTRAP_PORT: u16 = 9092;
/// Port that stands for node 0.
pub const FIRST_BROKER_PORT: u16 = 9100;

impl Proxy {
    /// Starts in front of `upstream` with `registry`, and the YAML in `more` (top-level keys beyond `listen`, `upstream`
    /// and `registry`), and waits until a broker has answered.
    pub async fn start(upstream: &[String], registry: &str, more: &str) -> Self {
        Self::start_with(upstream, registry, more, &[]).await
    }

    /// The same with environment variables, which go over what the file says (`SCHEMAWARD_LISTEN__BROKER_PORTS`).
    pub async fn start_with(
        upstream: &[String],
        registry: &str,
        more: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let proxy = Self::start_unready_with(upstream, registry, more, variables).await;
        while !proxy.app.readiness().is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy
    }

    /// The same without waiting.
    pub async fn start_unready(upstream: &[String], registry: &str, more: &str) -> Self {
        Self::start_unready_with(upstream, registry, more, &[]).await
    }

    /// The same with environment variables.
    pub async fn start_unready_with(
        upstream: &[String],
        registry: &str,
        more: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_unready_at(loopback(), upstream, registry, more, variables).await
    }

    /// The same on a loopback address that is known before, as its certificate needs it, without waiting.
    pub async fn start_unready_at(
        host: String,
        upstream: &[String],
        registry: &str,
        more: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        install_crypto();
        let upstream: Vec<_> = upstream.iter().map(|broker| format!("\"{broker}\"")).collect();
        let file = format!(
            "listen:\n  bootstrap: {host}:{BOOTSTRAP_PORT}\n  broker_ports: {FIRST_BROKER_PORT}-{}\n  \
             advertised_host: {host}\nupstream:\n  bootstrap: [{}]\nregistry:\n  url: {registry}\n\
             admin:\n  listen: {host}:9464\n{more}",
            FIRST_BROKER_PORT + 9,
            upstream.join(", "),
        );
        let variables = variables.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let config = Config::parse(&file, "test.yaml", variables)
            .unwrap_or_else(|errors| panic!("{errors}\n{file}"));
        let app = App::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        Self { app, host }
    }

    /// What a client puts into `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("{}:{BOOTSTRAP_PORT}", self.host)
    }

    /// The local address that stands for a node.
    pub fn node(&self, node: u16) -> String {
        format!("{}:{}", self.host, FIRST_BROKER_PORT + node)
    }

    /// The loopback address that everything listens on.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Base URL of the admin listener.
    pub fn admin(&self) -> String {
        format!("http://{}:9464", self.host)
    }

    /// The value of one line of the metrics: `name{label="value",…}` as a scrape shows it; 0 where it is not there.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.app.metrics().encode();
        let found = text.lines().find_map(|candidate| candidate.strip_prefix(line));
        found.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Everything that a scrape shows.
    pub fn metrics(&self) -> String {
        self.app.metrics().encode()
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    /// Drains it and says how that went.
    pub async fn drain(self) -> Result<(), schemaward::app::AppError> {
        self.app.drain().await
    }
}

/// A loopback address that no other test of this process uses, nor probably one of another process.
pub fn loopback() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = process.to_be_bytes();
    format!("127.{}.{}.{}", high % 200 + 20, low, next % 250 + 2)
}

/// Installs the TLS provider that `main` installs.
pub fn install_crypto() {
    // An error means that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
