//! The HTTP clients: one for each way of TLS, and one for hosts that only a wildcard names. None of them follows redirects,
//! uses a proxy of the environment, or dials an address that was not checked.

use std::{pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use reqwest::{Client, redirect::Policy};
use rustls::ClientConfig;

use super::{
    RegistrySettings,
    origin::Named,
    registries::Registries,
    resolver::{Names, Resolver},
};
use crate::{
    metrics::Metrics,
    tls::{ClientTlsSettings, TlsClient, TlsFileError},
};

/// The HTTP client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpSourceError {
    /// As it is without settings of its own.
    #[error("HTTP client for schemas cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A file of a registry's `tls` cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
}

/// All clients.
#[derive(Debug)]
pub(super) struct Clients {
    /// For origins that are named exactly and have no TLS settings.
    plain: Client,
    /// For hosts that a wildcard stands for: public addresses only.
    wild: Client,
    /// For each registry the client with its TLS settings, if it has such.
    own: Vec<Option<Arc<Own>>>,
}

/// How clients are made.
#[derive(Clone)]
struct Making {
    names: Names,
    timeout: Duration,
    idle: usize,
}

/// A client with TLS settings, made anew when the files have changed.
struct Own {
    settings: ClientTlsSettings,
    tls: TlsClient,
    making: Making,
    made: ArcSwap<Made>,
}

struct Made {
    config: Arc<ClientConfig>,
    client: Client,
}

impl Clients {
    pub(super) fn new(
        settings: &RegistrySettings,
        registries: &Registries,
        names: Names,
    ) -> Result<Self, HttpSourceError> {
        let making = Making {
            names,
            timeout: settings.request_timeout,
            idle: settings.max_concurrent_requests,
        };
        let mut own: Vec<Option<Arc<Own>>> = Vec::new();
        for registry in registries.all() {
            let Some(tls) = &registry.access.tls else {
                own.push(None);
                continue;
            };
            let same = own.iter().flatten().find(|own| own.settings == *tls).map(Arc::clone);
            let client = match same {
                Some(same) => same,
                None => Arc::new(Own::new(tls.clone(), making.clone())?),
            };
            own.push(Some(client));
        }
        let plain = making.client(Named::Exactly, None).map_err(HttpSourceError::Client)?;
        let wild = making.client(Named::ByWildcard, None).map_err(HttpSourceError::Client)?;
        Ok(Self { plain, wild, own })
    }

    /// The client for an origin that is `named` so and belongs to the registry at this place, if to any.
    pub(super) fn of(&self, registry: Option<usize>, named: Named) -> Client {
        let own = registry.and_then(|at| self.own.get(at)).and_then(Option::as_ref);
        match (own, named) {
            (Some(own), Named::Exactly) => own.client(),
            (None, Named::Exactly) => self.plain.clone(),
            (_, Named::ByWildcard) => self.wild.clone(),
        }
    }

    /// Takes up TLS files that change, for ever: a task for each way of TLS.
    pub(super) fn keep_up(
        &self,
        metrics: &Arc<Metrics>,
    ) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut seen: Vec<&Arc<Own>> = Vec::new();
        for own in self.own.iter().flatten() {
            if !seen.iter().any(|other| Arc::ptr_eq(other, own)) {
                seen.push(own);
            }
        }
        let task = |own: &Arc<Own>| Box::pin(own.tls.keep_up(Arc::clone(metrics))) as _;
        seen.into_iter().map(task).collect()
    }
}

impl Making {
    fn client(&self, named: Named, tls: Option<&ClientConfig>) -> Result<Client, reqwest::Error> {
        let builder = Client::builder()
            .user_agent(concat!("schemaward/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(self.timeout)
            .pool_max_idle_per_host(self.idle)
            .dns_resolver(Arc::new(Resolver::new(Arc::clone(&self.names), named)));
        match tls {
            Some(config) => builder.tls_backend_preconfigured(config.clone()).build(),
            None => builder.build(),
        }
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Own {
    fn new(settings: ClientTlsSettings, making: Making) -> Result<Self, HttpSourceError> {
        let tls = TlsClient::of("registry.tls", settings.clone())?;
        let config = tls.config();
        let client =
            making.client(Named::Exactly, Some(&config)).map_err(HttpSourceError::Client)?;
        let made = ArcSwap::from_pointee(Made { config, client });
        Ok(Self { settings, tls, making, made })
    }

    fn client(&self) -> Client {
        let (config, made) = (self.tls.config(), self.made.load());
        if Arc::ptr_eq(&made.config, &config) {
            return made.client.clone();
        }
        match self.making.client(Named::Exactly, Some(&config)) {
            Ok(client) => {
                self.made.store(Arc::new(Made { config, client: client.clone() }));
                client
            }
            Err(error) => {
                tracing::error!(%error, "no HTTP client for the new TLS files of a registry");
                made.client.clone()
            }
        }
    }
}
