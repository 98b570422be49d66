//! Remembers schemas, and for a short while that there are none. One look-up at a time per reference, in a task of its
//! own, so that nobody who stops waiting takes it away from the others.
//!
//! `memory.rs` bounds how much is kept and evicts; how long it is believed is decided here, on a clock that tests can set.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, SetOnce},
};

pub use super::observer::{CacheObserver, RequestOutcome};
use super::{
    CacheEntry, CacheSettings, Fetched, Listed, Schema, SchemaRef, SchemaSource, SourceError,
    Standing,
    budget::Bucket,
    entry::{Kept, Missed},
    memory::Memory,
};
use crate::limits::MAX_PENDING_LOOKUPS;

/// How a look-up ended.
pub type Resolution = Result<Arc<Schema>, SourceError>;

/// What time it is: `Instant::now` outside of tests.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

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
    /// Where look-ups run, and what they find is compiled: where this was made, if that was a runtime. Who asks may be a lane,
    /// whose connections would wait meanwhile.
    home: Option<Handle>,
    kept: Memory<Kept>,
    /// Apart from what is kept: references that lead nowhere, which any producer can make up, displace no schema.
    missed: Memory<Missed>,
    flights: Mutex<HashMap<SchemaRef, Landing>>,
    /// What is left for unknown schemas.
    bucket: Bucket,
    /// One for each look-up under way of something unknown.
    room: Arc<Semaphore>,
    /// The same for what is known and asked for again: whoever asks for unknown schemas takes nothing of it.
    room_for_known: Arc<Semaphore>,
}

impl std::fmt::Debug for SchemaCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = self.inner.kept.count();
        f.debug_struct("SchemaCache").field("kept", &kept).finish_non_exhaustive()
    }
}

/// Where in one cache a schema stood: whoever remembers that finds it again without its reference, and keeps nothing alive.
#[derive(Debug, Clone)]
pub struct Bookmark {
    kept: Weak<Kept>,
}

