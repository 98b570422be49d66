//! Every Prometheus family in one place. Counting is atomics only; a scrape takes no lock that traffic waits for.

mod levels;
mod produce;
mod quarantine;
mod reading;
mod registry;
mod topics;
mod webhook;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::Collector,
};

use self::{
    levels::LevelGauges, produce::ProduceTimes, quarantine::QuarantineCounters,
    registry::RegistryCounters, topics::Topics,
};
pub use self::{
    levels::Levels,
    quarantine::QuarantineOutcome,
    reading::RecordCounts,
    registry::AvoidedRequest,
    topics::{BatchVerdict, RecordVerdict, TopicMetrics},
    webhook::{ReviewOutcome, WebhookMetrics},
};

/// Bounds of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Topics with a label of their own; further ones are counted as `other` (`metrics.max_topics`).
    pub max_topics: usize,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { max_topics: 1_000 }
    }
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Responses.
    BrokerToClient,
    /// Requests.
    ClientToBroker,
}

impl Direction {
    const ALL: [Self; 2] = [Self::BrokerToClient, Self::ClientToBroker];

    /// The `direction` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BrokerToClient => "broker_to_client",
            Self::ClientToBroker => "client_to_broker",
        }
    }
}

/// What went wrong between schemaward and a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamErrorKind {
    /// The broker closed a connection on which it owed something.
    Closed,
    /// A connection was refused, or the name did not resolve.
    Connect,
    /// A connection did not come about in time.
    ConnectTimeout,
    /// A connection broke.
    Io,
    /// schemaward's own login failed.
    Login,
    /// The broker sent what cannot be read.
    Protocol,
    /// TLS with the broker failed: a certificate, a name, a version.
    Tls,
}

impl UpstreamErrorKind {
    const ALL: [Self; 7] = [
        Self::Closed,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Io,
        Self::Login,
        Self::Protocol,
        Self::Tls,
    ];

    /// The `kind` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Io => "io",
            Self::Login => "login",
            Self::Protocol => "protocol",
            Self::Tls => "tls",
        }
    }
}

/// Why a client was turned away before its first Kafka byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// It did not come to an end with its handshake in time.
    HandshakeTimeout,
    /// As many connections as there may be were open.
    MaxConnections,
    /// As many connections as one address may have were open from its address.
    MaxConnectionsPerAddress,
    /// It did not begin with the PROXY protocol header that is required.
    ProxyProtocol,
    /// TLS with it failed: no TLS, no certificate, one that is not accepted, or ours did not please it.
    Tls,
}

impl TurnedAway {
    /// Every cause.
    pub const ALL: [Self; 5] = [
        Self::HandshakeTimeout,
        Self::MaxConnections,
        Self::MaxConnectionsPerAddress,
        Self::ProxyProtocol,
        Self::Tls,
    ];

    /// The `cause` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::HandshakeTimeout => "handshake_timeout",
            Self::MaxConnections => "max_connections",
            Self::MaxConnectionsPerAddress => "max_connections_per_address",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Tls => "tls",
        }
    }
}

/// Why a client connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The broker closed, broke off, or sent what cannot be read, while it owed something.
    Broker,
    /// The client sent what cannot be read, or was not offered.
    Client,
    /// One of the sides closed in order, or the process drained.
    Closed,
    /// The process ended before the connection did.
    Cut,
    /// Nothing moved.
    Idle,
    /// No broker could be reached.
    NoBroker,
    /// The client did not get in.
    NotLetIn,
    /// A fault of our own.
    Panic,
    /// A request did not become whole.
    RequestTimeout,
    /// The broker owed an answer and did nothing.
    ResponseTimeout,
    /// Unfinished work held memory without progress while others waited for it.
    Stalled,
    /// The client broke off.
    Vanished,
}

impl ConnectionEnd {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Broker,
        Self::Client,
        Self::Closed,
        Self::Cut,
        Self::Idle,
        Self::NoBroker,
        Self::NotLetIn,
        Self::Panic,
        Self::RequestTimeout,
        Self::ResponseTimeout,
        Self::Stalled,
        Self::Vanished,
    ];

    /// The `cause` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Client => "client",
            Self::Closed => "closed",
            Self::Cut => "cut",
            Self::Idle => "idle",
            Self::NoBroker => "no_broker",
            Self::NotLetIn => "not_let_in",
            Self::Panic => "panic",
            Self::RequestTimeout => "request_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::Stalled => "stalled",
            Self::Vanished => "vanished",
        }
    }
}

