//! Promise: a configuration is either sound and shown as it is in force, or every mistake in it is named with its place,
//! and the exit code tells the cause.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use schemaward::config::Config;
use serde_json::json;

const SOUND: &str =
    "upstream: {bootstrap: [kafka:9092]}\nregistry: {url: 'http://registry:8081'}\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("schemaward.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn schemaward(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schemaward"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn check(path: &Path, environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = schemaward(&["check", "--config", path.to_str().unwrap()], environment);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_shows_what_is_in_force_and_where_each_value_comes_from() {
    let folder = Folder::new();
    let path = folder.file(SOUND);
    let environment = [("SCHEMAWARD_LIMITS__MAX_IN_FLIGHT", "7")];
    let (code, shown, errors) = check(&path, &environment);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(shown.starts_with("# ok\nlisten:\n  bootstrap: 127.0.0.1:9092  "), "{shown}");
    let rows: Vec<_> = shown.lines().filter_map(|line| line.split_once("  # ")).collect();
    for expected in [
        ("  bootstrap: 127.0.0.1:9092", "default"),
        ("  bootstrap: [kafka:9092]", "file schemaward.yaml:1"),
        ("  url: http://registry:8081/", "file schemaward.yaml:2"),
        ("  max_in_flight: 7", "environment SCHEMAWARD_LIMITS__MAX_IN_FLIGHT"),
        ("  mode: enforce", "default"),
    ] {
        let found = rows.iter().any(|(value, source)| (value.trim_end(), *source) == expected);
        assert!(found, "{expected:?}\n{shown}");
    }
    let parsed = |text: &str| Config::parse(text, "f", std::iter::empty()).unwrap();
    let (code, again, _) = check(&folder.file(&shown), &[]);
    assert_eq!(code, 0, "what is shown is itself a configuration");
    assert_eq!(parsed(&again), parsed(&shown));
}

fn json_report(path: &Path, environment: &[(&str, &str)]) -> (i32, serde_json::Value) {
    let arguments = ["check", "--format", "json", "--config", path.to_str().unwrap()];
    let output = schemaward(&arguments, environment);
    assert_eq!(output.stderr, b"");
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn check_shows_the_same_in_json_for_programs() {
    let folder = Folder::new();
    let path = folder.file(SOUND);
    let (code, report) = json_report(&path, &[("SCHEMAWARD_LOG", "{level: debug}")]);
    assert_eq!((code, &report["errors"], &report["warnings"]), (0, &json!([]), &json!([])));
    assert_eq!(report["configuration"]["log"]["level"], "debug");
    assert_eq!(report["configuration"]["limits"]["memory_budget"], "64MiB");
    let origins = &report["origins"];
    assert_eq!(origins["log.format"], json!({ "origin": "default" }));
    let variable = json!({ "origin": "environment", "variable": "SCHEMAWARD_LOG" });
    assert_eq!(origins["log.level"], variable);
    let file = json!({ "origin": "file", "file": path, "line": 2 });
    assert_eq!(origins["registry.url"], file);
    assert!(report.get("connections").is_none());
    let path = folder.file("drain: {grace: soon}\n");
    let (code, report) = json_of_mistakes(&path);
    assert_eq!(code, 2);
    let first = json!({
        "file": path, "line": 1, "variable": null, "key": "drain.grace",
        "message": "must be a duration from 0s to 1h, such as 300ms, 5s or 2m, found \"soon\"",
    });
    assert_eq!(report["errors"][0], first);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.last().unwrap()["variable"], "SCHEMAWARD_LOG__LEVEL");
}

fn json_of_mistakes(path: &Path) -> (i32, serde_json::Value) {
    json_report(path, &[("SCHEMAWARD_LOG__LEVEL", "loud")])
}

#[test]
fn the_time_for_connecting_has_a_unit_and_belongs_to_connecting() {
    let folder = Folder::new();
    let path = folder.file(SOUND);
    let path = path.to_str().unwrap();
    for more in [
        &["--connect", "--timeout", "soon"][..],
        &["--connect", "--timeout", "0s"],
        &["--timeout", "1s"],
    ] {
        let arguments = [&["check", "--config", path], more].concat();
        assert_eq!(schemaward(&arguments, &[]).status.code(), Some(2), "{more:?}");
    }
}

