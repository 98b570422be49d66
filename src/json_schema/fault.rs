//! What is wrong with a JSON text while its path is still being collected, from the inside out.

use std::collections::HashSet;

use super::{
    text::Quoted,
    tree::{At, Tree},
};
use crate::datum::{DatumError, DatumFault, cut, shortened};

/// Names that the schema gives to properties. No other is ever shown: it is the value's.
pub(super) type Names = HashSet<Box<str>>;

/// One part of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment<'t> {
    /// An item of an array.
    Item(u32),
    /// A member of an object: how many stand before it, and its key.
    Member(u32, Quoted<'t>),
}

/// A broken promise, and the way to it so far.
#[derive(Debug)]
pub(super) struct Fault<'t> {
    pub(super) offset: usize,
    pub(super) detail: String,
    /// Innermost first.
    path: Vec<Segment<'t>>,
}

impl<'t> Fault<'t> {
    pub(super) fn new(offset: usize, detail: String) -> Box<Self> {
        Box::new(Self { offset, detail, path: Vec::new() })
    }

    /// Says one level further out where it is.
    pub(super) fn within(mut self: Box<Self>, segment: Segment<'t>) -> Box<Self> {
        self.path.push(segment);
        self
    }

    /// The error that it is for the caller, with the path in words.
    pub(super) fn into_error(self, names: &Names) -> Box<DatumError> {
        let path = written(self.path.iter().rev().copied(), names);
        let Self { offset, detail, .. } = self;
        Box::new(DatumError { fault: DatumFault::Invalid, path, offset, detail })
    }
}

/// A path in words: `users.accounts[2].balance`, with `{entry 3}` for a member whose name is the value's secret.
pub(super) fn written<'t>(path: impl Iterator<Item = Segment<'t>>, names: &Names) -> String {
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Item(index) => out.push_str(&format!("[{index}]")),
            Segment::Member(index, key) => match names.get(&*key.resolved()) {
                Some(name) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(&crate::text::shown(cut(name).as_bytes()));
                }
                None => out.push_str(&format!("{{entry {index}}}")),
            },
        }
    }
    if out.is_empty() { "value".to_owned() } else { shortened(out) }
}

/// What is wrong at the value `at` of `tree`, which `path` leads to.
pub(super) fn error(
    tree: &Tree<'_>,
    at: At,
    path: &[Segment<'_>],
    names: &Names,
    detail: String,
) -> Box<DatumError> {
    let path = written(path.iter().copied(), names);
    Box::new(DatumError { fault: DatumFault::Invalid, path, offset: tree.offset(at), detail })
}
