//! gzip (RFC 1952): exactly one member, its checksum and size checked, nothing after it.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::record::inflate::Progress;
use crate::record::scratch::Growth;
use crate::record::window::Window;
use crate::record::{Compression, RecordError};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// What the state of the inflater takes, its 32 KiB window included; a test measures it.
const STATE_BYTES: usize = 64 * 1024;

const MAGIC_AND_DEFLATE: [u8; 3] = [0x1f, 0x8b, 8];
const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

pub(super) struct GzipMember<'s> {
    inflate: &'s mut Decompress,
    input: &'s [u8],
    /// Bytes of the input used.
    at: usize,
    crc: Crc,
}

impl<'s> GzipMember<'s> {
    pub(super) fn new(
        input: &'s [u8],
        slot: &'s mut Option<Decompress>,
        growth: &mut Growth<'_>,
    ) -> Result<Self, RecordError> {
        let at = read_header(input)?;
        if slot.is_none() {
            growth.ask(STATE_BYTES)?;
        }
        let inflate = slot.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        Ok(Self { inflate, input, at, crc: Crc::new() })
    }

    /// Decompresses some more.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<Progress, RecordError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let (_, room) = window.room(1, 0)?;
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(rest, room, FlushDecompress::None)
            .map_err(|_| invalid(self.at, "invalid deflate data"))?;
        let read = difference(self.inflate.total_in(), read);
        let written = difference(self.inflate.total_out(), written);
        self.crc.update(room.get(..written).unwrap_or_default());
        self.at = self.at.saturating_add(read);
        window.filled(written)?;
        match status {
            Status::StreamEnd => self.check_trailer().map(|()| Progress::Ended),
            Status::Ok | Status::BufError if read == 0 && written == 0 => {
                Err(invalid(self.at, "ends early"))
            }
            Status::Ok | Status::BufError => Ok(Progress::More),
        }
    }

    fn check_trailer(&self) -> Result<(), RecordError> {
        let mut cursor = Cursor::new(self.input.get(self.at..).unwrap_or_default());
        let early = |_| invalid(self.at, "ends early");
        let crc = cursor.array().map(u32::from_le_bytes).map_err(early)?;
        let size = cursor.array().map(u32::from_le_bytes).map_err(early)?;
        if crc != self.crc.sum() {
            return Err(invalid(self.at, "checksum of the content is wrong"));
        }
        if size != self.crc.amount() {
            return Err(invalid(self.at, "size of the content is wrong"));
        }
        if !cursor.is_empty() {
            let end = self.at.saturating_add(cursor.position());
            return Err(invalid(end, "bytes after the first member"));
        }
        Ok(())
    }
}

/// Where the compressed data begin.
fn read_header(input: &[u8]) -> Result<usize, RecordError> {
    let mut cursor = Cursor::new(input);
    let flags = skip_header(&mut cursor).map_err(|_| invalid(cursor.position(), "ends early"))?;
    let Some(flags) = flags else {
        return Err(invalid(0, "not a gzip header"));
    };
    if flags & FLAG_HEADER_CRC != 0 {
        let at = cursor.position();
        let actual = header_crc(input.get(..at).unwrap_or_default());
        let expected: [u8; 2] = cursor.array().map_err(|_| invalid(at, "ends early"))?;
        if actual != expected {
            return Err(invalid(at, "checksum of the header is wrong"));
        }
    }
    Ok(cursor.position())
}

/// The flags, if it is a header, and the cursor behind all that they announce but the checksum.
fn skip_header(cursor: &mut Cursor<'_>) -> Result<Option<u8>, CursorError> {
    let magic: [u8; 3] = cursor.array()?;
    let flags = cursor.u8()?;
    if magic != MAGIC_AND_DEFLATE || flags & FLAGS_RESERVED != 0 {
        return Ok(None);
    }
    cursor.skip(6)?; // time, extra flags, operating system
    if flags & FLAG_EXTRA != 0 {
        let length = cursor.array().map(u16::from_le_bytes)?;
        cursor.skip(usize::from(length))?;
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            while cursor.u8()? != 0 {}
        }
    }
    Ok(Some(flags))
}

/// The lower half of the header's CRC-32, as it is written.
fn header_crc(header: &[u8]) -> [u8; 2] {
    let mut crc = Crc::new();
    crc.update(header);
    let [low, high, ..] = crc.sum().to_le_bytes();
    [low, high]
}

fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX)
}

#[cold]
const fn invalid(at: usize, what: &'static str) -> RecordError {
    RecordError::Stream { codec: Compression::Gzip, at, what }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::record::RecordErrorClass;
    use crate::record::builder::{OwnedRecord, batch_of, bodies, read_all};
    use flate2::GzBuilder;
    use std::io::Write as _;

    fn member(builder: GzBuilder, content: &[u8]) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_part_of_a_header_is_passed_over_and_checked() {
        let record = OwnedRecord::of("value");
        let content = bodies(std::slice::from_ref(&record));
        let builder = GzBuilder::new().extra(b"extra".to_vec()).filename("n").comment("c").mtime(1);
        let mut stream = member(builder, &content);
        assert_eq!(read_all(&batch_of(1, 1, &stream)), Ok(vec![record.clone()]));

        // The header's own checksum, which flate2 does not write.
        let end = 10 + 2 + 5 + 2 + 2;
        stream[3] |= FLAG_HEADER_CRC;
        let crc = header_crc(&stream[..end]);
        stream.splice(end..end, crc);
        assert_eq!(read_all(&batch_of(1, 1, &stream)), Ok(vec![record]));
        stream[end] ^= 1;
        let error = read_all(&batch_of(1, 1, &stream)).unwrap_err();
        let what = "checksum of the header is wrong";
        assert_eq!(error, RecordError::Stream { codec: Compression::Gzip, at: end, what });
    }

    #[test]
    fn what_is_no_gzip_is_undecodable() {
        let sound = member(GzBuilder::new(), &bodies(&[OwnedRecord::of("value")]));
        let len = sound.len();
        let reserved = (3, 0x20, "not a gzip header");
        let crc = (len - 8, 1, "checksum of the content is wrong");
        let size = (len - 4, 1, "size of the content is wrong");
        for (at, bits, expected) in
            [(0, 1, "not a gzip header"), (2, 1, "not a gzip header"), reserved, crc, size]
        {
            let mut stream = sound.clone();
            stream[at] ^= bits;
            let error = read_all(&batch_of(1, 1, &stream)).unwrap_err();
            assert!(
                matches!(error, RecordError::Stream { what, .. } if what == expected),
                "{error}"
            );
            assert_eq!(error.class(), RecordErrorClass::Undecodable);
        }
    }
}
