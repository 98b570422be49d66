//! Avro: a schema document, bounded and parsed, compiled once into a program that checks bytes without building values.

pub mod error;

pub use error::{DatumError, DatumFault, SchemaFault};

use crate::limits::SchemaLimits;

/// An Avro schema, compiled.
#[derive(Debug)]
pub struct AvroSchema {}

impl AvroSchema {
    /// Parses and compiles the schema document `text`. `references` are the documents that it refers to by name, each
    /// after those that it needs itself.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound or is no Avro schema.
    pub fn parse(
        _text: &str,
        _references: &[&str],
        _limits: &SchemaLimits,
    ) -> Result<Self, SchemaFault> {
        todo!()
    }

    /// Checks that `datum` is exactly one datum of the schema in the binary encoding.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, what was expected and what was found.
    pub fn check_binary(&self, _datum: &[u8]) -> Result<(), Box<DatumError>> {
        todo!()
    }

    /// Checks that `value` is exactly one JSON value, in Avro's JSON encoding of a datum of the schema.
    ///
    /// # Errors
    /// [`DatumError`] that names path, byte offset, what was expected and what was found.
    pub fn check_json(&self, _value: &[u8]) -> Result<(), Box<DatumError>> {
        todo!()
    }
}
