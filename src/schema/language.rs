//! Which language a schema document is in where nobody says it, and what the document says about itself.

use serde::{Deserialize, de::IgnoredAny};

use super::{Documents, SchemaFormat};

/// The language of a file: by the end of its name, else JSON Schema where it has a `$schema`, else Avro.
pub(super) fn of_file(name: &str, text: &str) -> SchemaFormat {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let is_json_schema =
        || ends(&[".schema.json", ".jsonschema"]) || !ends(&[".avsc"]) && has_schema_keyword(text);
    if ends(&[".proto"]) {
        SchemaFormat::Protobuf
    } else if is_json_schema() {
        SchemaFormat::Json
    } else {
        SchemaFormat::Avro
    }
}

/// The language of a text that has no name: what is no JSON is Protocol Buffers, an object that is no type of Avro is JSON
/// Schema.
pub(super) fn of_text(text: &str) -> SchemaFormat {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: serde_json::Value,
    }
    let is_json = text.trim_start().starts_with(['{', '[', '"']);
    let is_avro = || match serde_json::from_str::<Typed>(text).map(|typed| typed.kind) {
        Ok(serde_json::Value::String(kind)) => {
            !matches!(kind.as_str(), "object" | "integer" | "number")
        }
        kind => kind.is_ok(),
    };
    if !is_json {
        SchemaFormat::Protobuf
    } else if is_object(text) && (has_schema_keyword(text) || !is_avro()) {
        SchemaFormat::Json
    } else {
        SchemaFormat::Avro
    }
}

/// The names by which records of a schema are known: the full name of an Avro type, the title of a JSON Schema, the full
/// names of the messages at the top of a file of Protocol Buffers.
pub(super) fn record_names(documents: &Documents) -> Vec<String> {
    #[derive(Deserialize)]
    struct Named {
        name: Option<String>,
        namespace: Option<String>,
        title: Option<String>,
    }
    let text = &documents.text;
    let named = || serde_json::from_str::<Named>(text).ok().filter(|_| is_object(text));
    let name = match documents.format {
        SchemaFormat::Protobuf => return super::outline::Outline::of(text).messages,
        SchemaFormat::Json => named().and_then(|named| named.title),
        SchemaFormat::Avro => named().and_then(|Named { name, namespace, .. }| {
            let name = name?;
            match namespace.filter(|space| !space.is_empty() && !name.contains('.')) {
                Some(namespace) => Some(format!("{namespace}.{name}")),
                None => Some(name),
            }
        }),
    };
    name.into_iter().filter(|name| !name.is_empty()).collect()
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Whether `text` is a JSON object with a `$schema`.
fn has_schema_keyword(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Keyword {
        #[serde(rename = "$schema")]
        _schema: IgnoredAny,
    }
    is_object(text) && serde_json::from_str::<Keyword>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_told_by_the_name_then_by_the_keyword() {
        use SchemaFormat::{Avro, Json, Protobuf};
        let keyword = r#" {"$schema": "x"}"#;
        let table = [
            ("a.avsc", keyword, Avro),
            ("a.PROTO", keyword, Protobuf),
            ("a.schema.json", "{}", Json),
            ("a.jsonschema", "{}", Json),
            ("a.json", "{}", Avro),
            ("a.json", keyword, Json),
            ("a", keyword, Json),
            ("a", "[", Avro),
        ];
        for (name, text, format) in table {
            assert_eq!(of_file(name, text), format, "{name} {text}");
        }
        let table = [
            ("syntax = \"proto3\";", Protobuf),
            ("// {\nmessage M {}", Protobuf),
            (keyword, Json),
            (r#"{"title": "T"}"#, Json),
            (r#"{"type": "object"}"#, Json),
            (r#"{"type": "record", "name": "R", "fields": []}"#, Avro),
            (r#"{"type": ["null", "string"]}"#, Avro),
            (r#"["null", "string"]"#, Avro),
            ("\"string\"", Avro),
        ];
        for (text, format) in table {
            assert_eq!(of_text(text), format, "{text}");
        }
    }

    #[test]
    fn records_are_known_by_their_full_names() {
        use SchemaFormat::{Avro, Json, Protobuf};
        let table: &[(SchemaFormat, &str, &[&str])] = &[
            (Avro, r#"{"type": "record", "name": "R", "namespace": "a.b"}"#, &["a.b.R"]),
            (Avro, r#"{"type": "record", "name": "c.R", "namespace": "a.b"}"#, &["c.R"]),
            (Avro, r#"{"type": "enum", "name": "E", "namespace": ""}"#, &["E"]),
            (Avro, r#"["null", "string", "x"]"#, &[]),
            (Json, r#"{"title": "T", "name": "n"}"#, &["T"]),
            (Json, r#"{"type": "object"}"#, &[]),
            (Protobuf, "package a.b; message M { message N {} } message O {}", &["a.b.M", "a.b.O"]),
        ];
        for (format, text, names) in table {
            let text = (*text).to_owned();
            let documents = Documents { format: *format, text, references: Vec::new() };
            assert_eq!(record_names(&documents), *names, "{}", documents.text);
        }
    }
}
