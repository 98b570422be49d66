//! A schema, parsed and compiled once.

use std::sync::Arc;

use ring::digest::{Context, SHA256};

use crate::{
    avro::AvroSchema, datum::SchemaFault, json_schema::JsonSchema, limits::SchemaLimits,
    protobuf::ProtobufSchema,
};

/// What a schema reference leads to.
#[derive(Debug)]
pub struct Schema {
    compiled: Compiled,
    identity: Identity,
}

/// SHA-256 of what documents say, however they are laid out.
type Identity = [u8; 32];

/// A schema in its language, ready to judge.
#[derive(Debug)]
#[non_exhaustive]
pub enum Compiled {
    /// An Avro schema: judges `avro` and `avro-json` values.
    Avro(AvroSchema),
    /// A JSON Schema: judges `json` values.
    Json(JsonSchema),
    /// A schema of Protocol Buffers: judges `protobuf` values.
    Protobuf(ProtobufSchema),
}

impl Schema {
    /// Which language the schema is written in.
    #[must_use]
    pub const fn format(&self) -> SchemaFormat {
        match self.compiled {
            Compiled::Avro(_) => SchemaFormat::Avro,
            Compiled::Json(_) => SchemaFormat::Json,
            Compiled::Protobuf(_) => SchemaFormat::Protobuf,
        }
    }

    /// What judges data.
    #[inline]
    #[must_use]
    pub const fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Whether it is made of the same documents: one schema that registries know by several numbers and URLs.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Compiles documents into a schema. Costs processor time: never on a thread that serves sockets.
    ///
    /// # Errors
    /// [`SchemaFault`] when a document is past a bound or is no schema.
    pub fn compile(documents: &Documents, limits: &SchemaLimits) -> Result<Self, SchemaFault> {
        let compiled = Compiled::new(documents, limits)?;
        Ok(Self { compiled, identity: identity(documents) })
    }
}

impl Compiled {
    fn new(documents: &Documents, limits: &SchemaLimits) -> Result<Self, SchemaFault> {
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
                let references = references.iter().map(|it| (&*it.name, &*it.text));
                let references: Vec<_> = references.collect();
                ProtobufSchema::parse(text, &references, limits).map(Self::Protobuf)
            }
        }
    }
}

/// What `documents` say: the order of members of a JSON object, white space and the order of references count for nothing.
fn identity(Documents { format, text, references }: &Documents) -> Identity {
    let digest_of = |parts: &[&[u8]]| {
        let mut context = Context::new(&SHA256);
        for part in parts {
            // Lengths, so that no two lists of parts are one text.
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut identity = Identity::default();
        identity.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        identity
    };
    let plain = |text: &str| match format {
        SchemaFormat::Protobuf => text.to_owned(),
        SchemaFormat::Avro | SchemaFormat::Json => serde_json::from_str(text)
            .map_or_else(|_| text.to_owned(), |value: serde_json::Value| value.to_string()),
    };
    let mut referenced: Vec<_> = references
        .iter()
        .map(|it| digest_of(&[it.name.as_bytes(), plain(&it.text).as_bytes()]))
        .collect();
    referenced.sort_unstable();
    digest_of(&[format.label().as_bytes(), plain(text).as_bytes(), referenced.as_flattened()])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_schema_is_the_same_however_it_is_laid_out() {
        let schema = |format, text: &str, references: &[(&str, &str)]| {
            let of = |(name, text): &(&str, &str)| Referenced {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
            };
            let references = references.iter().map(of).collect();
            let documents = Documents { format, text: text.to_owned(), references };
            Schema::compile(&documents, &SchemaLimits::default()).unwrap()
        };
        use SchemaFormat::{Avro, Json};
        let string = schema(Avro, "\"string\"", &[]);
        let record = r#"{"type": "record", "name": "A", "fields": []}"#;
        let laid_out = r#" {"name":"A", "fields":[],  "type":"record"}"#;
        assert!(string.is_same_as(&schema(Avro, " \"string\" ", &[])));
        assert!(schema(Avro, record, &[]).is_same_as(&schema(Avro, laid_out, &[])));
        assert!(!string.is_same_as(&schema(Avro, "\"bytes\"", &[])));
        assert!(!schema(Avro, "{\"type\": \"string\"}", &[]).is_same_as(&schema(
            Json,
            "{\"type\": \"string\"}",
            &[]
        )));
        let (b, c) = (("b", r#"{"type": "enum", "name": "B", "symbols": ["X"]}"#), ("c", record));
        let both = schema(Avro, r#"["A", "B"]"#, &[b, c]);
        assert!(both.is_same_as(&schema(Avro, r#"["A", "B"]"#, &[c, b])));
        assert!(!schema(Avro, "\"A\"", &[c]).is_same_as(&schema(Avro, "\"A\"", &[c, b])));
    }
}
