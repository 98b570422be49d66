//! Which language a schema document is in where nobody says it, and what the document says about itself.

use serde::{Deserialize, de::IgnoredAny};

use super::{Documents, SchemaFormat};

/// The language of a plain document: by the end of its path, else by its content type, else JSON Schema where it has a
/// `$schema`, else Avro.
#[must_use]
pub fn of_document(path: &str, content_type: Option<&str>, text: &str) -> SchemaFormat {
    let by_content = || {
        if has_schema_keyword(text) { SchemaFormat::Json } else { SchemaFormat::Avro }
    };
    by_path(path).or_else(|| content_type.and_then(by_content_type)).unwrap_or_else(by_content)
}

fn by_path(path: &str) -> Option<SchemaFormat> {
    let path = path.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    if ends(&[".avsc"]) {
        Some(SchemaFormat::Avro)
    } else if ends(&[".proto"]) {
        Some(SchemaFormat::Protobuf)
    } else if ends(&[".schema.json", ".jsonschema"]) {
        Some(SchemaFormat::Json)
    } else {
        None
    }
}

fn by_content_type(content_type: &str) -> Option<SchemaFormat> {
    let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
    let (_, subtype) = kind.split_once('/')?;
    // `vnd.apache.avro+json`, `x-protobuf`: the words between all that is put around them.
    let mut words = subtype.split(['.', '+', '-', '_']);
    if subtype == "schema+json" {
        Some(SchemaFormat::Json)
    } else if words.clone().any(|word| word == "avro") {
        Some(SchemaFormat::Avro)
    } else if words.any(|word| matches!(word, "proto" | "protobuf")) {
        Some(SchemaFormat::Protobuf)
    } else {
        None
    }
}

/// Whether `text` is a JSON object with a `$schema`.
fn has_schema_keyword(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Keyword {
        #[serde(rename = "$schema")]
        _schema: IgnoredAny,
    }
    text.trim_start().starts_with('{') && serde_json::from_str::<Keyword>(text).is_ok()
}

/// The language of a text that has no name: what is no JSON is Protocol Buffers, an object that is no type of Avro is JSON
/// Schema.
pub(super) fn of_text(text: &str) -> SchemaFormat {
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return SchemaFormat::Protobuf;
    }
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: serde_json::Value,
    }
    if !text.trim_start().starts_with('{') {
        return SchemaFormat::Avro;
    }
    let foreign = |kind: &str| matches!(kind, "object" | "integer" | "number");
    let kind = serde_json::from_str::<Typed>(text).map(|typed| typed.kind);
    match kind {
        _ if has_schema_keyword(text) => SchemaFormat::Json,
        Ok(serde_json::Value::String(kind)) if foreign(&kind) => SchemaFormat::Json,
        Ok(_) => SchemaFormat::Avro,
        Err(_) => SchemaFormat::Json,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_document_is_told_by_path_then_content_type_then_keyword() {
        use SchemaFormat::{Avro, Json, Protobuf};
        let keyword = r#" {"$schema": "https://json-schema.org/draft/2020-12/schema"}"#;
        let table = [
            ("/a.avsc", Some("application/schema+json"), keyword, Avro),
            ("/a.AVSC", None, keyword, Avro),
            ("/a.proto", Some("text/plain"), "", Protobuf),
            ("/a.schema.json", None, "{}", Json),
            ("/a.jsonschema", Some("application/avro"), "{}", Json),
            ("/a.json", None, "{}", Avro),
            ("/a.json", None, keyword, Json),
            ("/a", Some("Application/Schema+JSON; charset=utf-8"), "{}", Json),
            ("/a", Some("application/vnd.apache.avro+json"), keyword, Avro),
            ("/a", Some("application/avro"), "", Avro),
            ("/a", Some("application/x-protobuf"), "", Protobuf),
            ("/a", Some("text/vnd.google.protobuf"), "", Protobuf),
            ("/a", Some("application/json"), keyword, Json),
            ("/a", Some("application/json"), "\"string\"", Avro),
            ("/a", Some("nonsense"), "[", Avro),
            ("/a", None, r#"["$schema"]"#, Avro),
            ("/a", None, r#"{"type": "record", "x": {"$schema": 1}}"#, Avro),
        ];
        for (path, content_type, text, expected) in table {
            assert_eq!(
                of_document(path, content_type, text),
                expected,
                "{path} {content_type:?} {text}"
            );
        }
    }

    #[test]
    fn a_text_without_a_name_says_by_itself_what_it_is() {
        use SchemaFormat::{Avro, Json, Protobuf};
        let keyword = r#" {"$schema": "x"}"#;
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
