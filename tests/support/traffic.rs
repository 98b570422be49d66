//! Traffic that goes on while something breaks: an idempotent producer that sends numbered records, good ones and bad ones,
//! and a ledger of what it was told, which is compared with the log.
//!
//! The producer is a real client (Java, librdkafka) or [`RawProducer`], which does what clients do and nothing else.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{
    case::{Case, Outcome},
    log_reader::{self, StoredRecord},
    raw_client::RawClient,
    raw_producer::RawProducer,
    sidecar::user,
};

/// The header that carries a record's number.
pub const NUMBER: &str = "number";
/// Records that may be without an outcome: what a producer holds while nothing goes on.
const WINDOW: usize = 300;
/// Between two records, so that logs stay small.
const PACE: Duration = Duration::from_micros(700);
/// How long anything may take that has to go on: as long as clients try again by themselves.
const PATIENCE: Duration = Duration::from_secs(120);
/// Kafka's code of a record that is refused, librdkafka's of its neighbours in the batch.
const REFUSED: [i32; 2] = [87, -138];

/// What is sent.
#[derive(Debug, Clone)]
pub struct Plan {
    pub topic: String,
    /// Record number n goes to partition n modulo this.
    pub partitions: usize,
    /// Of so many records one is bad; 0: none.
    pub one_bad_in: usize,
    /// So many records name a schema, the next ones another; 0: all name the first.
    pub schema_lasts: usize,
    /// Whether an answer may be lost, or say that a record is not stored which is. After a refusal producers start a new
    /// epoch, in which they send again what they have no answer for: a record may be stored once in each.
    pub loses_answers: bool,
}

impl Plan {
    /// To these partitions, every ninth record bad, one schema.
    pub fn new(topic: &str, partitions: usize) -> Self {
        let topic = topic.to_owned();
        Self { topic, partitions, one_bad_in: 9, schema_lasts: 0, loses_answers: false }
    }

    /// The partition of a record.
    pub fn partition(&self, number: usize) -> usize {
        number % self.partitions
    }

    /// Whether a record is to be refused. Two in a row, as mistakes come.
    pub fn is_bad(&self, number: usize) -> bool {
        let turn = number / self.partitions;
        self.one_bad_in > 0 && turn % (2 * self.one_bad_in) < 2
    }

    /// A record.
    pub fn case(&self, number: usize) -> Case {
        let mut value = user(&format!("number {number}"));
        let is_bad = self.is_bad(number);
        if is_bad {
            value.pop();
        }
        let schema = number.checked_div(self.schema_lasts).unwrap_or(0) + 1;
        let case = Case::new(&self.topic, &value)
            .partition(i32::try_from(self.partition(number)).unwrap())
            .header(NUMBER, number.to_string());
        if is_bad && number % 2 == 1 {
            // Without any metadata.
            return case;
        }
        // What is bad has no key either: then a broker with a compacted topic refuses it by itself.
        let case = if is_bad { case } else { case.key(number.to_string().as_bytes()) };
        case.header("content-type", "avro").header("schema-id", schema.to_string())
    }
}

/// What a producer was told of its records.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    /// By number. `None` while it is under way.
    fates: Vec<Option<Outcome>>,
    open: usize,
    /// What was refused, by everybody's account, so far; what was stored, by partition.
    refused: usize,
    stored: Vec<usize>,
    stopped: bool,
}

/// What became of all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub acknowledged: usize,
    pub refused: usize,
}

impl Ledger {
    fn new(plan: Plan) -> Self {
        let stored = vec![0; plan.partitions];
        Self { plan, fates: Vec::new(), open: 0, refused: 0, stored, stopped: false }
    }

    fn settle(&mut self, number: usize, outcome: Outcome) {
        self.open -= 1;
        if outcome.ok {
            self.stored[self.plan.partition(number)] += 1;
        } else if is_refusal(&outcome) {
            self.refused += 1;
        }
        let before = self.fates[number].replace(outcome);
        assert_eq!(before, None, "record {number} has its outcome once");
    }

    /// Compares with the log, read past the proxy: every acknowledged record is there, where its producer was told, once
    /// (but see [`Plan::loses_answers`]) and in order; no refused one is, and no bad one whatever became of it; and the
    /// producer knows of each what became of it.
    pub fn verify(&self, direct: &str) -> Tally {
        let mut tally = Tally { acknowledged: 0, refused: 0 };
        for partition in 0..self.plan.partitions {
            let stored = self.stored_in(direct, partition);
            let numbers = (0..self.fates.len()).filter(|it| self.plan.partition(*it) == partition);
            for number in numbers {
                self.verify_one(number, stored.get(&number), &mut tally);
            }
        }
        assert_eq!(tally.acknowledged + tally.refused, self.fates.len());
        assert!(tally.acknowledged > 0, "{tally:?}");
        assert!(tally.refused > 0 || self.plan.one_bad_in == 0, "{tally:?}");
        tally
    }

