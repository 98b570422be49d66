//! The admission webhook's server: one path for the API server, and what kubelet and Prometheus ask.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use super::{
    pod::Defaults,
    review::{Answer, OnImpossible, Unreviewable, review},
};
use crate::{
    http_server::{HttpServer, HttpServerError},
    metrics::{ReviewOutcome, WebhookMetrics},
    text::shown,
    tls::ServerTlsSettings,
};

/// Why there is no webhook, or how it ended.
pub type WebhookError = HttpServerError;

/// How the webhook runs.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Where the API server finds it.
    pub listen: SocketAddr,
    /// What the API server is shown; an authority where it has to show something itself.
    pub tls: ServerTlsSettings,
    /// Where kubelet and Prometheus find it, in the clear.
    pub probes_listen: Option<SocketAddr>,
    /// What sidecars have.
    pub defaults: Defaults,
    /// What becomes of pods that ask for what cannot be.
    pub on_impossible: OnImpossible,
    /// How long requests are still taken after it was told to stop: as long as it takes until none is sent any more.
    pub drain_delay: Duration,
    /// Time for requests that are under way then.
    pub grace: Duration,
}

/// A webhook whose listeners are bound.
#[derive(Debug)]
pub struct Webhook {
    https: HttpServer,
    probes: Option<HttpServer>,
    service: Arc<Service>,
    drain_delay: Duration,
    grace: Duration,
}

#[derive(Debug)]
struct Service {
    defaults: Defaults,
    on_impossible: OnImpossible,
    metrics: WebhookMetrics,
    draining: AtomicBool,
    /// Requests with a body at once: each is held whole in memory.
    bodies: Semaphore,
    /// Reviews at once: each is a tree in memory and work for a core.
    reviews: Arc<Semaphore>,
}

impl Webhook {
    /// Reads the certificate and binds the listeners.
    ///
    /// # Errors
    /// [`WebhookError`]: what cannot be had.
    pub async fn bind(settings: WebhookSettings) -> Result<Self, WebhookError> {
        let https = HttpServer::bind(settings.listen, Some(settings.tls)).await?;
        let probes = match settings.probes_listen {
            Some(address) => Some(HttpServer::bind(address, None).await?),
            None => None,
        };
        let service = Arc::new(Service {
            defaults: settings.defaults,
            on_impossible: settings.on_impossible,
            metrics: WebhookMetrics::new(),
            draining: AtomicBool::new(false),
            bodies: Semaphore::new(MAX_BODIES),
            reviews: Arc::new(Semaphore::new(MAX_REVIEWS)),
        });
        tracing::info!(address = %https.address(), "the webhook listens");
        let (drain_delay, grace) = (settings.drain_delay, settings.grace);
        Ok(Self { https, probes, service, drain_delay, grace })
    }

    /// Where the API server finds it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.https.address()
    }

    /// Where kubelet and Prometheus find it.
    #[must_use]
    pub fn probes_address(&self) -> Option<SocketAddr> {
        self.probes.as_ref().map(HttpServer::address)
    }

    /// Serves until `stop` is done, then for the delay of the drain, and lets what is under way end.
    ///
    /// # Errors
    /// [`WebhookError`] where it did not end in time.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), WebhookError> {
        let Self { https, probes, service, drain_delay, grace } = self;
        let (tell, told) = watch::channel(false);
        let stopped = || {
            let mut told = told.clone();
            async move {
                let _ = told.wait_for(|told| *told).await;
            }
        };
        let reviews = https.serve(reviews(&service), stopped(), grace);
        let router = health(&service).route("/metrics", get(metrics)).with_state(service.clone());
        let probes = async {
            match probes {
                Some(probes) => probes.serve(router, stopped(), grace).await,
                None => Ok(()),
            }
        };
        let stop = async {
            stop.await;
            tracing::info!("draining");
            service.draining.store(true, Ordering::Relaxed);
            sleep(drain_delay).await;
            tell.send_replace(true);
        };
        let (reviews, probes, ()) = tokio::join!(reviews, probes, stop);
        reviews.and(probes)
    }
}

fn reviews(service: &Arc<Service>) -> Router {
    let mutate = Router::new()
        .route("/mutate", post(mutate))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(service), bounded));
    health(service).merge(mutate).with_state(Arc::clone(service))
}

fn health(_: &Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .layer(middleware::map_response(harden))
}

async fn readyz(State(service): State<Arc<Service>>) -> Response {
    match service.draining.load(Ordering::Relaxed) {
        false => "ready\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "not ready: draining\n").into_response(),
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], service.metrics.encode()).into_response()
}

async fn harden(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Bounds how many bodies are read at once, and the time for each, its waiting included.
async fn bounded(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let answer = async {
        // An error means that the semaphore is closed, which nobody does.
        let _place = service.bodies.acquire().await;
        next.run(request).await
    };
    timeout(REQUEST_TIMEOUT, answer).await.unwrap_or_else(|_| {
        service.malformed(StatusCode::REQUEST_TIMEOUT, "the request did not come in time")
    })
}

async fn mutate(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/json") {
        return service
            .malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, "it must be application/json");
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            return service.malformed(rejection.status(), "the body is too large, or was cut off");
        }
    };
    let place = Arc::clone(&service.reviews).acquire_owned().await;
    let working = Arc::clone(&service);
    let reviewed = tokio::task::spawn_blocking(move || {
        let reviewed = review(&body, &working.defaults, working.on_impossible);
        // Only now: the work goes on even if nobody waits for it any more.
        drop(place);
        reviewed
    });
    match reviewed.await {
        Ok(Ok(answer)) => service.answered(answer),
        Ok(Err(error)) => {
            let error: Unreviewable = error;
            service.malformed(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Service {
    fn answered(&self, answer: Answer) -> Response {
        let Answer { body, outcome, pod, message } = answer;
        self.metrics.review(outcome);
        let result = outcome.label();
        match (outcome, message) {
            (ReviewOutcome::Injected, _) => tracing::info!(pod, "injected"),
            (_, Some(why)) => {
                let reason = shown(why.as_bytes());
                tracing::warn!(pod, result, reason, "no sidecar");
            }
            _ => tracing::debug!(pod, result, "answered"),
        }
        ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }

    /// Answers what is no review: the API server then does what its failure policy says.
    fn malformed(&self, status: StatusCode, why: &str) -> Response {
        self.metrics.review(ReviewOutcome::Malformed);
        tracing::debug!(status = status.as_u16(), why, "no review");
        (status, format!("{why}\n")).into_response()
    }
}

/// Bytes of a review. A pod may have some hundred KiB, and the API server takes objects of up to 3 MiB.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Bodies that are read at once.
const MAX_BODIES: usize = 32;
/// Reviews that are worked on at once.
const MAX_REVIEWS: usize = 4;
/// Time for a request: the API server waits for 10 seconds unless it is told otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
