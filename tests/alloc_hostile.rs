//! What hostile batches may make the reader of records hold and allocate: bombs, a million headers, counts and lengths that
//! lie, checksums that do not fit.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

#[path = "support/batch_builder.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the end-to-end tests")]
mod batch_builder;
#[path = "../benches/workloads/mod.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod workloads;

use allocation_counter::{AllocationInfo, measure};
use batch_builder::{Codec, TestBatch, TestRecord, varint};
use schemaward::limits::{KIB, MAX_RECORD_ERRORS, MIB, RecordLimits};
use schemaward::record::{
    Batch, RecordError, RecordErrorClass, RecordErrorClass::*, Scratch, Unlimited,
};
use schemaward::validate::judge::{Resolved, Workspace};

/// One walk over a batch: what it came to, what it held in the end, and what it asked the allocator for.
struct Walked {
    outcome: Result<u32, RecordError>,
    held: usize,
    memory: AllocationInfo,
}

impl Walked {
    fn class(&self) -> Option<RecordErrorClass> {
        self.outcome.err().map(|error| error.class())
    }

    /// What a walk may take: the C library's part of it is only in what was granted.
    fn assert_within(&self, bytes: usize, what: &str) {
        assert!(self.held <= bytes, "{what}: {} bytes granted", self.held);
        assert!(self.memory.bytes_max <= bytes as u64, "{what}: {:?}", self.memory);
        // A handful of buffers, however many records and headers there are.
        assert!(self.memory.count_total <= 32, "{what}: {:?}", self.memory);
    }
}

fn walk(record_set: &[u8], limits: &RecordLimits) -> Walked {
    let mut scratch = Scratch::new();
    let mut outcome = Ok(0);
    let memory = measure(|| outcome = headers(record_set, limits, &mut scratch));
    Walked { outcome, held: scratch.held_bytes(), memory }
}

/// How many headers there are in a sound batch.
fn headers(
    record_set: &[u8],
    limits: &RecordLimits,
    scratch: &mut Scratch,
) -> Result<u32, RecordError> {
    let batch = Batch::parse(record_set)?;
    batch.verify_checksum()?;
    let mut allowance = Unlimited;
    let mut reader = batch.records(scratch, limits, &mut allowance)?;
    let mut seen = 0;
    while reader.next(|_, _| seen += 1)?.is_some() {}
    Ok(seen)
}

/// A batch of `codec` that declares `count` records in `body`.
fn batch(codec: Codec, count: i32, body: &[u8]) -> Vec<u8> {
    let mut batch = TestBatch::of([]).codec(codec);
    batch.body = Some(codec.compress(body));
    batch.declared_records = Some(count);
    batch.encode()
}

/// zstd's context and its largest window, which it needs for frames that say so.
fn own(codec: Codec) -> usize {
    if codec == Codec::Zstd { 9 * MIB } else { 0 }
}

#[test]
fn a_bomb_of_any_codec_ends_at_the_limits() {
    let limits = RecordLimits { max_decompressed_bytes: MIB, max_record_bytes: 512 * KIB };
    // Zeros are records of no bytes; the others begin with one record that is as large as may be, or larger.
    let zeros = vec![0; 16 * MIB];
    let begins_with = |length: i64| {
        let mut body = Vec::new();
        varint(&mut body, length);
        body.extend(&zeros);
        body
    };
    let bodies = [zeros.clone(), begins_with(512 * KIB as i64), begins_with(60 * MIB as i64)];
    for codec in Codec::ALL {
        for (index, body) in bodies.iter().enumerate() {
            let walked = walk(&batch(codec, i32::MAX, body), &limits);
            let what = format!("{codec:?} {index}");
            assert!(matches!(walked.class(), Some(TooLarge | Undecodable)), "{what}");
            walked.assert_within(3 * MIB + own(codec), &what);
        }
    }
}

#[test]
fn a_bomb_of_sound_records_ends_at_the_limit() {
    let limits = RecordLimits { max_decompressed_bytes: MIB, ..RecordLimits::default() };
    let body = TestBatch::of([TestRecord::bare("")]).plain_body().repeat(2 * MIB);
    let count = 2 * MIB as i32;
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let walked = walk(&batch(codec, count, &body), &limits);
        assert_eq!(walked.class(), Some(TooLarge), "{codec:?}");
        walked.assert_within(3 * MIB + own(codec), &format!("{codec:?}"));
    }
    // As they came they are no bomb: the frame has its own limit.
    let walked = walk(&batch(Codec::None, count, &body), &limits);
    assert_eq!(walked.outcome, Ok(0));
    assert_eq!(walked.memory.count_total, 0);
}

