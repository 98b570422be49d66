//! Copies records into new batches, magic 2, with further headers behind their own: the only place that writes batches.
//!
//! Attributes, key, value, headers and timestamp of a record stay the bytes that they were. A copy belongs to no
//! producer's sequence and to no transaction.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::fmt;

use bytes::{BufMut, Bytes};

use crate::{
    limits::KIB,
    record::{Allowance, Compression, batch::HEADER_BYTES, walk},
};

/// A batch is closed before it exceeds this, unless one record alone does: half of what a topic takes by default.
const TARGET_BYTES: usize = 512 * KIB;
/// What a batch asks for first.
const FIRST_BYTES: usize = KIB;
/// Bytes of a batch that its length does not count.
const BEFORE_LENGTH_END: usize = 12;
/// Where the CRC stands, and where what it covers begins.
const CRC_AT: usize = 17;
const COVERED_FROM: usize = 21;
/// Small batches cost least so, and large ones little.
const ZSTD_LEVEL: i32 = 1;

/// Why a record was not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The memory for it was not granted.
    #[error("{0} more bytes were not granted")]
    NotGranted(usize),
    /// The record cannot be taken apart.
    #[error("record {0} cannot be taken apart")]
    Record(i32),
    /// There are more records, or larger ones, than a batch can have.
    #[error("a length does not fit its field")]
    Length,
    /// The batch does not compress.
    #[error("the copy cannot be compressed")]
    Compress,
}

/// A finished batch.
#[derive(Clone, PartialEq, Eq)]
pub struct CopiedBatch {
    /// The record set: exactly this batch.
    pub bytes: Bytes,
    /// Records in it.
    pub records: u64,
}

impl fmt::Debug for CopiedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the bytes: they are records.
        let bytes = self.bytes.len();
        f.debug_struct("CopiedBatch")
            .field("bytes", &bytes)
            .field("records", &self.records)
            .finish()
    }
}

/// Collects copies, in order, in as many batches as it takes.
pub struct BatchCopier {
    base_timestamp: i64,
    compression: Compression,
    done: Vec<CopiedBatch>,
    open: Option<OpenBatch>,
}

/// A batch that is being written, its header left free.
struct OpenBatch {
    bytes: Vec<u8>,
    records: i32,
    max_timestamp_delta: i64,
}

impl BatchCopier {
    /// Copies records of a batch whose timestamps count from `base_timestamp`. Of the codecs only zstd is written.
    #[must_use]
    pub const fn new(base_timestamp: i64, compression: Compression) -> Self {
        Self { base_timestamp, compression, done: Vec::new(), open: None }
    }

    /// Copies the record that is `body`, which a [`RecordReader`](crate::record::RecordReader) has accepted, and puts `more`
    /// headers behind its own. Memory is asked of `allowance` first.
    ///
    /// # Errors
    /// [`CopyError`]: nothing of the record was copied.
    pub fn copy(
        &mut self,
        batch_index: i32,
        body: &[u8],
        more: &[(&str, &[u8])],
        allowance: &mut dyn Allowance,
    ) -> Result<(), CopyError> {
        let parts = walk::parts(body).ok_or(CopyError::Record(batch_index))?;
        // What stands before the record is at most so long.
        let room = more
            .iter()
            .map(|(key, value)| key.len().saturating_add(value.len()).saturating_add(10))
            .fold(body.len().saturating_add(32), usize::saturating_add);
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.bytes.len().saturating_add(room) > TARGET_BYTES)
        {
            self.close()?;
        }
        let open = self.open.get_or_insert_with(OpenBatch::new);
        open.make_room(room, allowance)?;
        open.put(&parts, more)
    }

    /// The batches.
    ///
    /// # Errors
    /// [`CopyError::Compress`], [`CopyError::Length`].
    pub fn finish(mut self) -> Result<Vec<CopiedBatch>, CopyError> {
        self.close()?;
        Ok(self.done)
    }

    fn close(&mut self) -> Result<(), CopyError> {
        let Some(open) = self.open.take().filter(|open| open.records > 0) else { return Ok(()) };
        self.done.push(open.close(self.base_timestamp, self.compression)?);
        Ok(())
    }
}

