//! The proxy: the connection code itself, over a simulated network and a simulated registry.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use schemaward::{
    app,
    config::Config,
    health::Readiness,
    limits::SchemaLimits,
    metrics::Metrics,
    proxy::{
        address_map::LocalPort,
        gateway::Gateway,
        listener::{Accept, House, Leads, Listener},
        probe,
        settings::BrokerAddress,
        upstream::{Dial, Upstream},
    },
    schema::{
        Documents, Fetched, Lifetime, Lookup, Schema, SchemaCache, SchemaFormat, SchemaRef,
        SchemaSource, SourceError,
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use turmoil::net::{TcpListener, TcpStream};

use super::{cluster, traffic};
use crate::support::idempotent::Chance;

/// Where clients bootstrap.
pub const BOOTSTRAP_PORT: u16 = 9092;
/// The port that stands for node 0.
pub const FIRST_BROKER_PORT: u16 = 9100;
/// How long a connection takes to part, at most, once nothing is waited for any more.
const PARTING: Duration = Duration::from_secs(7);
/// How often a drain looks whether the last connection has ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

struct SimulatedAccept(TcpListener);

impl Accept for SimulatedAccept {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }
}

#[derive(Debug)]
struct SimulatedDial;

impl Dial for SimulatedDial {
    type Io = TcpStream;

    async fn dial(&self, address: &BrokerAddress) -> io::Result<TcpStream> {
        TcpStream::connect((address.host.as_str(), address.port)).await
    }
}

/// A registry that is slow, or down, or lies down for a while.
#[derive(Debug)]
pub struct Registry {
    seed: u64,
    /// How long a schema may be used without asking again.
    lifetime: Duration,
    schema: Arc<Schema>,
    asked: Mutex<BTreeMap<String, u64>>,
    pub weather: Mutex<Weather>,
}

/// How a registry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// It answers.
    Fine,
    /// Now and then it does not.
    Changing,
    /// It does not answer.
    Down,
}

impl Registry {
    pub fn new(seed: u64, lifetime: u64) -> Arc<Self> {
        let lifetime = Duration::from_millis(lifetime);
        let text = traffic::SCHEMA.to_owned();
        let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
        let schema = Schema::compile(&documents, &SchemaLimits::default()).unwrap();
        let weather = Mutex::new(Weather::Changing);
        Arc::new(Self {
            seed,
            lifetime,
            schema: Arc::new(schema),
            asked: Mutex::default(),
            weather,
        })
    }

    /// Chance that depends on who is asked for and how often, not on who asks first.
    fn chance(&self, reference: &str) -> Chance {
        let mut asked = self.asked.lock().unwrap();
        let times = asked.entry(reference.to_owned()).or_default();
        *times += 1;
        let id = reference
            .bytes()
            .fold(*times, |id, byte| id.wrapping_mul(131).wrapping_add(u64::from(byte)));
        Chance::new(self.seed ^ id)
    }
}

impl SchemaSource for Registry {
    fn find<'a>(&'a self, reference: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
        Box::pin(async move {
            let name = reference.shown();
            let mut chance = self.chance(&name);
            let weather = *self.weather.lock().unwrap();
            let slow = weather != Weather::Fine && chance.percent(10);
            sleep(Duration::from_millis(chance.below(if slow { 3_000 } else { 30 }))).await;
            let down = match weather {
                Weather::Fine => false,
                Weather::Changing => chance.percent(20),
                Weather::Down => true,
            };
            if down {
                return Err(SourceError::Unavailable { detail: "down".into() });
            }
            let known = (1..=traffic::SCHEMAS).any(|id| name.ends_with(&id.to_string()));
            if !known || name.ends_with("404") {
                return Err(SourceError::NotFound { detail: "no such schema".into() });
            }
            let lifetime = Lifetime::For(self.lifetime);
            let schema = Arc::clone(&self.schema);
            Ok(Arc::new(Fetched { lifetime, ..Fetched::immutable(schema) }))
        })
    }
}

