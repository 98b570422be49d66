//! Promise: the schema server keeps what it has acknowledged, whatever befalls it; the same schema has the same id
//! everywhere; what is no schema, or does not fit the versions before it, does not get in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod access;
mod compatibility;
mod documents;
mod durability;
mod registry;
#[path = "../support/mod.rs"]
mod support;

use std::process::Output;

use serde_json::{Value, json};

const USER: &str = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}"#;
/// Reads what [`USER`] wrote, and the other way round.
const USER_WITH_AGE: &str = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":0}]}"#;
/// Does not read what [`USER`] wrote.
const USER_WITH_MAIL: &str = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"mail","type":"string"}]}"#;
const JSON_SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"name":{"type":"string"}}}"#;
const PROTO: &str = "syntax = \"proto3\";\nmessage User { string name = 1; }\n";

/// What is sent to register a schema of Avro.
fn schema(text: &str) -> Value {
    json!({ "schema": text })
}

/// How `serve-schemas` ends that does not even start, and what it says.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = support::schema_server::command(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}
