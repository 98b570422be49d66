//! An idempotent producer that does what clients do, byte by byte and nothing else: five batches under way, everything
//! unanswered again from the first after a fault, and a new epoch after a refusal.
//!
//! It also holds the proxy to what the others rely on: behind a batch that was not taken, none is.

use std::{
    collections::VecDeque,
    io, thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest};

use super::{
    batch::{Batch, Record},
    case::{Case, Outcome},
    produce,
    raw_client::RawClient,
    traffic::Shared,
};

/// Java's bound, and librdkafka's.
const UNDER_WAY: usize = 5;
const DUPLICATE_SEQUENCE: i16 = 46;
const INVALID_RECORD: i16 = 87;
const OUT_OF_ORDER_SEQUENCE: i16 = 45;
/// What clients try again: corrupt, unknown topic, no leader, not the leader, timed out, not enough replicas (before and after
/// the append), unknown topic id. And out of order, where something before it was not taken.
const RETRIABLE: [i16; 8] = [2, 3, 5, 6, 7, 19, 20, 100];
const PAUSE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back for a batch.
struct Answer {
    code: i16,
    offset: i64,
}

/// A batch of one record.
struct Waiting {
    number: usize,
    sequence: i32,
    record: Record,
}

/// The producer. It sends to partition 0.
pub struct RawProducer<C> {
    topic: String,
    connect: C,
    client: Option<RawClient>,
    /// Its id and epoch.
    producer: Option<(i64, i16)>,
    next_sequence: i32,
    waiting: VecDeque<Waiting>,
}

impl<C: FnMut() -> io::Result<RawClient>> RawProducer<C> {
    /// One that has not connected yet.
    pub fn new(topic: &str, connect: C) -> Self {
        Self {
            topic: topic.to_owned(),
            connect,
            client: None,
            producer: None,
            next_sequence: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Sends until there is nothing more and all of it has its outcome.
    pub fn work(&mut self, shared: &Shared) {
        let mut is_enough = false;
        let mut progress = Instant::now();
        loop {
            while !is_enough && self.waiting.len() < UNDER_WAY {
                match shared.next() {
                    Some((number, case)) => self.add(number, &case),
                    None => is_enough = true,
                }
            }
            if self.waiting.is_empty() {
                return;
            }
            let answers = self.send_all();
            let settled = self.take(&answers, shared);
            if settled > 0 {
                progress = Instant::now();
            } else {
                let codes: Vec<_> = answers.iter().map(|it| it.code).collect();
                assert!(progress.elapsed() < PATIENCE, "{} does not go on: {codes:?}", self.topic);
                thread::sleep(PAUSE);
            }
        }
    }

    fn add(&mut self, number: usize, case: &Case) {
        let headers = case.headers.iter().map(|(name, value)| {
            (name.clone(), value.as_ref().map(|value| Bytes::copy_from_slice(value)))
        });
        let value = case.value.as_ref().map(|value| Bytes::copy_from_slice(value));
        let record = Record { value, headers: headers.collect(), ..Record::default() };
        self.waiting.push_back(Waiting { number, sequence: self.next_sequence, record });
        self.next_sequence = self.next_sequence.wrapping_add(1) & i32::MAX;
    }

    /// Sends everything that waits and returns the answers that came, from the first on. A fault ends the connection.
    fn send_all(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        if self.exchange(&mut answers).is_err() {
            self.client = None;
        }
        answers
    }

    fn exchange(&mut self, answers: &mut Vec<Answer>) -> io::Result<()> {
        if self.client.is_none() {
            self.client = Some((self.connect)()?);
        }
        let client = self.client.as_mut().expect("connected");
        let (id, epoch) = match self.producer {
            Some(known) => known,
            None => *self.producer.insert(new_producer(client)?),
        };
        let mut sent = Vec::new();
        for waiting in &self.waiting {
            let batch = Batch::new(vec![waiting.record.clone()]);
            let batch = batch.sequenced(id, epoch, waiting.sequence).to_bytes();
            sent.push(client.send(&produce::request(&self.topic, 0, batch), 9)?);
        }
        for correlation_id in sent {
            let (answered, response) = client.receive::<ProduceRequest>(9)?;
            assert_eq!(answered, correlation_id, "answers leave in the order of their requests");
            let topics = response.responses.iter();
            let mut partitions = topics.flat_map(|topic| &topic.partition_responses);
            let answer = partitions.next().expect("the partition is answered");
            answers.push(Answer { code: answer.error_code, offset: answer.base_offset });
        }
        Ok(())
    }

    /// Settles what was answered for good, and returns how many that are.
    fn take(&mut self, answers: &[Answer], shared: &Shared) -> usize {
        let is_taken = |it: &&Answer| matches!(it.code, 0 | DUPLICATE_SEQUENCE);
        let taken = answers.iter().take_while(is_taken).count();
        for answer in &answers[..taken] {
            let waiting = self.waiting.pop_front().expect("an answer for each");
            let offset = Some(answer.offset);
            shared.settle(
                waiting.number,
                Outcome { ok: true, offset, error: None, code: None, message: None },
            );
        }
        let codes: Vec<_> = answers.iter().map(|it| it.code).collect();
        let overtaken = answers[taken..].iter().filter(is_taken).count();
        assert_eq!(overtaken, 0, "taken behind one that was not: {codes:?}");
        let Some(first) = answers.get(taken) else { return taken };
        if first.code == INVALID_RECORD {
            let refused = self.waiting.pop_front().expect("an answer for each");
            let code = Some(i32::from(first.code));
            shared.settle(
                refused.number,
                Outcome { ok: false, offset: None, error: None, code, message: None },
            );
            self.start_over();
            return taken + 1;
        }
        // Out of order at the head: something before it is missing that was acknowledged.
        assert_ne!((taken, first.code), (0, OUT_OF_ORDER_SEQUENCE), "{codes:?} at the head");
        let is_known = |code: i16| RETRIABLE.contains(&code) || code == OUT_OF_ORDER_SEQUENCE;
        assert!(is_known(first.code), "{codes:?}");
        taken
    }

    /// A new epoch, in which everything that waits is numbered from 0: as Java since 2.5.
    fn start_over(&mut self) {
        let (id, epoch) = self.producer.expect("a producer that was refused has its id");
        // Past the last epoch it asks for a new id.
        self.producer = epoch.checked_add(1).map(|epoch| (id, epoch));
        self.next_sequence = 0;
        for waiting in &mut self.waiting {
            waiting.sequence = self.next_sequence;
            self.next_sequence += 1;
        }
    }
}

/// Asks for an id, which a broker that has just started does not have at once.
///
/// # Errors
/// The connection broke.
pub fn new_producer(client: &mut RawClient) -> io::Result<(i64, i16)> {
    const NOT_YET: [i16; 3] = [14, 15, 16];
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000);
    loop {
        let response = client.call(&request, 4)?;
        if response.error_code == 0 {
            return Ok((response.producer_id.0, response.producer_epoch));
        }
        assert!(NOT_YET.contains(&response.error_code), "InitProducerId: {}", response.error_code);
        thread::sleep(Duration::from_millis(20));
    }
}
