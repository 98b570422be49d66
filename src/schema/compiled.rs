//! A schema, parsed and compiled once.

use crate::avro::AvroSchema;

/// What a schema reference leads to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Schema {
    /// An Avro schema: judges `avro` and `avro-json` values.
    Avro(AvroSchema),
}
