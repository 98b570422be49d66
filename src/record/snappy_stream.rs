//! A raw snappy block too large to be held whole: decoded through the window, a stretch at a time.
//!
//! ```text
//! size varint | (tag u8 | 0..4 bytes of length or offset | literal)*
//! ```
//!
//! A copy may refer back to any byte of the block. Writers in C++, Java and Python work in pieces of 64 KiB and so never
//! refer farther back than that; those of Go (`s2.EncodeSnappy`, which franz-go and sarama use) take the whole batch as one
//! piece. So a good part is kept, and a copy from before it is refused as too large.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use crate::cursor::{Cursor, CursorError};
use crate::record::RecordError;
use crate::record::snappy::invalid;
use crate::record::window::Window;

/// One block on its way.
pub(super) struct SnappyStream<'s> {
    input: Cursor<'s>,
    /// Where the block begins in the stream.
    at: usize,
    history: usize,
    announced: usize,
    written: usize,
    element: Element,
    /// Bytes that the element still has to give.
    left: usize,
}

/// Where bytes come from.
#[derive(Clone, Copy)]
enum Element {
    Literal,
    /// So many bytes back.
    Copy(usize),
}

impl<'s> SnappyStream<'s> {
    /// The block `block`, which begins at byte `at` and says that it gives `announced` bytes. Copies may refer back to the
    /// last `history` of them.
    pub(super) fn new(
        block: &'s [u8],
        at: usize,
        announced: usize,
        history: usize,
    ) -> Result<Self, RecordError> {
        let mut input = Cursor::new(block);
        let size = block.iter().position(|byte| byte & 0x80 == 0).unwrap_or(block.len());
        input.skip(size.saturating_add(1)).map_err(|_| invalid(at, "ends early"))?;
        let element = Element::Literal;
        Ok(Self { input, at, history, announced, written: 0, element, left: 0 })
    }

    /// Decodes until what was asked of the window is full. Whether the block is at its end.
    pub(super) fn step(&mut self, window: &mut Window<'_>) -> Result<bool, RecordError> {
        let missing = self.announced.saturating_sub(self.written);
        // Half as much as is moved to make room for it: so each byte moves twice at most.
        let at_least = missing.min(self.history.div_ceil(2));
        let (before, room) = window.room(at_least, self.history)?;
        let mut output = Output { before, room, len: 0 };
        while output.len < at_least {
            if self.left == 0 {
                let at = self.at.saturating_add(self.input.position());
                self.next_element(at)?;
            }
            let wanted = self.left.min(at_least.saturating_sub(output.len));
            let at = self.at.saturating_add(self.input.position());
            let given = match self.element {
                Element::Literal => output.literal(self.input.take(wanted).ok(), wanted),
                Element::Copy(offset) => output.copy(offset, wanted),
            };
            given.ok_or_else(|| invalid(at, "ends early"))?;
            self.left = self.left.saturating_sub(wanted);
            self.written = self.written.saturating_add(wanted);
        }
        let written = output.len;
        window.filled(written)?;
        let ended = self.written == self.announced;
        if ended && !self.input.is_empty() {
            return Err(invalid(self.at, "a block holds more than it announces"));
        }
        Ok(ended)
    }

    fn next_element(&mut self, at: usize) -> Result<(), RecordError> {
        let (element, length) =
            read_element(&mut self.input).map_err(|_| invalid(at, "ends early"))?;
        if length > self.announced.saturating_sub(self.written) {
            return Err(invalid(at, "a block holds more than it announces"));
        }
        if let Element::Copy(offset) = element {
            if offset == 0 || offset > self.written {
                return Err(invalid(at, "a copy from before the block"));
            }
            if offset > self.history {
                return Err(RecordError::SnappyOffset { offset, limit: self.history });
            }
        }
        (self.element, self.left) = (element, length);
        Ok(())
    }
}

/// A tag and what belongs to it, and how many bytes it gives: at least one.
fn read_element(input: &mut Cursor<'_>) -> Result<(Element, usize), CursorError> {
    let tag = input.u8()?;
    let upper = usize::from(tag >> 2);
    Ok(match tag & 0b11 {
        0 => {
            let length = match upper {
                60 => little_endian(input.array::<1>()?),
                61 => little_endian(input.array::<2>()?),
                62 => little_endian(input.array::<3>()?),
                63 => little_endian(input.array::<4>()?),
                short => short,
            };
            (Element::Literal, length.saturating_add(1))
        }
        1 => {
            let [low] = input.array()?;
            let offset = u16::from_be_bytes([tag >> 5, low]);
            (Element::Copy(usize::from(offset)), (upper & 0b111).saturating_add(4))
        }
        2 => (Element::Copy(little_endian(input.array::<2>()?)), upper.saturating_add(1)),
        _ => (Element::Copy(little_endian(input.array::<4>()?)), upper.saturating_add(1)),
    })
}

