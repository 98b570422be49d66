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

/// How long a listener rests when the system has no socket left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a connection that could not be led to its broker looks whether that is known now.
const ASTRAY_POLL: Duration = Duration::from_millis(500);
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
                biased;
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
struct Counted(Arc<Gateway>);

impl Counted {
    fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.metrics.connection_opened();
        Self(Arc::clone(gateway))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.connection_closed();
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
    let House { entrance, upstream, gateway } = &*house;
    let _counted = Counted::new(gateway);
    let entered = match entrance.enter(client, address).await {
        Ok(entered) => entered,
        Err(error) => return warn!(peer = %address, %error, "closing: not let in"),
    };
    let Entered { io, address, .. } = entered;
    let astray = astray(leads, gateway);
    let broker = match connect(leads, gateway, upstream).await {
        Ok(broker) => broker,
        Err(error) => {
            gateway.metrics.upstream_error(error.kind);
            warn!(peer = %address, %error, cause = %error.source, "closing: no broker");
            return;
        }
    };
    let peer = Arc::new(Peer::new(address, Identity::peer(&name, address.ip())));
    let serving = connection::serve(Arc::clone(gateway), peer, split(io), split(broker));
    let ended = tokio::select! {
        biased;
        ended = serving => ended,
        () = astray => return debug!(peer = %address, "closing: its broker is known now"),
    };
    match ended {
        Ok(Ended::Closed) => debug!(peer = %address, "connection closed"),
        Err(error) => connection::log_end(gateway, address, &error),
    }
}

/// Waits until the broker is known that a port stands for, where it is not yet. A connection that was led to a bootstrap
/// broker instead must not stay there: its client is told "not the leader" for ever, and comes back to the same port.
fn astray(leads: Leads, gateway: &Gateway) -> impl Future<Output = ()> {
    let addresses = &gateway.cluster.addresses;
    let unknown = match leads {
        Leads::Port(port) if addresses.broker(port).is_none() => Some(port),
        _ => None,
    };
    async move {
        let Some(port) = unknown else { return std::future::pending().await };
        while addresses.broker(port).is_none() {
            sleep(ASTRAY_POLL).await;
        }
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
