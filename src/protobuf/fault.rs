//! What is wrong with a datum while its path is still being collected, from the inside out.

use super::program::Names;
use crate::datum::{DatumError, DatumFault, cut, shortened};

/// One part of a path: a name of the schema, or a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    /// An entry of a map, whose key is the datum's secret.
    Entry(u64),
    /// The field at this place of the tables.
    Field(usize),
    /// An item of a repeated field.
    Item(u64),
}

/// A broken promise, and the way to it so far.
#[derive(Debug)]
pub(super) struct Fault {
    offset: usize,
    detail: String,
    /// Innermost first.
    path: Vec<Segment>,
}

impl Fault {
    /// Something at `offset` makes it no datum.
    pub(super) fn new(offset: usize, detail: String) -> Box<Self> {
        Box::new(Self { offset, detail, path: Vec::new() })
    }

    /// Says one level further out where it is.
    pub(super) fn within(mut self: Box<Self>, segment: Segment) -> Box<Self> {
        self.path.push(segment);
        self
    }

    /// The error that it is for the caller, with the path in words.
    pub(super) fn into_error(self, names: &Names, root: u32) -> Box<DatumError> {
        let mut path = String::new();
        for segment in self.path.iter().rev() {
            match segment {
                Segment::Entry(index) => path.push_str(&format!("{{entry {index}}}")),
                Segment::Field(place) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&cut(names.field(*place)));
                }
                Segment::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() {
            path = cut(names.message(root));
        }
        let Self { offset, detail, .. } = self;
        Box::new(DatumError { fault: DatumFault::Invalid, path: shortened(path), offset, detail })
    }
}
