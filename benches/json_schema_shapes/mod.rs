//! An event that JSON Schema describes, and a list of a hundred of them: shared by the benchmarks.

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

/// An event, and a list of a hundred of them.
#[must_use]
pub(crate) fn sample(name: &str) -> (String, String) {
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
