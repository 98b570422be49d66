//! Remembers schemas, and for a short while that there are none. One look-up at a time per reference, in a task of its
//! own, so that nobody who stops waiting takes it away from the others.
//!
//! moka bounds how much is kept and evicts; how long it is believed is decided here, on a clock that tests can set.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use moka::future::Cache;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    CacheEntry, CacheSettings, Fetched, Schema, SchemaRef, SchemaSource, SourceError,
    entry::{Kept, Missed},
};
use crate::limits::MAX_PENDING_LOOKUPS;

/// How a look-up ended.
pub type Resolution = Result<Arc<Schema>, SourceError>;

/// What time it is: `Instant::now` outside of tests.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What the cache tells the metrics.
pub trait CacheObserver: Send + Sync + 'static {
    /// [`SchemaCache::cached`] had an answer.
    fn hit(&self);
    /// [`SchemaCache::cached`] had none.
    fn miss(&self);
    /// The source was asked and answered like this.
    fn request(&self, outcome: RequestOutcome);
    /// That took this long.
    fn request_seconds(&self, seconds: f64);
    /// So many schemas are kept now.
    fn entries(&self, count: u64);
}

/// Nobody is told.
impl CacheObserver for () {
    fn hit(&self) {}
    fn miss(&self) {}
    fn request(&self, _outcome: RequestOutcome) {}
    fn request_seconds(&self, _seconds: f64) {}
    fn entries(&self, _count: u64) {}
}

/// How a source answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// With a schema.
    Found,
    /// With something that is no schema.
    Invalid,
    /// With a way to an origin that is not allowed.
    NotAllowed,
    /// That there is none.
    NotFound,
    /// That the schema is still the same.
    NotModified,
    /// Not at all, or with something that says nothing about the schema.
    Unavailable,
}

impl RequestOutcome {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Found,
        Self::Invalid,
        Self::NotAllowed,
        Self::NotFound,
        Self::NotModified,
        Self::Unavailable,
    ];

    /// The word that stands for the outcome in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Invalid => "invalid",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::NotModified => "not_modified",
            Self::Unavailable => "unavailable",
        }
    }

    pub(super) fn of(
        answer: &Result<Arc<Fetched>, SourceError>,
        previous: Option<&Fetched>,
    ) -> Self {
        match answer {
            Ok(fetched) => match previous {
                Some(known) if Arc::ptr_eq(&known.schema, &fetched.schema) => Self::NotModified,
                _ => Self::Found,
            },
            Err(SourceError::Invalid { .. }) => Self::Invalid,
            Err(SourceError::NotAllowed { .. }) => Self::NotAllowed,
            Err(SourceError::NotFound { .. }) => Self::NotFound,
            Err(SourceError::Unavailable { .. }) => Self::Unavailable,
        }
    }
}

/// A source with a memory in front of it.
///
/// Schemas by id are kept for good, within the bound. Documents by URL are asked for again when they are out of date,
/// in the background: the old one serves meanwhile, and while its source is down. That there is none is believed for a
/// short time, that nobody answered for a shorter one.
pub struct SchemaCache {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn SchemaSource>,
    settings: CacheSettings,
    observer: Arc<dyn CacheObserver>,
    clock: Clock,
    kept: Cache<SchemaRef, Arc<Kept>>,
    /// Apart from what is kept: references that lead nowhere, which any producer can make up, displace no schema.
    missed: Cache<SchemaRef, Arc<Missed>>,
    flights: Mutex<HashMap<SchemaRef, Waiter>>,
    /// One for each look-up under way.
    room: Arc<Semaphore>,
}

/// Where a look-up leaves its result.
type Waiter = watch::Receiver<Option<Resolution>>;

