//! The header of a record batch, magic 2 (KIP-98): structure, checksum, codec. Does not look at a record.
//!
//! ```text
//! base offset i64 | batch length i32 | leader epoch i32 | magic i8 | crc u32 | attributes i16 | last offset delta i32 |
//! base timestamp i64 | max timestamp i64 | producer id i64 | producer epoch i16 | base sequence i32 | record count i32
//! ```
//!
//! The length counts from the byte after it, the CRC-32C covers everything from the attributes on.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::limits::RecordLimits;
use crate::record::{Allowance, Compression, RecordError, RecordReader, Scratch};

/// Bytes of a batch up to its first record.
pub const HEADER_BYTES: usize = 61;
/// Bytes up to and with the batch length.
const LENGTH_END: usize = 12;
/// Bytes up to and with the magic: fewer do not tell which format it is.
const MAGIC_END: usize = 17;
/// Bytes up to and with the CRC.
const CRC_END: usize = 21;
/// What the length counts in the smallest message of any format. A broker takes less for damage before it looks at the magic.
const SMALLEST_MESSAGE: i32 = 14;

/// What stands before the records of a batch, as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; a producer writes 0.
    pub base_offset: i64,
    /// Bytes after this field.
    pub batch_length: i32,
    /// Set by the broker.
    pub partition_leader_epoch: i32,
    /// 2.
    pub magic: i8,
    /// CRC-32C of everything after this field.
    pub crc: u32,
    /// Bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 has a delete horizon.
    pub attributes: i16,
    /// Offset of the last record from the base offset.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from.
    pub base_timestamp: i64,
    /// Largest timestamp of the batch.
    pub max_timestamp: i64,
    /// -1 for a producer that is not idempotent.
    pub producer_id: i64,
    /// -1 for a producer that is not idempotent.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for a producer that is not idempotent.
    pub base_sequence: i32,
    /// Records declared.
    pub record_count: i32,
}

impl BatchHeader {
    const fn codec_id(&self) -> u8 {
        let [_, low] = self.attributes.to_be_bytes();
        low & 0x07
    }
}

/// Exactly one batch of magic 2, borrowed from its record set.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    header: BatchHeader,
    /// What the CRC covers.
    covered: &'a [u8],
    /// What follows the header.
    records: &'a [u8],
}

/// Where a batch stands in the sequence of an idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerSequence {
    /// Not negative.
    pub producer_id: i64,
    /// As it stands in the batch.
    pub producer_epoch: i16,
    /// Not negative.
    pub base_sequence: i32,
    /// How many records it declares.
    pub record_count: i32,
}

impl<'a> Batch<'a> {
    /// Takes `record_set` for exactly one batch of magic 2 with nothing after it. Checks its structure, not its checksum.
    ///
    /// What Apache Kafka 4.4 answers (`ByteBufferLogInputStream`, `ProduceRequest.validateRecords`), and where this differs:
    ///
    /// | Record set | Kafka | here |
    /// |---|---|---|
    /// | null, empty, too short to have a magic | 87 | 87 |
    /// | announces less than any message has; magic below 0 or above 2 | 2 | 2 |
    /// | magic 0 or 1 | 87 | 87 |
    /// | shorter than a header, but of the length that it announces | 2 | 2 |
    /// | announces more than there is | 87, "no batch" | 2: the size is wrong |
    /// | a second whole batch | 87 | 87 |
    /// | bytes after the batch that are none | taken, cut off when stored | 87 |
    ///
    /// # Errors
    /// [`RecordError`] of class `Corrupt` (2) or `UnsupportedFormat` (87).
    pub fn parse(record_set: &'a [u8]) -> Result<Self, RecordError> {
        check_size(record_set)?;
        let header =
            read_header(record_set).map_err(|_| RecordError::NoBatch { len: record_set.len() })?;
        let covered = record_set.get(CRC_END..).unwrap_or_default();
        let records = record_set.get(HEADER_BYTES..).unwrap_or_default();
        Ok(Self { header, covered, records })
    }