fn little_endian<const N: usize>(bytes: [u8; N]) -> usize {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | usize::from(byte))
}

/// What was decoded last, and where to write what comes.
struct Output<'w> {
    before: &'w [u8],
    room: &'w mut [u8],
    /// Bytes written.
    len: usize,
}

impl Output<'_> {
    /// `None` if there is nothing to write or no room for it.
    fn literal(&mut self, bytes: Option<&[u8]>, count: usize) -> Option<()> {
        let end = self.len.checked_add(count)?;
        self.room.get_mut(self.len..end)?.copy_from_slice(bytes?);
        self.len = end;
        Some(())
    }

    /// `None` if there are not so many bytes before, or no room.
    fn copy(&mut self, offset: usize, count: usize) -> Option<()> {
        let end = self.len.checked_add(count).filter(|end| *end <= self.room.len())?;
        let (before, beyond) = (self.before, offset.saturating_sub(self.len));
        if beyond > 0 {
            let from = before.len().checked_sub(beyond)?;
            let part = count.min(beyond);
            self.literal(before.get(from..from.checked_add(part)?), part)?;
        }
        if self.len == end {
            return Some(());
        }
        // What repeats itself is copied from its own beginning, twice as much each time.
        let from = self.len.checked_sub(offset)?;
        while self.len < end {
            let part = self.len.checked_sub(from)?.min(end.checked_sub(self.len)?);
            self.room.copy_within(from..from.checked_add(part)?, self.len);
            self.len = self.len.checked_add(part).filter(|_| part > 0)?;
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::record::RecordErrorClass::{TooLarge, Undecodable};
    use crate::record::scratch::Growth;
    use crate::record::{Compression, Unlimited};
    use proptest::prelude::*;

    /// All of `block`, taken as it comes, as the walk of many small records would.
    fn decode(block: &[u8], history: usize) -> Result<Vec<u8>, RecordError> {
        let (mut buffer, mut held, mut allowance) = (Vec::new(), 0, Unlimited);
        let growth = Growth::new(&mut held, &mut allowance);
        let mut window = Window::new(Compression::Snappy, 1 << 30, &mut buffer, growth);
        let announced = snap::raw::decompress_len(block).unwrap();
        let mut stream = SnappyStream::new(block, 0, announced, history)?;
        let mut out = Vec::new();
        while out.len() < announced {
            let ended = stream.step(&mut window)?;
            out.extend_from_slice(window.take(usize::MAX));
            assert_eq!(ended, out.len() == announced);
        }
        assert!(held <= 2 * history + 256 * 1024, "{held} bytes held for {history}");
        Ok(out)
    }

    fn snap(block: &[u8]) -> Result<Vec<u8>, snap::Error> {
        snap::raw::Decoder::new().decompress_vec(block)
    }

    /// Text that repeats itself at many distances.
    fn text(size: usize, seed: u32) -> Vec<u8> {
        let mut state = seed | 1;
        let mut out = Vec::with_capacity(size + 300);
        while out.len() < size {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [_, length, low, high] = state.to_le_bytes();
            let (length, back) =
                (usize::from(length), usize::from(u16::from_le_bytes([low, high])));
            if back % 3 == 0 || back >= out.len() {
                out.extend((0..=length).map(|at| u8::try_from((at * back) % 251).unwrap()));
            } else {
                let from = out.len() - back - 1;
                (from..=from + length).for_each(|at| out.push(out[at]));
            }
        }
        out.truncate(size);
        out
    }

    fn copy(offset: u32, length: u8) -> Vec<u8> {
        [&[(length - 1) << 2 | 3][..], &offset.to_le_bytes()].concat()
    }

    /// A literal of `literal` bytes, then `elements`.
    fn block(announced: u8, literal: u8, elements: &[u8]) -> Vec<u8> {
        let bytes: Vec<u8> = (0..literal).collect();
        [&[announced, (literal - 1) << 2][..], &bytes, elements].concat()
    }

    #[test]
    fn a_large_block_of_text_comes_out_as_it_went_in() {
        for (size, history) in [(20_000_000, 8 << 20), (5_000_000, 64 << 10), (300_000, 64 << 10)] {
            for text in [text(size, 7), vec![0; size]] {
                let block = snap::raw::Encoder::new().compress_vec(&text).unwrap();
                assert!(decode(&block, history) == Ok(text), "{size} {history}");
            }
        }
    }

    #[test]
    fn a_copy_may_reach_as_far_back_as_is_kept_and_no_farther() {
        for history in [1, 2, 7, 30, 60] {
            for offset in 1..=60 {
                let block = block(64, 60, &copy(offset, 4));
                let offset = usize::try_from(offset).unwrap();
                match decode(&block, history) {
                    Ok(plain) => assert!(offset <= history && plain == snap(&block).unwrap()),
                    Err(error) => {
                        assert!(offset > history, "{error}");
                        assert_eq!(error, RecordError::SnappyOffset { offset, limit: history });
                        assert_eq!(error.class(), TooLarge);
                    }
                }
            }
        }
    }

    #[test]
    fn a_block_that_is_not_what_it_announces_is_undecodable() {
        let cases = [
            ("too few bytes", block(20, 10, &copy(1, 4))),
            ("a copy too long", block(12, 10, &copy(1, 4))),
            ("an element too many", block(10, 10, &copy(1, 4))),
            ("a byte too many", block(10, 10, &[0])),
            ("a copy of offset 0", block(14, 10, &copy(0, 4))),
            ("a copy from before", block(14, 10, &copy(11, 4))),
            ("a copy from far before", block(14, 10, &copy(u32::MAX, 4))),
            ("half a copy", block(14, 10, &copy(1, 4)[..3])),
            ("half a literal", block(14, 10, &[3 << 2, 1])),
            ("a literal of 4 GiB", block(14, 10, &[0xfc, 0xff, 0xff, 0xff, 0xff])),
            ("nothing but the size", vec![14]),
        ];
        for (what, block) in cases {
            assert!(snap(&block).is_err(), "{what}");
            for history in [4, 64] {
                let error = decode(&block, history).expect_err(what);
                assert_eq!(error.class(), Undecodable, "{what}: {error}");
            }
        }
    }

    /// Any tags, most of which make sense.
    fn elements() -> impl Strategy<Value = Vec<u8>> {
        let literal = (0_u8..60, any::<u8>()).prop_map(|(length, byte)| {
            [vec![length << 2], vec![byte; usize::from(length) + 1]].concat()
        });
        let long = (60_usize..700, any::<u8>()).prop_map(|(length, byte)| {
            let [low, high, ..] = (length - 1).to_le_bytes();
            [vec![61 << 2, low, high], vec![byte; length]].concat()
        });
        let near = (any::<u8>(), any::<u8>()).prop_map(|(tag, low)| vec![tag & 0x3c | 1, low]);
        let far = (any::<u8>(), 0_u16..900).prop_map(|(tag, offset)| {
            let [low, high] = offset.to_le_bytes();
            vec![tag & 0xfc | 2, low, high]
        });
        let farther = (1_u8..=64, 0_u32..2_000).prop_map(|(length, offset)| copy(offset, length));
        let any = proptest::collection::vec(any::<u8>(), 0..3);
        let one = prop_oneof![8 => literal, 2 => long, 8 => near, 8 => far, 4 => farther, 1 => any];
        proptest::collection::vec(one, 1..60).prop_map(|all| all.concat())
    }

    /// What the elements of a block give, as far as they can be read.
    fn size_of(elements: &[u8]) -> usize {
        let (mut input, mut size) = (Cursor::new(elements), 0);
        while let Ok((element, length)) = read_element(&mut input) {
            size += length;
            if matches!(element, Element::Literal) && input.skip(length).is_err() {
                break;
            }
        }
        size.min(1 << 20)
    }

    fn announcing(mut size: usize, elements: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        while size >= 0x80 {
            block.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
            size >>= 7;
        }
        block.push(u8::try_from(size).unwrap());
        [block, elements.to_vec()].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_says_what_snap_says(elements in elements(), wrong in -1_isize..=1, start in 1_usize..300) {
            let [low, high, ..] = (start - 1).to_le_bytes();
            let elements = [vec![61 << 2, low, high], vec![5; start], elements].concat();
            // Most of the time what it announces is right.
            for wrong in [0, wrong] {
                let size = size_of(&elements).saturating_add_signed(wrong);
                let block = announcing(size, &elements);
                let expected = snap(&block).ok();
                prop_assert_eq!(decode(&block, 1 << 20).ok(), expected.clone());
                for history in [1, 40, 300, 1_000] {
                    match decode(&block, history) {
                        Err(RecordError::SnappyOffset { .. }) => {}
                        other => prop_assert_eq!(other.ok(), expected.clone()),
                    }
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let block = announcing(300, &bytes);
            prop_assert_eq!(decode(&block, 1 << 10).ok(), snap(&block).ok());
        }
    }
}
