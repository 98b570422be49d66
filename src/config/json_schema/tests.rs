//! The schema is held to what is read: both take the same values, key by key.

use jsonschema::Validator;

use super::*;
use crate::config::{Config, commented, tests::MISTAKES};

fn schema() -> Validator {
    jsonschema::draft202012::options().build(&json_schema()).unwrap()
}

fn json(text: &str) -> Value {
    yaml(text)
}

#[test]
fn it_is_a_json_schema_and_every_key_is_described() {
    let schema = json_schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let mut open = vec![("".to_owned(), &schema)];
    let mut seen = 0;
    while let Some((path, schema)) = open.pop() {
        for below in schema["anyOf"].as_array().into_iter().flatten().chain([schema]) {
            open.extend(below.get("items").map(|items| (format!("{path}[]"), items)));
            let Some(properties) = below["properties"].as_object() else { continue };
            assert_eq!(below["additionalProperties"], false, "{path}");
            for (key, schema) in properties {
                let text = schema["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{path}.{key} is not described");
                open.push((format!("{path}.{key}"), schema));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, asked().len());
    let mode = &schema["properties"]["rules"]["items"]["properties"]["mode"];
    assert_eq!(mode["enum"], json!(["enforce", "observe", "off", null]));
    assert_eq!(schema["properties"]["limits"]["properties"]["max_in_flight"]["default"], 1000);
    assert_eq!(schema["properties"]["rules"]["items"]["required"], json!(["topics"]));
}

#[test]
fn the_commented_file_and_the_effective_configuration_are_valid() {
    let schema = schema();
    let effective = Config::parse(commented::TEXT, "f", std::iter::empty()).unwrap().effective();
    for text in [commented::TEXT, &effective.to_yaml()] {
        let errors: Vec<_> =
            schema.iter_errors(&json(text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{text}");
    }
}

#[test]
fn unknown_keys_and_values_of_the_wrong_kind_are_refused_by_the_schema_too() {
    let schema = schema();
    let (mut refused, mut taken) = (0, Vec::<&str>::new());
    for (text, mistake) in MISTAKES {
        let (_, message) = mistake.split_once(": ").unwrap();
        // What only the range of a duration excludes is written like one.
        let written = ["\"0s\"", "300ms, 5s or 2m, found 0"];
        let of_one_value = message.contains(": unknown key") || message.contains(": must be ");
        let beyond =
            written.iter().any(|it| message.contains(it)) || message.contains("two labels");
        let ascending = message.contains("9199-9100") || message.contains("equally many");
        if !of_one_value || beyond || ascending || message.contains("must be an origin") {
            continue;
        }
        taken.extend(schema.is_valid(&json(text)).then_some(*mistake));
        refused += 1;
    }
    assert_eq!(taken, [""; 0]);
    assert!(refused >= 25, "{refused}");
}

/// Values of every kind, most of them wrong for any given key.
const ODD: [&str; 24] = [
    "true",
    "0",
    "-1",
    "7",
    "3.5",
    "70000",
    "99999999999999999999",
    "''",
    "x",
    "'7'",
    "a b",
    "16MB",
    "5s",
    "16KiB",
    "1-5",
    "off",
    "127.0.0.1:1",
    "http://h",
    "[]",
    "[x]",
    "[7]",
    "[[]]",
    "{}",
    "{x: 1}",
];

/// The configuration that has `value` at `path` and nothing else.
fn only(path: &str, value: &str) -> String {
    let (mut head, mut tail) = (String::new(), String::new());
    for key in path.split('.') {
        match key.strip_suffix("[]") {
            Some(name) => {
                head.push_str(&format!("{{{name}: ["));
                tail.insert_str(0, "]}");
            }
            None => {
                head.push_str(&format!("{{{key}: "));
                tail.insert(0, '}');
            }
        }
    }
    format!("{head}{value}{tail}")
}

/// Whether `text` is written as a value of `shape` is, so that only its range can be wrong.
fn is_written_like(shape: &Shape, text: &str) -> bool {
    let text = text.trim_matches('\'');
    let ends = |units: &[&str]| units.iter().any(|unit| text.ends_with(unit));
    match shape {
        Shape::Size { .. } => text == "7" || ends(&["KiB"]),
        Shape::Duration { .. } => ends(&["5s"]),
        _ => false,
    }
}

#[test]
fn key_by_key_the_schema_takes_what_is_taken_when_the_file_is_read() {
    let schema = schema();
    let (mut refused, mut taken, mut differ) = (0, 0, Vec::new());
    for (path, asked) in &asked() {
        // What one of two ways refuses is told of the key above.
        if path.starts_with("listen.broker_ports[].") {
            continue;
        }
        for value in ODD.into_iter().filter(|value| !is_written_like(&asked.shape, value)) {
            let text = only(path, value);
            let place = path.replace("[]", "[0]");
            let wrong = match Config::parse(&text, "f", std::iter::empty()) {
                Ok(_) => false,
                Err(errors) => errors.iter().any(|error| {
                    let below = error.key().strip_prefix(&place);
                    let kinds = ["must be ", "unknown key"];
                    below.is_some_and(|it| it.is_empty() || it.starts_with(['[', '.']))
                        && kinds.iter().any(|kind| error.message().starts_with(kind))
                }),
            };
            let place = place.replace("[0]", ".0");
            let pointer: String = place.split('.').map(|key| format!("/{key}")).collect();
            let found = schema.iter_errors(&json(&text)).any(|error| {
                let at = error.instance_path().to_string();
                at.strip_prefix(&pointer).is_some_and(|it| it.is_empty() || it.starts_with('/'))
            });
            if found != wrong {
                differ.push(format!("{text}: refused by the schema: {found}, when read: {wrong}"));
            }
            if wrong { refused += 1 } else { taken += 1 }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(refused > 1_000 && taken > 100, "{refused} {taken}");
}
