//! What is found out while a configuration is read: mistakes, keys, and where values were written.

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
};

use super::{
    error::{ConfigError, Origin},
    kind::Shape,
    origins::Origins,
};

/// Whether the files that a configuration names are read, to see whether they can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Files {
    #[default]
    Leave,
    Read,
}

/// What a key was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// What it takes.
    pub(super) shape: Shape,
    /// Whether what it belongs to cannot do without it.
    pub(super) required: bool,
}

/// The mistakes so far; the keys that were asked for, which are the keys that there are; and where those were written that
/// are given.
#[derive(Debug, Default)]
pub(super) struct Notes {
    errors: RefCell<Vec<ConfigError>>,
    unusable: RefCell<Vec<ConfigError>>,
    known: RefCell<BTreeMap<String, Asked>>,
    origins: RefCell<Origins>,
    files: Files,
    survey: bool,
}

impl Notes {
    pub(super) fn new(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    /// For finding out which keys there are: what may be left out is asked for as if it were there, and lists of mappings as
    /// if they had one.
    pub(super) fn survey() -> Self {
        Self { survey: true, ..Self::default() }
    }

    pub(super) fn fail(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError::new(origin.clone(), key, message));
    }

    /// Notes what is wrong with a file that is read again while the proxy runs.
    pub(super) fn fail_later(&self, origin: &Origin, key: &str, message: impl Into<String>) {
        self.unusable.borrow_mut().push(ConfigError::new(origin.clone(), key, message));
    }

    /// Whether the files that are named shall be read.
    pub(super) fn reads_files(&self) -> bool {
        self.files == Files::Read
    }

    /// Whether keys are to be found out.
    pub(super) const fn surveys(&self) -> bool {
        self.survey
    }

    /// Whether a mistake about `path`, or below it, is noted already.
    pub(super) fn is_faulty(&self, path: &str) -> bool {
        self.errors.borrow().iter().any(|error| error.key().starts_with(path))
    }

    /// Takes note that `path` was asked for, of which `shape` is expected.
    pub(super) fn ask(&self, path: &str, shape: Shape) {
        let asked = Asked { shape, required: false };
        self.known.borrow_mut().insert(without_positions(path), asked);
    }

    /// Takes note that what `path` belongs to cannot do without it.
    pub(super) fn needs(&self, path: &str) {
        if let Some(asked) = self.known.borrow_mut().get_mut(&without_positions(path)) {
            asked.required = true;
        }
    }

    /// Takes note that `path` is given at `origin`, `null` or not.
    pub(super) fn given(&self, path: String, origin: Origin, null: bool) {
        self.origins.borrow_mut().note(path, origin, null);
    }

    /// The keys that were asked for, by their paths: `rules[].mode`.
    pub(super) fn known(&self) -> Ref<'_, BTreeMap<String, Asked>> {
        self.known.borrow()
    }

    pub(super) fn into_parts(self) -> Findings {
        Findings {
            errors: self.errors.into_inner(),
            unusable: self.unusable.into_inner(),
            origins: self.origins.into_inner(),
        }
    }
}

/// What was found while reading.
#[derive(Debug)]
pub(super) struct Findings {
    /// Mistakes.
    pub(super) errors: Vec<ConfigError>,
    /// What is wrong with files that are read again while the proxy runs.
    pub(super) unusable: Vec<ConfigError>,
    /// Where each key was written that is given.
    pub(super) origins: Origins,
}

/// `rules[3].mode` → `rules[].mode`.
fn without_positions(path: &str) -> String {
    let mut inside = false;
    let kept = path.chars().filter(|character| match character {
        '[' => {
            inside = true;
            true
        }
        ']' => {
            inside = false;
            true
        }
        _ => !inside,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_positions_and_no_digit_of_a_key() {
        assert_eq!(without_positions("rules[3].mode"), "rules[].mode");
        assert_eq!(without_positions("a.prefix_64[10].b[2]"), "a.prefix_64[].b[]");
    }
}
