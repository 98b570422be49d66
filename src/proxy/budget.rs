//! What unfinished work may hold of this process' memory: half-arrived requests, decompression, merged answers, and what
//! waits for schemas. Spent means: sockets are not read. This file counts bytes and decides who waits and who has to go;
//! it allocates none of them and closes no connection.
//!
//! One rule keeps it free of deadlocks: whoever asks while no more than the capacity is used gets what he asks for, even
//! if that goes over it. So at most one holder is over, he may go on until his request is done, and everybody behind him
//! waits in line until the sum is back within the capacity.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// The process-wide budget (`limits.memory_budget`).
#[derive(Debug)]
pub struct MemoryBudget {
    capacity: AtomicUsize,
    start: Instant,
    used: AtomicUsize,
    /// Whether somebody stands in line; then nobody overtakes him.
    contended: AtomicBool,
    waits: AtomicU64,
    evictions: AtomicU64,
    ledger: Mutex<Ledger>,
}

impl MemoryBudget {
    /// A budget of `capacity` bytes. A holder without progress for `stall_timeout` is evicted when others wait.
    #[must_use]
    pub fn new(capacity: usize, stall_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            capacity: AtomicUsize::new(capacity),
            start: Instant::now(),
            used: AtomicUsize::new(0),
            contended: AtomicBool::new(false),
            waits: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            ledger: Mutex::new(Ledger { stall_timeout, ..Ledger::default() }),
        })
    }

    /// A new account on this budget, one for each connection.
    #[must_use]
    pub fn holder(self: &Arc<Self>) -> Holding {
        let mut ledger = self.lock();
        let holder = ledger.next_id();
        let account = Arc::new(Account::default());
        ledger.accounts.insert(holder, Arc::clone(&account));
        let holder = Holder { budget: Arc::clone(self), id: holder, account };
        Holding { holder: Arc::new(holder), mine: 0, spared: 0 }
    }

    /// Bytes that holders may use together, the last request's overdraft apart.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity.load(SeqCst)
    }

    /// Changes both bounds. Nobody loses what he holds: where that is more than the new capacity, holders finish what they
    /// began one after the other.
    pub fn resize(&self, capacity: usize, stall_timeout: Duration) {
        let mut ledger = self.lock();
        (ledger.stall_timeout, ledger.next_sweep) = (stall_timeout, None);
        self.capacity.store(capacity, SeqCst);
        self.serve(&mut ledger, Instant::now());
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(SeqCst)
    }

    /// How often a holder had to wait.
    #[must_use]
    pub fn waits_total(&self) -> u64 {
        self.waits.load(SeqCst)
    }

    /// How many holders were told to go.
    #[must_use]
    pub fn evictions_total(&self) -> u64 {
        self.evictions.load(SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock of the accounts: milliseconds since this budget exists.
    fn millis(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The uncontended way: one load and one exchange.
    fn take_within_capacity(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.capacity());
        !self.contended.load(SeqCst) && self.used.fetch_update(SeqCst, SeqCst, fits).is_ok()
    }

    /// More for the one holder that is over the capacity.
    fn take_over_capacity(&self, holder: u64, bytes: usize) -> bool {
        let ledger = self.lock();
        let may = ledger.over == Some(holder) && self.used() > self.capacity();
        if may {
            self.used.fetch_add(bytes, SeqCst);
        }
        may
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, SeqCst);
        if self.contended.load(SeqCst) {
            self.serve(&mut self.lock(), Instant::now());
        }
    }

    /// Stands in line; the place may be served already when this returns.
    fn queue(self: &Arc<Self>, holder: &Holder, ask: Ask, now: Instant) -> Place {
        let (served, served_signal) = oneshot::channel();
        let account = Arc::clone(&holder.account);
        account.starves(ask.stage);
        let mut ledger = self.lock();
        let ticket = ledger.next_id();
        let waiter = Waiter { holder: holder.id, account: Arc::clone(&account), ask, served };
        ledger.waiters.insert(ticket, waiter);
        self.contended.store(true, SeqCst);
        self.serve(&mut ledger, now);
        self.evict_stalled(&mut ledger, now);
        if ledger.waiters.contains_key(&ticket) {
            self.waits.fetch_add(1, SeqCst);
        }
        Place { budget: Arc::clone(self), ticket, account, ask, served_signal: Some(served_signal) }
    }

    /// Serves those in line while no more than the capacity is used, or while nobody is over it who could go on: then it was
    /// lowered below what is used, and all would wait for one another.
    fn serve(&self, ledger: &mut Ledger, now: Instant) {
        while self.used() <= self.capacity() || ledger.nobody_is_over() {
            let Some((_, waiter)) = ledger.waiters.pop_first() else { break };
            self.used.fetch_add(waiter.ask.bytes, SeqCst);
            if self.used() > self.capacity() {
                ledger.over = Some(waiter.holder);
            }
            waiter.account.add(waiter.ask.bytes, self.millis(now));
            waiter.account.starves_no_more(waiter.ask.stage);
            // A receiver that is gone gives the bytes back itself: see `Place`.
            let _ = waiter.served.send(());
        }
        self.contended.store(!ledger.waiters.is_empty(), SeqCst);
    }

    /// Evicts holders without progress, oldest first, until what the rest holds is within the capacity.
    fn evict_stalled(&self, ledger: &mut Ledger, now: Instant) {
        if self.used() <= self.capacity() || ledger.next_sweep.is_some_and(|due| now < due) {
            return;
        }
        let mut rest = self.used();
        let mut candidates = Vec::new();
        for (holder, account) in &ledger.accounts {
            if account.evicted.load(SeqCst) {
                rest = rest.saturating_sub(account.held());
            } else if account.held() > 0 && !account.is_starved(ledger.over == Some(*holder)) {
                candidates.push((account.progressed.load(SeqCst), account));
            }
        }
        candidates.sort_unstable_by_key(|(progressed, _)| *progressed);
        let stall_timeout = ledger.stall_timeout;
        let mut next = stall_timeout;
        for (progressed, account) in candidates {
            let idle = self.millis(now).saturating_sub(progressed);
            let left = stall_timeout.saturating_sub(Duration::from_millis(idle));
            if rest <= self.capacity() || !left.is_zero() {
                next = left;
                break;
            }
            rest = rest.saturating_sub(account.held());
            self.evictions.fetch_add(1, SeqCst);
            account.evict();
        }
        ledger.next_sweep = now.checked_add(next.max(MIN_SWEEP_PERIOD));
    }

    /// When [`Self::evict_stalled`] has something to do again, at the earliest.
    fn next_sweep(&self, now: Instant) -> Instant {
        self.lock().next_sweep.unwrap_or(now).max(now)
    }
}

