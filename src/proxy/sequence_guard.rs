//! Gaps that withheld batches leave in the sequences of idempotent producers, and the followers that must not pass them.
//! No sockets and no clock: callers pass the time.
//!
//! A broker that has no state for a producer takes any sequence as its first. If a batch is withheld and its pipelined
//! follower forwarded, the client renumbers and a later valid batch is taken for a duplicate: acknowledged and lost. So
//! the guard does what a broker with state does: it answers followers 45 until the missing batch has been forwarded, and
//! then those that were stopped one after the other. A bad batch that overtook them would be refused for good too early:
//! a client that answers that with a new epoch renumbers good batches that are still under way.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::wire::{TopicId, TopicKey};

/// On whose behalf a connection speaks. A gap blocks only the identity that caused it: nobody can block somebody else's
/// producer id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Whoever comes from `address` to the listener called `listener`. The port is left out: a client that comes back
    /// has another one.
    #[must_use]
    pub fn peer(listener: &str, address: IpAddr) -> Self {
        Self(format!("{listener} {address}").into())
    }

    /// Whoever shows a certificate of `subject` to the listener called `listener`, from whatever address.
    #[must_use]
    pub fn subject(listener: &str, subject: &str) -> Self {
        // No address begins like this.
        Self(format!("{listener} subject {subject}").into())
    }

    /// Whoever has logged in as `user` by `mechanism` at the listener called `listener`. The mechanism is a part of it:
    /// names mean something within one only.
    #[must_use]
    pub fn user(listener: &str, mechanism: &str, user: &str) -> Self {
        Self(format!("{listener} user {mechanism} {user}").into())
    }
}

/// A batch of an idempotent producer, as the guard sees it.
#[derive(Debug, Clone, Copy)]
pub struct SequencedBatch<'a> {
    /// Who sent it.
    pub identity: &'a Identity,
    /// Its topic, as its request names it.
    pub topic: TopicKey<'a>,
    /// Its partition.
    pub partition: i32,
    /// Its producer id; negative for a producer that is not idempotent.
    pub producer_id: i64,
    /// Its producer epoch.
    pub epoch: i16,
    /// Sequence of its first record; negative where there is none.
    pub base_sequence: i32,
    /// How many records it declares.
    pub records: i32,
}

impl SequencedBatch<'_> {
    const fn is_sequenced(&self) -> bool {
        self.producer_id >= 0 && self.base_sequence >= 0
    }

    const fn position(&self) -> Position {
        Position { epoch: self.epoch, sequence: self.base_sequence }
    }

    /// Where the next batch begins.
    const fn end(&self) -> Position {
        let sequence = self.base_sequence.wrapping_add(self.records) & i32::MAX;
        Position { epoch: self.epoch, sequence }
    }

    fn key(&self) -> GuardKey {
        let topic = match self.topic {
            TopicKey::Id(id) => TopicSlot::Id(id),
            TopicKey::Name(name) => TopicSlot::Name(name.into()),
        };
        GuardKey {
            identity: self.identity.clone(),
            topic,
            partition: self.partition,
            producer_id: self.producer_id,
        }
    }
}

/// All open gaps of the process.
#[derive(Debug)]
pub struct SequenceGuard {
    max_entries: AtomicUsize,
    /// Number of gaps, so that nobody locks while there is none.
    open: AtomicUsize,
    table: Mutex<Table>,
}

impl SequenceGuard {
    /// A guard that remembers at most `max_entries` gaps, the newest ones, each until nothing was withheld for it for
    /// `expiry`.
    #[must_use]
    pub fn new(max_entries: usize, expiry: Duration) -> Self {
        Self {
            max_entries: AtomicUsize::new(max_entries),
            open: AtomicUsize::new(0),
            table: Mutex::new(Table { expiry, ..Table::default() }),
        }
    }

    /// Changes both bounds. Gaps that are open stay, the newest ones where there are too many.
    pub fn resize(&self, max_entries: usize, expiry: Duration) {
        self.max_entries.store(max_entries, SeqCst);
        self.lock().expiry = expiry;
    }

    /// Whether `batch` follows an open gap: it must be answered 45 before it is looked at. That opens nothing new, but
    /// the gap will move up to it.
    #[must_use]
    pub fn blocks(&self, batch: &SequencedBatch<'_>, now: Instant) -> bool {
        if self.open_gaps() == 0 || !batch.is_sequenced() {
            return false;
        }
        let key = batch.key();
        self.with(now, |table| table.stop(&key, batch))
    }

