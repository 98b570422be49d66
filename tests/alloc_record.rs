//! How often a walk over a batch asks the allocator: a number that does not depend on the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use allocation_counter::{AllocationInfo, measure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use schemaward::limits::RecordLimits;
use schemaward::record::{Batch, Scratch, Unlimited};
use std::io::Write as _;

fn record(index: i32) -> Record {
    let header = |key, value: &'static [u8]| {
        (StrBytes::from_static_str(key), Some(Bytes::from_static(value)))
    };
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(index),
        sequence: index,
        timestamp: 1_700_000_000_000 + i64::from(index),
        key: None,
        value: Some(vec![7; 200].into()),
        headers: IndexMap::from_iter([
            header("content-type", b"avro"),
            header("schema-id", b"42"),
            header("trace", b"0123456789abcdef"),
        ]),
    }
}

fn compress(content: &[u8], codec: Compression) -> Vec<u8> {
    match codec {
        Compression::None => content.to_vec(),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(content).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(content, 1).unwrap(),
    }
}

fn batch(codec: Compression, count: i32) -> Bytes {
    let records: Vec<_> = (0..count).map(record).collect();
    let options = RecordEncodeOptions { version: 2, compression: codec };
    let mut bytes = BytesMut::new();
    let compressor = |content: &mut BytesMut, out: &mut BytesMut, codec| {
        out.extend_from_slice(&compress(content, codec));
        Ok(())
    };
    RecordBatchEncoder::encode_with_custom_compression(
        &mut bytes,
        &records,
        &options,
        Some(compressor),
    )
    .unwrap();
    bytes.freeze()
}

/// What one walk over `record_set` allocates.
fn walk(record_set: &[u8], scratch: &mut Scratch) -> AllocationInfo {
    measure(|| {
        let batch = Batch::parse(record_set).unwrap();
        batch.verify_checksum().unwrap();
        let mut allowance = Unlimited;
        let mut reader = batch.records(scratch, &RecordLimits::default(), &mut allowance).unwrap();
        let (mut records, mut headers) = (0, 0);
        while reader.next(|_, _| headers += 1).unwrap().is_some() {
            records += 1;
        }
        assert_eq!((records, headers), (batch.header().record_count, 3 * records));
    })
}

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

#[test]
fn a_walk_over_an_uncompressed_batch_allocates_nothing() {
    let info = walk(&batch(Compression::None, 1_000), &mut Scratch::new());
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_walk_with_a_warm_scratch_allocates_nothing_however_many_records_there_are() {
    for codec in CODECS {
        let mut scratch = Scratch::new();
        let large = batch(codec, 1_000);
        walk(&large, &mut scratch);
        for record_set in [&large, &batch(codec, 10)] {
            let info = walk(record_set, &mut scratch);
            assert_eq!(info.count_total, 0, "{codec:?}");
        }
    }
}

#[test]
fn what_is_held_is_no_less_than_what_was_allocated() {
    for codec in CODECS {
        let mut scratch = Scratch::new();
        let info = walk(&batch(codec, 1_000), &mut scratch);
        let allocated = usize::try_from(info.bytes_current).unwrap();
        assert!(allocated <= scratch.held_bytes(), "{codec:?}: {allocated}");
    }
}
