//! Why a connection ended: as an error, as a count, and in the log.

use std::{io, net::SocketAddr, time::Duration};

use crate::{
    metrics::{ConnectionEnd, UpstreamErrorKind},
    proxy::{
        gateway::Gateway,
        pulse::Lapse,
        reader::ReadError,
        sasl::{client_login::LoginRefusal, own_login::LoginError},
    },
    tls,
    wire::WireError,
};

/// Why a connection ended. Scope: this connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The broker sent what cannot be understood.
    #[error("broker: {0}")]
    Broker(WireError),
    /// The broker's socket failed.
    #[error("broker's socket failed")]
    BrokerIo(#[source] io::Error),
    /// The broker closed while answers were owed.
    #[error("broker closed while {owed} answers were owed")]
    BrokerClosed {
        /// Requests without an answer.
        owed: usize,
    },
    /// The client sent what cannot be understood, or was not offered.
    #[error("client: {0}")]
    Client(#[from] WireError),
    /// The client's socket failed.
    #[error("client's socket failed")]
    ClientIo(#[source] io::Error),
    /// The client closed in the middle of a request.
    #[error("client closed after {got} bytes of a request")]
    ClientTruncated {
        /// Bytes that had come.
        got: usize,
    },
    /// The client's login is not passed on.
    #[error("client: {0}")]
    Login(LoginRefusal),
    /// The client had to log in first, and took too long.
    #[error("client: no login was complete within {0:?}")]
    LoginTimeout(Duration),
    /// schemaward's own login could not be repeated.
    #[error("own login: {0}")]
    OwnLogin(LoginError),
    /// A client that has to log in first asked for something else.
    #[error("client: {api} was asked for before the broker had accepted a login")]
    Stranger {
        /// What.
        api: &'static str,
    },
    /// Something took longer than it may.
    #[error(transparent)]
    Lapsed(Lapse),
    /// The connection held memory that others wait for, and made no progress.
    #[error("no progress while others wait for memory")]
    Stalled,
}

impl From<ReadError> for ConnectionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(source) => Self::ClientIo(source),
            ReadError::Truncated { got } => Self::ClientTruncated { got },
            ReadError::Stranger { api } => Self::Stranger { api },
            ReadError::Wire(error) => Self::Client(error),
        }
    }
}

/// Counts and logs why a connection ended, and says it in a word.
pub fn log_end(gateway: &Gateway, peer: SocketAddr, error: &ConnectionError) -> ConnectionEnd {
    let (end, kind) = match error {
        ConnectionError::Broker(_) => (ConnectionEnd::Broker, Some(UpstreamErrorKind::Protocol)),
        ConnectionError::BrokerClosed { .. } => {
            (ConnectionEnd::Broker, Some(UpstreamErrorKind::Closed))
        }
        // With TLS 1.3 a broker judges our certificate when the handshake is over for us.
        ConnectionError::BrokerIo(error) if tls::is_tls_error(error) => {
            (ConnectionEnd::Broker, Some(UpstreamErrorKind::Tls))
        }
        ConnectionError::BrokerIo(_) => (ConnectionEnd::Broker, Some(UpstreamErrorKind::Io)),
        ConnectionError::OwnLogin(_) => (ConnectionEnd::Broker, Some(UpstreamErrorKind::Login)),
        ConnectionError::Client(_) => (ConnectionEnd::Client, None),
        ConnectionError::Login(_)
        | ConnectionError::LoginTimeout(_)
        | ConnectionError::Stranger { .. } => (ConnectionEnd::NotLetIn, None),
        ConnectionError::ClientIo(_) | ConnectionError::ClientTruncated { .. } => {
            (ConnectionEnd::Vanished, None)
        }
        ConnectionError::Lapsed(Lapse::Idle) => (ConnectionEnd::Idle, None),
        ConnectionError::Lapsed(Lapse::Request) => (ConnectionEnd::RequestTimeout, None),
        ConnectionError::Lapsed(Lapse::Response) => (ConnectionEnd::ResponseTimeout, None),
        ConnectionError::Stalled => (ConnectionEnd::Stalled, None),
    };
    if let Some(kind) = kind {
        gateway.metrics.upstream_error(kind);
    }
    gateway.ends.ended(end, peer, error, &cause(error));
    end
}

/// What is behind `error`, in words that lead to what has to be changed.
fn cause(error: &ConnectionError) -> String {
    match error {
        ConnectionError::BrokerIo(error) | ConnectionError::ClientIo(error) => tls::explain(error),
        ConnectionError::Client(WireError::FrameTooLarge { size, .. })
            if tls::looks_like_tls(*size) =>
        {
            "it speaks TLS, but there is no listen.tls".to_owned()
        }
        ConnectionError::Broker(WireError::FrameTooLarge { size, .. })
            if tls::looks_like_tls(*size) =>
        {
            "it speaks TLS, but there is no upstream.tls".to_owned()
        }
        _ => String::new(),
    }
}
