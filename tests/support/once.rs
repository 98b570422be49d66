//! Things that are made once under `target/` and shared by all test binaries: jars, classes, programs, environments.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder of everything that is built.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent").to_path_buf()
}

/// The folder of the package itself.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes `target/<name>` with `make` unless it was made from the same `inputs` before, and returns its path.
///
/// Test binaries may run side by side: a file lock lets one of them do it. The inputs are written down last, so that
/// what an interrupted run left behind is thrown away and made again.
///
/// # Errors
/// Whatever `make` could not do.
pub fn made_once(
    name: &str,
    inputs: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let lock = File::create(target().join(format!("{name}.lock"))).expect("target/ is writable");
    lock.lock().expect("file locks work on the file system of target/");
    let (folder, stamp) = (target().join(name), target().join(format!("{name}.made-from")));
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == inputs) && folder.is_dir() {
        return Ok(folder);
    }
    fs::remove_file(&stamp).ok();
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).expect("target/ is writable");
    make(&folder)?;
    fs::write(&stamp, inputs).expect("target/ is writable");
    Ok(folder)
}

/// Name and text of the files in a folder of the package that end in one of `extensions`, by name.
pub fn texts_in(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut texts: Vec<_> = fs::read_dir(package().join(folder))
        .unwrap_or_else(|e| panic!("{folder} is checked in: {e}"))
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|its| extensions.iter().any(|it| its == *it)))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("sources can be read"))
        })
        .collect();
    texts.sort();
    texts
}

/// All of that as the inputs of [`made_once`].
pub fn joined(texts: &[(String, String)]) -> String {
    texts.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect()
}
