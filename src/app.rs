//! The one place that wires everything; owns start, drain and stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use tracing::{info, warn};

use crate::{
    admin::{Admin, AdminError},
    config::Config,
    health::{Latch, Readiness},
    metrics::Metrics,
    proxy::{
        address_map::AddressMap,
        budget::MemoryBudget,
        cluster_view::ClusterView,
        end_log::EndLog,
        gateway::Gateway,
        listener::{self, BindError, House, Leads, Listener},
        probe,
        quarantine::DeadLetters,
        sequence_guard::SequenceGuard,
        settings::{Routing, UpstreamSettings},
        topic_ids::TopicIds,
        upstream::{TcpDial, Upstream},
        warm_up::warm_up,
    },
    quarantine,
    rejection_log::RejectionLog,
    schema::{HttpSource, HttpSourceError, References, SchemaCache},
    status::{self, CacheMetrics, Status},
    tls::{TlsClient, TlsFileError, TlsServer},
    validate::{judge::Judge, policy::Policy},
    wire::api,
};

/// How often the log tells what it left out.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How often a drain looks whether the last connection has ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Why the proxy did not start, or ended otherwise than by a clean stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An admin listener cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Connections were still busy when the grace period of the drain ended.
    #[error("drain grace exceeded with {connections} connections still busy")]
    DrainGraceExceeded {
        /// Connections that were cut.
        connections: u64,
    },
    /// The HTTP client for schemas cannot be made.
    #[error(transparent)]
    Schemas(#[from] HttpSourceError),
    /// A file of `listen.tls` or `upstream.tls` cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The system refuses something at start.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The proxy, running.
#[derive(Debug)]
pub struct App {
    bootstrap: SocketAddr,
    admin: Option<SocketAddr>,
    probes: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    readiness: Arc<Readiness>,
    drain: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl App {
    /// Binds every listener and starts to serve. Brokers need not answer yet: [`App::readiness`] says when one has.
    ///
    /// # Errors
    /// [`AppError`] when a port is in use or the system refuses something.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let (drain, draining) = watch::channel(false);
        let metrics = Metrics::new(config.metrics.max_topics);
        let tls = config.upstream.tls.clone().map(TlsClient::new).transpose()?;
        let upstream = Arc::new(Upstream::new(&config.upstream, TcpDial, tls));
        let own_upstream = quarantine_upstream(&config, &upstream)?;
        let tls = config.listen.tls.clone().map(TlsServer::new).transpose()?;
        let source = schema_source(&config, &metrics)?;
        let schema_files = source.keep_up(&metrics);
        let gateway = Arc::new(gateway(source, &config, metrics, draining));
        let readiness = Arc::new(Readiness::new());
        watch(&gateway, &readiness);
        let listeners = bind(&config, &gateway)?;
        let first = listeners.first();
        let bootstrap = match first.map(|listener| listener.accept.local_addr()) {
            Some(address) => {
                address.map_err(|source| AppError::System { what: "read own address", source })?
            }
            None => config.listen.bootstrap,
        };
        readiness.drop_latch(Latch::Listeners);
        let mut tasks = JoinSet::new();
        schema_files.into_iter().for_each(|task| drop(tasks.spawn(task)));
        if let Some(tls) = &tls {
            tasks.spawn(tls.keep_up(Arc::clone(&gateway.metrics)));
        }
        if let Some(tls) = upstream.tls() {
            tasks.spawn(tls.keep_up(Arc::clone(&gateway.metrics)));
        }
        if let Some(tls) = own_upstream.tls().filter(|_| !Arc::ptr_eq(&own_upstream, &upstream)) {
            tasks.spawn(tls.keep_up(Arc::clone(&gateway.metrics)));
        }
        let house = House::new(&config.listen, tls, Arc::clone(&upstream), Arc::clone(&gateway));
        let house = Arc::new(house);
        for listener in listeners {
            tasks.spawn(listener.serve(Arc::clone(&house)));
        }
        let probing = probe::until_answered(Arc::clone(&gateway), upstream, Arc::clone(&readiness));
        tasks.spawn(probing);
        tasks.spawn(quarantine::run(Arc::clone(&gateway), own_upstream));
        tasks.spawn(report(Arc::clone(&gateway)));
        let references = References::new(&config.registry);
        let wanted = config.registry.warm_up.clone();
        tasks.spawn(warm_up(Arc::clone(&gateway), references, wanted));
        let status = Arc::new(Status::new(&config, Arc::clone(&gateway)));
        let metrics = Arc::clone(&gateway.metrics);
        let served = Admin::bind(&config.admin, metrics, Arc::clone(&readiness), status).await?;
        let (admin, probes) = (served.address(), served.probes_address());
        // It serves until the very end: a drain can be watched.
        tasks.spawn(served.serve(std::future::pending()));
        config.warnings().iter().for_each(|warning| warn!("{warning}"));
        info!(%bootstrap, version = env!("CARGO_PKG_VERSION"), "listening");
        Ok(Self { bootstrap, admin, probes, gateway, readiness, drain, tasks })
    }

    /// Where clients bootstrap.
    #[must_use]
    pub const fn bootstrap_address(&self) -> SocketAddr {
        self.bootstrap
    }

    /// Where operators look, if anywhere.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where kubelet and Prometheus look, if anywhere.
    #[must_use]
    pub const fn probes_address(&self) -> Option<SocketAddr> {
        self.probes
    }

    /// Whether a broker has answered yet.
    #[must_use]
    pub const fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.gateway.metrics
    }

    /// What unfinished work holds.
    #[must_use]
    pub fn memory_budget(&self) -> &Arc<MemoryBudget> {
        &self.gateway.budget
    }

    /// Stops accepting, lets connections finish what is in flight, and ends.
    ///
    /// # Errors
    /// [`AppError::DrainGraceExceeded`] when connections were still busy at the end of the grace period.
    pub async fn drain(self) -> Result<(), AppError> {
        self.drain_unless(std::future::pending()).await
    }

    /// The same, but it waits for connections only until `hurry` is done.
    async fn drain_unless(mut self, hurry: impl Future<Output = ()>) -> Result<(), AppError> {
        info!("draining");
        self.readiness.drain();
        // Nobody listens any more only if every connection has ended.
        let _ = self.drain.send(true);
        let metrics = Arc::clone(&self.gateway.metrics);
        let dead_letters = &self.gateway.dead_letters;
        let ended = async {
            while metrics.connections() > 0 || dead_letters.queued_bytes() > 0 {
                sleep(DRAIN_POLL).await;
            }
        };
        tokio::select! {
            biased;
            () = ended => {}
            () = hurry => info!("told again: not waiting for connections any longer"),
            () = sleep(self.gateway.times.drain_grace) => {}
        }
        self.tasks.shutdown().await;
        self.gateway.rejections.report_rest();
        self.gateway.ends.report_suppressed(true);
        match metrics.connections() {
            0 => Ok(()),
            connections => Err(AppError::DrainGraceExceeded { connections }),
        }
    }
}