/// Where a look-up leaves its result. Those who wait go on in the order in which they came.
type Landing = Arc<SetOnce<Resolution>>;

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
        let room = || Arc::new(Semaphore::new(MAX_PENDING_LOOKUPS));
        let inner = Inner {
            kept: Memory::new(settings.max_entries, Kept::take_used, Kept::withdraw),
            missed: Memory::new(settings.max_entries, |_| false, |_| {}),
            flights: Mutex::default(),
            bucket: Bucket::new(settings.budget, clock()),
            room: room(),
            room_for_known: room(),
            source,
            settings,
            observer,
            clock,
            home: Handle::try_current().ok(),
        };
        Arc::new(Self { inner: Arc::new(inner) })
    }

    /// The schemas that are known here, in front of another source and with other settings. That something does not exist
    /// is not taken along: the other source may know better.
    pub async fn taken_over(
        &self,
        source: Arc<dyn SchemaSource>,
        settings: CacheSettings,
        observer: Arc<dyn CacheObserver>,
    ) -> Arc<Self> {
        let new = Self::with_clock(source, settings, observer, Arc::clone(&self.inner.clock));
        let (now, mut known) = ((self.inner.clock)(), Vec::new());
        self.inner.kept.each(|reference, kept| {
            if kept.serves(now) {
                known.push((reference.clone(), Arc::clone(kept)));
            }
        });
        for (reference, kept) in known {
            new.inner.kept.put(&reference, kept, now).await;
        }
        new.inner.observer.entries(new.inner.kept.count());
        new
    }

    /// What is known right now, without waiting: a schema, or that there is none. `None` is "unknown". Starts asking
    /// again in the background where a document is out of date. Counts as a hit or a miss.
    #[must_use]
    pub fn cached(&self, reference: &SchemaRef) -> Option<Resolution> {
        self.cached_and_marked(reference).map(|known| known.map(|(schema, _)| schema))
    }

    /// The same, and where a schema is found again without being looked for.
    #[must_use]
    pub fn cached_and_marked(
        &self,
        reference: &SchemaRef,
    ) -> Option<Result<(Arc<Schema>, Bookmark), SourceError>> {
        let known = self.inner.known(reference);
        match known {
            Some(_) => self.inner.observer.hit(),
            None => self.inner.observer.miss(),
        }
        let marked = |kept: Arc<Kept>| {
            (Arc::clone(&kept.fetched.schema), Bookmark { kept: Arc::downgrade(&kept) })
        };
        known.map(|known| known.map(marked))
    }

    /// What [`SchemaCache::cached`] would say of the reference that `bookmark` was made for, where nothing has happened to it
    /// since: nothing took its place, it was not forgotten, and it is not out of date. `None` is "look for it". Counts as a
    /// hit where it is one.
    #[must_use]
    pub fn reopen(&self, bookmark: &Bookmark) -> Option<Arc<Schema>> {
        let kept = bookmark.kept.upgrade()?;
        if kept.is_withdrawn() || kept.ages() && !kept.is_fresh((self.inner.clock)()) {
            return None;
        }
        kept.mark();
        self.inner.observer.hit();
        Some(Arc::clone(&kept.fetched.schema))
    }

    /// What is known, or else what the source answers. However many wait, one look-up is under way per reference. Waits
    /// for as long as that takes: the caller has the deadline.
    ///
    /// # Errors
    /// [`SourceError`] where the source gives no schema.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the look-up under way, for the others and for the next one who asks.
    pub async fn resolve(&self, reference: &SchemaRef) -> Resolution {
        if let Some(known) = self.inner.known(reference) {
            return known.map(|kept| Arc::clone(&kept.fetched.schema));
        }
        let inner = &self.inner;
        let landing = match inner.start(reference, &inner.room, None) {
            Some(landing) => Some(landing),
            None => inner.start_in_line(reference).await,
        };
        match landing {
            Some(landing) => landing.wait().await.clone(),
            None => Err(lost()),
        }
    }

    /// Starts a look-up in the background where nothing is known and none is under way. Does nothing while too many are:
    /// whoever needs the schema asks again.
    pub fn prefetch(self: &Arc<Self>, reference: &SchemaRef) {
        if self.inner.known(reference).is_none() {
            self.inner.start(reference, &self.inner.room, None);
        }
    }

    /// The latest versions of the subjects that one of `globs` matches. Always asks.
    pub async fn latest(&self, globs: &[String]) -> Vec<Listed> {
        self.inner.source.latest(globs).await
    }

    /// How those who are asked stand, for the status page.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        self.inner.source.standings()
    }

    /// What is known, for the status page: at most 500 schemas and 500 that there are none of.
    #[must_use]
    pub fn entries(&self) -> Vec<CacheEntry> {
        let now = (self.inner.clock)();
        let (mut kept, mut missed) = (Vec::new(), Vec::new());
        self.inner.kept.each(|reference, entry| {
            if kept.len() < MAX_SHOWN_ENTRIES && entry.serves(now) {
                kept.push(CacheEntry::kept(reference, entry, now));
            }
        });
        self.inner.missed.each(|reference, entry| {
            if missed.len() < MAX_SHOWN_ENTRIES && entry.holds(now) {
                missed.push(CacheEntry::missed(reference, entry, now));
            }
        });
        kept.append(&mut missed);
        kept
    }
}

impl Inner {
    /// What is known, and a question in the background where that is out of date.
    fn known(self: &Arc<Self>, reference: &SchemaRef) -> Option<Result<Arc<Kept>, SourceError>> {
        let now = (self.clock)();
        if let Some(kept) = self.kept.get(reference).filter(|kept| kept.serves(now)) {
            kept.mark();
            if kept.is_due(now) {
                self.start(reference, &self.room_for_known, None);
            }
            return Some(Ok(kept));
        }
        let missed = self.missed.get(reference).filter(|missed| missed.holds(now));
        missed.map(|missed| Err(missed.error.clone()))
    }

    /// Joins the look-up under way, or starts one where there is `room` for it, or where room was `taken`.
    fn start(
        self: &Arc<Self>,
        reference: &SchemaRef,
        room: &Arc<Semaphore>,
        taken: Option<OwnedSemaphorePermit>,
    ) -> Option<Landing> {
        let runtime = self.home.clone().or_else(|| Handle::try_current().ok())?;
        let landing = Landing::default();
        let room = match lock(&self.flights).entry(reference.clone()) {
            Entry::Occupied(under_way) => return Some(Arc::clone(under_way.get())),
            Entry::Vacant(free) => {
                let room = taken.or_else(|| Arc::clone(room).try_acquire_owned().ok())?;
                free.insert(Arc::clone(&landing));
                room
            }
        };
        let flight = Flight {
            inner: Arc::clone(self),
            reference: reference.clone(),
            landing: Arc::clone(&landing),
        };
        runtime.spawn(async move {
            let _room = room;
            flight.run().await;
        });
        Some(landing)
    }

