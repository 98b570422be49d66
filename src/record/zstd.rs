//! zstd (RFC 8878): exactly one frame, no dictionary, a bounded window, nothing after it.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::record::inflate::Progress;
use crate::record::scratch::Growth;
use crate::record::window::Window;
use crate::record::{Compression, RecordError};
use zstd::zstd_safe::{
    DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, SafeResult, get_error_name,
};

/// Frames may refer back 8 MiB at most. Kafka's levels up to 19 stay within; 20 to 22 of a streaming writer do not.
pub(super) const WINDOW_LOG_MAX: u32 = 23;
const WINDOW_MAX: u64 = 1 << WINDOW_LOG_MAX;
/// What a context takes before it sees a frame; a test measures it.
const CONTEXT_BYTES: usize = 160 * 1024;
const MAX_BLOCK_BYTES: u64 = 128 * 1024;
const MIN_WINDOW_BYTES: u64 = 1024;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A decoder that is reused, with its buffers, from frame to frame.
pub(super) struct ZstdContext {
    context: DCtx<'static>,
    /// What was granted for its buffers.
    buffers: usize,
}

impl ZstdContext {
    fn new(growth: &mut Growth<'_>) -> Result<Self, RecordError> {
        growth.ask(CONTEXT_BYTES)?;
        let mut context = DCtx::try_create().ok_or(invalid(0, "no memory for a context"))?;
        checked(context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)), 0)?;
        Ok(Self { context, buffers: 0 })
    }

    /// Makes sure that the buffers of a frame that needs `needed` bytes are granted.
    fn reserve(&mut self, needed: usize, growth: &mut Growth<'_>) -> Result<(), RecordError> {
        growth.ask(needed.saturating_sub(self.buffers))?;
        self.buffers = self.buffers.max(needed);
        Ok(())
    }
}

pub(super) struct ZstdFrame<'s> {
    context: &'s mut DCtx<'static>,
    input: &'s [u8],
    /// Bytes of the input used.
    at: usize,
}

impl<'s> ZstdFrame<'s> {
    pub(super) fn new(
        input: &'s [u8],
        slot: &'s mut Option<ZstdContext>,
        growth: &mut Growth<'_>,
    ) -> Result<Self, RecordError> {
        let header = FrameHeader::read(input)?;
        let zstd = match slot {
            Some(zstd) => zstd,
            None => slot.insert(ZstdContext::new(growth)?),
        };
        zstd.reserve(header.buffer_bytes(), growth)?;
        let context = &mut zstd.context;
        checked(context.reset(ResetDirective::SessionOnly), 0)?;
        Ok(Self { context, input, at: 0 })
    }

    /// Decompresses some more.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<Progress, RecordError> {
        let (_, room) = window.room(1, 0)?;
        let mut input = InBuffer { src: self.input, pos: self.at };
        let mut output = OutBuffer::around(room);
        let hint = checked(self.context.decompress_stream(&mut output, &mut input), self.at)?;
        let (read, written) = (input.pos().saturating_sub(self.at), output.pos());
        self.at = input.pos();
        window.filled(written)?;
        match hint {
            0 if self.at == self.input.len() => Ok(Progress::Ended),
            0 => Err(invalid(self.at, "bytes after the first frame")),
            _ if read == 0 && written == 0 => Err(invalid(self.at, "ends early")),
            _ => Ok(Progress::More),
        }
    }
}

/// What a frame asks for, before any of it is decoded.
struct FrameHeader {
    window: u64,
    content_size: Option<u64>,
}

impl FrameHeader {
    fn read(input: &[u8]) -> Result<Self, RecordError> {
        let mut cursor = Cursor::new(input);
        let header = Self::read_fields(&mut cursor);
        header.map_err(|_| invalid(cursor.position(), "ends early"))?
    }

    /// ```text
    /// magic | (content size flag u2, single segment u1, unused u1, reserved u1, checksum u1, dictionary flag u2) |
    /// [window: exponent u5, mantissa u3] | [dictionary id] | [content size]
    /// ```
    fn read_fields(cursor: &mut Cursor<'_>) -> Result<Result<Self, RecordError>, CursorError> {
        let magic: [u8; 4] = cursor.array()?;
        if magic != MAGIC {
            return Ok(Err(invalid(0, "not a zstd frame")));
        }
        let descriptor = cursor.u8()?;
        if descriptor & 0b1000 != 0 {
            return Ok(Err(invalid(MAGIC.len(), "reserved bit is set")));
        }
        let single_segment = descriptor & 0b10_0000 != 0;
        let window = if single_segment { None } else { Some(window_size(cursor.u8()?)) };
        let dictionary = match descriptor & 0b11 {
            0 => 0,
            1 => u32::from(cursor.u8()?),
            2 => u32::from(u16::from_le_bytes(cursor.array()?)),
            _ => u32::from_le_bytes(cursor.array()?),
        };
        if dictionary != 0 {
            return Ok(Err(invalid(MAGIC.len(), "needs a dictionary")));
        }
        let content_size = match descriptor >> 6 {
            0 if single_segment => Some(u64::from(cursor.u8()?)),
            0 => None,
            1 => Some(u64::from(u16::from_le_bytes(cursor.array()?)).saturating_add(256)),
            2 => Some(u64::from(u32::from_le_bytes(cursor.array()?))),
            _ => Some(u64::from_le_bytes(cursor.array()?)),
        };
        let window = window.or(content_size).unwrap_or_default().max(MIN_WINDOW_BYTES);
        if window > WINDOW_MAX {
            return Ok(Err(RecordError::ZstdWindow { size: window, limit: WINDOW_MAX }));
        }
        Ok(Ok(Self { window, content_size }))
    }

