//! Answers: JSON in the media type of the registry's API, and refusals with the registry's error codes.

use std::fmt::Display;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

/// Why a request is refused: the status, the error code that clients of a registry look at, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Refusal {
    /// A refusal by error code, whose first three digits are the status.
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn subject_not_found(subject: &str) -> Self {
        Self::new(40401, format!("Subject '{}' not found.", shown(subject)))
    }

    pub(super) fn version_not_found(version: impl Display) -> Self {
        Self::new(40402, format!("Version {version} not found."))
    }

    pub(super) fn schema_not_found(what: impl Display) -> Self {
        Self::new(40403, format!("Schema {what} not found"))
    }

    pub(super) fn invalid_schema(detail: impl Display) -> Self {
        Self::new(42201, format!("Invalid schema: {detail}"))
    }

    fn status(&self) -> StatusCode {
        let status = if self.code > 999 { self.code / 100 } else { self.code };
        u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the database failed");
        Self::new(50001, "Error in the backend data store")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.code, "message": self.message});
        let mut response = registry(&body);
        *response.status_mut() = self.status();
        if self.code == 401 {
            let challenge = HeaderValue::from_static("Basic realm=\"schemaward\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What a handler gives.
pub(super) type Answer = Result<Response, Refusal>;

/// An answer of the registry's API.
pub(super) fn registry(body: &impl Serialize) -> Response {
    typed("application/vnd.schemaregistry.v1+json", body)
}

/// Any other answer in JSON.
pub(super) fn json(body: &impl Serialize) -> Response {
    typed("application/json", body)
}

fn typed(media: &'static str, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => ([(header::CONTENT_TYPE, media)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A name of a client's, fit to be shown.
pub(super) fn shown(text: &str) -> String {
    crate::text::shown(text.as_bytes())
}
