//! `schemaward serve-schemas`: the schema server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{Exit, complain, log_args::LogArgs, serving};
use crate::{
    http_server::HttpServerError,
    limits::{MIB, SchemaLimits},
    logging,
    schema_server::{CredentialFiles, SchemaServer, ServerError, ServerSettings, Storage},
    tls::{IdentityFiles, ServerTlsSettings},
};

/// Serve schemas, by path and as a Confluent registry does, until it is told to stop.
#[derive(Debug, Args)]
pub(super) struct ServeSchemas {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Folder that keeps the schemas; without it they are kept in memory and gone at the end
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// File with the name of the one user that is let in; may be replaced at any time
    #[arg(long, value_name = "FILE", requires = "password_file")]
    username_file: Option<PathBuf>,
    /// File with that user's password
    #[arg(long, value_name = "FILE", requires = "username_file")]
    password_file: Option<PathBuf>,
    /// Let everybody in who reaches the address, where that is not a loopback one
    #[arg(long, conflicts_with = "username_file")]
    allow_anonymous: bool,
    /// Certificate (PEM) for TLS; may be replaced at any time
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key (PEM) of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Largest schema, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = MIB)]
    max_schema_bytes: usize,
    /// Seconds for requests that are under way when it is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
    #[command(flatten)]
    log: LogArgs,
}

impl ServeSchemas {
    pub(super) fn execute(self) -> Exit {
        let beyond = !self.listen.ip().is_loopback();
        if beyond && self.username_file.is_none() && !self.allow_anonymous {
            eprintln!(
                "schemaward: --listen {} is beyond loopback: everybody who reaches it could change \
                 schemas; set --username-file and --password-file, or --allow-anonymous",
                self.listen
            );
            return Exit::Usage;
        }
        if let Err(error) = logging::init(&self.log.settings()) {
            complain(&error);
        }
        if beyond && self.username_file.is_some() && self.tls_certificate.is_none() {
            tracing::warn!(
                "without --tls-certificate the password goes over the network in the clear"
            );
        }
        let settings = self.settings();
        serving::serve(
            async |stop| SchemaServer::bind(&settings).await?.serve(stop).await,
            |error| matches!(error, ServerError::Http(HttpServerError::GraceExceeded { .. })),
        )
    }

    fn settings(self) -> ServerSettings {
        let credentials = self.username_file.zip(self.password_file);
        let identity = self.tls_certificate.zip(self.tls_key);
        ServerSettings {
            listen: self.listen,
            storage: self.data.map_or(Storage::Memory, Storage::Folder),
            credentials: credentials
                .map(|(username, password)| CredentialFiles { username, password }),
            tls: identity.map(|(certificate, key)| ServerTlsSettings {
                identity: IdentityFiles { certificate, key },
                client_ca: None,
            }),
            limits: SchemaLimits {
                max_schema_bytes: self.max_schema_bytes,
                ..SchemaLimits::default()
            },
            grace: Duration::from_secs(self.grace),
        }
    }
}
