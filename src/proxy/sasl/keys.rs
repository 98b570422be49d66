//! The keys that passwords come to under the salts of brokers: derived off the threads that serve sockets, one at a time,
//! and kept, so that thousands of connections do not each pay for the same ones.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Semaphore;

use super::{
    Secret,
    scram::{Hash, Keys, ServerFirst},
};

/// Keys that were derived.
#[derive(Debug)]
pub(super) struct KeyStore {
    kept: Arc<Kept>,
    /// A broker that makes up salts takes one processor at most.
    one: Arc<Semaphore>,
    #[cfg(test)]
    derived: std::sync::atomic::AtomicUsize,
}

type Kept = Mutex<VecDeque<(Origin, Keys)>>;

/// What keys come of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    hash: Hash,
    password: Secret,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl KeyStore {
    pub(super) fn new() -> Self {
        Self {
            kept: Arc::default(),
            one: Arc::new(Semaphore::new(1)),
            #[cfg(test)]
            derived: 0.into(),
        }
    }

    /// The keys of `password` for what `server` asks. `None`: the process is ending.
    ///
    /// # Cancel safety
    /// A derivation that has begun goes on, and its keys are kept.
    pub(super) async fn keys(
        &self,
        hash: Hash,
        password: &Secret,
        server: &ServerFirst,
    ) -> Option<Keys> {
        let ServerFirst { salt, iterations, .. } = server;
        let (password, salt, iterations) = (password.clone(), salt.clone(), *iterations);
        let origin = Origin { hash, password, salt, iterations };
        if let Some(keys) = self.find(&origin) {
            return Some(keys);
        }
        let turn = Arc::clone(&self.one).acquire_owned().await.ok()?;
        if let Some(keys) = self.find(&origin) {
            return Some(keys);
        }
        #[cfg(test)]
        self.derived.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let kept = Arc::clone(&self.kept);
        let derived = tokio::task::spawn_blocking(move || {
            let Origin { hash, password, salt, iterations } = &origin;
            let keys = Keys::derive(*hash, password.reveal(), salt, *iterations);
            keep(&kept, origin, keys.clone());
            // Held until here: who waits for the same keys finds them, and who gives up waiting lets no other begin.
            drop(turn);
            keys
        });
        derived.await.ok()
    }

    /// How often keys were derived.
    #[cfg(test)]
    pub(super) fn derived(&self) -> usize {
        self.derived.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn find(&self, origin: &Origin) -> Option<Keys> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == origin).map(|(_, keys)| keys.clone())
    }
}

fn keep(kept: &Kept, origin: Origin, keys: Keys) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push_front((origin, keys));
    kept.truncate(MAX_KEPT);
}

/// A cluster has one salt for each user and mechanism; passwords rotate, now and then.
const MAX_KEPT: usize = 8;
