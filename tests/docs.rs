//! Promise: what the documents say is there: keys and defaults, metrics, reasons, exit codes, files, tests, examples.
//!
//! Parts between `<!-- name: … -->` and `<!-- /name -->` are written by `BLESS=1 cargo test --features demo --test docs`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

#[allow(dead_code, reason = "shared with the test that holds these tables to the libraries")]
#[path = "avro_readers/classes.rs"]
mod classes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use schemaward::{config::Config, metrics::Metrics, reason::Reason};

const DOCUMENTS: [&str; 5] =
    ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "docs/quarantine.md"];

#[test]
fn the_readme_has_every_key_of_the_configuration_with_its_default() {
    let mut table = String::from("| key | default | meaning |\n| --- | --- | --- |\n");
    for Key { path, default, meaning } in keys(&text("config/schemaward.yaml")) {
        let default = default.map(|default| format!("`{default}`")).unwrap_or_default();
        writeln!(table, "| `{path}` | {default} | {meaning} |").unwrap();
    }
    generated("README.md", "configuration", &table);
}

#[test]
fn the_readme_has_every_metric() {
    let metrics = Metrics::new(10);
    metrics.topic("orders").batch(schemaward::metrics::BatchVerdict::Forwarded);
    metrics.request("Produce");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in metrics.encode().lines().filter(|line| line.contains("schemaward_")) {
        read_metric(line, &mut families);
    }
    let mut table =
        String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (name, Family { kind, labels, help }) in families {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    generated("README.md", "metrics", &table);
}

#[test]
fn the_readme_has_every_reason_with_its_code_in_the_order_of_the_enum() {
    let readme = text("README.md");
    let section = section(&readme, "Reasons");
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let labels: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(labels, Reason::ALL.map(Reason::label));
    for (row, reason) in rows.iter().zip(Reason::ALL) {
        let code = reason.error_code().0.to_string();
        let codes = row[1].split(|character: char| !character.is_ascii_digit());
        assert!(codes.into_iter().any(|it| it == code), "{}: {code}", reason.label());
        assert!(row.len() == 4 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn the_readme_has_every_exit_code() {
    let help = Command::new(env!("CARGO_BIN_EXE_schemaward")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, codes) = help.split_once("Exit codes:\n").expect("the help tells them");
    assert!(text("README.md").contains(codes.trim_end()), "not in README.md:\n{codes}");
}

#[test]
fn every_example_of_a_configuration_is_one() {
    let mut examples = 0;
    for document in DOCUMENTS {
        for example in fenced(&text(document), "yaml") {
            let mut file = example.clone();
            for (section, least) in
                [("upstream", "bootstrap: [kafka:9092]"), ("registry", "url: http://registry:8081")]
            {
                if !example.lines().any(|line| line.starts_with(&format!("{section}:"))) {
                    writeln!(file, "{section}: {{{least}}}").unwrap();
                }
            }
            let parsed = Config::parse(&file, document, std::iter::empty());
            assert!(parsed.is_ok(), "{}\n{file}", parsed.unwrap_err());
            examples += 1;
        }
    }
    assert!(examples > 0);
}

#[test]
fn every_file_and_every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        for name in quoted(&text(document)).into_iter().filter(|name| names_a_file(name)) {
            let (path, test) = name.split_once("::").unwrap_or((&name, ""));
            let found = match fs::read_to_string(root().join(path)) {
                Ok(source) => test.is_empty() || source.contains(&format!("fn {test}(")),
                Err(_) => test.is_empty() && root().join(path).is_dir(),
            };
            if !found {
                missing.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_architecture_has_every_file_by_what_it_says_of_itself() {
    let mut layers: BTreeMap<String, String> = BTreeMap::new();
    for path in rust_files(Path::new("src")) {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let layer = if parts.len() > 2 { format!("src/{}/", parts[1]) } else { "src/".to_owned() };
        let rows = layers.entry(layer).or_default();
        writeln!(rows, "| `{}` | {} |", path.display(), first_sentence(&path)).unwrap();
    }
    let mut map = String::new();
    for (layer, rows) in layers {
        write!(map, "\n**{layer}**\n\n| file | what it does |\n| --- | --- |\n{rows}").unwrap();
    }
    map.push('\n');
    generated("ARCHITECTURE.md", "files", &map);
}

#[test]
fn the_architecture_has_every_file_of_tests_by_what_it_says_of_itself() {
    let mut table = String::from("| file | what it holds |\n| --- | --- |\n");
    for path in rust_files(Path::new("tests")).into_iter().chain(rust_files(Path::new("benches"))) {
        writeln!(table, "| `{}` | {} |", path.display(), first_sentence(&path)).unwrap();
    }
    generated("ARCHITECTURE.md", "tests", &table);
}

#[test]
fn the_architecture_has_every_difference_between_readers_of_avro() {
    generated("ARCHITECTURE.md", "avro-readers", &classes::tables());
}

#[test]
fn nothing_points_to_where_nobody_else_is() {
    for document in DOCUMENTS {
        let text = text(document);
        for (number, line) in text.lines().enumerate() {
            for wrong in ["/root/", "/home/", "/tmp/", "/work/"] {
                assert!(!line.contains(wrong), "{document}:{}: {line}", number + 1);
            }
        }
        for target in links(&text).into_iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { document } else { file };
            assert!(root().join(file).exists(), "{document}: {target}");
            let known = anchor.is_empty() || anchors(&self::text(file)).contains(anchor);
            assert!(known, "{document}: {target}");
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares a part of a document with what it must be, or writes it there.
fn generated(document: &str, name: &str, expected: &str) {
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = text(document);
    let start = text.find(&format!("<!-- {name}: ")).expect("the part begins with a comment");
    let start = start + text[start..].find("-->\n").unwrap() + "-->\n".len();
    let end = start + text[start..].find(&format!("<!-- /{name} -->")).expect("and ends with one");
    if text[start..end] == *expected {
        return;
    }
    if std::env::var_os("BLESS").is_some() {
        let written = format!("{}{expected}{}", &text[..start], &text[end..]);
        // In one step: other tests may be reading it.
        let aside = root().join("target").join(document);
        fs::write(&aside, written).unwrap();
        fs::rename(aside, root().join(document)).unwrap();
    } else {
        panic!(
            "{document}: \"{name}\" is out of date: BLESS=1 cargo test --features demo --test docs\n{expected}"
        );
    }
}

struct Key {
    path: String,
    default: Option<String>,
    meaning: String,
}

/// The keys of the commented configuration, as it is written: two blanks a level, a comment above each key. What is
/// indented within a comment is an example.
fn keys(file: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut sections: Vec<&str> = Vec::new();
    let mut comment = String::new();
    for line in file.lines() {
        let trimmed = line.trim_start();
        if let Some(said) = trimmed.strip_prefix("# ") {
            if !said.starts_with(' ') {
                comment.push(' ');
                comment.push_str(said);
            }
        } else if let Some((key, value)) = trimmed.split_once(':') {
            sections.truncate((line.len() - trimmed.len()) / 2);
            sections.push(key);
            if !value.is_empty() {
                let none = comment.contains("No default.");
                keys.push(Key {
                    path: sections.join("."),
                    default: (!none).then(|| value.trim().to_owned()),
                    meaning: comment.trim().replace('|', "\\|"),
                });
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    keys
}

#[derive(Default)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

fn read_metric(line: &str, families: &mut BTreeMap<String, Family>) {
    let words: Vec<_> = line.splitn(4, ' ').collect();
    match words[..] {
        ["#", "HELP", name, help] => families.entry(name.into()).or_default().help = help.into(),
        ["#", "TYPE", name, kind] => families.entry(name.into()).or_default().kind = kind.into(),
        _ => {
            let Some((name, labels)) = line.split_once('{') else { return };
            let Some(family) = families.get_mut(name) else { return };
            let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
            family.labels.extend(labels.map(|(label, _)| label.to_owned()));
        }
    }
}

/// The first sentence of a file's `//!` header.
fn first_sentence(path: &Path) -> String {
    let source = text(&path.to_string_lossy());
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    let header: Vec<_> = header.map(str::trim).take_while(|line| !line.is_empty()).collect();
    let header = header.join(" ");
    let end = header.find(". ").map_or(header.len(), |end| end + 1);
    assert!(end > 0, "{} has no header", path.display());
    header[..end].replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root().join(&path).is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What stands below a heading, up to the next one of any level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text.find(&format!("# {heading}\n")).expect("the heading");
    let body = &text[start + 2..];
    body.find("\n#").map_or(body, |end| &body[..end])
}

fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// The blocks of a language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let parts: Vec<_> = text.split("```").collect();
    let blocks = parts.iter().skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .map(str::to_owned)
        .collect()
}

/// What stands between single backticks outside of blocks.
fn quoted(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2);
    let lines = outside.flat_map(str::lines);
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn names_a_file(name: &str) -> bool {
    let folders = ["src/", "tests/", "benches/", "config/", "deploy/", "scripts/", ".ci/"];
    folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ')
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let outside = text.split("```").step_by(2);
    let rests = outside.flat_map(|part| part.split("](").skip(1));
    rests.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// What headings can be linked as.
fn anchors(text: &str) -> BTreeSet<String> {
    let outside = text.split("```").step_by(2);
    let headings = outside.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}
