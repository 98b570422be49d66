//! Takes client connections, one listener for the bootstrap address and one per broker port.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    address_map::LocalPort,
    connection::{self, Ended},
    entrance::{Entered, Entrance},
    gateway::Gateway,
    peer::Peer,
    sequence_guard::Identity,
    transport::Transport,
    upstream::{Dial, DialError, Upstream},
};
use crate::metrics::ConnectionEnd;

/// How long a listener rests when the system has no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Which broker a listener leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// To any of the bootstrap brokers.
    Bootstrap,
    /// To the broker that the port stands for; to a bootstrap broker while it is not known.
    Port(LocalPort),
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Takes streams of clients; with [`Dial`], what a simulated network replaces.
pub trait Accept: Send + Sync + 'static {
    /// A stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Takes the next stream, and says where it comes from.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, address) = Self::accept(self).await?;
        if let Err(error) = stream.set_nodelay(true) {
            debug!(peer = %address, %error, "cannot set TCP_NODELAY");
        }
        Ok((stream, address))
    }
}

/// Binds `address`.
///
/// # Errors
/// [`BindError`] when the port is in use or not ours to bind.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|source| BindError { address, source })
}

/// A listener, ready to serve.
#[derive(Debug)]
pub struct Listener<A> {
    /// Where streams come from.
    pub accept: A,
    /// Where they lead.
    pub leads: Leads,
    /// Stands for the whole set of listeners: a producer that follows a leader from one port to another keeps its
    /// identity.
    pub name: Arc<str>,
}

/// What all listeners share.
#[derive(Debug)]
pub struct House<D> {
    /// How clients get in.
    pub entrance: Entrance,
    /// How brokers are reached.
    pub upstream: Arc<Upstream<D>>,
    /// What connections share.
    pub gateway: Arc<Gateway>,
}

impl<A: Accept> Listener<A> {
    /// Accepts connections until the process drains.
    pub async fn serve<D: Dial>(self, house: Arc<House<D>>) {
        loop {
            let accepted = tokio::select! {
                () = house.gateway.drained() => return,
                accepted = self.accept.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let (name, house) = (Arc::clone(&self.name), Arc::clone(&house));
                    tokio::spawn(welcome(stream, address, self.leads, name, house));
                }
                Err(error) => {
                    warn!(listener = %self.name, %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Counts a connection for as long as it lives, a panic included.
struct Counted<'g> {
    gateway: &'g Gateway,
    peer: SocketAddr,
    end: Option<ConnectionEnd>,
}

impl<'g> Counted<'g> {
    fn new(gateway: &'g Gateway, peer: SocketAddr) -> Self {
        gateway.metrics.connection_opened();
        Self { gateway, peer, end: None }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let unforeseen = if std::thread::panicking() {
            self.gateway.ends.panicked(self.peer);
            ConnectionEnd::Panic
        } else {
            ConnectionEnd::Cut
        };
        self.gateway.metrics.connection_closed(self.end.unwrap_or(unforeseen));
    }
}

/// Lets a client in, finds its broker, and carries the connection to its end.
async fn welcome<S, D>(
    client: S,
    address: SocketAddr,
    leads: Leads,
    name: Arc<str>,
    house: Arc<House<D>>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: Dial,
{
    let mut counted = Counted::new(&house.gateway, address);
    counted.end = Some(carry(client, address, leads, &name, &house).await);
}

/// Carries a connection from its first byte to its last, and says why it ended.
async fn carry<S, D>(
    client: S,
    address: SocketAddr,
    leads: Leads,
    name: &str,
    house: &House<D>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: Dial,
{
    let House { entrance, upstream, gateway } = house;
    let Entered { io, address, .. } = match entrance.enter(client, address).await {
        Ok(entered) => entered,
        Err(error) => {
            gateway.ends.ended(ConnectionEnd::NotLetIn, address, &error, "");
            return ConnectionEnd::NotLetIn;
        }
    };
    let broker = match connect(leads, gateway, upstream).await {
        Ok(broker) => broker,
        Err(error) => {
            gateway.metrics.upstream_error(error.kind);
            let cause = error.source.to_string();
            gateway.ends.ended(ConnectionEnd::NoBroker, address, &error, &cause);
            return ConnectionEnd::NoBroker;
        }
    };
    let peer = Arc::new(Peer::new(address, Identity::peer(name, address.ip())));
    match connection::serve(Arc::clone(gateway), peer, split(io), split(broker)).await {
        Ok(Ended::Closed) => {
            debug!(peer = %address, "connection closed");
            ConnectionEnd::Closed
        }
        Err(error) => connection::log_end(gateway, address, &error),
    }
}

async fn connect<D: Dial>(
    leads: Leads,
    gateway: &Gateway,
    upstream: &Upstream<D>,
) -> Result<Transport<D::Io>, DialError> {
    let known = match leads {
        Leads::Bootstrap => None,
        Leads::Port(port) => gateway.cluster.addresses.broker(port),
    };
    match known {
        Some(address) => upstream.connect(&address).await,
        None => upstream.connect_bootstrap().await,
    }
}
