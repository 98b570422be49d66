//! Takes client connections, one listener for the bootstrap address and one per broker port.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    address_map::{AddressMap, LocalPort},
    admission::{Admission, Admitted},
    connection::{self, Ended},
    entrance::{Entered, Entrance},
    gateway::Gateway,
    lanes::{Dealer, Load},
    peer::Peer,
    sasl::own_login::Session,
    sequence_guard::Identity,
    settings::{BrokerAddress, ListenSettings, UpstreamSettings},
    transport::Transport,
    turned_away::TurnedAwayLog,
    upstream::{Connected, Dial, Upstream},
};
use crate::{
    metrics::ConnectionEnd,
    tls::{TlsClient, TlsServer},
    wire::NodeId,
};

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
    /// To the broker whose name the client asks for; to a bootstrap broker where that is no broker's, or is not known yet.
    ServerName,
}

impl Leads {
    /// The node that a client of this listener wants; `None`: any.
    fn node(self, addresses: &AddressMap, server_name: Option<&str>) -> Option<NodeId> {
        match self {
            Self::Bootstrap => None,
            Self::Port(port) => addresses.node(port),
            Self::ServerName => addresses.node_named(server_name?),
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

/// Takes streams of clients; with [`Dial`], what a simulated network replaces.
pub trait Accept: Send + Sync + 'static {
    /// A stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Takes the next stream, and says where it comes from.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// Makes a stream one of the runtime that carries it from here on.
    ///
    /// # Errors
    /// Where that runtime cannot watch it.
    fn take_up(stream: Self::Io) -> io::Result<Self::Io> {
        Ok(stream)
    }
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

    fn take_up(stream: TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream.into_std()?)
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
    /// Who carries connections; `None`: the runtime that accepts them.
    pub dealer: Option<Dealer>,
}

/// What all listeners share.
#[derive(Debug)]
pub struct House<D> {
    /// How many clients get in.
    admission: Arc<Admission>,
    /// How clients get in.
    entrance: Entrance,
    /// What is logged of those who do not.
    turned_away: TurnedAwayLog,
    /// How brokers are reached.
    upstream: Arc<Upstream<D>>,
    /// What connections share.
    gateway: Arc<Gateway>,
}

impl<D> House<D> {
    /// What the listeners that `listen` describes share; under `tls` if there is one.
    #[must_use]
    pub fn new(
        listen: &ListenSettings,
        tls: Option<TlsServer>,
        upstream: Arc<Upstream<D>>,
        gateway: Arc<Gateway>,
    ) -> Self {
        Self {
            admission: Admission::new(listen),
            entrance: Entrance::new(listen, tls, Arc::clone(&gateway.bounds)),
            turned_away: TurnedAwayLog::default(),
            upstream,
            gateway,
        }
    }
}

impl<D: Dial> House<D> {
    /// Takes over for new connections what may change of `listen`, with new TLS if there is some. What is open stays open.
    pub fn replace_listen(&self, listen: &ListenSettings, tls: Option<TlsServer>) {
        self.admission.resize(listen);
        if let Some(tls) = tls {
            self.entrance.replace_tls(tls);
        }
    }

    /// Reaches brokers as `upstream` says from now on, under `tls` if there is one. What is open stays open.
    pub fn replace_upstream(&self, upstream: &UpstreamSettings, tls: Option<TlsClient>) {
        self.upstream.replace(upstream, tls);
    }
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
                    let leads = self.leads;
                    match &self.dealer {
                        Some(dealer) => dealer.deal(|load| {
                            welcome::<A, D>(stream, address, leads, name, house, Some(load))
                        }),
                        None => drop(tokio::spawn(welcome::<A, D>(
                            stream, address, leads, name, house, None,
                        ))),
                    }
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

/// Lets a client in, finds its broker, and carries the connection to its end. It is a load for so long.
async fn welcome<A: Accept, D: Dial>(
    client: A::Io,
    address: SocketAddr,
    leads: Leads,
    name: Arc<str>,
    house: Arc<House<D>>,
    _load: Option<Load>,
) {
    let mut counted = Counted::new(&house.gateway, address);
    counted.end = match A::take_up(client) {
        Ok(client) => Some(carry(client, address, leads, name, &house).await),
        Err(error) => {
            warn!(peer = %address, %error, "cannot take up a connection");
            None
        }
    };
}

/// Carries a connection from its first byte to its last, and says why it ended.
async fn carry<S, D>(
    client: S,
    address: SocketAddr,
    leads: Leads,
    name: Arc<str>,
    house: &House<D>,
) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: Dial,
{
    let gateway = &house.gateway;
    // Apart from the task, whose size lasts as long as the connection: handshakes are large and short.
    let Arrival { client, broker, session, peer, guessed, led_to, admitted: _admitted } =
        match Box::pin(arrive(client, address, leads, name, house)).await {
            Ok(arrival) => arrival,
            Err(end) => return end,
        };
    let sending_away = send_away(gateway, &peer, guessed, led_to);
    let serving = connection::serve(
        Arc::clone(gateway),
        Arc::clone(&peer),
        split(client),
        split(broker),
        session,
    );
    let served = tokio::select! {
        biased;
        served = serving => served,
        never = sending_away => match never {},
    };
    match served {
        Ok(Ended::Closed) => {
            debug!(peer = %peer.address, "connection closed");
            ConnectionEnd::Closed
        }
        Err(error) => connection::log_end(gateway, peer.address, &error),
    }
}

/// A client that has come in, and the broker that it was led to.
struct Arrival<C, B> {
    client: Transport<C>,
    broker: Transport<B>,
    /// schemaward's own login, where it has one.
    session: Option<Session>,
    peer: Arc<Peer>,
    /// The node that it wants, where it was not known at which address that is.
    guessed: Option<NodeId>,
    led_to: BrokerAddress,
    admitted: Admitted,
}

/// Lets a client in and finds its broker, or says how that ended.
async fn arrive<S, D>(
    client: S,
    address: SocketAddr,
    leads: Leads,
    name: Arc<str>,
    house: &House<D>,
) -> Result<Arrival<S, D::Io>, ConnectionEnd>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: Dial,
{
    let House { admission, entrance, turned_away, upstream, gateway } = house;
    let away = |error| turned_away.note(&gateway.metrics, address, &error);
    let mut admitted = admission.admit().map_err(|error| away(error.into()))?;
    let entered = tokio::select! {
        () = gateway.drained() => return Err(ConnectionEnd::Closed),
        entered = entrance.enter(client, address, &mut admitted) => entered,
    };
    let Entered { io: client, address, server_name, subject } = entered.map_err(away)?;
    let node = leads.node(&gateway.cluster.addresses, server_name.as_deref());
    let at = node.and_then(|node| gateway.cluster.addresses.broker(node));
    let connected = match &at {
        Some(address) => upstream.connect(address).await,
        None => upstream.connect_bootstrap().await,
    };
    let Connected { io: broker, address: led_to, session } = connected.map_err(|error| {
        gateway.metrics.upstream_error(error.kind);
        let cause = error.source.to_string();
        gateway.ends.ended(ConnectionEnd::NoBroker, address, &error, &cause);
        ConnectionEnd::NoBroker
    })?;
    let peer = match &subject {
        Some(subject) => Peer::new(address, Identity::subject(&name, subject)),
        None => Peer::new(address, Identity::peer(&name, address.ip())).known_by_login(name),
    };
    let guessed = node.filter(|_| at.is_none());
    Ok(Arrival { client, broker, session, peer: Arc::new(peer), guessed, led_to, admitted })
}

/// Waits until it is known where the node listens for which a client was led to `led_to` by guess, and lets the client come
/// again if that is elsewhere. One that stays there is told for ever that it is at the wrong broker, and that the right one
/// is where it is connected to.
async fn send_away(
    gateway: &Gateway,
    peer: &Peer,
    guessed: Option<NodeId>,
    led_to: BrokerAddress,
) -> Infallible {
    if let Some(node) = guessed
        && Box::pin(gateway.cluster.addresses.until_known(node)).await != led_to
    {
        peer.send_away();
    }
    pending().await
}
