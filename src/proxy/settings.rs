//! What the configuration says about listeners, brokers and time.

use std::{net::SocketAddr, time::Duration};

use crate::{
    tls::{ClientTlsSettings, ServerTlsSettings},
    wire::NodeId,
};

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
    /// Who shows a certificate that `listen.tls.client_ca` has signed.
    Mtls,
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
    /// `listen.tls`; without it clients are awaited in the clear.
    pub tls: Option<ServerTlsSettings>,
}

/// Where brokers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Brokers to begin with (`upstream.bootstrap`), tried in order from a rotating start.
    pub bootstrap: Vec<BrokerAddress>,
    /// Time to connect to one address, TLS included (`upstream.connect_timeout`).
    pub connect_timeout: Duration,
    /// `upstream.tls`; without it brokers are reached in the clear.
    pub tls: Option<ClientTlsSettings>,
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSettings {
    /// How long a client may take up to its first Kafka byte being awaited (`limits.handshake_timeout`).
    pub handshake_timeout: Duration,
    /// How long a Produce waits for schemas, from its arrival (`limits.lookup_deadline`).
    pub lookup_deadline: Duration,
    /// How long unfinished work may hold memory without progress while others wait for it (`limits.stall_timeout`).
    pub stall_timeout: Duration,
    /// How long a drain waits for what is in flight (`drain.grace`).
    pub drain_grace: Duration,
}
