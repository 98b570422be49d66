//! The binary check itself: runs a [`Program`] over the bytes. It builds nothing and allocates nothing, and it only
//! says yes or no; why it is no is for `explain` to find out.

use super::encoding::{boolean, index, int, length, long, present, sized, skip, string, varint};
use super::program::{Program, Step, Target, position};
use crate::limits::{MAX_DATUM_DEPTH, MAX_ZERO_BYTE_ITEMS};

/// Runs the program from its root. The bytes that are left after one datum, or `None` if there is none.
///
/// Time is linear in the bytes: every call consumes at least one, and items without bytes are counted, not visited.
pub(super) fn walk<'a>(program: &Program, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (steps, branches) = (&program.steps[..], &program.branches[..]);
    Walker { steps, branches, free_items: 0 }.run(program.root, bytes, 0)
}

struct Walker<'p> {
    steps: &'p [Step<Target>],
    branches: &'p [Target],
    /// Items so far that took no bytes.
    free_items: u64,
}

impl<'p> Walker<'p> {
    /// Runs the steps of `target`. Recursion is bounded by `MAX_DATUM_DEPTH`.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each kind of step, and nothing beside them"
    )]
    fn run<'a>(&mut self, target: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let mut depth = enter(depth, target)?;
        let mut steps = self.steps(target)?.iter();
        let mut rest = bytes;
        while let Some(step) = steps.next() {
            rest = match *step {
                Step::Array(items) => self.array(items, rest, deeper(depth)?)?,
                Step::ArrayOfFixed(width) => {
                    deeper(depth)?;
                    self.array_of_fixed(width, rest)?
                }
                Step::Boolean => boolean(rest)?,
                Step::BooleanAndSkip(width) => skip(boolean(rest)?, width)?,
                Step::Bytes => sized(rest)?.1,
                Step::BytesAndSkip(width) => skip(sized(rest)?.1, width)?,
                Step::Call(record) if steps.len() == 0 => {
                    (steps, depth) = (self.steps(record)?.iter(), enter(depth, record)?);
                    rest
                }
                Step::Call(record) => self.run(record, rest, depth)?,
                Step::Enum(count) => index(rest, count)?.1,
                Step::Int => int(rest)?,
                Step::IntAndSkip(width) => skip(int(rest)?, width)?,
                Step::Long => long(rest)?,
                Step::LongAndSkip(width) => skip(long(rest)?, width)?,
                Step::Map(values) => self.map(values, rest, deeper(depth)?)?,
                Step::Never => return None,
                Step::Optional(null) => {
                    deeper(depth)?;
                    let (present, tail) = present(rest, null)?;
                    if !present {
                        steps.next()?;
                    }
                    tail
                }
                Step::OptionalCall(null, record) => {
                    match present(rest, null)? {
                        (false, tail) => deeper(depth).map(|_| tail)?,
                        // Nothing to come back for: no call, however long the list.
                        (true, tail) if steps.len() == 0 => {
                            (steps, depth) = (self.steps(record)?.iter(), enter(depth, record)?);
                            tail
                        }
                        (true, tail) => self.run(record, tail, depth)?,
                    }
                }
                Step::Skip(width) => skip(rest, width)?,
                Step::String => string(rest)?,
                Step::StringAndSkip(width) => skip(string(rest)?, width)?,
                Step::Union { first, count } => {
                    let (branch, tail) = index(rest, count)?;
                    let branch = position(first.checked_add(branch)?);
                    let branch = *self.branches.get(branch)?;
                    let below = deeper(depth)?;
                    match self.steps(branch)? {
                        [] => tail,
                        [only] if branch.levels == 0 && only.is_leaf() => leaf(only, tail)?,
                        inner if steps.len() == 0 => {
                            (steps, depth) = (inner.iter(), enter(below, branch)?);
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
        self.steps.get(position(target.start)..position(target.end))
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
            rest = match only {
                Some(Step::String) => repeat(block.items, rest, string)?,
                Some(step) => repeat(block.items, rest, |rest| leaf(step, rest))?,
                None => repeat(block.items, rest, |rest| self.run(items, rest, depth))?,
            };
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
            rest = match only {
                Some(Step::String) => repeat(block.items, rest, |rest| string(string(rest)?))?,
                Some(step) => repeat(block.items, rest, |rest| leaf(step, string(rest)?))?,
                None => repeat(block.items, rest, |rest| self.run(values, string(rest)?, depth))?,
            };
            block.ends_at(rest)?;
        }
    }
}

/// Passes over so many items.
#[inline]
fn repeat<'a>(
    items: u64,
    bytes: &'a [u8],
    mut item: impl FnMut(&'a [u8]) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    let mut rest = bytes;
    for _ in 0..items {
        rest = item(rest)?;
    }
    Some(rest)
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
    // Neither is much above `DEEPEST`.
    let depth = depth.wrapping_add(target.levels);
    (depth <= DEEPEST).then_some(depth)
}

#[inline]
fn deeper(depth: u32) -> Option<u32> {
    (depth < DEEPEST).then_some(depth + 1)
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
