//! Data that Google's own Protobuf library writes, in Python, and what it says of damaged ones.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use schemaward::limits::SchemaLimits;
use schemaward::protobuf::{ProtobufSchema, UnknownFields};
use serde_json::Value;
use support::python::Python;

/// Why we refuse what the library takes: it cuts numbers to their type, takes any number for true, keeps what it does not
/// know whatever it is, and merges parts of a submessage before it asks for required fields.
const STRICTER: [&str; 7] = [
    "bool is neither 0 nor 1",
    "does not fit 32 bits",
    "does not fit 64 bits",
    "must be",
    "required field is missing",
    "string is not valid UTF-8",
    "which there is not",
];

fn field<'l>(line: &'l Value, name: &str) -> &'l str {
    line[name].as_str().unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn what_python_writes_is_accepted_and_what_it_cannot_read_is_refused() {
    let Some(python) = Python::get() else { return };
    let mut schemas = BTreeMap::new();
    let (mut sound, mut refused, mut stricter) = (0, 0, 0);
    let mut unexplained = Vec::new();
    for line in python.run("protobuf_data.py", &[], "").json_lines() {
        let text = field(&line, "schema");
        let schema = schemas
            .entry(text.to_owned())
            .or_insert_with(|| ProtobufSchema::parse(text, &[], &SchemaLimits::default()).unwrap());
        let message = schema.message_by_name(field(&line, "message")).unwrap();
        if line.get("indexes").is_some() {
            let indexes = STANDARD.decode(field(&line, "indexes")).unwrap();
            assert_eq!(schema.read_message_indexes(&indexes), Some((message, &[][..])), "{line}");
            continue;
        }
        let datum = STANDARD.decode(field(&line, "datum")).unwrap();
        let strict = schema.check(message, UnknownFields::Reject, &datum);
        let lenient = schema.check(message, UnknownFields::Allow, &datum);
        if line["damaged"] == false {
            assert_eq!(strict, Ok(()), "{line}");
            sound += 1;
        }
        match (line["reads"] == true, lenient) {
            (true, Err(error)) => {
                let known = STRICTER.iter().any(|class| error.detail.contains(class));
                stricter += 1;
                if !known {
                    unexplained.push(format!("only Python reads it: {error} {line}"));
                }
            }
            (false, Ok(())) => unexplained.push(format!("Python does not read it: {line}")),
            (false, Err(_)) => refused += 1,
            (true, Ok(())) => {}
        }
    }
    println!("{sound} sound, {refused} refused by both, {stricter} by us alone");
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    assert!(sound >= 24 && refused > 100, "{sound} {refused}");
}
