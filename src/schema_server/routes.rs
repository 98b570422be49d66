//! Which request goes where, and what holds for all of them: credentials, time, size, media type.

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Request, State, rejection::BytesRejection},
    http::{HeaderValue, Method, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::body::Body as _;
use tokio::{sync::Semaphore, time::timeout};
use url::form_urlencoded;

use super::{
    answer::Refusal, auth::CredentialFiles, document_api, level_api, register::Service,
    registry_api as api,
};

/// Everything that the server answers.
pub(super) fn routes(service: Service, credentials: Option<CredentialFiles>) -> Router {
    // Inside JSON a schema is up to three times longer, and has references.
    let most = service.limits.max_schema_bytes.saturating_mul(3).saturating_add(64 * 1024);
    let guard = Guard { credentials, bodies: Arc::new(Semaphore::new(MAX_BODIES)), most };
    Router::new()
        .route("/subjects", get(api::subjects))
        .route("/subjects/{subject}", post(api::look_up).delete(api::delete_subject))
        .route("/subjects/{subject}/versions", get(api::versions).post(api::register))
        .route(
            "/subjects/{subject}/versions/{version}",
            get(api::version).delete(api::delete_version),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(api::version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(api::referenced_by))
        .route("/schemas/types", get(api::types))
        .route("/schemas/ids/{id}", get(api::schema))
        .route("/schemas/ids/{id}/schema", get(api::schema_text))
        .route("/schemas/ids/{id}/subjects", get(api::schema_subjects))
        .route("/schemas/ids/{id}/versions", get(api::schema_versions))
        .route("/schemas/guids/{guid}", get(api::schema_of_guid))
        .route("/schemas/guids/{guid}/ids", get(api::ids_of_guid))
        .route(
            "/config",
            get(level_api::level).put(level_api::set_level).delete(level_api::unset_level),
        )
        .route(
            "/config/{subject}",
            get(level_api::subject_level)
                .put(level_api::set_subject_level)
                .delete(level_api::unset_subject_level),
        )
        .route("/mode", get(api::mode))
        .route("/mode/{subject}", get(api::mode))
        .route("/contexts", get(api::contexts))
        .route("/compatibility/subjects/{subject}/versions", post(level_api::check_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(level_api::check_one))
        .fallback(document_api::document)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(most))
        .layer(middleware::from_fn_with_state(guard, guarded))
        .route("/livez", get(async || "ok\n"))
        .layer(middleware::map_response(harden))
        .with_state(Arc::new(service))
}

async fn method_not_allowed() -> Response {
    Refusal::new(405, "HTTP 405 Method Not Allowed").into_response()
}

async fn harden(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// What stands before every request but a probe's.
#[derive(Debug, Clone)]
struct Guard {
    credentials: Option<CredentialFiles>,
    /// Requests with a body at once: each may be held whole in memory.
    bodies: Arc<Semaphore>,
    /// Bytes of a body.
    most: usize,
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = timeout(REQUEST_TIMEOUT, guard.answer(request, next)).await;
    let response = answered.unwrap_or_else(|_| {
        let what = format!("The request was not done within {REQUEST_TIMEOUT:?}");
        Refusal::new(50002, what).into_response()
    });
    let path = crate::text::shown(path.as_bytes());
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    response
}

impl Guard {
    async fn answer(self, request: Request, next: Next) -> Response {
        let given = request.headers().get(header::AUTHORIZATION);
        if !self.admits(given.map(|given| given.as_bytes().to_vec())).await {
            return Refusal::new(401, "Unauthorized").into_response();
        }
        let _place = match *request.method() {
            Method::GET | Method::HEAD | Method::DELETE => None,
            // An error means that the server is stopping.
            _ => self.bodies.acquire().await.ok(),
        };
        if self.announces_too_much(&request) {
            pour_away(request.into_body()).await;
            let what = format!("The body has more than {} bytes", self.most);
            return Refusal::new(413, what).into_response();
        }
        next.run(request).await
    }

    fn announces_too_much(&self, request: &Request) -> bool {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        announced.is_some_and(|announced| announced > self.most)
            && !request.headers().contains_key(header::EXPECT)
    }

    async fn admits(&self, given: Option<Vec<u8>>) -> bool {
        match (self.credentials.clone(), given) {
            (None, _) => true,
            (Some(_), None) => false,
            // Reading files may block, if only for a moment.
            (Some(credentials), Some(given)) => {
                let admitted = tokio::task::spawn_blocking(move || credentials.admit(&given));
                admitted.await.unwrap_or(false)
            }
        }
    }
}

/// Reads what comes and keeps nothing: a client that still writes when the connection closes never sees the answer.
async fn pour_away(mut body: axum::body::Body) {
    let mut left = MAX_POURED_BYTES;
    while left > 0 {
        let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        else {
            return;
        };
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// What stands behind the question mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

/// A body that was read, or why it was not.
pub(super) type Body = Result<Bytes, BytesRejection>;

/// The bytes of a body.
pub(super) fn bytes(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| {
        let status = rejection.status().as_u16();
        Refusal::new(u32::from(status), "The body is too large, or was cut off")
    })
}

/// Requests that change something, or may be long, at once.
const MAX_BODIES: usize = 32;
/// Bytes of a body that is too large which are still read.
const MAX_POURED_BYTES: usize = 64 * 1024 * 1024;
/// Time for a request, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
