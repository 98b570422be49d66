//! The side that clients connect to.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};

use super::{
    Fault, Role, TlsFileError, pem, provider,
    rotating::{self, Rotating, Source},
    settings::ServerTlsSettings,
};
use crate::metrics::Metrics;

/// How clients are shaken hands with.
pub struct TlsServer(Arc<Rotating<Files>>);

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsServer").field(&self.0.current()).finish()
    }
}

impl TlsServer {
    /// Reads the files. What is remarkable about them goes into the log.
    ///
    /// # Errors
    /// [`TlsFileError`]: the first file that cannot be used.
    pub fn new(settings: ServerTlsSettings) -> Result<Self, TlsFileError> {
        let mut notes = Vec::new();
        let rotating = Rotating::new(Files(settings), &mut notes)?;
        rotating::warn(&notes);
        Ok(Self(Arc::new(rotating)))
    }

    /// Whether the files can be used, and what is remarkable about them.
    ///
    /// # Errors
    /// [`TlsFileError`]: the first file that cannot be used.
    pub fn check(settings: &ServerTlsSettings) -> Result<Vec<String>, TlsFileError> {
        let mut notes = Vec::new();
        Files(settings.clone()).make(&mut notes).map(|_| notes)
    }

    /// What is in force for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.current()
    }

    /// Takes up files that change, for ever.
    pub fn keep_up(&self, metrics: Arc<Metrics>) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.0).keep_up(metrics)
    }
}

pub(super) struct Files(pub(super) ServerTlsSettings);

impl Source for Files {
    type Made = ServerConfig;

    fn section(&self) -> &'static str {
        "listen.tls"
    }

    fn files(&self) -> Vec<PathBuf> {
        let identity = &self.0.identity;
        let own = [identity.certificate.clone(), identity.key.clone()];
        own.into_iter().chain(self.0.client_ca.clone()).collect()
    }

    fn make(&self, notes: &mut Vec<String>) -> Result<ServerConfig, TlsFileError> {
        let key = pem::certified_key(&self.0.identity, notes)?;
        let verifier = self.verifier(notes)?;
        let asks = verifier.offer_client_auth();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.certificate(error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        if asks {
            // A session that is taken up again brings its certificate along unchecked: it would outlive its own end, and
            // the authority that signed it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

impl Files {
    fn verifier(
        &self,
        notes: &mut Vec<String>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
        let Some(path) = &self.0.client_ca else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let authorities = pem::authorities(path, notes)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider());
        // It asks for at least one authority, and there is one.
        verifier.build().map_err(|error| TlsFileError {
            role: Role::Authority,
            path: path.clone(),
            fault: Fault::Certificate(rustls::Error::General(error.to_string())),
        })
    }

    fn certificate(&self, error: rustls::Error) -> TlsFileError {
        TlsFileError {
            role: Role::Certificate,
            path: self.0.identity.certificate.clone(),
            fault: Fault::Certificate(error),
        }
    }
}
