//! What the bodies about record batches share: a walk that keeps what it saw, and other decoders to compare it with.

use std::io::{Read, Write};
use std::sync::LazyLock;

use bytes::Bytes;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::RecordBatchDecoder;
use schemaward::limits::RecordLimits;
use schemaward::record::batch::HEADER_BYTES;
use schemaward::record::{Allowance, Batch, Compression, RecordError, Scratch};

/// A record with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Grants up to a bound, and knows what it granted.
#[derive(Debug)]
pub struct Purse {
    pub left: usize,
    pub granted: usize,
}

impl Purse {
    pub const fn of(left: usize) -> Self {
        Self { left, granted: 0 }
    }
}

impl Allowance for Purse {
    fn try_grow(&mut self, additional_bytes: usize) -> bool {
        let Some(left) = self.left.checked_sub(additional_bytes) else { return false };
        (self.left, self.granted) = (left, self.granted + additional_bytes);
        true
    }
}

/// Walks a record set to its end, with its checksum.
pub fn walk(
    record_set: &[u8],
    scratch: &mut Scratch,
    limits: &RecordLimits,
    purse: &mut Purse,
    mut visit: impl FnMut(Seen),
) -> Result<usize, RecordError> {
    let batch = Batch::parse(record_set)?;
    batch.verify_checksum()?;
    let mut reader = batch.records(scratch, limits, purse)?;
    let mut count = 0_usize;
    loop {
        let mut headers = Vec::new();
        match reader.next(|key, value| headers.push((key, value))) {
            Ok(Some(record)) => {
                assert_eq!(usize::try_from(record.batch_index), Ok(count));
                count += 1;
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                let headers = headers.iter().map(|(key, value)| (key.to_vec(), owned(*value)));
                let headers = headers.collect();
                visit(Seen { key: owned(record.key), value: owned(record.value), headers });
            }
            Ok(None) => {
                assert_eq!(usize::try_from(batch.header().record_count), Ok(count));
                assert!(matches!(reader.next(|_, _| {}), Ok(None)), "the end is the end");
                return Ok(count);
            }
            Err(error) => {
                assert_eq!(reader.next(|_, _| {}), Err(error), "an error stays");
                return Err(error);
            }
        }
    }
}

/// The records of a record set.
pub fn records(
    record_set: &[u8],
    scratch: &mut Scratch,
    limits: &RecordLimits,
    purse: &mut Purse,
) -> Result<Vec<Seen>, RecordError> {
    let mut records = Vec::new();
    walk(record_set, scratch, limits, purse, |record| records.push(record))?;
    Ok(records)
}

/// Walks a record set and copies nothing; the size of the largest value.
pub fn drain(
    record_set: &[u8],
    scratch: &mut Scratch,
    limits: &RecordLimits,
    purse: &mut Purse,
) -> Result<usize, RecordError> {
    let batch = Batch::parse(record_set)?;
    let mut reader = batch.records(scratch, limits, purse)?;
    let mut largest = 0;
    while let Some(record) = reader.next(|_, _| {})? {
        largest = largest.max(record.value.map_or(0, <[u8]>::len));
    }
    Ok(largest)
}

/// The value of the record in each of [`sound`].
pub const SOUND: &[u8] = b"sound";

/// A batch of one record for each codec, as others write it.
pub fn sound() -> &'static [Vec<u8>; 4] {
    static BATCHES: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
        let plain = [&[22, 0, 0, 0, 1, 10][..], SOUND, &[0]].concat();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).unwrap();
        let snappy = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        let zstd = zstd::encode_all(&plain[..], 1).unwrap();
        [
            batch(1, 1, &gzip.finish().unwrap()),
            batch(2, 1, &snappy),
            batch(3, 1, &lz4.finish().unwrap()),
            batch(4, 1, &zstd),
        ]
    });
    &BATCHES
}

/// A batch of `count` records in `body`, with all other fields 0 and a checksum that fits.
pub fn batch(codec: u8, count: i32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER_BYTES];
    out[22] = codec;
    out[57..].copy_from_slice(&count.to_be_bytes());
    out.extend(body);
    seal(&mut out);
    out
}

/// Puts length, magic and checksum right.
pub fn seal(record_set: &mut [u8]) {
    if record_set.len() < HEADER_BYTES {
        return;
    }
    let length = i32::try_from(record_set.len() - 12).unwrap_or(i32::MAX);
    record_set[8..12].copy_from_slice(&length.to_be_bytes());
    record_set[16] = 2;
    let crc = crc32c::crc32c(&record_set[21..]);
    record_set[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// What other libraries make of a stream that we took: at most `limit` bytes, and one more.
pub fn inflate(codec: Compression, stream: &[u8], limit: usize) -> Vec<u8> {
    let limit = limit as u64 + 1;
    let mut out = Vec::new();
    let read = match codec {
        Compression::None => return stream.to_vec(),
        Compression::Gzip => flate2::read::GzDecoder::new(stream).take(limit).read_to_end(&mut out),
        Compression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(stream).take(limit).read_to_end(&mut out)
        }
        Compression::Snappy => return unsnap(stream),
        Compression::Zstd => zstd::stream::read::Decoder::new(stream)
            .and_then(|decoder| decoder.take(limit).read_to_end(&mut out)),
    };
    read.expect("what we took is a stream");
    out
}

fn unsnap(stream: &[u8]) -> Vec<u8> {
    let raw = |block: &[u8]| snap::raw::Decoder::new().decompress_vec(block).expect("a raw block");
    let Some(framed) = stream.strip_prefix(b"\x82SNAPPY\0") else { return raw(stream) };
    let (mut rest, mut out) = (&framed[8..], Vec::new());
    while let Some((length, blocks)) = rest.split_first_chunk() {
        let (block, tail) = blocks.split_at(u32::from_be_bytes(*length) as usize);
        out.extend(raw(block));
        rest = tail;
    }
    out
}

/// What we took, kafka-protocol reads as well, and as the same records.
pub fn compare(count: i32, plain: &[u8], ours: &[Seen]) {
    // A header of our own: with arbitrary timestamps and offsets it adds beyond 64 bits.
    let peer = RecordBatchDecoder::decode(&mut Bytes::from(batch(0, count, plain)));
    let peer = match peer {
        Ok(peer) => peer.records,
        // It takes no header name that is not UTF-8.
        Err(error) => {
            let mut names = ours.iter().flat_map(|record| &record.headers).map(|(name, _)| name);
            let unreadable = names.any(|name| std::str::from_utf8(name).is_err());
            assert!(unreadable, "kafka-protocol is stricter: {error}");
            return;
        }
    };
    assert_eq!(ours.len(), peer.len());
    for (ours, theirs) in ours.iter().zip(peer) {
        assert_eq!(ours.key.as_deref(), theirs.key.as_deref());
        assert_eq!(ours.value.as_deref(), theirs.value.as_deref());
        // It keeps one header of each name: the last value in the place of the first.
        let merged: IndexMap<&[u8], _> =
            ours.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        let theirs = theirs.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref()));
        assert!(merged.into_iter().eq(theirs), "{:?}", ours.headers);
    }
}
