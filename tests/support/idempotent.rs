//! Idempotent producers and the broker's side of idempotence, without sockets and clocks: what the protocol says about
//! sequences, as a model that a simulation drives.

use std::collections::{BTreeMap, VecDeque};

pub const NONE: i16 = 0;
pub const NOT_LEADER: i16 = 6;
pub const NOT_ENOUGH_REPLICAS: i16 = 19;
pub const OUT_OF_ORDER: i16 = 45;
pub const FENCED: i16 = 47;
pub const INVALID_RECORD: i16 = 87;
/// Batches of one partition that a producer has under way at once.
pub const MAX_IN_FLIGHT: usize = 5;
/// The last sequence before 0 comes again.
pub const LAST: i32 = i32::MAX;

/// A small deterministic source of chance.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Whether something happens that does in `percent` of all cases.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// The sequence `count` records after `base`.
pub const fn after(base: i32, count: i32) -> i32 {
    base.wrapping_add(count) & LAST
}

/// A batch as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub line: usize,
    pub batch: usize,
    pub epoch: i16,
    pub base: i32,
    pub count: i32,
}

/// What a broker keeps of one producer in one partition: its epoch, and base, count and offset of its last five batches.
#[derive(Debug, Default)]
struct Kept {
    epoch: i16,
    batches: VecDeque<(i32, i32, i64)>,
}

/// What a broker remembers of the producers of one partition.
#[derive(Debug, Default)]
pub struct ProducerStates(BTreeMap<i64, Kept>);

/// What a broker does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Append,
    /// It is there already, at this offset.
    Duplicate(i64),
    Refuse(i16),
}

impl ProducerStates {
    /// Remembers a last batch, as of traffic before the simulation.
    pub fn remember(&mut self, producer: i64, base: i32, count: i32) {
        let batches = VecDeque::from([(base, count, -1)]);
        self.0.insert(producer, Kept { epoch: 0, batches });
    }

    /// Decides about a batch that would be appended at `offset`.
    pub fn offer(&mut self, producer: i64, sent: (i16, i32, i32), offset: i64) -> Decision {
        let (epoch, base, count) = sent;
        let fresh = || Kept { epoch, batches: VecDeque::new() };
        let kept = self.0.entry(producer).or_insert_with(fresh);
        if epoch < kept.epoch {
            return Decision::Refuse(FENCED);
        }
        if epoch > kept.epoch {
            if base != 0 {
                return Decision::Refuse(OUT_OF_ORDER);
            }
            *kept = Kept { epoch, batches: VecDeque::new() };
        }
        let same = kept.batches.iter().find(|(known, many, _)| (*known, *many) == (base, count));
        if let Some((_, _, offset)) = same {
            return Decision::Duplicate(*offset);
        }
        if kept.batches.back().is_some_and(|(last, many, _)| after(*last, *many) != base) {
            return Decision::Refuse(OUT_OF_ORDER);
        }
        kept.batches.push_back((base, count, offset));
        if kept.batches.len() > 5 {
            kept.batches.pop_front();
        }
        Decision::Append
    }
}

/// What a producer does when a batch is refused for good, or out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A new epoch, everything in flight renumbered from 0 (Java since 2.5).
    BumpEpoch,
    /// Later batches are renumbered within the epoch (Java up to 2.4).
    Renumber,
    /// Nothing is ever renumbered; out of order at the head of the line is fatal (librdkafka).
    HeadOfLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Queued,
    OnTheWire,
    Acknowledged,
    Failed(i16),
}

#[derive(Debug)]
pub struct Batch {
    pub count: i32,
    pub fate: Fate,
    epoch: i16,
    base: i32,
    renumbered: bool,
}

impl Batch {
    pub const fn is_done(&self) -> bool {
        matches!(self.fate, Fate::Acknowledged | Fate::Failed(_))
    }
}

/// The batches of one producer for one partition.
#[derive(Debug)]
pub struct Line {
    pub batches: Vec<Batch>,
    total: usize,
    epoch: i16,
    next: i32,
    /// The sequence that comes after the last acknowledged one.
    expected: i32,
    wants_epoch: bool,
    /// Out of order at the head of the line, which nothing but a new epoch cures: its producer has stopped.
    pub gave_up: bool,
}

impl Line {
    /// A line of `total` batches that begins with sequence `first`.
    pub const fn new(total: usize, first: i32) -> Self {
        let batches = Vec::new();
        let (next, expected) = (first, first);
        Self { batches, total, epoch: 0, next, expected, wants_epoch: false, gave_up: false }
    }