    /// What libzstd allocates to stream the frame: one block of input, and of output the window and two blocks.
    fn buffer_bytes(&self) -> usize {
        let block = self.window.min(MAX_BLOCK_BYTES);
        let output = self.window.saturating_add(block.saturating_mul(2)).saturating_add(64);
        let output = output.min(self.content_size.unwrap_or(u64::MAX));
        usize::try_from(block.saturating_add(output)).unwrap_or(usize::MAX)
    }
}

fn window_size(descriptor: u8) -> u64 {
    let base = 1_u64 << (u32::from(descriptor >> 3).saturating_add(10));
    let eighths = u64::from(descriptor & 0b111);
    base.saturating_add((base >> 3).saturating_mul(eighths))
}

fn checked(result: SafeResult, at: usize) -> Result<usize, RecordError> {
    result.map_err(|code| invalid(at, get_error_name(code)))
}

#[cold]
const fn invalid(at: usize, what: &'static str) -> RecordError {
    RecordError::Stream { codec: Compression::Zstd, at, what }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::limits::{MIB, RecordLimits};
    use crate::record::builder::{Flavour, OwnedRecord, batch, batch_of, bodies, read_with};
    use crate::record::{RecordErrorClass, Scratch, Unlimited};
    use std::io::Write as _;
    use zstd::stream::raw::CParameter;

    fn frame(content: &[u8], parameters: &[CParameter], sized: bool) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        for parameter in parameters {
            encoder.set_parameter(*parameter).unwrap();
        }
        let size = sized.then(|| u64::try_from(content.len()).unwrap());
        encoder.set_pledged_src_size(size).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], scratch: &mut Scratch) -> Result<Vec<OwnedRecord>, RecordError> {
        read_with(bytes, scratch, &RecordLimits::default(), &mut Unlimited)
    }

    #[test]
    fn a_context_never_takes_more_than_was_granted() {
        let records = vec![OwnedRecord::of(vec![7; 3 * MIB]), OwnedRecord::of("small")];
        let content = bodies(&records);
        for sized in [true, false] {
            let mut scratch = Scratch::new();
            for log in [10, 17, 23, 12, 20] {
                let stream = frame(&content, &[CParameter::WindowLog(log)], sized);
                assert!(read(&batch_of(4, 2, &stream), &mut scratch) == Ok(records.clone()));
                let zstd = scratch.zstd.as_ref().unwrap();
                let size = zstd.context.sizeof();
                assert!(size <= CONTEXT_BYTES + zstd.buffers, "{size} > {}", zstd.buffers);
                assert!(scratch.held >= size + scratch.buffer.capacity());
            }
        }
    }

    #[test]
    fn a_window_is_taken_at_its_limit_and_not_beyond() {
        let record = OwnedRecord::of("small");
        let content = bodies(std::slice::from_ref(&record));
        for (log, taken) in [(WINDOW_LOG_MAX, true), (WINDOW_LOG_MAX + 1, false)] {
            let stream = frame(&content, &[CParameter::WindowLog(log)], false);
            let read = read(&batch_of(4, 1, &stream), &mut Scratch::new());
            assert_eq!(read.is_ok(), taken, "{log}");
            if let Err(error) = read {
                let size = 1 << log;
                assert_eq!(error, RecordError::ZstdWindow { size, limit: WINDOW_MAX });
                assert_eq!(error.class(), RecordErrorClass::TooLarge);
            }
        }
        // The same in a frame of one segment, which announces its content instead of a window.
        let announced = (WINDOW_MAX + 1).to_le_bytes();
        let stream = [&MAGIC[..], &[0b1110_0000], &announced, &[1, 0, 0]].concat();
        let error = read(&batch_of(4, 1, &stream), &mut Scratch::new()).unwrap_err();
        assert_eq!(error.class(), RecordErrorClass::TooLarge);
    }

    #[test]
    fn a_dictionary_is_an_error_and_the_id_0_is_none() {
        let record = OwnedRecord::of("small");
        let mut stream = Flavour::ZstdSized.compress(&bodies(std::slice::from_ref(&record)));
        assert_eq!(stream[4] & 0b10_0011, 0b10_0000, "one segment, no dictionary");
        stream[4] |= 1;
        stream.insert(5, 0);
        assert_eq!(read(&batch_of(4, 1, &stream), &mut Scratch::new()), Ok(vec![record]));
        stream[5] = 9;
        let error = read(&batch_of(4, 1, &stream), &mut Scratch::new()).unwrap_err();
        assert!(matches!(error, RecordError::Stream { what: "needs a dictionary", .. }));
    }

    #[test]
    fn headers_of_every_shape_are_read_as_libzstd_reads_them() {
        for len in [0, 1, 255, 256, 257, 65_791, 65_792, 200_000] {
            let content = vec![3; len];
            for sized in [true, false] {
                for log in [10, 18] {
                    let stream = frame(&content, &[CParameter::WindowLog(log)], sized);
                    let header = FrameHeader::read(&stream).unwrap();
                    let theirs = zstd::zstd_safe::get_frame_content_size(&stream).unwrap();
                    assert_eq!(header.content_size, theirs);
                }
            }
        }
        assert_eq!(window_size(0), 1024);
        assert_eq!(window_size(0b0000_1111), 2048 + 2048 / 8 * 7);
        assert_eq!(window_size(0xff), (1 << 41) + (1 << 38) * 7);
    }

    #[test]
    fn the_reused_context_is_not_allocated_again() {
        let bytes = batch(Flavour::Zstd, &[OwnedRecord::of("small")]);
        let mut scratch = Scratch::new();
        read(&bytes, &mut scratch).unwrap();
        let held = scratch.held_bytes();
        assert!(held > CONTEXT_BYTES);
        read(&bytes, &mut scratch).unwrap();
        assert_eq!(scratch.held_bytes(), held);
    }
}
