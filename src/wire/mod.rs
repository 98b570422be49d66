//! Bytes ⇄ frames ⇄ messages of the Kafka protocol. No sockets, no policy.

pub mod api;
pub mod error;
pub mod error_code;
mod fields;
pub mod frame;
pub mod own_client;
pub mod prefix;
pub mod produce;
pub mod refuse;
pub mod request;
pub mod rewrite;
pub mod sasl;
pub mod stream;

pub use error::WireError;
pub use error_code::ErrorCode;
pub use frame::Frame;

/// Number of a broker in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

/// Identity of a topic, 16 bytes (KIP-516).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

/// How a request names a topic: by name up to Produce v12, by id from v13 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicKey<'a> {
    /// By id.
    Id(TopicId),
    /// By name.
    Name(&'a str),
}

/// Where a client is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: std::sync::Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// What rewriting needs to know of the cluster, and what it teaches about it.
pub trait Cluster {
    /// Takes note that `node` listens at `host:port`, and says which endpoint clients are told instead. `None`: the node
    /// is outside the map and has to be left out.
    fn advertise(&self, node: NodeId, host: &str, port: i32) -> Option<Endpoint>;
    /// Takes note of a topic's id and name.
    fn learn_topic(&self, id: TopicId, name: &str);
    /// Whether clients are offered to log in.
    fn offers_login(&self) -> bool {
        true
    }
}
