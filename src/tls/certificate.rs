//! What a certificate says: whom it names, and how long it holds. Read only from files of ours and from certificates that
//! were verified before.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
    time::Time,
};

use crate::text::shown;

/// A certificate that names nobody whom one could tell from others.
#[derive(Debug, thiserror::Error)]
#[error("the certificate has neither a subject nor a URI, DNS name or mail address")]
pub struct UnnamedError;

/// Whom `certificate` names: its subject as RFC 4514 writes it (`CN=orders,O=Example`); where that is empty, as in SPIFFE's
/// certificates, its alternative names.
///
/// # Errors
/// [`UnnamedError`] when it names nobody.
pub fn identity(certificate: &CertificateDer<'_>) -> Result<String, UnnamedError> {
    let certificate = parse(certificate).ok_or(UnnamedError)?;
    let subject = certificate.tbs_certificate().subject();
    if !subject.is_empty() {
        return Ok(subject.to_string());
    }
    let found = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    let (_, names) = found.ok().flatten().ok_or(UnnamedError)?;
    let names: Vec<_> = names.0.iter().filter_map(alternative).collect();
    if names.is_empty() { Err(UnnamedError) } else { Ok(names.join(",")) }
}

fn alternative(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(format!("DNS:{name}")),
        GeneralName::Rfc822Name(name) => Some(format!("email:{name}")),
        GeneralName::UniformResourceIdentifier(name) => Some(format!("URI:{name}")),
        _ => None,
    }
}

/// What an operator has to know of the certificate in `path`: that it does not hold, or not much longer.
pub(super) fn remark(path: &Path, certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = parse(certificate)?;
    let validity = certificate.tbs_certificate().validity();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (begin, end) = (validity.not_before, validity.not_after);
    let what = if now > end.to_unix_duration() {
        format!("has expired on {}", end.to_date_time())
    } else if now < begin.to_unix_duration() {
        format!("does not hold before {}", begin.to_date_time())
    } else if now + SOON > end.to_unix_duration() {
        format!("expires on {}", end.to_date_time())
    } else {
        return None;
    };
    let subject = certificate.tbs_certificate().subject().to_string();
    let (path, subject) = (path.display(), shown(subject.as_bytes()));
    Some(format!("{path}: the certificate of \"{subject}\" {what}"))
}

/// How long `certificates` hold, in words: as long as the first of them, or the last of them if `any` will do.
///
/// # Errors
/// In words as well: that they do not hold.
pub(super) fn validity(certificates: &[CertificateDer<'_>], any: bool) -> Result<String, String> {
    let parsed = certificates.iter().filter_map(parse);
    let spans = parsed.map(|certificate| {
        let validity = certificate.tbs_certificate().validity();
        (validity.not_before, validity.not_after)
    });
    let last = |(_, end): &(Time, Time)| end.to_unix_duration();
    let span = if any { spans.max_by_key(last) } else { spans.min_by_key(last) };
    let (begin, end) = span.ok_or("no certificate in it can be read")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if now > end.to_unix_duration() {
        Err(format!("has expired on {}", end.to_date_time()))
    } else if now < begin.to_unix_duration() {
        Err(format!("does not hold before {}", begin.to_date_time()))
    } else {
        Ok(format!("holds until {}", end.to_date_time()))
    }
}

fn parse(certificate: &CertificateDer<'_>) -> Option<CertificateInner<Raw>> {
    CertificateInner::from_der(certificate).ok()
}

/// Shorter than any certificate that is replaced by a program in time, longer than a night.
const SOON: Duration = Duration::from_secs(12 * 3_600);
