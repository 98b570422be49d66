//! The walk over a batch beside a plain pass over its bytes and beside kafka-protocol's decoder, which builds records:
//! `cargo bench --bench record_walk`. A batch has 1,000 records: an event of about 100 bytes, a key, four headers.
//!
//! `read_memory` and `checksum` are the floor: nothing that reads each byte can be quicker. `walk` finds the records and
//! their metadata, `judge` is all that an accepted batch costs, checksum included.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on shall panic")]

#[allow(dead_code, reason = "shared with other benchmarks and a test")]
mod workloads;

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use kafka_protocol::records::{Compression, RecordBatchDecoder};
use schemaward::record::{Batch, Scratch, Unlimited};
use schemaward::validate::convention::Conventions;
use schemaward::validate::judge::{Resolved, Workspace};
use schemaward::validate::metadata::{HeaderNames, NameTable};
use workloads::{CODECS, Value};

const RECORDS: usize = 1_000;
const SCHEMA: &str = "https://my-schema-server/users/schema.avsc";

fn main() {
    divan::main();
}

fn events(codec: Compression, value: Value) -> Bytes {
    workloads::record_set(codec, value, &[SCHEMA], RECORDS)
}

fn measure(bencher: Bencher<'_, '_>, bytes: &Bytes, mut pass: impl FnMut(&Bytes)) {
    bencher
        .counter(BytesCount::of_slice(bytes))
        .counter(ItemsCount::new(RECORDS))
        .bench_local(|| pass(black_box(bytes)));
}

#[divan::bench]
fn read_memory(bencher: Bencher<'_, '_>) {
    let bytes = events(Compression::None, Value::Avro);
    measure(bencher, &bytes, |bytes| {
        let sum = |sum: u64, word: &[u8; 8]| sum.wrapping_add(u64::from_ne_bytes(*word));
        black_box(bytes.as_chunks().0.iter().fold(0, sum));
    });
}

#[divan::bench]
fn checksum(bencher: Bencher<'_, '_>) {
    let bytes = events(Compression::None, Value::Avro);
    measure(bencher, &bytes, |bytes| Batch::parse(bytes).unwrap().verify_checksum().unwrap());
}

#[divan::bench(args = CODECS)]
fn walk(bencher: Bencher<'_, '_>, codec: Compression) {
    let bytes = events(codec, Value::Avro);
    let mut scratch = Scratch::new();
    let names = NameTable::new(&HeaderNames::default(), &Conventions::default(), None);
    measure(bencher, &bytes, |bytes| {
        assert_eq!(workloads::walk(bytes, &names, &mut scratch), RECORDS);
    });
}

#[divan::bench]
fn kafka_protocol_decode(bencher: Bencher<'_, '_>) {
    let bytes = events(Compression::None, Value::Avro);
    measure(bencher, &bytes, |bytes| {
        let decoded = RecordBatchDecoder::decode(&mut bytes.clone()).unwrap();
        assert_eq!(decoded.records.len(), RECORDS);
    });
}

#[divan::bench(args = [Value::Avro, Value::AvroJson, Value::Tombstone])]
fn judge(bencher: Bencher<'_, '_>, value: Value) {
    let bytes = events(Compression::None, value);
    let judge = workloads::judge(&[SCHEMA]);
    let (policy, resolved) = (workloads::policy(), Resolved::new());
    let mut workspace = Workspace::default();
    measure(bencher, &bytes, |bytes| {
        let verdict = judge.walk(bytes, &policy, &resolved, &mut workspace, &mut Unlimited);
        assert_eq!(verdict.unwrap().rejected_records(), 0);
    });
}
