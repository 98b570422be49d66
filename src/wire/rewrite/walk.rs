//! A walk over one response: reads what has to be read, passes over the rest, and copies everything byte by byte
//! except for what is replaced.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::encode::put_array_len;
use crate::{
    cursor::{Cursor, CursorError},
    wire::{WireError, frame::Frame},
};

/// Which message is walked, and how its fields are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) struct Layout {
    /// Name of the message, for errors.
    pub(in crate::wire) what: &'static str,
    /// Its version.
    pub(in crate::wire) version: i16,
    /// Whether the version is a flexible one (KIP-482): compact lengths, tagged fields.
    pub(in crate::wire) flexible: bool,
}

/// Reads a message from front to back and notes what is replaced.
#[derive(Debug)]
pub(in crate::wire) struct Walk<'a> {
    layout: Layout,
    input: &'a [u8],
    cursor: Cursor<'a>,
    out: Vec<u8>,
    copied: usize,
}

impl<'a> Walk<'a> {
    pub(in crate::wire) const fn new(layout: Layout, input: &'a [u8]) -> Self {
        Self { layout, input, cursor: Cursor::new(input), out: Vec::new(), copied: 0 }
    }

    pub(super) const fn version(&self) -> i16 {
        self.layout.version
    }

    pub(super) const fn flexible(&self) -> bool {
        self.layout.flexible
    }

    /// Bytes read so far.
    pub(in crate::wire) const fn position(&self) -> usize {
        self.cursor.position()
    }

    /// The bytes read since `from`.
    pub(in crate::wire) fn since(&self, from: usize) -> &'a [u8] {
        self.input.get(from..self.position()).unwrap_or_default()
    }

    fn field<T>(&self, read: Result<T, CursorError>) -> Result<T, WireError> {
        let Layout { what, version, .. } = self.layout;
        read.map_err(|error| WireError::Field { what, version, error })
    }

    /// The error of a message with more than `limit` elements.
    pub(super) const fn too_many(&self, limit: usize) -> WireError {
        let Layout { what, version, .. } = self.layout;
        WireError::TooManyElements { what, version, limit }
    }

    pub(in crate::wire) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let read = self.cursor.take(count);
        self.field(read)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), WireError> {
        self.take(count).map(|_| ())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let read = self.cursor.array();
        self.field(read)
    }

    pub(super) fn i8(&mut self) -> Result<i8, WireError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(in crate::wire) fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let read = self.cursor.unsigned_varint();
        self.field(read)
    }

    /// A compact length (one more than it is), or one that was read as `plain`; `None` is null.
    fn length(&mut self, plain: fn(&mut Self) -> Result<i32, WireError>) -> LengthRead {
        let at = self.position();
        let length = if self.layout.flexible {
            i64::from(self.unsigned_varint()?).saturating_sub(1)
        } else {
            i64::from(plain(self)?)
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => self.field(Err(CursorError::NegativeLength { at, length })),
        }
    }

    fn present<T>(&self, at: usize, value: Option<T>) -> Result<T, WireError> {
        self.field(value.ok_or(CursorError::NegativeLength { at, length: -1 }))
    }

    /// A text that may be null.
    pub(super) fn nullable_text(&mut self) -> Result<Option<&'a str>, WireError> {
        let Some(length) = self.length(|walk| walk.i16().map(i32::from))? else { return Ok(None) };
        let at = self.position();
        let Layout { what, version, .. } = self.layout;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| WireError::Text { what, version, at })
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        let at = self.position();
        let text = self.nullable_text()?;
        self.present(at, text)
    }

    /// Passes over a text that nobody reads: null or not, UTF-8 or not.
    pub(super) fn skip_text(&mut self) -> Result<(), WireError> {
        let length = self.length(|walk| walk.i16().map(i32::from))?;
        self.skip(length.unwrap_or_default())
    }

    /// How many elements an array has that must not be null.
    pub(super) fn array_len(&mut self) -> Result<usize, WireError> {
        let at = self.position();
        let length = self.length(Self::i32)?;
        self.present(at, length)
    }

    /// Walks an array's elements. Each of them takes bytes, so a made-up count ends soon.
    pub(super) fn each(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.array_len()? {
            element(self)?;
        }
        Ok(())
    }

    /// Passes over an array of 32-bit integers.
    pub(super) fn skip_i32s(&mut self) -> Result<(), WireError> {
        let count = self.array_len()?;
        self.skip(count.saturating_mul(4))
    }

    /// Passes over a section of tagged fields, where the version has them.
    pub(super) fn skip_tagged_fields(&mut self) -> Result<(), WireError> {
        if !self.layout.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            self.tagged_field()?;
        }
        Ok(())
    }

    /// One tagged field: its tag and its bytes.
    pub(in crate::wire) fn tagged_field(&mut self) -> Result<(u32, &'a [u8]), WireError> {
        let tag = self.unsigned_varint()?;
        let at = self.position();
        let size = self.unsigned_varint()?;
        let size = usize::try_from(size).map_err(|_| CursorError::Varint { at });
        let size = self.field(size)?;
        Ok((tag, self.take(size)?))
    }

    /// Puts `with` in the place of `range`, which lies behind whatever was replaced before and has been read.
    pub(super) fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        if self.out.is_empty() {
            // Most answers grow little: one allocation for the whole frame, its size in front.
            self.out.reserve(self.input.len().saturating_add(with.len()).saturating_add(256));
            self.out.extend([0; 4]);
        }
        self.out.extend(self.input.get(self.copied..range.start).unwrap_or_default());
        self.out.extend(with);
        self.copied = range.end;
    }

    /// Puts an array of `len` elements, encoded in `elements`, in the place of everything read since `from`.
    pub(super) fn replace_array(&mut self, from: usize, len: usize, elements: &[u8]) {
        let mut with = Vec::with_capacity(elements.len().saturating_add(5));
        put_array_len(&mut with, self.layout.flexible, len);
        with.extend(elements);
        if self.since(from) != with {
            self.replace(from..self.position(), &with);
        }
    }

    /// Checks that nothing is left.
    pub(in crate::wire) const fn end(&self) -> Result<(), WireError> {
        let Layout { what, version, .. } = self.layout;
        match self.cursor.remaining() {
            0 => Ok(()),
            left => Err(WireError::TrailingBytes { what, version, left }),
        }
    }

    /// The message with its replacements, as a frame. `None` if nothing was replaced. What follows the last known field
    /// stays: clients read no further, and librdkafka's mock cluster is not alone in writing more.
    pub(super) fn into_frame(mut self) -> Result<Option<Frame>, WireError> {
        if self.out.is_empty() {
            return Ok(None);
        }
        self.out.extend(self.input.get(self.copied..).unwrap_or_default());
        Frame::seal(self.out).map(Some)
    }
}

type LengthRead = Result<Option<usize>, WireError>;