    pub fn is_done(&self) -> bool {
        if self.gave_up {
            return self.on_the_wire() == 0;
        }
        self.batches.len() == self.total && self.batches.iter().all(Batch::is_done)
    }

    /// Batches that were sent and not answered.
    pub fn on_the_wire(&self) -> usize {
        self.batches.iter().filter(|batch| batch.fate == Fate::OnTheWire).count()
    }

    fn renumber_all(&mut self, epoch: i16) {
        (self.epoch, self.next, self.expected) = (epoch, 0, 0);
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_done()) {
            (batch.epoch, batch.base, batch.renumbered) = (epoch, self.next, true);
            self.next = after(self.next, batch.count);
        }
    }

    fn close_ranks(&mut self, failed: usize) {
        let count = self.batches[failed].count;
        self.next = after(self.next, -count);
        for batch in self.batches[failed..].iter_mut().filter(|batch| !batch.is_done()) {
            (batch.base, batch.renumbered) = (after(batch.base, -count), true);
        }
    }
}

/// An idempotent producer with a line for each partition.
#[derive(Debug)]
pub struct Producer {
    pub style: Style,
    pub lines: Vec<Line>,
    epoch: i16,
}

impl Producer {
    pub const fn new(style: Style, lines: Vec<Line>) -> Self {
        Self { style, lines, epoch: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.lines.iter().all(Line::is_done)
    }

    /// What `line` sends next, if it may send anything; `count` says how many records a new batch has.
    pub fn next(&mut self, line: usize, count: impl FnOnce(usize) -> i32) -> Option<Sent> {
        self.catch_up(line);
        let style = self.style;
        let at = &mut self.lines[line];
        if at.gave_up || at.on_the_wire() == MAX_IN_FLIGHT {
            return None;
        }
        let retry = at.batches.iter().position(|batch| batch.fate == Fate::Queued);
        let open = |batch: &Batch| batch.fate == Fate::OnTheWire;
        let batch = match retry {
            // Java retries only the oldest batch in flight, and lets nothing new overtake it.
            Some(retry) if style != Style::HeadOfLine && at.batches[..retry].iter().any(open) => {
                return None;
            }
            Some(retry) => retry,
            None if at.batches.len() == at.total => return None,
            None => self.seal(line, count(self.lines[line].batches.len())),
        };
        let sent = &mut self.lines[line].batches[batch];
        (sent.fate, sent.renumbered) = (Fate::OnTheWire, false);
        let Batch { count, epoch, base, .. } = *sent;
        Some(Sent { line, batch, epoch, base, count })
    }

    /// Takes note of the code that a batch was answered with.
    pub fn answered(&mut self, sent: Sent, code: i16) {
        let style = self.style;
        let line = &mut self.lines[sent.line];
        let expected = line.expected;
        let batch = &mut line.batches[sent.batch];
        let at_head = !batch.renumbered && batch.base == expected;
        batch.fate = match code {
            NONE => Fate::Acknowledged,
            NOT_ENOUGH_REPLICAS | NOT_LEADER => Fate::Queued,
            OUT_OF_ORDER if !at_head || style == Style::BumpEpoch => Fate::Queued,
            code => Fate::Failed(code),
        };
        match batch.fate {
            Fate::Acknowledged => line.expected = after(batch.base, batch.count),
            Fate::Failed(OUT_OF_ORDER) => line.gave_up = true,
            Fate::Failed(_) if style == Style::Renumber => line.close_ranks(sent.batch),
            Fate::Failed(_) if style == Style::BumpEpoch => line.wants_epoch = true,
            Fate::Queued if code == OUT_OF_ORDER && at_head => line.wants_epoch = true,
            _ => {}
        }
    }

    /// A batch will not be answered: its connection is lost.
    pub fn lost(&mut self, sent: Sent) {
        self.lines[sent.line].batches[sent.batch].fate = Fate::Queued;
    }

    /// Begins a new epoch where the line wants one, or the one that other lines have begun once nothing is open.
    fn catch_up(&mut self, line: usize) {
        let at = &mut self.lines[line];
        if std::mem::take(&mut at.wants_epoch) {
            self.epoch += 1;
            at.renumber_all(self.epoch);
        } else if at.epoch < self.epoch && at.batches.iter().all(Batch::is_done) {
            at.renumber_all(self.epoch);
        }
    }

    fn seal(&mut self, line: usize, count: i32) -> usize {
        let line = &mut self.lines[line];
        let (epoch, base) = (line.epoch, line.next);
        line.next = after(line.next, count);
        line.batches.push(Batch { count, fate: Fate::Queued, epoch, base, renumbered: false });
        line.batches.len() - 1
    }
}
