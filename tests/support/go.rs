//! Go clients: franz-go and sarama in the program of `tests/go`, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::foreign::Foreign;
use super::process;
use super::{once, require};

/// franz-go, if Go is there.
pub fn franz() -> Option<Foreign> {
    client("franz")
}

/// sarama, if Go is there. By itself it speaks as with Kafka 2.8.
pub fn sarama() -> Option<Foreign> {
    client("sarama")
}

/// sarama, told that the brokers are the newest that it knows.
pub fn sarama_latest() -> Option<Foreign> {
    client("sarama-latest")
}

fn client(name: &str) -> Option<Foreign> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = PROGRAM.get_or_init(|| require::go().and_then(|()| build()));
    let folder = require::or_skip_unless(&["SCHEMAWARD_REQUIRE_GO"], made)?;
    Some(Foreign::new(&[&program(folder).display().to_string(), name]))
}

fn build() -> Result<PathBuf, String> {
    let files = once::texts_in("tests/go", &["go", "mod", "sum"]);
    once::made_once("go-clients", &once::joined(&files), |folder| {
        let mut go = Command::new("go");
        go.current_dir(once::package().join("tests/go"));
        // Nothing is left outside target/, and nothing there that cannot be deleted.
        let cache = once::target().join("go-cache");
        go.env("GOMODCACHE", cache.join("modules")).env("GOCACHE", cache.join("build"));
        go.env("CGO_ENABLED", "0");
        go.args(["build", "-mod=readonly", "-modcacherw", "-trimpath", "-o"]);
        process::run(go.arg(program(folder)).arg("."), "", Duration::from_secs(600)).ok().map(drop)
    })
}

fn program(folder: &Path) -> PathBuf {
    folder.join("clients")
}
