//! What a connection goes through before its first Kafka byte.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    admission::{Admitted, NotAdmitted},
    in_force::CurrentBounds,
    proxy_protocol::{self, ProxyHeaderError},
    settings::{ListenSettings, ProxyProtocol},
    transport::Transport,
};
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
    /// Too many are open.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Its load balancer does not say for whom it connects.
    #[error(transparent)]
    ProxyHeader(#[from] ProxyHeaderError),
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
            Self::NotAdmitted(NotAdmitted::Full { .. }) => Some(TurnedAway::MaxConnections),
            Self::NotAdmitted(NotAdmitted::FullForAddress { .. }) => {
                Some(TurnedAway::MaxConnectionsPerAddress)
            }
            Self::ProxyHeader(_) => Some(TurnedAway::ProxyProtocol),
            Self::Tls(_) | Self::Unnamed(_) => Some(TurnedAway::Tls),
            Self::TooSlow(_) => Some(TurnedAway::HandshakeTimeout),
        }
    }
}

/// The entrance that all listeners of the process share.
#[derive(Debug)]
pub struct Entrance {
    proxy_protocol: ProxyProtocol,
    /// Whether there is one stays as it is, what it shows and believes may change.
    tls: ArcSwapOption<TlsServer>,
    bounds: CurrentBounds,
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
    /// The entrance that `listen` describes, with its `tls` if there is one. It gives each client the time that is in
    /// `bounds` for all steps together.
    #[must_use]
    pub fn new(listen: &ListenSettings, tls: Option<TlsServer>, bounds: CurrentBounds) -> Self {
        let tls = ArcSwapOption::new(tls.map(Arc::new));
        Self { proxy_protocol: listen.proxy_protocol, tls, bounds }
    }

    /// Shakes hands by `tls` from now on.
    pub fn replace_tls(&self, tls: TlsServer) {
        self.tls.store(Some(Arc::new(tls)));
    }

    /// Lets a client in that was accepted from `address`.
    ///
    /// # Errors
    /// [`EntranceError`]: it must be closed.
    pub async fn enter<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: S,
        address: SocketAddr,
        admitted: &mut Admitted,
    ) -> Result<Entered<S>, EntranceError> {
        let time = self.bounds.load().times.handshake_timeout;
        let steps = self.steps(io, address, admitted);
        timeout(time, steps).await.unwrap_or(Err(EntranceError::TooSlow(time)))
    }

    /// Step by step.
    async fn steps<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut io: S,
        address: SocketAddr,
        admitted: &mut Admitted,
    ) -> Result<Entered<S>, EntranceError> {
        let address = match self.proxy_protocol {
            ProxyProtocol::Off => address,
            ProxyProtocol::Required => proxied(&mut io).await?.unwrap_or(address),
        };
        admitted.from_address(address.ip())?;
        let Some(tls) = self.tls.load_full() else {
            let io = Transport::Plain(io);
            return Ok(Entered { io, address, server_name: None, subject: None });
        };
        let stream = secure(&tls, io).await?;
        let (_, session) = stream.get_ref();
        let server_name = session.server_name().map(str::to_owned);
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let subject = shown.map(tls::identity).transpose()?;
        let io = Transport::Tls(Box::new(stream.into()));
        Ok(Entered { io, address, server_name, subject })
    }
}

/// The client for whom a load balancer connects. One that only looks whether the port is open leaves without a word.
async fn proxied<S: AsyncRead + Unpin>(io: &mut S) -> Result<Option<SocketAddr>, EntranceError> {
    proxy_protocol::read_header(io).await.map_err(|error| match error {
        ProxyHeaderError::Io(_) => EntranceError::Gone,
        error => error.into(),
    })
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
