//! What the configuration says about listeners, brokers and time.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::wire::NodeId;

/// A broker's address as the configuration or the cluster tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrokerAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl BrokerAddress {
    /// Whether it cannot lead out of this host.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
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
    /// Whom the broker has accepted: until then nothing but a login passes.
    Sasl,
}

/// What becomes of a client's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientLogins {
    /// It passes to the broker if there is one.
    Pass,
    /// It is not offered: schemaward has logged in itself.
    Refuse,
    /// It passes, and nothing else does before it.
    Require,
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
    /// schemaward's own login (`upstream.sasl`).
    pub sasl: Option<SaslSettings>,
}

impl UpstreamSettings {
    /// Whether a password travels where others can read it.
    #[must_use]
    pub fn sends_password_in_the_clear(&self) -> bool {
        let plain = self.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain);
        plain && !self.bootstrap.iter().all(BrokerAddress::is_loopback)
    }
}

/// How schemaward logs in at brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslSettings {
    /// `upstream.sasl.mechanism`.
    pub mechanism: SaslMechanism,
    /// File that holds the user name (`upstream.sasl.username_file`), read at each login.
    pub username_file: PathBuf,
    /// File that holds the password (`upstream.sasl.password_file`), read at each login.
    pub password_file: PathBuf,
}

/// A mechanism of schemaward's own login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password itself (RFC 4616).
    Plain,
    /// A proof of the password by SHA-256 (RFC 7677).
    ScramSha256,
    /// A proof of the password by SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// As Kafka calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSettings {
    /// How long a Produce waits for schemas, from its arrival (`limits.lookup_deadline`).
    pub lookup_deadline: Duration,
    /// How long unfinished work may hold memory without progress while others wait for it (`limits.stall_timeout`).
    pub stall_timeout: Duration,
    /// How long a client may take to be let in (`limits.handshake_timeout`).
    pub handshake: Duration,
    /// How long a drain waits for what is in flight (`drain.grace`).
    pub drain_grace: Duration,
}