#[test]
fn check_names_every_mistake_with_its_place() {
    let folder = Folder::new();
    let path = folder.file("listen:\n  broker_port: 9100-9199\nupstream: {bootstrap: [kafka]}\nregistry:\n  url: registry\n");
    let (code, shown, errors) = check(&path, &[("SCHEMAWARD_LOG__LEVEL", "loud")]);
    assert_eq!((code, shown.as_str()), (2, ""));
    let path = path.display();
    let expected = format!(
        "{path}:2: listen.broker_port: unknown key, did you mean broker_ports\n\
         {path}:3: upstream.bootstrap[0]: must be host:port, such as kafka-0.kafka.svc:9092, found \"kafka\"\n\
         {path}:5: registry.url: must be an http or https URL with a host, such as http://schema-registry.svc:8081, found \"registry\"\n\
         SCHEMAWARD_LOG__LEVEL: log.level: must be one of error, warn, info, debug, trace, found \"loud\"\n"
    );
    assert_eq!(errors, expected);
}

#[test]
fn check_reads_the_files_of_tls_and_names_the_one_that_is_wrong() {
    let folder = Folder::new();
    let at = folder.0.path().display().to_string();
    let write = |name: &str, text: &str| std::fs::write(folder.0.path().join(name), text).unwrap();
    let issue = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let (certificate, key) = issue();
    let path = folder.file(&format!(
        "listen:\n  tls:\n    certificate: {at}/tls.crt\n    key: {at}/tls.key\n{SOUND}"
    ));
    let wrong = |line: u8, rest: &str| format!("{}:{line}: listen.tls.{rest}", path.display());
    let (code, _, errors) = check(&path, &[]);
    assert_eq!(code, 2);
    let missing = wrong(3, &format!("certificate: {at}/tls.crt: cannot be read: No such file"));
    let lines: Vec<_> = errors.lines().collect();
    assert!(lines[0].starts_with(&missing) && lines.len() == 2, "{errors}");
    let missing = wrong(4, &format!("key: {at}/tls.key: cannot be read: No such file"));
    assert!(lines[1].starts_with(&missing), "{errors}");
    write("tls.crt", &certificate);
    write("tls.key", &issue().1);
    let mismatch = format!(
        "key: {at}/tls.key: the private key in it is not that of the certificate in {at}/tls.crt\n"
    );
    assert_eq!(check(&path, &[]), (2, String::new(), wrong(4, &mismatch)));
    write("tls.key", &key);
    let (code, shown, warnings) = check(&path, &[]);
    assert_eq!(code, 0, "{warnings}");
    assert!(warnings.starts_with(&format!("warning: {at}/tls.crt: the certificate of ")));
    assert!(warnings.ends_with(" has expired on 2020-01-01T00:00:00Z\n"), "{warnings}");
    assert!(shown.contains(&format!("    key: {at}/tls.key  ")), "{shown}");
    assert!(!shown.contains("PRIVATE KEY"), "paths are shown, never contents");
}

#[test]
fn run_refuses_a_faulty_configuration_like_check() {
    let folder = Folder::new();
    let path = folder.file("upstream: {bootstrap: []}\nregistry: {url: 'http://registry:8081'}\n");
    let output = schemaward(&["run", "--config", path.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, check(&path, &[]).2);
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn a_file_that_is_not_there_is_one_sentence() {
    let folder = Folder::new();
    let path = folder.0.path().join("none.yaml");
    let (code, _, errors) = check(&path, &[]);
    assert_eq!(code, 2);
    let expected = format!("{}: cannot be opened: ", path.display());
    assert!(errors.starts_with(&expected) && errors.lines().count() == 1, "{errors}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [&["check"][..], &["run", "--confg", "x"], &["walk"], &[]] {
        assert_eq!(schemaward(arguments, &[]).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn version_and_help_end_with_0() {
    let version = schemaward(&["--version"], &[]);
    assert_eq!(version.status.code(), Some(0));
    let expected = format!("schemaward {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), expected);
    let help = String::from_utf8(schemaward(&["--help"], &[]).stdout).unwrap();
    assert!(help.contains("drain.grace"), "{help}");
}