    /// Notes that `batch` was judged and is not forwarded, whatever it is answered. Not for what [`Self::blocks`] stopped.
    ///
    /// The gap is open from now on, so that the followers behind it on the same connection are stopped. It goes again
    /// with its ticket: see there. A connection that is known to be gone judges nothing more and calls nothing here.
    #[must_use = "dropping the ticket takes the gap back"]
    pub fn withheld(self: &Arc<Self>, batch: &SequencedBatch<'_>, now: Instant) -> GapTicket {
        let max_entries = self.max_entries.load(SeqCst);
        if !batch.is_sequenced() || max_entries == 0 {
            return GapTicket(None);
        }
        let key = batch.key();
        let claim = self.with(now, |table| {
            table.make_room(&key, max_entries);
            table.claim(&key, batch, now)
        });
        GapTicket(Some(OpenTicket { guard: Arc::clone(self), key, claim }))
    }

    /// Notes that `batch` goes to the broker. The gap that waited for exactly it moves on to what was stopped behind it,
    /// and closes where there is no such thing.
    pub fn forwarded(&self, batch: &SequencedBatch<'_>, now: Instant) {
        if self.open_gaps() == 0 || !batch.is_sequenced() {
            return;
        }
        let key = batch.key();
        self.with(now, |table| table.fill(&key, batch, now));
    }

    /// Gaps that are open.
    #[must_use]
    pub fn open_gaps(&self) -> usize {
        self.open.load(SeqCst)
    }

    fn with<T>(&self, now: Instant, act: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        table.expire(now);
        let result = act(&mut table);
        self.open.store(table.gaps.len(), SeqCst);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, ticket: &OpenTicket, outcome: Outcome) {
        let mut table = self.lock();
        table.settle(&ticket.key, ticket.claim, outcome);
        self.open.store(table.gaps.len(), SeqCst);
    }
}

/// What keeps a gap open while its answer is under way. Dropped before [`Self::told`] it takes the gap back: nobody was
/// told, so the batch will come again as if it had never been here.
///
/// Keep it with the answer. Of a connection that dies, drop tickets only when no more of its requests can be forwarded:
/// the followers that it had pipelined would find the way open.
#[derive(Debug)]
pub struct GapTicket(Option<OpenTicket>);

impl GapTicket {
    /// The answer was written to the client: the gap stays until the batch is forwarded.
    pub fn told(mut self) {
        if let Some(open) = self.0.take() {
            open.guard.settle(&open, Outcome::Told);
        }
    }
}

impl Drop for GapTicket {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.guard.settle(&open, Outcome::TakenBack);
        }
    }
}

#[derive(Debug)]
struct OpenTicket {
    guard: Arc<SequenceGuard>,
    key: GuardKey,
    claim: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    TakenBack,
    Told,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct GuardKey {
    identity: Identity,
    topic: TopicSlot,
    partition: i32,
    producer_id: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TopicSlot {
    Id(TopicId),
    Name(Arc<str>),
}

/// Where a batch stands among those of its producer and partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    epoch: i16,
    sequence: i32,
}

impl Position {
    /// Whether `other` has to wait while this one is missing. What is older passes: retries of earlier batches, and
    /// epochs that the broker fences. Sequence 0 of a newer epoch is a fresh start.
    const fn blocks(self, other: Self) -> bool {
        if other.epoch == self.epoch {
            is_follower(other.sequence, self.sequence)
        } else {
            other.epoch > self.epoch && other.sequence != 0
        }
    }

    /// Whether nothing is missing any more once `other` is at the broker.
    const fn is_filled_by(self, other: Self) -> bool {
        if other.epoch == self.epoch {
            other.sequence == self.sequence
        } else {
            other.epoch > self.epoch && other.sequence == 0
        }
    }

    /// The one of two missing batches that counts: that of the newer epoch, then the lower one.
    const fn deciding(self, other: Self) -> Self {
        let newer = other.epoch > self.epoch;
        let lower = other.epoch == self.epoch && is_follower(self.sequence, other.sequence);
        if newer || lower { other } else { self }
    }
}

/// Whether `sequence` comes after `missing`, at most half the way round. Sequences run from 0 to 2^31 - 1 and start again at 0.
const fn is_follower(sequence: i32, missing: i32) -> bool {
    let ahead = sequence.wrapping_sub(missing) & i32::MAX;
    1 <= ahead && ahead <= MAX_AHEAD
}

const MAX_AHEAD: i32 = (1 << 30) - 1;

/// What is missing of one producer in one partition.
#[derive(Debug)]
struct Gap {
    /// What clients know to be missing, or have to send next.
    told: Option<Position>,
    /// What is missing by answers that are still under way, by claim.
    pending: Vec<(u64, Position)>,
    /// Where the last of the batches ends that were withheld or stopped.
    until: Position,
    /// Place in the order of age.
    age: u64,
    touched: Instant,
}

impl Gap {
    fn missing(&self) -> Option<Position> {
        let pending = self.pending.iter().map(|(_, position)| *position);
        self.told.into_iter().chain(pending).reduce(Position::deciding)
    }

