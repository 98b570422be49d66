//! How the cost of judging grows with what a request has: partitions, records, bytes, fields, schemas, and with its codec.

use super::workloads;

use std::{collections::BTreeSet, fmt::Write as _, hint::black_box, sync::Arc};

use bytes::Bytes;
use kafka_protocol::records::Compression;
use schemaward::{
    proxy::produce::ProduceGate,
    record::Unlimited,
    validate::judge::{Resolved, Workspace},
    wire::{Frame, request::Request},
};

/// A schema, a datum of it, and who refers to it.
struct Work {
    schema: String,
    datum: Vec<u8>,
    references: Vec<String>,
}

impl Work {
    /// An event of five fields, a long and a text in turn.
    fn event() -> Self {
        Self::of_fields(5)
    }

    /// A record of `count` fields, a long and a text in turn.
    fn of_fields(count: usize) -> Self {
        let (mut fields, mut datum) = (Vec::new(), Vec::new());
        for number in 0..count {
            let kind = if number % 2 == 0 { "long" } else { "string" };
            fields.push(format!(r#"{{"name":"field_{number}","type":"{kind}"}}"#));
            if number % 2 == 0 {
                zigzag(&mut datum, 1_767_225_600_000);
            } else {
                text(&mut datum, "customer-4711");
            }
        }
        Self::new(
            &format!(r#"{{"type":"record","name":"Event","fields":[{}]}}"#, fields.join(",")),
            datum,
        )
    }

    /// A text of `bytes` bytes.
    fn of_bytes(bytes: usize) -> Self {
        let mut datum = Vec::new();
        text(&mut datum, &"leave it at the door; ".repeat(bytes / 22 + 1)[..bytes]);
        Self::new(r#"{"type":"string"}"#, datum)
    }

    fn new(schema: &str, datum: Vec<u8>) -> Self {
        Self { schema: schema.to_owned(), datum, references: vec!["1".to_owned()] }
    }

    /// Referred to by so many ids, which take turns.
    fn under(mut self, ids: usize) -> Self {
        self.references = (1..=ids).map(|id| id.to_string()).collect();
        self
    }

    fn batch(&self, codec: Compression, records: usize) -> Bytes {
        workloads::record_set_of(codec, &self.datum, &self.references, records)
    }

    /// Judges a batch of `records` records.
    fn judge(&self, rounds: usize, codec: Compression, records: usize) {
        let batch = self.batch(codec, records);
        let judge = workloads::judge_of(&self.schema, &self.references);
        let (policy, resolved) = (workloads::policy(), Resolved::new());
        let mut workspace = Workspace::default();
        for _ in 0..rounds {
            let bytes = black_box(&batch);
            let verdict = judge.walk(bytes, &policy, &resolved, &mut workspace, &mut Unlimited);
            let verdict = verdict.unwrap();
            assert!(verdict.is_settled() && verdict.rejected_records() == 0);
        }
    }
}

/// Requests with so many partitions of one record each, from the frame to what goes to the broker.
pub(crate) fn partitions(rounds: usize, partitions: i32) {
    let work = Work::event();
    let batch = work.batch(Compression::None, 1);
    let frame = workloads::produce(12, 1, partitions, &batch);
    gate(rounds, &work, &frame, usize::try_from(partitions).unwrap());
}

fn gate(rounds: usize, work: &Work, frame: &Frame, forwarded: usize) {
    let (_running, gateway) =
        workloads::gateway_of(workloads::judge_of(&work.schema, &work.references));
    let holding = gateway.budget.holder();
    let mut gate = ProduceGate::new(Arc::clone(&gateway), workloads::peer(), holding);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let arrived = tokio::time::Instant::now();
    runtime.block_on(async {
        for _ in 0..rounds {
            let (_, request) = Request::new(black_box(frame.clone())).unwrap();
            let Request::Produce(produce) = request else { unreachable!("it is one") };
            assert_eq!(gate.judge(&produce, arrived).await.unwrap().forwarded, forwarded);
        }
    });
}

/// Batches of so many records.
pub(crate) fn records(rounds: usize, records: usize) {
    Work::event().judge(rounds, Compression::None, records);
}

/// Batches of ten records with a text of so many bytes each.
pub(crate) fn bytes(rounds: usize, bytes: usize) {
    Work::of_bytes(bytes).judge(rounds, Compression::None, 10);
}

/// Batches of ten records with so many fields each.
pub(crate) fn fields(rounds: usize, fields: usize) {
    Work::of_fields(fields).judge(rounds, Compression::None, 10);
}

/// Batches of a thousand records that refer to so many schemas, in turn.
pub(crate) fn schemas(rounds: usize, schemas: usize) {
    Work::event().under(schemas).judge(rounds, Compression::None, 1_000);
}

/// Batches of a hundred records with a kilobyte each.
pub(crate) fn codec(rounds: usize, codec: Compression) {
    let mut lines = String::new();
    for number in 0..38 {
        let _ =
            write!(lines, "sku-{:05}: {} at {};", number * 7919 % 100_000, number % 9, number * 13);
    }
    let kinds: BTreeSet<_> = lines.bytes().collect();
    assert!(kinds.len() > 12 && lines.len() > 700, "something to compress");
    let mut datum = Vec::new();
    text(&mut datum, &lines);
    Work::new(r#"{"type":"string"}"#, datum).judge(rounds, codec, 100);
}

fn text(out: &mut Vec<u8>, text: &str) {
    zigzag(out, u64::try_from(text.len()).unwrap());
    out.extend(text.bytes());
}

fn zigzag(out: &mut Vec<u8>, number: u64) {
    let mut rest = number << 1;
    while rest > 127 {
        out.push(u8::try_from(rest & 127).unwrap() | 128);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
}
