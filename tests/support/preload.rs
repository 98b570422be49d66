//! Small libraries in C that are loaded into a program under test before its own: they see what it asks of the system.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::{once, process, require};

/// Compiles `tests/support/<name>.c` once and returns the library.
///
/// # Errors
/// There is no C compiler.
pub fn library(name: &str) -> Result<PathBuf, String> {
    let source = once::package().join(format!("tests/support/{name}.c"));
    let inputs = fs::read_to_string(&source).expect("the source is checked in");
    require::program("cc")?;
    let folder = once::made_once(&format!("preloaded-{name}"), &inputs, |folder| {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(folder.join("library.so"));
        process::run(cc.arg(&source).arg("-ldl"), "", Duration::from_secs(60)).ok().map(drop)
    })?;
    Ok(folder.join("library.so"))
}

/// Writes down every address that the programs which it watches connect to.
#[derive(Debug)]
pub struct Dialled {
    library: PathBuf,
    addresses: NamedTempFile,
}

impl Dialled {
    /// Nothing is dialled yet.
    pub fn nothing() -> Option<Self> {
        let library = require::or_skip(&library("dialled"))?.clone();
        Some(Self { library, addresses: NamedTempFile::new().expect("a file") })
    }

    /// What a program needs in its environment to be watched.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let path = self.addresses.path().to_owned();
        vec![("LD_PRELOAD", self.library.clone()), ("DIALLED", path)]
    }

    /// Every `host:port` so far, once each.
    pub fn addresses(&self) -> BTreeSet<String> {
        let text = fs::read_to_string(self.addresses.path()).expect("a text");
        text.lines().map(str::to_owned).collect()
    }
}
