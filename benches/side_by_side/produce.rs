//! Sends orders, each connection as fast as its window allows or all together at a fixed rate.
//!
//! Latency is counted from when a record was meant to be sent: a target that stalls is charged for all that had to wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientContext, Statistics};
use serde_json::{Value, json};

use super::latency::Latencies;
use super::order::Format;
use super::{Failure, client};

#[derive(Debug, Args)]
pub(crate) struct Sending {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    /// As many as the topic has: each connection fills one of them.
    #[arg(long)]
    partitions: usize,
    #[arg(long, value_enum)]
    format: Format,
    #[arg(long)]
    schema_id: String,
    /// Bytes of a value.
    #[arg(long)]
    size: usize,
    #[arg(long, default_value = "none")]
    codec: String,
    #[arg(long, default_value = "all")]
    acks: String,
    #[arg(long)]
    idempotent: bool,
    /// Producers, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Records in a second, of all connections together; otherwise as many as will go.
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Stop after as many records, should they be sent before.
    #[arg(long)]
    records: Option<u64>,
    /// Records without an answer at most, of all connections together.
    #[arg(long, default_value_t = 10_000)]
    window: u64,
    /// Bytes of a batch at most.
    #[arg(long, default_value_t = 1_000_000)]
    batch: u32,
}

impl Sending {
    pub(crate) fn run(self) -> Result<Value, Failure> {
        let values = self.format.values(self.size, VALUES);
        let headers = self.format.headers(&self.schema_id);
        let connections: Vec<_> =
            (0..self.connections).map(|at| self.connect(at)).collect::<Result<_, _>>()?;
        let load =
            Load { sending: &self, values: &values, headers: &headers, started: Instant::now() };
        load.greet(&connections)?;
        for connection in &connections {
            *lock(&connection.deliveries().tally) = Tally::new();
        }
        let load = Load { started: Instant::now(), ..load };
        load.send(&connections)?;
        self.outcome(&connections, load.started, &values)
    }

    fn connect(&self, at: usize) -> Result<Connection, Failure> {
        let mut settings = client(&self.bootstrap);
        settings
            .set("acks", &self.acks)
            .set("compression.codec", &self.codec)
            .set("batch.size", self.batch.to_string())
            .set("enable.idempotence", self.idempotent.to_string())
            .set("message.timeout.ms", "30000")
            // The window is ours, so that whoever waits for it is woken.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151")
            .set("statistics.interval.ms", "500");
        if !self.idempotent {
            // What has to be sent twice is a failure here.
            settings.set("retries", "0");
        }
        let producer = settings.create_with_context(Deliveries::new(self.window(), &self.topic))?;
        Ok(Connection { producer, partition: i32::try_from(at % self.partitions)? })
    }

    fn window(&self) -> u64 {
        (self.window / self.connections as u64).max(100)
    }

    fn outcome(
        &self,
        connections: &[Connection],
        started: Instant,
        values: &[Vec<u8>],
    ) -> Result<Value, Failure> {
        let mut sum = Tally::new();
        let mut sent = 0;
        let mut in_batches = Vec::new();
        for connection in connections {
            let deliveries = connection.deliveries();
            sum.add(&lock(&deliveries.tally));
            sent += deliveries.sent.load(Ordering::SeqCst);
            in_batches.extend(*lock(&deliveries.records_in_a_batch));
        }
        let Some(last) = sum.last.filter(|_| sum.records > 0) else {
            return Err("nothing was delivered".into());
        };
        // Each connection has sent one ahead of the clock.
        let all = sum.records + connections.len() as u64;
        if all != sent {
            return Err(format!("{all} of {sent} records were delivered").into());
        }
        let seconds = last.duration_since(started).as_secs_f64();
        let bytes = values.iter().map(Vec::len).sum::<usize>() / values.len();
        let in_batch = in_batches.iter().sum::<f64>() / in_batches.len().max(1) as f64;
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| sum.latencies.quantile(part));
        Ok(json!({
            "records": sum.records,
            "all_records": all,
            "bytes": sum.bytes,
            "value_bytes": bytes,
            "seconds": seconds,
            "records_per_second": sum.records as f64 / seconds,
            "megabytes_per_second": sum.bytes as f64 / seconds / 1e6,
            "records_in_a_batch": in_batch,
            "p50_ms": p50, "p99_ms": p99, "p999_ms": p999,
        }))
    }
}

/// What is sent, and since when.
struct Load<'l> {
    sending: &'l Sending,
    values: &'l [Vec<u8>],
    headers: &'l OwnedHeaders,
    started: Instant,
}

