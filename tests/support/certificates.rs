//! Certificate authorities of a test's own, what they sign, and a TLS client that trusts one of them.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::raw_client::RawClient;

/// Who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `CN=subject`, good for these host names and addresses.
    pub fn issue(&self, subject: &str, names: &[&str]) -> Issued {
        self.issue_with(subject, names, |_| ())
    }

    /// One that has held, and does so no more.
    pub fn issue_expired(&self, subject: &str) -> Issued {
        self.issue_with(subject, &[], |params| params.not_after = date_time_ymd(2020, 1, 1))
    }

    fn issue_with(
        &self,
        subject: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A folder of PEM files.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes it at one blow, as what rotates certificates does.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    /// Writes `name.crt` and `name.key`, and `name.pem` with both, as Java's key stores have it.
    pub fn identity(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.key"), &issued.key);
        self.write(&format!("{name}.crt"), &issued.certificate);
        self.write(&format!("{name}.pem"), &format!("{}{}", issued.key, issued.certificate));
    }

    /// Folder of the files, for a configuration.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// What a TLS client believes and shows. Connections of one share their sessions.
pub fn client_config(trusted: &Authority, shown: Option<&Issued>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(issued) => {
            let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate.unwrap()], key).unwrap()
        }
    };
    Arc::new(config)
}

/// A connection under TLS, with the handshake done.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects to `address`, which is a loopback address and a port.
///
/// # Errors
/// The handshake fails. With TLS 1.3, a server that does not accept us says so only afterwards.
pub fn connect(address: &str, config: &Arc<ClientConfig>) -> io::Result<RawClient<TlsStream>> {
    let host = address.rsplit_once(':').expect("a port").0;
    connect_to(address, host, config)
}

/// The same, asking for the server called `name`.
///
/// # Errors
/// The same.
pub fn connect_to(
    address: &str,
    name: &str,
    config: &Arc<ClientConfig>,
) -> io::Result<RawClient<TlsStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name.to_owned()).expect("a name or an address");
    let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut socket = &stream;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(RawClient::over(StreamOwned::new(session, stream)))
}
