//! What a connection goes through before its first Kafka byte.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    admission::{Admitted, NotAdmitted},
    proxy_protocol::{self, ProxyHeaderError},
    settings::{ListenSettings, ProxyProtocol},
    transport::Transport,
};
use crate::metrics::ConnectionRefusal;

/// Why a client did not get in. Scope: this connection.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// Too many are open.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// Its load balancer does not say for whom it connects.
    #[error(transparent)]
    ProxyHeader(#[from] ProxyHeaderError),
}

impl EntranceError {
    /// What it counts as.
    #[must_use]
    pub const fn refusal(&self) -> ConnectionRefusal {
        match self {
            Self::NotAdmitted(NotAdmitted::Full { .. }) => ConnectionRefusal::MaxConnections,
            Self::NotAdmitted(NotAdmitted::FullForAddress { .. }) => {
                ConnectionRefusal::MaxConnectionsPerAddress
            }
            Self::ProxyHeader(_) => ConnectionRefusal::ProxyProtocol,
        }
    }
}

/// The entrance that all listeners of the process share.
#[derive(Debug)]
pub struct Entrance {
    proxy_protocol: ProxyProtocol,
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
    /// The entrance that `listen` describes.
    #[must_use]
    pub const fn new(listen: &ListenSettings) -> Self {
        Self { proxy_protocol: listen.proxy_protocol }
    }

    /// Lets a client in that was accepted from `address`.
    ///
    /// # Errors
    /// [`EntranceError`]: it must be closed.
    pub async fn enter<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut io: S,
        address: SocketAddr,
        admitted: &mut Admitted,
    ) -> Result<Entered<S>, EntranceError> {
        let address = match self.proxy_protocol {
            ProxyProtocol::Off => address,
            ProxyProtocol::Required => {
                proxy_protocol::read_header(&mut io).await?.unwrap_or(address)
            }
        };
        admitted.from_address(address.ip())?;
        Ok(Entered { io: Transport::Plain(io), address, server_name: None, subject: None })
    }
}
