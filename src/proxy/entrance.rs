//! What a connection goes through before its first Kafka byte.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::transport::Transport;
use crate::{
    metrics::TurnedAway,
    tls::{self, TlsServer, UnnamedError},
};

/// Why a client did not get in. Scope: this connection.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// It went away by itself, as a probe of the port does.
    #[error("closed before its handshake was done")]
    Gone,
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {}", tls::explain(.0))]
    Tls(#[source] io::Error),
    /// It did not come to an end in time.
    #[error("no handshake within {0:?}")]
    TooSlow(Duration),
    /// Its certificate was accepted, but it says nothing of its holder.
    #[error("its certificate cannot stand for it")]
    Unnamed(#[from] UnnamedError),
}

impl EntranceError {
    /// As what it is counted; `None`: as nothing, the client left of its own accord.
    #[must_use]
    pub const fn cause(&self) -> Option<TurnedAway> {
        match self {
            Self::Gone => None,
            Self::Tls(_) | Self::Unnamed(_) => Some(TurnedAway::Tls),
            Self::TooSlow(_) => Some(TurnedAway::HandshakeTimeout),
        }
    }
}

/// The entrance that all listeners of the process share.
#[derive(Debug)]
pub struct Entrance {
    tls: Option<TlsServer>,
    /// For all steps together.
    time: Duration,
}

impl Default for Entrance {
    /// Everybody is let in at once, in the clear.
    fn default() -> Self {
        Self::new(None, Duration::MAX)
    }
}

/// A client that has come in.
#[derive(Debug)]
pub struct Entered<S> {
    /// The bytes of its Kafka connection.
    pub io: Transport<S>,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The host name that it asked for, if it said one.
    pub server_name: Option<String>,
    /// The subject of its certificate, if it was asked for one.
    pub subject: Option<String>,
}

impl Entrance {
    /// Lets clients in by `tls`, if there is one, and gives each `time` for it.
    #[must_use]
    pub const fn new(tls: Option<TlsServer>, time: Duration) -> Self {
        Self { tls, time }
    }

    /// Lets a client in that was accepted from `address`.
    ///
    /// # Errors
    /// [`EntranceError`]: it must be closed.
    pub async fn enter<S>(&self, io: S, address: SocketAddr) -> Result<Entered<S>, EntranceError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let steps = self.steps(io, address);
        timeout(self.time, steps).await.unwrap_or(Err(EntranceError::TooSlow(self.time)))
    }

    /// Step by step.
    async fn steps<S>(&self, io: S, address: SocketAddr) -> Result<Entered<S>, EntranceError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(tls) = &self.tls else {
            let io = Transport::Plain(io);
            return Ok(Entered { io, address, server_name: None, subject: None });
        };
        let stream = secure(tls, io).await?;
        let (_, session) = stream.get_ref();
        let server_name = session.server_name().map(str::to_owned);
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let subject = shown.map(tls::identity).transpose()?;
        let io = Transport::Tls(Box::new(stream.into()));
        Ok(Entered { io, address, server_name, subject })
    }
}

/// Shakes hands. Who only looks whether the port is open is told from who fails.
async fn secure<S>(tls: &TlsServer, io: S) -> Result<TlsStream<S>, EntranceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = TlsAcceptor::from(tls.config()).accept(io).await;
    stream.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => EntranceError::Gone,
        _ => EntranceError::Tls(error),
    })
}
