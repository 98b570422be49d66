//! What the configuration says about listeners, brokers and time.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::advertised_host::AdvertisedHost;
use crate::{
    limits::MIB,
    record::Compression,
    tls::{ClientTlsSettings, ServerTlsSettings},
    validate::dead_letter::DeadLetterName,
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
    /// Who shows a certificate that `listen.tls.client_ca` has signed.
    Mtls,
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

/// How a connection finds its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// Each broker has a local port.
    Ports,
    /// All brokers are on the bootstrap port, told apart by the server name that a TLS client asks for.
    ServerName,
}

/// Whether a PROXY protocol header (version 2) stands before everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// There is none.
    Off,
    /// There must be one.
    Required,
}

/// Where clients are awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// What applications put into `bootstrap.servers` (`listen.bootstrap`).
    pub bootstrap: SocketAddr,
    /// Which local port stands for which node (`listen.broker_ports`); bound on the bootstrap address' IP.
    pub broker_ports: Vec<PortRange>,
    /// How a connection finds its broker (`listen.routing`).
    pub routing: Routing,
    /// The host that clients are told (`listen.advertised_host`).
    pub advertised_host: AdvertisedHost,
    /// The port that clients are told for every broker; `None`: the local port (`listen.advertised_port`).
    pub advertised_port: Option<u16>,
    /// `listen.proxy_protocol`.
    pub proxy_protocol: ProxyProtocol,
    /// Connections that may be open at once (`listen.max_connections`).
    pub max_connections: usize,
    /// The same for one client address; `None`: no such limit (`listen.max_connections_per_address`).
    pub max_connections_per_address: Option<usize>,
    /// `listen.client_auth`.
    pub client_auth: ClientAuth,
    /// `listen.tls`; without it clients are awaited in the clear.
    pub tls: Option<ServerTlsSettings>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            bootstrap: SocketAddr::from(([127, 0, 0, 1], 9092)),
            broker_ports: vec![PortRange { first_node: NodeId(0), first_port: 9100, count: 100 }],
            routing: Routing::Ports,
            advertised_host: AdvertisedHost::same_for_all("127.0.0.1"),
            advertised_port: None,
            proxy_protocol: ProxyProtocol::Off,
            // More than an application needs, few enough that idle ones stay within the memory of a small container.
            max_connections: 10_000,
            max_connections_per_address: None,
            client_auth: ClientAuth::None,
            tls: None,
        }
    }
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
    /// schemaward's own login (`upstream.sasl`).
    pub sasl: Option<SaslSettings>,
}

impl UpstreamSettings {
    /// Whether a password travels where others can read it.
    #[must_use]
    pub fn sends_password_in_the_clear(&self) -> bool {
        let plain = self.tls.is_none()
            && self.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain);
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

/// Copies of refused batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineSettings {
    /// Where rules that say no more than `true` have copies written (`quarantine.topic`).
    pub topic: DeadLetterName,
    /// As whom schemaward writes them (`quarantine.credentials`).
    pub credentials: QuarantineCredentials,
    /// A login for them alone, where clients log in themselves (`quarantine.sasl`).
    pub sasl: Option<SaslSettings>,
    /// How long an answer waits for its copies at most (`quarantine.deadline`).
    pub deadline: Duration,
    /// Bytes of copies that may be on their way (`quarantine.queue_bytes`).
    pub queue_bytes: usize,
    /// Connections to brokers (`quarantine.max_connections`).
    pub max_connections: usize,
    /// [`Compression::None`] or [`Compression::Zstd`] (`quarantine.compression`).
    pub compression: Compression,
}

impl Default for QuarantineSettings {
    fn default() -> Self {
        Self {
            topic: DeadLetterName::default(),
            credentials: QuarantineCredentials::Own,
            sasl: None,
            deadline: Duration::from_secs(2),
            queue_bytes: 16 * MIB,
            max_connections: 16,
            compression: Compression::None,
        }
    }
}

/// As whom schemaward writes copies of refused batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineCredentials {
    /// As nobody: the cluster asks for no login.
    None,
    /// With credentials of its own.
    Own,
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
    /// How long a connection may stay on which nothing moves (`limits.idle_timeout`). Zero: for ever, as with the next two.
    pub idle_timeout: Duration,
    /// How long a request may take to become whole (`limits.request_timeout`).
    pub request_timeout: Duration,
    /// How long a broker that owes an answer may do nothing (`limits.response_timeout`).
    pub response_timeout: Duration,
    /// How long a drain waits for what is in flight (`drain.grace`).
    pub drain_grace: Duration,
}

/// Settings that tests begin with.
#[cfg(test)]
pub(super) fn test_listen() -> ListenSettings {
    ListenSettings {
        broker_ports: vec![PortRange { first_node: NodeId(0), first_port: 9100, count: 10 }],
        advertised_host: AdvertisedHost::parse("localhost").unwrap(),
        ..ListenSettings::default()
    }
}
