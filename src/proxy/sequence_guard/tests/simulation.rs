//! Simulated producers, proxy and broker: one partition, five requests in flight, refusals, outages, lost connections.

use super::*;
use std::collections::VecDeque;

const NONE: i16 = 0;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const OUT_OF_ORDER: i16 = 45;
const FENCED: i16 = 47;
const INVALID_RECORD: i16 = 87;
const MAX_IN_FLIGHT: usize = 5;

/// A small deterministic source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Copy)]
struct Request {
    batch: usize,
    epoch: i16,
    base: i32,
    count: i32,
}

fn after(base: i32, count: i32) -> i32 {
    base.wrapping_add(count) & LAST
}

/// What a broker keeps of one producer in one partition: epoch and its last five batches.
#[derive(Default)]
struct Broker {
    state: Option<(i16, VecDeque<(i32, i32)>)>,
    log: Vec<usize>,
}

impl Broker {
    fn append(&mut self, request: Request) -> i16 {
        let range = (request.base, request.count);
        let (epoch, batches) = self.state.get_or_insert_with(|| (request.epoch, VecDeque::new()));
        if request.epoch < *epoch {
            return FENCED;
        }
        if request.epoch > *epoch {
            if request.base != 0 {
                return OUT_OF_ORDER;
            }
            (*epoch, *batches) = (request.epoch, VecDeque::new());
        }
        if batches.contains(&range) {
            return NONE;
        }
        if batches.back().is_some_and(|(base, count)| after(*base, *count) != request.base) {
            return OUT_OF_ORDER;
        }
        batches.push_back(range);
        if batches.len() > 5 {
            batches.pop_front();
        }
        self.log.push(request.batch);
        NONE
    }
}

/// What a producer does when a batch is refused for good, or out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A new epoch, everything in flight renumbered from 0 (Java since 2.5).
    BumpEpoch,
    /// Later batches are renumbered within the epoch (Java up to 2.4).
    Renumber,
    /// Nothing is ever renumbered; out of order at the head of the line is fatal (librdkafka).
    HeadOfLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Queued,
    OnTheWire,
    Acknowledged,
    Failed(i16),
}

struct Batch {
    count: i32,
    epoch: i16,
    base: i32,
    renumbered: bool,
    fate: Fate,
}

impl Batch {
    fn is_done(&self) -> bool {
        !matches!(self.fate, Fate::Queued | Fate::OnTheWire)
    }
}

struct Producer {
    style: Style,
    batches: Vec<Batch>,
    total: usize,
    epoch: i16,
    next: i32,
    /// The sequence that comes after the last acknowledged one.
    expected: i32,
    wants_epoch: bool,
}

impl Producer {
    fn new(style: Style, total: usize, first: i32) -> Self {
        let batches = Vec::new();
        Self { style, batches, total, epoch: 0, next: first, expected: first, wants_epoch: false }
    }

    fn is_done(&self) -> bool {
        self.batches.len() == self.total && self.batches.iter().all(Batch::is_done)
    }

    fn next_request(&mut self, chance: &mut Chance) -> Option<Request> {
        self.bump_epoch();
        let open = |batch: &Batch| batch.fate == Fate::OnTheWire;
        if self.batches.iter().filter(|batch| open(batch)).count() == MAX_IN_FLIGHT {
            return None;
        }
        let retry = self.batches.iter().position(|batch| batch.fate == Fate::Queued);
        let batch = match retry {
            // Java retries only the oldest batch in flight, and lets nothing new overtake it.
            Some(retry)
                if self.style != Style::HeadOfLine && self.batches[..retry].iter().any(open) =>
            {
                return None;
            }
            Some(retry) => retry,
            None if self.batches.len() == self.total => return None,
            None => self.seal(i32::try_from(1 + chance.below(3)).unwrap()),
        };
        let Batch { count, epoch, base, .. } = self.batches[batch];
        self.batches[batch].fate = Fate::OnTheWire;
        self.batches[batch].renumbered = false;
        Some(Request { batch, epoch, base, count })
    }

    fn seal(&mut self, count: i32) -> usize {
        let fresh = Batch {
            count,
            epoch: self.epoch,
            base: self.next,
            renumbered: false,
            fate: Fate::Queued,
        };
        self.next = after(self.next, count);
        self.batches.push(fresh);
        self.batches.len() - 1
    }

    fn answered(&mut self, request: Request, code: i16) {
        let expected = self.expected;
        let batch = &mut self.batches[request.batch];
        batch.fate = match code {
            NONE => Fate::Acknowledged,
            NOT_ENOUGH_REPLICAS => Fate::Queued,
            OUT_OF_ORDER if batch.renumbered || batch.base != expected => Fate::Queued,
            code => Fate::Failed(code),
        };
        match batch.fate {
            Fate::Acknowledged => self.expected = after(batch.base, batch.count),
            Fate::Failed(_) if self.style == Style::BumpEpoch => self.wants_epoch = true,
            Fate::Failed(_) if self.style == Style::Renumber => self.close_ranks(request.batch),
            _ => {}
        }
    }