    /// The same where there was no room: waits for it.
    async fn start_in_line(self: &Arc<Self>, reference: &SchemaRef) -> Option<Landing> {
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        self.start(reference, &self.room, Some(room))
    }

    /// Asks the source, unless somebody else just has.
    async fn look_up(self: &Arc<Self>, reference: &SchemaRef) -> Resolution {
        let now = (self.clock)();
        let kept = self.kept.get(reference);
        match kept.as_ref().filter(|kept| kept.serves(now)) {
            Some(kept) if kept.is_due(now) => {}
            Some(kept) => return Ok(Arc::clone(&kept.fetched.schema)),
            None => {
                let missed = self.missed.get(reference);
                if let Some(missed) = missed.filter(|missed| missed.holds(now)) {
                    return Err(missed.error.clone());
                }
            }
        }
        if kept.is_none() && !self.bucket.take(now) {
            self.observer.over_budget();
            let detail = "too many unknown schemas are asked for: this one is not looked up now";
            return Err(SourceError::unavailable(detail));
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
            Ok(fetched) => {
                let fresh = Kept::new(fetched, now, &self.settings);
                Ok(self.keep(reference, fresh, now).await)
            }
            Err(error) => match kept.filter(|kept| outlives(kept, &error, now)) {
                Some(kept) => {
                    let kept = kept.after_failure(now, self.settings.unavailable_ttl);
                    Ok(self.keep(reference, kept, now).await)
                }
                None => Err(self.miss(reference, error, now).await),
            },
        };
        self.observer.entries(self.kept.count());
        resolution
    }

    async fn keep(&self, reference: &SchemaRef, kept: Kept, now: Instant) -> Arc<Schema> {
        let schema = Arc::clone(&kept.fetched.schema);
        self.kept.put(reference, Arc::new(kept), now).await;
        self.missed.forget(reference).await;
        schema
    }

    /// Remembers that there is none. What was kept goes, except where nobody answered: what is out of date can still be
    /// confirmed.
    async fn miss(&self, reference: &SchemaRef, error: SourceError, now: Instant) -> SourceError {
        if !matches!(error, SourceError::Unavailable { .. }) {
            self.kept.forget(reference).await;
        }
        let missed = Missed::new(error.clone(), now, &self.settings);
        self.missed.put(reference, Arc::new(missed), now).await;
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
    landing: Landing,
}

impl Flight {
    async fn run(self) {
        let resolution = self.inner.look_up(&self.reference).await;
        let _ = self.landing.set(resolution);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.inner.flights).remove(&self.reference);
        // Whoever still waits: it ended without an answer. Otherwise this changes nothing.
        let _ = self.landing.set(Err(lost()));
    }
}

fn lost() -> SourceError {
    SourceError::unavailable("the look-up ended without an answer")
}

