//! What the configuration says about TLS: paths and names, never what is in the files.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

/// What shows who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM: our certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// How clients are awaited (`listen.tls`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTlsSettings {
    /// What clients are shown (`certificate`, `key`).
    pub identity: IdentityFiles,
    /// PEM: who signs the certificates of clients (`client_ca`); without it they are not asked for one.
    pub client_ca: Option<PathBuf>,
}

/// How servers are reached (`upstream.tls`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTlsSettings {
    /// PEM: who signs the certificates of servers (`ca`); without it the authorities of the system.
    pub ca: Option<PathBuf>,
    /// The name that a server's certificate must have, in place of its host (`server_name`).
    pub server_name: Option<ServerName<'static>>,
    /// What servers are shown, if they ask (`certificate`, `key`).
    pub identity: Option<IdentityFiles>,
}
