//! Levels of compatibility: what they let in, and what they keep out.

use serde_json::json;

use super::{JSON_SCHEMA, PROTO, USER, USER_WITH_AGE, USER_WITH_MAIL, schema};
use crate::support::schema_server::SchemaServer;

/// Level, first versions, the next one, whether it fits.
const LEVELS: &[(&str, &[&str], &str, bool)] = &[
    ("BACKWARD", &[USER], USER_WITH_AGE, true),
    ("BACKWARD", &[USER], USER_WITH_MAIL, false),
    ("BACKWARD", &[USER_WITH_MAIL], USER, true),
    ("BACKWARD", &[USER, USER_WITH_AGE], USER_WITH_MAIL, false),
    ("FORWARD", &[USER], USER_WITH_MAIL, true),
    ("FORWARD", &[USER_WITH_MAIL], USER, false),
    ("FULL", &[USER], USER_WITH_AGE, true),
    ("FULL", &[USER], USER_WITH_MAIL, false),
    ("FULL", &[USER_WITH_MAIL], USER, false),
    // int, long, float: each reads the one before; a double does not write what an int reads.
    ("FORWARD", &["\"double\"", "\"float\""], "\"int\"", true),
    ("BACKWARD", &["\"string\"", "[\"string\",\"int\"]"], "[\"int\",\"string\"]", true),
    ("BACKWARD_TRANSITIVE", &["\"int\"", "\"long\""], "\"double\"", true),
    ("BACKWARD_TRANSITIVE", &["\"int\"", "[\"int\",\"null\"]"], "[\"null\",\"string\"]", false),
    ("FORWARD_TRANSITIVE", &["\"double\"", "\"long\""], "\"int\"", true),
    ("FULL_TRANSITIVE", &[USER, USER_WITH_AGE], USER, true),
    ("NONE", &[USER], "\"int\"", true),
];

#[tokio::test]
async fn avro_versions_keep_to_the_level_of_their_subject() {
    let server = SchemaServer::in_memory().await;
    for (row, (level, before, next, fits)) in LEVELS.iter().enumerate() {
        let subject = format!("row-{row}");
        let wanted = json!({"compatibility": level});
        let set = server.put(&format!("/config/{subject}"), &wanted.to_string()).await;
        assert_eq!(set.json(), wanted);
        for text in *before {
            let reply = server.post(&format!("/subjects/{subject}/versions"), &schema(text)).await;
            assert_eq!(reply.status, 200, "row {row}: {}", reply.body);
        }
        for version in ["", "/latest"] {
            let check = format!("/compatibility/subjects/{subject}/versions{version}?verbose=true");
            let found = server.post(&check, &schema(next)).await.json();
            if version.is_empty() {
                assert_eq!(found["is_compatible"], *fits, "row {row}: {found}");
                assert_eq!(found["messages"] == json!([]), *fits, "row {row}: {found}");
            }
        }
        let reply = server.post(&format!("/subjects/{subject}/versions"), &schema(next)).await;
        assert_eq!(reply.status, if *fits { 200 } else { 409 }, "row {row}: {}", reply.body);
        assert_eq!(reply.code(), if *fits { 0 } else { 409 }, "row {row}");
    }
}

#[tokio::test]
async fn only_all_versions_count_where_the_level_is_transitive() {
    let server = SchemaServer::in_memory().await;
    // The third reads the second and not the first.
    let texts = ["\"int\"", "[\"int\",\"string\"]", "[\"string\",\"int\"]", "\"string\""];
    server.put("/config", r#"{"compatibility":"NONE"}"#).await;
    for text in ["\"int\"", "\"string\""] {
        server.post("/subjects/s/versions", &schema(text)).await;
    }
    let level = async |level: &str| {
        let body = json!({"compatibility": level}).to_string();
        assert_eq!(server.put("/config/s", &body).await.status, 200);
        server.post("/compatibility/subjects/s/versions", &schema("\"bytes\"")).await.json()
    };
    assert_eq!(level("BACKWARD").await, json!({"is_compatible": true}));
    assert_eq!(level("BACKWARD_TRANSITIVE").await, json!({"is_compatible": false}));
    let one = "/compatibility/subjects/s/versions/1";
    assert_eq!(
        server.post(one, &schema("\"bytes\"")).await.json(),
        json!({"is_compatible": false})
    );
    assert_eq!(server.post(one, &schema(texts[2])).await.json(), json!({"is_compatible": true}));
}

#[tokio::test]
async fn levels_are_set_and_taken_back() {
    let server = SchemaServer::in_memory().await;
    let level = async |path: &str| server.get(path).await.json()["compatibilityLevel"].clone();
    assert_eq!(level("/config").await, "BACKWARD");
    server.put("/config", r#"{"compatibility":"full"}"#).await;
    assert_eq!(level("/config/s?defaultToGlobal=true").await, "FULL");
    server.put("/config/s", r#"{"compatibility":"NONE"}"#).await;
    assert_eq!(level("/config/s").await, "NONE");
    assert_eq!(server.delete("/config/s").await.json()["compatibilityLevel"], "NONE");
    assert_eq!(server.delete("/config/s").await.code(), 40408);
    assert_eq!(server.delete("/config").await.json()["compatibilityLevel"], "BACKWARD");
}

#[tokio::test]
async fn versions_in_json_schema_and_protobuf_are_taken_unless_a_level_was_asked_for() {
    let server = SchemaServer::in_memory().await;
    for (kind, first, second) in [
        ("JSON", JSON_SCHEMA, r#"{"type":"object"}"#),
        ("PROTOBUF", PROTO, "syntax = \"proto3\"; message User { int32 age = 2; }"),
    ] {
        let body = |text: &str| json!({"schema": text, "schemaType": kind});
        let versions = format!("/subjects/{kind}/versions");
        let reply = server.post(&versions, &body(first)).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.body);
        assert_eq!(server.post(&versions, &body(second)).await.status, 200, "{kind}");
        let check = format!("/compatibility/subjects/{kind}/versions/latest");
        assert_eq!(server.post(&check, &body(first)).await.code(), 42205, "{kind}: nobody knows");
        server.put(&format!("/config/{kind}"), r#"{"compatibility":"FULL"}"#).await;
        assert_eq!(server.post(&versions, &body(&first.replace("name", "x"))).await.code(), 42205);
        assert_eq!(server.post(&versions, &schema(USER)).await.code(), 409, "another type");
    }
}