/// A map that a panicking thread held is still whole: it is only ever held for one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Entries of each kind that the status page shows.
const MAX_SHOWN_ENTRIES: usize = 500;

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::schema::{
        DocumentUrl, EntryState, Lifetime, Lookup, LookupBudget, RegistryKey, SchemaId,
        testing::{any_schema, settings as registry_settings},
    };

    type Answer = Result<Lifetime, SourceError>;

    /// A source that answers what it is told, when it is told.
    struct FakeSource {
        answer: Mutex<Option<Answer>>,
        calls: AtomicUsize,
        gate: Semaphore,
        previous: Mutex<Vec<Option<Arc<Schema>>>>,
    }

    impl SchemaSource for FakeSource {
        fn find<'a>(&'a self, _: &'a SchemaRef, previous: Option<&'a Fetched>) -> Lookup<'a> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.previous.lock().unwrap().push(previous.map(|known| Arc::clone(&known.schema)));
            Box::pin(async move {
                self.gate.acquire().await.unwrap().forget();
                let answer = self.answer.lock().unwrap().clone();
                let lifetime = answer.expect("told to panic")?;
                let schema = Arc::new(any_schema());
                Ok(Arc::new(Fetched { lifetime, ..Fetched::immutable(schema) }))
            })
        }
    }

    #[derive(Default)]
    struct Counts {
        hits: AtomicUsize,
        misses: AtomicUsize,
        outcomes: Mutex<Vec<&'static str>>,
        entries: AtomicUsize,
        over_budget: AtomicUsize,
    }

    impl CacheObserver for Counts {
        fn hit(&self) {
            self.hits.fetch_add(1, Ordering::SeqCst);
        }
        fn miss(&self) {
            self.misses.fetch_add(1, Ordering::SeqCst);
        }
        fn request(&self, outcome: RequestOutcome) {
            self.outcomes.lock().unwrap().push(outcome.label());
        }
        fn request_seconds(&self, seconds: f64) {
            assert!(seconds >= 0.0);
        }
        fn entries(&self, count: u64) {
            self.entries.store(usize::try_from(count).unwrap(), Ordering::SeqCst);
        }
        fn over_budget(&self) {
            self.over_budget.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Bench {
        cache: Arc<SchemaCache>,
        source: Arc<FakeSource>,
        counts: Arc<Counts>,
        now: Arc<Mutex<Instant>>,
    }

    /// A cache with times that are easy to tell apart: documents live 60 s and serve 600 s more, "none" is believed 10 s,
    /// "nobody" 1 s.
    fn bench(answer: Answer) -> Bench {
        bench_of(answer, 100, LookupBudget { per_second: 0, burst: 2_000 })
    }

    fn bench_of(answer: Answer, max_entries: u64, budget: LookupBudget) -> Bench {
        let settings = CacheSettings {
            max_entries,
            document_ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            unavailable_ttl: Duration::from_secs(1),
            stale_ttl: Duration::from_secs(600),
            budget,
        };
        let source = Arc::new(FakeSource {
            answer: Mutex::new(Some(answer)),
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(1_000_000),
            previous: Mutex::default(),
        });
        let counts = Arc::new(Counts::default());
        let now = Arc::new(Mutex::new(Instant::now()));
        let shown = Arc::clone(&now);
        let clock: Clock = Arc::new(move || *shown.lock().unwrap());
        let asked: Arc<dyn SchemaSource> = Arc::clone(&source) as _;
        let observer: Arc<dyn CacheObserver> = Arc::clone(&counts) as _;
        let cache = SchemaCache::with_clock(asked, settings, observer, clock);
        Bench { cache, source, counts, now }
    }

    impl Bench {
        fn advance(&self, seconds: u64) {
            *self.now.lock().unwrap() += Duration::from_secs(seconds);
        }

        fn answers(&self, answer: Answer) {
            *self.source.answer.lock().unwrap() = Some(answer);
        }

        fn calls(&self) -> usize {
            self.source.calls.load(Ordering::SeqCst)
        }

        /// Until no look-up is under way.
        async fn settle(&self) {
            while !lock(&self.cache.inner.flights).is_empty() {
                tokio::task::yield_now().await;
            }
        }

        /// Makes look-ups wait until the gate opens.
        fn close_gate(&self) {
            self.source.gate.forget_permits(1_000_000);
        }

        fn open_gate(&self) {
            self.source.gate.add_permits(1_000);
        }

        fn state(&self) -> Vec<EntryState> {
            self.cache.entries().iter().map(|entry| entry.state).collect()
        }
    }

    fn document(name: &str) -> SchemaRef {
        SchemaRef::Document(DocumentUrl(format!("http://host/{name}?hidden").into()))
    }

    fn unavailable() -> SourceError {
        SourceError::unavailable("down")
    }

    fn not_found() -> SourceError {
        SourceError::NotFound { detail: "none".into() }
    }

    #[tokio::test]
    async fn a_thousand_waiters_make_one_look_up() {
        let bench = bench(Ok(Lifetime::Forever));
        bench.close_gate();
        let reference = document("a");
        let waiters: Vec<_> = (0..1_000)
            .map(|_| {
                let (cache, reference) = (Arc::clone(&bench.cache), reference.clone());
                tokio::spawn(async move { cache.resolve(&reference).await })
            })
            .collect();
        tokio::task::yield_now().await;
        bench.open_gate();
        let mut addresses = HashSet::new();
        for waiter in waiters {
            addresses.insert(Arc::as_ptr(&waiter.await.unwrap().unwrap()));
        }
        assert_eq!((addresses.len(), bench.calls()), (1, 1));
        assert!(bench.cache.cached(&reference).unwrap().is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn waiters_on_many_threads_make_one_look_up_too() {
        for answer in [Ok(Lifetime::Forever), Err(not_found()), Err(unavailable())] {
            let bench = bench(answer);
            let waiters: Vec<_> = (0..1_000)
                .map(|_| {
                    let cache = Arc::clone(&bench.cache);
                    tokio::spawn(async move { cache.resolve(&document("a")).await.is_ok() })
                })
                .collect();
            for waiter in waiters {
                waiter.await.unwrap();
            }
            assert_eq!(bench.calls(), 1);
        }
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_nothing_away_from_the_others() {
        let bench = bench(Ok(Lifetime::Forever));
        bench.close_gate();
        let reference = document("a");
        let mut first = Box::pin(bench.cache.resolve(&reference));
        let mut second = Box::pin(bench.cache.resolve(&reference));
        for waiting in [&mut first, &mut second] {
            assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_err());
        }
        drop(first);
        bench.open_gate();
        assert!(second.await.is_ok());
        assert_eq!(bench.calls(), 1);
    }

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_any_more_still_fills_the_cache() {
        let bench = bench(Ok(Lifetime::Forever));
        bench.close_gate();
        let reference = document("a");
        let waiting = tokio::time::timeout(Duration::ZERO, bench.cache.resolve(&reference)).await;
        assert!(waiting.is_err());
        bench.open_gate();
        bench.settle().await;
        assert!(bench.cache.cached(&reference).unwrap().is_ok());
    }

    #[tokio::test]
    async fn what_was_learnt_is_believed_as_long_as_it_should_be() {
        let invalid = SourceError::invalid("no schema");
        let not_allowed = SourceError::NotAllowed { origin: "http://evil".into() };
        let table: &[(Answer, u64, EntryState)] = &[
            (Err(not_found()), 10, EntryState::NotFound),
            (Err(invalid), 10, EntryState::Invalid),
            (Err(not_allowed), 10, EntryState::NotAllowed),
            (Err(unavailable()), 1, EntryState::Unavailable),
            (Ok(Lifetime::Configured), 60, EntryState::Fresh),
            (Ok(Lifetime::For(Duration::from_secs(7))), 7, EntryState::Fresh),
            (Ok(Lifetime::For(Duration::ZERO)), 1, EntryState::Fresh),
            (Ok(Lifetime::For(Duration::MAX)), 24 * 60 * 60, EntryState::Fresh),
        ];
        for (answer, seconds, state) in table {
            let bench = bench(answer.clone());
            let reference = document("a");
            assert!(bench.cache.cached(&reference).is_none());
            assert_eq!(bench.cache.resolve(&reference).await.is_ok(), answer.is_ok());
            assert_eq!(bench.state(), [*state]);
            bench.advance(*seconds - 1);
            let known = bench.cache.cached(&reference).map(|known| known.map(drop));
            assert_eq!(known, Some(answer.clone().map(drop)));
            bench.settle().await;
            assert_eq!(bench.calls(), 1, "{answer:?}");
            bench.advance(1);
            assert_eq!(bench.cache.resolve(&reference).await.is_ok(), answer.is_ok());
            bench.settle().await;
            assert_eq!(bench.calls(), 2, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_known_is_taken_over_and_what_is_not_is_asked_for_again() {
        let (old, new) = (bench(Ok(Lifetime::Configured)), bench(Ok(Lifetime::Configured)));
        let [known, gone, none] = ["known", "gone", "none"].map(document);
        let schema = old.cache.resolve(&gone).await.unwrap();
        old.advance(700);
        let kept = old.cache.resolve(&known).await.unwrap();
        old.answers(Err(not_found()));
        assert!(old.cache.resolve(&none).await.is_err());
        let (source, settings) = (Arc::clone(&new.source), old.cache.inner.settings.clone());
        let cache = old.cache.taken_over(source, settings, Arc::new(())).await;
        assert!(Arc::ptr_eq(&cache.cached(&known).unwrap().unwrap(), &kept));
        assert!(cache.cached(&gone).is_none() && cache.cached(&none).is_none());
        assert_eq!(new.calls(), 0);
        assert!(cache.resolve(&none).await.is_ok());
        assert!(!Arc::ptr_eq(&cache.resolve(&gone).await.unwrap(), &schema));
        assert_eq!(new.calls(), 2, "the other source is asked");
        old.advance(660);
        assert!(cache.cached(&known).is_none(), "it serves no longer than it would have");
    }

    #[tokio::test]
    async fn ids_are_kept_for_good() {
        let bench = bench(Ok(Lifetime::Forever));
        let reference = SchemaRef::Registered {
            registry: "http://host".into(),
            key: RegistryKey::Id(SchemaId(4)),
        };
        bench.cache.resolve(&reference).await.unwrap();
        bench.answers(Err(not_found()));
        bench.advance(1_000_000_000);
        assert!(bench.cache.cached(&reference).unwrap().is_ok());
        bench.settle().await;
        assert_eq!((bench.calls(), bench.state()), (1, vec![EntryState::Immutable]));
        let entry = bench.cache.entries().remove(0);
        assert_eq!(
            (entry.reference.as_str(), entry.source.as_str()),
            ("http://host/schemas/ids/4", "http://host")
        );
        assert_eq!(entry.age, Duration::from_secs(1_000_000_000));
    }

    #[tokio::test]
    async fn an_old_document_serves_while_it_is_asked_for_again() {
        let bench = bench(Ok(Lifetime::Configured));
        let reference = document("a");
        let old = bench.cache.resolve(&reference).await.unwrap();
        bench.advance(60);
        bench.close_gate();
        for _ in 0..10 {
            let served = bench.cache.cached(&reference).unwrap().unwrap();
            assert!(Arc::ptr_eq(&served, &old));
            let served = bench.cache.resolve(&reference).await.unwrap();
            assert!(Arc::ptr_eq(&served, &old));
            tokio::task::yield_now().await;
        }
        assert_eq!((bench.calls(), bench.state()), (2, vec![EntryState::Stale]));
        bench.open_gate();
        bench.settle().await;
        let new = bench.cache.cached(&reference).unwrap().unwrap();
        assert!(!Arc::ptr_eq(&new, &old));
        assert_eq!((bench.calls(), bench.state()), (2, vec![EntryState::Fresh]));
        assert!(
            bench.source.previous.lock().unwrap()[1].as_ref().is_some_and(|p| Arc::ptr_eq(p, &old))
        );
    }

    #[tokio::test]
    async fn an_old_document_serves_while_its_source_is_down() {
        let bench = bench(Ok(Lifetime::Configured));
        let reference = document("a");
        let old = bench.cache.resolve(&reference).await.unwrap();
        bench.answers(Err(unavailable()));
        bench.advance(60);
        for calls in 2..12 {
            for _ in 0..3 {
                let served = bench.cache.cached(&reference).unwrap().unwrap();
                assert!(Arc::ptr_eq(&served, &old));
                bench.settle().await;
            }
            assert_eq!((bench.calls(), bench.state()), (calls, vec![EntryState::Stale]));
            bench.advance(1);
        }
        bench.advance(600 - 10);
        assert!(bench.cache.cached(&reference).is_none());
        assert_eq!(bench.cache.resolve(&reference).await.unwrap_err(), unavailable());
        assert_eq!(bench.state(), [EntryState::Unavailable]);
        bench.answers(Ok(Lifetime::Configured));
        bench.advance(1);
        assert!(bench.cache.resolve(&reference).await.is_ok());
        assert_eq!(bench.state(), [EntryState::Fresh]);
    }

    #[tokio::test]
    async fn a_document_that_is_gone_is_gone() {
        let bench = bench(Ok(Lifetime::Configured));
        let reference = document("a");
        bench.cache.resolve(&reference).await.unwrap();
        bench.answers(Err(not_found()));
        bench.advance(60);
        assert!(bench.cache.cached(&reference).unwrap().is_ok());
        bench.settle().await;
        assert_eq!(bench.cache.cached(&reference).unwrap().unwrap_err(), not_found());
        assert_eq!(bench.state(), [EntryState::NotFound]);
    }

    #[tokio::test]
    async fn a_source_that_panics_is_unavailable() {
        let bench = bench(Ok(Lifetime::Forever));
        *bench.source.answer.lock().unwrap() = None;
        let reference = document("a");
        let answer = bench.cache.resolve(&reference).await;
        assert!(matches!(answer, Err(SourceError::Unavailable { .. })));
        bench.answers(Ok(Lifetime::Forever));
        bench.advance(1);
        assert!(bench.cache.resolve(&reference).await.is_ok());
    }

    #[tokio::test]
    async fn prefetch_starts_one_look_up_and_does_not_wait() {
        let bench = bench(Ok(Lifetime::Forever));
        bench.close_gate();
        for _ in 0..10 {
            bench.cache.prefetch(&document("a"));
        }
        tokio::task::yield_now().await;
        assert!(bench.cache.cached(&document("a")).is_none());
        bench.open_gate();
        bench.settle().await;
        assert!(bench.cache.cached(&document("a")).unwrap().is_ok());
        bench.cache.prefetch(&document("a"));
        bench.settle().await;
        assert_eq!(bench.calls(), 1);
    }

    #[tokio::test]
    async fn look_ups_under_way_are_bounded_and_waiters_wait_in_line() {
        let bench = bench(Ok(Lifetime::Forever));
        bench.close_gate();
        for number in 0..MAX_PENDING_LOOKUPS + 10 {
            bench.cache.prefetch(&document(&number.to_string()));
        }
        assert_eq!(lock(&bench.cache.inner.flights).len(), MAX_PENDING_LOOKUPS);
        let (cache, reference) = (Arc::clone(&bench.cache), document("late"));
        let late = tokio::spawn(async move { cache.resolve(&reference).await.is_ok() });
        tokio::task::yield_now().await;
        assert_eq!(lock(&bench.cache.inner.flights).len(), MAX_PENDING_LOOKUPS);
        bench.source.gate.add_permits(MAX_PENDING_LOOKUPS + 1);
        assert!(late.await.unwrap());
        bench.settle().await;
        assert_eq!(bench.calls(), MAX_PENDING_LOOKUPS + 1);
    }

    #[tokio::test]
    async fn references_that_lead_nowhere_displace_no_schema() {
        let budget = LookupBudget { per_second: 0, burst: 2_000 };
        let bench = bench_of(Ok(Lifetime::Forever), 10, budget);
        bench.cache.resolve(&document("good")).await.unwrap();
        bench.answers(Err(not_found()));
        for number in 0..1_000 {
            bench.cache.resolve(&document(&number.to_string())).await.unwrap_err();
        }
        assert!(bench.cache.cached(&document("good")).unwrap().is_ok());
        assert!(bench.cache.inner.missed.count() <= 10);
        bench.answers(Ok(Lifetime::Forever));
        for number in 1_000..1_100 {
            bench.cache.resolve(&document(&number.to_string())).await.unwrap();
        }
        assert_eq!(bench.counts.entries.load(Ordering::SeqCst), 10);
    }

    #[tokio::test]
    async fn a_flood_of_unknown_references_makes_as_many_requests_as_the_budget_has() {
        let bench =
            bench_of(Ok(Lifetime::Configured), 100, LookupBudget { per_second: 2, burst: 5 });
        let known = document("known");
        bench.cache.resolve(&known).await.unwrap();
        bench.answers(Err(not_found()));
        for number in 0..100 {
            let answer = bench.cache.resolve(&document(&number.to_string())).await;
            let spent = matches!(answer, Err(SourceError::Unavailable { .. }));
            assert_eq!(spent, number >= 4, "{number}: {answer:?}");
        }
        assert_eq!((bench.calls(), bench.counts.over_budget.load(Ordering::SeqCst)), (5, 96));
        assert!(bench.cache.cached(&document("99")).is_none(), "it is not remembered");
        assert_eq!(
            *bench.counts.outcomes.lock().unwrap(),
            ["found"; 1].iter().chain(&["not_found"; 4]).copied().collect::<Vec<_>>()
        );
        bench.advance(1);
        for number in 200..210 {
            let _ = bench.cache.resolve(&document(&number.to_string())).await;
        }
        assert_eq!(bench.calls(), 7);
        // What is known is asked for again without the budget.
        bench.answers(Ok(Lifetime::Configured));
        bench.advance(59);
        for number in 300..1_000 {
            bench.cache.prefetch(&document(&number.to_string()));
        }
        bench.settle().await;
        let spent = bench.calls();
        assert!(bench.cache.cached(&known).unwrap().is_ok());
        bench.settle().await;
        assert_eq!(
            (bench.calls(), &bench.counts.outcomes.lock().unwrap().last()),
            (spent + 1, &Some(&"found"))
        );
    }

    #[tokio::test]
    async fn look_ups_of_unknown_references_take_no_room_of_known_ones() {
        let bench = bench(Ok(Lifetime::Configured));
        let known = document("known");
        bench.cache.resolve(&known).await.unwrap();
        bench.advance(60);
        bench.close_gate();
        for number in 0..MAX_PENDING_LOOKUPS + 10 {
            bench.cache.prefetch(&document(&number.to_string()));
        }
        assert!(bench.cache.cached(&known).unwrap().is_ok());
        let flights = lock(&bench.cache.inner.flights).len();
        assert_eq!(flights, MAX_PENDING_LOOKUPS + 1, "asked for again beside all the others");
        bench.open_gate();
        bench.open_gate();
        bench.settle().await;
    }

    #[tokio::test]
    async fn what_is_used_stays() {
        let budget = LookupBudget { per_second: 0, burst: 2_000 };
        let bench = bench_of(Ok(Lifetime::Forever), 10, budget);
        let hot: Vec<_> = (0..8).map(|number| document(&format!("hot{number}"))).collect();
        for reference in &hot {
            bench.cache.resolve(reference).await.unwrap();
        }
        for number in 0..1_000 {
            for reference in &hot {
                let _ = bench.cache.cached(reference);
            }
            bench.advance(1);
            bench.cache.resolve(&document(&number.to_string())).await.unwrap();
        }
        let kept = hot.iter().filter(|reference| bench.cache.cached(reference).is_some()).count();
        assert_eq!(kept, 8);
        assert!(bench.cache.entries().len() <= 10);
    }

    #[tokio::test]
    async fn a_look_up_that_hits_allocates_nothing() {
        let bench = bench(Ok(Lifetime::Forever));
        let reference = document("a");
        bench.cache.resolve(&reference).await.unwrap();
        assert!(bench.cache.cached(&reference).is_some());
        let info = allocation_counter::measure(|| {
            for _ in 0..10_000 {
                assert!(bench.cache.cached(&reference).is_some());
            }
        });
        assert_eq!(info.count_total, 0);
    }

    #[tokio::test]
    async fn ten_thousand_waiters_make_one_request_over_http() {
        use crate::schema::testing::{Reply, Server, reference, source};
        let server = Server::start(|_| Reply::ok(r#"{"schema": "x"}"#)).await;
        let registry = registry_settings(&server.url);
        let settings = CacheSettings::default();
        let cache = SchemaCache::new(Arc::new(source(&registry).0), settings, Arc::new(()));
        let reference = reference(&registry, "7");
        let waiters: Vec<_> = (0..10_000)
            .map(|_| {
                let (cache, reference) = (Arc::clone(&cache), reference.clone());
                tokio::spawn(async move { cache.resolve(&reference).await.unwrap() })
            })
            .collect();
        let mut addresses = HashSet::new();
        for waiter in waiters {
            addresses.insert(Arc::as_ptr(&waiter.await.unwrap()));
        }
        assert_eq!((addresses.len(), server.targets()), (1, vec!["/schemas/ids/7".to_owned()]));
    }

    #[tokio::test]
    async fn the_observer_is_told() {
        let bench = bench(Ok(Lifetime::Forever));
        let reference = document("a");
        assert!(bench.cache.cached(&reference).is_none());
        bench.cache.resolve(&reference).await.unwrap();
        assert!(bench.cache.cached(&reference).is_some());
        bench.answers(Err(not_found()));
        bench.cache.resolve(&document("b")).await.unwrap_err();
        assert!(bench.cache.cached(&document("b")).is_some());
        let counts = &bench.counts;
        let numbers = [&counts.hits, &counts.misses, &counts.entries];
        assert_eq!(numbers.map(|number| number.load(Ordering::SeqCst)), [2, 1, 1]);
        assert_eq!(*counts.outcomes.lock().unwrap(), ["found", "not_found"]);
        let labels = RequestOutcome::ALL.map(RequestOutcome::label);
        assert!(labels.is_sorted());
        assert!(bench.cache.entries().iter().all(|entry| !entry.reference.contains("hidden")));
    }

    #[tokio::test]
    async fn a_document_over_http_is_revalidated_without_a_second_compilation() {
        use crate::schema::testing::{Reply, Server, reference, source};
        let server = Server::start(|head| match head.contains("if-none-match: \"1\"") {
            true => Reply::new(304, "", ""),
            false => Reply::new(200, "etag: \"1\"\r\n", "x"),
        })
        .await;
        let registry = registry_settings(&server.url);
        let (http, compiled) = source(&registry);
        let bench = bench(Ok(Lifetime::Forever));
        let Bench { counts, now, .. } = bench;
        let shown = Arc::clone(&now);
        let cache = SchemaCache::with_clock(
            Arc::new(http),
            CacheSettings::default(),
            Arc::clone(&counts) as _,
            Arc::new(move || *shown.lock().unwrap()),
        );
        let reference = reference(&registry, "a");
        let first = cache.resolve(&reference).await.unwrap();
        *now.lock().unwrap() += Duration::from_secs(60);
        assert!(cache.cached(&reference).is_some());
        while !lock(&cache.inner.flights).is_empty() {
            tokio::task::yield_now().await;
        }
        let second = cache.cached(&reference).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(compiled.lock().unwrap().len(), 1);
        assert_eq!(*counts.outcomes.lock().unwrap(), ["found", "not_modified"]);
    }
}