    /// Where the last batch that was stopped ends in `epoch`, at most. Batches of an older epoch are sent again in the
    /// new one, which starts at 0.
    const fn until_in(&self, epoch: i16, missing: Position) -> Position {
        if self.until.epoch >= epoch {
            return self.until;
        }
        let first = if missing.epoch == self.until.epoch { missing.sequence } else { 0 };
        Position { epoch, sequence: self.until.sequence.wrapping_sub(first) & i32::MAX }
    }

    fn extend(&mut self, end: Position) {
        let farther =
            end.epoch == self.until.epoch && is_follower(end.sequence, self.until.sequence);
        if farther || end.epoch > self.until.epoch {
            self.until = end;
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    gaps: HashMap<GuardKey, Gap>,
    /// Keys of `gaps`, the one first that was touched longest ago.
    by_age: BTreeMap<u64, GuardKey>,
    /// How long a gap is remembered for which nothing was withheld.
    expiry: Duration,
    /// Numbers claims and ages; never the same twice, so that a late ticket cannot meet somebody else's gap.
    ids: u64,
}

impl Table {
    const fn next_id(&mut self) -> u64 {
        self.ids = self.ids.wrapping_add(1);
        self.ids
    }

    fn remove(&mut self, key: &GuardKey) {
        if let Some(gap) = self.gaps.remove(key) {
            self.by_age.remove(&gap.age);
        }
    }

    fn expire(&mut self, now: Instant) {
        let expiry = self.expiry;
        while let Some((_, key)) = self.by_age.first_key_value() {
            let gap = self.gaps.get(key);
            if gap.is_some_and(|gap| now.saturating_duration_since(gap.touched) < expiry) {
                break;
            }
            if let Some((_, key)) = self.by_age.pop_first() {
                self.gaps.remove(&key);
            }
        }
    }

    /// Forgets the oldest gaps where one more for `key` would be too many.
    fn make_room(&mut self, key: &GuardKey, max_entries: usize) {
        if self.gaps.contains_key(key) {
            return;
        }
        while self.gaps.len() >= max_entries {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.gaps.remove(&oldest);
        }
    }

    fn touch(&mut self, key: &GuardKey, now: Instant) {
        let age = self.next_id();
        if let Some(gap) = self.gaps.get_mut(key) {
            self.by_age.remove(&gap.age);
            self.by_age.insert(age, key.clone());
            (gap.age, gap.touched) = (age, now);
        }
    }

    fn claim(&mut self, key: &GuardKey, batch: &SequencedBatch<'_>, now: Instant) -> u64 {
        let claim = self.next_id();
        let fresh =
            || Gap { told: None, pending: Vec::new(), until: batch.end(), age: 0, touched: now };
        let gap = self.gaps.entry(key.clone()).or_insert_with(fresh);
        gap.pending.push((claim, batch.position()));
        gap.extend(batch.end());
        self.touch(key, now);
        claim
    }

    fn stop(&mut self, key: &GuardKey, batch: &SequencedBatch<'_>) -> bool {
        let Some(gap) = self.gaps.get_mut(key) else { return false };
        let stopped = gap.missing().is_some_and(|missing| missing.blocks(batch.position()));
        if stopped {
            gap.extend(batch.end());
        }
        stopped
    }

    fn fill(&mut self, key: &GuardKey, batch: &SequencedBatch<'_>, now: Instant) {
        let Some(gap) = self.gaps.get_mut(key) else { return };
        let missing = gap.missing().filter(|missing| missing.is_filled_by(batch.position()));
        let Some(missing) = missing else { return };
        let next = batch.end();
        let until = gap.until_in(next.epoch, missing);
        if next.epoch == until.epoch && next.blocks(until) {
            gap.pending.clear();
            gap.told = Some(next);
            gap.until = until;
            self.touch(key, now);
        } else {
            self.remove(key);
        }
    }

    fn settle(&mut self, key: &GuardKey, claim: u64, outcome: Outcome) {
        let Some(gap) = self.gaps.get_mut(key) else { return };
        let Some(index) = gap.pending.iter().position(|(id, _)| *id == claim) else { return };
        let (_, position) = gap.pending.remove(index);
        if outcome == Outcome::Told {
            gap.told = Some(gap.told.map_or(position, |told| told.deciding(position)));
        }
        if gap.missing().is_none() {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