impl Load<'_> {
    /// One record on each connection: they are there, and every schema is known, before the clock starts.
    fn greet(&self, connections: &[Connection]) -> Result<(), Failure> {
        for connection in connections {
            self.send_one(connection, 0)?;
        }
        self.finish(connections)
    }

    fn send(&self, connections: &[Connection]) -> Result<(), Failure> {
        match self.sending.rate {
            Some(rate) => self.at_a_rate(connections, rate)?,
            None => thread::scope(|scope| {
                let fill = |connection| scope.spawn(move || self.without_pause(connection));
                let all: Vec<_> = connections.iter().map(fill).collect();
                all.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender died")?)
            })?,
        }
        self.finish(connections)
    }

    fn at_a_rate(&self, connections: &[Connection], rate: f64) -> Result<(), Failure> {
        for number in 0_u64.. {
            let due = Duration::from_secs_f64(number as f64 / rate);
            if self.is_over(number, due) {
                break;
            }
            thread::sleep(due.saturating_sub(self.started.elapsed()));
            let connection = &connections[number as usize % connections.len()];
            connection.deliveries().check()?;
            self.send_at(connection, number, due)?;
        }
        Ok(())
    }

    fn without_pause(&self, connection: &Connection) -> Result<(), Failure> {
        let deliveries = connection.deliveries();
        deliveries.sender.get_or_init(thread::current);
        for number in 0_u64.. {
            let now = self.started.elapsed();
            if self.is_over(number * self.sending.connections as u64, now) {
                break;
            }
            deliveries.wait_for_room();
            deliveries.check()?;
            self.send_one(connection, number)?;
        }
        Ok(())
    }

    fn is_over(&self, number: u64, at: Duration) -> bool {
        at.as_secs_f64() >= self.sending.seconds
            || self.sending.records.is_some_and(|records| number >= records)
    }

    fn send_one(&self, connection: &Connection, number: u64) -> Result<(), Failure> {
        self.send_at(connection, number, self.started.elapsed())
    }

    /// Sends a record that was meant to be sent so long after the start.
    fn send_at(&self, connection: &Connection, number: u64, due: Duration) -> Result<(), Failure> {
        let value = &self.values[number as usize % self.values.len()];
        let due = self.started + due - connection.deliveries().epoch;
        let due = usize::try_from(due.as_nanos())?;
        let record: BaseRecord<'_, (), Vec<u8>, usize> =
            BaseRecord::with_opaque_to(&self.sending.topic, due)
                .partition(connection.partition)
                .payload(value)
                .headers(self.headers.clone());
        connection.deliveries().sent.fetch_add(1, Ordering::Relaxed);
        connection.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// Waits for every answer.
    fn finish(&self, connections: &[Connection]) -> Result<(), Failure> {
        for connection in connections {
            connection.producer.flush(FLUSH)?;
            connection.deliveries().check()?;
        }
        Ok(())
    }
}

struct Connection {
    producer: ThreadedProducer<Deliveries>,
    partition: i32,
}

impl Connection {
    fn deliveries(&self) -> &Deliveries {
        self.producer.client().context()
    }
}

/// What came back on one connection.
struct Deliveries {
    topic: String,
    /// What the times in records count from.
    epoch: Instant,
    window: u64,
    sent: AtomicU64,
    answered: AtomicU64,
    sender: OnceLock<Thread>,
    waits: AtomicBool,
    tally: Mutex<Tally>,
    failed: AtomicBool,
    failure: Mutex<Option<KafkaError>>,
    records_in_a_batch: Mutex<Option<f64>>,
}

impl Deliveries {
    fn new(window: u64, topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            epoch: Instant::now(),
            window,
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            sender: OnceLock::new(),
            waits: AtomicBool::new(false),
            tally: Mutex::new(Tally::new()),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            records_in_a_batch: Mutex::new(None),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let failure = lock(&self.failure).take();
        Err(failure.map_or_else(|| "a record was not delivered".into(), Into::into))
    }

    fn under_way(&self) -> u64 {
        self.sent.load(Ordering::SeqCst) - self.answered.load(Ordering::SeqCst)
    }

    fn wait_for_room(&self) {
        while self.under_way() >= self.window && !self.failed.load(Ordering::Acquire) {
            self.waits.store(true, Ordering::SeqCst);
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Half the window is worth a wake-up.
    fn wake(&self) {
        if self.under_way() <= self.window / 2 && self.waits.swap(false, Ordering::SeqCst) {
            self.sender.get().map(Thread::unpark);
        }
    }
}

impl ClientContext for Deliveries {
    fn stats(&self, statistics: Statistics) {
        if let Some(topic) = statistics.topics.get(&self.topic) {
            let count = &topic.batchcnt;
            if count.cnt > 0 {
                *lock(&self.records_in_a_batch) = Some(count.sum as f64 / count.cnt as f64);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        eprintln!("{error}: {reason}");
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        match result {
            Ok(record) => {
                let now = Instant::now();
                let took =
                    now.duration_since(self.epoch).saturating_sub(Duration::from_nanos(due as u64));
                lock(&self.tally).delivered(now, took, record.payload().map_or(0, <[u8]>::len));
            }
            Err((error, _)) => {
                lock(&self.failure).get_or_insert_with(|| error.clone());
                self.failed.store(true, Ordering::Release);
            }
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        if !self.waits.load(Ordering::SeqCst) {
            return;
        }
        self.wake();
    }
}

struct Tally {
    records: u64,
    bytes: u64,
    last: Option<Instant>,
    latencies: Latencies,
}

impl Tally {
    fn new() -> Self {
        Self { records: 0, bytes: 0, last: None, latencies: Latencies::new() }
    }

    fn delivered(&mut self, now: Instant, took: Duration, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
        self.last = Some(now);
        self.latencies.record(took);
    }

    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.last = self.last.max(other.last);
        self.latencies.add(&other.latencies);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As many different ones, so that no target is helped by seeing the same bytes.
const VALUES: usize = 1_000;
const FLUSH: Duration = Duration::from_secs(60);
