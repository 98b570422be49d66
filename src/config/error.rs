//! What is wrong with a configuration: place, key and sentence, all mistakes of one run together.

use std::{fmt, sync::Arc};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a file as a whole: a key that should be there and is not.
    File(Arc<str>),
    /// In a line of a file.
    Line(Arc<str>, u64),
    /// In an environment variable.
    Variable(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Line(path, line) => write!(f, "{path}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One mistake: file and line (or environment variable), key, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    origin: Origin,
    key: String,
    message: String,
}

impl ConfigError {
    pub(super) fn new(origin: Origin, key: &str, message: impl Into<String>) -> Self {
        Self { origin, key: key.to_owned(), message: message.into() }
    }

    /// The key path, such as `listen.bootstrap`; empty where the file as a whole cannot be read.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The file, if the mistake is in one, and the line, if it is in one line.
    #[must_use]
    pub fn file(&self) -> Option<(&str, Option<u64>)> {
        match &self.origin {
            Origin::File(path) => Some((path, None)),
            Origin::Line(path, line) => Some((path, Some(*line))),
            Origin::Variable(_) => None,
        }
    }

    /// The environment variable, if the mistake is in one.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &self.origin {
            Origin::Variable(name) => Some(name),
            Origin::File(_) | Origin::Line(..) => None,
        }
    }

    /// What is wrong, without place and key.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    fn order(&self) -> (u8, u64) {
        match &self.origin {
            Origin::Line(_, line) => (0, *line),
            Origin::File(_) => (1, 0),
            Origin::Variable(_) => (2, 0),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of its lines; one line of text each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// All of `errors`, in the order of their lines; what no line tells apart keeps its order.
    pub(super) fn new(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(ConfigError::order);
        Self(errors)
    }

    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
