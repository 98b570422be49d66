//! What the cache remembers about one reference, and until when. Pure: time comes in as an argument.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{CacheSettings, Fetched, Lifetime, SchemaFormat, SchemaRef, SourceError};

/// A schema that the cache keeps. `None` as a time means "never".
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) fetched: Arc<Fetched>,
    /// When its source last vouched for it.
    confirmed: Instant,
    /// From when on it is out of date.
    stale: Option<Instant>,
    /// From when on its source is asked again: that, or later if asking has just failed.
    due: Option<Instant>,
    /// Until when it serves.
    end: Option<Instant>,
    /// Whether it was used since that was asked last.
    used: AtomicBool,
    /// Whether something else has taken its place, or nothing: who remembers where it stood has to look again.
    withdrawn: AtomicBool,
}

impl Kept {
    /// A schema that its source has just given or confirmed.
    pub(super) fn new(fetched: Arc<Fetched>, now: Instant, settings: &CacheSettings) -> Self {
        let lifetime = match fetched.lifetime {
            Lifetime::Configured => Some(settings.document_ttl),
            Lifetime::For(age) => Some(age.clamp(MIN_LIFETIME, MAX_LIFETIME)),
            Lifetime::Forever => None,
        };
        let stale = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        let stale_ttl =
            fetched.stale_if_error.map_or(settings.stale_ttl, |said| said.min(settings.stale_ttl));
        let end = stale.and_then(|stale| stale.checked_add(stale_ttl));
        let (used, withdrawn) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { fetched, confirmed: now, stale, due: stale, end, used, withdrawn }
    }

    /// The same after asking again has failed: it serves no longer than before, and is asked for again after `pause`.
    pub(super) fn after_failure(&self, now: Instant, pause: Duration) -> Self {
        let used = AtomicBool::new(self.used.load(Ordering::Relaxed));
        let withdrawn = AtomicBool::new(false);
        let (fetched, due) = (Arc::clone(&self.fetched), now.checked_add(pause));
        Self { fetched, due, used, withdrawn, ..*self }
    }

    /// Notes that it is not what is known any more.
    pub(super) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    /// Whether it is not what is known any more.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Whether time changes anything about it.
    pub(super) const fn ages(&self) -> bool {
        self.due.is_some() || self.end.is_some()
    }

    /// Whether it may be used and nobody has to be asked.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.serves(now) && !self.is_due(now)
    }

    /// Marks it as used: a write for the first who uses it, a read for all others.
    pub(super) fn mark(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since this was asked last.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether it may be used.
    pub(super) fn serves(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| now < end)
    }

    /// Whether its source should be asked again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn state(&self, now: Instant) -> EntryState {
        match self.stale {
            None => EntryState::Immutable,
            Some(stale) if now < stale => EntryState::Fresh,
            Some(_) => EntryState::Stale,
        }
    }
}

/// A look-up without a schema that the cache remembers.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) error: SourceError,
    since: Instant,
    end: Option<Instant>,
}

impl Missed {
    /// What a source has just answered.
    pub(super) fn new(error: SourceError, now: Instant, settings: &CacheSettings) -> Self {
        let lifetime = match error {
            SourceError::Unavailable { .. } => settings.unavailable_ttl,
            _ => settings.negative_ttl,
        };
        Self { error, since: now, end: now.checked_add(lifetime) }
    }

    /// Whether it is still believed.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| now < end)
    }
}

/// What the status page says about one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The reference, fit to be shown.
    pub reference: String,
    /// Time since its source last answered.
    pub age: Duration,
    /// What is known.
    pub state: EntryState,
    /// What the schema is written in, where there is one.
    pub format: Option<SchemaFormat>,
    /// Who was asked: an origin, or the base URL of a registry.
    pub source: String,
}

impl CacheEntry {
    pub(super) fn kept(reference: &SchemaRef, kept: &Kept, now: Instant) -> Self {
        let format = Some(kept.fetched.schema.format());
        Self { format, ..Self::new(reference, kept.confirmed, kept.state(now), now) }
    }

    pub(super) fn missed(reference: &SchemaRef, missed: &Missed, now: Instant) -> Self {
        let state = match missed.error {
            SourceError::Invalid { .. } => EntryState::Invalid,
            SourceError::NotAllowed { .. } | SourceError::OtherSubject { .. } => {
                EntryState::NotAllowed
            }
            SourceError::NotFound { .. } => EntryState::NotFound,
            SourceError::Unavailable { .. } => EntryState::Unavailable,
        };
        Self::new(reference, missed.since, state, now)
    }

    fn new(reference: &SchemaRef, since: Instant, state: EntryState, now: Instant) -> Self {
        let age = now.saturating_duration_since(since);
        let (reference, source) = (reference.shown(), reference.source());
        Self { reference, age, state, format: None, source }
    }
}

/// What the cache knows about one reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// A document that its source has lately vouched for.
    Fresh,
    /// A schema that never changes.
    Immutable,
    /// What is there is no schema that can be used.
    Invalid,
    /// It leads to an origin that is not allowed, or to a schema that the topic may not use.
    NotAllowed,
    /// There is none.
    NotFound,
    /// A document that is out of date and still serves.
    Stale,
    /// Nobody answered.
    Unavailable,
}

impl EntryState {
    /// The word that stands for the state on pages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Immutable => "immutable",
            Self::Invalid => "invalid",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::Stale => "stale",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Shortest time between two questions about a document, whatever its server says: traffic must not become requests.
const MIN_LIFETIME: Duration = Duration::from_secs(1);
/// Longest time without asking, whatever its server says: a wrong document must not stay until the next restart.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::any_schema;

    #[test]
    fn a_source_may_shorten_how_long_a_document_serves_while_it_is_down() {
        let settings = CacheSettings { stale_ttl: Duration::from_secs(100), ..Default::default() };
        let now = Instant::now();
        for (said, serves) in [(None, 100), (Some(0), 0), (Some(30), 30), (Some(1_000), 100)] {
            let fetched = Fetched {
                lifetime: Lifetime::For(Duration::from_secs(60)),
                stale_if_error: said.map(Duration::from_secs),
                ..Fetched::immutable(Arc::new(any_schema()))
            };
            let kept = Kept::new(Arc::new(fetched), now, &settings);
            let end = now + Duration::from_secs(60 + serves);
            assert!(kept.serves(end - Duration::from_millis(1)), "{said:?}");
            assert!(!kept.serves(end), "{said:?}");
        }
    }
}
