//! Imports point one way: `crate::…` paths in `src/` are compared with the table below. Changing the table is an
//! architecture decision.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Every layer and the layers of ours that it may import.
const TABLE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("health", &[]),
    ("log_rate", &[]),
    ("cursor", &["limits"]),
    ("text", &["limits"]),
    ("utf8", &[]),
    ("wire", &["limits", "cursor", "text"]),
    ("reason", &["wire"]),
    ("metrics", &["reason"]),
    ("tls", &["limits", "text", "metrics"]),
    ("record", &["limits", "cursor"]),
    ("datum", &["limits"]),
    ("avro", &["limits", "cursor", "text", "utf8", "datum"]),
    ("json_schema", &["limits", "text", "datum"]),
    ("protobuf", &["limits", "text", "utf8", "datum"]),
    ("schema", &["limits", "avro", "json_schema", "protobuf", "text", "datum", "metrics", "tls"]),
    ("validate", VALIDATE),
    ("rejection_log", &["log_rate", "reason", "text", "validate"]),
    ("proxy", PROXY),
    ("quarantine", &["limits", "metrics", "record", "wire", "validate", "proxy"]),
    ("admin", &["health", "metrics", "text"]),
    ("logging", &[]),
    ("config", CONFIG),
    ("status", STATUS),
    ("connect", &["text", "tls", "wire", "schema", "proxy", "config"]),
    ("app", EVERYTHING_BELOW),
    ("demo", &["text", "app", "config", "wire", "schema", "health"]),
    ("http_server", &["metrics", "tls"]),
    ("schema_server", SCHEMA_SERVER),
    ("kubernetes", &["text", "metrics", "tls", "config", "http_server"]),
    ("cli", CLI),
];

const VALIDATE: &[&str] = &[
    "limits",
    "text",
    "datum",
    "reason",
    "wire",
    "record",
    "schema",
    "avro",
    "json_schema",
    "protobuf",
];

const PROXY: &[&str] = &[
    "limits",
    "text",
    "reason",
    "metrics",
    "tls",
    "health",
    "log_rate",
    "rejection_log",
    "record",
    "wire",
    "schema",
    "validate",
];

const CONFIG: &[&str] = &[
    "limits", "text", "tls", "record", "wire", "protobuf", "schema", "validate", "proxy", "admin",
    "logging", "metrics",
];

const STATUS: &[&str] =
    &["text", "reason", "schema", "metrics", "rejection_log", "proxy", "admin", "config"];

const SCHEMA_SERVER: &[&str] =
    &["limits", "text", "datum", "avro", "json_schema", "protobuf", "schema", "tls", "http_server"];

const CLI: &[&str] = &[
    "app",
    "config",
    "connect",
    "logging",
    "demo",
    "limits",
    "text",
    "datum",
    "reason",
    "protobuf",
    "schema",
    "validate",
    "schema_server",
    "tls",
    "http_server",
    "kubernetes",
];

const EVERYTHING_BELOW: &[&str] = &[
    "limits",
    "health",
    "cursor",
    "text",
    "wire",
    "reason",
    "metrics",
    "tls",
    "record",
    "datum",
    "avro",
    "json_schema",
    "protobuf",
    "schema",
    "validate",
    "rejection_log",
    "proxy",
    "quarantine",
    "admin",
    "logging",
    "config",
    "status",
];

#[test]
fn imports_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    let mut violations = Vec::new();
    for file in rust_files(&root).unwrap() {
        let within = file.strip_prefix(&root).unwrap();
        let Some(layer) = layer_of(within) else { continue };
        let source = shipped_code(&fs::read_to_string(&file).unwrap());
        let found = match table.get(layer.as_str()) {
            Some(allowed) => foreign_paths(&source, &layer, allowed, depth_of(within)),
            None => vec![(1, format!("layer `{layer}` is not in the table"))],
        };
        violations.extend(
            found
                .into_iter()
                .map(|(line, what)| format!("src/{}:{line}: {what}", within.display())),
        );
    }
    assert!(
        violations.is_empty(),
        "\n{}\n(the table is in tests/layering.rs)",
        violations.join("\n")
    );
}

