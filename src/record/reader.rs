//! The walk over the records of one batch: strict, borrowing, without allocation per record.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::Cursor;
use crate::limits::RecordLimits;
use crate::record::inflate::{Inflater, length_error, record_length};
use crate::record::{Allowance, Compression, RecordError, Scratch, walk};

/// What a record takes beside its bytes, as bytes.
const RECORD_COST: usize = 64;

/// One record, borrowed from its batch. Its headers went past while it was walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'r> {
    /// Its place in the batch, from 0: what a producer is told.
    pub batch_index: i32,
    /// `None` is a null key.
    pub key: Option<&'r [u8]>,
    /// `None` is a tombstone, which is not the same as an empty value.
    pub value: Option<&'r [u8]>,
}

/// A record and some of its bytes, or the end of the batch.
pub type Walked<'r> = Option<(Record<'r>, &'r [u8])>;

enum Source<'s> {
    /// What is not walked yet, and all of it.
    Plain(&'s [u8], &'s [u8]),
    Compressed(Inflater<'s>),
}

/// Lends one record after the other.
///
/// ```text
/// loop {
///     let mut metadata = Metadata::default(); // borrows from the same record
///     let Some(record) = reader.next(|key, value| metadata.visit(key, value))? else { break };
///     // judge record and metadata
/// }
/// ```
pub struct RecordReader<'s> {
    source: Source<'s>,
    next: i32,
    end: End,
    max_record_bytes: usize,
}

/// Where to stop. Apart from the source, which a record borrows from while its error is noted.
struct End {
    /// The declared count, or 0 after an error.
    at: i32,
    failed: Option<RecordError>,
}

impl End {
    /// From now on there is only this error.
    #[cold]
    const fn fail(&mut self, error: RecordError) -> RecordError {
        self.at = 0;
        self.failed = Some(error);
        error
    }
}

impl<'s> RecordReader<'s> {
    pub(super) fn new(
        codec: Compression,
        records: &'s [u8],
        count: i32,
        scratch: &'s mut Scratch,
        limits: &RecordLimits,
        allowance: &'s mut dyn Allowance,
    ) -> Result<Self, RecordError> {
        let source = match Inflater::new(codec, records, scratch, limits, allowance)? {
            Some(inflater) => Source::Compressed(inflater),
            None => Source::Plain(records, records),
        };
        let max_record_bytes = limits.max_record_bytes;
        let end = End { at: count, failed: None };
        Ok(Self { source, next: 0, end, max_record_bytes })
    }

