//! The side that connects to servers.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig,
    client::Resumption,
    pki_types::{InvalidDnsNameError, ServerName},
    sign::SingleCertAndKey,
};

use super::{
    Fault, Role, TlsFileError, pem, provider,
    rotating::{self, Rotating, Source},
    settings::ClientTlsSettings,
};
use crate::metrics::Metrics;

/// How servers are shaken hands with.
pub struct TlsClient {
    rotating: Arc<Rotating<Files>>,
    server_name: Option<ServerName<'static>>,
}

/// What one handshake needs.
pub struct Connecting {
    /// What is in force.
    pub config: Arc<ClientConfig>,
    /// The name that the server's certificate must have.
    pub server_name: ServerName<'static>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Reads the files. What is remarkable about them goes into the log.
    ///
    /// # Errors
    /// [`TlsFileError`]: the first file that cannot be used.
    pub fn new(settings: ClientTlsSettings) -> Result<Self, TlsFileError> {
        Self::of("upstream.tls", settings)
    }

    /// The same for another section of the configuration than that of the brokers.
    ///
    /// # Errors
    /// The same.
    pub fn of(section: &'static str, settings: ClientTlsSettings) -> Result<Self, TlsFileError> {
        let (mut notes, server_name) = (Vec::new(), settings.server_name.clone());
        let rotating = Rotating::new(Files { section, settings }, &mut notes)?;
        rotating::warn(&notes);
        Ok(Self { rotating: Arc::new(rotating), server_name })
    }

    /// Whether the files can be used, and what is remarkable about them.
    ///
    /// # Errors
    /// [`TlsFileError`]: the first file that cannot be used.
    pub fn check(settings: &ClientTlsSettings) -> Result<Vec<String>, TlsFileError> {
        let mut notes = Vec::new();
        let files = Files { section: "", settings: settings.clone() };
        files.make(&mut notes).map(|_| notes)
    }

    /// What a handshake with the server at `host` needs.
    ///
    /// # Errors
    /// `host` is no name that a certificate could have.
    pub fn connecting(&self, host: &str) -> Result<Connecting, InvalidDnsNameError> {
        let server_name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host)?.to_owned(),
        };
        Ok(Connecting { config: self.rotating.current(), server_name })
    }

    /// What is in force.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.rotating.current()
    }

    /// Takes up files that change, for ever.
    pub fn keep_up(&self, metrics: Arc<Metrics>) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.rotating).keep_up(metrics)
    }
}

struct Files {
    section: &'static str,
    settings: ClientTlsSettings,
}

impl Source for Files {
    type Made = ClientConfig;

    fn section(&self) -> &'static str {
        self.section
    }

    fn files(&self) -> Vec<PathBuf> {
        let identity = self.settings.identity.iter();
        let own = identity.flat_map(|files| [files.certificate.clone(), files.key.clone()]);
        self.settings.ca.clone().into_iter().chain(own).collect()
    }

    fn make(&self, notes: &mut Vec<String>) -> Result<ClientConfig, TlsFileError> {
        let authorities = match &self.settings.ca {
            Some(path) => pem::authorities(path, notes),
            None => pem::system_authorities(),
        }?;
        let own = self.settings.identity.as_ref();
        let own = own.map(|files| pem::certified_key(files, notes)).transpose()?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFileError {
                role: Role::Authority,
                path: self.settings.ca.clone().unwrap_or_default(),
                fault: Fault::Certificate(error),
            })?
            .with_root_certificates(authorities);
        let mut config = match own {
            Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => config.with_no_client_auth(),
        };
        // Made anew with each change of a file, so that no session outlives the authority that vouched for it.
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }
}

/// Sessions that are remembered, by name of the server.
const SESSIONS: usize = 64;