impl OpenBatch {
    const fn new() -> Self {
        Self { bytes: Vec::new(), records: 0, max_timestamp_delta: i64::MIN }
    }

    /// Grows by doubling up to a full batch, and asks before.
    fn make_room(&mut self, room: usize, allowance: &mut dyn Allowance) -> Result<(), CopyError> {
        let has = self.bytes.capacity();
        let needed = self.bytes.len().saturating_add(room).max(HEADER_BYTES);
        if has >= needed && !self.bytes.is_empty() {
            return Ok(());
        }
        let doubled = has.saturating_mul(2).clamp(FIRST_BYTES, TARGET_BYTES);
        let wanted = needed.max(doubled);
        let more = wanted.saturating_sub(has);
        if !allowance.try_grow(more) {
            return Err(CopyError::NotGranted(more));
        }
        self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_BYTES, 0);
        }
        Ok(())
    }

    fn put(&mut self, parts: &walk::Parts<'_>, more: &[(&str, &[u8])]) -> Result<(), CopyError> {
        let mut head = Vec::with_capacity(32);
        head.push(parts.attributes);
        put_varlong(&mut head, parts.timestamp_delta);
        put_varlong(&mut head, i64::from(self.records));
        let headers = parts.header_count.saturating_add(more.len());
        let mut count = Vec::with_capacity(5);
        put_length(&mut count, headers)?;
        let mut ours = Vec::with_capacity(256);
        for (key, value) in more {
            put_length(&mut ours, key.len())?;
            ours.extend_from_slice(key.as_bytes());
            put_length(&mut ours, value.len())?;
            ours.extend_from_slice(value);
        }
        let pieces: [&[u8]; 5] = [&head, parts.key_and_value, &count, parts.headers, &ours];
        let length = pieces.iter().map(|piece| piece.len()).fold(0, usize::saturating_add);
        let records = self.records.checked_add(1).ok_or(CopyError::Length)?;
        put_length(&mut self.bytes, length)?;
        pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        self.records = records;
        self.max_timestamp_delta = self.max_timestamp_delta.max(parts.timestamp_delta);
        Ok(())
    }

    /// Writes the header, and compresses what is behind it.
    fn close(mut self, base: i64, compression: Compression) -> Result<CopiedBatch, CopyError> {
        let mut codec = 0;
        if compression == Compression::Zstd {
            let records = self.bytes.get(HEADER_BYTES..).unwrap_or_default();
            let smaller =
                zstd::bulk::compress(records, ZSTD_LEVEL).map_err(|_| CopyError::Compress)?;
            self.bytes.truncate(HEADER_BYTES);
            self.bytes.extend_from_slice(&smaller);
            codec = 4;
        }
        let length = self.bytes.len().saturating_sub(BEFORE_LENGTH_END);
        let length = i32::try_from(length).map_err(|_| CopyError::Length)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_i64(0); // base offset
        header.put_i32(length);
        header.put_i32(-1); // leader epoch
        header.put_i8(2); // magic
        header.put_u32(0); // CRC, below
        header.put_i16(codec);
        header.put_i32(self.records.saturating_sub(1));
        header.put_i64(base);
        header.put_i64(base.saturating_add(self.max_timestamp_delta));
        header.put_i64(-1); // producer id
        header.put_i16(-1); // producer epoch
        header.put_i32(-1); // base sequence
        header.put_i32(self.records);
        if let Some(place) = self.bytes.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        let crc = crc32c::crc32c(self.bytes.get(COVERED_FROM..).unwrap_or_default());
        if let Some(place) = self.bytes.get_mut(CRC_AT..COVERED_FROM) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
        let records = u64::try_from(self.records).unwrap_or_default();
        Ok(CopiedBatch { bytes: self.bytes.into(), records })
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) -> Result<(), CopyError> {
    let length = i32::try_from(length).map_err(|_| CopyError::Length)?;
    put_varlong(out, i64::from(length));
    Ok(())
}

/// A varint of the record format: zigzag, seven bits at a time.
fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = u64::from_ne_bytes(((value << 1) ^ (value >> 63)).to_ne_bytes());
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests;
