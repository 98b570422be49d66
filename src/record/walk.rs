//! The fields of one record. Judged twice: first fast, without a word on what is wrong; then, if anything is, slowly.
//!
//! ```text
//! attributes i8 | timestamp delta varlong | offset delta varint | key | value | header count varint | (key value)*
//! ```
//!
//! The attributes mean nothing yet, the deltas nothing here: a broker compares them with the batch's header.
//!
//! The fast walk is most of what an accepted record costs here. So it keeps one slice, the rest, in registers, takes lengths below
//! 64 in one test (an even byte below 128 is no varint that goes on, and not negative), and remembers nothing for an error.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::record::RecordError;
use crate::record::inflate::record_length;

type KeyAndValue<'r> = (Option<&'r [u8]>, Option<&'r [u8]>);

/// Key and value of the record that is `body`; its headers go to `on_header`. `None`: ask [`explain`].
#[inline(always)]
pub(super) fn fields<'r, F>(body: &'r [u8], on_header: F) -> Option<KeyAndValue<'r>>
where
    F: FnMut(&'r [u8], Option<&'r [u8]>),
{
    let (key_and_value, rest) = before_headers(body)?;
    headers(rest, on_header)?;
    Some(key_and_value)
}

/// The same without the headers; these follow, to the end of the record: what [`headers`] is to be asked about.
#[inline(always)]
pub(super) fn before_headers(body: &[u8]) -> Option<(KeyAndValue<'_>, &[u8])> {
    let (_attributes, rest) = body.split_first()?;
    let rest = skip_varlong(rest)?;
    let rest = skip_varint(rest)?;
    let (key, rest) = nullable_bytes(rest)?;
    let (value, rest) = nullable_bytes(rest)?;
    Some(((key, value), rest))
}

/// Walks the headers, which have to end where `rest` does. Nothing but these bytes decides what comes of that.
#[inline(always)]
pub(super) fn headers<'r, F>(rest: &'r [u8], mut on_header: F) -> Option<()>
where
    F: FnMut(&'r [u8], Option<&'r [u8]>),
{
    let (headers, mut rest) = count(rest)?;
    for _ in 0..headers {
        let (key, behind) = short_bytes(rest)?;
        let (value, behind) = nullable_bytes(behind)?;
        on_header(key, value);
        rest = behind;
    }
    rest.is_empty().then_some(())
}

/// Shows the headers of a record that was walked, from the bytes that [`RecordReader::next_unless_known`] gave.
///
/// [`RecordReader::next_unless_known`]: super::RecordReader::next_unless_known
pub fn each_header<'r>(headers: &'r [u8], on_header: impl FnMut(&'r [u8], Option<&'r [u8]>)) {
    let walked = self::headers(headers, on_header);
    debug_assert!(walked.is_some(), "they were sound before");
}

/// A length that is not negative and so many bytes, and what follows them.
#[inline(always)]
pub(super) fn bytes(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match rest {
        [length, tail @ ..] if length & 0x81 == 0 => {
            tail.split_at_checked(usize::from(length >> 1))
        }
        [low, high @ 1..=0x7f, tail @ ..] if low & 1 == 0 => {
            tail.split_at_checked(two_bytes(*low, *high))
        }
        _ => long_bytes(rest),
    }
}

/// The same where the length may be null.
#[inline(always)]
fn nullable_bytes(rest: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (bytes, rest) = match rest {
        [length, tail @ ..] if length & 0x81 == 0 => {
            tail.split_at_checked(usize::from(length >> 1))?
        }
        [1, tail @ ..] => return Some((None, tail)),
        [low, high @ 1..=0x7f, tail @ ..] if low & 1 == 0 => {
            tail.split_at_checked(two_bytes(*low, *high))?
        }
        _ => long_bytes(rest)?,
    };
    Some((Some(bytes), rest))
}

/// The same where lengths from 64 on are rare.
#[inline(always)]
fn short_bytes(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match rest {
        [length, tail @ ..] if length & 0x81 == 0 => {
            tail.split_at_checked(usize::from(length >> 1))
        }
        _ => long_bytes(rest),
    }
}

/// The length in a varint of two bytes, even and thus not negative.
#[inline(always)]
fn two_bytes(low: u8, high: u8) -> usize {
    usize::from((low & 0x7f) >> 1) | usize::from(high) << 6
}

