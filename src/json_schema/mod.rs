//! JSON Schema: a schema document with those that it refers to, bounded, checked and compiled once; and JSON values that
//! are judged where they stand, without a tree of copies.
//!
//! | Step | File |
//! |---|---|
//! | JSON text → tree over the text | `parse.rs` → `tree.rs`, `text.rs` |
//! | schema documents → bounds → checked documents | `document.rs`, `keywords.rs`, `ways.rs` |
//! | checked documents → validator | `compile.rs`: the `jsonschema` crate |
//! | tree → what the validator sees, and pays for | `view.rs`, `equality.rs`, `effort.rs` |
//! | broken promise → path and message | `fault.rs`, `explain.rs` |
//!
//! What is decided here, where JSON Schema leaves it open:
//!
//! * Drafts 4, 6, 7, 2019-09 and 2020-12, by `$schema`; 2020-12 without one.
//! * `format` is an assertion up to draft 7 and an annotation from 2019-09 on, as these drafts have it and the validators of
//!   registries' own serializers do. `contentEncoding` and `contentMediaType` are annotations. `dependencies` keeps its
//!   meaning in the later drafts.
//! * References lead to the documents given, by `$id` or by name, and to the schemas of the drafts. Nothing is fetched.
//! * Regular expressions are matched in linear time, so those with look-around or back-references are refused.
//! * A value is strict RFC 8259: one value, UTF-8 without a byte order mark, no key twice in an object, no lone half of a
//!   surrogate pair, at most 256 levels and two million keys and values.
//! * Numbers: whole ones of 64 bits are exact, however they are written (`1.0` is whole but in draft 4). Others are compared
//!   as doubles; whether they are whole, and unique, is exact. One beyond a double's range, such as `1e400`, is refused:
//!   readers disagree about what it is.

mod compile;
mod document;
mod effort;
mod equality;
mod explain;
mod fault;
mod keywords;
mod parse;
mod text;
mod tree;
mod view;
mod ways;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rules;

use std::fmt;

use compile::Compiled;
use effort::{Spent, within};
use fault::{Fault, Names};
use tree::{ROOT, Tree};
use view::View;

use crate::{
    datum::{DatumError, DatumFault, SchemaFault, bytes},
    limits::{MAX_DATUM_DEPTH, SchemaLimits},
};

/// A JSON Schema, compiled.
pub struct JsonSchema {
    validator: Compiled,
    names: Names,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

/// What judging a value may cost: so much for each key and value, and something for the small ones.
const EFFORT_A_SLOT: u64 = 64;
const EFFORT_AT_LEAST: u64 = 1_000_000;

impl JsonSchema {
    /// Parses and compiles the schema document `text`. `references` are the documents that it and they refer to, each with
    /// what it is called there: a URI, or a name relative to that of whoever refers to it. Their own `$id` counts as well.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound or is no JSON Schema, or a reference leads to none of them.
    pub fn parse(
        text: &str,
        references: &[(&str, &str)],
        limits: &SchemaLimits,
    ) -> Result<Self, SchemaFault> {
        let mut checked = document::read(text, references, limits)?;
        let names = std::mem::take(&mut checked.names);
        let validator = compile::compile(checked)?;
        Ok(Self { validator, names })
    }

    /// Checks that `value` is exactly one JSON value, and matches the schema.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, and what the schema expects.
    pub fn check(&self, value: &[u8]) -> Result<(), Box<DatumError>> {
        let fault = |fault: Box<Fault<'_>>| fault.into_error(&self.names);
        let text = utf8(value).map_err(fault)?;
        let (tree, end) = parse::parse(text, MAX_DATUM_DEPTH).map_err(fault)?;
        match self.is_valid(&tree) {
            Ok(true) => parse::left_over(text, end).map_or(Ok(()), |at| Err(left_over(text, at))),
            Ok(false) => Err(self.why_not(&tree)),
            Err(Spent) => Err(self.at_root(&tree, "too much work to judge with this schema")),
        }
    }

    /// Which promise `value` breaks. Like [`JsonSchema::check`] without the words.
    #[must_use]
    pub fn fault(&self, value: &[u8]) -> Option<DatumFault> {
        let text = simdutf8::basic::from_utf8(value).ok();
        let Some(text) = text else { return Some(DatumFault::Invalid) };
        let Ok((tree, end)) = parse::parse(text, MAX_DATUM_DEPTH) else {
            return Some(DatumFault::Invalid);
        };
        if self.is_valid(&tree) != Ok(true) {
            return Some(DatumFault::Invalid);
        }
        parse::left_over(text, end).map(|_| DatumFault::TrailingBytes)
    }

    fn is_valid(&self, tree: &Tree<'_>) -> Result<bool, Spent> {
        within(effort_for(tree), || self.validator.is_valid(View::Value(tree, ROOT)))
    }

    #[cold]
    fn why_not(&self, tree: &Tree<'_>) -> Box<DatumError> {
        let explained = within(effort_for(tree).saturating_mul(4), || {
            let found = self.validator.validate(View::Value(tree, ROOT));
            found.err().map(|error| explain::explain(tree, &self.names, &error))
        });
        match explained {
            Ok(Some(error)) => error,
            // The two ways of judging disagree. The strict one counts.
            Ok(None) => self.at_root(tree, "does not match the schema"),
            Err(Spent) => self.at_root(tree, "does not match the schema; too much work to say why"),
        }
    }

    #[cold]
    fn at_root(&self, tree: &Tree<'_>, detail: &str) -> Box<DatumError> {
        fault::error(tree, ROOT, &[], &self.names, detail.to_owned())
    }
}

fn effort_for(tree: &Tree<'_>) -> u64 {
    let slots = u64::try_from(tree.slots.len()).unwrap_or(u64::MAX);
    slots.saturating_mul(EFFORT_A_SLOT).saturating_add(EFFORT_AT_LEAST)
}

fn utf8(value: &[u8]) -> Result<&str, Box<Fault<'_>>> {
    simdutf8::compat::from_utf8(value)
        .map_err(|error| Fault::new(error.valid_up_to(), "bytes that are no UTF-8".to_owned()))
}

#[cold]
fn left_over(text: &str, at: usize) -> Box<DatumError> {
    let left = u64::try_from(text.len().saturating_sub(at)).unwrap_or(u64::MAX);
    let detail = format!("{} left over", bytes(left));
    let fault = DatumFault::TrailingBytes;
    Box::new(DatumError { fault, path: "value".to_owned(), offset: at, detail })
}