/// What one connection holds. Dropping it gives everything back.
///
/// The first bytes of a request are asked for with [`Self::begin`], all that follow, and the memory that is needed to
/// finish it, with [`Self::grow`]: a holder that is over the capacity may finish what he began but begin nothing.
///
/// A connection's parts hold theirs apart, as [`Self::sibling`]s of one account: the right to finish what was begun is the
/// connection's, whichever part asks.
#[derive(Debug)]
pub struct Holding {
    holder: Arc<Holder>,
    mine: usize,
    spared: usize,
}

/// One account, shared by the holdings of a connection.
#[derive(Debug)]
struct Holder {
    budget: Arc<MemoryBudget>,
    id: u64,
    account: Arc<Account>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.budget.lock().accounts.remove(&self.id);
    }
}

impl Holding {
    /// Another part's holding on the same account; holds nothing yet.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self { holder: Arc::clone(&self.holder), mine: 0, spared: 0 }
    }

    /// The same, but [`Self::cover`] and [`Self::begin_cover`] do not ask for the first `bytes`: what every connection may
    /// hold anyway. So nobody who asks for little waits behind those who ask for much.
    #[must_use]
    pub const fn sparing(mut self, bytes: usize) -> Self {
        self.spared = bytes;
        self
    }

    /// Bytes that have to be held in order to cover `total`.
    #[must_use]
    pub const fn to_cover(&self, total: usize) -> usize {
        total.saturating_sub(self.spared)
    }

    /// Bytes that may be in use here without asking for more.
    #[must_use]
    pub const fn covered(&self) -> usize {
        self.mine.saturating_add(self.spared)
    }

    /// Bytes held here, siblings apart.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.mine
    }

    /// Makes sure that at least `total` bytes are held for a request, the first of which are the request's beginning.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn begin_cover(&mut self, total: usize) {
        let missing = total.saturating_sub(self.covered());
        if missing > 0 {
            self.begin(missing).await;
        }
    }

    /// Makes sure that at least `total` bytes are held for a request that was begun.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn cover(&mut self, total: usize) {
        let missing = total.saturating_sub(self.covered());
        if missing > 0 {
            self.grow(missing).await;
        }
    }

    /// Gives back what is not needed to cover `total` bytes.
    pub fn shrink_to(&mut self, total: usize) {
        self.shrink(self.mine.saturating_sub(self.to_cover(total)));
    }

    /// Takes `bytes` for a new request if they are there at once.
    #[must_use = "without the bytes the socket must not be read"]
    pub fn try_begin(&mut self, bytes: usize) -> bool {
        let taken = self.holder.budget.take_within_capacity(bytes);
        if taken {
            self.add(bytes);
        }
        taken
    }

    /// Takes `bytes` more for a request that was begun, if they are there at once.
    #[must_use = "without the bytes the socket must not be read"]
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let budget = &self.holder.budget;
        let taken =
            budget.take_within_capacity(bytes) || budget.take_over_capacity(self.holder.id, bytes);
        if taken {
            self.add(bytes);
        }
        taken
    }

    fn add(&mut self, bytes: usize) {
        let Holder { budget, account, .. } = &*self.holder;
        account.add(bytes, budget.millis(Instant::now()));
        self.mine = self.mine.saturating_add(bytes);
    }

    /// Takes `bytes` for a new request, in line behind everybody who waits. While it waits, what the holder has of
    /// earlier requests still counts as stalled if it makes no progress.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it loses its place in line and has taken nothing.
    pub async fn begin(&mut self, bytes: usize) {
        if !self.try_begin(bytes) {
            // Apart from the task, whose size lasts as long as the connection: it is seldom.
            Box::pin(self.wait(Ask { bytes, stage: Stage::Begin })).await;
        }
    }

    /// Takes `bytes` more for a request that was begun, in line behind everybody who waits. While it waits, the holder is
    /// not evicted: it is not he who stalls.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it loses its place in line and has taken nothing.
    pub async fn grow(&mut self, bytes: usize) {
        if !self.try_grow(bytes) {
            Box::pin(self.wait(Ask { bytes, stage: Stage::Continue })).await;
        }
    }

    async fn wait(&mut self, ask: Ask) {
        let place = self.holder.budget.queue(&self.holder, ask, Instant::now());
        place.served().await;
        self.mine = self.mine.saturating_add(ask.bytes);
    }

    /// Gives `bytes` back, at most what is held. Counts as progress.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.mine);
        if bytes > 0 {
            self.progress();
            self.mine = self.mine.saturating_sub(bytes);
            self.holder.account.held.fetch_sub(bytes, SeqCst);
            self.holder.budget.give_back(bytes);
        }
    }

    /// Notes progress that neither takes nor gives bytes, such as bytes written to the broker.
    pub fn progress(&mut self) {
        let Holder { budget, account, .. } = &*self.holder;
        account.progressed.store(budget.millis(Instant::now()), SeqCst);
    }

    /// Tells when this holder has to go. It borrows nothing, so it can stand in a `select!` beside [`Self::grow`].
    #[must_use]
    pub fn eviction(&self) -> Eviction {
        Eviction(Arc::clone(&self.holder.account))
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// Tells when a holder has held bytes without progress for too long while others waited.
#[derive(Debug, Clone)]
pub struct Eviction(Arc<Account>);

impl Eviction {
    /// Whether the holder has to go.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.0.evicted.load(SeqCst)
    }

    /// Returns once the holder has to go: the connection must close and drop its [`Holding`].
    ///
    /// # Cancel safety
    /// It can be dropped and called again at will.
    pub async fn due(&self) {
        // Made before the flag is read, so that an eviction in between is not missed.
        let notified = self.0.eviction.notified();
        if !self.is_due() {
            notified.await;
        }
    }
}

