//! Walks answers with record data while they stream, and rewrites their tails. Sans-io: nothing of them is kept here.
//!
//! Fetch v16-18 and ShareFetch v0-2 name the current leaders' addresses behind all records (KIP-951, KIP-932), when the
//! length of the frame has long been sent. So the walk passes over record sets by their length, holds only the tail, and
//! replaces it by one of exactly the same length.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod tail;

use std::cmp::Ordering;

use self::tail::Tail;
use super::{Cluster, WireError, rewrite::walk::Layout};
use crate::cursor::{Cursor, CursorError};

/// Bytes that the tail of an answer may have: thousands of addresses.
pub const MAX_TAIL_BYTES: usize = 64 * 1024;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Nothing is left of the frame.
    Done,
    /// Not enough bytes for the next step: more have to be read.
    NeedMore,
    /// The next bytes go out unchanged, as many as this says. They may be more than are buffered.
    Pass(usize),
    /// Everything that is left of the frame is buffered, and goes out as these bytes instead. They are as many.
    Replace(Vec<u8>),
}

/// The walk over one answer.
#[derive(Debug)]
pub struct TailRewriter {
    layout: Layout,
    /// Arrays that the walk is in, innermost last.
    levels: Vec<Level>,
    tail: Option<Tail>,
    left: usize,
    passed: usize,
}

/// An array that the walk is in.
#[derive(Debug)]
struct Level {
    /// What an element consists of.
    steps: &'static [Step],
    /// The next of these steps.
    next: usize,
    /// Elements left, the one that the walk is in included.
    elements: u32,
}

/// A piece of a message.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A compact array of what its elements consist of, or null.
    Array(&'static [Step]),
    /// A compact text or record set, or null.
    Bytes,
    /// As many bytes as this says.
    Fixed(usize),
    /// A tagged field.
    TaggedField,
    /// A section of tagged fields.
    TaggedFields,
}

use Step::{Array, Bytes, Fixed, TaggedField, TaggedFields};

const FETCH: &[Step] = &[
    TaggedFields,     // of the header
    Fixed(4 + 2 + 4), // throttle time, error code, session id
    Array(&[
        Fixed(16), // topic id
        Array(&[
            Fixed(4 + 2 + 8 + 8 + 8), // index, error code, high watermark, last stable offset, log start offset
            Array(&[Fixed(8 + 8), TaggedFields]), // aborted transactions
            Fixed(4),                 // preferred read replica
            Bytes,                    // records
            TaggedFields,
        ]),
        TaggedFields,
    ]),
];

const SHARE_TOPICS: Step = Array(&[
    Fixed(16), // topic id
    Array(&[
        Fixed(4 + 2),                             // index, error code
        Bytes,                                    // error message
        Fixed(2),                                 // error code of the acknowledgement
        Bytes,                                    // its message
        Fixed(4 + 4),                             // leader, its epoch
        TaggedFields,                             // of the leader
        Bytes,                                    // records
        Array(&[Fixed(8 + 8 + 2), TaggedFields]), // acquired records
        TaggedFields,
    ]),
    TaggedFields,
]);

const SHARE_FETCH_V0: &[Step] = &[
    TaggedFields, // of the header
    Fixed(4 + 2), // throttle time, error code
    Bytes,        // error message
    SHARE_TOPICS,
];

const SHARE_FETCH: &[Step] = &[
    TaggedFields, // of the header
    Fixed(4 + 2), // throttle time, error code
    Bytes,        // error message
    Fixed(4),     // lock timeout
    SHARE_TOPICS,
];

impl TailRewriter {
    /// Begins with the response to a request of `api_key` and `version`. `body_len` counts the bytes after the 4-byte
    /// size and the 4-byte correlation id; the first byte to be shown is the one behind these. Responses without
    /// addresses behind records pass as a whole.
    #[must_use]
    pub fn new(api_key: i16, version: i16, body_len: usize) -> Self {
        let (what, steps, tail): (_, &[Step], _) = match (api_key, version) {
            (1, 16..) => ("Fetch response", FETCH, Some(Tail::TaggedEndpoints)),
            (78, ..=0) => ("ShareFetch response", SHARE_FETCH_V0, Some(Tail::PlainEndpoints)),
            (78, 1..) => ("ShareFetch response", SHARE_FETCH, Some(Tail::PlainEndpoints)),
            _ => ("response", &[], None),
        };
        Self {
            layout: Layout { what, version, flexible: true },
            levels: vec![Level { steps, next: 0, elements: 1 }],
            tail,
            left: body_len,
            passed: 0,
        }
    }

