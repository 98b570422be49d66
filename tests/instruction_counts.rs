//! Promise: whoever makes the accepting path dearer is told by `scripts/instructions`, and nobody else is. With a compiler, a
//! benchmark and a valgrind of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "support/require.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the other tests")]
mod require;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A benchmark with two cases, and a cargo that has built it.
const BENCH: &str = "#!/bin/sh\necho walk 1000 record; [ -e @/fewer ] || echo parse 1 request\n[ ! -e @/more ] || echo new 1 thing\n";
const CARGO: &str = r#"#!/bin/sh
echo '{"target":{"name":"instructions"},"executable":"@/bin/bench","profile":{"opt_level":"1"}}'
"#;
const RUSTC: &str = "#!/bin/sh\nread version < @/rustc; echo \"rustc $version (0 2026-01-01)\"\n";
/// Start and set-up, and what each round costs.
const VALGRIND: &str = r#"#!/bin/sh
case "$1" in --quiet) read processor < @/processor; echo "$processor"; exit;; esac
read cost < @/cost
units=1; [ "$4" = walk ] && units=1000
[ "$4" = walk ] || cost=100
echo "==1== Collected : $((5000000 + $5 * units * cost))" >&2
"#;

/// A repository with the script, and the only programs that it finds.
struct Stage(TempDir);

/// How the script ended, and all that it said.
struct Ended {
    passed: bool,
    said: String,
}

impl Stage {
    /// Everything as it was when the baseline was written.
    fn new() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "benches", "scripts"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/instructions");
        fs::copy(script, stage.path("scripts/instructions")).unwrap();
        symlink(python(), stage.path("bin/python3")).unwrap();
        for (name, text) in
            [("bench", BENCH), ("cargo", CARGO), ("rustc", RUSTC), ("valgrind", VALGRIND)]
        {
            let program = stage.path("bin").join(name);
            let text = text.replace('@', stage.0.path().to_str().unwrap());
            fs::write(&program, text).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (file, text) in [("rustc", "1.95.0"), ("processor", "x86_64 avx2"), ("cost", "400")] {
            stage.write(file, text);
        }
        let ended = stage.run(&["--bless"], &[]);
        assert!(ended.passed, "{}", ended.said);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), format!("{text}\n")).unwrap();
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(self.path("bin/python3"));
        command.arg(self.path("scripts/instructions")).args(arguments).env_clear();
        let environment = environment.iter().copied().chain([("PYTHONIOENCODING", "utf-8")]);
        let output = command.env("PATH", self.path("bin")).envs(environment).output().unwrap();
        let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        Ended { passed: output.status.success(), said: said.concat() }
    }

    fn check(&self) -> Ended {
        self.run(&["--baseline"], &[])
    }
}

/// Where Python itself is: a link to a link to it may lead astray.
fn python() -> PathBuf {
    let ask = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(ask).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn has_python() -> bool {
    require::or_skip(&require::python()).is_some()
}

#[test]
fn a_case_may_become_dearer_by_5_percent_and_not_by_more() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    for (cost, passed, said) in [
        ("400", true, "ok      walk: 400.0 per record"),
        ("419", true, "ok      walk: 419.0 per record, +4.8% of 400.0"),
        ("421", false, "DEARER  walk: 421.0 per record, +5.2% of 400.0"),
        ("800", false, "DEARER  walk: 800.0 per record"),
        ("300", true, "cheaper walk: 300.0 per record"),
    ] {
        stage.write("cost", cost);
        let ended = stage.check();
        assert_eq!(ended.passed, passed, "{cost}: {}", ended.said);
        assert!(ended.said.contains(said), "{cost}: {}", ended.said);
        assert!(ended.said.contains("ok      parse: 100.0 per request"), "{}", ended.said);
    }
}

#[test]
fn cases_and_baselines_belong_together() {
    if !has_python() {
        return;
    }
    for (file, said) in [("more", "NEW     new"), ("fewer", "GONE    parse")] {
        let stage = Stage::new();
        stage.write(file, "");
        let ended = stage.check();
        assert!(!ended.passed && ended.said.contains(said), "{file}: {}", ended.said);
        assert!(stage.run(&["--bless"], &[]).passed);
        assert!(stage.check().passed, "{file}");
    }
}

#[test]
fn some_cases_are_blessed_and_the_others_keep_their_baseline() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    stage.write("cost", "800");
    assert!(stage.run(&["--bless", "parse"], &[]).passed);
    assert!(!stage.check().passed);
    assert!(stage.run(&["--bless", "walk"], &[]).passed);
    assert!(stage.check().passed);
    stage.write("processor", "x86_64");
    let ended = stage.run(&["--bless", "walk"], &[]);
    assert!(!ended.passed, "figures of two machines: {}", ended.said);
}

#[test]
fn what_the_baseline_says_nothing_about_is_counted_and_not_judged() {
    if !has_python() {
        return;
    }
    for (file, text, said) in [
        ("rustc", "1.96.0", "knows nothing of rustc 1.96.0"),
        ("processor", "x86_64", "processor is “x86_64” here, and was “x86_64 avx2”"),
    ] {
        let stage = Stage::new();
        stage.write("cost", "800");
        stage.write(file, text);
        let ended = stage.check();
        assert!(ended.passed, "{file}: {}", ended.said);
        assert!(ended.said.contains("NOT JUDGED") && ended.said.contains(said), "{}", ended.said);
        assert!(ended.said.contains("counted walk: 800.0 per record"), "{}", ended.said);
    }
}

#[test]
fn a_build_of_another_kind_is_not_judged_and_never_blessed() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    stage.write("cost", "800");
    let other = [("CARGO_PROFILE_DEV_OPT_LEVEL", "0")];
    let ended = stage.run(&["--baseline"], &other);
    assert!(ended.passed && ended.said.contains("NOT JUDGED"), "{}", ended.said);
    let ended = stage.run(&["--bless"], &other);
    assert!(
        !ended.passed && ended.said.contains("CARGO_PROFILE_DEV_OPT_LEVEL=0"),
        "{}",
        ended.said
    );
}

#[test]
fn without_valgrind_nothing_is_counted_unless_it_is_required() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    fs::remove_file(stage.path("bin/valgrind")).unwrap();
    let ended = stage.check();
    assert!(ended.passed && ended.said.contains("NO INSTRUCTIONS WERE COUNTED"), "{}", ended.said);
    for (arguments, environment) in [
        (&["--baseline"][..], &[("SCHEMAWARD_REQUIRE_VALGRIND", "1")][..]),
        (&["--bless"], &[]),
        (&["walk"], &[]),
    ] {
        let ended = stage.run(arguments, environment);
        assert!(!ended.passed, "{arguments:?}");
        assert!(ended.said.contains("valgrind is not installed"), "{}", ended.said);
    }
}