/// What others need to see of a holder.
#[derive(Debug, Default)]
struct Account {
    held: AtomicUsize,
    /// Last progress, in milliseconds of the budget.
    progressed: AtomicU64,
    /// How many of the holder's parts wait for bytes without which a request that was begun cannot go on.
    starved: AtomicUsize,
    evicted: AtomicBool,
    eviction: Notify,
}

impl Account {
    fn held(&self) -> usize {
        self.held.load(SeqCst)
    }

    fn add(&self, bytes: usize, now: u64) {
        self.progressed.store(now, SeqCst);
        self.held.fetch_add(bytes, SeqCst);
    }

    /// Whoever is over the capacity gets what he asks for and has no excuse.
    fn is_starved(&self, over: bool) -> bool {
        !over && self.starved.load(SeqCst) > 0
    }

    fn starves(&self, stage: Stage) {
        self.starved.fetch_add(usize::from(stage == Stage::Continue), SeqCst);
    }

    fn starves_no_more(&self, stage: Stage) {
        self.starved.fetch_sub(usize::from(stage == Stage::Continue), SeqCst);
    }

    fn evict(&self) {
        self.evicted.store(true, SeqCst);
        self.eviction.notify_waiters();
    }
}

#[derive(Debug, Default)]
struct Ledger {
    accounts: BTreeMap<u64, Arc<Account>>,
    /// Those in line, by ticket: first come, first served.
    waiters: BTreeMap<u64, Waiter>,
    /// Who went over the capacity last; means something only while more than the capacity is used.
    over: Option<u64>,
    /// How long a holder may make no progress while others wait.
    stall_timeout: Duration,
    next_sweep: Option<Instant>,
    ids: u64,
}

