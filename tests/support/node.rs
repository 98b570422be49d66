//! Node clients: kafkajs, installed once, and the program in `tests/js`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::foreign::Foreign;
use super::process;
use super::{once, require};

/// kafkajs, if Node is there.
pub fn kafkajs() -> Option<Foreign> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = PROGRAM.get_or_init(|| require::node().and_then(|()| install()));
    let folder = require::or_skip_unless(&["SCHEMAWARD_REQUIRE_NODE"], made)?;
    Some(Foreign::new(&["node", &folder.join("main.js").display().to_string()]))
}

/// Copies the program beside what it imports: nothing shall be written into the package.
fn install() -> Result<PathBuf, String> {
    let files = once::texts_in("tests/js", &["js", "json"]);
    once::made_once("node-clients", &once::joined(&files), |folder| {
        for (name, text) in &files {
            fs::write(folder.join(name), text).expect("target/ is writable");
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        // Nothing is left outside target/.
        npm.arg("--cache").arg(once::target().join("npm-cache"));
        process::run(npm.current_dir(folder), "", Duration::from_secs(600)).ok().map(drop)
    })
}
