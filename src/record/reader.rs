//! The walk over the records of one batch: strict, borrowing, without allocation per record.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::limits::RecordLimits;
use crate::record::inflate::{Inflater, length_error, record_length};
use crate::record::{Allowance, Compression, RecordError, Scratch};

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

enum Source<'s> {
    Plain(Cursor<'s>),
    Compressed(Inflater<'s>),
}

/// Lends one record after the other.
///
/// ```ignore
/// loop {
///     let mut metadata = Metadata::default(); // borrows from the same record
///     let Some(record) = reader.next(|key, value| metadata.visit(key, value))? else { break };
///     // judge record and metadata
/// }
/// ```
pub struct RecordReader<'s> {
    source: Source<'s>,
    next: i32,
    /// Where to stop: the declared count, or 0 after an error.
    stop: i32,
    max_record_bytes: usize,
    failed: Option<RecordError>,
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
            None => Source::Plain(Cursor::new(records)),
        };
        let max_record_bytes = limits.max_record_bytes;
        Ok(Self { source, next: 0, stop: count, max_record_bytes, failed: None })
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
        if self.next >= self.stop {
            return self.end().map(|()| None);
        }
        let index = self.next;
        let body = match &mut self.source {
            Source::Plain(cursor) => plain_body(cursor, index, self.max_record_bytes),
            Source::Compressed(inflater) => inflater.body(index, self.max_record_bytes),
        };
        match body.and_then(|body| walk(body, index, on_header)) {
            Ok(record) => {
                self.next = index.saturating_add(1);
                Ok(Some(record))
            }
            Err(error) => {
                self.stop = 0;
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// After the last record, or after an error.
    #[cold]
    fn end(&mut self) -> Result<(), RecordError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let ended = match &mut self.source {
            Source::Plain(cursor) if cursor.is_empty() => Ok(()),
            Source::Plain(cursor) => {
                Err(RecordError::LeftInBatch { count: self.stop, at: cursor.position() })
            }
            Source::Compressed(inflater) => inflater.end(self.stop),
        };
        self.failed = ended.err();
        ended
    }
}

/// The bytes of the next record of an uncompressed batch, its length apart.
#[inline]
fn plain_body<'s>(
    cursor: &mut Cursor<'s>,
    index: i32,
    max_bytes: usize,
) -> Result<&'s [u8], RecordError> {
    let start = *cursor;
    let body = cursor
        .varint()
        .and_then(|length| record_length(length, start.position()))
        .and_then(|length| cursor.take(length))
        .map_err(|error| length_error(index, error))?;
    if body.len() > max_bytes {
        return Err(RecordError::RecordTooLarge {
            record: index,
            size: body.len(),
            limit: max_bytes,
        });
    }
    Ok(body)
}

/// ```text
/// attributes i8 | timestamp delta varlong | offset delta varint | key | value | header count varint | (key value)*
/// ```
///
/// The attributes mean nothing yet, the deltas nothing here: a broker compares them with the batch's header.
#[inline]
fn walk<'r, F>(body: &'r [u8], index: i32, mut on_header: F) -> Result<Record<'r>, RecordError>
where
    F: FnMut(&'r [u8], Option<&'r [u8]>),
{
    let in_field = |what| move |error| RecordError::Field { record: index, what, error };
    let mut cursor = Cursor::new(body);
    cursor.u8().map_err(in_field("attributes"))?;
    cursor.varlong().map_err(in_field("timestamp delta"))?;
    cursor.varint().map_err(in_field("offset delta"))?;
    let key = nullable_bytes(&mut cursor).map_err(in_field("key"))?;
    let value = nullable_bytes(&mut cursor).map_err(in_field("value"))?;
    let headers = length(&mut cursor).map_err(in_field("header count"))?;
    for _ in 0..headers {
        let key = length(&mut cursor)
            .and_then(|length| cursor.take(length))
            .map_err(in_field("header key"))?;
        let value = nullable_bytes(&mut cursor).map_err(in_field("header value"))?;
        on_header(key, value);
    }
    if !cursor.is_empty() {
        let (at, left) = (cursor.position(), cursor.remaining());
        return Err(RecordError::LeftInRecord { record: index, at, left });
    }
    Ok(Record { batch_index: index, key, value })
}

/// A length or a count that is not negative.
#[inline]
fn length(cursor: &mut Cursor<'_>) -> Result<usize, CursorError> {
    let start = *cursor;
    let length = cursor.varint()?;
    record_length(length, start.position())
}

/// A length and so many bytes; -1 is null, anything below is an error.
#[inline]
fn nullable_bytes<'r>(cursor: &mut Cursor<'r>) -> Result<Option<&'r [u8]>, CursorError> {
    let start = *cursor;
    match cursor.varint()? {
        -1 => Ok(None),
        length => {
            let length = record_length(length, start.position())?;
            cursor.take(length).map(Some)
        }
    }
}