#[test]
fn the_table_has_no_cycles() {
    for (index, (layer, allowed)) in TABLE.iter().enumerate() {
        for below in *allowed {
            let place = TABLE.iter().position(|(layer, _)| layer == below);
            assert!(place.is_some_and(|place| place < index), "{layer} → {below}");
        }
    }
}

#[test]
fn the_table_stands_in_the_architecture() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let document = fs::read_to_string(document).unwrap();
    for (layer, allowed) in TABLE {
        let imports = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        let (start, end) = (format!("| `{layer}` | "), format!(" | {imports} |"));
        let found = document.lines().any(|line| line.starts_with(&start) && line.ends_with(&end));
        assert!(found, "ARCHITECTURE.md: {start}…{end}");
    }
}

#[test]
fn finds_what_it_looks_for() {
    let source = r#"
        //! crate::app is only talked about
        use crate::{wire::Frame, app::{self, cli}, cursor};
        fn f() -> crate::config::Config { "crate::cli \" crate::cli" /* crate::demo */ }
        use super::super::limits;
        #[cfg(test)]
        mod tests { use crate::admin; }
    "#;
    let found = foreign_paths(&shipped_code(source), "wire", &["cursor"], 1);
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 5], "{found:?}");
    assert_eq!(found[0].1, "`wire` imports `app`; it may import: cursor");
    assert_eq!(found[2].1, "`wire` is left by `super`; write the path as `crate::…`");
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `None` for what belongs to no layer: the crate root, the binary, and files of tests.
fn layer_of(file: &Path) -> Option<String> {
    let is_test = file.iter().any(|part| part == "tests" || part == "tests.rs");
    let layer = Path::new(file.iter().next()?).file_stem()?.to_str()?;
    (!is_test && !["lib", "main"].contains(&layer)).then(|| layer.to_owned())
}

/// How many `super` a file may climb before it leaves its layer.
fn depth_of(file: &Path) -> usize {
    let parts = file.iter().count() - 1;
    if file.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// The source with comments and texts blanked, up to its tests, which may import what they like.
fn shipped_code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let blanked = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if next == '"' {
            text_len(rest)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            0
        };
        let (skipped, after) = rest.split_at(blanked);
        code.extend(skipped.chars().filter(|c| *c == '\n'));
        rest = after;
        if blanked == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    match code.find("#[cfg(test)]") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

fn text_len(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return index + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Line and complaint of every path that `layer` must not use.
fn foreign_paths(
    source: &str,
    layer: &str,
    allowed: &[&str],
    depth: usize,
) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut complain = |at: usize, complaint| {
        found.push((source[..at].matches('\n').count() + 1, complaint));
    };
    for (at, _) in source.match_indices("crate::").filter(|(at, _)| starts_word(source, *at)) {
        let path = &source[at + "crate::".len()..];
        for target in first_segments(path) {
            if target != layer && !allowed.contains(&target) {
                let may =
                    if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
                complain(at, format!("`{layer}` imports `{target}`; it may import: {may}"));
            }
        }
    }
    let climb = "super::".repeat(depth + 1);
    for (at, _) in source.match_indices(&climb).filter(|(at, _)| starts_word(source, *at)) {
        complain(at, format!("`{layer}` is left by `super`; write the path as `crate::…`"));
    }
    found.sort();
    found
}

fn starts_word(source: &str, at: usize) -> bool {
    !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// The first name of `a::b`, or of every branch of `{a::b, c::{d, e}}`.
fn first_segments(path: &str) -> Vec<&str> {
    let name =
        |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = path.strip_prefix('{') else { return vec![&path[..name(path)]] };
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let branch = group[start..index].trim();
                if !branch.is_empty() {
                    names.push(&branch[..name(branch)]);
                }
                start = index + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}
