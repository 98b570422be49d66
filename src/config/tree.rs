//! Settings as a tree, and the tree as YAML or JSON.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    time::Duration,
};

use super::{
    origins::{Origins, Source},
    redact::redacted,
    values::show_duration,
};

/// Settings as a tree: keys in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// Not set.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A word, a size, a duration: text that YAML takes as it is.
    Word(String),
    /// Any text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A mapping.
    Map(Vec<(&'static str, Tree)>),
}

impl Tree {
    /// As YAML, a final line end included.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        self.lines().into_iter().map(|line| line.text + "\n").collect()
    }

    /// The same, and behind each value in a comment where it comes from.
    #[must_use]
    pub fn to_yaml_with(&self, origins: &Origins) -> String {
        let lines = self.lines();
        let width = lines.iter().map(|line| line.text.chars().count());
        let column = width.filter(|width| *width <= MAX_COLUMN).max().unwrap_or_default();
        let shown = |Line { text, path, value }: Line| {
            let source = match value {
                Some(value) => Some(origins.of(&path, value == Value::Null)),
                None => origins.is_bare(&path).then(|| origins.of(&path, false)),
            };
            match source {
                Some(source) => format!("{text:column$}  # {source}\n"),
                None => format!("{text}\n"),
            }
        };
        lines.into_iter().map(shown).collect()
    }

    /// Every value with its path, null or not, in the order of the file; lists of values are one value.
    #[must_use]
    pub fn sources(&self, origins: &Origins) -> Vec<(String, Source)> {
        let source = |Line { path, value, .. }: Line| {
            let source = origins.of(&path, value? == Value::Null);
            Some((path, source))
        };
        self.lines().into_iter().filter_map(source).collect()
    }

    /// As JSON; what has a unit is text, as in the file.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) => (*number).into(),
            Self::Word(text) | Self::Text(text) => text.clone().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let entry = |(key, tree): &(&str, Self)| ((*key).to_owned(), tree.to_json());
                serde_json::Value::Object(entries.iter().map(entry).collect())
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.write("", 0, &mut lines);
        lines
    }

    /// Writes the value of a key or item, whose path is `path`, as a block.
    fn write(&self, path: &str, depth: usize, lines: &mut Vec<Line>) {
        let blanks = "  ".repeat(depth);
        match self {
            Self::Map(entries) => {
                for (key, tree) in entries {
                    let separator = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{separator}{key}");
                    match tree.inline() {
                        Some((text, value)) => {
                            let text = format!("{blanks}{key}: {text}");
                            lines.push(Line { text, path, value: Some(value) });
                        }
                        None => {
                            let text = format!("{blanks}{key}:");
                            lines.push(Line { text, path: path.clone(), value: None });
                            tree.write(&path, depth + 1, lines);
                        }
                    }
                }
            }
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    let start = lines.len();
                    item.write(&format!("{path}[{at}]"), depth + 1, lines);
                    // The block is written two columns in: its first blanks give way to the dash.
                    if let Some(first) = lines.get_mut(start) {
                        first.text = format!("{blanks}- {}", first.text.trim_start());
                    }
                }
            }
            scalar => {
                let text = format!("{blanks}{}", scalar.scalar());
                let value = Some(scalar.value());
                lines.push(Line { text, path: path.to_owned(), value });
            }
        }
    }

    /// The value on the line of its key, where it fits there.
    fn inline(&self) -> Option<(String, Value)> {
        match self {
            Self::List(items) if items.iter().all(Self::is_scalar) => {
                let items: Vec<_> = items.iter().map(Self::scalar).collect();
                Some((format!("[{}]", items.join(", ")), Value::Some))
            }
            Self::List(_) | Self::Map(_) => None,
            scalar => Some((scalar.scalar(), scalar.value())),
        }
    }

    const fn value(&self) -> Value {
        if matches!(self, Self::Null) { Value::Null } else { Value::Some }
    }

    const fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }

    fn scalar(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Word(word) if !is_taken_for_another(word) => word.clone(),
            Self::Text(text) if is_plain(text) => text.clone(),
            // JSON's escapes are YAML's too.
            Self::Word(text) | Self::Text(text) => {
                serde_json::Value::from(text.as_str()).to_string()
            }
            Self::Null | Self::List(_) | Self::Map(_) => "null".to_owned(),
        }
    }
}

/// A line of YAML.
struct Line {
    text: String,
    /// The key or item that it is about.
    path: String,
    /// What stands in it, if it is not the beginning of a block.
    value: Option<Value>,
}

/// Whether a value is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Null,
    Some,
}

/// The last column that a line may have whose comment is in the column of all comments.
const MAX_COLUMN: usize = 56;

/// Whether YAML reads `text` without quotes as the same text, in every version of YAML.
fn is_plain(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:*".contains(&byte);
    if text.parse::<SocketAddrV4>().is_ok() || text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.bytes().all(legal)
        && !text.ends_with(':')
        && !is_taken_for_another(text)
}

/// Whether some version of YAML reads the word `text` as a boolean or as nothing.
fn is_taken_for_another(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    WORDS.contains(&&*text.to_ascii_lowercase())
}

pub(super) fn word(value: impl ToString) -> Tree {
    Tree::Word(value.to_string())
}

pub(super) fn number(value: impl TryInto<u64>) -> Tree {
    Tree::Number(value.try_into().unwrap_or(u64::MAX))
}

pub(super) fn text(value: impl AsRef<str>) -> Tree {
    Tree::Text(redacted(value.as_ref()).into_owned())
}

pub(super) fn texts(values: &[String]) -> Tree {
    Tree::List(values.iter().map(text).collect())
}

pub(super) fn optional(value: Option<impl ToString>) -> Tree {
    value.map_or(Tree::Null, |value| text(value.to_string()))
}

pub(super) fn optional_number(value: Option<usize>) -> Tree {
    value.map_or(Tree::Null, number)
}

pub(super) fn span(duration: Duration) -> Tree {
    Tree::Word(show_duration(duration))
}

pub(super) fn path(path: Option<&PathBuf>) -> Tree {
    optional(path.map(|path| path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_as_yaml() {
        let tree = Tree::Map(vec![
            ("a", Tree::Word("16MiB".into())),
            ("b", Tree::List(vec![Tree::Text("x.*".into()), Tree::Text("*".into())])),
            ("c", Tree::Map(vec![("d", Tree::Null)])),
            (
                "e",
                Tree::List(vec![Tree::Map(vec![
                    ("f", Tree::Word("1".into())),
                    ("g", Tree::List(vec![])),
                ])]),
            ),
            ("h", Tree::List(vec![])),
        ]);
        let expected = "a: 16MiB\nb: [x.*, \"*\"]\nc:\n  d: null\ne:\n  - f: 1\n    g: []\nh: []\n";
        assert_eq!(tree.to_yaml(), expected);
    }

    #[test]
    fn texts_that_yaml_would_misread_are_quoted() {
        for (text, plain) in [
            ("orders.*", true),
            ("http://host:8081/", true),
            ("127.0.0.1:9092", true),
            ("10.5", false),
            ("[::1]:9092", false),
            ("off", false),
            ("True", false),
            ("12", false),
            ("a: b", false),
            ("a#b", false),
            ("", false),
        ] {
            assert_eq!(is_plain(text), plain, "{text:?}");
        }
    }
}
