//! What the command line says about the schema server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::auth::CredentialFiles;
use crate::{limits::SchemaLimits, tls::ServerTlsSettings};

/// How the schema server is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where schemas are kept.
    pub storage: Storage,
    /// Who may use it; everybody without it.
    pub credentials: Option<CredentialFiles>,
    /// TLS; in the clear without it.
    pub tls: Option<ServerTlsSettings>,
    /// What one schema may cost.
    pub limits: SchemaLimits,
    /// Time for what is under way when it is told to stop.
    pub grace: Duration,
}

/// Where schemas are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a folder, for good.
    Folder(PathBuf),
    /// In memory: gone when the process ends.
    Memory,
}
