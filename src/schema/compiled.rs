//! A schema, parsed and compiled once.

use std::sync::Arc;

use crate::{avro::AvroSchema, datum::SchemaFault, limits::SchemaLimits};

/// What a schema reference leads to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Schema {
    /// An Avro schema: judges `avro` and `avro-json` values.
    Avro(AvroSchema),
}

impl Schema {
    /// Which language the schema is written in.
    #[must_use]
    pub const fn format(&self) -> SchemaFormat {
        match self {
            Self::Avro(_) => SchemaFormat::Avro,
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
            SchemaFormat::Json | SchemaFormat::Protobuf => {
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

    /// The format of a document, by the end of its path, by its content type, and by what it says of itself: `.proto` or a
    /// content type of Protocol Buffers; `.avsc` or a content type of Avro; `.schema.json`, `.jsonschema`,
    /// `application/schema+json` or a key `$schema` for JSON Schema; and Avro where nothing says what it is.
    #[must_use]
    pub fn of_document(path: &str, content_type: Option<&str>, text: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let says = |ends: &[&str], types: &[&str]| {
            ends.iter().any(|end| path.ends_with(end))
                || types.iter().any(|part| content_type.contains(part))
        };
        if says(&[".proto"], &["protobuf"]) {
            Self::Protobuf
        } else if says(&[".avsc"], &["avro"]) {
            Self::Avro
        } else if says(&[".schema.json", ".jsonschema"], &["schema+json"]) || says_schema(text) {
            Self::Json
        } else {
            Self::Avro
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

/// Whether a document is a JSON object with a key `$schema`, as far as can be told without reading it all.
fn says_schema(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"$schema\"")
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
