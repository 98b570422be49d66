//! Promise: shells complete the command line, the manual has a page for every command, and editors get the keys of the
//! configuration, all of what the program itself knows.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    process::{Command, Output},
};

fn schemaward(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_schemaward")).args(arguments).env_clear().output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = schemaward(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every command by what the help lists.
fn commands() -> Vec<String> {
    let help = said(&["--help"]);
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let rows = listed.lines().take_while(|line| !line.is_empty());
    rows.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn every_shell_gets_completions_that_know_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not know {command}");
        }
        assert!(script.contains("connect") && script.contains("timeout"), "{shell}");
    }
    assert_eq!(schemaward(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let script = said(&["completions", "bash"]);
    for (words, expected) in [
        (&["schemaward", "ch"][..], "check"),
        (&["schemaward", "check", "--conn"], "--connect"),
        (&["schemaward", "check", "--format", ""], "yaml json"),
        (&["schemaward", "completions", "z"], "zsh"),
    ] {
        let (last, before) = (words.last().unwrap(), words[words.len() - 2]);
        let array = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let asked = format!(
            "{script}\nCOMP_WORDS=({array}); COMP_CWORD={}; _schemaward schemaward '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
        let (shown, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(shown.trim(), expected, "{words:?} {errors}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = said(&["man"]);
    assert!(page.contains(".TH schemaward 1"), "{page}");
    assert!(!page.contains("help(1)"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man/man1");
    assert_eq!(said(&["man", "--out", out.to_str().unwrap()]), "");
    let mut expected: Vec<_> = commands()
        .iter()
        .filter(|command| *command != "help")
        .map(|command| format!("schemaward-{command}.1"))
        .chain(["schemaward.1".to_owned()])
        .collect();
    expected.sort();
    let mut written: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, expected);
    let check = fs::read_to_string(out.join("schemaward-check.1")).unwrap();
    for flag in ["config", "format", "connect", "timeout"] {
        assert!(check.contains(&format!("\\-\\-{flag}")), "{flag}: {check}");
    }
    let main = fs::read_to_string(out.join("schemaward.1")).unwrap();
    assert!(main.contains("Exit codes") && main.contains("drain.grace"), "{main}");
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    assert_eq!(schemaward(&["man", "--out", blocked.to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn the_schema_that_is_printed_is_that_of_the_program() {
    let printed: serde_json::Value = serde_json::from_str(&said(&["config-schema"])).unwrap();
    assert_eq!(printed, schemaward::config::json_schema());
}
