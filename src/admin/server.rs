//! The admin listeners: bound at start, then served with bounds on connections, headers and time.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration, time::Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{
    Access, AdminSettings, ReloadRequest,
    routes::{self, Facts},
    status::{Sources, StatusSource},
};
use crate::{health::Readiness, metrics::Metrics};

/// Why there can be no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An address cannot be bound.
    #[error("{key} {address} cannot be bound")]
    Bind {
        /// The key that holds the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The token file holds no token.
    #[error("admin.token_file cannot be used")]
    Token {
        /// What is wrong with it.
        source: io::Error,
    },
}

/// Admin listeners that are bound and not served yet.
#[derive(Debug)]
pub struct Admin {
    full: Option<(TcpListener, Router)>,
    probes: Option<(TcpListener, Router)>,
    access: Arc<Access>,
    reload_requests: Option<mpsc::Receiver<ReloadRequest>>,
}

impl Admin {
    /// Binds what `settings` say.
    ///
    /// # Errors
    /// If an address is in use, or the token file holds no token.
    pub async fn bind(
        settings: &AdminSettings,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        proxy: Arc<dyn StatusSource>,
    ) -> Result<Self, AdminError> {
        let sources = Sources { started: Instant::now(), readiness, proxy };
        let one = || Arc::new(Semaphore::new(1));
        let facts = Facts { metrics, sources, scrapes: one(), looks: one() };
        Access::check(settings).map_err(|source| AdminError::Token { source })?;
        let (access, reload_requests) = Access::new(settings);
        let full = bind("admin.listen", settings.listen).await?;
        let probes = bind("admin.probes_listen", settings.probes_listen).await?;
        Ok(Self {
            full: full
                .map(|listener| (listener, routes::everything(facts.clone(), Arc::clone(&access)))),
            probes: probes.map(|listener| (listener, routes::probes(facts))),
            access,
            reload_requests: Some(reload_requests),
        })
    }

    /// What the full listener allows, to be replaced.
    #[must_use]
    pub const fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Where requests for a reload arrive: for whoever asks first.
    #[must_use]
    pub const fn take_reload_requests(&mut self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.reload_requests.take()
    }

    /// Where `admin.listen` is bound.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.full.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Where `admin.probes_listen` is bound.
    #[must_use]
    pub fn probes_address(&self) -> Option<SocketAddr> {
        self.probes.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Serves until `stop` is done. Connections that are open then are cut: nothing here is worth waiting for.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let full = accept(self.full);
        let probes = accept(self.probes);
        tokio::select! {
            () = stop => {}
            () = full => {}
            () = probes => {}
        }
    }
}

async fn bind(
    key: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, AdminError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|source| AdminError::Bind { key, address, source })
}

/// Takes connections for ever; the tasks that serve them end with it.
async fn accept(listener: Option<(TcpListener, Router)>) {
    let Some((listener, router)) = listener else { return std::future::pending().await };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    connection(stream, router, HEADER_TIMEOUT).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: trying again at once would only burn a core.
                tracing::warn!(%error, "admin connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router, header_timeout: Duration) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin connection ended"),
        Err(_) => tracing::debug!("admin connection ended: open for too long"),
    }
}

/// Connections of one listener at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Time for the headers of a request, also for those of the next one on an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a connection as a whole, so that nobody who reads slowly keeps a place for ever.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of a request's headers; bodies are not read at all.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