    fn bump_epoch(&mut self) {
        if !std::mem::take(&mut self.wants_epoch) {
            return;
        }
        self.epoch += 1;
        (self.next, self.expected) = (0, 0);
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_done()) {
            (batch.epoch, batch.base, batch.renumbered) = (self.epoch, self.next, true);
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

    fn disconnected(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| batch.fate == Fate::OnTheWire) {
            batch.fate = Fate::Queued;
        }
    }
}

struct World {
    guard: Arc<SequenceGuard>,
    me: Identity,
    now: Instant,
    broker: Broker,
    producer: Producer,
    chance: Chance,
    bad: Vec<bool>,
    /// Batches that were forwarded before: their schemas are cached, no outage concerns them any more.
    known: Vec<bool>,
    requests: VecDeque<Request>,
    answers: VecDeque<(Request, i16, Option<GapTicket>)>,
    outages: u32,
    disconnects: u32,
}

impl World {
    fn new(style: Style, seed: u64, guard: Arc<SequenceGuard>) -> Self {
        let mut chance = Chance(seed.max(1));
        let total = 5 + usize::try_from(chance.below(30)).unwrap();
        let first = [0, LAST - 4][usize::try_from(chance.below(2)).unwrap()];
        let some_bad = style != Style::HeadOfLine;
        let bad = (0..total).map(|_| some_bad && chance.below(6) == 0).collect();
        let mut broker = Broker::default();
        if chance.below(3) == 0 {
            broker.state = Some((0, VecDeque::from([(after(first, -2), 2)])));
        }
        Self {
            guard,
            me: identity(),
            now: Instant::now(),
            broker,
            producer: Producer::new(style, total, first),
            chance,
            bad,
            known: vec![false; total],
            requests: VecDeque::new(),
            answers: VecDeque::new(),
            outages: 15,
            disconnects: 4,
        }
    }

    fn step(&mut self) {
        match self.chance.below(100) {
            0..35 => {
                let request = self.producer.next_request(&mut self.chance);
                self.requests.extend(request);
            }
            35..65 => self.judge_next(),
            65..97 => {
                if let Some((request, code)) = self.write_next() {
                    self.producer.answered(request, code);
                }
            }
            _ => self.disconnect(),
        }
    }

    fn judge_next(&mut self) {
        let Some(request) = self.requests.pop_front() else { return };
        let batch = SequencedBatch {
            records: request.count,
            ..batch(&self.me, (request.epoch, request.base))
        };
        let (code, ticket) = if self.guard.blocks(&batch, self.now) {
            (OUT_OF_ORDER, None)
        } else if self.bad[request.batch] {
            (INVALID_RECORD, Some(self.guard.withheld(&batch, self.now)))
        } else if !self.known[request.batch] && self.outages > 0 && self.chance.below(4) == 0 {
            self.outages -= 1;
            (NOT_ENOUGH_REPLICAS, Some(self.guard.withheld(&batch, self.now)))
        } else {
            self.known[request.batch] = true;
            self.guard.forwarded(&batch, self.now);
            (self.broker.append(request), None)
        };
        self.answers.push_back((request, code, ticket));
    }

    fn write_next(&mut self) -> Option<(Request, i16)> {
        let (request, code, ticket) = self.answers.pop_front()?;
        if let Some(ticket) = ticket {
            ticket.told();
        }
        Some((request, code))
    }

    /// The client is gone: some answers are lost on the way, some requests are still judged before that is noticed.
    fn disconnect(&mut self) {
        if self.disconnects == 0 {
            return;
        }
        self.disconnects -= 1;
        for _ in 0..self.chance.below(4) {
            self.write_next();
        }
        for _ in 0..self.chance.below(6) {
            self.judge_next();
        }
        self.requests.clear();
        self.answers.clear();
        self.producer.disconnected();
    }

    /// Runs to the end; then every record is stored once or its producer knows that it is not, and all are in order.
    fn run(mut self) -> Result<(), String> {
        for _ in 0..200_000 {
            if self.producer.is_done() {
                return self.verify();
            }
            self.step();
        }
        Err("the producer never finishes".into())
    }

    fn verify(&self) -> Result<(), String> {
        let fates = self.producer.batches.iter().map(|batch| batch.fate);
        for (index, (fate, bad)) in fates.zip(&self.bad).enumerate() {
            let stored = self.broker.log.iter().filter(|stored| **stored == index).count();
            match (fate, stored) {
                (Fate::Acknowledged, 1) if !bad => {}
                (Fate::Failed(INVALID_RECORD), 0) if *bad => {}
                _ => return Err(format!("batch {index}: {fate:?}, stored {stored} times")),
            }
        }
        if self.broker.log.is_sorted() { Ok(()) } else { Err("stored out of order".into()) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_producer_loses_doubles_or_reorders_anything(seed: u64) {
        for style in [Style::BumpEpoch, Style::Renumber, Style::HeadOfLine] {
            let result = World::new(style, seed, guard(8)).run();
            prop_assert_eq!(result, Ok(()), "{:?}", style);
        }
    }
}

#[test]
fn without_the_guard_every_kind_of_producer_comes_to_harm() {
    for style in [Style::BumpEpoch, Style::Renumber, Style::HeadOfLine] {
        let harmed = (1..200).any(|seed| World::new(style, seed, guard(0)).run().is_err());
        assert!(harmed, "{style:?}: the simulation shows nothing");
    }
}
