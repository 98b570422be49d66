//! Where values come from, what is never shown, and that everything that is wrong is told at once.

use super::*;
use crate::config::tests::{errors, mistakes, none, parsed, variables};

/// What `load_with_origins` says of a file, the name of the folder left out.
fn loaded(text: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.yaml");
    std::fs::write(&path, text.replace("HERE", &folder.path().display().to_string())).unwrap();
    let loaded = Config::load_with_origins(&path, variables(environment));
    (folder, loaded.unwrap_or_else(|errors| panic!("{errors}")))
}

#[test]
fn every_value_in_force_says_where_it_comes_from() {
    let file = "upstream:\n  bootstrap:\n    - kafka:9092\n  tls: {}\nregistry:\n  url: http://r\n  tls:\n  others:\n    - url: http://s\n      api: documents\nlimits:\n  max_in_flight:\nrules:\n  - topics: [a]\n    mode: off\nadmin:\n  listen: 127.0.0.1:1\nlog: {level: warn, format: json}\n";
    let environment = [
        ("SCHEMAWARD_LOG__LEVEL", "error"),
        ("SCHEMAWARD_METRICS", "{max_topics: 5}"),
        ("SCHEMAWARD_ADMIN__LISTEN", ""),
        ("SCHEMAWARD_SEQUENCE_GUARD__EXPIRY", ""),
    ];
    let (_folder, loaded) = loaded(file, &environment);
    let shown = loaded.config.effective().to_yaml_with(&loaded.origins);
    for (value, source) in [
        ("  bootstrap: [kafka:9092]", "file f.yaml:2"),
        ("  tls:", "file f.yaml:4"),
        ("    ca: null", "default"),
        ("  url: http://r/", "file f.yaml:6"),
        ("  tls: null", "file f.yaml:7"),
        ("    - url: http://s/", "file f.yaml:9"),
        ("      api: documents", "file f.yaml:10"),
        ("      template: null", "default"),
        ("  max_in_flight: 1000", "default"),
        ("  - topics: [a]", "file f.yaml:14"),
        ("    mode: \"off\"", "file f.yaml:15"),
        ("    check: value", "default"),
        ("  listen: null", "environment SCHEMAWARD_ADMIN__LISTEN"),
        ("  level: error", "environment SCHEMAWARD_LOG__LEVEL"),
        ("  format: json", "file f.yaml:18"),
        ("  max_topics: 5", "environment SCHEMAWARD_METRICS"),
        ("  expiry: 15m", "default"),
    ] {
        let mut lines = shown.lines().filter_map(|line| line.split_once("  # "));
        let found = lines.any(|(left, right)| left.trim_end() == value && right == source);
        assert!(found, "{value}  # {source}\n{shown}");
    }
    assert_eq!(parsed(&shown), loaded.config, "it is a configuration file still");
    let values = shown.lines().filter(|line| !line.trim_end().ends_with(':'));
    assert!(values.clone().all(|line| line.contains("  # ")), "{shown}");
    let sources = loaded.config.effective().sources(&loaded.origins);
    // The line of `tls: {}` has an origin too, and is no value.
    assert_eq!(sources.len() + 1, values.count());
}

#[test]
fn secrets_that_stand_where_none_belong_are_shown_nowhere() {
    let file = "upstream: {bootstrap: [k:1]}\nregistry:\n  url: http://r\n  api: documents\n  template: '/x/{id}?code=1&api_token=hunter2'\n  warm_up: ['https://me:hunter2@r/x?access_token=hunter2']\ndefault_rule: {allow_schemas: ['https://me:hunter2@r/*']}\n";
    let (_folder, loaded) = loaded(file, &[]);
    let shown = loaded.config.effective();
    for shown in [shown.to_yaml(), shown.to_json().to_string(), shown.to_yaml_with(&loaded.origins)]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("?code=1&api_token=***"), "{shown}");
    }
    assert!(!loaded.config.effective_rules().to_json().to_string().contains("hunter2"));
    for wrong in [
        "upstream: {bootstrap: ['me:hunter2@k:1']}",
        "registry: {url: 'http://me:hunter2@r'}",
        "registry: {url: 'http://r', allow: ['https://me:hunter2@r']}",
        "registry: {url: 'http://r', template: 'https://me:hunter2@r/x'}",
        "listen: {bootstrap: 'me:hunter2@k:1'}",
        "upstream: {bootstrap: [k:1], sasl: {password: hunter2}}",
        "rules: [{topics: ['me:hunter2@k']}]",
    ] {
        let told = mistakes(wrong).join("\n");
        assert!(!told.is_empty() && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn every_file_that_is_missing_is_named_at_once_with_its_line_and_key() {
    let tls = "certificate: HERE/c, key: HERE/k";
    let file = format!(
        "listen:\n  tls: {{{tls}, client_ca: HERE/a}}\nupstream:\n  bootstrap: [k:1]\n  tls: {{ca: HERE/ca}}\nregistry:\n  url: https://r\n  others:\n    - {{url: 'https://s', tls: {{ca: HERE/sca}}}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.yaml");
    let at = folder.path().display().to_string();
    std::fs::write(&path, file.replace("HERE", &at)).unwrap();
    let errors = Config::load_with_origins(&path, none()).unwrap_err().to_string();
    let expected = [
        (2, "listen.tls.certificate", "c"),
        (2, "listen.tls.key", "k"),
        (2, "listen.tls.client_ca", "a"),
        (5, "upstream.tls.ca", "ca"),
        (9, "registry.others[0].tls.ca", "sca"),
    ]
    .map(|(line, key, file)| {
        format!("{at}/f.yaml:{line}: {key}: {at}/{file}: cannot be read: No such file or directory (os error 2)")
    });
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn files_that_are_read_again_while_the_proxy_runs_are_named_each_and_do_not_stop_it() {
    let file = "upstream:\n  bootstrap: [k:1]\n  sasl:\n    username_file: HERE/u\n    password_file: HERE/p\nregistry:\n  url: https://r\n  username_file: HERE/ru\n  password_file: HERE/rp\n  others:\n    - {url: 'https://s', token_file: HERE/t}\n    - {api: directory, path: HERE/schemas}\nadmin:\n  listen: 127.0.0.1:1\n  token_file: HERE/admin\n";
    let (folder, found) = loaded(file, &[]);
    let keys: Vec<_> = found
        .unusable
        .iter()
        .map(|error| (error.file().unwrap().1.unwrap(), error.key().to_owned()))
        .collect();
    let expected = [
        (4, "upstream.sasl.username_file"),
        (5, "upstream.sasl.password_file"),
        (8, "registry.username_file"),
        (9, "registry.password_file"),
        (11, "registry.others[0].token_file"),
        (12, "registry.others[1].path"),
        (15, "admin.token_file"),
    ];
    assert_eq!(keys, expected.map(|(line, key)| (line, key.to_owned())));
    let at = folder.path().display().to_string();
    for error in &found.unusable {
        assert!(error.message().starts_with(&at), "{error}");
        assert!(error.message().contains("cannot be read"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_variables_is_said_also_where_the_file_is_no_yaml() {
    let environment = [("SCHEMAWARD_LOG__LEVEL", "[1"), ("SCHEMAWARD_LISTEN_BOOTSTRAP", "x")];
    let found = errors("listen: [", &environment);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("f.yaml"), "{found:?}");
    assert!(found[1].starts_with("SCHEMAWARD_LOG__LEVEL: log.level: "), "{found:?}");
    assert!(found[2].contains("did you mean SCHEMAWARD_LISTEN__BOOTSTRAP"), "{found:?}");
}
