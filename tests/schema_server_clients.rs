//! Promise: registry clients as they come work against the schema server: they register, look up, serialize with ids in
//! front of the payload and with GUIDs in headers, and read again what they wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use serde_json::{Value, json};
use support::{python::Python, schema_server::SchemaServer};

/// What a part of `tests/python/registry_clients.py` says, and the server that it spoke to.
async fn said(part: &'static str) -> Option<(SchemaServer, Vec<Value>)> {
    let python = tokio::task::spawn_blocking(Python::with_registry_clients).await.unwrap()?;
    let server = SchemaServer::in_memory().await;
    let url = server.url();
    let run = move || python.run("registry_clients.py", &[part, &url], "").json_lines();
    let lines = tokio::task::spawn_blocking(run).await.unwrap();
    Some((server, lines))
}

/// Serializers write the id that the server gave in front of the payload, then the GUID that it gave into a header.
async fn serializers_write_ids_and_guids(part: &'static str) {
    let Some((server, lines)) = said(part).await else { return };
    let subject = format!("/subjects/users-{part}-value/versions/1");
    let registered = server.get(&subject).await.json();
    let guid = registered["guid"].as_str().unwrap().replace('-', "");
    let [prefix, header] = &lines[..] else { panic!("{lines:?}") };
    let id = format!("00{:08x}", registered["id"].as_u64().unwrap());
    assert!(prefix["payload"].as_str().unwrap().starts_with(&id), "{prefix}");
    assert_eq!(prefix["headers"], json!([]));
    let expected = format!("01{guid}");
    let value = header["headers"][0][1].as_str().unwrap();
    assert_eq!(header["headers"][0][0], "__value_schema_id");
    // Protobuf has the indexes of the message behind it.
    assert!(value.starts_with(&expected), "{header}: {expected}");
    assert!(!header["payload"].as_str().unwrap().starts_with("00"), "{header}");
    for line in &lines {
        assert_eq!(line["same"], true, "{line}");
    }
}

#[tokio::test]
async fn confluents_avro_serializer_and_deserializer_work() {
    serializers_write_ids_and_guids("avro").await;
}

#[tokio::test]
async fn confluents_json_serializer_and_deserializer_work() {
    serializers_write_ids_and_guids("json").await;
}

#[tokio::test]
async fn confluents_protobuf_serializer_and_deserializer_work() {
    serializers_write_ids_and_guids("protobuf").await;
}

#[tokio::test]
async fn confluents_client_finds_registers_compares_and_deletes() {
    let Some((_server, lines)) = said("client").await else { return };
    let guid = lines[0]["guid"].clone();
    let expected = json!([
        {"step": "registered", "id": 1, "guid": guid, "version": 1},
        {"step": "by id", "same": true},
        {"step": "by guid", "same": true},
        {"step": "lookup", "id": 1, "version": 1},
        {"step": "latest", "version": 1},
        {"step": "version", "id": 1},
        {"step": "subjects", "subjects": ["people-value"], "versions": [1]},
        {"step": "fits", "fits": false},
        {"step": "refused", "status": 409, "code": 409},
        {"step": "level", "level": "NONE"},
        {"step": "taken", "other": true},
        {"step": "deleted version", "version": 2},
        {"step": "deleted", "versions": [1]},
        {"step": "gone", "status": 404, "code": 40401},
    ]);
    assert_eq!(Value::from(lines), expected);
}

#[tokio::test]
async fn python_schema_registry_client_works_with_avro_and_json() {
    let Some((_server, lines)) = said("python-schema-registry-client").await else { return };
    let value = json!({"name": "annabel"});
    let expected = json!([
        {"step": "registered", "id": 1},
        {"step": "by id", "same": true},
        {"step": "checked", "version": 1, "id": 1},
        {"step": "latest", "version": 1},
        {"step": "fits", "fits": false},
        {"step": "subjects", "there": true},
        {"step": "level", "level": "FULL"},
        {"step": "avro", "payload": "00000000010e616e6e6162656c", "read": value},
        {"step": "json", "read": value},
        {"step": "deleted", "versions": [1]},
    ]);
    assert_eq!(Value::from(lines), expected);
}