    /// The header as it stands there.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes of the records, as they came: compressed, if they are.
    #[must_use]
    pub const fn record_bytes(&self) -> &'a [u8] {
        self.records
    }

    /// Compares the CRC-32C with the bytes. To be done before anything inside is trusted, or refused.
    ///
    /// # Errors
    /// [`RecordError::Checksum`].
    pub fn verify_checksum(&self) -> Result<(), RecordError> {
        let actual = crc32c::crc32c(self.covered);
        let expected = self.header.crc;
        if actual == expected { Ok(()) } else { Err(RecordError::Checksum { actual, expected }) }
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`RecordError::UnknownCompression`].
    pub fn compression(&self) -> Result<Compression, RecordError> {
        let id = self.header.codec_id();
        Compression::from_id(id).ok_or(RecordError::UnknownCompression { id })
    }

    /// Walks the records, decompressing as it goes. `scratch` keeps the memory that this takes for the next batch;
    /// every growth of it is asked of `allowance` first. An uncompressed batch needs neither.
    ///
    /// # Errors
    /// [`RecordError`] if the batch declares no record, if its codec is unknown, if the compressed stream does not even
    /// begin as one, or if the memory for it is not granted.
    pub fn records<'s>(
        &self,
        scratch: &'s mut Scratch,
        limits: &RecordLimits,
        allowance: &'s mut dyn Allowance,
    ) -> Result<RecordReader<'s>, RecordError>
    where
        'a: 's,
    {
        let codec = self.compression()?;
        let count = self.header.record_count;
        if count < 1 {
            return Err(RecordError::RecordCount { count });
        }
        RecordReader::new(codec, self.records, count, scratch, limits, allowance)
    }
}

/// Producer id, epoch and base sequence of what looks like a batch of magic 2, whatever else is wrong with it. `None` if it
/// is not sequenced: the producer id or the base sequence is negative.
#[must_use]
pub fn peek_sequence(record_set: &[u8]) -> Option<ProducerSequence> {
    let header = read_header(record_set).ok()?;
    let BatchHeader { magic, producer_id, producer_epoch, base_sequence, record_count, .. } =
        header;
    (magic == 2 && producer_id >= 0 && base_sequence >= 0).then_some(ProducerSequence {
        producer_id,
        producer_epoch,
        base_sequence,
        record_count,
    })
}

/// The codec that what looks like a batch of magic 2 names, whatever else is wrong with it.
#[must_use]
pub fn peek_compression(record_set: &[u8]) -> Option<Compression> {
    let header = read_header(record_set).ok().filter(|header| header.magic == 2)?;
    Compression::from_id(header.codec_id())
}

/// Whether `record_set` is one batch of magic 2 by its length and its magic.
fn check_size(record_set: &[u8]) -> Result<(), RecordError> {
    let len = record_set.len();
    let (announced, magic) =
        read_size_and_magic(record_set).map_err(|_| RecordError::NoBatch { len })?;
    let available = len.saturating_sub(LENGTH_END);
    let wrong_length = RecordError::BatchLength { announced, available };
    if announced < SMALLEST_MESSAGE {
        return Err(wrong_length);
    }
    match magic {
        2 => {}
        0 | 1 => return Err(RecordError::OldMagic { magic }),
        _ => return Err(RecordError::UnknownMagic { magic }),
    }
    let at = usize::try_from(announced)
        .ok()
        .and_then(|announced| announced.checked_add(LENGTH_END))
        .filter(|&at| (HEADER_BYTES..=len).contains(&at))
        .ok_or(wrong_length)?;
    match len.saturating_sub(at) {
        0 => Ok(()),
        left => Err(RecordError::BytesAfterBatch { at, left }),
    }
}

fn read_size_and_magic(record_set: &[u8]) -> Result<(i32, i8), CursorError> {
    let mut cursor = Cursor::new(record_set);
    cursor.i64()?;
    let batch_length = cursor.i32()?;
    cursor.i32()?;
    let magic = cursor.i8()?;
    debug_assert_eq!(cursor.position(), MAGIC_END);
    Ok((batch_length, magic))
}