/// How a reload went: of the configuration, or of the files of certificates and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// What is new is in force.
    Applied,
    /// What is new is faulty; what was in force stays so.
    Failed,
}

impl ReloadOutcome {
    const ALL: [Self; 2] = [Self::Applied, Self::Failed];

    /// The `outcome` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

/// The `outcome` labels of registry requests.
pub const REGISTRY_OUTCOMES: [&str; 6] =
    ["found", "invalid", "not_allowed", "not_found", "not_modified", "unavailable"];

/// Every family. Labels of closed sets exist from the start, at 0.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    topics: Topics,
    requests: IntCounterVec,
    /// The children of `requests` that are expected: counted without the lock of their family.
    expected_requests: OnceLock<HashMap<&'static str, IntCounter>>,
    connections: IntGauge,
    connections_max: IntGauge,
    connections_total: IntCounter,
    connections_closed: [IntCounter; ConnectionEnd::ALL.len()],
    bytes: [IntCounter; 2],
    clients_turned_away: [IntCounter; TurnedAway::ALL.len()],
    upstream_errors: [IntCounter; UpstreamErrorKind::ALL.len()],
    config_reloads: [IntCounter; 2],
    certificate_rotations: [IntCounter; 2],
    produce_times: ProduceTimes,
    validation_seconds: Histogram,
    registry_requests: HashMap<&'static str, IntCounter>,
    registry_request_seconds: Histogram,
    registry_counters: RegistryCounters,
    quarantine: QuarantineCounters,
    cache_entries: IntGauge,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    levels: LevelGauges,
    /// How long the text was that the last scrape got: the next one is about as long.
    last_length: AtomicUsize,
}

