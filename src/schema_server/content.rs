//! What a schema is known by: the same schema, however it is laid out, has one identity, and from it its GUID and id.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{answer::Refusal, protobuf_text};
use crate::schema::{Guid, SchemaFormat};

/// The version of a subject that a schema refers to, with the name by which it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(default)]
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: i64,
}

/// A schema as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) format: SchemaFormat,
    /// Without what layout it came with, where the format allows.
    pub(super) text: String,
    pub(super) references: Vec<Reference>,
    pub(super) guid: Guid,
}

impl Content {
    /// Takes a text as it came. Layout says nothing, nor does the order of the members of objects in JSON.
    pub(super) fn new(
        format: SchemaFormat,
        text: &str,
        references: Vec<Reference>,
    ) -> Result<Self, Refusal> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (text, identity) = match format {
            SchemaFormat::Protobuf => {
                let text = protobuf_text::readable(text)?;
                let identity = protobuf_text::tokens(&text);
                (text, identity)
            }
            _ => {
                let value: Value = serde_json::from_str(text)
                    .map_err(|error| Refusal::invalid_schema(format!("it is no JSON: {error}")))?;
                (minified(text), sorted(&value, format))
            }
        };
        let guid = guid(format, &identity, &references);
        Ok(Self { format, text, references, guid })
    }
}

/// What registries call a format.
pub(super) const fn registry_name(format: SchemaFormat) -> &'static str {
    match format {
        SchemaFormat::Json => "JSON",
        SchemaFormat::Protobuf => "PROTOBUF",
        _ => "AVRO",
    }
}

/// 128 bits of SHA-256 over everything that makes the schema what it is, as a UUID of version 8 (RFC 9562).
fn guid(format: SchemaFormat, identity: &str, references: &[Reference]) -> Guid {
    let mut references: Vec<_> = references.iter().collect();
    references.sort_by_key(|each| (&each.name, &each.subject, each.version));
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(registry_name(format).as_bytes());
    part(identity.as_bytes());
    for Reference { name, subject, version } in references {
        part(name.as_bytes());
        part(subject.as_bytes());
        part(&version.to_be_bytes());
    }
    let mut bytes = [0; 16];
    for (byte, digest) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *byte = *digest;
    }
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Guid(bytes)
}

/// JSON without blanks between its tokens; the text is JSON already.
fn minified(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        if quoted {
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            quoted = character == '"';
        }
        out.push(character);
    }
    out
}

/// JSON without blanks, the members of objects in the order of their names.
fn sorted(value: &Value, format: SchemaFormat) -> String {
    let mut out = String::new();
    write_sorted(value, format == SchemaFormat::Avro, &mut out);
    out
}

/// Recursion is bounded by that of the parser that made the value. Where `types` is true, `{"type": "int"}` stands as
/// `"int"`, which is the same to Avro.
fn write_sorted(value: &Value, types: bool, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, types, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            if let Some(primitive) = primitive(members).filter(|_| types) {
                return write_sorted(primitive, types, out);
            }
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, member) in members {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_sorted(member, types && name != "default", out);
                out.push(',');
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The type of an object that says nothing but one of Avro's primitive types.
fn primitive(members: &Map<String, Value>) -> Option<&Value> {
    let only = members.get("type").filter(|_| members.len() == 1)?;
    let names = ["boolean", "bytes", "double", "float", "int", "long", "null", "string"];
    only.as_str().is_some_and(|name| names.contains(&name)).then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avro(text: &str) -> Content {
        Content::new(SchemaFormat::Avro, text, Vec::new()).unwrap()
    }

    #[test]
    fn layout_and_order_of_members_make_no_other_schema() {
        let one = avro(r#"{"type":"record","name":"R","fields":[{"name":"a b","type":"int"}]}"#);
        for same in [
            "\u{feff}{ \"name\" : \"R\",\n\t\"type\": \"record\", \"fields\": [{\"type\": {\"type\": \"int\"}, \"name\": \"a b\"}]}",
            r#"{"fields":[{"name":"a b","type":"int"}],"name":"R","type":"record"}"#,
        ] {
            assert_eq!(avro(same).guid, one.guid, "{same}");
        }
        for other in [
            r#"{"type":"record","name":"R","fields":[{"name":"ab","type":"int"}]}"#,
            r#"{"type":"record","name":"R","doc":"","fields":[{"name":"a b","type":"int"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a b","type":"long"}]}"#,
        ] {
            assert_ne!(avro(other).guid, one.guid, "{other}");
        }
        let text = one.text.clone();
        let as_json = Content::new(SchemaFormat::Json, &text, Vec::new()).unwrap();
        assert_ne!(as_json.guid, one.guid, "another language");
        let reference =
            |name: &str| Reference { name: name.into(), subject: "s".into(), version: 1 };
        let with = |names: &[&str]| {
            let references = names.iter().map(|name| reference(name)).collect();
            Content::new(SchemaFormat::Avro, &text, references).unwrap().guid
        };
        assert_ne!(with(&["x"]), one.guid);
        assert_eq!(with(&["x", "y"]), with(&["y", "x"]));
    }

    #[test]
    fn what_is_kept_has_no_blanks_but_those_in_texts() {
        assert_eq!(
            minified("{ \"a \\\" b\" :\n [1.10, \"c\\\\\" ] }"),
            r#"{"a \" b":[1.10,"c\\"]}"#
        );
    }

    #[test]
    fn guids_stay_what_they_are() {
        // Written down: consumers keep them in records.
        let guid = avro(r#""string""#).guid.to_string();
        assert_eq!(guid.as_bytes()[14], b'8', "{guid}");
        assert_eq!(guid, GUID_OF_STRING);
    }

    const GUID_OF_STRING: &str = "3ef72993-1241-829c-a456-45ea5d819d57";
}
