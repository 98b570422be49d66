//! Reads and writes the fields that Kafka messages are made of: the old layout and the flexible one (KIP-482).
//!
//! Nothing is allocated here, and no count is believed: elements are read one by one until the bytes end.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use bytes::BufMut;

use super::WireError;
use crate::cursor::{Cursor, CursorError};

/// Topics and partitions, counted together, that one Produce message may hold.
pub(super) const MAX_ELEMENTS: usize = 20_000;

/// Longest text of the protocol: its length is a 16-bit integer, and clients hold the flexible layout to the same.
const MAX_TEXT: usize = 32_767;

/// Reads a message from front to back. Positions count from the front of the bytes it was made with.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    cursor: Cursor<'a>,
    what: &'static str,
    version: i16,
    flexible: Flexible,
    elements: usize,
}

impl<'a> Fields<'a> {
    /// Reads `bytes`, a `what` of `version`.
    pub(super) const fn new(
        bytes: &'a [u8],
        what: &'static str,
        version: i16,
        flexible: Flexible,
    ) -> Self {
        Self { cursor: Cursor::new(bytes), what, version, flexible, elements: 0 }
    }

    pub(super) const fn position(&self) -> usize {
        self.cursor.position()
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    /// The bytes that `read` passes over.
    pub(super) fn span(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), WireError>,
    ) -> Result<&'a [u8], WireError> {
        let (from, start) = (self.rest(), self.position());
        read(self)?;
        Ok(from.get(..self.position().saturating_sub(start)).unwrap_or_default())
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), WireError> {
        let read = self.cursor.skip(count);
        self.check(read)
    }

    pub(super) fn i16(&mut self) -> Result<i16, WireError> {
        let read = self.cursor.i16();
        self.check(read)
    }

    pub(super) fn i32(&mut self) -> Result<i32, WireError> {
        let read = self.cursor.i32();
        self.check(read)
    }

    pub(super) fn i64(&mut self) -> Result<i64, WireError> {
        let read = self.cursor.i64();
        self.check(read)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let read = self.cursor.array();
        self.check(read)
    }

    /// The length of an array that may not be null, as a broker has it.
    pub(super) fn count(&mut self) -> Result<usize, WireError> {
        let at = self.position();
        let count = self.nullable_length(LengthKind::Wide)?;
        count.ok_or_else(|| self.null(at))
    }

    /// Like [`Fields::count`], of topics or partitions, which are bounded in sum.
    pub(super) fn elements(&mut self) -> Result<usize, WireError> {
        let count = self.count()?;
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            let Self { what, version, .. } = *self;
            return Err(WireError::TooManyElements { what, version, limit: MAX_ELEMENTS });
        }
        Ok(count)
    }

    /// Text that may not be null.
    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        let at = self.position();
        let bytes = self.nullable_text()?.ok_or_else(|| self.null(at))?;
        let Self { what, version, .. } = *self;
        simdutf8::basic::from_utf8(bytes).map_err(|_| WireError::Text { what, version, at })
    }

    /// The bytes of a text that may be null; not checked to be UTF-8, which brokers do not ask for either.
    pub(super) fn nullable_text(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        let at = self.position();
        let Some(length) = self.nullable_length(LengthKind::Short)? else { return Ok(None) };
        if length > MAX_TEXT {
            let Self { what, version, .. } = *self;
            return Err(WireError::TextTooLong { what, version, at, length });
        }
        let read = self.cursor.take(length);
        self.check(read).map(Some)
    }

    /// The client id of a request header: in the old layout in every version.
    pub(super) fn client_id(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        let flexible = std::mem::replace(&mut self.flexible, Flexible(false));
        let read = self.nullable_text();
        self.flexible = flexible;
        read
    }

    /// A record set.
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        let Some(length) = self.nullable_length(LengthKind::Wide)? else { return Ok(None) };
        let read = self.cursor.take(length);
        self.check(read).map(Some)
    }

    /// Bytes that may not be null.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let at = self.position();
        self.nullable_bytes()?.ok_or_else(|| self.null(at))
    }

    /// Passes over the tagged fields that end each structure of a flexible version.
    pub(super) fn tagged_fields(&mut self) -> Result<(), WireError> {
        if !self.flexible.0 {
            return Ok(());
        }
        let read = self.cursor.unsigned_varint();
        for _ in 0..self.check(read)? {
            let tag = self.cursor.unsigned_varint();
            self.check(tag)?;
            let length = self.cursor.unsigned_varint();
            let length = self.check(length)?;
            self.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        Ok(())
    }

    /// Ends the message: nothing may be left.
    pub(super) fn end(self) -> Result<(), WireError> {
        let Self { what, version, .. } = self;
        match self.cursor.remaining() {
            0 => Ok(()),
            left => Err(WireError::TrailingBytes { what, version, left }),
        }
    }

    /// A length, `None` for null. Any negative one means null, as brokers have it.
    fn nullable_length(&mut self, kind: LengthKind) -> Result<Option<usize>, WireError> {
        if self.flexible.0 {
            let read = self.cursor.unsigned_varint();
            let length = self.check(read)?.checked_sub(1);
            return Ok(length.map(|length| usize::try_from(length).unwrap_or(usize::MAX)));
        }
        let length = match kind {
            LengthKind::Short => i32::from(self.i16()?),
            LengthKind::Wide => self.i32()?,
        };
        Ok(usize::try_from(length).ok())
    }

    fn null(&self, at: usize) -> WireError {
        let error = CursorError::NegativeLength { at, length: -1 };
        WireError::Field { what: self.what, version: self.version, error }
    }

    fn check<T>(&self, read: Result<T, CursorError>) -> Result<T, WireError> {
        read.map_err(|error| WireError::Field { what: self.what, version: self.version, error })
    }
}

/// How wide a length is in the old layout.
#[derive(Debug, Clone, Copy)]
enum LengthKind {
    /// 16 bits: of text.
    Short,
    /// 32 bits: of arrays and record sets.
    Wide,
}

/// Which layout a version has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flexible(pub(super) bool);

impl Flexible {
    /// Writes the length of an array.
    pub(super) fn put_count(self, out: &mut impl BufMut, count: usize) {
        if self.0 {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            put_unsigned_varint(out, count.saturating_add(1));
        } else {
            out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    /// Writes text, or null. What exceeds the protocol's 32767 bytes is cut off between two characters.
    pub(super) fn put_text(self, out: &mut impl BufMut, text: Option<&str>) {
        let text = text.map(clip);
        let length = text.map(|text| i16::try_from(text.len()).unwrap_or(i16::MAX));
        match (self.0, length) {
            (true, None) => out.put_u8(0),
            (true, Some(length)) => {
                put_unsigned_varint(out, u32::from(length.unsigned_abs()).saturating_add(1));
            }
            (false, length) => out.put_i16(length.unwrap_or(-1)),
        }
        out.put_slice(text.unwrap_or_default().as_bytes());
    }

    /// Writes that there are no tagged fields, in the layout that has any.
    pub(super) fn put_no_tagged_fields(self, out: &mut impl BufMut) {
        if self.0 {
            out.put_u8(0);
        }
    }
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

fn put_unsigned_varint(out: &mut impl BufMut, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.put_u8(low & 0x7f);
        }
        out.put_u8(low | 0x80);
    }
}
