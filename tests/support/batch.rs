//! Record batches, byte by byte: an encoder for what tests send, and a decoder for what a broker stored.
//!
//! Written from the format's definition and independent of the crate under test. Headers keep their order, their
//! repetitions and their nulls, which kafka-protocol's own records do not.

use std::io::{Read, Write};

use bytes::{BufMut, Bytes, BytesMut};

/// One record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub timestamp_delta: i64,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl Record {
    /// A record with a value only.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds a header behind those that are there.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }
}

/// A batch of magic 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub base_offset: i64,
    pub partition_leader_epoch: i32,
    /// The codec apart, which [`Batch::codec`] says.
    pub attributes: i16,
    pub codec: Codec,
    pub base_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub records: Vec<Record>,
}

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// All of them, as clients name them.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("snappy", Self::Snappy),
        ("lz4", Self::Lz4),
        ("zstd", Self::Zstd),
    ];
}

impl Batch {
    /// A batch of a producer without idempotence.
    pub fn new(records: Vec<Record>) -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: 0,
            codec: Codec::None,
            base_timestamp: 1_700_000_000_000,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records,
        }
    }

    /// Compresses the records.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Makes it one of an idempotent producer.
    #[must_use]
    pub fn sequenced(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch) = (producer_id, producer_epoch);
        self.base_sequence = base_sequence;
        self
    }

    /// As it stands in a Produce request.
    pub fn to_bytes(&self) -> Bytes {
        let mut records = Vec::new();
        for (record, delta) in self.records.iter().zip(0..) {
            encode_record(&mut records, record, delta);
        }
        let count = i32::try_from(self.records.len()).expect("32 bits");
        self.to_bytes_with(&compress(self.codec, &records), count)
    }

    /// The same around any bytes, with any declared count of records: for what no client would send.
    pub fn to_bytes_with(&self, records: &[u8], count: i32) -> Bytes {
        let mut checked = BytesMut::new();
        checked.put_i16(self.attributes | self.codec as i16);
        checked.put_i32(count - 1);
        checked.put_i64(self.base_timestamp);
        let latest = self.records.iter().map(|record| record.timestamp_delta).max().unwrap_or(0);
        checked.put_i64(self.base_timestamp + latest);
        checked.put_i64(self.producer_id);
        checked.put_i16(self.producer_epoch);
        checked.put_i32(self.base_sequence);
        checked.put_i32(count);
        checked.put_slice(records);
        let mut batch = BytesMut::new();
        batch.put_i64(self.base_offset);
        // What follows the length: leader epoch, magic and checksum, and everything that is checked.
        batch.put_i32(i32::try_from(4 + 1 + 4 + checked.len()).expect("32 bits"));
        batch.put_i32(self.partition_leader_epoch);
        batch.put_i8(2);
        batch.put_u32(crc32c::crc32c(&checked));
        batch.put_slice(&checked);
        batch.freeze()
    }

    /// Reads one whole batch; panics where the format is broken.
    pub fn from_bytes(batch: &[u8]) -> Self {
        let mut at = Reader(batch);
        let base_offset = at.i64();
        let length = at.i32();
        assert_eq!(usize::try_from(length).ok(), Some(at.0.len()), "the length of the batch");
        let partition_leader_epoch = at.i32();
        assert_eq!(at.take(1), [2], "the magic byte");
        let checksum = at.i32();
        assert_eq!(checksum.to_be_bytes(), crc32c::crc32c(at.0).to_be_bytes(), "the checksum");
        let attributes = at.i16();
        let (last_delta, base_timestamp, _max_timestamp) = (at.i32(), at.i64(), at.i64());
        let (producer_id, producer_epoch, base_sequence) = (at.i64(), at.i16(), at.i32());
        let count = at.i32();
        assert_eq!(last_delta, count - 1, "the last offset delta");
        let codec = Codec::NAMED[usize::try_from(attributes & 7).unwrap()].1;
        let inflated = decompress(codec, at.0);
        let mut records = Reader(&inflated);
        let records_read = (0..count).map(|delta| decode_record(&mut records, delta)).collect();
        assert!(records.0.is_empty(), "{} bytes are left over behind the records", records.0.len());
        Self {
            base_offset,
            partition_leader_epoch,
            attributes: attributes & !7,
            codec,
            base_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            records: records_read,
        }
    }
}