    fn verify_one(&self, number: usize, stored: Option<&Copies>, tally: &mut Tally) {
        let is_bad = self.plan.is_bad(number);
        match &self.fates[number] {
            Some(outcome) if outcome.ok => {
                assert!(!is_bad, "{number} is bad and was acknowledged");
                let Some(stored) = stored else {
                    panic!("{number} was acknowledged and is lost: {outcome:?}");
                };
                // A client that is told that its retry is a duplicate does not know where the record is.
                if let Some(told) = outcome.offset.filter(|offset| *offset >= 0) {
                    assert!(
                        stored.offsets.contains(&told),
                        "{number} is at {stored:?}, not {told}"
                    );
                }
                tally.acknowledged += 1;
            }
            Some(outcome) if is_refusal(outcome) => {
                assert!(stored.is_none(), "{number} was refused and is stored: {outcome:?}");
                tally.refused += 1;
            }
            other => panic!("nobody knows what became of {number} (stored: {stored:?}): {other:?}"),
        }
    }

    /// What is stored, by number, after checking that nothing is there twice in an epoch or out of order.
    fn stored_in(&self, direct: &str, partition: usize) -> BTreeMap<usize, Copies> {
        let partition = i32::try_from(partition).unwrap();
        let mut stored = BTreeMap::<usize, Copies>::new();
        let mut last = BTreeMap::<i16, usize>::new();
        let log = log_reader::stored(direct, &self.plan.topic, partition);
        for record in &log {
            let header = record.headers.iter().find(|(name, _)| name == NUMBER);
            let number = header.and_then(|(_, value)| value.as_deref()).expect("a number");
            let number: usize = std::str::from_utf8(number).unwrap().parse().unwrap();
            assert!(!self.plan.is_bad(number), "{number} is bad and stored");
            let before = stored.last_key_value().map(|(last, _)| *last);
            let in_epoch = last.insert(record.producer_epoch, number);
            let is_again = self.plan.loses_answers
                && in_epoch < Some(number)
                && stored.get(&number).is_some_and(|it| it.epoch < record.producer_epoch);
            assert!(
                before < Some(number) || is_again,
                "{}-{partition}: {number} is stored behind {before:?}:\n{}",
                self.plan.topic,
                around(&log, record.offset)
            );
            let copies = stored.entry(number).or_default();
            copies.epoch = record.producer_epoch;
            copies.offsets.push(record.offset);
        }
        stored
    }
}

/// Where a record is stored.
#[derive(Debug, Default)]
struct Copies {
    /// Of the last one.
    epoch: i16,
    offsets: Vec<i64>,
}

/// Whether a producer was told that its record is refused for good. Java's neighbours of a bad record have no code.
fn is_refusal(outcome: &Outcome) -> bool {
    let of_batch = outcome.message.as_ref().is_some_and(|it| it.contains("part of a batch"));
    !outcome.ok && (outcome.code.is_some_and(|code| REFUSED.contains(&code)) || of_batch)
}

/// What the producer's side and the test's side share.
#[derive(Debug)]
pub struct Shared {
    ledger: Mutex<Ledger>,
    changed: Condvar,
}

impl Shared {
    fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { ledger: Mutex::new(Ledger::new(plan)), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no side has failed")
    }

    /// The next record to send, as soon as there is room for it. `None`: it is enough.
    pub fn next(&self) -> Option<(usize, Case)> {
        thread::sleep(PACE);
        let ledger = self.lock();
        let full = |it: &mut Ledger| it.open >= WINDOW && !it.stopped;
        let mut ledger = self.changed.wait_while(ledger, full).expect("no side has failed");
        if ledger.stopped {
            return None;
        }
        let number = ledger.fates.len();
        ledger.fates.push(None);
        ledger.open += 1;
        Some((number, ledger.plan.case(number)))
    }

