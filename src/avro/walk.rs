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

impl<'p> Walker<'p> {
    /// Runs the steps of `target`. Recursion is bounded by `MAX_DATUM_DEPTH`.
    fn run<'a>(&mut self, target: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let mut depth = enter(depth, target)?;
        let mut steps = self.steps(target)?;
        let mut rest = bytes;
        while let Some((step, later)) = steps.split_first() {
            steps = later;
            rest = match *step {
                Step::Array(items) => self.array(items, rest, deeper(depth)?)?,
                Step::ArrayOfFixed(width) => {
                    deeper(depth)?;
                    self.array_of_fixed(width, rest)?
                }
                Step::Boolean => boolean(rest)?,
                Step::Bytes => sized(rest)?.1,
                Step::Call(record) if later.is_empty() => {
                    (steps, depth) = (self.steps(record)?, enter(depth, record)?);
                    rest
                }
                Step::Call(record) => self.run(record, rest, depth)?,
                Step::Enum(count) => index(rest, count)?.1,
                Step::Int => int(rest)?,
                Step::Long => long(rest)?,
                Step::Map(values) => self.map(values, rest, deeper(depth)?)?,
                Step::Never => return None,
                Step::Skip(width) => skip(rest, width)?,
                Step::String => string(rest)?,
                Step::Union { first, count } => {
                    let (branch, tail) = index(rest, count)?;
                    let branch = position(first.checked_add(branch)?);
                    let branch = *self.program.branches.get(branch)?;
                    let below = deeper(depth)?;
                    match self.steps(branch)? {
                        [] => tail,
                        [only] if branch.levels == 0 && only.is_leaf() => leaf(only, tail)?,
                        // Nothing to come back for: no call, however long the list.
                        inner if later.is_empty() => {
                            (steps, depth) = (inner, enter(below, branch)?);
                            tail
                        }
                        _ => self.run(branch, tail, below)?,
                    }
                }
            };
        }
        Some(rest)
    }

    #[inline]
    fn steps(&self, target: Target) -> Option<&'p [Step<Target>]> {
        self.program.steps.get(position(target.start)..position(target.end))
    }

    #[inline(never)]
    fn array<'a>(&mut self, items: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let only = self.only_leaf(items);
        let mut rest = bytes;
        loop {
            let block = Block::read(rest)?;
            rest = block.rest;
            if block.items == 0 {
                return Some(rest);
            }
            for _ in 0..block.items {
                rest = match only {
                    Some(step) => leaf(step, rest)?,
                    None => self.run(items, rest, depth)?,
                };
            }
            block.ends_at(rest)?;
        }
    }

    /// The one step that `target` has, if it leads nowhere else.
    #[inline]
    fn only_leaf(&self, target: Target) -> Option<&'p Step<Target>> {
        match self.steps(target)? {
            [step] if step.is_leaf() && target.levels == 0 => Some(step),
            _ => None,
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
        let only = self.only_leaf(values);
        let mut rest = bytes;
        loop {
            let block = Block::read(rest)?;
            rest = block.rest;
            if block.items == 0 {
                return Some(rest);
            }
            for _ in 0..block.items {
                let value = string(rest)?;
                rest = match only {
                    Some(step) => leaf(step, value)?,
                    None => self.run(values, value, depth)?,
                };
            }
            block.ends_at(rest)?;
        }
    }
}

/// A step that leads to no other.
#[inline(never)]
fn leaf<'a>(step: &Step<Target>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    match *step {
        Step::Boolean => boolean(bytes),
        Step::Bytes => sized(bytes).map(|(_, rest)| rest),
        Step::Enum(count) => index(bytes, count).map(|(_, rest)| rest),
        Step::Int => int(bytes),
        Step::Long => long(bytes),
        Step::Skip(width) => skip(bytes, width),
        Step::String => string(bytes),
        // `Never`; the others are no leaves.
        _ => None,
    }
}

/// `MAX_DATUM_DEPTH`, in the type that depths have here.
#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "256")]
const DEEPEST: u32 = MAX_DATUM_DEPTH as u32;

/// The depth inside of `target`, if that is not too deep.
#[inline]
fn enter(depth: u32, target: Target) -> Option<u32> {
    let depth = depth.saturating_add(target.levels);
    (depth <= DEEPEST).then_some(depth)
}

#[inline]
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

/// Passes over a varint of 64 bits whose value does not matter.
#[inline]
fn long(bytes: &[u8]) -> Option<&[u8]> {
    if let Some((word, _)) = bytes.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The top bit of each byte that ends a varint; the first of them counts.
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let last = ends.trailing_zeros() & !7;
            // More than one byte, of which the last is zero: longer than needed.
            if last != 0 && (word >> last) & 0x7f == 0 {
                return None;
            }
            return bytes.get(position(last >> 3) + 1..);
        }
    }
    varint(bytes).map(|(_, rest)| rest)
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

#[inline(never)]
fn string(bytes: &[u8]) -> Option<&[u8]> {
    let (text, rest) = sized(bytes)?;
    is_utf8(text).then_some(rest)
}

#[inline]
fn is_utf8(text: &[u8]) -> bool {
    // Short texts are mostly ASCII, for which the vectors of simdutf8 do not pay.
    (text.len() < 64 && is_ascii(text)) || simdutf8::basic::from_utf8(text).is_ok()
}

/// Whether a short text is ASCII: by words that overlap at its end.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if let Some(last) = text.last_chunk() {
        let words = text.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
        return words.fold(u64::from_ne_bytes(*last), |bits, word| bits | word) & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let bits = u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last);
        return u64::from(bits) & HIGH == 0;
    }
    text.iter().fold(0, |bits, byte| bits | byte) < 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_checked_to_their_last_byte() {
        for length in 0..130 {
            let mut text = vec![b'a'; length];
            assert!(is_utf8(&text), "{length}");
            for at in 0..length {
                text[at] = 0xff;
                assert!(!is_utf8(&text), "{length} {at}");
                text[at] = b'a';
            }
            text.extend("é".bytes());
            assert!(is_utf8(&text), "{length}");
        }
    }

    #[test]
    fn a_long_is_passed_over_as_it_is_read() {
        for bits in 0..=u64::BITS {
            let mut bytes = Vec::new();
            let mut raw = u64::MAX.checked_shr(bits).unwrap_or(0);
            while raw > 0x7f {
                bytes.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
                raw >>= 7;
            }
            bytes.push(u8::try_from(raw).unwrap());
            for padding in 0..9 {
                let padded = [&bytes[..], &vec![0x80; padding]].concat();
                let rest = Some(&padded[bytes.len()..]);
                assert_eq!(long(&padded), rest, "{bits} {padding}");
                assert_eq!(varint(&padded).map(|(_, rest)| rest), rest);
                let cut = &padded[..bytes.len() - 1];
                assert_eq!(long(cut), None, "{bits}");
                let overlong =
                    [cut, &[bytes[bytes.len() - 1] | 0x80, 0], &vec![7; padding]].concat();
                assert_eq!(long(&overlong), None, "{bits} {padding}");
            }
        }
    }
}
