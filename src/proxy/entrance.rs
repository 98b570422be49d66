//! What a connection goes through before its first Kafka byte.

use std::net::SocketAddr;

use super::transport::Transport;

/// Why a client did not get in. Scope: this connection.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {}

/// The entrance that all listeners of the process share.
#[derive(Debug, Default)]
pub struct Entrance {}

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
    /// Lets a client in that was accepted from `address`.
    ///
    /// # Errors
    /// [`EntranceError`]: it must be closed.
    pub async fn enter<S>(&self, io: S, address: SocketAddr) -> Result<Entered<S>, EntranceError> {
        Ok(Entered { io: Transport::Plain(io), address, server_name: None, subject: None })
    }
}
