//! Takes client connections, one listener for the bootstrap address and one per broker port.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    connection::{self, Ended},
    gateway::Gateway,
    peer::Peer,
    sequence_guard::Identity,
    upstream::{DialError, TcpUpstream},
};
use crate::proxy::address_map::LocalPort;

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

impl Leads {
    /// The port, where its broker is not known: clients are led to one of the others meanwhile.
    fn guesses(self, gateway: &Gateway) -> Option<LocalPort> {
        match self {
            Self::Bootstrap => None,
            Self::Port(port) => gateway.cluster.addresses.broker(port).is_none().then_some(port),
        }
    }
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

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    leads: Leads,
    name: Arc<str>,
}

impl Listener {
    /// Binds `address`. `name` stands for the whole set of listeners: a producer that follows a leader from one port to
    /// another keeps its identity.
    ///
    /// # Errors
    /// [`BindError`] when the port is in use or not ours to bind.
    pub fn bind(address: SocketAddr, leads: Leads, name: &Arc<str>) -> Result<Self, BindError> {
        let bound = || -> io::Result<TcpListener> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let socket = bound().map_err(|source| BindError { address, source })?;
        Ok(Self { socket, leads, name: Arc::clone(name) })
    }

    /// Where it listens: the port that was given where port 0 was asked for.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections until the process drains.
    pub async fn serve(self, gateway: Arc<Gateway>, upstream: Arc<TcpUpstream>) {
        loop {
            let accepted = tokio::select! {
                () = gateway.drained() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let identity = Identity::peer(&self.name, address.ip());
                    let peer = Arc::new(Peer::new(address, identity));
                    let gateway = Arc::clone(&gateway);
                    let upstream = Arc::clone(&upstream);
                    tokio::spawn(run(stream, self.leads, gateway, upstream, peer));
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
    fn new(gateway: Arc<Gateway>) -> Self {
        gateway.metrics.connection_opened();
        Self(gateway)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.connection_closed();
    }
}

async fn run(
    client: TcpStream,
    leads: Leads,
    gateway: Arc<Gateway>,
    upstream: Arc<TcpUpstream>,
    peer: Arc<Peer>,
) {
    let counted = Counted::new(Arc::clone(&gateway));
    let address = peer.address;
    let guessed = leads.guesses(&gateway);
    let broker = match dial(leads, &gateway, &upstream).await {
        Ok(broker) => broker,
        Err(error) => {
            gateway.metrics.upstream_error(error.kind);
            warn!(peer = %address, %error, cause = %error.source, "closing: no broker");
            return;
        }
    };
    if let Err(error) = client.set_nodelay(true) {
        debug!(peer = %address, %error, "cannot set TCP_NODELAY");
    }
    let led_to = broker.peer_addr();
    let serving = connection::serve(gateway, peer, client.into_split(), broker.into_split());
    let ended = tokio::select! {
        ended = serving => ended,
        () = found_elsewhere(&counted.0, guessed, led_to) => Ok(Ended::Closed),
    };
    match ended {
        Ok(Ended::Closed) => debug!(peer = %address, "connection closed"),
        Err(error) => connection::log_end(&counted.0, address, &error),
    }
}

/// Waits until the broker of a port is known, and is not the one at `led_to`: a client that stays there is told for ever
/// that it is at the wrong broker, and that the right one is behind the port which it is connected to.
async fn found_elsewhere(
    gateway: &Gateway,
    guessed: Option<LocalPort>,
    led_to: io::Result<SocketAddr>,
) {
    let (Some(port), Ok(led_to)) = (guessed, led_to) else { return pending().await };
    let broker = gateway.cluster.addresses.until_known(port).await;
    // Without an answer nobody knows better.
    if let Ok(mut found) = lookup_host((broker.host.as_str(), broker.port)).await
        && found.all(|at| at != led_to)
    {
        return;
    }
    pending().await
}

async fn dial(
    leads: Leads,
    gateway: &Gateway,
    upstream: &TcpUpstream,
) -> Result<TcpStream, DialError> {
    let known = match leads {
        Leads::Bootstrap => None,
        Leads::Port(port) => gateway.cluster.addresses.broker(port),
    };
    match known {
        Some(address) => upstream.dial(&address).await,
        None => upstream.dial_bootstrap().await,
    }
}
