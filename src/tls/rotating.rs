//! What is made of files, and made anew when these have changed.
//!
//! The files are read again and again and compared by content: a mounted Secret swaps a symbolic link far above them, which
//! no watch on the files sees.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::{Fault, TlsFileError, pem};
use crate::metrics::{Metrics, ReloadOutcome};

/// How something is made of files.
pub(super) trait Source: Send + Sync + 'static {
    /// What is made.
    type Made: Send + Sync + 'static;

    /// The configuration's section, for the log.
    fn section(&self) -> &'static str;

    /// The files that it is made of.
    fn files(&self) -> Vec<PathBuf>;

    /// Makes it, and notes what is remarkable.
    fn make(&self, notes: &mut Vec<String>) -> Result<Self::Made, TlsFileError>;
}

/// What is in force, and the way to something newer.
pub(super) struct Rotating<S: Source> {
    source: S,
    current: ArcSwap<S::Made>,
    /// What the files held when `current` was made.
    first: u64,
}

/// What was seen of the files so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// What they held when it was decided last.
    decided: u64,
    /// What they held when they could not be used, and may have been half written.
    doubted: Option<u64>,
}

impl<S: Source> Rotating<S> {
    pub(super) fn new(source: S, notes: &mut Vec<String>) -> Result<Self, TlsFileError> {
        // Before they are read: what changes in between is seen as new.
        let first = fingerprint(&source.files());
        let current = ArcSwap::from_pointee(source.make(notes)?);
        Ok(Self { source, current, first })
    }

    pub(super) fn current(&self) -> Arc<S::Made> {
        self.current.load_full()
    }

    pub(super) const fn seen(&self) -> Seen {
        Seen { decided: self.first, doubted: None }
    }

    /// Looks at the files for ever, and takes up what is new in them.
    pub(super) async fn keep_up(self: Arc<Self>, metrics: Arc<Metrics>) {
        let mut seen = self.seen();
        loop {
            sleep(INTERVAL).await;
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                let outcome = this.look(&mut seen);
                (seen, outcome)
            });
            let Ok((now, outcome)) = looked.await else { continue };
            seen = now;
            if let Some(outcome) = outcome {
                metrics.certificate_rotation(outcome);
            }
        }
    }

    /// Looks at the files once. What cannot be used gets a second look before it is decided: files are seldom written all
    /// at one moment.
    pub(super) fn look(&self, seen: &mut Seen) -> Option<ReloadOutcome> {
        let now = fingerprint(&self.source.files());
        if now == seen.decided {
            seen.doubted = None;
            return None;
        }
        let mut notes = Vec::new();
        match self.source.make(&mut notes) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                *seen = Seen { decided: now, doubted: None };
                tracing::info!(section = self.source.section(), "new TLS files are in force");
                warn(&notes);
                Some(ReloadOutcome::Applied)
            }
            Err(error) if seen.doubted == Some(now) => {
                *seen = Seen { decided: now, doubted: None };
                tracing::error!(
                    section = self.source.section(),
                    %error,
                    "new TLS files cannot be used, the old ones stay in force"
                );
                Some(ReloadOutcome::Failed)
            }
            Err(_) => {
                seen.doubted = Some(now);
                None
            }
        }
    }
}

/// Writes what is remarkable into the log.
pub(super) fn warn(notes: &[String]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}

/// Stands for what files hold; a file that cannot be read is a content of its own.
fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        match pem::read(file) {
            Ok(bytes) => bytes.hash(&mut hasher),
            Err(Fault::Read(error)) => error.kind().hash(&mut hasher),
            Err(_) => "too large".hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// How often the files are looked at: kubelet itself takes up to a minute to bring a new Secret.
const INTERVAL: Duration = Duration::from_secs(2);