/// A proxy that was started, for those who look at it from outside.
#[derive(Debug, Clone)]
pub struct Started {
    pub gateway: Arc<Gateway>,
    drain: Arc<watch::Sender<bool>>,
}

impl Started {
    /// Tells it to drain.
    pub fn drain(&self) {
        let _ = self.drain.send(true);
    }

    /// What must not be left of a proxy whose connections have all ended, if anything is.
    pub fn left_over(&self) -> Option<String> {
        let (connections, used) = (self.gateway.metrics.connections(), self.gateway.budget.used());
        let left = connections > 0 || used > 0;
        left.then(|| format!("{connections} connections and {used} bytes are left of a proxy"))
    }
}

/// The host of the proxy; it can be started again.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub config: Config,
    pub brokers: usize,
    pub registry: Arc<Registry>,
    /// Each proxy that was ever started, the last one last.
    pub started: Arc<Mutex<Vec<Started>>>,
}

impl Proxy {
    /// What runs now, or ran last.
    pub fn current(&self) -> Option<Started> {
        self.started.lock().unwrap().last().cloned()
    }

    /// Runs until it is told to drain, and has.
    pub async fn run(self) -> turmoil::Result {
        let (drain, draining) = watch::channel(false);
        let gateway = Arc::new(self.gateway(draining));
        let started = Started { gateway: Arc::clone(&gateway), drain: Arc::new(drain) };
        self.started.lock().unwrap().push(started);
        let upstream = Arc::new(Upstream::new(&self.config.upstream, SimulatedDial, None));
        let listen = &self.config.listen;
        let house = House::new(listen, None, Arc::clone(&upstream), Arc::clone(&gateway));
        let house = Arc::new(house);
        let first = (BOOTSTRAP_PORT, Leads::Bootstrap);
        let ports = (FIRST_BROKER_PORT..).take(self.brokers);
        let others = ports.map(|port| (port, Leads::Port(LocalPort(port))));
        for (port, leads) in std::iter::once(first).chain(others) {
            let accept = SimulatedAccept(TcpListener::bind(("0.0.0.0", port)).await?);
            let listener = Listener { accept, leads, name: "proxy".into(), dealer: None };
            tokio::spawn(listener.serve(Arc::clone(&house)));
        }
        let readiness = Arc::new(Readiness::new());
        tokio::spawn(probe::until_answered(Arc::clone(&gateway), upstream, readiness));
        gateway.drained().await;
        // An answer that never comes is waited for as long; then both sides are told.
        let deadline = Instant::now() + gateway.drain_grace() + PARTING;
        while gateway.metrics.connections() > 0 && Instant::now() < deadline {
            sleep(DRAIN_POLL).await;
        }
        // Whoever is still busy is cut off.
        Ok(())
    }

    fn gateway(&self, draining: watch::Receiver<bool>) -> Gateway {
        let config = &self.config;
        let source = Arc::clone(&self.registry) as Arc<dyn SchemaSource>;
        let clock = Arc::new(|| Instant::now().into_std());
        let schemas = SchemaCache::with_clock(source, config.cache.clone(), Arc::new(()), clock);
        let metrics = Metrics::new(config.metrics.max_topics);
        app::gateway_over(schemas, config, metrics, draining)
    }
}

/// A configuration with the YAML in `more`.
pub fn config(brokers: usize, more: &str) -> Config {
    let upstream: Vec<_> =
        (0..brokers).map(|node| format!("\"{}:{}\"", cluster::name(node), cluster::PORT)).collect();
    let file = format!(
        "listen:\n  bootstrap: 0.0.0.0:{BOOTSTRAP_PORT}\n  broker_ports: {FIRST_BROKER_PORT}-{}\n  \
         advertised_host: proxy\n  client_auth: none\nupstream:\n  bootstrap: [{}]\n  \
         connect_timeout: 2s\n{more}",
        FIRST_BROKER_PORT + 9,
        upstream.join(", "),
    );
    Config::parse(&file, "simulation.yaml", std::iter::empty())
        .unwrap_or_else(|errors| panic!("{errors}\n{file}"))
}
