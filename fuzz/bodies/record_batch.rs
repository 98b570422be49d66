//! One record set: structure, checksum, records, compared with kafka-protocol.

use schemaward::limits::{KIB, MIB, RecordLimits};
use schemaward::record::{Batch, RecordErrorClass, Scratch, peek_sequence};

use super::batches::{Purse, compare, inflate, records, seal};
use super::{Outcome, split, within};

/// The first byte says whether length, magic and checksum are to be put right: a fuzzer finds no checksum.
pub fn run(data: &[u8]) -> Outcome {
    let (flags, record_set) = split(data);
    let mut record_set = record_set.to_vec();
    if flags & 1 == 0 {
        seal(&mut record_set);
    }
    let sequence = within(0, || peek_sequence(&record_set));
    let parsed = within(0, || Batch::parse(&record_set));
    let Ok(batch) = parsed else { return Outcome::Refused };
    let header = *batch.header();
    let sequenced = header.producer_id >= 0 && header.base_sequence >= 0;
    assert_eq!(sequence.is_some(), sequenced);
    let limits = RecordLimits { max_decompressed_bytes: 256 * KIB, max_record_bytes: 64 * KIB };
    match records(&record_set, &mut Scratch::new(), &limits, &mut Purse::of(64 * MIB)) {
        Ok(records) => {
            let codec = batch.compression().expect("the batch was taken");
            let plain = inflate(codec, batch.record_bytes(), limits.max_decompressed_bytes);
            compare(header.record_count, &plain, &records);
            Outcome::Taken
        }
        Err(error) => {
            super::assert_presentable(&error.to_string());
            assert_ne!(error.class(), RecordErrorClass::UnsupportedFormat, "found too late");
            Outcome::Refused
        }
    }
}
