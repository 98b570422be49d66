//! Applies a JSON Patch (RFC 6902) as its text has it, to see what an API server makes of one.

#![allow(clippy::expect_used, unreachable_pub, reason = "a broken support should fail the test")]

use serde_json::Value;

/// `document` with every step of `patch` taken. Panics at a step that cannot be taken.
pub fn apply(document: &Value, patch: &Value) -> Value {
    let mut document = document.clone();
    for step in patch.as_array().expect("a patch is a list") {
        let path = step["path"].as_str().expect("a path");
        let (parent, last) = path.rsplit_once('/').expect("the whole document is not replaced");
        let last = last.replace("~1", "/").replace("~0", "~");
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("no parent: {step}"));
        take(parent, &last, step);
    }
    document
}

fn take(parent: &mut Value, last: &str, step: &Value) {
    let value = step.get("value").cloned();
    match (step["op"].as_str().expect("an operation"), parent) {
        ("add", Value::Object(map)) => drop(map.insert(last.to_owned(), value.expect("a value"))),
        ("add", Value::Array(list)) => list.insert(index(last), value.expect("a value")),
        ("remove", Value::Object(map)) => drop(map.remove(last).expect("it is there")),
        ("remove", Value::Array(list)) => drop(list.remove(index(last))),
        ("replace", Value::Object(map)) => {
            *map.get_mut(last).expect("it is there") = value.expect("a value");
        }
        ("replace", Value::Array(list)) => list[index(last)] = value.expect("a value"),
        _ => panic!("no step: {step}"),
    }
}

fn index(text: &str) -> usize {
    text.parse().expect("a place in a list")
}
