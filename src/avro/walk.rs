//! The binary check itself: runs a [`Program`] over the bytes. It builds nothing and allocates nothing, and it only
//! says yes or no; why it is no is for `explain` to find out.

use std::slice;

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

/// Passes over what a step means that leads to no others; `$other` says what the others do. A macro, because each place
/// needs a jump of its own: two of them for a step would cost more than most steps.
macro_rules! pass {
    ($step:expr, $rest:expr, { $($other:pat $(if $guard:expr)? => $passed:expr),+ $(,)? }) => {
        match $step {
            Step::Boolean => boolean($rest)?,
            Step::BooleanAndSkip(width) => skip(boolean($rest)?, width)?,
            Step::Bytes => sized($rest)?.1,
            Step::BytesAndSkip(width) => skip(sized($rest)?.1, width)?,
            Step::Enum(count) => index($rest, count)?.1,
            Step::Int => int($rest)?,
            Step::IntAndSkip(width) => skip(int($rest)?, width)?,
            Step::Long => long($rest)?,
            Step::LongAndSkip(width) => skip(long($rest)?, width)?,
            Step::Never => return None,
            Step::Skip(width) => skip($rest, width)?,
            Step::String => string($rest)?,
            Step::StringAndSkip(width) => skip(string($rest)?, width)?,
            $($other $(if $guard)? => $passed,)+
        }
    };
}

struct Walker<'p> {
    steps: &'p [Step<Target>],
    branches: &'p [Target],
    /// Items so far that took no bytes.
    free_items: u64,
}

impl<'p> Walker<'p> {
    /// Runs the steps of `target`. Recursion is bounded by `MAX_DATUM_DEPTH`.
    fn run<'a>(&mut self, target: Target, bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let mut depth = enter(depth, target)?;
        let mut steps = self.steps(target)?.iter();
        let mut rest = bytes;
        while let Some(step) = steps.next() {
            rest = pass!(*step, rest, {
                Step::Array(items) => self.array(items, rest, deeper(depth)?)?,
                Step::ArrayOfFixed(width) => {
                    deeper(depth)?;
                    self.array_of_fixed(width, rest)?
                },
                Step::Call(record) if steps.len() == 0 => {
                    (steps, depth) = (self.steps(record)?.iter(), enter(depth, record)?);
                    rest
                },
                Step::Call(record) => self.run(record, rest, depth)?,
                Step::Map(values) => self.map(values, rest, deeper(depth)?)?,
                Step::Optional(null) => optional(null, &mut steps, rest, depth)?,
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
                },
                Step::Union { first, count } => {
                    let (branch, tail) = index(rest, count)?;
                    let branch = position(first.checked_add(branch)?);
                    let branch = *self.branches.get(branch)?;
                    let below = deeper(depth)?;
                    match self.steps(branch)? {
                        [] => tail,
                        row if branch.flat => one_flat(row, tail, enter(below, branch)?)?,
                        inner if steps.len() == 0 => {
                            (steps, depth) = (inner.iter(), enter(below, branch)?);
                            tail
                        }
                        _ => self.run(branch, tail, below)?,
                    }
                }
            });
        }
        Some(rest)
    }

    #[inline]
    fn steps(&self, target: Target) -> Option<&'p [Step<Target>]> {
        self.steps.get(position(target.start)..position(target.end))
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
            rest = match self.steps(items)? {
                [Step::String] => repeat(block.items, rest, string)?,
                row if items.flat => {
                    let depth = enter(depth, items)?;
                    repeat(block.items, rest, |rest| flat(row, rest, depth))?
                }
                _ => repeat(block.items, rest, |rest| self.run(items, rest, depth))?,
            };
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
            rest = match self.steps(values)? {
                [Step::String] => repeat(block.items, rest, |rest| string(string(rest)?))?,
                row if values.flat => {
                    let depth = enter(depth, values)?;
                    repeat(block.items, rest, |rest| flat(row, string(rest)?, depth))?
                }
                _ => repeat(block.items, rest, |rest| self.run(values, string(rest)?, depth))?,
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

/// Steps that lead to no others, at `depth`. In line: where there are many such rows a call for each would be half of what
/// it costs.
#[inline(always)]
fn flat<'a>(steps: &[Step<Target>], bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
    let (mut steps, mut rest) = (steps.iter(), bytes);
    while let Some(step) = steps.next() {
        rest = pass!(*step, rest, {
            Step::Optional(null) => optional(null, &mut steps, rest, depth)?,
            _ => return None,
        });
    }
    Some(rest)
}

/// The same where there is one row.
#[inline(never)]
fn one_flat<'a>(steps: &[Step<Target>], bytes: &'a [u8], depth: u32) -> Option<&'a [u8]> {
    flat(steps, bytes, depth)
}

/// A union of null and a type whose step is the next one: that one is left out where it is null.
#[inline]
fn optional<'a>(
    null: u8,
    steps: &mut slice::Iter<'_, Step<Target>>,
    bytes: &'a [u8],
    depth: u32,
) -> Option<&'a [u8]> {
    deeper(depth)?;
    let (present, rest) = present(bytes, null)?;
    if !present {
        steps.next()?;
    }
    Some(rest)
}

/// `MAX_DATUM_DEPTH`, in the type that depths have here.
#[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "256")]
const DEEPEST: u32 = MAX_DATUM_DEPTH as u32;

/// The depth inside of `target`, if that is not too deep.
#[inline]
fn enter(depth: u32, target: Target) -> Option<u32> {
    // Neither is much above `DEEPEST`.
    let depth = depth.wrapping_add(target.levels.into());
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
