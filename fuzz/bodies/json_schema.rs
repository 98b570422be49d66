//! JSON Schema documents with a value: bounded, compiled, and then judged as the crate behind it judges.

use schemaward::datum::{DatumError, DatumFault};
use schemaward::json_schema::JsonSchema;
use schemaward::limits::{MIB, SchemaLimits};

use super::{Outcome, assert_presentable, within};

/// Texts with a zero byte between them: a value, a schema, and the documents that it refers to as `r0`, `r1`, ….
pub fn run(data: &[u8]) -> Outcome {
    let mut parts = data.split(|byte| *byte == 0);
    let value = parts.next().unwrap_or_default();
    let documents: Option<Vec<_>> = parts.map(|part| std::str::from_utf8(part).ok()).collect();
    let documents = documents.unwrap_or_default();
    let Some((document, references)) = documents.split_first() else { return Outcome::Refused };
    let names: Vec<_> = (0..references.len()).map(|index| format!("r{index}")).collect();
    let references: Vec<_> =
        names.iter().zip(references).map(|(name, text)| (&**name, *text)).collect();
    // The regular expressions of a schema may take 32 MiB, and what parses and compiles them several times what one may.
    let limits = SchemaLimits::default();
    match within(128 * MIB, || JsonSchema::parse(document, &references, &limits)) {
        Ok(schema) => {
            judge(&schema, value);
            for value in [&b"{}"[..], b"[[1]]", b"null", b"\"a\"", b"0"] {
                judge(&schema, value);
            }
            if references.is_empty() {
                compare(&schema, document, value);
            }
            Outcome::Taken
        }
        Err(fault) => {
            assert_presentable(&fault.to_string());
            Outcome::Refused
        }
    }
}

fn judge(schema: &JsonSchema, value: &[u8]) {
    let checked = within(32 * MIB, || schema.check(value));
    let fault = schema.fault(value);
    assert_eq!(fault, checked.as_ref().err().map(|error| error.fault), "with words or without");
    if let Err(error) = checked {
        let DatumError { path, offset, detail, .. } = &*error;
        assert_presentable(&error.to_string());
        assert!(*offset <= value.len() && !path.is_empty() && !detail.is_empty(), "{error}");
        if error.fault == DatumFault::TrailingBytes {
            assert_eq!(schema.check(&value[..*offset]), Ok(()), "all but what follows it matches");
        }
    }
}

/// What the crate behind it says of serde_json's tree, where no number is of a kind that the trees tell apart.
fn compare(schema: &JsonSchema, document: &str, value: &[u8]) {
    let number = |byte: &u8| byte.is_ascii_digit();
    let long_numbers =
        |text: &[u8]| text.split(|byte| !number(byte)).any(|digits| digits.len() > 15);
    let fractions =
        value.windows(2).any(|pair| number(&pair[0]) && matches!(pair[1], b'.' | b'e' | b'E'));
    if fractions
        || long_numbers(value)
        || long_numbers(document.as_bytes())
        || document.len() > 4_000
    {
        return;
    }
    let Ok(document) = serde_json::from_str(document) else { return };
    let Ok(tree) = serde_json::from_slice::<serde_json::Value>(value) else {
        return;
    };
    let said = schema.check(value);
    let given_up = |error: &DatumError| error.detail.contains("too much work");
    let twice = |error: &DatumError| error.detail == "key stands twice";
    if said.as_ref().is_err_and(|error| given_up(error) || twice(error)) {
        return;
    }
    let options = jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .without_content_encoding_support("base64")
        .without_content_media_type_support("application/json");
    let theirs = options.build(&document).expect("what we take, the crate takes");
    assert_eq!(said.is_ok(), theirs.is_valid(&tree), "{said:?}");
}