impl Ledger {
    /// Whether whoever went over the capacity last holds nothing any more.
    fn nobody_is_over(&self) -> bool {
        let account = self.over.and_then(|holder| self.accounts.get(&holder));
        account.is_none_or(|account| account.held() == 0)
    }

    const fn next_id(&mut self) -> u64 {
        self.ids = self.ids.wrapping_add(1);
        self.ids
    }
}

#[derive(Debug)]
struct Waiter {
    holder: u64,
    account: Arc<Account>,
    ask: Ask,
    served: oneshot::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    bytes: usize,
    stage: Stage,
}

/// What bytes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// For something new: it waits until no more than the capacity is used.
    Begin,
    /// To go on with what was begun: whoever is over the capacity gets them.
    Continue,
}

/// A place in line. Dropped before it is known to be served, it gives back what it may have got.
struct Place {
    budget: Arc<MemoryBudget>,
    ticket: u64,
    account: Arc<Account>,
    ask: Ask,
    served_signal: Option<oneshot::Receiver<()>>,
}

impl Place {
    async fn served(mut self) {
        while let Some(signal) = &mut self.served_signal {
            let sweep = self.budget.next_sweep(Instant::now());
            tokio::select! {
                biased;
                _ = signal => self.served_signal = None,
                () = tokio::time::sleep_until(sweep) => {
                    self.budget.evict_stalled(&mut self.budget.lock(), Instant::now());
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.served_signal.is_none() {
            return;
        }
        let mut ledger = self.budget.lock();
        if ledger.waiters.remove(&self.ticket).is_some() {
            self.account.starves_no_more(self.ask.stage);
            // The time in line was not the holder's fault.
            if self.ask.stage == Stage::Continue {
                self.account.progressed.store(self.budget.millis(Instant::now()), SeqCst);
            }
        } else {
            self.account.held.fetch_sub(self.ask.bytes, SeqCst);
            self.budget.used.fetch_sub(self.ask.bytes, SeqCst);
        }
        self.budget.serve(&mut ledger, Instant::now());
    }
}

/// So that many waiters and many holders do not make each other search all the time.
const MIN_SWEEP_PERIOD: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        future::Future,
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    const STALL: Duration = Duration::from_secs(30);

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn sweep_after(budget: &MemoryBudget, wait: Duration) {
        let later = Instant::now().checked_add(wait).unwrap();
        budget.lock().next_sweep = None;
        budget.evict_stalled(&mut budget.lock(), later);
    }

    #[test]
    fn takes_and_gives_back_within_the_capacity_without_waiting() {
        let budget = MemoryBudget::new(10, STALL);
        let mut a = budget.holder();
        let mut b = budget.holder();
        assert!(a.try_begin(6));
        assert!(b.try_begin(4));
        assert!(!a.try_grow(1));
        assert_eq!((a.held(), b.held(), budget.used()), (6, 4, 10));
        a.shrink(100);
        assert_eq!((a.held(), budget.used()), (0, 4));
        drop(b);
        assert_eq!((budget.used(), budget.waits_total()), (0, 0));
        assert!(budget.lock().accounts.len() == 1);
    }

    #[test]
    fn two_half_arrived_requests_that_hold_everything_both_complete() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let mut a = budget.holder();
        let mut b = budget.holder();
        assert!(a.try_begin(5) && b.try_begin(5));
        assert_eq!(poll(pin!(a.grow(5))), Poll::Ready(()));
        {
            let mut waiting = pin!(b.grow(5));
            assert!(poll(waiting.as_mut()).is_pending());
            assert!(a.try_grow(5), "whoever is over may finish");
            a.shrink_to(0);
            assert_eq!(poll(waiting), Poll::Ready(()));
        }
        b.shrink_to(0);
        assert_eq!((budget.used(), budget.waits_total()), (0, 1));
    }

    #[test]
    fn a_request_larger_than_the_whole_budget_completes() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let mut a = budget.holder();
        assert_eq!(poll(pin!(a.begin(100))), Poll::Ready(()));
        assert!(a.try_grow(100));
        a.shrink_to(0);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn whoever_is_over_the_capacity_begins_nothing_new() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let mut a = budget.holder();
        assert_eq!(poll(pin!(a.begin(11))), Poll::Ready(()));
        assert!(poll(pin!(a.begin(1))).is_pending());
        assert_eq!(poll(pin!(a.grow(1))), Poll::Ready(()));
        a.shrink(2);
        assert_eq!(poll(pin!(a.begin(1))), Poll::Ready(()));
    }

