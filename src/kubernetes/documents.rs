//! Manifests: text ⇄ documents, YAML or JSON, several in one text.
//!
//! YAML is read as kubectl reads it (YAML 1.1 booleans and octal numbers), and written so that every reader takes text for
//! text. Comments are lost.

use serde::de::DeserializeSeed;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use super::value::{Budget, Value};

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// A text that is no YAML and no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// The documents of `text`, and how it is written. Documents without anything in them are left out.
///
/// # Errors
/// [`Unreadable`]: where it stops to be YAML or JSON.
pub fn read(text: &str) -> Result<(Vec<Value>, Format), Unreadable> {
    if text.trim_start().starts_with('{')
        && let Ok(documents) = json(text)
    {
        return Ok((documents, Format::Json));
    }
    yaml(text).map(|documents| (documents, Format::Yaml))
}

/// `documents` as a text.
///
/// # Errors
/// [`Unreadable`] where a value cannot be written.
pub fn write(documents: &[Value], format: Format) -> Result<String, Unreadable> {
    let mut text = String::new();
    for (at, document) in documents.iter().enumerate() {
        match format {
            Format::Json => {
                text.push_str(&serde_json::to_string_pretty(document).map_err(unreadable)?);
                text.push('\n');
            }
            Format::Yaml => {
                text.push_str(if at > 0 { "---\n" } else { "" });
                // Folding would break long lines, which are hard enough to find again as they are.
                let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
                let written = serde_saphyr::to_string_with_options(document, options);
                text.push_str(&written.map_err(unreadable)?);
            }
        }
    }
    Ok(text)
}

/// The one small value of an annotation.
pub(super) fn small(text: &str) -> Option<Value> {
    if text.len() > MOST_SMALL_BYTES {
        return None;
    }
    let [document] = <[Value; 1]>::try_from(read(text).ok()?.0).ok()?;
    Some(document)
}

/// One document of JSON, bounded in values and depth.
pub(super) fn bounded_json(bytes: &[u8], values: usize) -> Result<Value, Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Budget::new(values).deserialize(&mut reader).map_err(unreadable)?;
    reader.end().map_err(unreadable)?;
    Ok(value)
}

fn json(text: &str) -> Result<Vec<Value>, Unreadable> {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    documents.collect::<Result<_, _>>().map_err(unreadable)
}

fn yaml(text: &str) -> Result<Vec<Value>, Unreadable> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_NODES },
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        let message = UserMessageFormatter.format_message(&error).into_owned();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Unreadable(format!("line {line}: {message}"))
    })
}

fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

/// Levels that a manifest may nest.
const MAX_DEPTH: usize = 128;
/// Values of all documents, anchors expanded.
const MAX_NODES: usize = 2_000_000;
/// Bytes of an annotation that holds YAML.
const MOST_SMALL_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(text: &str) -> String {
        let (documents, format) = read(text).unwrap();
        write(&documents, format).unwrap()
    }

    #[test]
    fn yaml_is_written_as_kubectl_writes_it() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels: {}\ndata:\n  a: |\n    one\n      \
                    two\n  empty: ''\nlist:\n- name: a\n  args:\n  - x\n  - z\n- name: b\n";
        let expected = text.replace("''", "\"\"");
        let found = rewritten(text);
        assert!(found == text || found == expected, "{found}");
    }

    #[test]
    fn text_that_looks_like_something_else_stays_text() {
        for text in [
            "yes",
            "on",
            "y",
            "0644",
            "1e3",
            "1_000",
            "~",
            "null",
            "1:30",
            "2026-01-01",
            "=",
            "true",
            ".5",
        ] {
            let yaml = write(&[Value::map([("v", Value::text(text))])], Format::Yaml).unwrap();
            let (documents, _) = read(&yaml).unwrap();
            assert_eq!(documents[0].text_at("v"), Some(text), "{yaml}");
            assert!(yaml.contains(['"', '\'']), "{yaml}");
        }
    }

    #[test]
    fn yaml_is_read_as_kubectl_reads_it() {
        let (documents, _) = read("a: yes\nb: off\nc: 0644\nd: 0x10\ne: \"1\"\nf: 1.5\n").unwrap();
        let expected: Value =
            serde_json::from_str(r#"{"a":true,"b":false,"c":420,"d":16,"e":"1","f":1.5}"#).unwrap();
        assert_eq!(documents, [expected]);
    }

    #[test]
    fn several_documents_are_read_and_empty_ones_left_out() {
        let (documents, format) =
            read("# a comment\n---\na: 1\n---\n# nothing\n---\nb: 2\n").unwrap();
        assert_eq!((documents.len(), format), (2, Format::Yaml));
        let (documents, format) = read("{\"a\": 1}\n{\"b\": 2}").unwrap();
        assert_eq!((documents.len(), format), (2, Format::Json));
        assert_eq!(read("").unwrap().0.len(), 0);
    }

    #[test]
    fn what_is_no_manifest_is_named_with_its_line() {
        let error = read("a: 1\nb: [\n").unwrap_err().to_string();
        assert!(error.starts_with("line "), "{error}");
        assert!(read(&"[".repeat(200)).is_err());
        assert!(bounded_json("[".repeat(200_000).as_bytes(), usize::MAX).is_err());
        assert!(bounded_json(b"{} {}", 9).is_err());
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in "\\PC{0,40}|[ \t\r\n#:'\"|>a-]{0,12}") {
            let document = Value::map([("v", Value::text(text.clone())), ("l", Value::List(vec![Value::text(text)]))]);
            for format in [Format::Json, Format::Yaml] {
                let written = write(std::slice::from_ref(&document), format).unwrap();
                let (documents, _) = read(&written).unwrap();
                prop_assert_eq!(&documents, std::slice::from_ref(&document), "{}", written);
            }
        }
    }
}