impl Metrics {
    /// Families of one process, with at most `max_topics` topics by name.
    #[must_use]
    pub fn new(max_topics: usize) -> Arc<Self> {
        let families = Families(Registry::new());
        let version = options("build_info", "Always 1, with the version.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        families.add(made(IntGauge::with_opts(version))).set(1);
        #[cfg(target_os = "linux")]
        families.add_boxed(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
        Arc::new(Self::of(families, Topics::new(max_topics)))
    }

    fn of(families: Families, topics: Topics) -> Self {
        let (bytes, upstream_errors) = closed_families(&families);
        let (config_reloads, certificate_rotations) = reload_families(&families);
        Self {
            topics,
            requests: families.counters("requests_total", "Requests of clients, by api.", "api"),
            expected_requests: OnceLock::new(),
            clients_turned_away: families.closed(
                "clients_turned_away_total",
                "Clients that were closed before their first Kafka byte, by cause.",
                "cause",
                TurnedAway::ALL.map(TurnedAway::label),
            ),
            connections: families.gauge("connections", "Client connections that are open."),
            connections_max: families
                .gauge("connections_max", "Client connections that may be open at once."),
            connections_total: families.counter("connections_total", "Client connections so far."),
            connections_closed: families.closed(
                "connections_closed_total",
                "Client connections that ended, by cause.",
                "cause",
                ConnectionEnd::ALL.map(ConnectionEnd::label),
            ),
            bytes,
            upstream_errors,
            config_reloads,
            certificate_rotations,
            produce_times: ProduceTimes::new(&families),
            validation_seconds: families.histogram(
                "validation_seconds",
                "Time of one walk over a record batch; no look-up is in it.",
                &VALIDATION_BUCKETS,
            ),
            registry_requests: REGISTRY_OUTCOMES
                .into_iter()
                .zip(families.closed(
                    "registry_requests_total",
                    "Requests to schema registries.",
                    "outcome",
                    REGISTRY_OUTCOMES,
                ))
                .collect(),
            registry_request_seconds: families.histogram(
                "registry_request_seconds",
                "Time of one request to a schema registry.",
                &REGISTRY_BUCKETS,
            ),
            registry_counters: RegistryCounters::new(&families),
            quarantine: QuarantineCounters::new(&families),
            cache_entries: families.gauge("schema_cache_entries", "Schemas in the cache."),
            cache_hits: families
                .counter("schema_cache_hits_total", "Look-ups that the cache answered."),
            cache_misses: families
                .counter("schema_cache_misses_total", "Look-ups that the cache could not answer."),
            levels: LevelGauges::new(&families),
            last_length: AtomicUsize::new(0),
            registry: families.0,
        }
    }

    /// Allows `max_topics` topics by name from now on. Those that have their label keep it.
    pub fn allow_topics(&self, max_topics: usize) {
        self.topics.allow(max_topics);
    }

    /// The counters of a topic: to be kept by who counts. Past the bound, and for names that no topic can have, those of
    /// `other`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        self.topics.topic(name)
    }

    /// Counts a request; `api_label` is from the closed list of api names.
    pub fn request(&self, api_label: &'static str) {
        match self.expected_requests.get().and_then(|expected| expected.get(api_label)) {
            Some(counter) => counter.inc(),
            None => self.requests.with_label_values(&[api_label]).inc(),
        }
    }

    /// Counts a client connection.
    pub fn connection_opened(&self) {
        self.connections.inc();
        self.connections_total.inc();
    }

    /// Takes a client connection from those that are open, and counts why.
    pub fn connection_closed(&self, end: ConnectionEnd) {
        self.connections.dec();
        count(&self.connections_closed, ConnectionEnd::ALL.iter().position(|one| *one == end));
    }

    /// Says how many client connections may be open at once.
    pub fn max_connections(&self, connections: usize) {
        self.connections_max.set(clamped(connections as u64));
    }

    /// Client connections that are open.
    #[must_use]
    pub fn connections(&self) -> u64 {
        u64::try_from(self.connections.get()).unwrap_or_default()
    }

    /// Counts a client that was turned away before its first Kafka byte.
    pub fn client_turned_away(&self, cause: TurnedAway) {
        count(&self.clients_turned_away, TurnedAway::ALL.iter().position(|one| *one == cause));
    }

    /// Counts bytes that were taken from a socket.
    pub fn bytes(&self, direction: Direction, count: u64) {
        let [to_client, to_broker] = &self.bytes;
        match direction {
            Direction::BrokerToClient => to_client.inc_by(count),
            Direction::ClientToBroker => to_broker.inc_by(count),
        }
    }

    /// Counts one walk over a batch.
    pub fn validation(&self, took: Duration) {
        self.validation_seconds.observe(took.as_secs_f64());
    }

    /// Counts what went wrong between schemaward and a broker.
    pub fn upstream_error(&self, kind: UpstreamErrorKind) {
        count(&self.upstream_errors, UpstreamErrorKind::ALL.iter().position(|one| *one == kind));
    }

    /// Counts records of refused batches that were to be copied.
    pub fn quarantined(&self, outcome: QuarantineOutcome, records: u64) {
        self.quarantine.count(outcome, records);
    }

    /// Counts a reload of the configuration.
    pub fn config_reload(&self, outcome: ReloadOutcome) {
        count(&self.config_reloads, ReloadOutcome::ALL.iter().position(|one| *one == outcome));
    }

    /// Counts that the files of a certificate, its key or its authorities have changed.
    pub fn certificate_rotation(&self, outcome: ReloadOutcome) {
        let at = ReloadOutcome::ALL.iter().position(|one| *one == outcome);
        count(&self.certificate_rotations, at);
    }

    /// Counts a request to a registry; `outcome` is one of [`REGISTRY_OUTCOMES`].
    pub fn registry_request(&self, outcome: &'static str) {
        debug_assert!(self.registry_requests.contains_key(outcome), "unknown outcome {outcome}");
        if let Some(counter) = self.registry_requests.get(outcome) {
            counter.inc();
        }
    }

    /// Counts the time of a request to a registry.
    pub fn registry_request_seconds(&self, seconds: f64) {
        self.registry_request_seconds.observe(seconds);
    }

    /// Counts a look-up that the cache answered.
    pub fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    /// Counts a look-up that the cache could not answer.
    pub fn cache_miss(&self) {
        self.cache_misses.inc();
    }

    /// Says how many schemas are in the cache.
    pub fn cache_entries(&self, entries: u64) {
        self.cache_entries.set(clamped(entries));
    }

    /// How many schemas are in the cache.
    #[must_use]
    pub fn schemas(&self) -> u64 {
        u64::try_from(self.cache_entries.get()).unwrap_or_default()
    }

    /// Has what other parts know read by `read` each time that somebody scrapes. The first who says so counts. `read` must
    /// not wait for anything that traffic holds.
    pub fn read_levels_with(&self, read: impl Fn() -> Levels + Send + Sync + 'static) {
        self.levels.read_with(read);
    }

    /// Lets the requests of these apis be told from the start, at 0. Who says so first counts.
    pub fn expect_requests(&self, api_labels: &[&'static str]) {
        let child = |label: &&'static str| (*label, self.requests.with_label_values(&[label]));
        let _ = self.expected_requests.set(api_labels.iter().map(child).collect());
    }

    /// All families in Prometheus' text format. It takes a while with many topics: not for a thread that serves traffic.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(self.last_length.load(Ordering::Relaxed));
        if self.write(&mut text).is_err() {
            tracing::error!("metrics cannot be encoded");
        }
        // A little more, for counters that grow.
        let length = text.len().saturating_add(text.len() / 16);
        self.last_length.store(length, Ordering::Relaxed);
        text
    }

    /// Writes all families. Nothing that counts waits for it, whatever `out` does.
    ///
    /// # Errors
    /// Those of `out`, and if a family cannot be encoded.
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.levels.refresh();
        let mut text = String::new();
        let encoded = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        encoded.map_err(|_| fmt::Error)?;
        out.write_str(&text)?;
        self.topics.write(out)
    }
}

