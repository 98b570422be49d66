//! File and environment → [`Config`], or every mistake.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use super::{
    Config,
    environment::Environment,
    error::{ConfigError, ConfigErrors, Origin},
    node::{Node, Value},
    notes::{Files, Notes},
    origins::Origins,
    section::{Section, wanted},
    sections,
};

/// A configuration with what is known of how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// Where each value comes from.
    pub origins: Origins,
    /// What is wrong with files that are read again while the proxy runs, and may yet come right.
    pub unusable: Vec<ConfigError>,
}

impl Config {
    /// Reads the file at `path` and lays `environment` over it, see [`process_environment`](super::process_environment).
    ///
    /// # Errors
    /// Every mistake in file and environment, each with its place; where the file is no YAML, that and what is wrong with
    /// the variables by themselves.
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with_origins(path, environment).map(|loaded| loaded.config)
    }

    /// The same, and where each value comes from.
    ///
    /// # Errors
    /// The same.
    pub fn load_with_origins(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigErrors> {
        let shown: Arc<str> = path.display().to_string().into();
        let text = read(path)
            .map_err(|message| ConfigError::new(Origin::File(Arc::clone(&shown)), "", message));
        let root = text.and_then(|text| root(&text, &shown));
        load(root, shown, environment, Files::Read)
    }

    /// Like [`Config::load`] for a text that is called `name` in errors. The files that it names are left alone.
    ///
    /// # Errors
    /// The same.
    pub fn parse(
        text: &str,
        name: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let name: Arc<str> = name.into();
        load(root(text, &name), name, environment, Files::Leave).map(|loaded| loaded.config)
    }
}

/// The tree of a file's text.
fn root(text: &str, name: &Arc<str>) -> Result<Node, ConfigError> {
    let root = Node::of_file(text, name)?;
    if !matches!(root.value, Value::Map(_) | Value::Null) {
        let message = wanted("a mapping", &root.value);
        return Err(ConfigError::new(root.origin, "", message));
    }
    // What is missing is missing in the file as a whole, not in its first line.
    Ok(Node { origin: Origin::File(Arc::clone(name)), value: root.value })
}

fn load(
    root: Result<Node, ConfigError>,
    name: Arc<str>,
    environment: impl Iterator<Item = (String, String)>,
    files: Files,
) -> Result<Loaded, ConfigErrors> {
    let environment = Environment::new(environment, &sections::TOP_LEVEL);
    let mut errors = Vec::new();
    let mut root = root.unwrap_or_else(|error| {
        errors.push(error);
        Node { origin: Origin::File(name), value: Value::Null }
    });
    let readable = errors.is_empty();
    environment.apply(&mut root, &mut errors);
    let notes = Notes::new(files);
    let config = sections::config(Section::new(root, String::new(), &notes));
    errors.extend(environment.near_misses(&notes.known()));
    let found = notes.into_parts();
    if readable {
        errors.extend(found.errors);
    }
    match config {
        Some(config) if errors.is_empty() => {
            Ok(Loaded { config, origins: found.origins, unusable: found.unusable })
        }
        _ => Err(ConfigErrors::new(errors)),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("is larger than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Size of the largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
