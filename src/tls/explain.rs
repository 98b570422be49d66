//! What went wrong in a handshake, in words that lead to the cause.

use std::io;

use rustls::{AlertDescription, Error, InvalidMessage};

use crate::limits::MAX_SHOWN_BYTES;

/// Whether `error` is TLS's and not the socket's.
#[must_use]
pub fn is_tls_error(error: &io::Error) -> bool {
    tls_error(error).is_some()
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// `error` in words. Text of the other side is not in it, names in its certificate apart.
#[must_use]
pub fn explain(error: &io::Error) -> String {
    match tls_error(error) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the other side does not speak TLS".to_owned()
        }
        Some(Error::NoCertificatesPresented) => "the other side showed no certificate".to_owned(),
        Some(Error::AlertReceived(alert)) => match complaint(*alert) {
            Some(complaint) => format!("the other side {complaint} (alert {alert:?})"),
            None => format!("the other side broke the handshake off (alert {alert:?})"),
        },
        Some(error) => plain(&error.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the other side closed in the middle of the handshake".to_owned()
        }
        None => error.to_string(),
    }
}

/// One line of bounded length: names in the certificate of the other side may stand in it, quoted and escaped already.
fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_SHOWN_BYTES).collect()
}

const fn complaint(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => "asks for a certificate",
        AlertDescription::CertificateExpired => "says that our certificate has expired",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => {
            "does not accept our certificate, or misses one"
        }
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            "offers no version or cipher that is accepted"
        }
        _ => return None,
    })
}

/// Whether the size of a frame is what the first bytes of TLS look like: a handshake or an alert, in any version.
#[must_use]
pub fn looks_like_tls(frame_size: usize) -> bool {
    u32::try_from(frame_size).is_ok_and(|size| {
        let [kind, major, minor, _] = size.to_be_bytes();
        matches!(kind, 0x15 | 0x16) && major == 3 && minor <= 4
    })
}
