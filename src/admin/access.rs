//! Who is let in at the full listener, and what may be asked for there; a reload of the configuration may change both.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

use super::{AdminSettings, ReloadFact, token::TokenFile};

/// Where to tell how a reload went that was asked for.
pub type ReloadRequest = oneshot::Sender<ReloadFact>;

/// What the full listener allows at this moment.
#[derive(Debug)]
pub struct Access {
    token: ArcSwapOption<TokenFile>,
    reload: AtomicBool,
    requests: mpsc::Sender<ReloadRequest>,
}

impl Access {
    /// What `settings` allow, and where requests for a reload arrive.
    pub(super) fn new(settings: &AdminSettings) -> (Arc<Self>, mpsc::Receiver<ReloadRequest>) {
        let (requests, arriving) = mpsc::channel(MAX_REQUESTS);
        let (token, reload) = (ArcSwapOption::empty(), AtomicBool::new(false));
        let access = Self { token, reload, requests };
        access.replace(settings);
        (Arc::new(access), arriving)
    }

    /// Whether the token file holds a token, if there is one.
    ///
    /// # Errors
    /// It does not.
    pub fn check(settings: &AdminSettings) -> io::Result<()> {
        let token = settings.token_file.clone().map(TokenFile::new);
        token.map_or(Ok(()), |token| token.read().map(drop))
    }

    /// Allows what `settings` allow from the next request on.
    pub fn replace(&self, settings: &AdminSettings) {
        let token = settings.token_file.clone().map(|path| Arc::new(TokenFile::new(path)));
        self.token.store(token);
        self.reload.store(settings.reload, Ordering::Relaxed);
    }

    pub(super) fn token(&self) -> Option<Arc<TokenFile>> {
        self.token.load_full()
    }

    pub(super) fn allows_reload(&self) -> bool {
        self.reload.load(Ordering::Relaxed)
    }

    /// Has the configuration read again. `None`: the process is ending.
    pub(super) async fn reload(&self) -> Option<ReloadFact> {
        let (told, answer) = oneshot::channel();
        self.requests.send(told).await.ok()?;
        answer.await.ok()
    }
}

/// Requests that wait for one another: the others wait at the door.
const MAX_REQUESTS: usize = 16;
