//! Builds batches for tests, sound ones and broken ones. Slow and obvious.

use crate::record::batch::HEADER_BYTES;
use crate::record::{Batch, RecordError, Scratch, Unlimited};
use std::io::Write as _;

/// A record that owns its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    /// A record with a value and nothing else.
    pub(crate) fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// With one header more.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((key.into(), Some(value.into())));
        self
    }

    /// Its bytes as they stand in a batch, its length apart.
    pub(crate) fn body(&self, index: i64) -> Vec<u8> {
        let mut body = vec![0];
        put_varint(&mut body, index * 3); // timestamp delta
        put_varint(&mut body, index);
        put_bytes(&mut body, self.key.as_deref());
        put_bytes(&mut body, self.value.as_deref());
        put_varint(&mut body, self.headers.len().try_into().unwrap());
        for (key, value) in &self.headers {
            put_bytes(&mut body, Some(key));
            put_bytes(&mut body, value.as_deref());
        }
        body
    }
}

/// How a batch is compressed, with what the clients do differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Plain,
    Gzip,
    SnappyRaw,
    /// Blocks of 1 KiB in xerial framing (Java: 32 KiB).
    SnappyXerial,
    /// Independent blocks, no checksums: Java, librdkafka.
    Lz4,
    /// Linked blocks with every checksum and the content size.
    Lz4Linked,
    /// No content size, as a streaming writer does.
    Zstd,
    /// With content size and checksum.
    ZstdSized,
}

impl Flavour {
    pub(crate) const ALL: [Self; 8] = [
        Self::Plain,
        Self::Gzip,
        Self::SnappyRaw,
        Self::SnappyXerial,
        Self::Lz4,
        Self::Lz4Linked,
        Self::Zstd,
        Self::ZstdSized,
    ];

    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Gzip => 1,
            Self::SnappyRaw | Self::SnappyXerial => 2,
            Self::Lz4 | Self::Lz4Linked => 3,
            Self::Zstd | Self::ZstdSized => 4,
        }
    }

    pub(crate) fn compress(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => gzip(bytes),
            Self::SnappyRaw => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Self::SnappyXerial => xerial(bytes, 1024),
            Self::Lz4 => lz4(bytes, lz4_flex::frame::FrameInfo::new()),
            Self::Lz4Linked => {
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Linked)
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_checksums(true)
                    .content_checksum(true)
                    .content_size(Some(bytes.len() as u64));
                lz4(bytes, info)
            }
            Self::Zstd => zstd(bytes, None),
            Self::ZstdSized => zstd(bytes, Some(bytes.len())),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Xerial framing with blocks of `block` bytes.
pub(crate) fn xerial(bytes: &[u8], block: usize) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(block) {
        let compressed = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend(i32::try_from(compressed.len()).unwrap().to_be_bytes());
        out.extend(compressed);
    }
    out
}

/// One lz4 frame.
pub(crate) fn lz4(bytes: &[u8], info: lz4_flex::frame::FrameInfo) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8], size: Option<usize>) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(size.is_some()).unwrap();
    encoder.set_pledged_src_size(size.map(|size| size as u64)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of all `records`, uncompressed.
pub(crate) fn bodies(records: &[OwnedRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, record) in (0..).zip(records) {
        put_bytes(&mut out, Some(&record.body(index)));
    }
    out
}

/// A sound batch.
pub(crate) fn batch(flavour: Flavour, records: &[OwnedRecord]) -> Vec<u8> {
    let count = i32::try_from(records.len()).unwrap();
    batch_of(flavour.id(), count, &flavour.compress(&bodies(records)))
}

/// A batch with these codec bits, this record count, and `content` after its header.
pub(crate) fn batch_of(codec: u8, count: i32, content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 16];
    out.push(2); // magic
    out.extend([0; 4]); // CRC
    out.extend([0, codec]);
    out.extend((count - 1).to_be_bytes());
    out.extend(1_700_000_000_000_i64.to_be_bytes());
    out.extend(1_700_000_000_000_i64.to_be_bytes());
    out.extend((-1_i64).to_be_bytes());
    out.extend((-1_i16).to_be_bytes());
    out.extend((-1_i32).to_be_bytes());
    out.extend(count.to_be_bytes());
    assert_eq!(out.len(), HEADER_BYTES);
    out.extend(content);
    reseal(&mut out);
    out
}

/// Makes length and checksum of `batch` right again.
pub(crate) fn reseal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A zigzag varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw > 0x7f {
        out.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap());
}

/// A length and so many bytes, -1 for null.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| bytes.len().try_into().unwrap()));
    out.extend(bytes.unwrap_or_default());
}

/// Everything that a walk over `record_set` gives, or why it ended.
pub(crate) fn read_all(record_set: &[u8]) -> Result<Vec<OwnedRecord>, RecordError> {
    read_with(
        record_set,
        &mut Scratch::new(),
        &crate::limits::RecordLimits::default(),
        &mut Unlimited,
    )
}

/// The same within limits.
pub(crate) fn read_with(
    record_set: &[u8],
    scratch: &mut Scratch,
    limits: &crate::limits::RecordLimits,
    allowance: &mut dyn crate::record::Allowance,
) -> Result<Vec<OwnedRecord>, RecordError> {
    let batch = Batch::parse(record_set)?;
    batch.verify_checksum()?;
    let mut reader = batch.records(scratch, limits, allowance)?;
    let mut records = Vec::new();
    loop {
        let mut headers = Vec::new();
        let next = reader.next(|key, value| headers.push((key, value)));
        if let Err(RecordError::LeftInRecord { left, .. }) = next {
            assert!(left > 0, "the slow walk takes what the fast one refused");
        }
        let next = next?;
        let Some(record) = next else { break };
        assert_eq!(record.batch_index, i32::try_from(records.len()).unwrap());
        records.push(OwnedRecord {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.iter().map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec))).collect(),
        });
    }
    assert_eq!(reader.next(|_, _| {}), Ok(None), "the end stays the end");
    Ok(records)
}