/// Runs the proxy until SIGTERM or SIGINT, then drains it; a second signal ends the drain.
///
/// # Errors
/// [`AppError`]: why it did not start, or did not end cleanly.
pub async fn run(config: Config) -> Result<(), AppError> {
    let hook = |kind| {
        signal(kind).map_err(|source| AppError::System { what: "listen for signals", source })
    };
    let mut terminate = hook(SignalKind::terminate())?;
    let mut interrupt = hook(SignalKind::interrupt())?;
    let app = App::start(config).await?;
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    told().await;
    app.drain_unless(told()).await
}

/// As whom copies of refused batches come to the brokers: with a login of their own, or as everything else.
fn quarantine_upstream(
    config: &Config,
    upstream: &Arc<Upstream>,
) -> Result<Arc<Upstream>, AppError> {
    if config.quarantine.sasl.is_none() {
        return Ok(Arc::clone(upstream));
    }
    let sasl = config.quarantine.sasl.clone();
    let settings = UpstreamSettings { sasl, ..config.upstream.clone() };
    let tls = config.upstream.tls.clone().map(TlsClient::new).transpose()?;
    Ok(Arc::new(Upstream::new(&settings, TcpDial, tls)))
}

/// Where schemas come from.
///
/// # Errors
/// [`AppError::Schemas`] when the HTTP client for schemas cannot be made.
pub fn schema_source(config: &Config, metrics: &Arc<Metrics>) -> Result<Arc<HttpSource>, AppError> {
    let observer = Arc::new(CacheMetrics(Arc::clone(metrics)));
    Ok(Arc::new(HttpSource::new(&config.registry, config.schema_limits, observer)?))
}

