//! What producers send: every batch is made from the seed, so that it is the same however often it is sent, and every
//! record says in its key where it belongs.

use bytes::Bytes;

use crate::support::{
    batch::{Batch, Codec, Record, put_varint},
    idempotent::{Chance, Sent},
};

/// Schemas that there are: ids 1 to this one.
pub const SCHEMAS: u64 = 6;
/// An id that no schema has.
const NO_SCHEMA: u64 = 404;
/// The schema behind each of the ids.
pub const SCHEMA: &str = r#"{"type": "record", "name": "Event", "fields":
    [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}]}"#;

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub producer: u32,
    pub partition: u32,
    pub batch: u32,
    pub record: u32,
    /// Whether its batch may not be stored.
    pub bad: bool,
}

impl Mark {
    fn to_key(self) -> Bytes {
        let Self { producer, partition, batch, record, bad } = self;
        let numbers = [producer, partition, batch, record, u32::from(bad)];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    pub fn of(record: &Record) -> Self {
        let key = record.key.as_deref().unwrap();
        let number = |at: usize| u32::from_be_bytes(key[at * 4..at * 4 + 4].try_into().unwrap());
        let (producer, partition) = (number(0), number(1));
        Self { producer, partition, batch: number(2), record: number(3), bad: number(4) != 0 }
    }
}

/// How the traffic of one simulation looks.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    pub seed: u64,
    /// Bad batches among a hundred.
    pub bad_percent: u64,
    /// Large batches among a hundred.
    pub large_percent: u64,
}

/// Ways to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    BytesLeftOver,
    NoMetadata,
    NoSuchSchema,
}

impl Traffic {
    fn chance(&self, producer: usize, line: usize, batch: usize) -> Chance {
        let place = (producer as u64) << 40 | (line as u64) << 20 | batch as u64;
        Chance::new(self.seed ^ place.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// How many records a batch has.
    pub fn count(&self, producer: usize, line: usize, batch: usize) -> i32 {
        1 + self.chance(producer, line, batch).below(3) as i32
    }

    /// Whether a batch may not be stored.
    pub fn is_bad(&self, producer: usize, line: usize, batch: usize) -> bool {
        self.chance(producer, line, batch).next() >> 32 & 0xffff < self.bad_percent * 0xffff / 100
    }

    /// The bytes of a batch.
    pub fn encode(&self, producer: usize, sent: Sent) -> Bytes {
        let Sent { line, batch, .. } = sent;
        let bad = self.is_bad(producer, line, batch);
        let mut chance = self.chance(producer, line, batch);
        chance.next();
        let faults = [Fault::BytesLeftOver, Fault::NoMetadata, Fault::NoSuchSchema];
        let fault = bad.then(|| chance.pick(&faults));
        let at = chance.below(sent.count as u64) as i32;
        let text = if chance.percent(self.large_percent) { chance.below(60_000) } else { 8 };
        let records = (0..sent.count).map(|record| {
            let mark = Mark {
                producer: producer as u32,
                partition: line as u32,
                batch: batch as u32,
                record: record as u32,
                bad,
            };
            let fault = fault.filter(|_| record == at);
            let schema = if fault == Some(Fault::NoSuchSchema) {
                NO_SCHEMA
            } else {
                1 + chance.below(SCHEMAS)
            };
            record_of(mark, fault, schema, text as usize)
        });
        let codec = [Codec::None, Codec::None, Codec::Lz4, Codec::Snappy];
        let encoded = Batch::new(records.collect());
        let codec = chance.pick(&codec);
        encoded.codec(codec).sequenced(producer as i64, sent.epoch, sent.base).to_bytes()
    }
}

fn record_of(mark: Mark, fault: Option<Fault>, schema: u64, text: usize) -> Record {
    let mut value = Vec::new();
    put_varint(&mut value, i64::from(mark.batch));
    put_varint(&mut value, text as i64);
    value.resize(value.len() + text, b'x');
    if fault == Some(Fault::BytesLeftOver) {
        value.push(0);
    }
    let record = Record::new(value).key(mark.to_key());
    if fault == Some(Fault::NoMetadata) {
        return record;
    }
    record.header("content-type", &b"avro"[..]).header("schema-id", schema.to_string().into_bytes())
}

/// The topic that a partition belongs to, and its index there.
pub const fn place(partition: usize) -> (&'static str, i32) {
    ([TOPICS[0], TOPICS[1]][partition % 2], (partition / 2) as i32)
}

/// The partition behind a topic and an index.
pub fn partition(topic: &str, index: i32) -> usize {
    index as usize * 2 + TOPICS.iter().position(|known| *known == topic).unwrap()
}

pub const TOPICS: [&str; 2] = ["events", "orders"];
