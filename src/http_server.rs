//! An HTTP server: bound at start, TLS whose files rotate, bounds on connections, headers and time, and an end that lets
//! requests finish. What is answered is the router's.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    metrics::Metrics,
    tls::{ServerTlsSettings, TlsFileError, TlsServer, explain},
};

/// Why there is no server, or how it ended.
#[derive(Debug, thiserror::Error)]
pub enum HttpServerError {
    /// The address cannot be bound.
    #[error("{address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Connections were still busy when the time to stop was over.
    #[error("{open} connections were still busy after {grace:?}")]
    GraceExceeded {
        /// How many.
        open: usize,
        /// How long they were given.
        grace: Duration,
    },
    /// A file of TLS cannot be used.
    #[error("TLS cannot be had")]
    Tls(#[source] TlsFileError),
}

/// A server whose listener is bound.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    tls: Option<Arc<TlsServer>>,
}

impl HttpServer {
    /// Reads the files of TLS, if any, and binds the listener.
    ///
    /// # Errors
    /// [`HttpServerError`]: what cannot be had.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<ServerTlsSettings>,
    ) -> Result<Self, HttpServerError> {
        let tls = tls.map(TlsServer::new).transpose().map_err(HttpServerError::Tls)?.map(Arc::new);
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| HttpServerError::Bind { address, source })?;
        Ok(Self { listener, tls })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Serves until `stop` is done; then requests that are under way get `grace` to end.
    ///
    /// # Errors
    /// [`HttpServerError::GraceExceeded`] where they did not.
    pub async fn serve(
        self,
        router: Router,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<(), HttpServerError> {
        let Self { listener, tls } = self;
        let mut beside = JoinSet::new();
        if let Some(tls) = &tls {
            // Files that rotate are told of in the log.
            beside.spawn(tls.keep_up(Metrics::new(1)));
        }
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::select! {
            () = stop => {}
            () = accept(&listener, &router, tls.as_ref(), &stopped, &mut connections) => {}
        }
        drop(listener);
        stopping.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let ended = timeout(grace, all).await;
        let open = connections.len();
        connections.shutdown().await;
        ended.map_err(|_| HttpServerError::GraceExceeded { open, grace })
    }
}

/// Takes connections for ever.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    tls: Option<&Arc<TlsServer>>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, tls, stopped) = (router.clone(), tls.cloned(), stopped.clone());
                connections.spawn(async move {
                    let _place = place;
                    enter(stream, peer, router, tls, stopped).await;
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: trying again at once would only burn a core.
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn enter(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Arc<TlsServer>>,
    stopped: watch::Receiver<bool>,
) {
    // Answers are small, and clients wait for them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return connection(stream, router, stopped).await };
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => connection(stream, router, stopped).await,
        Ok(Err(error)) => tracing::debug!(%peer, error = explain(&error), "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        _ = stopped.wait_for(|stopped| *stopped) => None,
        () = sleep(CONNECTION_TIME) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            // The request that is under way is answered, and nobody who reads slowly keeps a place for ever.
            served.as_mut().graceful_shutdown();
            timeout(LAST_REQUEST_TIME, served).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended"),
        Err(_) => tracing::debug!("a connection ended: open for too long"),
    }
}

/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the headers of a request, also for those of the next one on an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time after which a connection is ended behind the request that is under way; clients make a new one.
const CONNECTION_TIME: Duration = Duration::from_secs(600);
/// Time for that last request, and for its answer to be taken: twice what the slowest of our routers allows itself.
const LAST_REQUEST_TIME: Duration = Duration::from_secs(60);
/// Bytes of a request's headers.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
