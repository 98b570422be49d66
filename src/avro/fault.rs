//! What is wrong with a datum while its path is still being collected, from the inside out.

use super::error::{DatumError, DatumFault};
use super::graph::{Graph, NodeId, Type};
use crate::limits::MAX_SHOWN_BYTES;

/// One part of a path: a name of the schema, or a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    /// An entry of a map, whose key is the datum's secret.
    Entry(u64),
    /// The field of a record at this index.
    Field(NodeId, usize),
    /// An item of an array.
    Item(u64),
}

/// A broken promise, and the way to it so far.
#[derive(Debug)]
pub(super) struct Fault {
    kind: DatumFault,
    offset: usize,
    detail: String,
    /// Innermost first.
    path: Vec<Segment>,
}

impl Fault {
    /// Something at `offset` makes it no datum.
    pub(super) fn new(offset: usize, detail: String) -> Box<Self> {
        Box::new(Self { kind: DatumFault::Invalid, offset, detail, path: Vec::new() })
    }

    /// It is a datum, up to `offset`, of `length` bytes.
    pub(super) fn trailing(offset: usize, length: usize) -> Box<Self> {
        let left = u64::try_from(length.saturating_sub(offset)).unwrap_or(u64::MAX);
        let detail = format!("{} left over", bytes(left));
        Box::new(Self { kind: DatumFault::TrailingBytes, ..*Self::new(offset, detail) })
    }

    /// Says one level further out where it is.
    pub(super) fn within(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.push(segment);
        self
    }

    /// The error that it is for the caller, with the path in words.
    pub(super) fn into_error(self, graph: &Graph, root: NodeId) -> Box<DatumError> {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Entry(index) => path.push_str(&format!("{{entry {index}}}")),
                Segment::Field(record, index) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    if let Type::Record { fields, .. } = graph.get(*record) {
                        path.push_str(&cut(fields.get(*index).unwrap_or_default()));
                    }
                }
                Segment::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() {
            path = cut(graph.name(root));
        }
        let Self { kind: fault, offset, detail, .. } = self;
        Box::new(DatumError { fault, path: shortened(path), offset, detail })
    }
}

/// A number of bytes in words.
pub(super) fn bytes(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// A number that stood where a length, a count or an index should be. A large one may be a value of another schema, which
/// is the datum's secret.
pub(super) fn number(number: i64) -> String {
    if number.unsigned_abs() <= MAX_SHOWN_NUMBER {
        number.to_string()
    } else if number < 0 {
        format!("below -{MAX_SHOWN_NUMBER}")
    } else {
        format!("above {MAX_SHOWN_NUMBER}")
    }
}

/// A name of the schema, short enough for a message.
pub(super) fn cut(name: &str) -> String {
    let mut characters = name.chars();
    let mut short: String = characters.by_ref().take(MAX_SHOWN_NAME).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Largest number from the wire that is shown.
const MAX_SHOWN_NUMBER: u64 = 65_535;
/// Characters of one name that are shown.
const MAX_SHOWN_NAME: usize = 100;

/// Keeps both ends of a long path: where it starts, and where it went wrong.
fn shortened(path: String) -> String {
    if path.len() <= MAX_SHOWN_BYTES {
        return path;
    }
    let split = |at: usize| (at..path.len()).find(|at| path.is_char_boundary(*at));
    let head = split(MAX_SHOWN_BYTES / 3).and_then(|end| path.get(..end));
    let tail = split(path.len() - MAX_SHOWN_BYTES / 2).and_then(|start| path.get(start..));
    format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default())
}
