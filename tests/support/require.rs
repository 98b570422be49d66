//! Says whether the foreign programs that a test needs are there. Where they are not, a test is skipped out loud,
//! except where they are required: with `CI` or `SCHEMAWARD_REQUIRE_REAL=1` set, their absence is a failure, and with
//! `SCHEMAWARD_REQUIRE_NODE=1`, `SCHEMAWARD_REQUIRE_GO=1`, `SCHEMAWARD_REQUIRE_CHROMIUM=1` or
//! `SCHEMAWARD_REQUIRE_HAPROXY=1` that of Node, Go, Chromium or HAProxy.

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
///
/// # Errors
/// It is missing.
pub fn kcat() -> Result<(), String> {
    program_that_answers("kcat", "-V")
}

/// Prometheus and its tool; they alone are required by `SCHEMAWARD_REQUIRE_PROMETHEUS=1`.
///
/// # Errors
/// What is missing.
pub fn prometheus() -> Result<(), String> {
    ["prometheus", "promtool"].into_iter().try_for_each(program)
}

/// Chromium and its driver; they alone are required by `SCHEMAWARD_REQUIRE_CHROMIUM=1`.
///
/// # Errors
/// What is missing.
pub fn chromium() -> Result<(), String> {
    ["chromium", "chromedriver"].into_iter().try_for_each(program)
}

/// HAProxy; it alone is required by `SCHEMAWARD_REQUIRE_HAPROXY=1`.
///
/// # Errors
/// It is missing.
pub fn haproxy() -> Result<(), String> {
    program_that_answers("haproxy", "-v")
}

/// Node and its package tool.
///
/// # Errors
/// What is missing.
pub fn node() -> Result<(), String> {
    ["node", "npm"].into_iter().try_for_each(program)
}

/// The Go tool chain.
///
/// # Errors
/// It is missing.
pub fn go() -> Result<(), String> {
    program_that_answers("go", "version")
}

/// What was found, or `None` after saying why the test is skipped; panics where skipping is not allowed.
pub fn or_skip<T>(found: &Result<T, String>) -> Option<&T> {
    or_skip_unless(&["CI", "SCHEMAWARD_REQUIRE_REAL"], found)
}

/// The same for what `scripts/full` alone demands: skipping is not allowed where one of these variables is set.
pub fn or_skip_unless<'f, T>(required_by: &[&str], found: &'f Result<T, String>) -> Option<&'f T> {
    found.as_ref().map_or_else(|why| skip(required_by, why), Some)
}

fn skip<T>(required_by: &[&str], why: &str) -> Option<T> {
    let required = required_by.iter().any(|key| is_set(key));
    assert!(!required, "needed here ({} is set): {why}", required_by.join(" or "));
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
    program_that_answers(name, "--version")
}

fn program_that_answers(name: &str, question: &str) -> Result<(), String> {
    let found = Command::new(name)
        .arg(question)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found { Ok(()) } else { Err(format!("{name} is not installed")) }
}

fn is_set(key: &str) -> bool {
    std::env::var(key).is_ok_and(|value| !value.is_empty() && value != "0")
}
