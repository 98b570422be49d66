//! Avro: a schema document, bounded and parsed, compiled once into a program that checks bytes without building values.
//!
//! | Step | File |
//! |---|---|
//! | document → bounds → clean document | `bounds.rs`, `document.rs`, `names.rs` |
//! | clean document → schema | apache-avro |
//! | schema → graph → program of flat steps | `graph.rs`, `program.rs` |
//! | binary datum → yes or no, then why | `walk.rs` over `encoding.rs`, then `explain.rs` |
//! | JSON datum → yes or why | `json.rs` over `json_text.rs` |
//! | broken promise → path and message | `fault.rs`, `datum.rs` |

mod bounds;
pub mod compatibility;
mod document;
mod encoding;
mod explain;
mod fault;
mod graph;
mod json;
mod json_text;
mod names;
mod program;
mod walk;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod json_oracle;
#[cfg(test)]
mod json_rules;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schemas;

use crate::{
    datum::{DatumError, DatumFault, SchemaFault},
    limits::SchemaLimits,
    text::shown,
};
use apache_avro::Schema;
use fault::Fault;
use graph::{Graph, NodeId};
use program::Program;

/// An Avro schema, compiled.
#[derive(Debug)]
pub struct AvroSchema {
    graph: Graph,
    root: NodeId,
    program: Program,
}

impl AvroSchema {
    /// Parses and compiles the schema document `text`. `references` are the documents that it refers to by name, each
    /// after those that it needs itself.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound or is no Avro schema.
    pub fn parse(
        text: &str,
        references: &[&str],
        limits: &SchemaLimits,
    ) -> Result<Self, SchemaFault> {
        let clean = document::clean(text, references, limits)?;
        let schema = Schema::parse(&clean).map_err(|error| {
            let detail = shown(error.to_string().as_bytes());
            SchemaFault::new(format!("no Avro schema: {detail}"))
        })?;
        let linked = Graph::link(&schema).and_then(|(graph, root)| {
            let program = Program::compile(&graph, root)?;
            Some(Self { graph, root, program })
        });
        linked.ok_or_else(|| SchemaFault::new("schema is too large to compile".to_owned()))
    }

    /// Checks that `datum` is exactly one datum of the schema in the binary encoding.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, what was expected and what was found.
    pub fn check_binary(&self, datum: &[u8]) -> Result<(), Box<DatumError>> {
        match walk::walk(&self.program, datum) {
            Some([]) => Ok(()),
            Some(rest) => Err(self.left_over(datum.len(), rest.len())),
            None => Err(self.why_not(datum)),
        }
    }

    /// Which promise `datum` breaks as a datum in the binary encoding. Like [`AvroSchema::check_binary`] without the words:
    /// with a wide schema these take a thousand times as long, so they are only for what somebody will read.
    #[must_use]
    pub fn fault_in_binary(&self, datum: &[u8]) -> Option<DatumFault> {
        match walk::walk(&self.program, datum) {
            Some([]) => None,
            Some(_) => Some(DatumFault::TrailingBytes),
            None => Some(DatumFault::Invalid),
        }
    }

    /// Checks that `value` is exactly one JSON value, in Avro's JSON encoding of a datum of the schema.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, what was expected and what was found.
    pub fn check_json(&self, value: &[u8]) -> Result<(), Box<DatumError>> {
        let checked = json::check(&self.graph, self.root, value);
        checked.map_err(|fault| fault.into_error(&self.graph, self.root))
    }

    #[cold]
    fn left_over(&self, length: usize, left: usize) -> Box<DatumError> {
        let end = length.saturating_sub(left);
        Fault::trailing(end, length).into_error(&self.graph, self.root)
    }

    #[cold]
    fn why_not(&self, datum: &[u8]) -> Box<DatumError> {
        let fault = match explain::explain(&self.graph, self.root, datum) {
            Err(fault) => fault,
            // The walks disagree. The strict one counts.
            Ok(at) => Fault::new(at, "no datum of the schema".to_owned()),
        };
        fault.into_error(&self.graph, self.root)
    }
}
