//! One compressed batch: hands out one record's bytes after the other, in one piece each.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::limits::RecordLimits;
use crate::record::gzip::GzipMember;
use crate::record::lz4::Lz4Frame;
use crate::record::scratch::{Growth, Scratch};
use crate::record::snappy::SnappyBlocks;
use crate::record::window::Window;
use crate::record::zstd::ZstdFrame;
use crate::record::{Allowance, Compression, RecordError};

/// Longest length of a record, in bytes.
const MAX_VARINT_BYTES: usize = 5;

/// Whether a stream may have more output than it gave so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The stream was valid, and used to its last byte.
    Ended,
    /// Ask again.
    More,
}

enum Decoder<'s> {
    Gzip(GzipMember<'s>),
    Lz4(Lz4Frame<'s>),
    Snappy(SnappyBlocks<'s>),
    Zstd(ZstdFrame<'s>),
}

pub(super) struct Inflater<'s> {
    window: Window<'s>,
    decoder: Decoder<'s>,
    progress: Progress,
}

impl<'s> Inflater<'s> {
    /// Begins the stream `input`. `None` if `codec` is no codec.
    pub(super) fn new(
        codec: Compression,
        input: &'s [u8],
        scratch: &'s mut Scratch,
        limits: &RecordLimits,
        allowance: &'s mut dyn Allowance,
    ) -> Result<Option<Self>, RecordError> {
        let Scratch { buffer, gzip, zstd, held } = scratch;
        let growth = Growth::new(held, allowance);
        let mut window = Window::new(codec, limits.max_decompressed_bytes, buffer, growth);
        let decoder = match codec {
            Compression::None => return Ok(None),
            Compression::Gzip => Decoder::Gzip(GzipMember::new(input, gzip, window.growth())?),
            Compression::Lz4 => Decoder::Lz4(Lz4Frame::new(input)?),
            Compression::Snappy => Decoder::Snappy(SnappyBlocks::new(input)?),
            Compression::Zstd => Decoder::Zstd(ZstdFrame::new(input, zstd, window.growth())?),
        };
        Ok(Some(Self { window, decoder, progress: Progress::More }))
    }

    /// The bytes of the record `index`, its length apart.
    pub(super) fn body(&mut self, index: i32, max_bytes: usize) -> Result<&[u8], RecordError> {
        self.fill(MAX_VARINT_BYTES)?;
        let at = self.window.position();
        let mut cursor = Cursor::new(self.window.unread());
        let length = cursor
            .varint()
            .and_then(|length| record_length(length, 0))
            .map_err(|error| length_error(index, shift(error, at)))?;
        if length > max_bytes {
            return Err(RecordError::RecordTooLarge {
                record: index,
                size: length,
                limit: max_bytes,
            });
        }
        self.window.take(cursor.position());
        self.fill(length)?;
        let left = self.window.unread().len();
        if left < length {
            let at = self.window.position();
            return Err(length_error(index, CursorError::Truncated { at, needed: length, left }));
        }
        Ok(self.window.take(length))
    }

    /// What is decompressed and was not handed out.
    pub(super) fn at_hand(&self) -> &[u8] {
        self.window.unread()
    }

    /// Counts the first `bytes` of them as handed out.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.window.take(bytes);
    }

    /// Decompressed bytes that were handed out.
    pub(super) fn position(&self) -> usize {
        self.window.position()
    }

    /// After the last record: is the stream at its end, too?
    pub(super) fn end(&mut self, count: i32) -> Result<(), RecordError> {
        self.fill(1)?;
        if self.window.unread().is_empty() {
            return Ok(());
        }
        Err(RecordError::LeftInBatch { count, at: self.window.position() })
    }

    /// Decompresses until `wanted` bytes are unread, or all there are.
    fn fill(&mut self, wanted: usize) -> Result<(), RecordError> {
        self.window.want(wanted);
        while self.window.unread().len() < wanted && self.progress == Progress::More {
            self.progress = match &mut self.decoder {
                Decoder::Gzip(member) => member.step(&mut self.window)?,
                Decoder::Lz4(frame) => frame.step(&mut self.window)?,
                Decoder::Snappy(blocks) => blocks.step(&mut self.window)?,
                Decoder::Zstd(frame) => frame.step(&mut self.window)?,
            };
        }
        Ok(())
    }
}

/// A record's length as a size, or the error of a negative one that was read at `at`.
#[inline]
pub(super) fn record_length(length: i32, at: usize) -> Result<usize, CursorError> {
    usize::try_from(length)
        .map_err(|_| CursorError::NegativeLength { at, length: i64::from(length) })
}

#[cold]
pub(super) const fn length_error(record: i32, error: CursorError) -> RecordError {
    RecordError::Field { record, what: "length", error }
}

/// `error` of a part that begins at `by`, as one of the whole.
#[cold]
const fn shift(error: CursorError, by: usize) -> CursorError {
    match error {
        CursorError::Truncated { at, needed, left } => {
            CursorError::Truncated { at: at.saturating_add(by), needed, left }
        }
        CursorError::Varint { at } => CursorError::Varint { at: at.saturating_add(by) },
        CursorError::NegativeLength { at, length } => {
            CursorError::NegativeLength { at: at.saturating_add(by), length }
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::limits::MIB;
    use crate::record::RecordErrorClass::{BudgetSpent, TooLarge, Undecodable};
    use crate::record::builder::{
        Flavour, OwnedRecord, batch, batch_of, bodies, lz4, read_all, read_with, xerial,
    };
    use crate::record::{Batch, Unlimited};
    use lz4_flex::frame::{BlockSize, FrameInfo};
    use proptest::prelude::*;

    /// Grants up to a bound, and knows what it granted.
    struct Bounded {
        left: usize,
        granted: usize,
    }

    impl Bounded {
        const fn of(left: usize) -> Self {
            Self { left, granted: 0 }
        }
    }

    impl Allowance for Bounded {
        fn try_grow(&mut self, additional_bytes: usize) -> bool {
            let Some(left) = self.left.checked_sub(additional_bytes) else { return false };
            self.left = left;
            self.granted += additional_bytes;
            true
        }
    }

    /// Records of `sizes` whose values compress a little.
    fn records(sizes: impl IntoIterator<Item = usize>) -> Vec<OwnedRecord> {
        let value = |size: usize| -> Vec<u8> {
            (0..size).map(|i| u8::try_from(i * i / 7 % 251).unwrap()).collect()
        };
        sizes.into_iter().map(|size| OwnedRecord::of(value(size)).with("schema-id", "42")).collect()
    }

    fn compressed() -> impl Iterator<Item = Flavour> {
        Flavour::ALL.into_iter().filter(|&flavour| flavour != Flavour::Plain)
    }

    #[test]
    fn every_codec_gives_the_records_of_every_size() {
        let mut scratch = Scratch::new();
        let limits = RecordLimits::default();
        let cases = [
            vec![0],
            vec![1; 5_000],
            vec![63, 64, 65, 8_191, 8_192, 65_535, 65_536, 65_537],
            vec![300_000, 1, 700_000, 2, 3, 150_000],
            (0..400).map(|i| i * 37 % 5_000).collect(),
        ];
        for sizes in cases {
            let records = records(sizes);
            for flavour in Flavour::ALL {
                let bytes = batch(flavour, &records);
                let read = read_with(&bytes, &mut scratch, &limits, &mut Unlimited);
                assert!(read == Ok(records.clone()), "{flavour:?}");
            }
        }
    }

    #[test]
    fn lz4_blocks_of_every_size_are_read() {
        let records = records([70_000, 9, 1_100_000, 3_000_000, 5]);
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
        {
            for linked in [true, false] {
                let mode = if linked {
                    lz4_flex::frame::BlockMode::Linked
                } else {
                    lz4_flex::frame::BlockMode::Independent
                };
                let info =
                    FrameInfo::new().block_size(size).block_mode(mode).content_checksum(true);
                let bytes = batch_of(3, 5, &lz4(&bodies(&records), info));
                assert!(read_all(&bytes) == Ok(records.clone()), "{size:?} {linked}");
            }
        }
    }

    #[test]
    fn a_stream_cut_at_any_byte_is_undecodable() {
        let records = records([100, 2_000, 30]);
        let content = bodies(&records);
        for flavour in compressed() {
            let stream = flavour.compress(&content);
            for len in 0..stream.len() {
                let error = read_all(&batch_of(flavour.id(), 3, &stream[..len])).unwrap_err();
                assert_eq!(error.class(), Undecodable, "{flavour:?} cut at {len}: {error}");
            }
        }
    }

    #[test]
    fn a_second_stream_or_a_byte_after_the_first_is_undecodable() {
        let records = records([100, 2_000, 30]);
        let content = bodies(&records);
        let empty_skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        for flavour in compressed() {
            let stream = flavour.compress(&content);
            let empty = flavour.compress(b"");
            for tail in [&stream[..], &empty, &empty_skippable, &[0], &[0; 8]] {
                let both = [&stream[..], tail].concat();
                let error = read_all(&batch_of(flavour.id(), 3, &both)).unwrap_err();
                assert_eq!(error.class(), Undecodable, "{flavour:?}: {error}");
            }
            let behind = [&empty_skippable[..], &stream].concat();
            let error = read_all(&batch_of(flavour.id(), 3, &behind)).unwrap_err();
            assert_eq!(error.class(), Undecodable, "{flavour:?}: {error}");
        }
    }

    #[test]
    fn a_batch_is_taken_at_the_limit_of_its_size_and_not_beyond() {
        let records = records([100, 200_000, 30]);
        let size = bodies(&records).len();
        for flavour in compressed() {
            let bytes = batch(flavour, &records);
            for (limit, taken) in [(size, true), (size - 1, false)] {
                let limits =
                    RecordLimits { max_decompressed_bytes: limit, ..RecordLimits::default() };
                let read = read_with(&bytes, &mut Scratch::new(), &limits, &mut Unlimited);
                assert_eq!(read.is_ok(), taken, "{flavour:?}");
                if let Err(error) = read {
                    assert_eq!(error.class(), TooLarge, "{flavour:?}");
                }
            }
        }
    }

    #[test]
    fn memory_is_the_window_and_the_largest_record_not_the_output() {
        let records = records(std::iter::repeat_n(50_000, 400)); // 20 MB
        for flavour in compressed() {
            let bytes = batch(flavour, &records);
            let mut scratch = Scratch::new();
            let mut allowance = Bounded::of(64 * MIB);
            let limits = RecordLimits::default();
            let read = read_with(&bytes, &mut scratch, &limits, &mut allowance);
            assert!(read == Ok(records.clone()), "{flavour:?}");
            // zstd's own window is 2 MiB at level 3, lz4's blocks are up to 4 MiB. snappy refers back up to 8 MiB.
            let most = if flavour == Flavour::SnappyRaw { 13 * MIB } else { 5 * MIB };
            assert!(allowance.granted < most, "{flavour:?}: {}", allowance.granted);
            assert_eq!(allowance.granted, scratch.held_bytes());
            let held = scratch.held_bytes();
            read_with(&bytes, &mut scratch, &limits, &mut allowance).unwrap();
            assert_eq!(scratch.held_bytes(), held, "{flavour:?}: nothing new for the same again");
            scratch.shrink();
            assert_eq!(scratch.held_bytes(), 0);
        }
    }

    #[test]
    fn bombs_stop_at_the_limits() {
        let limits = RecordLimits { max_decompressed_bytes: 8 * MIB, max_record_bytes: 4 * MIB };
        let zeros = vec![0; 64 * MIB];
        let lie_of_a_record = [&[0x80, 0x80, 0x80, 0x04][..], &zeros].concat(); // 4 MiB
        for flavour in compressed() {
            for (content, count) in [(&zeros, i32::MAX), (&lie_of_a_record, 1)] {
                let bytes = batch_of(flavour.id(), count, &flavour.compress(content));
                let mut allowance = Bounded::of(usize::MAX);
                let error =
                    read_with(&bytes, &mut Scratch::new(), &limits, &mut allowance).unwrap_err();
                assert!(matches!(error.class(), TooLarge | Undecodable), "{flavour:?}: {error}");
                assert!(allowance.granted <= 13 * MIB, "{flavour:?}: {}", allowance.granted);
            }
        }
    }

    #[test]
    fn many_small_records_of_a_bomb_stop_at_the_limit() {
        let limits = RecordLimits { max_decompressed_bytes: MIB, ..RecordLimits::default() };
        let records = records(std::iter::repeat_n(100, 100_000));
        for flavour in compressed() {
            let bytes = batch(flavour, &records);
            let mut allowance = Bounded::of(usize::MAX);
            let error =
                read_with(&bytes, &mut Scratch::new(), &limits, &mut allowance).unwrap_err();
            assert_eq!(error.class(), TooLarge, "{flavour:?}: {error}");
            assert!(allowance.granted <= 6 * MIB, "{flavour:?}: {}", allowance.granted);
        }
    }

    #[test]
    fn a_refused_growth_is_not_a_verdict_and_the_batch_passes_later() {
        let records = records([100, 200_000, 30]);
        for flavour in compressed() {
            let bytes = batch(flavour, &records);
            let mut scratch = Scratch::new();
            let mut budget = 0;
            let mut refused = 0;
            loop {
                let mut allowance = Bounded::of(budget);
                let limits = RecordLimits::default();
                let before = scratch.held_bytes();
                let read = read_with(&bytes, &mut scratch, &limits, &mut allowance);
                assert_eq!(scratch.held_bytes(), before + allowance.granted, "{flavour:?}");
                match read {
                    Ok(read) => break assert!(read == records, "{flavour:?}"),
                    Err(RecordError::BudgetSpent { needed }) => budget = needed,
                    Err(error) => panic!("{flavour:?}: {error}"),
                }
                refused += 1;
            }
            assert!(refused > 0, "{flavour:?}");
            assert_eq!(RecordError::BudgetSpent { needed: 1 }.class(), BudgetSpent);
        }
    }

    #[test]
    fn an_uncompressed_batch_takes_no_memory() {
        let bytes = batch(Flavour::Plain, &records([100_000, 5]));
        let mut scratch = Scratch::new();
        let limits = RecordLimits::default();
        assert!(read_with(&bytes, &mut scratch, &limits, &mut Bounded::of(0)).is_ok());
        assert_eq!(scratch.held_bytes(), 0);
    }

    #[test]
    fn a_corrupt_batch_does_not_disturb_the_next_one_on_the_same_scratch() {
        let records = records([100, 20_000, 30]);
        let mut scratch = Scratch::new();
        let limits = RecordLimits::default();
        for flavour in compressed() {
            let good = batch(flavour, &records);
            let stream = flavour.compress(&bodies(&records));
            let cut = batch_of(flavour.id(), 3, &stream[..stream.len() - 5]);
            for _ in 0..2 {
                assert!(read_with(&cut, &mut scratch, &limits, &mut Unlimited).is_err());
                let read = read_with(&good, &mut scratch, &limits, &mut Unlimited);
                assert!(read == Ok(records.clone()), "{flavour:?}");
            }
        }
    }

    #[test]
    fn a_record_may_end_anywhere_in_a_block() {
        for size in 1..120 {
            let records = records(std::iter::repeat_n(40, 30));
            let stream = xerial(&bodies(&records), size);
            assert_eq!(read_all(&batch_of(2, 30, &stream)), Ok(records));
        }
    }

    #[test]
    fn no_damaged_bit_of_a_stream_panics() {
        let records = records([20, 700, 3]);
        let content = bodies(&records);
        for flavour in compressed() {
            let stream = flavour.compress(&content);
            for at in 0..stream.len() {
                for bit in 0..8 {
                    let mut damaged = stream.clone();
                    damaged[at] ^= 1 << bit;
                    let limits =
                        RecordLimits { max_decompressed_bytes: MIB, max_record_bytes: MIB };
                    let bytes = batch_of(flavour.id(), 3, &damaged);
                    let _ = read_with(&bytes, &mut Scratch::new(), &limits, &mut Unlimited);
                }
            }
        }
    }

    #[test]
    fn the_stream_is_checked_although_its_records_are_whole() {
        let records = records([100]);
        let content = bodies(&records);
        for flavour in [Flavour::Gzip, Flavour::Lz4Linked, Flavour::ZstdSized] {
            let mut stream = flavour.compress(&content);
            let checksum = stream.len() - if flavour == Flavour::Gzip { 8 } else { 4 };
            stream[checksum] ^= 1;
            let bytes = batch_of(flavour.id(), 1, &stream);
            let (mut scratch, mut allowance) = (Scratch::new(), Unlimited);
            let batch = Batch::parse(&bytes).unwrap();
            let limits = RecordLimits::default();
            let mut reader = batch.records(&mut scratch, &limits, &mut allowance).unwrap();
            let error = loop {
                match reader.next(|_, _| {}) {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{flavour:?} passes"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.class(), Undecodable, "{flavour:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn round_trip(sizes in proptest::collection::vec(0_usize..3_000, 1..60), flavour in 0_usize..8) {
            let flavour = Flavour::ALL[flavour];
            let records = records(sizes);
            prop_assert!(read_all(&batch(flavour, &records)) == Ok(records));
        }

        #[test]
        fn arbitrary_bytes_after_a_valid_beginning_never_panic(
            flavour in 1_usize..8,
            keep in 0_usize..40,
            tail in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let flavour = Flavour::ALL[flavour];
            let mut stream = flavour.compress(&bodies(&records([300])));
            stream.truncate(keep);
            stream.extend(tail);
            let limits = RecordLimits { max_decompressed_bytes: MIB, max_record_bytes: MIB };
            let bytes = batch_of(flavour.id(), 1, &stream);
            let _ = read_with(&bytes, &mut Scratch::new(), &limits, &mut Bounded::of(16 * MIB));
        }
    }
}
