//! What the parts are made of: each from its part of the configuration, at start and at a reload.

use std::{pin::Pin, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{sync::watch, task::JoinSet};

use super::AppError;
use crate::{
    config::Config,
    metrics::Metrics,
    proxy::{
        address_map::AddressMap,
        budget::MemoryBudget,
        cluster_view::ClusterView,
        end_log::EndLog,
        gateway::Gateway,
        in_force::{Bounds, Judging},
        quarantine::DeadLetters,
        sequence_guard::SequenceGuard,
        settings::UpstreamSettings,
        topic_ids::TopicIds,
        upstream::{TcpDial, Upstream},
    },
    rejection_log::RejectionLog,
    schema::{HttpSource, HttpSourceError, References, SchemaCache},
    status::CacheMetrics,
    tls::{TlsClient, TlsFileError},
    validate::{judge::Judge, policy::Policy},
};

/// Where schemas come from.
///
/// # Errors
/// [`AppError::Schemas`] when the HTTP client for schemas cannot be made.
pub fn schema_source(config: &Config, metrics: &Arc<Metrics>) -> Result<Arc<HttpSource>, AppError> {
    let observer = Arc::new(CacheMetrics::new(Arc::clone(metrics)));
    Ok(Arc::new(source(config, &observer)?))
}

fn source(config: &Config, observer: &Arc<CacheMetrics>) -> Result<HttpSource, HttpSourceError> {
    HttpSource::new(&config.registry, config.schema_limits, Arc::clone(observer) as _)
}

/// What all connections of a proxy share; it drains when `draining` turns true.
#[must_use]
pub fn gateway(
    source: Arc<HttpSource>,
    config: &Config,
    metrics: Arc<Metrics>,
    draining: watch::Receiver<bool>,
) -> Gateway {
    let observer = Arc::new(CacheMetrics::new(Arc::clone(&metrics)));
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
    let guard = &config.sequence_guard;
    Gateway {
        judging: ArcSwap::from_pointee(judging(config, schemas)),
        bounds: Arc::new(ArcSwap::from_pointee(bounds(config))),
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
        draining,
    }
}

/// How records are judged by `config`, with the schemas of `schemas`.
pub(super) fn judging(config: &Config, schemas: Arc<SchemaCache>) -> Judging {
    let references = References::new(&config.registry);
    Judging {
        judge: Judge::new(references, schemas, config.record_limits),
        policy: Policy::new(&config.rules, &config.default_rule, &config.metadata),
    }
}

/// What connections may ask by `config`.
pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds { limits: config.wire_limits.clone(), times: config.times.clone() }
}

/// Schemas, and what has to run for them.
#[derive(Debug)]
pub(super) struct Schemas {
    pub(super) cache: Arc<SchemaCache>,
    observer: Arc<CacheMetrics>,
    /// Takes up TLS files that change.
    _upkeep: JoinSet<()>,
}

/// Where schemas come from, made and not in use yet.
pub(super) struct SchemaOrigin {
    source: Arc<HttpSource>,
    observer: Arc<CacheMetrics>,
}

impl SchemaOrigin {
    pub(super) fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, HttpSourceError> {
        let observer = Arc::new(CacheMetrics::new(Arc::clone(metrics)));
        Ok(Self { source: Arc::new(source(config, &observer)?), observer })
    }
}

impl Schemas {
    /// Nothing is known yet.
    pub(super) fn new(origin: SchemaOrigin, config: &Config, metrics: &Arc<Metrics>) -> Self {
        let SchemaOrigin { source, observer } = origin;
        let _upkeep = running(source.keep_up(metrics));
        let cache = SchemaCache::new(source, config.cache.clone(), Arc::clone(&observer) as _);
        Self { cache, observer, _upkeep }
    }

    /// Takes the place of `before`, with what that knows if `config` asks the same registries.
    pub(super) async fn instead_of(
        before: &Self,
        origin: SchemaOrigin,
        (old, config): (&Config, &Config),
        metrics: &Arc<Metrics>,
    ) -> Self {
        before.observer.retire();
        let SchemaOrigin { source, observer } = origin;
        metrics.registry_circuits_open(0);
        metrics.cache_entries(0);
        let _upkeep = running(source.keep_up(metrics));
        let (settings, told) = (config.cache.clone(), Arc::clone(&observer) as _);
        let cache = if old.registry.asks_the_same(&config.registry) {
            before.cache.taken_over(source, settings, told).await
        } else {
            SchemaCache::new(source, settings, told)
        };
        Self { cache, observer, _upkeep }
    }
}

/// How copies of refused batches come to the brokers where they have a login of their own.
#[derive(Debug)]
pub(super) struct OwnWay {
    upstream: Arc<Upstream>,
    /// Takes up TLS files that change.
    upkeep: JoinSet<()>,
}

impl OwnWay {
    /// `None`: they come as everything else does.
    pub(super) fn new(
        config: &Config,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Self>, TlsFileError> {
        let Some(settings) = Self::settings(config) else { return Ok(None) };
        let tls = settings.tls.clone().map(TlsClient::new).transpose()?;
        let upkeep = Self::keep_up(tls.as_ref(), metrics);
        Ok(Some(Self { upstream: Arc::new(Upstream::new(&settings, TcpDial, tls)), upkeep }))
    }

    pub(super) const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Connects as `config` says from now on.
    pub(super) fn replace(
        &mut self,
        config: &Config,
        tls: Option<TlsClient>,
        metrics: &Arc<Metrics>,
    ) {
        if let Some(settings) = Self::settings(config) {
            self.upkeep = Self::keep_up(tls.as_ref(), metrics);
            self.upstream.replace(&settings, tls);
        }
    }

    fn settings(config: &Config) -> Option<UpstreamSettings> {
        let sasl = config.quarantine.sasl.clone()?;
        Some(UpstreamSettings { sasl: Some(sasl), ..config.upstream.clone() })
    }

    fn keep_up(tls: Option<&TlsClient>, metrics: &Arc<Metrics>) -> JoinSet<()> {
        running(tls.map(|tls| Box::pin(tls.keep_up(Arc::clone(metrics))) as _))
    }
}

/// Runs tasks until what is returned is dropped.
pub(super) fn running(
    tasks: impl IntoIterator<Item = Pin<Box<dyn Future<Output = ()> + Send>>>,
) -> JoinSet<()> {
    let mut running = JoinSet::new();
    tasks.into_iter().for_each(|task| drop(running.spawn(task)));
    running
}
