//! YAML text → a tree whose every node knows where it was written, so that later checks can name the line.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use super::error::{ConfigError, Origin};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// A YAML value, scalars by their type in YAML 1.2.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) origin: Origin,
    pub(super) node: Node,
}

impl Node {
    /// The tree of a file; `path` is what errors call it. A file without a value is an empty mapping.
    pub(super) fn of_file(text: &str, path: &Arc<str>) -> Result<Self, ConfigError> {
        let place = |line| match line {
            0 => Origin::File(path.clone()),
            line => Origin::Line(path.clone(), line),
        };
        parse(text, &place).map_err(|(line, message)| ConfigError::new(place(line), "", message))
    }

    /// The tree of an environment variable's value.
    pub(super) fn of_variable(text: &str, name: &str, key: &str) -> Result<Self, ConfigError> {
        let origin = Origin::Variable(name.into());
        if text.split(',').all(|part| part.trim().parse::<SocketAddr>().is_ok()) {
            // An IPv6 address in brackets would be the beginning of a list.
            return Ok(Self { origin, value: Value::Text(text.to_owned()) });
        }
        parse(text, &|_| origin.clone())
            .map_err(|(_, message)| ConfigError::new(origin.clone(), key, message))
    }
}

impl Value {
    /// What the value is, for a message that says what was expected instead.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

type Place<'a> = &'a dyn Fn(u64) -> Origin;

fn parse(text: &str, place: Place<'_>) -> Result<Node, (u64, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_NODES },
        // `mode: off` is a word, not a boolean.
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(root) => Ok(located(root, place)),
        Err(error) => {
            let line = error.location().map_or(0, |at| at.line());
            Err((line, one_line(&UserMessageFormatter.format_message(&error))))
        }
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn located(raw: Spanned<Raw>, place: Place<'_>) -> Node {
    let origin = place(raw.referenced.line());
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Float(value) => Value::Float(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| located(item, place)).collect())
        }
        Raw::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, node)| entry(key, node, place)).collect())
        }
    };
    Node { origin, value }
}

fn entry(key: Spanned<String>, node: Spanned<Raw>, place: Place<'_>) -> Entry {
    let origin = place(key.referenced.line());
    Entry { key: key.value, origin, node: located(node, place) }
}

/// A node as the YAML library delivers it.
enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Levels that the file may nest: the deepest key needs six.
const MAX_DEPTH: usize = 32;
/// Values in one file, anchors expanded.
const MAX_NODES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, ConfigError> {
        Node::of_file(text, &"f.yaml".into())
    }

    #[test]
    fn every_node_knows_its_line() {
        let root = tree("# comment\na:\n  b: 1\n  c: [x, off]\n").unwrap();
        let Value::Map(entries) = root.value else { panic!("no mapping") };
        assert_eq!(entries[0].origin.to_string(), "f.yaml:2");
        let Value::Map(inner) = &entries[0].node.value else { panic!("no mapping") };
        assert_eq!(inner[0].node.origin.to_string(), "f.yaml:3");
        assert_eq!(inner[0].node.value, Value::Integer(1));
        assert_eq!(inner[1].origin.to_string(), "f.yaml:4");
        let Value::List(items) = &inner[1].node.value else { panic!("no list") };
        assert_eq!(items[1].value, Value::Text("off".into()));
    }

    #[test]
    fn scalars_keep_their_type() {
        let table = [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", Value::Bool(true)),
            ("on", Value::Text("on".into())),
            ("9100-9199", Value::Text("9100-9199".into())),
            ("127.0.0.1:9092", Value::Text("127.0.0.1:9092".into())),
            ("16777216", Value::Integer(16_777_216)),
            ("-1", Value::Integer(-1)),
            ("0.5", Value::Float(0.5)),
            ("'5'", Value::Text("5".into())),
        ];
        for (text, expected) in table {
            assert_eq!(tree(text).unwrap().value, expected, "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_is_named_with_its_line() {
        for text in ["a: 1\nb: [1\n", "a: 1\na: 2\n", "a: 1\n b: 2\n"] {
            let error = tree(text).unwrap_err().to_string();
            assert!(error.starts_with("f.yaml:"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert!(!error.contains("Options"), "{error}");
        }
    }

    #[test]
    fn nesting_and_expansion_are_bounded() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        assert!(tree(&deep).is_err());
        let mut laughs = String::from("a0: &a0 [x]\n");
        for level in 1..12 {
            let inner = format!("*a{},", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(tree(&laughs).is_err());
    }
}
