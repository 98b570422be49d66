//! The JSON Schema of the configuration file, for editors: made of the keys that are read and of what they take.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    kind::Shape,
    node::{self, Node},
    notes::Asked,
    reference::{Comments, asked},
};

/// The JSON Schema (2020-12) of the configuration file.
///
/// It knows every key, what each takes and what each means. What one value demands of another only `check` can tell, and what
/// is missing too: the environment may have it.
#[must_use]
pub fn json_schema() -> Value {
    let making = Making { asked: asked(), comments: Comments::new() };
    let mut schema = making.mapping("", false);
    let title = "Configuration of schemaward";
    let head = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!(title)),
        ("description", json!(DESCRIPTION)),
    ];
    schema.extend(head.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(schema)
}

const DESCRIPTION: &str = "Each key can be set by the environment too: SCHEMAWARD_ + path in upper case with __ between the levels, the value as YAML text. `schemaward check` says what no schema can.";

type Object = Map<String, Value>;

struct Making {
    asked: BTreeMap<String, Asked>,
    comments: Comments,
}

impl Making {
    /// A mapping at `path` with all its keys; null stands for an empty one unless it is an item of a list.
    fn mapping(&self, path: &str, item: bool) -> Object {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let below = self.asked.iter().filter_map(|(path, asked)| {
            let key = path.strip_prefix(&prefix)?;
            (!key.contains('.')).then_some((key, path, asked))
        });
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (key, path, asked) in below {
            properties.insert(key.to_owned(), Value::Object(self.key(path, &asked.shape)));
            // Of items no part can come from the environment.
            if asked.required && item {
                required.push(key);
            }
        }
        let mut object = Map::new();
        let kinds = if item { json!("object") } else { json!(["object", "null"]) };
        object.insert("type".to_owned(), kinds);
        object.insert("properties".to_owned(), Value::Object(properties));
        object.insert("additionalProperties".to_owned(), json!(false));
        if !required.is_empty() {
            object.insert("required".to_owned(), json!(required));
        }
        object
    }

    /// The key at `path`: what it takes, or null, what it means, and its default.
    fn key(&self, path: &str, shape: &Shape) -> Object {
        let mut schema = self.shape(path, shape, false);
        let Some(comment) = self.comments.of(path) else { return schema };
        schema.insert("description".to_owned(), json!(comment.said()));
        if let Some(default) = comment.default() {
            schema.insert("default".to_owned(), yaml(default));
        } else if !comment.value.is_empty() {
            schema.insert("examples".to_owned(), json!([yaml(&comment.value)]));
        }
        schema
    }

    fn shape(&self, path: &str, shape: &Shape, item: bool) -> Object {
        let of = |kinds: &[&str], rest: Value| {
            let null = (!item).then_some("null");
            let kinds: Vec<_> = kinds.iter().copied().chain(null).collect();
            let mut object = rest.as_object().cloned().unwrap_or_default();
            object.insert("type".to_owned(), json!(kinds));
            object
        };
        match shape {
            Shape::Bool => of(&["boolean"], json!({})),
            Shape::Text(form) => of(&["string"], json!({ "pattern": form.pattern })),
            Shape::Integer { least, most } => {
                of(&["integer"], json!({ "minimum": whole(*least), "maximum": whole(*most) }))
            }
            Shape::Size { least, most } => {
                let pattern = r"^[0-9]+\s*(B|KiB|MiB|GiB)?$";
                let rest = json!({ "minimum": least, "maximum": most, "pattern": pattern });
                of(&["integer", "string"], rest)
            }
            Shape::Duration { least, .. } => {
                let pattern = r"^[0-9]+\s*(ms|s|m|h|d)$";
                if least.is_zero() {
                    let rest = json!({ "minimum": 0, "maximum": 0, "pattern": pattern });
                    of(&["integer", "string"], rest)
                } else {
                    of(&["string"], json!({ "pattern": pattern }))
                }
            }
            Shape::Range { most, .. } => {
                let pattern = r"^\s*[0-9]+\s*(-\s*[0-9]+\s*)?$";
                let rest = json!({ "minimum": 0, "maximum": whole(*most), "pattern": pattern });
                of(&["integer", "string"], rest)
            }
            Shape::Words(words) => {
                let null = (!item).then_some(Value::Null);
                let all = words.iter().map(|word| json!(word)).chain(null).collect();
                Map::from_iter([("enum".to_owned(), all)])
            }
            Shape::Mapping => self.mapping(path, item),
            Shape::List(items) => {
                let items = self.shape(&format!("{path}[]"), items, true);
                of(&["array"], json!({ "items": items }))
            }
            Shape::Either(left, right) => {
                let both = [left, right].map(|it| {
                    let mut schema = self.shape(path, it, item);
                    if matches!(&**it, Shape::List(items) if **items == Shape::Mapping) {
                        // An empty list says nothing.
                        schema.insert("minItems".to_owned(), json!(1));
                    }
                    schema
                });
                Map::from_iter([("anyOf".to_owned(), json!(both))])
            }
        }
    }
}

/// A number, as exactly as JSON has it.
fn whole(number: i128) -> Value {
    match i64::try_from(number) {
        Ok(number) => number.into(),
        Err(_) => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    }
}

/// The value that `text` is in YAML.
fn yaml(text: &str) -> Value {
    Node::of_file(text, &"".into()).map_or(Value::Null, |node| node.value.to_json())
}

impl node::Value {
    /// The same in JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Integer(value) => whole(*value),
            Self::Float(value) => json!(value),
            Self::Text(text) => json!(text),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Map(entries) => {
                let entry = |entry: &node::Entry| (entry.key.clone(), entry.node.value.to_json());
                Value::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
