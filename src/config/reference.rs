//! Every key that there is: what it takes, by the code that reads it, and what it means, by the commented file.

use std::collections::BTreeMap;

use super::{
    commented::{self, Commented},
    error::Origin,
    kind::Shape,
    node::{Node, Value},
    notes::{Asked, Notes},
    section::Section,
    sections,
    values::{show_duration, show_size},
};

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its path: `listen.bootstrap`, `rules[].topics`.
    pub path: String,
    /// What it takes, in words.
    pub takes: String,
    /// What is in force without it, as it is written in YAML.
    pub default: Option<String>,
    /// What it means.
    pub meaning: String,
}

/// Every key that takes a value, in the order of the commented file. Those of rules and of further registries that the
/// default rule and the main registry have too are left out.
#[must_use]
pub fn reference() -> Vec<Key> {
    let asked = asked();
    let described = |comment: Commented| {
        let Asked { shape, required } = asked.get(&comment.path)?;
        // A section is no value, but one that may be left out as a whole is.
        let section = *shape == Shape::Mapping && comment.value.is_empty();
        if section || comment.meaning.is_empty() {
            return None;
        }
        let needed = if *required { " (needed)" } else { "" };
        Some(Key {
            takes: format!("{}{needed}", shape.words()),
            default: comment.default().map(str::to_owned),
            meaning: comment.said().to_owned(),
            path: comment.path,
        })
    };
    Comments::new().0.into_iter().filter_map(described).collect()
}

/// Every key that is asked for when a configuration is read in which nothing is left out.
pub(super) fn asked() -> BTreeMap<String, Asked> {
    let notes = Notes::survey();
    let root = Node { origin: Origin::File("".into()), value: Value::Null };
    // What is missing is of no interest here.
    let _ = sections::config(Section::new(root, String::new(), &notes));
    notes.known().clone()
}

/// What the commented file says.
pub(super) struct Comments(Vec<Commented>);

impl Comments {
    pub(super) fn new() -> Self {
        Self(commented::keys(commented::TEXT))
    }

    /// What is said about `path`. Rules and further registries have the keys of the default rule and of the main registry.
    pub(super) fn of(&self, path: &str) -> Option<&Commented> {
        let find = |path: &str| self.0.iter().find(|key| key.path == path);
        let own = find(path).filter(|comment| !comment.meaning.is_empty());
        own.or_else(|| {
            let alike =
                |(items, one): &(&str, &str)| Some(format!("{one}{}", path.strip_prefix(items)?));
            find(&ALIKE.iter().find_map(alike)?)
        })
    }
}

/// Mappings in lists, and the sections that have their keys.
const ALIKE: [(&str, &str); 2] = [("rules[]", "default_rule"), ("registry.others[]", "registry")];

impl Shape {
    /// What it takes, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Text(form) => form.what.to_owned(),
            Self::Integer { least, most } => format!("a number from {least} to {most}"),
            Self::Size { least, most } => {
                format!("a size from {} to {}", show_size(*least), show_size(*most))
            }
            Self::Duration { least, most } => {
                format!("a duration from {} to {}", show_duration(*least), show_duration(*most))
            }
            Self::Range { what, .. } => what.split(',').next().unwrap_or_default().to_owned(),
            Self::Words(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Mapping => "a mapping".to_owned(),
            Self::List(items) => match &**items {
                Self::Mapping => "a list of mappings".to_owned(),
                Self::Words(words) => format!("a list of {}", Self::Words(words.clone()).words()),
                items => format!("a list: {}", items.words()),
            },
            Self::Either(left, right) => format!("{}, or {}", left.words(), right.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_read_is_described_also_where_it_may_be_left_out() {
        let comments = Comments::new();
        let asked = asked();
        let missing: Vec<_> = asked
            .keys()
            .filter(|path| comments.of(path).is_none_or(|it| it.meaning.is_empty()))
            .collect();
        assert!(missing.is_empty(), "not in config/schemaward.yaml: {missing:?}");
        for path in ["listen.tls.certificate", "listen.broker_ports[].nodes", "rules[].topics"] {
            assert!(asked.contains_key(path), "{path}");
        }
    }

    #[test]
    fn every_key_of_an_example_is_one_that_is_read() {
        let asked = asked();
        let unknown = |key: &Commented| !asked.contains_key(&key.path);
        let unknown: Vec<_> = Comments::new().0.into_iter().filter(unknown).collect();
        assert_eq!(unknown, []);
    }
}
