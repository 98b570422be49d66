//! A new configuration, read, and everything that has to be made for it: what can go wrong goes wrong here, where nothing has
//! changed yet. It reads files, and so belongs on a thread that may wait.

use std::sync::Arc;

use super::{
    build::SchemaOrigin,
    file::ConfigFile,
    merge::{differing, merged},
};
use crate::{
    admin::Access,
    config::{Config, Loaded},
    metrics::Metrics,
    schema::RegistrySettings,
    tls::{TlsClient, TlsServer},
};

/// Everything that a new configuration needs and that may fail, made and not in force yet.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) changed: Vec<String>,
    pub(super) needs_restart: Vec<String>,
    /// What is allowed and should not be.
    pub(super) warnings: Vec<String>,
    pub(super) server: Option<TlsServer>,
    /// `Some` where brokers are reached in another way: under TLS, or not.
    pub(super) upstream: Option<Option<TlsClient>>,
    /// The same for copies of refused batches.
    pub(super) copies: Option<Option<TlsClient>>,
    pub(super) schemas: Option<SchemaOrigin>,
}

impl Prepared {
    /// Reads `file` and makes what is new in it beside `old`.
    ///
    /// # Errors
    /// Everything that is wrong with it, a line of text each.
    pub(super) fn read(
        file: &ConfigFile,
        old: &Config,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Vec<String>> {
        let Loaded { config: wanted, unusable, .. } = file
            .load_with_origins()
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let config = merged(old, wanted.clone());
        let other_files = config.upstream.sasl != old.upstream.sasl
            || config.registry.registries().ne(old.registry.registries());
        if other_files && !unusable.is_empty() {
            return Err(unusable.iter().map(ToString::to_string).collect());
        }
        let changed = differing(old, &config);
        let needs_restart = differing(&config, &wanted);
        Self::made(config, old, metrics)
            .map(|made| Self { changed, needs_restart, ..made })
            .map_err(|mistake| vec![mistake])
    }

    fn made(config: Config, old: &Config, metrics: &Arc<Metrics>) -> Result<Self, String> {
        if config.admin.token_file != old.admin.token_file {
            Access::check(&config.admin).map_err(|error| format!("admin.token_file: {error}"))?;
        }
        let server = config.listen.tls.clone().filter(|_| config.listen.tls != old.listen.tls);
        let server = server.map(TlsServer::new).transpose();
        let server = server.map_err(|error| format!("listen.tls: {error}"))?;
        let client = || config.upstream.tls.clone().map(TlsClient::new).transpose();
        let others = || (config.upstream != old.upstream).then(client).transpose();
        let upstream = others().map_err(|error| format!("upstream.tls: {error}"))?;
        let copies = others().map_err(|error| format!("upstream.tls: {error}"))?;
        let asks = |config: &Config| {
            let registry = config.registry.clone();
            let registry = RegistrySettings { warm_up: Vec::new(), ..registry };
            (registry, config.cache.clone(), config.schema_limits)
        };
        let schemas = (asks(&config) != asks(old)).then(|| SchemaOrigin::new(&config, metrics));
        let schemas = schemas.transpose().map_err(|error| format!("registry: {error}"))?;
        let (changed, needs_restart, warnings) = (Vec::new(), Vec::new(), config.warnings());
        Ok(Self { config, changed, needs_restart, warnings, server, upstream, copies, schemas })
    }
}