/// What all connections of a proxy share; it drains when `draining` turns true.
#[must_use]
pub fn gateway(
    source: Arc<HttpSource>,
    config: &Config,
    metrics: Arc<Metrics>,
    draining: watch::Receiver<bool>,
) -> Gateway {
    let observer = Arc::new(CacheMetrics(Arc::clone(&metrics)));
    let schemas = SchemaCache::new(source, config.cache.clone(), observer);
    gateway_over(schemas, config, metrics, draining)
}

/// The same over schemas from anywhere.
#[must_use]
pub fn gateway_over(
    schemas: Arc<SchemaCache>,
    config: &Config,
    metrics: Arc<Metrics>,
    draining: watch::Receiver<bool>,
) -> Gateway {
    let references = References::new(&config.registry);
    let guard = &config.sequence_guard;
    Gateway {
        judge: Judge::new(references, schemas, config.record_limits),
        policy: Policy::new(&config.rules, &config.default_rule, &config.metadata),
        cluster: ClusterView {
            addresses: Arc::new(AddressMap::new(&config.listen)),
            topics: Arc::new(TopicIds::default()),
            logins: config.client_logins(),
        },
        guard: Arc::new(SequenceGuard::new(guard.max_entries, guard.expiry)),
        budget: MemoryBudget::new(config.memory_budget, config.times.stall_timeout),
        dead_letters: Arc::new(DeadLetters::new(config.quarantine.clone())),
        metrics,
        rejections: RejectionLog::new(),
        ends: EndLog::default(),
        limits: config.wire_limits.clone(),
        times: config.times.clone(),
        draining,
    }
}

/// Has levels and notes read off the running parts when somebody asks.
fn watch(gateway: &Gateway, readiness: &Readiness) {
    let Gateway { cluster, budget, guard, dead_letters, metrics, .. } = gateway;
    metrics.expect_requests(api::LABELS);
    let (addresses, budget, guard) = (cluster.addresses.clone(), budget.clone(), guard.clone());
    let dead_letters = dead_letters.clone();
    metrics.read_levels_with(move || status::levels(&addresses, &budget, &guard, &dead_letters));
    let addresses = cluster.addresses.clone();
    readiness.note_with(move || status::note(&addresses));
}

/// Tells now and then what the log left out.
async fn report(gateway: Arc<Gateway>) {
    loop {
        sleep(REPORT_INTERVAL).await;
        gateway.rejections.report_suppressed();
        gateway.ends.report_suppressed(false);
    }
}

/// Binds the bootstrap listener, then every broker port on the same address.
fn bind(config: &Config, gateway: &Gateway) -> Result<Vec<Listener<TcpListener>>, AppError> {
    let bootstrap = config.listen.bootstrap;
    let name: Arc<str> = bootstrap.to_string().into();
    let listener = |address, leads| {
        listener::bind(address).map(|accept| Listener { accept, leads, name: Arc::clone(&name) })
    };
    let first = match config.listen.routing {
        Routing::Ports => Leads::Bootstrap,
        Routing::ServerName => Leads::ServerName,
    };
    let mut listeners = vec![listener(bootstrap, first)?];
    for port in gateway.cluster.addresses.ports() {
        listeners.push(listener(SocketAddr::new(bootstrap.ip(), port.0), Leads::Port(port))?);
    }
    Ok(listeners)
}
