//! The configuration file, as it was named at start: read again, and looked at for changes.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::{Path, PathBuf},
};

use crate::config::{Config, ConfigErrors, Loaded};

/// A file, and the environment that is laid over it.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    environment: Vec<(String, String)>,
    /// What it held before it was read first: what changes in between is seen as new.
    first: u64,
}

impl ConfigFile {
    /// The file at `path`, with `environment` over it, see [`crate::config::process_environment`].
    #[must_use]
    pub fn new(path: PathBuf, environment: impl Iterator<Item = (String, String)>) -> Self {
        let first = fingerprint(&path);
        Self { path, environment: environment.collect(), first }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Every mistake in file and environment.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        self.load_with_origins().map(|loaded| loaded.config)
    }

    /// Reads it, and what is wrong with the files that it names.
    pub(super) fn load_with_origins(&self) -> Result<Loaded, ConfigErrors> {
        Config::load_with_origins(&self.path, self.environment.iter().cloned())
    }

    /// Stands for what it holds now.
    pub(super) fn fingerprint(&self) -> u64 {
        fingerprint(&self.path)
    }

    /// Stands for what it held when it was named.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }
}

/// A mounted ConfigMap swaps a symbolic link above the file, so it is compared by content; that it cannot be read is a content
/// of its own.
fn fingerprint(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_COMPARED_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => bytes.hash(&mut hasher),
        Err(error) => error.kind().hash(&mut hasher),
    }
    hasher.finish()
}

/// More than a configuration file may have.
const MAX_COMPARED_BYTES: u64 = 2 * 1024 * 1024;
