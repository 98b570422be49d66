//! Reads PEM files, and says which one is wrong and how.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::{certificate, provider, settings::IdentityFiles};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Signs the certificates of the other side.
    Authority,
    /// Our certificate.
    Certificate,
    /// The key of our certificate.
    Key,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}", path = path.display())]
pub struct TlsFileError {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A certificate in it is none that can be used.
    #[error("a certificate in it cannot be used: {0}")]
    Certificate(rustls::Error),
    /// The key has a passphrase.
    #[error("the private key in it is encrypted, which is not supported")]
    EncryptedKey,
    /// The key is of a kind that cannot be used.
    #[error("the private key in it cannot be used: {0}")]
    Key(rustls::Error),
    /// The key belongs to another certificate.
    #[error("the private key in it is not that of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    /// There is no certificate in it.
    #[error("no certificate in it (PEM is expected)")]
    NoCertificate,
    /// There is no key in it.
    #[error("no private key in it (PEM is expected)")]
    NoKey,
    /// The system has no authorities.
    #[error(
        "the system has no certificate authorities: set SSL_CERT_FILE, or a CA file of your own"
    )]
    NoSystemAuthorities,
    /// It is no PEM file.
    #[error("cannot be read as PEM: {0}")]
    Pem(pem::Error),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It is larger than any such file.
    #[error("has more than {MAX_BYTES} bytes")]
    TooLarge,
}

/// A certificate with its key, and what is remarkable about it.
pub(super) fn certified_key(
    files: &IdentityFiles,
    notes: &mut Vec<String>,
) -> Result<CertifiedKey, TlsFileError> {
    let chain = certificates(Role::Certificate, &files.certificate)?;
    if let Some(own) = chain.first() {
        notes.extend(certificate::remark(&files.certificate, own));
    }
    let wrong = |fault| TlsFileError { role: Role::Key, path: files.key.clone(), fault };
    let key = private_key(&files.key).map_err(wrong)?;
    let key = provider().key_provider.load_private_key(key);
    let key = CertifiedKey::new(chain, key.map_err(|error| wrong(Fault::Key(error)))?);
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(key),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(wrong(Fault::Mismatch(files.certificate.clone())))
        }
        Err(error) => Err(TlsFileError {
            role: Role::Certificate,
            path: files.certificate.clone(),
            fault: Fault::Certificate(error),
        }),
    }
}

/// Authorities from a file, and what is remarkable about them.
pub(super) fn authorities(
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<Arc<RootCertStore>, TlsFileError> {
    let mut store = RootCertStore::empty();
    for authority in certificates(Role::Authority, path)? {
        notes.extend(certificate::remark(path, &authority));
        store.add(authority).map_err(|error| TlsFileError {
            role: Role::Authority,
            path: path.to_owned(),
            fault: Fault::Certificate(error),
        })?;
    }
    Ok(Arc::new(store))
}

/// The authorities of the system: those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else where distributions have them.
pub(super) fn system_authorities() -> Result<Arc<RootCertStore>, TlsFileError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let path = std::env::var_os("SSL_CERT_FILE").unwrap_or_else(|| "/etc/ssl/certs".into());
        let fault = Fault::NoSystemAuthorities;
        return Err(TlsFileError { role: Role::Authority, path: path.into(), fault });
    }
    Ok(Arc::new(store))
}

fn certificates(role: Role, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let wrong = |fault| TlsFileError { role, path: path.to_owned(), fault };
    let bytes = read(path).map_err(wrong)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match found.map_err(|error| wrong(Fault::Pem(error)))? {
        none if none.is_empty() => Err(wrong(Fault::NoCertificate)),
        found => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if holds(&bytes, b"BEGIN ENCRYPTED PRIVATE KEY") => {
            Fault::EncryptedKey
        }
        pem::Error::NoItemsFound => Fault::NoKey,
        error => Fault::Pem(error),
    })
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// Whether the file at `path` can be read at all.
///
/// # Errors
/// [`TlsFileError`]: it cannot.
pub fn readable(role: Role, path: &Path) -> Result<(), TlsFileError> {
    let wrong = |fault| TlsFileError { role, path: path.to_owned(), fault };
    read(path).map(drop).map_err(wrong)
}

/// How long the certificates in the file at `path` hold, in words: of a chain the one that ends first, of authorities the one
/// that ends last.
///
/// # Errors
/// In words as well: why it cannot be used.
pub fn validity(role: Role, path: &Path) -> Result<String, String> {
    let found = certificates(role, path).map_err(|error| error.fault.to_string())?;
    certificate::validity(&found, role == Role::Authority)
}

/// The bytes of a file, if they are not too many.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Fault::Read)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Fault::Read)?;
    if bytes.len() as u64 > MAX_BYTES { Err(Fault::TooLarge) } else { Ok(bytes) }
}

/// A bundle of all public authorities has a quarter of it.
const MAX_BYTES: u64 = 1_048_576;
