//! What is answered at which path. All of it is read-only, but for `POST /reload`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::sync::Semaphore;

use super::{
    Access,
    page::{PAGE, Page},
    status::Sources,
};
use crate::{health::Readiness, metrics::Metrics};

/// What the paths answer from.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) metrics: Arc<Metrics>,
    pub(super) sources: Sources,
    /// Scrapes one at a time: they take memory and a thread.
    pub(super) scrapes: Arc<Semaphore>,
    /// The same for those who look at the status.
    pub(super) looks: Arc<Semaphore>,
}

/// The paths for kubelet and Prometheus.
pub(super) fn probes(facts: Facts) -> Router {
    let paths = probe_paths().with_state(facts).fallback(not_found);
    paths.layer(middleware::map_response(harden))
}

/// Every path. With a token file, nothing without its token but the page: it tells nothing, and has to be there to ask for
/// the token. Without one, nothing for those who were led here by a name: see [`named_by_address`].
pub(super) fn everything(facts: Facts, access: Arc<Access>) -> Router {
    let paths = probe_paths().route("/status", get(status)).with_state(facts).fallback(not_found);
    let reload = Router::new().route("/reload", post(reload)).with_state(Arc::clone(&access));
    let paths = paths.merge(reload).layer(middleware::from_fn_with_state(access, authorize));
    paths.route("/", get(root)).layer(middleware::map_response(harden))
}

fn probe_paths() -> Router<Facts> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
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

async fn status(State(facts): State<Facts>, request: Request) -> Response {
    let failed = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let Ok(permit) = facts.looks.acquire_owned().await else { return failed() };
    let topic = asked_topic(request.uri().query().unwrap_or_default());
    let sources = facts.sources;
    let told = tokio::task::spawn_blocking(move || {
        let json = serde_json::to_string(&sources.status(&topic));
        drop(permit);
        json
    });
    match told.await {
        Ok(Ok(json)) => ([(header::CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        _ => failed(),
    }
}

/// `topic=…`: which topics are asked for.
fn asked_topic(query: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(name, _)| name == "topic");
    found.map(|(_, topic)| topic.into_owned()).unwrap_or_default()
}

async fn root() -> Response {
    let Page { html, content_security_policy } = &*PAGE;
    let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
    let policy = (header::CONTENT_SECURITY_POLICY, content_security_policy.as_str());
    ([kind, policy], html.as_str()).into_response()
}

/// Lets those in who name this listener by an address or as `localhost`. A browser on the same machine sends another name
/// if a page from elsewhere has its own name lead here, to read what it must not (DNS rebinding).
async fn named_by_address(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.as_bytes().to_vec());
    let admitted = host.is_none_or(|host| {
        let url = std::str::from_utf8(&host).ok().and_then(|host| {
            let url = url::Url::parse(&format!("http://{host}/"));
            url.ok()?.host().map(|host| host.to_owned())
        });
        match url {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(_) => true,
            None => false,
        }
    });
    if admitted {
        return next.run(request).await;
    }
    let why = "this listener is reached by an address or as localhost; by other names only with admin.token_file\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
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
    let Some(token) = access.token() else { return named_by_address(request, next).await };
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
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(SAME_ORIGIN, HeaderValue::from_static("same-origin"));
    response
}

const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
