//! What is answered at which path. All of it is read-only, but for `POST /reload`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::sync::Semaphore;

use super::{Access, page, status::Sources};
use crate::{health::Readiness, metrics::Metrics};

/// What the paths answer from.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) metrics: Arc<Metrics>,
    pub(super) sources: Sources,
    /// Scrapes one at a time: they take memory and a thread.
    pub(super) scrapes: Arc<Semaphore>,
}

/// The paths for kubelet and Prometheus.
pub(super) fn probes(facts: Facts) -> Router {
    finished(probe_paths().with_state(facts))
}

/// Every path; with a token file, nothing without its token.
pub(super) fn everything(facts: Facts, access: Arc<Access>) -> Router {
    let paths = probe_paths().route("/", get(root)).route("/status", get(status)).with_state(facts);
    let reload = Router::new().route("/reload", post(reload)).with_state(Arc::clone(&access));
    finished(paths.merge(reload)).layer(middleware::from_fn_with_state(access, authorize))
}

fn probe_paths() -> Router<Facts> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
}

fn finished(paths: Router) -> Router {
    paths.fallback(not_found).layer(middleware::map_response(harden))
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

async fn metrics(State(facts): State<Facts>) -> Response {
    let failed = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let Ok(permit) = facts.scrapes.acquire_owned().await else { return failed() };
    let metrics = facts.metrics;
    let encoded = tokio::task::spawn_blocking(move || {
        let text = metrics.encode();
        drop(permit);
        text
    });
    match encoded.await {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(_) => failed(),
    }
}

/// Depends on nothing but a thread that runs: a restart mends nothing that is outside the process.
async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(facts): State<Facts>) -> Response {
    readiness(&facts.sources.readiness).into_response()
}

fn readiness(readiness: &Readiness) -> (StatusCode, String) {
    match readiness.check() {
        Ok(None) => (StatusCode::OK, "ready\n".to_owned()),
        Ok(Some(note)) => (StatusCode::OK, format!("ready, but: {note}\n")),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn status(State(facts): State<Facts>) -> Response {
    match serde_json::to_string_pretty(&facts.sources.status()) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn root(State(facts): State<Facts>) -> Response {
    let page = page::page(&facts.sources.status());
    let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
    let policy = (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY);
    ([kind, policy], page).into_response()
}

/// Has the configuration read again, and says how that went.
async fn reload(State(access): State<Arc<Access>>, headers: HeaderMap) -> Response {
    if !access.allows_reload() {
        return (StatusCode::FORBIDDEN, "admin.reload is false\n").into_response();
    }
    // What a browser sends for a page of somebody else.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return (StatusCode::FORBIDDEN, "not for other sites\n").into_response();
    }
    let Some(fact) = access.reload().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the process is ending\n").into_response();
    };
    let status = match fact.mistakes.as_slice() {
        [] => StatusCode::OK,
        [_, ..] => StatusCode::UNPROCESSABLE_ENTITY,
    };
    match serde_json::to_string_pretty(&fact) {
        Ok(json) => {
            (status, [(header::CONTENT_TYPE, "application/json")], json + "\n").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn authorize(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let Some(token) = access.token() else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
    // Reading the file may block, if only for a moment.
    let admitted = match given {
        Some(given) => {
            tokio::task::spawn_blocking(move || token.admits(&given)).await.unwrap_or(false)
        }
        None => false,
    };
    if admitted {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "a bearer token is needed\n").into_response()
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