#[inline(always)]
fn count(rest: &[u8]) -> Option<(usize, &[u8])> {
    match rest {
        [count, tail @ ..] if count & 0x81 == 0 => Some((usize::from(count >> 1), tail)),
        _ => long_length(rest),
    }
}

#[inline(always)]
fn skip_varint(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [0..=0x7f, tail @ ..] | [_, 1..=0x7f, tail @ ..] => Some(tail),
        _ => read(rest, Cursor::varint).map(|(_, rest)| rest),
    }
}

#[inline(always)]
fn skip_varlong(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [0..=0x7f, tail @ ..] | [_, 1..=0x7f, tail @ ..] => Some(tail),
        _ => read(rest, Cursor::varlong).map(|(_, rest)| rest),
    }
}

#[inline(never)]
fn long_bytes(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = long_length(rest)?;
    rest.split_at_checked(length)
}

#[inline(never)]
fn long_length(rest: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = read(rest, Cursor::varint)?;
    Some((usize::try_from(length).ok()?, rest))
}

#[inline(never)]
fn read<'r, T>(
    rest: &'r [u8],
    read: impl FnOnce(&mut Cursor<'r>) -> Result<T, CursorError>,
) -> Option<(T, &'r [u8])> {
    let mut cursor = Cursor::new(rest);
    let value = read(&mut cursor).ok()?;
    Some((value, cursor.rest()))
}

/// A record in the parts that a copy takes over as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'r> {
    /// As it stands there; means nothing yet.
    pub(super) attributes: u8,
    /// From the batch's base timestamp.
    pub(super) timestamp_delta: i64,
    /// Key and value, each behind its length.
    pub(super) key_and_value: &'r [u8],
    /// How many headers follow.
    pub(super) header_count: usize,
    /// All headers: keys and values, each behind its length.
    pub(super) headers: &'r [u8],
}

/// Takes the record that is `body` apart; [`fields`] has accepted it.
pub(super) fn parts(body: &[u8]) -> Option<Parts<'_>> {
    let (&attributes, rest) = body.split_first()?;
    let (timestamp_delta, rest) = read(rest, Cursor::varlong)?;
    let from = skip_varint(rest)?;
    let (_, rest) = nullable_bytes(from)?;
    let (_, rest) = nullable_bytes(rest)?;
    let key_and_value = from.get(..from.len().checked_sub(rest.len())?)?;
    let (header_count, headers) = count(rest)?;
    Some(Parts { attributes, timestamp_delta, key_and_value, header_count, headers })
}

/// What is wrong with `body`, for which [`fields`] gave `None`.
#[cold]
#[inline(never)]
pub(super) fn explain(body: &[u8], record: i32) -> RecordError {
    let mut cursor = Cursor::new(body);
    match walk_slowly(&mut cursor) {
        Err((what, error)) => RecordError::Field { record, what, error },
        Ok(()) => {
            let (at, left) = (cursor.position(), cursor.remaining());
            RecordError::LeftInRecord { record, at, left }
        }
    }
}

fn walk_slowly(cursor: &mut Cursor<'_>) -> Result<(), (&'static str, CursorError)> {
    let of = |what| move |error| (what, error);
    cursor.u8().map_err(of("attributes"))?;
    cursor.varlong().map_err(of("timestamp delta"))?;
    cursor.varint().map_err(of("offset delta"))?;
    skip_nullable(cursor).map_err(of("key"))?;
    skip_nullable(cursor).map_err(of("value"))?;
    let headers = length(cursor).map_err(of("header count"))?;
    for _ in 0..headers {
        length(cursor).and_then(|length| cursor.skip(length)).map_err(of("header key"))?;
        skip_nullable(cursor).map_err(of("header value"))?;
    }
    Ok(())
}

/// A length or a count that is not negative.
fn length(cursor: &mut Cursor<'_>) -> Result<usize, CursorError> {
    let at = cursor.position();
    let length = cursor.varint()?;
    record_length(length, at)
}

/// A length and so many bytes; -1 is null, anything below is an error.
fn skip_nullable(cursor: &mut Cursor<'_>) -> Result<(), CursorError> {
    let at = cursor.position();
    match cursor.varint()? {
        -1 => Ok(()),
        length => {
            let length = record_length(length, at)?;
            cursor.skip(length)
        }
    }
}