    /// Notes what became of a record.
    pub fn settle(&self, number: usize, outcome: Outcome) {
        self.lock().settle(number, outcome);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// A producer at work.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    program: Option<Child>,
}

#[derive(Deserialize)]
struct Line {
    index: usize,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Traffic {
    /// A foreign producer that reads cases and prints outcomes: `ProduceCases.java` or `produce_confluent.py`, with
    /// `stream=true` among its arguments.
    pub fn of_program(mut command: Command, plan: Plan) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut stdin = program.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(program.stdout.take().expect("stdout is piped"));
        let shared = Shared::new(plan);
        let (feeding, hearing) = (Arc::clone(&shared), Arc::clone(&shared));
        let feeder = thread::spawn(move || {
            while let Some((_, case)) = feeding.next() {
                writeln!(stdin, "{}", case.to_json()).expect("the producer runs");
            }
        });
        let reader = thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.expect("the producer speaks UTF-8");
                let Line { index, outcome } =
                    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
                hearing.settle(index, outcome);
            }
        });
        Self { shared, threads: vec![feeder, reader], program: Some(program) }
    }

    /// A [`RawProducer`] to partition 0, which connects with `connect`.
    pub fn raw(
        plan: Plan,
        connect: impl FnMut() -> io::Result<RawClient> + Send + 'static,
    ) -> Self {
        assert_eq!(plan.partitions, 1, "a raw producer has one partition");
        let shared = Shared::new(plan.clone());
        let working = Arc::clone(&shared);
        let mut producer = RawProducer::new(&plan.topic, connect);
        let thread = thread::spawn(move || producer.work(&working));
        Self { shared, threads: vec![thread], program: None }
    }

    /// Records that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.lock().stored.iter().sum()
    }

    /// Records that were refused so far.
    pub fn refused(&self) -> usize {
        self.shared.lock().refused
    }

    /// Waits until every partition has taken records from now on, and some that are bad were refused.
    pub fn flows(&self) {
        let (stored, refused, expects) = {
            let now = self.shared.lock();
            (now.stored.clone(), now.refused, now.plan.one_bad_in > 0)
        };
        self.wait("traffic in every partition", |now| {
            now.stored.iter().zip(&stored).all(|(now, then)| *now >= then + 20)
                && (!expects || now.refused > refused + 1)
        });
    }

    /// Waits until more records were refused, good ones by mistake as well.
    pub fn refuses(&self, more: usize) {
        let then = self.refused();
        self.wait("refusals", |now| now.refused >= then + more);
    }

    fn wait(&self, what: &str, holds: impl Fn(&Ledger) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut ledger = self.shared.lock();
        while !holds(&ledger) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "still waiting: {what}: {}", describe(&ledger));
            let waited = self.shared.changed.wait_timeout(ledger, left.min(POLL));
            ledger = waited.expect("no side has failed").0;
            assert!(
                self.threads.iter().all(|it| !it.is_finished()),
                "the producer has ended: {}",
                describe(&ledger)
            );
        }
    }

    /// Sends nothing more, waits for the outcome of everything that was sent, and compares with the log.
    pub fn finish(mut self, direct: &str) -> Tally {
        self.shared.stop();
        let end = Instant::now() + PATIENCE;
        for thread in std::mem::take(&mut self.threads) {
            while !thread.is_finished() {
                assert!(Instant::now() < end, "it never ends: {}", describe(&self.shared.lock()));
                thread::sleep(Duration::from_millis(5));
            }
            thread.join().expect("the producer's side has not failed");
        }
        if let Some(mut program) = self.program.take() {
            let status = program.wait().expect("a child can be waited for");
            assert!(status.success(), "the producer ended with {status}");
        }
        self.shared.lock().verify(direct)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if let Ok(mut ledger) = self.shared.ledger.lock() {
            ledger.stopped = true;
        }
        self.shared.changed.notify_all();
        if let Some(program) = &mut self.program {
            program.kill().ok();
            program.wait().ok();
        }
    }
}

/// What is stored near an offset, for a test that has failed.
fn around(log: &[StoredRecord], offset: i64) -> String {
    let near = log.iter().filter(|it| (offset - 12..offset + 6).contains(&it.offset));
    let line = |it: &StoredRecord| {
        let number = it.headers.iter().find(|(name, _)| name == NUMBER);
        let number = number.and_then(|(_, value)| value.clone()).unwrap_or_default();
        format!(
            "offset {} number {} producer {} epoch {} sequence {}\n",
            it.offset,
            String::from_utf8_lossy(&number),
            it.producer_id,
            it.producer_epoch,
            it.base_sequence
        )
    };
    near.map(line).collect()
}

/// Where it stands, for a test that has failed.
fn describe(ledger: &Ledger) -> String {
    let last = ledger.fates.iter().flatten().rfind(|it| !it.ok);
    format!(
        "{} sent, {} open, {} refused, stored {:?}, the last refusal {last:?}",
        ledger.fates.len(),
        ledger.open,
        ledger.refused,
        ledger.stored
    )
}

const POLL: Duration = Duration::from_millis(200);
