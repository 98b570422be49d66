//! The binary check itself: runs a [`Program`] over the bytes. It builds nothing and allocates nothing, and it only
//! says yes or no; why it is no is for `explain` to find out.

use super::program::{Program, Step, Target};
use crate::limits::{MAX_DATUM_DEPTH, MAX_ZERO_BYTE_ITEMS};

/// Runs the program from its root. The bytes that are left after one datum, or `None` if there is none.
///
/// Time is linear in the bytes: every call consumes at least one, and items without bytes are counted, not visited.
pub(super) fn walk<'a>(program: &Program, bytes: &'a [u8]) -> Option<&'a [u8]> {
    Walker { program, free_items: 0 }.run(program.root, bytes, 0)
}

struct Walker<'p> {
    program: &'p Program,
    /// Items so far that took no bytes.
    free_items: u64,
}

impl Walker<'_> {
    /// Runs the steps of `target`. Recursion is bounded by `MAX_DATUM_DEPTH`.
    fn run<'a>(&mut self, target: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let depth = depth.saturating_add(target.levels);
        if depth > DEEPEST {
            return None;
        }
        let program = self.program;
        let mut rest = bytes;
        for step in program.steps.get(position(target.start)..position(target.end))? {
            rest = match *step {
                Step::Array(items) => self.array(items, rest, deeper(depth)?)?,
                Step::ArrayOfFixed(width) => {
                    deeper(depth)?;
                    self.array_of_fixed(width, rest)?
                }
                Step::Boolean => boolean(rest)?,
                Step::Bytes => sized(rest)?.1,
                Step::Call(record) => self.run(record, rest, depth)?,
                Step::Enum(count) => index(rest, count)?.1,
                Step::Int => int(rest)?,
                Step::Long => varint(rest)?.1,
                Step::Map(values) => self.map(values, rest, deeper(depth)?)?,
                Step::Never => return None,
                Step::Skip(width) => skip(rest, width)?,
                Step::String => string(rest)?,
                Step::Union { first, count } => {
                    let (branch, tail) = index(rest, count)?;
                    let target = program.branches.get(position(first.checked_add(branch)?))?;
                    self.run(*target, tail, deeper(depth)?)?
                }
            };
        }
        Some(rest)
    }

    #[inline(never)]
    fn array<'a>(&mut self, items: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let mut rest = bytes;
        loop {
            let block = Block::read(rest)?;
            rest = block.rest;
            if block.items == 0 {
                return Some(rest);
            }
            for _ in 0..block.items {
                rest = self.run(items, rest, depth)?;
            }
            block.ends_at(rest)?;
        }
    }

    #[inline(never)]
    fn array_of_fixed<'a>(&mut self, width: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        loop {
            let block = Block::read(rest)?;
            rest = block.rest;
            if block.items == 0 {
                return Some(rest);
            }
            if width == 0 {
                self.free_items = self.free_items.saturating_add(block.items);
                (self.free_items <= MAX_ZERO_BYTE_ITEMS).then_some(())?;
            }
            rest = skip(rest, width.checked_mul(block.items)?)?;
            block.ends_at(rest)?;
        }
    }

    #[inline(never)]
    fn map<'a>(&mut self, values: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let mut rest = bytes;
        loop {
            let block = Block::read(rest)?;
            rest = block.rest;
            if block.items == 0 {
                return Some(rest);
            }
            for _ in 0..block.items {
                rest = self.run(values, string(rest)?, depth)?;
            }
            block.ends_at(rest)?;
        }
    }
}

/// `MAX_DATUM_DEPTH`, in the type that depths have here.
#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "256")]
const DEEPEST: u32 = MAX_DATUM_DEPTH as u32;

fn deeper(depth: u32) -> Option<u32> {
    (depth < DEEPEST).then_some(depth + 1)
}

fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The head of a block of items; one without items ends its array or map.
struct Block<'a> {
    items: u64,
    /// What must be left behind the block, if it says how long it is.
    left_behind: Option<usize>,
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    #[inline]
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (raw, rest) = varint(bytes)?;
        if raw & 1 == 0 {
            return Some(Self { items: raw >> 1, left_behind: None, rest });
        }
        // A negative count: -1 is 1 in zigzag, -2 is 3. The lowest, of which there is no positive, is no count.
        let items = (raw >> 1) + 1;
        i64::try_from(items).ok()?;
        let (size, rest) = length(rest)?;
        Some(Self { items, left_behind: Some(rest.len().checked_sub(size)?), rest })
    }

    #[inline]
    fn ends_at(&self, rest: &[u8]) -> Option<()> {
        match self.left_behind {
            Some(left) => (left == rest.len()).then_some(()),
            None => Some(()),
        }
    }
}

/// A varint before zigzag, no longer than its value needs.
#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((u64::from(*first), rest));
    }
    long_varint(u64::from(*first & 0x7f), rest)
}

#[inline(never)]
fn long_varint(first: u64, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut shift, mut rest) = (first, 7_u32, bytes);
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        if shift == 63 {
            // The tenth byte: one bit is left.
            return (*byte == 1).then_some((value | 1 << 63, rest));
        }
        value |= u64::from(*byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return (*byte != 0).then_some((value, rest));
        }
    }
}

#[inline]
fn int(bytes: &[u8]) -> Option<&[u8]> {
    let (raw, rest) = varint(bytes)?;
    (raw <= u64::from(u32::MAX)).then_some(rest)
}

/// A length: not negative.
#[inline]
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (raw, rest) = varint(bytes)?;
    if raw & 1 == 1 {
        return None;
    }
    usize::try_from(raw >> 1).ok().map(|length| (length, rest))
}

/// An index below `count`.
#[inline]
fn index(bytes: &[u8], count: u32) -> Option<(u32, &[u8])> {
    let (raw, rest) = varint(bytes)?;
    if raw & 1 == 1 || raw >> 1 >= u64::from(count) {
        return None;
    }
    u32::try_from(raw >> 1).ok().map(|index| (index, rest))
}

#[inline]
fn boolean(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.split_first()? {
        (0 | 1, rest) => Some(rest),
        _ => None,
    }
}

#[inline]
fn skip(bytes: &[u8], width: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(width).ok()?..)
}

#[inline]
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    rest.split_at_checked(length)
}

#[inline]
fn string(bytes: &[u8]) -> Option<&[u8]> {
    let (text, rest) = sized(bytes)?;
    is_utf8(text).then_some(rest)
}

#[inline]
fn is_utf8(text: &[u8]) -> bool {
    // Short texts are mostly ASCII, for which the vectors of simdutf8 do not pay.
    (text.len() < 64 && text.is_ascii()) || simdutf8::basic::from_utf8(text).is_ok()
}
