//! Things that are made once under `target/` and shared by all test binaries: jars, classes, the Python environment.

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