    #[test]
    fn serves_in_order_and_nobody_overtakes() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| budget.holder());
        assert_eq!(poll(pin!(a.begin(20))), Poll::Ready(()));
        let mut first = pin!(b.begin(10));
        let mut second = pin!(c.begin(1));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        a.shrink(15);
        assert!(!d.try_begin(1), "two wait already");
        assert_eq!(poll(first), Poll::Ready(()));
        assert!(poll(second.as_mut()).is_pending(), "the first went over the capacity");
        drop(a);
        assert_eq!(poll(second), Poll::Ready(()));
        assert_eq!(budget.used(), 11);
    }

    #[test]
    fn a_dropped_wait_loses_its_place_and_leaks_nothing() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let [mut a, mut b, mut c] = [(); 3].map(|()| budget.holder());
        assert_eq!(poll(pin!(a.begin(11))), Poll::Ready(()));
        assert!(poll(pin!(b.begin(5))).is_pending());
        {
            let mut served_unseen = Box::pin(b.begin(5));
            assert!(poll(served_unseen.as_mut()).is_pending());
            let mut behind = pin!(c.begin(10));
            assert!(poll(behind.as_mut()).is_pending());
            a.shrink(5);
            assert_eq!(budget.used(), 11, "the first in line was served");
            drop(served_unseen);
            assert_eq!(poll(behind), Poll::Ready(()));
        }
        assert_eq!((a.held(), b.held(), c.held(), budget.used()), (6, 0, 10, 16));
        assert_eq!(poll(pin!(c.grow(1))), Poll::Ready(()), "the right to go over went on to it");
        drop((a, b, c));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn evicts_the_oldest_that_stalls_and_no_more_than_needed() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let [mut old, mut young, mut starved] = [(); 3].map(|()| budget.holder());
        let [old_due, young_due, starved_due] = [&old, &young, &starved].map(Holding::eviction);
        assert!(young.try_begin(4) && old.try_begin(4) && starved.try_begin(1));
        young.holder.account.progressed.store(2, SeqCst);
        old.holder.account.progressed.store(1, SeqCst);
        starved.holder.account.progressed.store(0, SeqCst);
        let mut over = budget.holder();
        assert_eq!(poll(pin!(over.begin(2))), Poll::Ready(()));
        over.holder.account.progressed.store(3, SeqCst);
        let mut waiting = pin!(starved.grow(3));
        assert!(poll(waiting.as_mut()).is_pending());
        sweep_after(&budget, STALL / 2);
        assert!(!old_due.is_due());
        let mut noticed = pin!(old_due.due());
        assert!(poll(noticed.as_mut()).is_pending());
        sweep_after(&budget, STALL * 2);
        assert_eq!(poll(noticed), Poll::Ready(()));
        assert_eq!((young_due.is_due(), starved_due.is_due()), (false, false));
        sweep_after(&budget, STALL * 2);
        assert_eq!(budget.evictions_total(), 1, "one that goes is enough");
        drop(old);
        assert_eq!(poll(waiting), Poll::Ready(()));
    }

    #[test]
    fn a_part_that_begins_something_does_not_hide_that_another_starves() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let mut over = budget.holder();
        let mut walk = budget.holder();
        let mut reader = walk.sibling();
        let due = walk.eviction();
        assert!(walk.try_begin(2));
        assert_eq!(poll(pin!(over.begin(9))), Poll::Ready(()));
        let mut starving = pin!(walk.grow(1));
        assert!(poll(starving.as_mut()).is_pending());
        assert!(poll(pin!(reader.begin(1))).is_pending(), "it waits, and then gives up");
        sweep_after(&budget, STALL * 2);
        assert!(!due.is_due());
        assert!(over.eviction().is_due());
        over.shrink_to(0);
        assert_eq!(poll(starving), Poll::Ready(()));
    }

    #[test]
    fn what_is_spared_is_never_asked_for() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let mut large = budget.holder();
        assert_eq!(poll(pin!(large.begin(11))), Poll::Ready(()));
        let mut small = budget.holder().sparing(4);
        assert_eq!(poll(pin!(small.begin_cover(4))), Poll::Ready(()));
        assert!(poll(pin!(small.begin_cover(5))).is_pending());
        large.shrink_to(0);
        assert_eq!(poll(pin!(small.cover(7))), Poll::Ready(()));
        assert_eq!((small.held(), small.covered()), (3, 7));
        small.shrink_to(6);
        assert_eq!(small.held(), 2);
        small.shrink_to(1);
        assert_eq!((small.held(), budget.used()), (0, 0));
    }

    #[test]
    fn a_capacity_that_is_lowered_below_what_is_held_lets_everybody_finish_one_after_the_other() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(30, STALL);
        let [mut a, mut b, mut c] = [(); 3].map(|()| budget.holder());
        for holder in [&mut a, &mut b, &mut c] {
            assert!(holder.try_begin(10));
        }
        budget.resize(5, STALL);
        assert_eq!((budget.used(), budget.capacity()), (30, 5), "nobody loses what he holds");
        assert_eq!(poll(pin!(a.grow(10))), Poll::Ready(()), "the first goes on");
        {
            let mut third = pin!(c.grow(10));
            {
                let mut second = pin!(b.grow(10));
                assert!(poll(second.as_mut()).is_pending());
                assert!(poll(third.as_mut()).is_pending());
                assert!(a.try_grow(5), "whoever is over may finish");
                a.shrink_to(0);
                assert_eq!(poll(second), Poll::Ready(()));
                assert!(poll(third.as_mut()).is_pending());
            }
            b.shrink_to(0);
            assert_eq!(poll(third), Poll::Ready(()));
        }
        assert!(!a.try_begin(1));
        c.shrink_to(0);
        assert!(a.try_begin(5) && !b.try_begin(1), "the new capacity is kept");
    }

    #[test]
    fn a_capacity_that_is_raised_serves_those_in_line() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let budget = MemoryBudget::new(10, STALL);
        let [mut a, mut b, mut c] = [(); 3].map(|()| budget.holder());
        assert_eq!(poll(pin!(a.begin(11))), Poll::Ready(()));
        let (mut first, mut second) = (pin!(b.begin(5)), pin!(c.begin(5)));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        budget.resize(100, STALL);
        assert_eq!((poll(first), poll(second)), (Poll::Ready(()), Poll::Ready(())));
        assert_eq!(budget.used(), 21);
    }

    #[test]
    fn nobody_is_evicted_while_the_budget_suffices() {
        let budget = MemoryBudget::new(10, Duration::ZERO);
        let mut a = budget.holder();
        assert!(a.try_begin(10));
        sweep_after(&budget, STALL);
        assert!(!a.eviction().is_due());
    }

    #[test]
    fn a_waiter_sees_to_evictions_itself() {
        let budget = MemoryBudget::new(10, Duration::ZERO);
        runtime().block_on(async {
            let mut stalled = budget.holder();
            stalled.begin(20).await;
            let due = stalled.eviction();
            let mut waiting = budget.holder();
            tokio::join!(waiting.grow(5), async {
                due.due().await;
                drop(stalled);
            });
            assert_eq!(budget.used(), 5);
        });
    }

    /// One connection of the simulation: a sequence of requests, one after the other.
    struct Connection {
        state: State,
        left: usize,
    }

    enum State {
        Idle(Holding),
        Waiting(Pin<Box<dyn Future<Output = Holding>>>, oneshot::Sender<()>),
        Gone,
    }

    impl Connection {
        /// Asks for the next part of the request, or finishes it. `Err`: it waits.
        fn step(&mut self, request: usize, part: usize) -> bool {
            match std::mem::replace(&mut self.state, State::Gone) {
                State::Idle(mut holding) if holding.held() > 0 && self.left == 0 => {
                    holding.shrink_to(0);
                    self.state = State::Idle(holding);
                    true
                }
                State::Idle(mut holding) => {
                    let begins = holding.held() == 0;
                    self.left = if begins { request } else { self.left };
                    let part = part.min(self.left);
                    self.left -= part;
                    let (cancel, cancelled) = oneshot::channel();
                    let wait = async move {
                        tokio::select! {
                            biased;
                            _ = cancelled => {}
                            () = async { if begins { holding.begin(part).await } else { holding.grow(part).await } } => {}
                        }
                        holding
                    };
                    self.state = State::Waiting(Box::pin(wait), cancel);
                    self.settle()
                }
                waiting @ State::Waiting(..) => {
                    self.state = waiting;
                    self.settle()
                }
                State::Gone => false,
            }
        }

        fn settle(&mut self) -> bool {
            if let State::Waiting(wait, _) = &mut self.state {
                match poll(wait.as_mut()) {
                    Poll::Ready(holding) => self.state = State::Idle(holding),
                    Poll::Pending => return false,
                }
            }
            true
        }

        /// Gives up the wait; what is held of the request goes too, as when a client disconnects.
        fn cancel(&mut self) {
            if let State::Waiting(mut wait, cancel) =
                std::mem::replace(&mut self.state, State::Gone)
            {
                cancel.send(()).unwrap();
                let Poll::Ready(mut holding) = poll(wait.as_mut()) else { panic!("cancelled") };
                holding.shrink_to(0);
                self.left = 0;
                self.state = State::Idle(holding);
            }
        }

        fn busy(&self) -> bool {
            match &self.state {
                State::Idle(holding) => holding.held() > 0,
                State::Waiting(..) => true,
                State::Gone => false,
            }
        }
    }

    const CAPACITY: usize = 100;
    const REQUEST: usize = 60;

    fn operation() -> impl Strategy<Value = (usize, u8, usize, usize)> {
        (0..6_usize, 0..20_u8, 1..=REQUEST, 1..=REQUEST)
    }

    proptest! {
        #[test]
        fn any_interleaving_stays_bounded_completes_and_returns_to_zero(
            operations in proptest::collection::vec(operation(), 1..200),
        ) {
            let runtime = runtime();
            let _entered = runtime.enter();
            let budget = MemoryBudget::new(CAPACITY, STALL);
            let open = || Connection { state: State::Idle(budget.holder()), left: 0 };
            let mut connections: Vec<_> = (0..6).map(|_| open()).collect();
            for (which, what, request, part) in operations {
                match what {
                    0 => connections[which] = open(),
                    1 => connections[which].cancel(),
                    _ => { connections[which].step(request, part); }
                }
                prop_assert!(budget.used() <= CAPACITY + REQUEST, "{} used", budget.used());
            }
            while connections.iter().any(Connection::busy) {
                let mut moved = false;
                for connection in connections.iter_mut().filter(|connection| connection.busy()) {
                    moved |= connection.step(1, REQUEST);
                    prop_assert!(budget.used() <= CAPACITY + REQUEST);
                }
                prop_assert!(moved, "nobody can proceed");
            }
            prop_assert_eq!(budget.used(), 0);
            drop(connections);
            prop_assert!(budget.lock().accounts.is_empty() && budget.lock().waiters.is_empty());
        }
    }

    #[test]
    fn threads_that_compete_leave_nothing_behind() {
        let budget = MemoryBudget::new(CAPACITY, STALL);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..8_usize {
                let mut holding = budget.holder();
                let budget = Arc::clone(&budget);
                tasks.spawn(async move {
                    for round in 0..500_usize {
                        holding.begin(1 + (task * 7 + round) % 30).await;
                        holding.grow(1 + (task + round * 3) % 30).await;
                        assert!(budget.used() <= CAPACITY + REQUEST);
                        holding.shrink_to(0);
                    }
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        });
        assert_eq!((budget.used(), budget.lock().accounts.len()), (0, 0));
    }
}
