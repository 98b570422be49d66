//! Promise: records from files get the verdicts and the words of the proxy, and the exit code says whether all of them pass.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use support::registry::Registry;

const USER: &str = r#"{"type": "record", "name": "User", "fields": [
    {"name": "name", "type": "string"}, {"name": "age", "type": "long"}]}"#;
/// `{"name": "Ann", "age": 5}`
const GOOD: &[u8] = b"\x06Ann\x0a";
const BAD: &[u8] = b"\x06Ann";
const BAD_WORDS: &str =
    "payload_invalid: record 0: age at byte 4: long is cut off by the end of the bytes";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.file("user.avsc", USER.as_bytes());
        folder.file("good", GOOD);
        folder.file("bad", BAD);
        folder
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Exit code, standard output and standard error, run in this folder.
    fn validate(&self, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_schemaward"))
            .arg("validate")
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A child that does not read its input may have gone.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn the_exit_code_says_whether_all_records_pass() {
    let folder = Folder::new();
    let table: &[(&[&str], i32, String, &str)] = &[
        (&["good"], 0, String::new(), "records: 1, rejected: 0\n"),
        (&["good", "good", "bad"], 4, format!("bad: {BAD_WORDS}\n"), "records: 3, rejected: 1\n"),
        (
            &["absent"],
            1,
            String::new(),
            "schemaward: absent: No such file or directory (os error 2)\n",
        ),
    ];
    for (files, code, out, errors) in table {
        let arguments = [&["--schema", "user.avsc"], *files].concat();
        let run = folder.validate(&arguments, b"");
        assert_eq!(run, (*code, out.clone(), (*errors).to_owned()), "{files:?}");
    }
}

#[test]
fn records_are_read_in_each_way_from_standard_input() {
    let folder = Folder::new();
    let prefixed =
        |record: &[u8]| [&u32::try_from(record.len()).unwrap().to_be_bytes(), record].concat();
    let table: &[(&str, Vec<u8>)] = &[
        ("raw", BAD.to_vec()),
        ("length-prefixed", [prefixed(BAD), prefixed(GOOD)].concat()),
        ("base64-lines", b"BkFubg==\nBkFubgo=\n".to_vec()),
        ("hex-lines", b"06416e6e\n06416e6e0a\n".to_vec()),
    ];
    for (input, bytes) in table {
        let run = folder.validate(&["--schema", "user.avsc", "--input", input], bytes);
        assert_eq!((run.0, &*run.1), (4, &*format!("-: {BAD_WORDS}\n")), "{input}");
    }
    let lines = b"{\"name\": \"Ann\", \"age\": 5}\n{\"name\": \"Ann\", \"age\": \"5\"}\n";
    let (code, out, _) =
        folder.validate(&["--schema", "user.avsc", "--input", "json-lines"], lines);
    assert_eq!(code, 4);
    assert!(out.starts_with("-: payload_invalid: record 1: age at byte 23: "), "{out}");
}

#[test]
fn a_report_in_json_has_a_line_for_every_record() {
    let folder = Folder::new();
    let arguments = ["--schema", "user.avsc", "--format", "json", "good", "bad"];
    let (code, out, errors) = folder.validate(&arguments, b"");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        serde_json::json!({"file": "good", "record": 0, "verdict": "accepted"}),
        serde_json::json!({"file": "bad", "record": 0, "verdict": "rejected", "reason": "payload_invalid", "message": BAD_WORDS}),
        serde_json::json!({"records": 2, "rejected": 1}),
    ];
    assert_eq!((code, &*lines, &*errors), (4, &expected[..], ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_come_from_files_registries_and_urls() {
    let folder = Folder::new();
    let registry = Registry::start().await;
    registry.id(42, USER);
    let url = registry.document("/users/user.avsc", USER);
    let base = registry.url();
    let configuration =
        format!("upstream: {{bootstrap: [kafka:9092]}}\nregistry: {{url: '{base}'}}\n");
    folder.file("schemaward.yaml", configuration.as_bytes());
    let prefixed = [&[0, 0, 0, 0, 42], GOOD].concat();
    let table: &[(&[&str], &[u8], i32)] = &[
        (&["--schema", &url], GOOD, 0),
        (&["--schema", &url], BAD, 4),
        (&["--schema", "42", "--registry", &base], GOOD, 0),
        (&["--schema", "42", "--config", "schemaward.yaml"], BAD, 4),
        (&["--schema", "43", "--registry", &base], GOOD, 1),
        (&["--convention", "confluent_prefix", "--registry", &base], &prefixed, 0),
        (&["--convention", "confluent_prefix", "--registry", &base], GOOD, 4),
        (&["--schema", "42"], GOOD, 1),
        (&["--convention", "headers"], GOOD, 2),
        (&["--registry", &base], GOOD, 2),
        (&["--schema", "bad"], GOOD, 1),
    ];
    for (row, (arguments, record, code)) in table.iter().enumerate() {
        let (found, out, errors) = folder.validate(arguments, record);
        assert_eq!(found, *code, "row {row} {arguments:?}: {out}{errors}");
    }
}
