//! Reads the configuration again while the proxy runs, and puts what is new into the place of what was in force. It is the
//! only one who does so, one reload after the other; connections notice with their next request.
//!
//! What can go wrong is done first ([`Prepared`]), and changes nothing. What follows cannot fail.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use super::{
    build::{OwnWay, SchemaOrigin, Schemas, bounds, judging, running},
    file::ConfigFile,
    prepared::Prepared,
};
use crate::{
    admin::{Access, ReloadFact, ReloadRequest},
    config::Config,
    logging,
    metrics::ReloadOutcome,
    proxy::{gateway::Gateway, listener::House, upstream::TcpDial, warm_up::warm_up},
    schema::References,
    status::Status,
    tls::{TlsClient, TlsServer},
};

/// What may ask for a reload.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    /// The file, which may change.
    pub(super) file: Option<ConfigFile>,
    /// SIGHUP.
    pub(super) hangups: Option<Signal>,
    /// The admin listener.
    pub(super) requests: Option<mpsc::Receiver<ReloadRequest>>,
}

/// The running parts that take something new.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) gateway: Arc<Gateway>,
    pub(super) house: Arc<House<TcpDial>>,
    pub(super) status: Arc<Status>,
    pub(super) access: Arc<Access>,
    pub(super) schemas: Schemas,
    /// What takes up files of `listen.tls` that change.
    pub(super) server: JoinSet<()>,
    /// The same of `upstream.tls`.
    pub(super) client: JoinSet<()>,
    /// How copies of refused batches come to the brokers, if by a login of their own.
    pub(super) copies: Option<OwnWay>,
}

/// Who reloads.
#[derive(Debug)]
pub(super) struct Reloader {
    parts: Parts,
    /// What is in force.
    config: Arc<Config>,
    /// References that are being looked up in advance.
    warming: JoinSet<()>,
    seen: Seen,
}

/// What was seen of the file so far.
#[derive(Debug, Default)]
struct Seen {
    /// What it held when it was decided last.
    decided: u64,
    /// What was wrong with it then.
    mistakes: Vec<String>,
    /// What it held when it could not be used, and may have been half written; and what was wrong with it.
    doubted: Option<(u64, Vec<String>)>,
}

/// What asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    File,
    Request,
    Signal,
}

impl Asked {
    const fn label(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Request => "request",
            Self::Signal => "signal",
        }
    }
}

impl Reloader {
    /// Reloads for `parts`, which run with `config`.
    pub(super) fn new(parts: Parts, config: Config, file: Option<&ConfigFile>) -> Self {
        let decided = file.map(ConfigFile::first).unwrap_or_default();
        let seen = Seen { decided, ..Seen::default() };
        let mut this = Self { parts, config: Arc::new(config), warming: JoinSet::new(), seen };
        this.warm_up();
        this
    }

    /// Looks schemas up that are wanted before a record needs them.
    fn warm_up(&mut self) {
        let references = References::new(&self.config.registry);
        let wanted = self.config.registry.warm_up.clone();
        self.warming = JoinSet::new();
        self.warming.spawn(warm_up(Arc::clone(&self.parts.gateway), references, wanted));
    }

