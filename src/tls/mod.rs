//! TLS material: certificates, keys and authorities from PEM files, and what rustls makes of them; files that are replaced
//! are taken up without a restart.

mod certificate;
mod client;
mod explain;
mod pem;
mod rotating;
mod server;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use self::{
    certificate::{UnnamedError, identity},
    client::{Connecting, TlsClient},
    explain::{explain, is_tls_error, looks_like_tls},
    pem::{Fault, Role, TlsFileError, readable, validity},
    server::TlsServer,
    settings::{ClientTlsSettings, IdentityFiles, ServerTlsSettings},
};

/// The one provider of the process: named here, so that nothing depends on what is installed as the default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
