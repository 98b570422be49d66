//! Promise: one command shows what the proxy does, quietly, and goes away when it is told to.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

fn demo(arguments: &[&str]) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_schemaward"));
    demo.arg("demo").args(arguments).env_remove("SCHEMAWARD_LOG__LEVEL").stdin(Stdio::null());
    demo
}

/// Ends the process where a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_table_is_all_that_is_shown_and_it_fits_a_hundred_columns() {
    let output = demo(&[]).output().unwrap();
    let (shown, errors) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (shown, errors) = (shown.unwrap(), errors.unwrap());
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{shown}");
    for text in [
        "acknowledged, offset 1",
        "missing_content_type: record",
        "accounts{entry 0} at byte 6:",
        "2 events are stored as they were sent, 3 never reached the broker.",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    assert!(readme.unwrap().contains(shown.trim_end()), "README.md shows another one:\n{shown}");
}

#[test]
fn the_log_comes_back_where_it_is_asked_for() {
    let output = demo(&[]).env("SCHEMAWARD_LOG__LEVEL", "warn").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("batch rejected"), "{errors}");
}

#[test]
fn what_is_kept_up_ends_cleanly_at_each_signal() {
    for signal in ["-INT", "-TERM"] {
        let mut running = demo(&["--keep"]).stdout(Stdio::piped()).spawn().map(Running).unwrap();
        let mut lines = BufReader::new(running.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("It stays up until Ctrl-C or SIGTERM.") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended by itself");
        }
        let sent = Command::new("kill").arg(signal).arg(running.0.id().to_string()).status();
        assert!(sent.unwrap().success());
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{signal}");
        assert!(rest.contains("confluent-kafka") && rest.contains("kcat -C"), "{rest}");
    }
}
