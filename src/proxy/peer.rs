//! Who is at the other end of a client connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::sequence_guard::Identity;

/// A client connection's other end.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    identity: Identity,
    /// The listener, if a login there says better who it is.
    listener: Option<Arc<str>>,
    user: OnceLock<Identity>,
    admitted: AtomicBool,
    admission: Notify,
    away: Notify,
    gone: AtomicBool,
}

impl Peer {
    /// A peer that is there, and is known by `identity` whatever it logs in as.
    #[must_use]
    pub fn new(address: SocketAddr, identity: Identity) -> Self {
        Self {
            address,
            identity,
            listener: None,
            user: OnceLock::new(),
            admitted: AtomicBool::new(false),
            admission: Notify::new(),
            away: Notify::new(),
            gone: AtomicBool::new(false),
        }
    }

    /// A peer of the listener called `listener` that is known by its first login, once there is one.
    #[must_use]
    pub fn known_by_login(mut self, listener: Arc<str>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Whose gaps its refused batches leave: nobody can block somebody else's producer id.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.user.get().unwrap_or(&self.identity)
    }

    /// Takes note that the broker has accepted a login, of `user` (mechanism and name) where that is known. A later login
    /// changes nothing: a broker lets nobody become somebody else.
    pub fn admit(&self, user: Option<(&str, &str)>) {
        if !self.is_admitted()
            && let (Some(listener), Some((mechanism, name))) = (&self.listener, user)
        {
            self.user.get_or_init(|| Identity::user(listener, mechanism, name));
        }
        self.admitted.store(true, Ordering::Release);
        self.admission.notify_one();
    }

    /// Whether the broker has accepted a login.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
    }

    /// Waits until the broker has accepted a login. One caller at a time.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn admitted(&self) {
        while !self.is_admitted() {
            self.admission.notified().await;
        }
    }

    /// Lets the connection end as soon as what is in flight is answered: the client shall come again.
    pub fn send_away(&self) {
        self.away.notify_one();
    }

    /// Waits until the client shall come again. One caller at a time.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn sent_away(&self) {
        self.away.notified().await;
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