    /// Looks at `buf`, the bytes of the frame that have arrived and have not been passed yet (bytes of a next frame
    /// behind them do no harm), and says what is to be done. After [`Advance::Pass`] the caller sends that many bytes
    /// and shows what follows them.
    ///
    /// # Errors
    /// [`WireError`] if the answer cannot be read: a field reaches beyond the frame, or the tail is larger than
    /// [`MAX_TAIL_BYTES`]. The connection has to end, as part of the answer may have been sent.
    pub fn advance(&mut self, buf: &[u8], cluster: &dyn Cluster) -> Result<Advance, WireError> {
        let buf = buf.get(..self.left).unwrap_or(buf);
        let mut ready = 0_usize;
        while let Some(step) = self.next_step() {
            let Some(rest) = buf.get(ready..) else { break };
            let Some(size) = self.walk(step, rest)? else { break };
            ready = ready.saturating_add(size);
        }
        match ready {
            0 if self.next_step().is_some() => Ok(Advance::NeedMore),
            0 => self.finish(buf, cluster),
            _ => Ok(Advance::Pass(ready)),
        }
    }

    /// The step that comes next; `None` at the tail.
    fn next_step(&mut self) -> Option<Step> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(step) = level.steps.get(level.next) {
                return Some(*step);
            }
            level.next = 0;
            level.elements = level.elements.saturating_sub(1);
            if level.elements == 0 {
                self.levels.pop();
            }
        }
    }

    /// Takes `step`, of which `rest` holds at least the beginning, and says how many bytes it has. `None` if its length
    /// has not arrived.
    fn walk(&mut self, step: Step, rest: &[u8]) -> Result<Option<usize>, WireError> {
        let (size, inner) = match measure(step, rest) {
            Ok(measured) => measured,
            Err(CursorError::Truncated { .. }) if rest.len() < self.left => return Ok(None),
            Err(error) => return Err(self.field(error)),
        };
        self.left = match self.left.checked_sub(size) {
            Some(left) => left,
            None => return Err(self.truncated(size)),
        };
        if let Some(inner) = &inner
            && usize::try_from(inner.elements).map_or(true, |elements| elements > self.left)
        {
            // Each element takes a byte at least.
            return Err(self.truncated(usize::try_from(inner.elements).unwrap_or(usize::MAX)));
        }
        self.passed = self.passed.saturating_add(size);
        if let Some(level) = self.levels.last_mut() {
            level.next = level.next.saturating_add(1);
        }
        self.levels.extend(inner);
        Ok(Some(size))
    }

    fn finish(&mut self, buf: &[u8], cluster: &dyn Cluster) -> Result<Advance, WireError> {
        let Some(tail) = self.tail else {
            return Ok(match std::mem::take(&mut self.left) {
                0 => Advance::Done,
                left => Advance::Pass(left),
            });
        };
        let Layout { what, version, .. } = self.layout;
        if self.left > MAX_TAIL_BYTES {
            let (size, limit) = (self.left, MAX_TAIL_BYTES);
            return Err(WireError::TailTooLarge { what, version, size, limit });
        }
        if buf.len().cmp(&self.left) == Ordering::Less {
            return Ok(Advance::NeedMore);
        }
        let replaced = tail.rewrite(self.layout, buf, cluster)?;
        self.tail = None;
        let left = std::mem::take(&mut self.left);
        Ok(replaced.map_or(Advance::Pass(left), Advance::Replace))
    }

    fn truncated(&self, needed: usize) -> WireError {
        self.field(CursorError::Truncated { at: self.passed, needed, left: self.left })
    }

    const fn field(&self, error: CursorError) -> WireError {
        let Layout { what, version, .. } = self.layout;
        WireError::Field { what, version, error }
    }
}

/// How many bytes `step` has, and which elements follow them.
fn measure(step: Step, rest: &[u8]) -> Result<(usize, Option<Level>), CursorError> {
    let mut cursor = Cursor::new(rest);
    let level = |steps, elements| (elements > 0).then_some(Level { steps, next: 0, elements });
    let (skipped, inner) = match step {
        Fixed(size) => (size, None),
        Bytes => (to_usize(cursor.unsigned_varint()?.saturating_sub(1)), None),
        Array(steps) => (0, level(steps, cursor.unsigned_varint()?.saturating_sub(1))),
        TaggedFields => (0, level(&[TaggedField], cursor.unsigned_varint()?)),
        TaggedField => {
            cursor.unsigned_varint()?; // tag
            (to_usize(cursor.unsigned_varint()?), None)
        }
    };
    Ok((cursor.position().saturating_add(skipped), inner))
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
