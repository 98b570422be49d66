//! Reads a topic, again from its beginning where its end was reached, and counts.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::{Failure, client};

#[derive(Debug, Args)]
pub(crate) struct Reading {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    /// As many as the topic has: each connection reads some of them.
    #[arg(long)]
    partitions: usize,
    /// Consumers, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Reading {
    pub(crate) fn run(self) -> Result<Value, Failure> {
        if self.connections > self.partitions {
            return Err("there are fewer partitions than consumers".into());
        }
        let counts = thread::scope(|scope| {
            let read = |at| {
                let reading = &self;
                scope.spawn(move || reading.read(at))
            };
            let all: Vec<_> = (0..self.connections).map(read).collect();
            all.into_iter()
                .map(|reader| reader.join().map_err(|_| "a reader died")?)
                .collect::<Result<Vec<_>, Failure>>()
        })?;
        let sum = |of: fn(&Count) -> f64| counts.iter().map(of).sum::<f64>();
        let records = counts.iter().map(|count| count.records).sum::<u64>();
        Ok(json!({
            "records": records,
            "all_records": records,
            "bytes": counts.iter().map(|count| count.bytes).sum::<u64>(),
            "seconds": self.seconds,
            "records_per_second": sum(|count| count.records as f64 / count.seconds),
            "megabytes_per_second": sum(|count| count.bytes as f64 / count.seconds) / 1e6,
        }))
    }

    fn read(&self, at: usize) -> Result<Count, Failure> {
        let consumer: BaseConsumer = client(&self.bootstrap)
            .set("group.id", "side-by-side")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .create()?;
        let mut partitions = TopicPartitionList::new();
        for partition in (at..self.partitions).step_by(self.connections) {
            partitions.add_partition_offset(
                &self.topic,
                i32::try_from(partition)?,
                Offset::Beginning,
            )?;
        }
        consumer.assign(&partitions)?;
        let mut count = Count::default();
        let mut started: Option<Instant> = None;
        loop {
            match consumer.poll(PATIENCE) {
                None => return Err("nothing came".into()),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    consumer.seek(&self.topic, partition, Offset::Beginning, PATIENCE)?;
                }
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(record)) => {
                    let Some(started) = started else {
                        // The clock starts when the first one is here.
                        started = Some(Instant::now());
                        continue;
                    };
                    count.records += 1;
                    count.bytes += record.payload().map_or(0, <[u8]>::len) as u64;
                    count.seconds = started.elapsed().as_secs_f64();
                    if count.seconds >= self.seconds {
                        return Ok(count);
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Count {
    records: u64,
    bytes: u64,
    seconds: f64,
}

const PATIENCE: Duration = Duration::from_secs(30);