fn read_header(record_set: &[u8]) -> Result<BatchHeader, CursorError> {
    let mut cursor = Cursor::new(record_set);
    Ok(BatchHeader {
        base_offset: cursor.i64()?,
        batch_length: cursor.i32()?,
        partition_leader_epoch: cursor.i32()?,
        magic: cursor.i8()?,
        crc: cursor.u32()?,
        attributes: cursor.i16()?,
        last_offset_delta: cursor.i32()?,
        base_timestamp: cursor.i64()?,
        max_timestamp: cursor.i64()?,
        producer_id: cursor.i64()?,
        producer_epoch: cursor.i16()?,
        base_sequence: cursor.i32()?,
        record_count: cursor.i32()?,
    })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::record::RecordErrorClass::{Corrupt, Undecodable, UnsupportedFormat};
    use crate::record::Unlimited;
    use crate::record::builder::{Flavour, OwnedRecord, batch, batch_of, read_all, reseal};

    fn sound() -> Vec<u8> {
        batch(Flavour::Plain, &[OwnedRecord::of("value").with("k", "v")])
    }

    fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut record_set = sound();
        record_set[at..at + bytes.len()].copy_from_slice(bytes);
        record_set
    }

    #[test]
    fn reads_every_field_of_the_header() {
        let mut bytes = sound();
        bytes[..8].copy_from_slice(&7_i64.to_be_bytes());
        bytes[12..16].copy_from_slice(&3_i32.to_be_bytes());
        bytes[21..23].copy_from_slice(&[0, 0x30]);
        bytes[43..51].copy_from_slice(&4_000_i64.to_be_bytes());
        bytes[51..53].copy_from_slice(&5_i16.to_be_bytes());
        bytes[53..57].copy_from_slice(&6_i32.to_be_bytes());
        reseal(&mut bytes);
        let batch = Batch::parse(&bytes).unwrap();
        assert_eq!(batch.verify_checksum(), Ok(()));
        let crc = crc32c::crc32c(&bytes[21..]);
        let expected = BatchHeader {
            base_offset: 7,
            batch_length: i32::try_from(bytes.len() - 12).unwrap(),
            partition_leader_epoch: 3,
            magic: 2,
            crc,
            attributes: 0x30,
            last_offset_delta: 0,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_000,
            producer_id: 4_000,
            producer_epoch: 5,
            base_sequence: 6,
            record_count: 1,
        };
        assert_eq!(*batch.header(), expected);
        assert_eq!(batch.record_bytes(), &bytes[61..]);
    }

    #[test]
    fn refuses_what_is_not_exactly_one_batch_of_magic_2() {
        let sound = sound();
        let len = i32::try_from(sound.len() - 12).unwrap();
        let two = [sound.clone(), sound.clone()].concat();
        let one_more_byte = [&sound[..], &[0]].concat();
        let mut header_only_cut = sound[..60].to_vec();
        header_only_cut[8..12].copy_from_slice(&48_i32.to_be_bytes());
        let table: [(&str, Vec<u8>, _); 17] = [
            ("empty", vec![], UnsupportedFormat),
            ("no length", sound[..11].to_vec(), UnsupportedFormat),
            ("no magic", sound[..16].to_vec(), UnsupportedFormat),
            ("only up to the magic", sound[..17].to_vec(), Corrupt),
            ("cut by one byte", sound[..sound.len() - 1].to_vec(), Corrupt),
            ("shorter than a header", header_only_cut, Corrupt),
            ("length one too large", with(8, &(len + 1).to_be_bytes()), Corrupt),
            ("length one too small", with(8, &(len - 1).to_be_bytes()), UnsupportedFormat),
            ("length of no batch", with(8, &48_i32.to_be_bytes()), Corrupt),
            ("length of no message", with(8, &13_i32.to_be_bytes()), Corrupt),
            ("negative length", with(8, &(-1_i32).to_be_bytes()), Corrupt),
            ("largest length", with(8, &i32::MAX.to_be_bytes()), Corrupt),
            ("magic 0", with(16, &[0]), UnsupportedFormat),
            ("magic 1", with(16, &[1]), UnsupportedFormat),
            ("magic 3", with(16, &[3]), Corrupt),
            ("two batches", two, UnsupportedFormat),
            ("a byte after the batch", one_more_byte, UnsupportedFormat),
        ];
        for (name, bytes, class) in table {
            assert_eq!(Batch::parse(&bytes).unwrap_err().class(), class, "{name}");
        }
    }

    #[test]
    fn the_checksum_covers_everything_from_the_attributes_on() {
        let sound = sound();
        for at in 21..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x10;
            let error = Batch::parse(&bytes).unwrap().verify_checksum().unwrap_err();
            assert_eq!(error.class(), Corrupt, "byte {at}");
        }
        assert_eq!(read_all(&with(12, &[9; 4])).map(|records| records.len()), Ok(1));
    }

    #[test]
    fn the_three_codecs_that_do_not_exist_are_unsupported() {
        for id in 5..=7 {
            let error = read_all(&batch_of(id, 1, b"")).unwrap_err();
            assert_eq!(error, RecordError::UnknownCompression { id });
        }
        assert!(read_all(&batch_of(0xf8, 1, &sound()[61..])).is_ok(), "other bits are no codec");
    }

    #[test]
    fn a_batch_without_records_is_undecodable() {
        for count in [0, -1, i32::MIN] {
            let mut bytes = batch_of(0, 1, b"");
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            reseal(&mut bytes);
            let error = read_all(&bytes).unwrap_err();
            assert_eq!(error, RecordError::RecordCount { count });
            assert_eq!(error.class(), Undecodable);
        }
    }

    #[test]
    fn a_sequence_can_be_peeked_at_in_a_corrupt_batch() {
        let mut bytes = sound();
        assert_eq!(peek_sequence(&bytes), None, "not idempotent");
        bytes[43..51].copy_from_slice(&4_000_i64.to_be_bytes());
        bytes[51..53].copy_from_slice(&5_i16.to_be_bytes());
        assert_eq!(peek_sequence(&bytes), None, "negative sequence");
        bytes[53..57].copy_from_slice(&6_i32.to_be_bytes());
        bytes[8..12].fill(0xff);
        let sequence = ProducerSequence {
            producer_id: 4_000,
            producer_epoch: 5,
            base_sequence: 6,
            record_count: 1,
        };
        assert_eq!(peek_sequence(&bytes), Some(sequence));
        assert_eq!(peek_sequence(&bytes[..61]), Some(sequence));
        assert_eq!(peek_sequence(&bytes[..60]), None);
        bytes[16] = 1;
        assert_eq!(peek_sequence(&bytes), None, "another format");
    }

    #[test]
    fn a_codec_can_be_peeked_at_in_a_corrupt_batch() {
        let mut bytes = sound();
        bytes[8..12].fill(0xff);
        assert_eq!(peek_compression(&bytes), Some(Compression::None));
        bytes[22] |= 4;
        assert_eq!(peek_compression(&bytes), Some(Compression::Zstd));
        assert_eq!(peek_compression(&bytes[..60]), None);
        bytes[22] |= 7;
        assert_eq!(peek_compression(&bytes), None, "no codec");
        bytes[16] = 1;
        assert_eq!(peek_compression(&bytes), None, "another format");
    }

    #[test]
    fn a_reader_outlives_the_batch_value() {
        let bytes = sound();
        let mut scratch = Scratch::new();
        let mut allowance = Unlimited;
        let limits = RecordLimits::default();
        let mut reader = {
            let batch = Batch::parse(&bytes).unwrap();
            batch.records(&mut scratch, &limits, &mut allowance).unwrap()
        };
        assert!(reader.next(|_, _| {}).unwrap().is_some());
    }
}
