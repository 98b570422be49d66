//! Reads a mapping key by key. Mistakes are noted and reading goes on, so that all of them come at once.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeSet,
};

use super::{
    error::{ConfigError, Origin},
    node::{Entry, Node, Value},
};

/// Whether the files that a configuration names are read, to see whether they can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Files {
    #[default]
    Leave,
    Read,
}

/// The mistakes so far, and the keys that were asked for, which are the keys that there are.
#[derive(Debug, Default)]
pub(super) struct Notes {
    errors: RefCell<Vec<ConfigError>>,
    known: RefCell<BTreeSet<String>>,
    files: Files,
}

impl Notes {
    pub(super) fn new(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    pub(super) fn fail(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError::new(origin.clone(), key, message));
    }

    pub(super) fn known(&self) -> Ref<'_, BTreeSet<String>> {
        self.known.borrow()
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }
}

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located<T> {
    pub(super) origin: Origin,
    pub(super) value: T,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given<T> {
    /// Nothing, or null.
    Absent,
    /// Something that does not parse; noted already.
    Faulty,
    /// A value.
    Value(Located<T>),
}

impl<T> Given<T> {
    pub(super) fn located(self) -> Option<Located<T>> {
        match self {
            Self::Value(located) => Some(located),
            Self::Absent | Self::Faulty => None,
        }
    }

    pub(super) fn value(self) -> Option<T> {
        self.located().map(|located| located.value)
    }
}

/// A mapping that is being read. [`Section::finish`] must be called: it finds the keys that nobody asked for.
#[derive(Debug)]
pub(super) struct Section<'n> {
    notes: &'n Notes,
    path: String,
    origin: Origin,
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

impl<'n> Section<'n> {
    /// The mapping `node` at `path`; anything else than a mapping or nothing is a mistake.
    pub(super) fn new(node: Node, path: String, notes: &'n Notes) -> Self {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            other => {
                notes.fail(&node.origin, &path, wanted("a mapping", &other));
                Vec::new()
            }
        };
        Self { notes, path, origin: node.origin, entries, asked: Vec::new() }
    }

    /// Whether the files that are named shall be read.
    pub(super) fn reads_files(&self) -> bool {
        self.notes.files == Files::Read
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The full path of `key`.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The mapping `node` as the child `key`.
    pub(super) fn child(&self, key: &str, node: Node) -> Section<'n> {
        Section::new(node, self.key(key), self.notes)
    }

    /// Notes a mistake about this mapping as a whole.
    pub(super) fn fail_here(&self, message: &str) {
        self.notes.fail(&self.origin, &self.path, message);
    }

    /// Whether a mistake about `key`, or below it, is noted already.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        let path = self.key(key);
        self.notes.errors.borrow().iter().any(|error| error.key().starts_with(&path))
    }

    /// Notes a mistake about `key`.
    pub(super) fn fail(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.notes.fail(origin, &self.key(key), message);
    }

    /// Takes the node of `key`; `None` where there is none or null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        self.notes.known.borrow_mut().insert(without_positions(&self.key(key)));
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        let node = self.entries.remove(at).node;
        (node.value != Value::Null).then_some(node)
    }

    /// The mapping under `key`, empty where there is none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'n> {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let origin = entry.map_or_else(|| self.file(), |entry| entry.origin.clone());
        let node = self.take(key);
        let value = node.map_or(Value::Null, |node| node.value);
        Section::new(Node { origin, value }, self.key(key), self.notes)
    }

    /// The mappings of the list under `key`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'n>> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let path = self.key(key);
        let Value::List(items) = node.value else {
            self.notes.fail(&node.origin, &path, wanted("a list", &node.value));
            return Vec::new();
        };
        let section = |(at, item)| Section::new(item, format!("{path}[{at}]"), self.notes);
        items.into_iter().enumerate().map(section).collect()
    }

    /// What `key` holds, by `parse`.
    pub(super) fn given<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Given<T> {
        let Some(Node { origin, value }) = self.take(key) else { return Given::Absent };
        match parse(&value) {
            Ok(value) => Given::Value(Located { origin, value }),
            Err(message) => {
                self.fail(&origin, key, message);
                Given::Faulty
            }
        }
    }

    /// What `key` holds, or `default`.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        self.given(key, parse).value().unwrap_or(default)
    }

    /// What each item of the list under `key` holds; those that do not parse are left out, and noted.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) -> Given<Vec<Located<T>>> {
        let Some(node) = self.take(key) else { return Given::Absent };
        let Value::List(items) = node.value else {
            self.fail(&node.origin, key, wanted("a list", &node.value));
            return Given::Faulty;
        };
        let wanted = items.len();
        let parsed: Vec<_> = items
            .into_iter()
            .enumerate()
            .filter_map(|(at, item)| match parse(&item.value) {
                Ok(value) => Some(Located { origin: item.origin, value }),
                Err(message) => {
                    self.fail(&item.origin, &format!("{key}[{at}]"), message);
                    None
                }
            })
            .collect();
        if parsed.len() < wanted {
            return Given::Faulty;
        }
        Given::Value(Located { origin: node.origin, value: parsed })
    }

    /// Takes a text under `key` for the list of what stands between its commas, as Kafka clients have it.
    pub(super) fn split_at_commas(&mut self, key: &str) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) else { return };
        if let Value::Text(text) = &entry.node.value {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let item = |part: &str| Node {
                origin: entry.node.origin.clone(),
                value: Value::Text(part.to_owned()),
            };
            entry.node.value = Value::List(parts.map(item).collect());
        }
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for entry in &self.entries {
            let hint = match nearest(&entry.key, &self.asked) {
                Some(known) => format!(", did you mean {known}"),
                None if self.asked.is_empty() => String::new(),
                None => format!(", known here: {}", self.asked.join(", ")),
            };
            let key = crate::text::shown(entry.key.as_bytes());
            self.fail(&entry.origin, &key, format!("unknown key{hint}"));
        }
    }

    fn file(&self) -> Origin {
        match &self.origin {
            Origin::Line(path, _) => Origin::File(path.clone()),
            other => other.clone(),
        }
    }
}

/// "must be …, found …".
pub(super) fn wanted(what: &str, found: &Value) -> String {
    let found = match found {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => format!("\"{}\"", crate::text::shown(text.as_bytes())),
        other => other.kind().to_owned(),
    };
    format!("must be {what}, found {found}")
}

/// `rules[3].mode` → `rules[].mode`.
fn without_positions(path: &str) -> String {
    path.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// The one of `known` that `key` was most likely meant to be.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if key.len() > 64 {
        return None;
    }
    let close = |word: &&str| distance(key, word) <= 1 + word.len() / 5;
    known.iter().copied().filter(close).min_by_key(|word| distance(key, word))
}

/// Letters to insert, delete or replace between `left` and `right`, `-` and capitals aside.
fn distance(left: &str, right: &str) -> usize {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_").into_bytes();
    let (left, right) = (plain(left), plain(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.iter().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let changed = diagonal + usize::from(letter != other);
            diagonal = *cell;
            before = changed.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        let table = [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("broker_port", "broker_ports", 1),
            ("kitten", "sitting", 3),
            ("Broker-Ports", "broker_ports", 0),
        ];
        for (left, right, expected) in table {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["bootstrap", "broker_ports", "advertised_host"];
        assert_eq!(nearest("broker_port", &known), Some("broker_ports"));
        assert_eq!(nearest("bootstap", &known), Some("bootstrap"));
        assert_eq!(nearest("host", &known), None);
    }
}
