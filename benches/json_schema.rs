//! The JSON Schema check beside a tree of serde_json and the crate's `is_valid`: `cargo bench --bench json_schema`.

use divan::{Bencher, black_box, counter::BytesCount};
use jsonschema::PatternOptions;
use schemaward::json_schema::JsonSchema;
use schemaward::limits::SchemaLimits;

const EVENT_SCHEMA: &str = r##"{
    "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "required": ["id", "at", "kind", "user", "tags", "attributes"], "additionalProperties": false,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9-]+$"},
        "at": {"type": "integer", "minimum": 0},
        "kind": {"enum": ["CREATED", "CHANGED", "DELETED"]},
        "user": {"$ref": "#/definitions/user"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 16},
        "attributes": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]}
    },
    "definitions": {"user": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "mail": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}}}
}"##;

const EVENT: &str = r#"{"id":"3f2a-77b1-90cc","at":1732370400123,"kind":"CHANGED",
    "user":{"name":"Ada Lovelace","mail":"ada@example.com","age":36},"tags":["first","second","third"],
    "attributes":{"region":"eu-west","attempt":3,"ratio":0.75},"score":0.5,"note":null}"#;

fn main() {
    divan::main();
}

/// An event, and a list of a hundred of them.
fn sample(name: &str) -> (String, String) {
    match name {
        "event" => (EVENT_SCHEMA.to_owned(), EVENT.to_owned()),
        _ => {
            let items = EVENT_SCHEMA.replace("#/definitions", "#/items/definitions");
            let list = format!(r#"{{"type":"array","items":{items}}}"#);
            (
                list.replace("\"$schema\": \"http://json-schema.org/draft-07/schema#\", ", ""),
                format!("[{}]", vec![EVENT; 100].join(",")),
            )
        }
    }
}

#[divan::bench(args = ["event", "hundred_events"])]
fn check(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, value) = sample(name);
    let schema = JsonSchema::parse(&schema, &[], &SchemaLimits::default());
    let schema = schema.unwrap_or_else(|fault| unreachable!("{fault}"));
    assert_eq!(schema.check(value.as_bytes()), Ok(()));
    bencher
        .counter(BytesCount::of_str(&value))
        .bench(|| schema.check(black_box(value.as_bytes())).is_ok());
}

#[divan::bench(args = ["event", "hundred_events"])]
fn serde_json_tree_and_is_valid(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, value) = sample(name);
    let schema = serde_json::from_str(&schema).unwrap_or_else(|error| unreachable!("{error}"));
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(&schema).unwrap_or_else(|error| unreachable!("{error}"));
    bencher.counter(BytesCount::of_str(&value)).bench(|| {
        let tree = serde_json::from_slice(black_box(value.as_bytes()));
        tree.is_ok_and(|tree| validator.is_valid(&tree))
    });
}

#[divan::bench(args = ["event"])]
fn compile(bencher: Bencher<'_, '_>, name: &str) {
    let (schema, _) = sample(name);
    bencher.bench(|| JsonSchema::parse(black_box(&schema), &[], &SchemaLimits::default()).is_ok());
}