#[test]
fn a_million_empty_headers_cost_no_more_than_their_bytes() {
    let mut record = vec![0, 0, 0, 1, 2, b'v'];
    varint(&mut record, 1_000_000);
    record.extend(vec![0; 2_000_000]);
    let mut body = Vec::new();
    varint(&mut body, record.len() as i64);
    body.extend(record);
    for codec in Codec::ALL {
        let walked = walk(&batch(codec, 1, &body), &RecordLimits::default());
        assert_eq!(walked.outcome, Ok(1_000_000), "{codec:?}");
        // The record lies in one piece, in a buffer that grew to it by doubling.
        walked.assert_within(8 * MIB + own(codec), &format!("{codec:?}"));
    }
    let walked = walk(&batch(Codec::None, 1, &body), &RecordLimits::default());
    assert_eq!(walked.memory.count_total, 0);
}

#[test]
fn counts_and_lengths_that_lie_are_believed_nowhere() {
    let sound = TestBatch::of([TestRecord::avro("1", b"v".to_vec())]).plain_body();
    let record = |body: &[u8]| {
        let mut record = Vec::new();
        varint(&mut record, body.len() as i64);
        [&record[..], body].concat()
    };
    let length = |before: &[u8], length: i64| {
        let mut body = before.to_vec();
        varint(&mut body, length);
        record(&body)
    };
    let table = [
        (i32::MAX, sound.clone()),
        (2, sound.clone()),
        (1, sound.repeat(2)),
        (-1, sound.clone()),
        (i32::MIN + 1, sound),
        // Lengths of a key, of a value, the number of headers, lengths of a header's name and value.
        (1, length(&[0, 0, 0], i32::MAX.into())),
        (1, length(&[0, 0, 0, 1], i32::MAX.into())),
        (1, length(&[0, 0, 0, 1, 1], i32::MAX.into())),
        (1, length(&[0, 0, 0, 1, 1, 2], i32::MAX.into())),
        (1, length(&[0, 0, 0, 1, 1, 2, 0], i32::MAX.into())),
        (1, length(&[0, 0, 0, 1, 1], i32::MIN.into())),
    ];
    for codec in Codec::ALL {
        for (count, body) in &table {
            let walked = walk(&batch(codec, *count, body), &RecordLimits::default());
            assert_eq!(walked.class(), Some(Undecodable), "{codec:?} {count}");
            // The smallest buffer, and what a codec keeps for itself.
            let what = format!("{codec:?} {count}");
            walked.assert_within(192 * KIB + own(codec), &what);
        }
    }
}

#[test]
fn a_checksum_that_does_not_fit_is_found_before_anything_is_decompressed() {
    let bomb = vec![0; 16 * MIB];
    for codec in Codec::ALL {
        let mut record_set = batch(codec, 1, &bomb);
        for at in [17, record_set.len() - 1] {
            record_set[at] ^= 1;
            let walked = walk(&record_set, &RecordLimits::default());
            assert_eq!(walked.class(), Some(Corrupt), "{codec:?} {at}");
            assert_eq!((walked.held, walked.memory.count_total), (0, 0), "{codec:?} {at}");
            record_set[at] ^= 1;
        }
    }
}

#[test]
fn past_the_records_that_are_named_nothing_is_put_into_words() {
    let (judge, policy) = (workloads::judge(&["42"]), workloads::policy());
    // No datum of any record, and one with bytes behind it.
    for datum in [&b"\xff"[..], b"\0\0\0\0\0\0\0\0\0\0"] {
        let allocations = |count: usize| {
            let records = std::iter::repeat_n(TestRecord::avro("42", datum.to_vec()), count);
            let record_set = TestBatch::of(records).encode();
            let (resolved, mut workspace) = (Resolved::new(), Workspace::default());
            let mut walk = || {
                let mut allowance = Unlimited;
                let verdict =
                    judge.walk(&record_set, &policy, &resolved, &mut workspace, &mut allowance);
                let verdict = verdict.unwrap();
                assert_eq!(verdict.rejected_records(), count as u64);
                assert_eq!(verdict.rejected().len(), count.min(MAX_RECORD_ERRORS));
                assert!(verdict.rejected().iter().all(|it| !it.rejection.detail.is_empty()));
            };
            // The upkeep of the cache falls into some of the rounds.
            (0..8).map(|_| measure(&mut walk).count_total).min()
        };
        let named = allocations(MAX_RECORD_ERRORS);
        assert!(named > Some(MAX_RECORD_ERRORS as u64));
        assert_eq!(allocations(100 * MAX_RECORD_ERRORS), named);
    }
}
