//! Where the values of a configuration come from: the defaults, a line of the file, a variable of the environment.

use std::{collections::BTreeMap, fmt};

use super::error::Origin;
use crate::text::shown;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody has said anything: it is what the program comes with.
    Default,
    /// The configuration file.
    File {
        /// The file.
        file: String,
        /// The line of its key.
        line: u64,
    },
    /// The environment.
    Environment {
        /// The name of the variable.
        variable: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => {
                let name = file.rsplit('/').next().unwrap_or_default();
                write!(f, "file {}:{line}", shown(name.as_bytes()))
            }
            Self::Environment { variable } => {
                write!(f, "environment {}", shown(variable.as_bytes()))
            }
        }
    }
}

/// Where each key was written that is given, by paths such as `rules[0].mode`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Written>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    origin: Origin,
    null: bool,
}

impl Origins {
    /// Takes note that `path` was written at `origin`; `null`: and that nothing stands there.
    pub(super) fn note(&mut self, path: String, origin: Origin, null: bool) {
        self.0.insert(path, Written { origin, null });
    }

    /// Where the value of `path` comes from, which is null in force if `null`: nothing that is written where there is a
    /// default leaves the default in force.
    #[must_use]
    pub fn of(&self, path: &str, null: bool) -> Source {
        match self.0.get(path) {
            Some(written) if !written.null || null => match &written.origin {
                Origin::File(file) => Source::File { file: (**file).to_owned(), line: 1 },
                Origin::Line(file, line) => Source::File { file: (**file).to_owned(), line: *line },
                Origin::Variable(name) => Source::Environment { variable: (**name).to_owned() },
            },
            _ => Source::Default,
        }
    }

    /// Whether `path` is given and nothing below it, as `tls` is in `tls: {}`.
    pub(super) fn is_bare(&self, path: &str) -> bool {
        let given = self.0.get(path).is_some_and(|written| !written.null);
        let below =
            |it: &&String| it.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        given && !self.0.range(path.to_owned()..).map(|(path, _)| path).any(|it| below(&it))
    }
}