impl SchemaCache {
    /// A memory in front of `source`, as large and as long as `settings` say.
    #[must_use]
    pub fn new(
        source: Arc<dyn SchemaSource>,
        settings: CacheSettings,
        observer: Arc<dyn CacheObserver>,
    ) -> Arc<Self> {
        Self::with_clock(source, settings, observer, Arc::new(Instant::now))
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(
        source: Arc<dyn SchemaSource>,
        settings: CacheSettings,
        observer: Arc<dyn CacheObserver>,
        clock: Clock,
    ) -> Arc<Self> {
        let kept = Cache::new(settings.max_entries);
        let missed = Cache::new(settings.max_entries);
        let room = Arc::new(Semaphore::new(MAX_PENDING_LOOKUPS));
        let flights = Mutex::default();
        let inner = Inner { source, settings, observer, clock, kept, missed, flights, room };
        Arc::new(Self { inner: Arc::new(inner) })
    }

    /// What is known right now, without waiting: a schema, or that there is none. `None` is "unknown". Starts asking
    /// again in the background where a document is out of date. Counts as a hit or a miss.
    #[must_use]
    pub fn cached(&self, reference: &SchemaRef) -> Option<Resolution> {
        let known = self.inner.known(reference);
        match known {
            Some(_) => self.inner.observer.hit(),
            None => self.inner.observer.miss(),
        }
        known
    }

    /// What is known, or else what the source answers. However many wait, one look-up is under way per reference.
    ///
    /// # Errors
    /// [`SourceError`] where the source gives no schema.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the look-up under way, for the others and for the next one who asks.
    pub async fn resolve(&self, reference: &SchemaRef) -> Resolution {
        if let Some(known) = self.inner.known(reference) {
            return known;
        }
        let waiter = match self.inner.start(reference, None) {
            Some(waiter) => Some(waiter),
            None => self.inner.start_in_line(reference).await,
        };
        match waiter {
            Some(mut waiter) => landed(waiter.wait_for(Option::is_some).await.as_deref().ok()),
            None => landed(None),
        }
    }

    /// Starts a look-up in the background where nothing is known and none is under way. Does nothing while too many are:
    /// whoever needs the schema asks again.
    pub fn prefetch(self: &Arc<Self>, reference: &SchemaRef) {
        if self.inner.known(reference).is_none() {
            self.inner.start(reference, None);
        }
    }

    /// What is known, for the status page: at most 500 schemas and 500 that there are none of.
    #[must_use]
    pub fn entries(&self) -> Vec<CacheEntry> {
        let now = (self.inner.clock)();
        let kept = self.inner.kept.iter().take(MAX_SHOWN_ENTRIES);
        let kept = kept.filter(|(_, kept)| kept.serves(now));
        let missed = self.inner.missed.iter().take(MAX_SHOWN_ENTRIES);
        let missed = missed.filter(|(_, missed)| missed.holds(now));
        kept.map(|(reference, kept)| CacheEntry::kept(&reference, &kept, now))
            .chain(missed.map(|(reference, missed)| CacheEntry::missed(&reference, &missed, now)))
            .collect()
    }
}

impl Inner {
    /// What is known, and a question in the background where that is out of date.
    fn known(self: &Arc<Self>, reference: &SchemaRef) -> Option<Resolution> {
        let now = (self.clock)();
        if let Some(kept) = at_once(self.kept.get(reference)).filter(|kept| kept.serves(now)) {
            if kept.is_due(now) {
                self.start(reference, None);
            }
            return Some(Ok(Arc::clone(&kept.fetched.schema)));
        }
        let missed = at_once(self.missed.get(reference)).filter(|missed| missed.holds(now));
        missed.map(|missed| Err(missed.error.clone()))
    }

    /// Joins the look-up under way, or starts one where there is room for it.
    fn start(
        self: &Arc<Self>,
        reference: &SchemaRef,
        room: Option<OwnedSemaphorePermit>,
    ) -> Option<Waiter> {
        let runtime = Handle::try_current().ok()?;
        let (sender, waiter) = watch::channel(None);
        let room = match lock(&self.flights).entry(reference.clone()) {
            Entry::Occupied(under_way) => return Some(under_way.get().clone()),
            Entry::Vacant(free) => {
                let room = room.or_else(|| Arc::clone(&self.room).try_acquire_owned().ok())?;
                free.insert(waiter.clone());
                room
            }
        };
        let flight = Flight { inner: Arc::clone(self), reference: reference.clone(), sender };
        runtime.spawn(async move {
            let _room = room;
            flight.run().await;
        });
        Some(waiter)
    }

    /// The same where there was no room: waits for it.
    async fn start_in_line(self: &Arc<Self>, reference: &SchemaRef) -> Option<Waiter> {
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        self.start(reference, Some(room))
    }