/// The families by direction and kind, in the order of their enums.
fn closed_families(
    families: &Families,
) -> ([IntCounter; 2], [IntCounter; UpstreamErrorKind::ALL.len()]) {
    let bytes = families.closed(
        "bytes_total",
        "Bytes taken from sockets.",
        "direction",
        Direction::ALL.map(Direction::label),
    );
    let upstream_errors = families.closed(
        "upstream_errors_total",
        "What went wrong between schemaward and brokers.",
        "kind",
        UpstreamErrorKind::ALL.map(UpstreamErrorKind::label),
    );
    (bytes, upstream_errors)
}

/// The families by outcome, in the order of the enum.
fn reload_families(families: &Families) -> ([IntCounter; 2], [IntCounter; 2]) {
    let outcomes = ReloadOutcome::ALL.map(ReloadOutcome::label);
    let config = families.closed(
        "config_reloads_total",
        "Reloads of the configuration.",
        "outcome",
        outcomes,
    );
    let certificates = families.closed(
        "certificate_rotations_total",
        "Changes of the files of certificates, keys and authorities.",
        "outcome",
        outcomes,
    );
    (config, certificates)
}

fn count(counters: &[IntCounter], at: Option<usize>) {
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        counter.inc();
    }
}

fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Makes families with our prefix in one registry.
struct Families(Registry);

impl Families {
    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(made(IntCounter::with_opts(options(name, help))))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(made(IntGauge::with_opts(options(name, help))))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> IntCounterVec {
        self.add(made(IntCounterVec::new(options(name, help), &[label])))
    }

    fn closed<const N: usize>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: [&str; N],
    ) -> [IntCounter; N] {
        let family = self.counters(name, help, label);
        values.map(|value| family.with_label_values(&[value]))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::from(options(name, help)).buckets(buckets.to_vec());
        self.add(made(Histogram::with_opts(options)))
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.add_boxed(Box::new(collector.clone()));
        collector
    }

    fn add_boxed(&self, collector: Box<dyn Collector>) {
        made(self.0.register(collector));
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("schemaward")
}

/// What is made of our own constants: a mistake in them shows in every test that makes a [`Metrics`].
fn made<T>(result: prometheus::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("a metric family of ours is malformed: {error}"))
}

/// A small request is judged within tens of microseconds, one of 64 MiB in about a second.
const VALIDATION_BUCKETS: [f64; 9] = [2e-5, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2, 0.2, 1.0, 5.0];
/// From a registry next door to the default time limit of 3 seconds and beyond.
const REGISTRY_BUCKETS: [f64; 8] = [0.002, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0, 10.0];

#[cfg(test)]
mod tests;