    /// The next record; every header of it is passed to `on_header(key, value)`, once and in order, before the record is
    /// known to be whole. `None` after the last one, and then everything was used to the last byte: a batch is sound only
    /// once `None` came.
    ///
    /// # Errors
    /// [`RecordError`] of class `Undecodable`, `TooLarge` or `BudgetSpent`; from then on always the same one.
    #[inline]
    pub fn next<'r, F>(&'r mut self, on_header: F) -> Result<Option<Record<'r>>, RecordError>
    where
        F: FnMut(&'r [u8], Option<&'r [u8]>),
    {
        match self.next_with_body(on_header) {
            Ok(Some((record, _))) => Ok(Some(record)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same with the record's own bytes, its length apart: for who copies it as it stands there.
    ///
    /// # Errors
    /// The same.
    #[inline(always)]
    pub fn next_with_body<'r, F>(&'r mut self, on_header: F) -> Result<Walked<'r>, RecordError>
    where
        F: FnMut(&'r [u8], Option<&'r [u8]>),
    {
        self.step(|body| {
            let (key, value) = walk::fields(body, on_header)?;
            Some((key, value, body))
        })
    }

    /// The same with the bytes of all headers, their count included, which `is_known` is shown before they are walked. Where it
    /// says yes they are not walked, and `on_header` sees none of them: it has to have got exactly these bytes from here
    /// before, with a record that was whole.
    ///
    /// # Errors
    /// The same.
    #[inline(always)]
    pub fn next_unless_known<'r, F>(
        &'r mut self,
        is_known: impl FnOnce(&'r [u8]) -> bool,
        on_header: F,
    ) -> Result<Walked<'r>, RecordError>
    where
        F: FnMut(&'r [u8], Option<&'r [u8]>),
    {
        self.step(|body| {
            let ((key, value), headers) = walk::before_headers(body)?;
            if !is_known(headers) {
                walk::headers(headers, on_header)?;
            }
            Some((key, value, headers))
        })
    }

    /// Passes records by, as long as each has `headers` for its headers and a value that `is_good` takes; says how many. Stops in
    /// front of a record that differs or is not sound, which is then walked as if nobody had looked at it; where what is
    /// decompressed ends; and as soon as `end` bytes are [`spent`](Self::spent).
    ///
    /// `headers` have to be what [`next_unless_known`](Self::next_unless_known) gave before with a record that was whole.
    // Apart, so that what each record needs stays in registers.
    #[inline(never)]
    pub fn pass_alike(
        &mut self,
        headers: &[u8],
        end: usize,
        mut is_good: impl FnMut(Option<&[u8]>) -> bool,
    ) -> u64 {
        let limit = self.max_record_bytes;
        let (mut next, mut left) = (self.next, end.saturating_sub(self.spent()));
        let mut rest = match &self.source {
            Source::Plain(rest, _) => *rest,
            Source::Compressed(inflater) => inflater.at_hand(),
        };
        let (from, begun) = (next, rest.len());
        while next < self.end.at && left > 0 {
            let Some((body, behind)) = walk::bytes(rest) else { break };
            let Some(((_, value), own)) = walk::before_headers(body) else { break };
            if body.len() > limit || own != headers || !is_good(value) {
                break;
            }
            left = left.saturating_sub(body.len()).saturating_sub(RECORD_COST);
            (rest, next) = (behind, next.wrapping_add(1)); // it is below the end
        }
        let passed = begun.saturating_sub(rest.len());
        self.next = next;
        match &mut self.source {
            Source::Plain(rest, _) => *rest = rest.get(passed..).unwrap_or_default(),
            Source::Compressed(inflater) => inflater.pass(passed),
        }
        u64::from(next.abs_diff(from))
    }

    /// The next record as `take` takes it apart: key, value, and what else of it is wanted.
    #[inline(always)]
    fn step<'r>(
        &'r mut self,
        take: impl FnOnce(&'r [u8]) -> Option<(Option<&'r [u8]>, Option<&'r [u8]>, &'r [u8])>,
    ) -> Result<Walked<'r>, RecordError> {
        if self.next >= self.end.at {
            return self.finish().map(|()| None);
        }
        let index = self.next;
        let limit = self.max_record_bytes;
        let body = match &mut self.source {
            Source::Plain(rest, whole) => match walk::bytes(rest) {
                Some((body, behind)) if body.len() <= limit => {
                    *rest = behind;
                    body
                }
                _ => return Err(self.end.fail(explain_length(rest, whole, index, limit))),
            },
            Source::Compressed(inflater) => match inflater.body(index, limit) {
                Ok(body) => body,
                Err(error) => return Err(self.end.fail(error)),
            },
        };
        match take(body) {
            Some((key, value, wanted)) => {
                self.next = index.wrapping_add(1); // it is below the end
                Ok(Some((Record { batch_index: index, key, value }, wanted)))
            }
            None => Err(self.end.fail(walk::explain(body, index))),
        }
    }

    /// What walking took so far, in bytes: those of the records, and some for each of them.
    #[inline]
    #[must_use]
    pub fn spent(&self) -> usize {
        let bytes = match &self.source {
            Source::Plain(rest, whole) => whole.len().saturating_sub(rest.len()),
            Source::Compressed(inflater) => inflater.position(),
        };
        let records = usize::try_from(self.next).unwrap_or_default();
        bytes.saturating_add(records.saturating_mul(RECORD_COST))
    }

    /// After the last record, or after an error.
    #[cold]
    fn finish(&mut self) -> Result<(), RecordError> {
        if let Some(error) = self.end.failed {
            return Err(error);
        }
        let count = self.end.at;
        let ended = match &mut self.source {
            Source::Plain([], _) => Ok(()),
            Source::Plain(rest, whole) => {
                let at = whole.len().saturating_sub(rest.len());
                Err(RecordError::LeftInBatch { count, at })
            }
            Source::Compressed(inflater) => inflater.end(count),
        };
        ended.map_err(|error| self.end.fail(error))
    }
}

