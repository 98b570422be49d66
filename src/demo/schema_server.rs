//! A schema server in memory: documents by path, and the same by id as a Confluent registry serves them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One schema document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Where it is served, from the root: `/users/schema.avsc`.
    pub path: &'static str,
    /// Its id: it is served at `/schemas/ids/{id}` too.
    pub id: u32,
    /// The schema.
    pub text: &'static str,
}

/// The server on a free local port. Dropping it ends it.
#[derive(Debug)]
pub struct SchemaServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl SchemaServer {
    /// Starts to serve `documents`.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start(documents: Vec<Document>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).with_state(Arc::from(documents));
        // An error of one connection ends that connection; the server itself has none to report.
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or(()) });
        Ok(Self { address, task })
    }

    /// The address of its root, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for SchemaServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(documents): State<Arc<[Document]>>, uri: Uri) -> Response {
    let id = uri.path().strip_prefix("/schemas/ids/").and_then(|id| id.parse::<u32>().ok());
    let by_id = documents.iter().find(|document| Some(document.id) == id);
    let by_path = documents.iter().find(|document| document.path == uri.path());
    if let Some(document) = by_id {
        let body = json!({ "schema": document.text }).to_string();
        ([(header::CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")], body).into_response()
    } else if let Some(document) = by_path {
        ([(header::CONTENT_TYPE, "application/json")], document.text).into_response()
    } else {
        let body = json!({ "error_code": 40403, "message": "schema not found" }).to_string();
        (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: Document = Document { path: "/a/b.avsc", id: 7, text: r#""long""# };

    #[tokio::test]
    async fn serves_a_document_by_path_and_by_id_and_nothing_else() {
        let documents: Arc<[Document]> = Arc::from([DOCUMENT]);
        for (path, status, body) in [
            ("/a/b.avsc", 200, r#""long""#),
            ("/schemas/ids/7", 200, r#"{"schema":"\"long\""}"#),
            ("/schemas/ids/8", 404, r#"{"error_code":40403,"message":"schema not found"}"#),
            ("/a", 404, r#"{"error_code":40403,"message":"schema not found"}"#),
        ] {
            let response = answer(State(documents.clone()), Uri::from_static(path)).await;
            assert_eq!(response.status(), status, "{path}");
            let bytes = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            assert_eq!(bytes, body, "{path}");
        }
    }
}
