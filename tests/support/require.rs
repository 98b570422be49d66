//! Says whether the foreign programs that a test needs are there. Where they are not, a test is skipped out loud,
//! except where they are required: with `CI` or `SCHEMAWARD_REQUIRE_REAL=1` set, their absence is a failure.

use std::io::Write;
use std::process::{Command, Stdio};

/// Java's runtime and compiler, and Maven to fetch the jars.
///
/// # Errors
/// What is missing.
pub fn java() -> Result<(), String> {
    ["java", "javac", "mvn"].into_iter().try_for_each(program)
}

/// Python.
///
/// # Errors
/// What is missing.
pub fn python() -> Result<(), String> {
    program("python3")
}

/// kcat; it alone is required by `SCHEMAWARD_REQUIRE_KCAT=1`, as it comes with few systems.
pub fn kcat() -> Option<()> {
    let found = Command::new("kcat").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(());
    }
    assert!(!is_set("SCHEMAWARD_REQUIRE_KCAT"), "SCHEMAWARD_REQUIRE_KCAT is set: kcat is missing");
    skipped("kcat is not installed")
}

/// What was found, or `None` after saying why the test is skipped; panics where skipping is not allowed.
pub fn or_skip<T>(found: &Result<T, String>) -> Option<&T> {
    found.as_ref().map_or_else(|why| skip(why), Some)
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(!is_required(), "needed here (CI or SCHEMAWARD_REQUIRE_REAL is set): {why}");
    skipped(why)
}

fn skipped<T>(why: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`: the test runner would swallow it.
    writeln!(std::io::stderr(), "SKIPPED: {test}: {why}").ok();
    None
}

/// A program that knows `--version`.
///
/// # Errors
/// It is missing.
pub fn program(name: &str) -> Result<(), String> {
    let found = Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found { Ok(()) } else { Err(format!("{name} is not installed")) }
}

fn is_required() -> bool {
    is_set("CI") || is_set("SCHEMAWARD_REQUIRE_REAL")
}

fn is_set(key: &str) -> bool {
    std::env::var(key).is_ok_and(|value| !value.is_empty() && value != "0")
}
