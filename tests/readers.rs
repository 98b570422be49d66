//! Promise: differences between readers are no way around: what a broker would store and Java's consumer would read of a
//! crafted batch was judged, all of it, or the batch was refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use support::{
    admin,
    batch_builder::{Codec, TestBatch, TestRecord, bytes, varint},
    java::Java,
    kafka, log_reader, produce,
    raw_client::RawClient,
    sidecar::{Sidecar, user},
};

type Values = &'static [&'static [u8]];

/// A batch that readers may read differently.
struct Crafted {
    name: &'static str,
    batch: TestBatch,
    /// What the broker answers when it comes past the proxy.
    broker: i16,
    /// What Java's consumer makes of it there: the values, and whether it then fails.
    java: (Values, bool),
    /// What the proxy answers.
    proxy: i16,
}

/// No datum of the schema.
const HIDDEN: &[u8] = b"\xff hidden";
const ADA: &[u8] = b"\x06Ada\x48";

fn good() -> TestRecord {
    TestRecord::avro("1", user("Ada"))
}

fn hidden() -> TestRecord {
    TestRecord::bare(HIDDEN)
}

/// The second of two records, as it stands behind the first.
fn behind(record: TestRecord) -> Vec<u8> {
    let whole = TestBatch::of([good(), record]).plain_body();
    whole[TestBatch::of([good()]).plain_body().len()..].to_vec()
}

/// A batch of these bytes that declares so many records.
fn of(codec: Codec, body: Vec<u8>, records: i32) -> TestBatch {
    let mut batch = TestBatch::of([]).codec(codec);
    batch.body = Some(body);
    batch.declared_records = Some(records);
    batch
}

/// A sound record and a bad one, each in a compressed stream of its own.
fn two_streams(codec: Codec, records: i32) -> TestBatch {
    let streams =
        [TestBatch::of([good()]).plain_body(), behind(hidden())].map(|it| codec.compress(&it));
    of(codec, streams.concat(), records)
}

/// A record whose parts are written by hand: `length` writes its length, `rest` stands behind its headers.
fn by_hand(length: fn(&mut Vec<u8>, i64), rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1];
    bytes(&mut body, Some(ADA));
    varint(&mut body, 2);
    for (name, value) in [("content-type", "avro"), ("schema-id", "1")] {
        bytes(&mut body, Some(name.as_bytes()));
        bytes(&mut body, Some(value.as_bytes()));
    }
    body.extend(rest);
    let mut record = Vec::new();
    length(&mut record, body.len() as i64);
    record.extend(body);
    record
}

/// The same number with a group of zeros more than it needs.
fn overlong(out: &mut Vec<u8>, value: i64) {
    varint(out, value);
    *out.last_mut().unwrap() |= 0x80;
    out.push(0);
}

fn skippable() -> Vec<u8> {
    [&0x184d_2a50_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"skip"].concat()
}

fn xerial_block(plain: &[u8]) -> Vec<u8> {
    Codec::SnappyXerial.compress(plain).split_off(16)
}

fn crafted() -> Vec<Crafted> {
    let plain = TestBatch::of([good()]).plain_body();
    let with = |codec: Codec, before: &[u8], after: &[u8]| {
        of(codec, [before, &codec.compress(&plain), after].concat(), 1)
    };
    let twice = good().header("content-type", "avro-json");
    // What a broker refuses nobody reads.
    let (none, ada, both): (Values, Values, Values) = (&[], &[ADA], &[ADA, HIDDEN]);
    let row = |name, batch, broker, java, proxy| Crafted { name, batch, broker, java, proxy };
    vec![
        row("gzip-second-member", two_streams(Codec::Gzip, 2), 0, (both, false), 87),
        row("gzip-second-member-undeclared", two_streams(Codec::Gzip, 1), 87, (none, false), 87),
        row("lz4-second-frame", two_streams(Codec::Lz4, 2), 87, (none, false), 87),
        row("lz4-second-frame-undeclared", two_streams(Codec::Lz4, 1), 0, (ada, false), 87),
        row("zstd-second-frame", two_streams(Codec::Zstd, 2), 0, (both, false), 87),
        row("zstd-second-frame-undeclared", two_streams(Codec::Zstd, 1), 87, (none, false), 87),
        row("zstd-skippable-before", with(Codec::Zstd, &skippable(), b""), 0, (ada, false), 87),
        row("zstd-skippable-behind", with(Codec::Zstd, b"", &skippable()), 0, (ada, false), 87),
        row("lz4-skippable-before", with(Codec::Lz4, &skippable(), b""), -1, (none, false), 87),
        row("gzip-rubbish-behind", with(Codec::Gzip, b"", b"rubbish"), 0, (ada, false), 87),
        row(
            "snappy-trailing-block",
            with(Codec::SnappyXerial, b"", &xerial_block(&behind(hidden()))),
            87,
            (none, false),
            87,
        ),
        row(
            "snappy-second-block",
            of(
                Codec::SnappyXerial,
                [Codec::SnappyXerial.compress(&plain), xerial_block(&behind(hidden()))].concat(),
                2,
            ),
            0,
            (both, false),
            87,
        ),
        row(
            "bytes-behind-the-last-record",
            of(Codec::None, [plain.clone(), behind(hidden())].concat(), 1),
            87,
            (none, false),
            87,
        ),
        row(
            "bytes-behind-headers",
            of(Codec::None, by_hand(varint, b"x"), 1),
            87,
            (none, false),
            87,
        ),
        row("overlong-varint", of(Codec::None, by_hand(overlong, b""), 1), 0, (ada, false), 87),
        row("metadata-twice", TestBatch::of([twice]), 0, (ada, false), 87),
    ]
}

#[test]
fn what_java_reads_of_a_crafted_batch_was_judged_or_the_batch_was_refused() {
    let (Some(kafka), Some(java)) = (kafka::shared_single(), Java::get()) else { return };
    let direct = kafka.bootstrap();
    let sidecar = Sidecar::start(kafka, "");
    let mut past = RawClient::bootstrap(&direct).unwrap();
    let mut through = sidecar.client();
    let mut found = Vec::new();
    for case in crafted() {
        let (open, shut) = (format!("open-{}", case.name), format!("shut-{}", case.name));
        for topic in [&open, &shut] {
            admin::create_topic(&direct, topic, 1, 1);
        }
        let batch = ::bytes::Bytes::from(case.batch.encode());
        let broker = produce::call(&mut past, &open, 0, batch.clone(), 9).error_code;
        let proxy = produce::call(&mut through, &shut, 0, batch, 9).error_code;
        found.push((open, shut, broker, proxy));
    }
    let topics: Vec<_> = found.iter().map(|(open, ..)| open.as_str()).collect();
    let read = java.run("ReadEach", &[&[direct.as_str()], &topics[..]].concat(), "").json_lines();
    let mut wrong = Vec::new();
    for ((case, (_, shut, broker, proxy)), read) in crafted().iter().zip(&found).zip(&read) {
        let values = read["values"].as_array().unwrap().iter();
        let values: Vec<_> = values.map(|it| it.as_str().unwrap().to_owned()).collect();
        let expected: Vec<_> = case.java.0.iter().map(|value| hex(value)).collect();
        let fails = !read["error"].is_null();
        let seen = (*broker, values.clone(), fails, *proxy);
        if seen != (case.broker, expected, case.java.1, case.proxy) {
            wrong.push(format!("{}: {seen:?} {read}", case.name));
        }
        assert!(log_reader::stored_values(&direct, shut, 0).is_empty(), "{}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn hex(value: &[u8]) -> String {
    value.iter().map(|byte| format!("{byte:02x}")).collect()
}
