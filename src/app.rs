//! The one place that wires everything; owns start, reload, drain and stop.

mod build;
mod file;
mod merge;
mod prepared;
mod reload;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use tracing::{info, warn};

use self::{
    build::{OwnWay, SchemaOrigin, Schemas, running},
    reload::{Parts, Reloader, Triggers},
};
pub use self::{
    build::{gateway, gateway_over, schema_source},
    file::ConfigFile,
};
use crate::{
    admin::{Admin, AdminError},
    config::Config,
    health::{Latch, Readiness},
    metrics::Metrics,
    proxy::{
        budget::MemoryBudget,
        gateway::Gateway,
        lanes::{Dealer, Lanes},
        listener::{self, BindError, House, Leads, Listener},
        probe,
        settings::Routing,
        upstream::{TcpDial, Upstream},
    },
    quarantine,
    schema::HttpSourceError,
    status::{self, Status},
    tls::{TlsClient, TlsFileError, TlsServer},
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
    /// Whatever they still carry at the end is cut.
    _lanes: Lanes,
}

impl App {
    /// Binds every listener and starts to serve. Brokers need not answer yet: [`App::readiness`] says when one has.
    ///
    /// # Errors
    /// [`AppError`] when a port is in use or the system refuses something.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        Self::begin(config, Triggers::default()).await
    }

    /// The same with a configuration that `file` holds, and that is read again when the file changes, at each of `hangups`
    /// and when the admin listener is asked for it.
    ///
    /// # Errors
    /// The same.
    pub async fn start_from(
        file: ConfigFile,
        config: Config,
        hangups: Option<Signal>,
    ) -> Result<Self, AppError> {
        Self::begin(config, Triggers { file: Some(file), hangups, requests: None }).await
    }

    async fn begin(config: Config, triggers: Triggers) -> Result<Self, AppError> {
        let (drain, draining) = watch::channel(false);
        let metrics = Metrics::new(config.metrics.max_topics);
        let client = config.upstream.tls.clone().map(TlsClient::new).transpose()?;
        let server = config.listen.tls.clone().map(TlsServer::new).transpose()?;
        let schemas = Schemas::new(SchemaOrigin::new(&config, &metrics)?, &config, &metrics);
        let cache = Arc::clone(&schemas.cache);
        let gateway = Arc::new(gateway_over(cache, &config, Arc::clone(&metrics), draining));
        let readiness = Arc::new(Readiness::new());
        watch(&gateway, &readiness);
        gateway.metrics.max_connections(config.listen.max_connections);
        let lanes = open_lanes()?;
        let listeners = bind(&config, &gateway, &lanes)?;
        let bootstrap = first_address(&listeners, &config)?;
        readiness.drop_latch(Latch::Listeners);
        let status = Arc::new(Status::new(&config, Arc::clone(&gateway)));
        let history = Arc::clone(&status).keep_history();
        let (counts, told) = (Arc::clone(&metrics), Arc::clone(&status));
        let mut served = Admin::bind(&config.admin, counts, Arc::clone(&readiness), told).await?;
        let (admin, probes) = (served.address(), served.probes_address());
        let requests = served.take_reload_requests();
        let access = Arc::clone(served.access());
        let keep_up = |tls: &TlsServer| Box::pin(tls.keep_up(Arc::clone(&metrics))) as _;
        let of_server = running(server.as_ref().map(keep_up));
        let keep_up = |tls: &TlsClient| Box::pin(tls.keep_up(Arc::clone(&metrics))) as _;
        let of_client = running(client.as_ref().map(keep_up));
        let upstream = Arc::new(Upstream::new(&config.upstream, TcpDial, client));
        let copies = OwnWay::new(&config, &metrics)?;
        let of_copies = copies.as_ref().map_or(&upstream, OwnWay::upstream);
        let copying = quarantine::run(Arc::clone(&gateway), Arc::clone(of_copies));
        let house = House::new(&config.listen, server, Arc::clone(&upstream), Arc::clone(&gateway));
        let house = Arc::new(house);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(listener.serve(Arc::clone(&house)));
        }
        let probing = probe::until_answered(Arc::clone(&gateway), upstream, Arc::clone(&readiness));
        tasks.spawn(probing);
        tasks.spawn(copying);
        tasks.spawn(report(Arc::clone(&gateway)));
        tasks.spawn(history);
        // It serves until the very end: a drain can be watched.
        tasks.spawn(served.serve(std::future::pending()));
        config.warnings().iter().for_each(|warning| warn!("{warning}"));
        let (server, client) = (of_server, of_client);
        let gateway_of_parts = Arc::clone(&gateway);
        let parts = Parts {
            gateway: gateway_of_parts,
            house,
            status,
            access,
            schemas,
            server,
            client,
            copies,
        };
        let reloader = Reloader::new(parts, config, triggers.file.as_ref());
        tasks.spawn(reloader.run(Triggers { requests, ..triggers }));
        info!(%bootstrap, version = env!("CARGO_PKG_VERSION"), "listening");
        Ok(Self { bootstrap, admin, probes, gateway, readiness, drain, tasks, _lanes: lanes })
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
            () = sleep(self.gateway.drain_grace()) => {}
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

/// Runs the proxy until SIGTERM or SIGINT, then drains it; a second signal ends the drain. `config` is what `file` held.
///
/// # Errors
/// [`AppError`]: why it did not start, or did not end cleanly.
pub async fn run(file: ConfigFile, config: Config) -> Result<(), AppError> {
    let hook = |kind| {
        signal(kind).map_err(|source| AppError::System { what: "listen for signals", source })
    };
    // First of all: unheard, it ends the process.
    let hangups = hook(SignalKind::hangup())?;
    let mut terminate = hook(SignalKind::terminate())?;
    let mut interrupt = hook(SignalKind::interrupt())?;
    let app = App::start_from(file, config, Some(hangups)).await?;
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    told().await;
    app.drain_unless(told()).await
}

fn open_lanes() -> Result<Lanes, AppError> {
    let open = Lanes::open(Lanes::usual());
    open.map_err(|source| AppError::System { what: "start threads", source })
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
fn bind(
    config: &Config,
    gateway: &Gateway,
    lanes: &Lanes,
) -> Result<Vec<Listener<TcpListener>>, AppError> {
    let bootstrap = config.listen.bootstrap;
    let name: Arc<str> = bootstrap.to_string().into();
    let listener = |address, leads| {
        let (name, dealer) = (Arc::clone(&name), Some(Dealer::new(lanes)));
        listener::bind(address).map(|accept| Listener { accept, leads, name, dealer })
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

/// Where clients bootstrap: the port may have been left to the system.
fn first_address(
    listeners: &[Listener<TcpListener>],
    config: &Config,
) -> Result<SocketAddr, AppError> {
    let failed = |source| AppError::System { what: "read own address", source };
    let first = listeners.first().map(|listener| listener.accept.local_addr());
    first.transpose().map_err(failed).map(|address| address.unwrap_or(config.listen.bootstrap))
}
