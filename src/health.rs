//! Readiness: not ready until every latch has dropped, then ready for good, until the drain begins.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Something that has to happen once before the process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latch {
    /// A broker has answered.
    Broker,
    /// All listeners are bound.
    Listeners,
}

impl Latch {
    const ALL: [Self; 2] = [Self::Listeners, Self::Broker];

    const fn label(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Listeners => "listeners",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Listeners => 0,
            Self::Broker => 1,
        }
    }
}

/// Why the process is not ready, as a sentence for `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotReady {
    reason: String,
}

/// Whether traffic should come here. A latch that has dropped stays so: a broker or registry that goes down later does
/// not unset it, which would take healthy applications down.
#[derive(Default)]
pub struct Readiness {
    state: Mutex<State>,
    note: OnceLock<Note>,
}

/// Says what an operator should know though the process is ready.
type Note = Box<dyn Fn() -> Option<String> + Send + Sync>;

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    dropped: [bool; 2],
    /// What is known about why a latch has not dropped.
    reasons: [Option<String>; 2],
    draining: bool,
}

impl Readiness {
    /// Not ready: nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note that what `latch` stands for has happened.
    pub fn drop_latch(&self, latch: Latch) {
        let mut state = self.state();
        if let Some(dropped) = state.dropped.get_mut(latch.index()) {
            *dropped = true;
        }
    }

    /// Says what stands in the way of `latch`, such as the last error.
    pub fn set_reason(&self, latch: Latch, reason: impl Into<String>) {
        let reason = reason.into();
        let mut state = self.state();
        if let Some(slot) = state.reasons.get_mut(latch.index()) {
            *slot = Some(reason);
        }
    }

    /// Has `note` say, each time that somebody asks, what an operator should know though the process is ready, such as a
    /// broker without a port. The first who says so counts.
    pub fn note_with(&self, note: impl Fn() -> Option<String> + Send + Sync + 'static) {
        let _ = self.note.set(Box::new(note));
    }

    /// Begins the drain: not ready any more.
    pub fn drain(&self) {
        self.state().draining = true;
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Whether traffic should come here; if so, with the note that an operator should see.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self) -> Result<Option<String>, NotReady> {
        match self.state().in_the_way() {
            Some(reason) => Err(NotReady { reason }),
            None => Ok(self.note.get().and_then(|note| note())),
        }
    }

    /// Whether traffic should come here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.check().is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_the_way(&self) -> Option<String> {
        if self.draining {
            return Some("draining".to_owned());
        }
        let waiting = Latch::ALL.into_iter().filter_map(|latch| self.waiting(latch));
        let waiting: Vec<_> = waiting.collect();
        (!waiting.is_empty()).then(|| format!("waiting for: {}", waiting.join(", ")))
    }

    fn waiting(&self, latch: Latch) -> Option<String> {
        if self.dropped.get(latch.index()).copied().unwrap_or_default() {
            return None;
        }
        let label = latch.label();
        Some(match self.reasons.get(latch.index()) {
            Some(Some(reason)) => format!("{label} ({reason})"),
            _ => label.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(readiness: &Readiness) -> String {
        readiness.check().unwrap_err().to_string()
    }

    #[test]
    fn it_is_ready_once_every_latch_has_dropped() {
        let readiness = Readiness::new();
        assert_eq!(reason(&readiness), "waiting for: listeners, broker");
        readiness.drop_latch(Latch::Listeners);
        assert_eq!(reason(&readiness), "waiting for: broker");
        readiness.set_reason(Latch::Broker, "last error: kafka:9092: connection refused");
        assert_eq!(
            reason(&readiness),
            "waiting for: broker (last error: kafka:9092: connection refused)"
        );
        readiness.drop_latch(Latch::Broker);
        assert_eq!(readiness.check(), Ok(None));
    }

    #[test]
    fn a_later_outage_does_not_unset_it() {
        let readiness = Readiness::new();
        Latch::ALL.into_iter().for_each(|latch| readiness.drop_latch(latch));
        readiness.set_reason(Latch::Broker, "gone");
        assert!(readiness.is_ready());
    }

    #[test]
    fn draining_unsets_it() {
        let readiness = Readiness::new();
        Latch::ALL.into_iter().for_each(|latch| readiness.drop_latch(latch));
        readiness.drain();
        assert!(readiness.is_draining() && !readiness.is_ready());
        assert_eq!(reason(&readiness), "draining");
    }

    #[test]
    fn a_note_comes_with_readiness() {
        let readiness = Readiness::new();
        Latch::ALL.into_iter().for_each(|latch| readiness.drop_latch(latch));
        assert_eq!(readiness.check(), Ok(None));
        readiness.note_with(|| Some("node 7 has no port".into()));
        assert_eq!(readiness.check(), Ok(Some("node 7 has no port".into())));
        readiness.drain();
        assert_eq!(reason(&readiness), "draining");
    }
}