    /// Asks the source, unless somebody else just has.
    async fn look_up(self: &Arc<Self>, reference: &SchemaRef) -> Resolution {
        let now = (self.clock)();
        let kept = self.kept.get(reference).await;
        match kept.as_ref().filter(|kept| kept.serves(now)) {
            Some(kept) if kept.is_due(now) => {}
            Some(kept) => return Ok(Arc::clone(&kept.fetched.schema)),
            None => {
                let missed = self.missed.get(reference).await;
                if let Some(missed) = missed.filter(|missed| missed.holds(now)) {
                    return Err(missed.error.clone());
                }
            }
        }
        let previous = kept.as_ref().map(|kept| Arc::clone(&kept.fetched));
        let answer = self.ask(reference, previous.clone()).await;
        let outcome = RequestOutcome::of(&answer, previous.as_deref());
        tracing::debug!(
            reference = reference.shown(),
            outcome = outcome.label(),
            "schema looked up"
        );
        self.observer.request(outcome);
        let elapsed = (self.clock)().saturating_duration_since(now);
        self.observer.request_seconds(elapsed.as_secs_f64());
        self.remember(reference, kept.as_deref(), answer).await
    }

    /// Asks in a task of its own, so that a panic ends there.
    async fn ask(
        &self,
        reference: &SchemaRef,
        previous: Option<Arc<Fetched>>,
    ) -> Result<Arc<Fetched>, SourceError> {
        let (source, asked) = (Arc::clone(&self.source), reference.clone());
        let answer = tokio::spawn(async move { source.find(&asked, previous.as_deref()).await });
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn remember(
        &self,
        reference: &SchemaRef,
        kept: Option<&Kept>,
        answer: Result<Arc<Fetched>, SourceError>,
    ) -> Resolution {
        let now = (self.clock)();
        let resolution = match answer {
            Ok(fetched) => Ok(self.keep(reference, Kept::new(fetched, now, &self.settings)).await),
            Err(error) => match kept.filter(|kept| outlives(kept, &error, now)) {
                Some(kept) => {
                    let kept = kept.after_failure(now, self.settings.unavailable_ttl);
                    Ok(self.keep(reference, kept).await)
                }
                None => Err(self.miss(reference, error, now).await),
            },
        };
        self.kept.run_pending_tasks().await;
        self.observer.entries(self.kept.entry_count());
        resolution
    }

    async fn keep(&self, reference: &SchemaRef, kept: Kept) -> Arc<Schema> {
        let schema = Arc::clone(&kept.fetched.schema);
        self.kept.insert(reference.clone(), Arc::new(kept)).await;
        self.missed.invalidate(reference).await;
        schema
    }

    /// Remembers that there is none. What was kept goes, except where nobody answered: what is out of date can still be
    /// confirmed.
    async fn miss(&self, reference: &SchemaRef, error: SourceError, now: Instant) -> SourceError {
        if !matches!(error, SourceError::Unavailable { .. }) {
            self.kept.invalidate(reference).await;
        }
        let missed = Missed::new(error.clone(), now, &self.settings);
        self.missed.insert(reference.clone(), Arc::new(missed)).await;
        error
    }
}

/// Whether what is kept goes on serving after `error`.
fn outlives(kept: &Kept, error: &SourceError, now: Instant) -> bool {
    matches!(error, SourceError::Unavailable { .. }) && kept.serves(now)
}

/// One look-up under way. However it ends, the next one can start.
struct Flight {
    inner: Arc<Inner>,
    reference: SchemaRef,
    sender: watch::Sender<Option<Resolution>>,
}

impl Flight {
    async fn run(self) {
        let resolution = self.inner.look_up(&self.reference).await;
        self.sender.send_replace(Some(resolution));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.inner.flights).remove(&self.reference);
    }
}

/// What a look-up left, if it left anything.
fn landed(result: Option<&Option<Resolution>>) -> Resolution {
    result.cloned().flatten().unwrap_or_else(|| Err(lost()))
}

fn lost() -> SourceError {
    SourceError::unavailable("the look-up ended without an answer")
}

/// A map that a panicking thread held is still whole: it is only ever held for one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a read of the cache gives without waiting. moka's reads wait only where its upkeep is under way on another thread;
/// then the answer is "unknown", and [`SchemaCache::resolve`] finds it.
fn at_once<T>(read: impl Future<Output = Option<T>>) -> Option<T> {
    match std::pin::pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => None,
    }
}

/// Entries of each kind that the status page shows.
const MAX_SHOWN_ENTRIES: usize = 500;
