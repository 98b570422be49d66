//! The files of one folder, and no others: whatever a path or a symbolic link says, nothing outside is read.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::PathBuf,
};

use super::{SourceError, spelling::percent_decoded};
use crate::text::shown;

/// The files of one folder.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    max_bytes: usize,
}

/// A file that is there.
#[derive(Debug)]
pub(super) struct Listed {
    /// Its path below the folder.
    pub(super) path: String,
    /// What changes when it does.
    pub(super) stamp: Stamp,
}

/// What changes when a file does: where it really is, its length and when it was written.
pub(super) type Stamp = (PathBuf, u64, Option<std::time::SystemTime>);

impl Files {
    /// Those below `root`, each of at most `max_bytes`.
    pub(super) fn new(root: PathBuf, max_bytes: usize) -> Self {
        Self { root, max_bytes }
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.real(path).is_ok_and(|real| fs::metadata(real).is_ok_and(|it| it.is_file()))
    }

    /// The text of a file. A folder may be swapped between any two steps: what is gone is looked for again.
    pub(super) fn read(&self, path: &str) -> Result<String, SourceError> {
        let mut read = self.try_read(path);
        for _ in 0..MAX_SWAPS {
            match read {
                Err(SourceError::NotFound { .. }) => read = self.try_read(path),
                done => return done,
            }
        }
        read
    }

    fn try_read(&self, path: &str) -> Result<String, SourceError> {
        let shown = shown(path.as_bytes());
        let real = self.real(path)?;
        let broken = |error: io::Error| unreadable(&shown, &error);
        let no_file = || not_found(&shown, "it is no file");
        // Asked before it is opened: to open a pipe is to wait for somebody who writes.
        if !fs::metadata(&real).map_err(broken)?.is_file() {
            return Err(no_file());
        }
        let file = File::open(&real).map_err(broken)?;
        if !file.metadata().map_err(broken)?.is_file() {
            return Err(no_file());
        }
        let most = u64::try_from(self.max_bytes).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() > self.max_bytes {
            let what = format!("{shown}: the file has more than {most} bytes");
            return Err(SourceError::invalid(what));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| SourceError::invalid(format!("{shown}: the file is not UTF-8")))?;
        Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
    }

    /// Where a file really is, which has to be inside of where the folder really is.
    fn real(&self, path: &str) -> Result<PathBuf, SourceError> {
        let shown = shown(path.as_bytes());
        let inside = !path.split('/').any(|name| !is_plain(name));
        if !inside {
            return Err(not_found(&shown, "no file is called that"));
        }
        let root = self.real_root()?;
        let real = root.join(path).canonicalize().map_err(|error| unreadable(&shown, &error))?;
        if !real.starts_with(&root) {
            let what = format!("{shown}: a symbolic link leads out of the folder");
            return Err(SourceError::invalid(what));
        }
        Ok(real)
    }

    fn real_root(&self) -> Result<PathBuf, SourceError> {
        self.root.canonicalize().map_err(|error| {
            let what = format!("the folder {}: {}", self.root.display(), error.kind());
            SourceError::unavailable(what)
        })
    }

    /// The files whose names end in `ending`, folders below searched too, hidden ones left out: at most [`MAX_LISTED`].
    pub(super) fn list(&self, ending: &str) -> Vec<Listed> {
        let Ok(root) = self.real_root() else { return Vec::new() };
        let mut listed = Vec::new();
        let mut seen = 0;
        let mut open = vec![(root.clone(), String::new(), 0)];
        while let Some((folder, path, depth)) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                seen += 1;
                if seen > MAX_LISTED {
                    return listed;
                }
                let Ok(name) = entry.file_name().into_string() else { continue };
                let real = entry.path().canonicalize().ok().filter(|it| it.starts_with(&root));
                let Some((real, metadata)) = real
                    .filter(|_| is_plain(&name))
                    .and_then(|it| Some((it.clone(), fs::metadata(it).ok()?)))
                else {
                    continue;
                };
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                if metadata.is_dir() && depth < MAX_DEPTH {
                    open.push((real, path, depth + 1));
                } else if metadata.is_file() && path.ends_with(ending) {
                    let stamp = (real, metadata.len(), metadata.modified().ok());
                    listed.push(Listed { path, stamp });
                }
            }
        }
        listed
    }
}

/// A path of a URL as one of a folder: without a slash at either end, each segment as it is meant. `None` for what no file
/// is called.
pub(super) fn segments(path: &str) -> Option<String> {
    let names = path.split('/').map(|name| {
        let name = String::from_utf8(percent_decoded(name.as_bytes())).ok()?;
        (is_plain(&name) && !name.contains('/')).then_some(name)
    });
    names.collect::<Option<Vec<_>>>().map(|names| names.join("/"))
}

/// Whether a file of a folder may be called that. What begins with a dot is hidden, or leads up.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.chars().any(|c| c.is_control() || c == '\\')
}

fn not_found(path: &str, what: &str) -> SourceError {
    SourceError::NotFound { detail: format!("{path}: {what}").into() }
}

/// What an error says: that there is no such file, or nothing about it.
fn unreadable(path: &str, error: &io::Error) -> SourceError {
    let what = error.kind().to_string();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
            not_found(path, &what)
        }
        _ => SourceError::unavailable(format!("{path}: {what}")),
    }
}

/// How often a file may be gone because its folder is being swapped.
const MAX_SWAPS: usize = 3;
/// Entries of folders that are looked at when every file is wanted.
const MAX_LISTED: usize = 20_000;
/// Folders inside of folders that are looked at then.
const MAX_DEPTH: usize = 16;
const BYTE_ORDER_MARK: char = '\u{feff}';
