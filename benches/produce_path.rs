//! The way of a Produce request through the proxy, sockets apart, beside kafka-protocol's decoder:
//! `cargo bench --bench produce_path`. Arguments are records in each of the request's batches, one topic, one partition.
//!
//! `read_memory` is the floor. `parse` finds the partitions, `kafka_protocol_decode` does the same with owned names.
//! `gate` is everything between two sockets: parse, judge, count, guard, plan.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on shall panic")]

#[allow(dead_code, reason = "shared with other benchmarks and a test")]
mod workloads;

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use kafka_protocol::messages::{ProduceRequest as Owned, RequestHeader};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::records::Compression;
use schemaward::proxy::produce::ProduceGate;
use schemaward::wire::{Frame, produce::ProduceRequest, request::Request};
use workloads::Value;

const RECORDS: [usize; 3] = [1, 100, 10_000];
const SCHEMA: &str = "https://my-schema-server/users/schema.avsc";
const VERSION: i16 = 12;

fn main() {
    divan::main();
}

fn request(records: usize) -> Frame {
    let record_set = workloads::record_set(Compression::None, Value::Avro, &[SCHEMA], records);
    workloads::produce(VERSION, 1, 1, &record_set)
}

fn measure(bencher: Bencher<'_, '_>, records: usize, mut pass: impl FnMut(&Frame)) {
    let frame = request(records);
    bencher
        .counter(BytesCount::of_slice(frame.bytes()))
        .counter(ItemsCount::new(records))
        .bench_local(|| pass(black_box(&frame)));
}

#[divan::bench(args = RECORDS)]
fn read_memory(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, records, |frame| {
        let sum = |sum: u64, word: &[u8; 8]| sum.wrapping_add(u64::from_ne_bytes(*word));
        black_box(frame.bytes().as_chunks().0.iter().fold(0, sum));
    });
}

#[divan::bench(args = RECORDS)]
fn parse(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, records, |frame| {
        assert_eq!(ProduceRequest::parse(frame).unwrap().topics.len(), 1);
    });
}

#[divan::bench(args = RECORDS)]
fn kafka_protocol_decode(bencher: Bencher<'_, '_>, records: usize) {
    measure(bencher, records, |frame| {
        let mut payload = frame.bytes().slice(4..);
        RequestHeader::decode(&mut payload, 2).unwrap();
        let decoded = Owned::decode(&mut payload, VERSION).unwrap();
        assert_eq!(decoded.topic_data.len(), 1);
    });
}

#[divan::bench(args = RECORDS)]
fn gate(bencher: Bencher<'_, '_>, records: usize) {
    let (_running, gateway) = workloads::gateway(&[SCHEMA]);
    let holding = gateway.budget.holder();
    let mut gate = ProduceGate::new(Arc::clone(&gateway), workloads::peer(), holding);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    measure(bencher, records, |frame| {
        let (_, request) = Request::new(frame.clone()).unwrap();
        let Request::Produce(produce) = request else { unreachable!("it is one") };
        let judged = runtime.block_on(gate.judge(&produce, tokio::time::Instant::now())).unwrap();
        assert_eq!(judged.forwarded, 1);
    });
}
