//! Schema documents by URL, from any HTTP server.

use serde::{Deserialize, de::IgnoredAny};
use url::Url;

use super::{
    Documents, SchemaFormat, SourceError, Validators,
    confluent::{Registered, Registry},
    fetch::{Answer, Fetcher, Page, invalid},
    freshness::Freshness,
    reference::confluent_parts,
};
use crate::limits::SchemaLimits;

/// What a server said about a document.
#[derive(Debug)]
pub(super) enum Answered {
    /// It is still the one that the validators came with.
    NotModified(Freshness),
    /// The document, and what to know when asking again.
    Documents(Documents, Freshness, Option<Validators>),
}

/// Asks for the document at `url`, or whether it is still the one that `known` came with.
pub(super) async fn ask(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    url: &Url,
    known: Option<&Validators>,
) -> Result<Answered, SourceError> {
    let page = match fetcher.get(url, known).await? {
        Answer::NotModified(freshness) => return Ok(Answered::NotModified(freshness)),
        Answer::Page(page) => page,
    };
    let Page { body, content_type, freshness, validators } = page;
    let documents = unwrapped(fetcher, limits, url, body, content_type.as_deref()).await?;
    Ok(Answered::Documents(documents, freshness, validators))
}

/// The document itself, taken out of the wrapping that a registry puts around it.
async fn unwrapped(
    fetcher: &Fetcher,
    limits: &SchemaLimits,
    url: &Url,
    body: Vec<u8>,
    content_type: Option<&str>,
) -> Result<Documents, SourceError> {
    let text = String::from_utf8(body).map_err(|_| invalid(url, "the document is not UTF-8"))?;
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => text.to_owned(),
        None => text,
    };
    if let Some(registered) = Registered::unwrap(&text) {
        let base = confluent_parts(url).map(|(base, _)| base);
        let registry = base.as_deref().map(|base| Registry::new(fetcher, limits, base));
        return registered.documents(url, limits, registry.as_ref()).await;
    }
    if text.len() > limits.max_schema_bytes {
        let what = format!("the schema has more than {} bytes", limits.max_schema_bytes);
        return Err(invalid(url, &what));
    }
    let format = format(url.path(), content_type, &text);
    Ok(Documents { format, text, references: Vec::new() })
}

/// The language of a plain document: by the end of its path, else by its content type, else JSON Schema where it has a
/// `$schema`, else Avro.
pub fn format(path: &str, content_type: Option<&str>, text: &str) -> SchemaFormat {
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

const BYTE_ORDER_MARK: char = '\u{feff}';

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
                format(path, content_type, text),
                expected,
                "{path} {content_type:?} {text}"
            );
        }
    }
}
