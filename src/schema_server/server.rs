//! The server: what is kept is opened, the listener bound at start, served, and stopped gracefully.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::Router;

use super::{
    database::{Database, Writer},
    layout::StorageError,
    register::Service,
    routes::routes,
    settings::{ServerSettings, Storage},
};
use crate::http_server::{HttpServer, HttpServerError};

/// Why the schema server cannot be had, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The credentials cannot be read.
    #[error("the credentials cannot be used")]
    Credentials {
        /// What is wrong.
        source: io::Error,
    },
    /// The listener cannot be had, or did not end well.
    #[error(transparent)]
    Http(#[from] HttpServerError),
    /// What is kept cannot be used.
    #[error("the schemas that are kept cannot be used")]
    Storage(#[source] StorageError),
}

/// A schema server whose listener is bound.
#[derive(Debug)]
pub struct SchemaServer {
    http: HttpServer,
    router: Router,
    writer: Writer,
    grace: Duration,
}

impl SchemaServer {
    /// Opens what is kept, and binds the listener.
    ///
    /// # Errors
    /// [`ServerError`]: what cannot be had.
    pub async fn bind(settings: &ServerSettings) -> Result<Self, ServerError> {
        if let Some(credentials) = &settings.credentials {
            credentials.read().map_err(|source| ServerError::Credentials { source })?;
        }
        let http = HttpServer::bind(settings.listen, settings.tls.clone()).await?;
        let storage = settings.storage.clone();
        let opened = tokio::task::spawn_blocking(move || Database::open(&storage)).await;
        let opened = opened.unwrap_or_else(|error| {
            let (path, source) = (Default::default(), io::Error::other(error));
            Err(StorageError::Folder { path, source })
        });
        let (database, writer) = opened.map_err(ServerError::Storage)?;
        let router = routes(Service::new(database, settings.limits), settings.credentials.clone());
        let server = Self { http, router, writer, grace: settings.grace };
        tracing::info!(
            address = %server.address(),
            tls = settings.tls.is_some(),
            storage = %kept(&settings.storage),
            "the schema server listens"
        );
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Serves until `stop` is done; then requests that are under way get the time to end.
    ///
    /// # Errors
    /// [`HttpServerError::GraceExceeded`] where they did not.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { http, router, writer, grace } = self;
        let ended = http.serve(router, stop, grace).await;
        // What was begun in the database is finished.
        let _ = tokio::task::spawn_blocking(|| writer.join()).await;
        Ok(ended?)
    }
}

fn kept(storage: &Storage) -> String {
    match storage {
        Storage::Folder(folder) => folder.display().to_string(),
        Storage::Memory => "memory: nothing outlives the process".to_owned(),
    }
}