/// Cuts a record set into its batches, without reading them. A batch that the end cuts off is left out.
pub fn split(mut record_set: Bytes) -> Vec<Bytes> {
    let mut batches = Vec::new();
    while let Some(length) = record_set.get(8..12) {
        let length = i32::from_be_bytes(length.try_into().unwrap());
        let size = 12 + usize::try_from(length).expect("a length");
        if size > record_set.len() {
            break;
        }
        batches.push(record_set.split_to(size));
    }
    batches
}

/// A batch as its producer sent it: without the base offset and the leader epoch, which the broker sets. Everything else
/// has to be stored as it was sent.
pub fn as_sent(batch: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(batch);
    bytes[..8].fill(0);
    bytes[12..16].fill(0xff);
    bytes.freeze()
}

fn encode_record(out: &mut Vec<u8>, record: &Record, offset_delta: i64) {
    let mut body = vec![0];
    put_varint(&mut body, record.timestamp_delta);
    put_varint(&mut body, offset_delta);
    put_bytes(&mut body, record.key.as_deref());
    put_bytes(&mut body, record.value.as_deref());
    put_varint(&mut body, record.headers.len() as i64);
    for (name, value) in &record.headers {
        put_bytes(&mut body, Some(name.as_bytes()));
        put_bytes(&mut body, value.as_deref());
    }
    put_varint(out, body.len() as i64);
    out.extend(body);
}

fn decode_record(from: &mut Reader<'_>, offset_delta: i32) -> Record {
    let length = usize::try_from(from.varint()).expect("a length");
    let mut at = Reader(from.take(length));
    at.take(1);
    let timestamp_delta = at.varint();
    assert_eq!(at.varint(), i64::from(offset_delta), "the offset delta");
    let (key, value) = (at.bytes(), at.bytes());
    let count = at.varint();
    let name = |at: &mut Reader<'_>| {
        let name = at.bytes().expect("a header has a name");
        String::from_utf8(name.to_vec()).expect("UTF-8")
    };
    let headers = (0..count).map(|_| (name(&mut at), at.bytes())).collect();
    assert!(at.0.is_empty(), "{} bytes are left over behind the headers", at.0.len());
    Record { timestamp_delta, key, value, headers }
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Zigzag, then seven bits a byte.
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value.wrapping_shl(1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Compresses as clients do; snappy without Java's framing.
pub fn compress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => bytes.to_vec(),
        Codec::Gzip => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        Codec::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        Codec::Lz4 => {
            let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
            to.write_all(bytes).unwrap();
            to.finish().unwrap()
        }
        Codec::Zstd => zstd::encode_all(bytes, 0).unwrap(),
    }
}

/// Decompresses what any client wrote, Java's framed snappy included.
pub fn decompress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read + '_> = match codec {
        Codec::None => Box::new(bytes),
        Codec::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        Codec::Snappy => return unsnap(bytes),
        Codec::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(bytes)),
        Codec::Zstd => Box::new(zstd::Decoder::new(bytes).unwrap()),
    };
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    out
}

fn unsnap(bytes: &[u8]) -> Vec<u8> {
    let unsnap = |block: &[u8]| snap::raw::Decoder::new().decompress_vec(block).unwrap();
    if !bytes.starts_with(XERIAL) {
        return unsnap(bytes);
    }
    let mut out = Vec::new();
    // The mark, and two versions of four bytes each.
    let mut blocks = Reader(&bytes[16..]);
    while !blocks.0.is_empty() {
        let size = usize::try_from(blocks.i32()).unwrap();
        out.extend(unsnap(blocks.take(size)));
    }
    out
}

const XERIAL: &[u8] = b"\x82SNAPPY\0";

/// The bytes that are left; panics at their end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    fn varint(&mut self) -> i64 {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.varint()).ok()?;
        Some(Bytes::copy_from_slice(self.take(length)))
    }
}
