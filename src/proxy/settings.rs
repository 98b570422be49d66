//! What the configuration says about listeners, brokers and time.

use std::{net::SocketAddr, time::Duration};

use crate::wire::NodeId;

/// A broker's address as the configuration or the cluster tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A run of node ids and the local ports that stand for them, one each, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The node id that the first port stands for.
    pub first_node: NodeId,
    /// The first port.
    pub first_port: u16,
    /// How many ports.
    pub count: u16,
}

/// Who may use a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Everybody who reaches it: the default on loopback only, elsewhere it must be written down.
    None,
}

/// Where clients are awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// What applications put into `bootstrap.servers` (`listen.bootstrap`).
    pub bootstrap: SocketAddr,
    /// Which local port stands for which node (`listen.broker_ports`); bound on the bootstrap address' IP.
    pub broker_ports: Vec<PortRange>,
    /// The host that clients are told (`listen.advertised_host`).
    pub advertised_host: String,
    /// `listen.client_auth`.
    pub client_auth: ClientAuth,
}

/// Where brokers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Brokers to begin with (`upstream.bootstrap`), tried in order from a rotating start.
    pub bootstrap: Vec<BrokerAddress>,
    /// Time to connect to one address (`upstream.connect_timeout`).
    pub connect_timeout: Duration,
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSettings {
    /// How long a Produce waits for schemas, from its arrival (`limits.lookup_deadline`).
    pub lookup_deadline: Duration,
    /// How long unfinished work may hold memory without progress while others wait for it (`limits.stall_timeout`).
    pub stall_timeout: Duration,
    /// How long a connection may stay on which nothing moves (`limits.idle_timeout`). Zero: for ever, as with the next two.
    pub idle_timeout: Duration,
    /// How long a request may take to become whole (`limits.request_timeout`).
    pub request_timeout: Duration,
    /// How long a broker that owes an answer may do nothing (`limits.response_timeout`).
    pub response_timeout: Duration,
    /// How long a drain waits for what is in flight (`drain.grace`).
    pub drain_grace: Duration,
}
