//! A schema, parsed and compiled once.

use std::sync::Arc;

use crate::{avro::AvroSchema, datum::SchemaFault, json_schema::JsonSchema, limits::SchemaLimits};

/// What a schema reference leads to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Schema {
    /// An Avro schema: judges `avro` and `avro-json` values.
    Avro(AvroSchema),
    /// A JSON Schema: judges `json` values.
    Json(JsonSchema),
}

impl Schema {
    /// Which language the schema is written in.
    #[must_use]
    pub const fn format(&self) -> SchemaFormat {
        match self {
            Self::Avro(_) => SchemaFormat::Avro,
            Self::Json(_) => SchemaFormat::Json,
        }
    }

    /// Compiles documents into a schema. Costs processor time: never on a thread that serves sockets.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound or is no schema.
    pub fn compile(documents: &Documents, limits: &SchemaLimits) -> Result<Self, SchemaFault> {
        let Documents { format, text, references } = documents;
        match format {
            SchemaFormat::Avro => {
                let references: Vec<&str> = references.iter().map(|it| &*it.text).collect();
                AvroSchema::parse(text, &references, limits).map(Self::Avro)
            }
            SchemaFormat::Json => {
                let named = references.iter().map(|it| (&*it.name, &*it.text));
                let references: Vec<_> = named.collect();
                JsonSchema::parse(text, &references, limits).map(Self::Json)
            }
            SchemaFormat::Protobuf => {
                let detail = format!("schemas in {} are not supported", format.label());
                Err(SchemaFault::new(detail))
            }
        }
    }
}

/// Languages that schemas are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaFormat {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaFormat {
    /// The word that stands for the format on pages and in logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::Json => "json",
            Self::Protobuf => "protobuf",
        }
    }

    /// The format that registries call `kind`.
    #[must_use]
    pub fn from_registry(kind: &str) -> Option<Self> {
        match kind {
            "AVRO" => Some(Self::Avro),
            "JSON" => Some(Self::Json),
            "PROTOBUF" => Some(Self::Protobuf),
            _ => None,
        }
    }
}

/// A schema document with those that it refers to: what a source hands to the compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// Which language they are written in.
    pub format: SchemaFormat,
    /// The document itself.
    pub text: String,
    /// The documents that it refers to, each after those that it needs itself.
    pub references: Vec<Referenced>,
}

/// A document that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referenced {
    /// What it is called there: the path of an `import` of Protocol Buffers, the URI of a `$ref` of JSON Schema. Avro refers
    /// to the full names inside of the document and needs none.
    pub name: String,
    /// The document.
    pub text: String,
}

/// Turns documents into a schema: [`Schema::compile`] outside of tests.
pub type Compile = Arc<dyn Fn(&Documents) -> Result<Schema, SchemaFault> + Send + Sync>;