    /// Reloads whenever somebody asks, for ever.
    pub(super) async fn run(mut self, triggers: Triggers) {
        let Triggers { file, mut hangups, mut requests } = triggers;
        let mut looks = interval(INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = signalled(&mut hangups) => self.reload(file.as_ref(), Asked::Signal).await,
                told = asked(&mut requests) => {
                    self.reload(file.as_ref(), Asked::Request).await;
                    // Who has gone meanwhile finds it on the page.
                    let _ = told.send(ReloadFact::clone(&self.parts.status.reload()));
                }
                _ = looks.tick() => {
                    if let Some(file) = &file {
                        self.look(file).await;
                    }
                }
            }
        }
    }

    /// Reads the file because somebody asks for it.
    async fn reload(&mut self, file: Option<&ConfigFile>, asked: Asked) {
        let Some(file) = file else {
            return self.failed(vec!["there is no configuration file".to_owned()], asked);
        };
        let (now, prepared) = self.prepare(file).await;
        self.seen = Seen { decided: now, ..Seen::default() };
        match prepared {
            Ok(prepared) => self.apply(prepared, asked).await,
            Err(mistakes) => self.failed(mistakes, asked),
        }
    }

    /// Reads the file if it has changed. What cannot be used gets a second look before it is decided: files are seldom
    /// written all at one moment. What was faulty is tried again, for it may be a file it names that has come meanwhile.
    async fn look(&mut self, file: &ConfigFile) {
        let looked = file.clone();
        let Ok(now) = spawn_blocking(move || looked.fingerprint()).await else { return };
        if now == self.seen.decided && self.seen.mistakes.is_empty() {
            self.seen.doubted = None;
            return;
        }
        let (now, prepared) = self.prepare(file).await;
        let seen = &mut self.seen;
        match prepared {
            Ok(prepared) => {
                *seen = Seen { decided: now, ..Seen::default() };
                self.apply(prepared, Asked::File).await;
            }
            Err(mistakes) if now == seen.decided && mistakes == seen.mistakes => {}
            Err(mistakes) => {
                let doubted = Some((now, mistakes.clone()));
                if seen.doubted == doubted {
                    *seen = Seen { decided: now, ..Seen::default() };
                    self.failed(mistakes, Asked::File);
                } else {
                    seen.doubted = doubted;
                }
            }
        }
    }

    /// Reads the file and makes what is new in it; also says what the file held before.
    async fn prepare(&self, file: &ConfigFile) -> (u64, Result<Prepared, Vec<String>>) {
        let (file, old) = (file.clone(), Arc::clone(&self.config));
        let metrics = Arc::clone(&self.parts.gateway.metrics);
        let prepared = spawn_blocking(move || {
            let now = file.fingerprint();
            (now, Prepared::read(&file, &old, &metrics))
        });
        // Reading has panicked, or the process is ending.
        let lost = |_| (0, Err(vec!["the configuration could not be read".to_owned()]));
        prepared.await.unwrap_or_else(lost)
    }

    /// Leaves everything as it is, loudly.
    fn failed(&mut self, mistakes: Vec<String>, asked: Asked) {
        let asked_by = asked.label();
        for mistake in mistakes.iter().take(MAX_MISTAKES) {
            tracing::error!(asked_by, "{mistake}");
        }
        let count = mistakes.len();
        tracing::error!(
            asked_by,
            mistakes = count,
            "the new configuration cannot be used, the old one stays in force"
        );
        self.seen.mistakes.clone_from(&mistakes);
        let mut told = mistakes;
        told.truncate(MAX_MISTAKES);
        if count > MAX_MISTAKES {
            told.push(format!("and {} more", count - MAX_MISTAKES));
        }
        let before = self.parts.status.reload();
        self.report(ReloadOutcome::Failed, asked, |fact| ReloadFact {
            mistakes: told,
            needs_restart: before.needs_restart.clone(),
            ..fact
        });
    }

    /// Puts what was prepared in force.
    async fn apply(&mut self, prepared: Prepared, asked: Asked) {
        let Prepared {
            config,
            changed,
            needs_restart,
            warnings,
            server,
            upstream,
            copies,
            schemas,
        } = prepared;
        let old = std::mem::replace(&mut self.config, Arc::new(config));
        let asked_by = asked.label();
        if old != self.config {
            self.put_in_force(&old, server, (upstream, copies), schemas).await;
        }
        let keys = changed.join(", ");
        tracing::info!(
            asked_by,
            changed = keys,
            "the configuration was read again and is in force"
        );
        for key in &needs_restart {
            tracing::warn!(asked_by, key, "{key} has changed in the file and needs a restart");
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.report(ReloadOutcome::Applied, asked, |fact| ReloadFact {
            changed,
            needs_restart,
            ..fact
        });
    }

    async fn put_in_force(
        &mut self,
        old: &Config,
        server: Option<TlsServer>,
        (upstream, copies): (Option<Option<TlsClient>>, Option<Option<TlsClient>>),
        origin: Option<SchemaOrigin>,
    ) {
        let (parts, config) = (&mut self.parts, &*self.config);
        let Gateway { bounds: in_force, budget, guard, metrics, .. } = &*parts.gateway;
        let has_origin = origin.is_some();
        if let Some(origin) = origin {
            let before = &parts.schemas;
            parts.schemas = Schemas::instead_of(before, origin, (old, config), metrics).await;
        }
        in_force.store(Arc::new(bounds(config)));
        budget.resize(config.memory_budget, config.times.stall_timeout);
        guard.resize(config.sequence_guard.max_entries, config.sequence_guard.expiry);
        metrics.allow_topics(config.metrics.max_topics);
        metrics.max_connections(config.listen.max_connections);
        if let Some(tls) = &server {
            parts.server = running([Box::pin(tls.keep_up(Arc::clone(metrics))) as _]);
        }
        parts.house.replace_listen(&config.listen, server);
        if let Some(tls) = upstream {
            let keep_up = tls.as_ref().map(|tls| Box::pin(tls.keep_up(Arc::clone(metrics))) as _);
            parts.client = running(keep_up);
            parts.house.replace_upstream(&config.upstream, tls);
        }
        if let (Some(tls), Some(own)) = (copies, &mut parts.copies) {
            own.replace(config, tls, metrics);
        }
        parts.access.replace(&config.admin);
        logging::set_level(config.log.level);
        parts.status.follow(config);
        // Last: who is judged by the new rules finds everything else new as well.
        let cache = Arc::clone(&parts.schemas.cache);
        parts.gateway.judging.store(Arc::new(judging(config, cache)));
        if has_origin || old.registry.warm_up != config.registry.warm_up {
            self.warm_up();
        }
    }

    fn report(
        &self,
        outcome: ReloadOutcome,
        asked: Asked,
        with: impl FnOnce(ReloadFact) -> ReloadFact,
    ) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        self.parts.status.reloaded(with(ReloadFact {
            outcome: Some(outcome.label()),
            unix_seconds: since.map(|since| since.as_secs()),
            asked_by: Some(asked.label()),
            ..ReloadFact::default()
        }));
        self.parts.gateway.metrics.config_reload(outcome);
    }
}

async fn signalled(hangups: &mut Option<Signal>) {
    let heard = match hangups {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

async fn asked(requests: &mut Option<mpsc::Receiver<ReloadRequest>>) -> ReloadRequest {
    let request = match requests {
        Some(requests) => requests.recv().await,
        None => None,
    };
    match request {
        Some(request) => request,
        None => std::future::pending().await,
    }
}

/// How often the file is looked at: kubelet itself takes up to a minute to bring a new ConfigMap.
const INTERVAL: Duration = Duration::from_secs(2);
/// Mistakes that are told one by one.
const MAX_MISTAKES: usize = 100;
