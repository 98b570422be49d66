//! What is wrong with a datum while its path is still being collected, from the inside out.

use super::graph::{Graph, NodeId, Type};
use crate::datum::{DatumError, DatumFault, bytes, cut, shortened};

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