/// Why an uncompressed batch has no record at `rest`.
#[cold]
fn explain_length(rest: &[u8], whole: &[u8], record: i32, limit: usize) -> RecordError {
    let at = whole.len().saturating_sub(rest.len());
    let mut cursor = Cursor::new(whole);
    let size = cursor
        .skip(at)
        .and_then(|()| cursor.varint())
        .and_then(|length| record_length(length, at))
        .and_then(|length| cursor.take(length).map(<[u8]>::len));
    match size {
        Ok(size) => RecordError::RecordTooLarge { record, size, limit },
        Err(error) => length_error(record, error),
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::record::RecordErrorClass::{TooLarge, Undecodable};
    use crate::record::builder::{
        Flavour, OwnedRecord, batch, batch_of, bodies, put_bytes, put_varint, read_all, read_with,
        reseal,
    };
    use crate::record::{Batch, Unlimited};
    use bytes::BytesMut;
    use kafka_protocol::indexmap::IndexMap;
    use kafka_protocol::protocol::StrBytes;
    use kafka_protocol::records as peer;
    use proptest::prelude::*;

    /// A batch of one record with this body.
    fn one(body: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        put_bytes(&mut content, Some(body));
        batch_of(0, 1, &content)
    }

    fn records(count: usize) -> Vec<OwnedRecord> {
        (0..count)
            .map(|index| OwnedRecord::of(format!("value {index}")).with("schema-id", "42"))
            .collect()
    }

    #[test]
    fn a_tombstone_is_not_an_empty_value_and_headers_keep_their_order() {
        let record = OwnedRecord {
            key: Some(Vec::new()),
            value: None,
            headers: vec![
                (b"b".to_vec(), None),
                (b"a".to_vec(), Some(Vec::new())),
                (b"b".to_vec(), Some(b"2".to_vec())),
                (Vec::new(), Some(vec![0xff, 0xfe])),
            ],
        };
        let records = vec![record, OwnedRecord::of("")];
        assert_eq!(read_all(&batch(Flavour::Plain, &records)), Ok(records));
    }

    #[test]
    fn refuses_every_field_that_is_not_what_its_length_says() {
        // attributes, timestamp delta, offset delta, null key, value "v", no headers
        let sound = [0, 0, 0, 1, 2, b'v', 0];
        assert!(read_all(&one(&sound)).is_ok());
        let header = |bytes: &[u8]| [&[0, 0, 0, 1, 1, 2][..], bytes].concat();
        assert!(read_all(&one(&header(&[2, b'k', 1]))).is_ok());
        let table: [(&str, Vec<u8>); 17] = [
            ("empty body", vec![]),
            ("cut", sound[..6].to_vec()),
            ("byte after the headers", [&sound[..], &[0]].concat()),
            ("key length -2", vec![0, 0, 0, 3, 2, b'v', 0]),
            ("key beyond the record", vec![0, 0, 0, 9, 2, b'v', 0]),
            ("value length -2", vec![0, 0, 0, 1, 3, 0]),
            ("value beyond the record", vec![0, 0, 0, 1, 8, b'v', 0]),
            ("header count -1", vec![0, 0, 0, 1, 1, 1]),
            ("one header too many announced", vec![0, 0, 0, 1, 1, 4, 2, b'k', 1]),
            ("one header too few announced", vec![0, 0, 0, 1, 1, 2, 2, b'k', 1, 2, b'k', 1]),
            ("header key null", header(&[1, 1])),
            ("header value length -2", header(&[2, b'k', 3])),
            ("header value beyond the record", header(&[2, b'k', 4, 0])),
            ("over-long offset delta", vec![0, 0, 0x80, 0, 1, 2, b'v', 0]),
            ("over-long value length", vec![0, 0, 0, 1, 0x82, 0, b'v', 0]),
            ("timestamp delta of 65 bits", { [&[0][..], &[0xff; 9], &[2, 0, 1, 1, 0]].concat() }),
            ("offset delta of 33 bits", vec![0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, 1, 0]),
        ];
        for (name, body) in table {
            let error = read_all(&one(&body)).expect_err(name);
            assert_eq!(error.class(), Undecodable, "{name}: {error}");
        }
    }

    #[test]
    fn takes_the_widest_varints_that_their_types_allow() {
        let mut body = vec![0];
        put_varint(&mut body, i64::MIN);
        put_varint(&mut body, i64::from(i32::MIN));
        body.extend([1, 1, 0]);
        assert_eq!(read_all(&one(&body)), Ok(vec![OwnedRecord::default()]));
    }

    #[test]
    fn the_length_of_a_record_is_strict() {
        for content in
            [&[1][..], &[0x80], &[0x8e, 0], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[14, 0], &[]]
        {
            let error = read_all(&batch_of(0, 1, content)).unwrap_err();
            assert_eq!(error.class(), Undecodable, "{content:?}");
        }
    }

    #[test]
    fn the_declared_records_use_the_batch_to_its_last_byte() {
        let records = records(3);
        let content = bodies(&records);
        for flavour in Flavour::ALL {
            for count in [1, 2, 4, i32::MAX] {
                let bytes = batch_of(flavour.id(), count, &flavour.compress(&content));
                let error = read_all(&bytes).unwrap_err();
                assert_eq!(error.class(), Undecodable, "{flavour:?} {count}: {error}");
            }
            let longer = [&content[..], &[0]].concat();
            let bytes = batch_of(flavour.id(), 3, &flavour.compress(&longer));
            let error = read_all(&bytes).unwrap_err();
            let at = content.len();
            assert_eq!(error, RecordError::LeftInBatch { count: 3, at }, "{flavour:?}");
        }
    }

    #[test]
    fn a_record_is_taken_at_its_limit_and_not_beyond() {
        let record = OwnedRecord::of(vec![7; 1_000]);
        let size = record.body(0).len();
        for flavour in Flavour::ALL {
            let bytes = batch(flavour, std::slice::from_ref(&record));
            for (limit, taken) in [(size, true), (size - 1, false)] {
                let limits = RecordLimits { max_record_bytes: limit, ..RecordLimits::default() };
                let read = read_with(&bytes, &mut Scratch::new(), &limits, &mut Unlimited);
                assert_eq!(read.is_ok(), taken, "{flavour:?}");
                if let Err(error) = read {
                    assert_eq!(error, RecordError::RecordTooLarge { record: 0, size, limit });
                    assert_eq!(error.class(), TooLarge);
                }
            }
        }
    }

    #[test]
    fn an_error_stays() {
        let mut content = bodies(&records(1));
        content.extend([2, 0]);
        content.extend(bodies(&records(1)));
        let bytes = batch_of(0, 3, &content);
        let (mut scratch, mut allowance) = (Scratch::new(), Unlimited);
        let batch = Batch::parse(&bytes).unwrap();
        let mut reader =
            batch.records(&mut scratch, &RecordLimits::default(), &mut allowance).unwrap();
        assert!(reader.next(|_, _| {}).unwrap().is_some());
        let error = reader.next(|_, _| {}).unwrap_err();
        assert!(matches!(error, RecordError::Field { record: 1, what: "timestamp delta", .. }));
        assert_eq!(reader.next(|_, _| {}), Err(error));
        assert_eq!(reader.next(|_, _| {}), Err(error));
    }

    #[test]
    fn errors_say_what_and_where() {
        let table = [
            (
                one(&[0, 0, 0, 1, 8, 7, 7]),
                "record 0: value: 4 bytes are needed at byte 5 but 2 are left",
            ),
            (
                one(&[0, 0, 0, 1, 1, 0, 9]),
                "record 0: 1 bytes after the last header, which ends at byte 6",
            ),
            (
                batch_of(0, 2, &bodies(&records(1))),
                "record 1: length: 1 bytes are needed at byte 27 but 0 are left",
            ),
            (batch_of(3, 1, &[7; 9]), "lz4 stream at byte 0: not an lz4 frame"),
        ];
        for (bytes, message) in table {
            assert_eq!(read_all(&bytes).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_million_empty_headers_are_walked() {
        let record = OwnedRecord {
            headers: vec![(vec![], Some(vec![])); 1_000_000],
            ..OwnedRecord::default()
        };
        for flavour in [Flavour::Plain, Flavour::Lz4, Flavour::ZstdSized] {
            let bytes = batch(flavour, std::slice::from_ref(&record));
            let (mut scratch, mut allowance) = (Scratch::new(), Unlimited);
            let batch = Batch::parse(&bytes).unwrap();
            let mut reader =
                batch.records(&mut scratch, &RecordLimits::default(), &mut allowance).unwrap();
            let mut seen = 0;
            assert!(reader.next(|_, _| seen += 1).unwrap().is_some());
            assert_eq!(seen, 1_000_000);
            assert_eq!(reader.next(|_, _| {}), Ok(None));
        }
    }

    fn any_record() -> impl Strategy<Value = OwnedRecord> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
        let header = ("[a-zé]{0,20}".prop_map(String::into_bytes), proptest::option::of(bytes()));
        let headers = proptest::collection::vec(header, 0..5);
        (proptest::option::of(bytes()), proptest::option::of(bytes()), headers)
            .prop_map(|(key, value, headers)| OwnedRecord { key, value, headers })
    }

    /// What kafka-protocol makes of a batch, and what it writes for the same records.
    fn peer_record(index: i32, record: &OwnedRecord) -> peer::Record {
        let header = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            let key = StrBytes::from_string(String::from_utf8(key.clone()).unwrap());
            (key, value.clone().map(Into::into))
        };
        peer::Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: peer::TimestampType::Creation,
            offset: i64::from(index),
            sequence: index,
            timestamp: 1_700_000_000_000 + i64::from(index) * 100,
            key: record.key.clone().map(Into::into),
            value: record.value.clone().map(Into::into),
            headers: record.headers.iter().map(header).collect::<IndexMap<_, _>>(),
        }
    }

    /// kafka-protocol keeps one header of each name: so do we for the comparison.
    fn merged(record: &peer::Record) -> OwnedRecord {
        OwnedRecord {
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value.as_ref().map(|v| v.to_vec())))
                .collect(),
        }
    }

    /// The values of a batch for who passes records by that are like the one before, and whose values are short.
    fn read_alike(record_set: &[u8], turn: usize) -> Result<Vec<Option<Vec<u8>>>, RecordError> {
        let (mut scratch, mut allowance) = (Scratch::new(), Unlimited);
        let batch = Batch::parse(record_set)?;
        let mut reader = batch.records(&mut scratch, &RecordLimits::default(), &mut allowance)?;
        let (mut values, mut alike) = (Vec::new(), Vec::new());
        while let Some((record, headers)) = reader.next_unless_known(|_| false, |_, _| {})? {
            assert_eq!(record.batch_index, i32::try_from(values.len()).unwrap());
            values.push(record.value.map(<[u8]>::to_vec));
            alike.clear();
            alike.extend_from_slice(headers);
            let (before, spent) = (values.len(), reader.spent());
            let end = spent.saturating_add(turn);
            let passed = reader.pass_alike(&alike, end, |value| {
                let is_good = value.is_none_or(|value| value.len() < 100);
                if is_good {
                    values.push(value.map(<[u8]>::to_vec));
                }
                is_good
            });
            assert_eq!(usize::try_from(passed).unwrap(), values.len() - before);
            assert!(turn > 0 || passed == 0);
            assert!(passed == 0 || reader.spent() > spent);
        }
        Ok(values)
    }

    /// Reads records one byte after the other; `None` for anything that is not strictly one.
    fn slow(content: &[u8], count: usize) -> Option<Vec<OwnedRecord>> {
        fn number(bytes: &mut Vec<u8>, bits: u32) -> Option<i128> {
            let used = bytes.iter().position(|byte| byte & 0x80 == 0)? + 1;
            let varint: Vec<u8> = bytes.drain(..used).collect();
            if used > 10 || (used > 1 && varint[used - 1] == 0) {
                return None;
            }
            let raw: i128 =
                varint.iter().rev().fold(0, |raw, byte| raw * 128 + i128::from(byte & 0x7f));
            let value = if raw % 2 == 0 { raw / 2 } else { -(raw + 1) / 2 };
            (-(1_i128 << (bits - 1))..1_i128 << (bits - 1)).contains(&value).then_some(value)
        }
        fn some_bytes(bytes: &mut Vec<u8>) -> Option<Option<Vec<u8>>> {
            match number(bytes, 32)? {
                -1 => Some(None),
                length => {
                    let length = usize::try_from(length).ok().filter(|&l| l <= bytes.len())?;
                    Some(Some(bytes.drain(..length).collect()))
                }
            }
        }
        let mut rest = content.to_vec();
        let mut records = Vec::new();
        for _ in 0..count {
            let mut body = some_bytes(&mut rest)??;
            if body.is_empty() {
                return None;
            }
            body.remove(0);
            number(&mut body, 64)?;
            number(&mut body, 32)?;
            let (key, value) = (some_bytes(&mut body)?, some_bytes(&mut body)?);
            let mut headers = Vec::new();
            let announced = number(&mut body, 32)?;
            for _ in 0..announced.max(0) {
                headers.push((some_bytes(&mut body)??, some_bytes(&mut body)?));
            }
            if announced < 0 || !body.is_empty() {
                return None;
            }
            records.push(OwnedRecord { key, value, headers });
        }
        rest.is_empty().then_some(records)
    }

    proptest! {
        #[test]
        fn reads_what_kafka_protocol_wrote(records in proptest::collection::vec(any_record(), 1..20)) {
            let theirs: Vec<_> = (0..).zip(&records).map(|(i, r)| peer_record(i, r)).collect();
            let options =
                peer::RecordEncodeOptions { version: 2, compression: peer::Compression::None };
            let mut bytes = BytesMut::new();
            peer::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
            let expected: Vec<_> = theirs.iter().map(merged).collect();
            prop_assert_eq!(read_all(&bytes), Ok(expected));
        }

        #[test]
        fn reads_what_kafka_protocol_reads(records in proptest::collection::vec(any_record(), 1..20)) {
            let bytes = batch(Flavour::Plain, &records);
            let mut theirs = bytes::Bytes::from(bytes.clone());
            let theirs = peer::RecordBatchDecoder::decode(&mut theirs).unwrap().records;
            let ours = read_all(&bytes).unwrap();
            let ours: Vec<_> = ours.iter().map(|r| merged(&peer_record(0, r))).collect();
            prop_assert_eq!(ours, theirs.iter().map(merged).collect::<Vec<_>>());
        }

        #[test]
        fn who_passes_records_by_that_are_alike_reads_what_others_read(
            pool in proptest::collection::vec(any_record(), 1..4),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30),
            damage in proptest::option::weighted(0.5, (any::<prop::sample::Index>(), 0_u8..=255)),
            count in proptest::option::weighted(0.2, 0..30),
            turn in prop_oneof![Just(0), 1_usize..2_000, Just(usize::MAX)],
        ) {
            let records: Vec<_> = order.iter().map(|at| at.get(&pool).clone()).collect();
            let mut content = bodies(&records);
            if let Some((at, byte)) = damage {
                let at = at.index(content.len());
                content[at] = byte;
            }
            let count = count.unwrap_or_else(|| i32::try_from(records.len()).unwrap());
            for flavour in Flavour::ALL {
                let bytes = batch_of(flavour.id(), count, &flavour.compress(&content));
                let values = |all: Vec<OwnedRecord>| all.into_iter().map(|it| it.value).collect();
                prop_assert_eq!(read_alike(&bytes, turn), read_all(&bytes).map(values));
            }
        }

        #[test]
        fn agrees_with_a_slow_reader_on_damaged_records(
            records in proptest::collection::vec(any_record(), 1..4),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..=255), 0..3),
            count in 1_usize..5,
        ) {
            let mut content = bodies(&records);
            for (at, byte) in damage {
                let at = at.index(content.len());
                content[at] = byte;
            }
            let bytes = batch_of(0, i32::try_from(count).unwrap(), &content);
            prop_assert_eq!(read_all(&bytes).ok(), slow(&content, count));
        }

        #[test]
        fn agrees_with_a_slow_reader_on_small_arbitrary_bytes(
            content in proptest::collection::vec(prop_oneof![0_u8..6, Just(0x80), any::<u8>()], 0..24),
        ) {
            let bytes = batch_of(0, 1, &content);
            prop_assert_eq!(read_all(&bytes).ok(), slow(&content, 1));
        }

        #[test]
        fn arbitrary_content_never_panics(codec in 0_u8..8, count: i32, content: Vec<u8>) {
            let mut bytes = batch_of(codec, 1, &content);
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            reseal(&mut bytes);
            let _ = read_all(&bytes);
        }
    }
}
