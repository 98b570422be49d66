//! Who is at the other end of a client connection.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use super::sequence_guard::Identity;

/// A client connection's other end.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whose gaps its refused batches leave: nobody can block somebody else's producer id.
    pub identity: Identity,
    gone: AtomicBool,
}

impl Peer {
    /// A peer that is there.
    #[must_use]
    pub const fn new(address: SocketAddr, identity: Identity) -> Self {
        Self { address, identity, gone: AtomicBool::new(false) }
    }

    /// Takes note that the peer has closed: what is decided from now on, nobody is told.
    pub fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the peer has closed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}
