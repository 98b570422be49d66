//! What goes in comes out: with every codec, read by our reader and by kafka-protocol's.

use bytes::BytesMut;
use kafka_protocol::records as peer;
use proptest::prelude::*;

use super::*;
use crate::{
    limits::RecordLimits,
    record::{
        Batch, Scratch, Unlimited,
        builder::{Flavour, OwnedRecord, batch, read_all},
    },
};

/// Grants so much and no more.
struct Bounded(usize);

impl Allowance for Bounded {
    fn try_grow(&mut self, additional_bytes: usize) -> bool {
        let left = self.0.checked_sub(additional_bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

fn copied(
    record_set: &[u8],
    more: &[(&str, &[u8])],
    compression: Compression,
    allowance: &mut dyn Allowance,
) -> Result<Vec<CopiedBatch>, CopyError> {
    let batch = Batch::parse(record_set).unwrap();
    let mut scratch = Scratch::new();
    let (limits, mut unlimited) = (RecordLimits::default(), Unlimited);
    let mut reader = batch.records(&mut scratch, &limits, &mut unlimited).unwrap();
    let mut copier = BatchCopier::new(batch.header().base_timestamp, compression);
    while let Some((record, body)) = reader.next_with_body(|_, _| {}).unwrap() {
        copier.copy(record.batch_index, body, more, allowance)?;
    }
    copier.finish()
}

/// The records with the headers that every copy gets.
fn with_more(records: &[OwnedRecord], more: &[(&str, &[u8])]) -> Vec<OwnedRecord> {
    let add = |record: &OwnedRecord| {
        let mut record = record.clone();
        let ours = more.iter().map(|(key, value)| (key.as_bytes().to_vec(), Some(value.to_vec())));
        record.headers.extend(ours);
        record
    };
    records.iter().map(add).collect()
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![Just(None), Just(Some(Vec::new())), bytes.prop_map(Some)]
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    // Few names, so that some come twice; and some that are no UTF-8.
    let name = prop_oneof![Just(b"a".to_vec()), Just(b"schema-id".to_vec()), Just(vec![0xff, 0])];
    let headers = proptest::collection::vec((name, any_bytes()), 0..5);
    (any_bytes(), any_bytes(), headers).prop_map(|(key, value, headers)| OwnedRecord {
        key,
        value,
        headers,
    })
}

const MORE: [(&str, &[u8]); 2] = [("schemaward.reason", b"neighbour"), ("schemaward.topic", b"t")];

proptest! {
    #[test]
    fn records_come_out_as_they_went_in_whatever_the_codec(
        records in proptest::collection::vec(any_record(), 1..40),
        flavour in proptest::sample::select(Flavour::ALL.to_vec()),
        zstd in any::<bool>(),
    ) {
        let compression = if zstd { Compression::Zstd } else { Compression::None };
        let sent = batch(flavour, &records);
        let copies = copied(&sent, &MORE, compression, &mut Unlimited).unwrap();
        prop_assert_eq!(copies.len(), 1);
        prop_assert_eq!(copies[0].records, u64::try_from(records.len()).unwrap());
        let bytes = &copies[0].bytes;
        let parsed = Batch::parse(bytes).unwrap();
        parsed.verify_checksum().unwrap();
        prop_assert_eq!(parsed.compression().unwrap(), compression);
        prop_assert_eq!(read_all(bytes).unwrap(), with_more(&records, &MORE));
    }

    #[test]
    fn others_read_the_timestamps_and_offsets_of_a_copy(
        deltas in proptest::collection::vec(0..1_000_000_i64, 1..20),
    ) {
        let base = 1_700_000_000_000;
        let mut copier = BatchCopier::new(base, Compression::None);
        for (index, delta) in (0..).zip(&deltas) {
            let mut body = vec![0];
            put_varlong(&mut body, *delta);
            put_varlong(&mut body, 77); // its place in the batch it comes from
            body.extend([1, 2, b'v', 0]); // no key, a value, no headers
            copier.copy(index, &body, &MORE, &mut Unlimited).unwrap();
        }
        let bytes = copier.finish().unwrap().remove(0).bytes;
        let mut buf = BytesMut::from(&bytes[..]).freeze();
        let read = peer::RecordBatchDecoder::decode_all(&mut buf).unwrap();
        let read: Vec<_> = read.into_iter().flat_map(|set| set.records).collect();
        let seen: Vec<_> = read.iter().map(|it| (it.offset, it.timestamp)).collect();
        let sent: Vec<_> = (0..).zip(deltas.iter().map(|delta| base.wrapping_add(*delta))).collect();
        prop_assert_eq!(seen, sent);
        prop_assert_eq!(Batch::parse(&bytes).unwrap().header().base_sequence, -1);
        let most = base.wrapping_add(*deltas.iter().max().unwrap());
        prop_assert_eq!(Batch::parse(&bytes).unwrap().header().max_timestamp, most);
        for record in &read {
            prop_assert_eq!((record.producer_id, record.transactional), (-1, false));
        }
    }
}

#[test]
fn what_exceeds_a_batch_goes_into_the_next_in_order() {
    let large = OwnedRecord::of(vec![7; 200 * KIB]).with("k", "v");
    let huge = OwnedRecord::of(vec![8; TARGET_BYTES + 1]);
    let records = [large.clone(), large.clone(), large.clone(), huge, large];
    let copies =
        copied(&batch(Flavour::Zstd, &records), &MORE, Compression::None, &mut Unlimited).unwrap();
    let counts: Vec<_> = copies.iter().map(|copy| copy.records).collect();
    assert_eq!(counts, [2, 1, 1, 1]);
    let read: Vec<_> = copies.iter().flat_map(|copy| read_all(&copy.bytes).unwrap()).collect();
    assert_eq!(read, with_more(&records, &MORE));
}

#[test]
fn no_more_memory_is_taken_than_was_granted() {
    let records = vec![OwnedRecord::of(vec![7; 10 * KIB]); 200];
    let sent = batch(Flavour::Plain, &records);
    for granted in [0, KIB, 100 * KIB, 700 * KIB, 2_000 * KIB] {
        let result = copied(&sent, &MORE, Compression::None, &mut Bounded(granted));
        assert!(matches!(result, Err(CopyError::NotGranted(_))), "{granted}");
    }
    let copies = copied(&sent, &MORE, Compression::None, &mut Bounded(3_000 * KIB)).unwrap();
    let held: usize = copies.iter().map(|copy| copy.bytes.len()).sum();
    assert!(held <= 3_000 * KIB, "{held}");
}

#[test]
fn what_is_no_record_is_not_copied() {
    let mut copier = BatchCopier::new(0, Compression::None);
    let whole = OwnedRecord::of("value").with("k", "v").body(0);
    for end in 0..8 {
        let cut = &whole[..end];
        let copied = copier.copy(3, cut, &[], &mut Unlimited);
        assert_eq!(copied, Err(CopyError::Record(3)), "{end}");
    }
    assert_eq!(copier.finish(), Ok(Vec::new()));
}
