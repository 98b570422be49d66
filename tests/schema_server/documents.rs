//! Documents by path: created, replaced, read, listed, deleted, as HTTP has it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON_SCHEMA, PROTO, USER, USER_WITH_AGE, schema};
use crate::support::schema_server::SchemaServer;

#[tokio::test]
async fn documents_are_created_replaced_read_listed_and_deleted_by_path() {
    let server = SchemaServer::in_memory().await;
    let first = server.put("/users/schema.avsc", USER).await;
    assert_eq!((first.status, first.header("location")), (201, "/users/schema.avsc"));
    let (id, tag) = (first.json()["id"].clone(), first.header("etag").to_owned());
    assert_eq!(server.put("/users/schema.avsc", USER).await.json()["version"], 1);
    let second = server.put("/users/schema.avsc", USER_WITH_AGE).await;
    assert_eq!((second.status, &second.json()["version"]), (200, &json!(2)));
    let read = server.get("/users/schema.avsc").await;
    assert_eq!((read.status, &*read.body), (200, USER_WITH_AGE));
    assert_eq!(read.header("content-type"), "application/json");
    assert_ne!(read.header("etag"), tag);
    let head = server.ask(Method::HEAD, "/users/schema.avsc", &[], "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.header("content-length"), USER_WITH_AGE.len().to_string());
    let old = server.get("/users/schema.avsc?version=1").await;
    assert_eq!((&*old.body, old.header("etag")), (USER, &*tag));
    assert_eq!(server.get("/users/schema.avsc?version=3").await.status, 404);
    // The same schema has the same id by path and in a subject.
    let registered = server.post("/subjects/users/versions", &schema(USER)).await;
    assert_eq!(registered.json()["id"], id);
    assert_eq!(server.put("/users/old/a%20b.avsc", "\"int\"").await.status, 201);
    let paths = async |folder: &str| {
        let listed = server.get(folder).await.json();
        let documents = listed["documents"].as_array().unwrap().clone();
        let paths: Vec<_> = documents.iter().map(|each| each["path"].clone()).collect();
        (paths, listed["after"].clone())
    };
    let all = vec![json!("/users/old/a b.avsc"), json!("/users/schema.avsc")];
    assert_eq!(paths("/").await, (all.clone(), Value::Null));
    assert_eq!(paths("/users/").await, (all.clone(), Value::Null));
    assert_eq!(paths("/users/old/").await, (all[..1].to_vec(), Value::Null));
    assert_eq!(paths("/use/").await, (vec![], Value::Null));
    assert_eq!(paths("/?limit=1").await, (all[..1].to_vec(), all[0].clone()));
    assert_eq!(
        paths("/?limit=1&after=/users/old/a%20b.avsc").await,
        (all[1..].to_vec(), Value::Null)
    );
    assert_eq!(server.delete("/users/schema.avsc").await.status, 204);
    assert_eq!(server.get("/users/schema.avsc").await.status, 404);
    assert_eq!(server.delete("/users/schema.avsc").await.status, 404);
    assert_eq!(server.get("/users/schema.avsc?version=1").await.body, USER, "history stays");
    let again = server.put("/users/schema.avsc", USER).await;
    assert_eq!(
        (again.status, &again.json()["version"], &again.json()["id"]),
        (201, &json!(3), &id)
    );
    let versions = server.get("/users/schema.avsc?versions").await.json();
    let deleted: Vec<_> =
        versions.as_array().unwrap().iter().map(|it| it["deleted"].clone()).collect();
    assert_eq!(deleted, [json!(true), json!(true), json!(false)]);
    assert_eq!(server.delete("/users/schema.avsc?permanent=true").await.status, 204);
    assert_eq!(server.get("/users/schema.avsc?versions").await.status, 404);
}

#[tokio::test]
async fn documents_keep_to_the_preconditions_of_http() {
    let server = SchemaServer::in_memory().await;
    let put = async |headers: &[(&str, &str)], text: &str| {
        server.ask(Method::PUT, "/a.avsc", headers, text).await.status
    };
    assert_eq!(put(&[("if-match", "*")], "\"int\"").await, 412);
    assert_eq!(put(&[("if-none-match", "*")], "\"int\"").await, 201);
    assert_eq!(put(&[("if-none-match", "*")], "\"long\"").await, 412);
    let tag = server.get("/a.avsc").await.header("etag").to_owned();
    let known = server.ask(Method::GET, "/a.avsc", &[("if-none-match", &tag)], "").await;
    assert_eq!((known.status, &*known.body, known.header("etag")), (304, "", &*tag));
    assert_eq!(put(&[("if-match", &tag)], "\"long\"").await, 200);
    assert_eq!(put(&[("if-match", &tag)], "\"string\"").await, 412, "somebody was quicker");
    let known = server.ask(Method::GET, "/a.avsc", &[("if-none-match", &tag)], "").await;
    assert_eq!((known.status, &*known.body), (200, "\"long\""));
    let deleted = server.ask(Method::DELETE, "/a.avsc", &[("if-match", &tag)], "").await;
    assert_eq!(deleted.status, 412);
}

#[tokio::test]
async fn what_is_no_schema_or_no_path_is_refused_with_a_sentence() {
    let server = SchemaServer::in_memory().await;
    let table = [
        ("/a.avsc", "{}", 422, "Invalid schema: schema object without \"type\""),
        ("/a.avsc", "\"strin\"", 422, "Invalid schema: unknown type \"strin\""),
        ("/a.avsc", "message A {}", 422, "Invalid schema: it is no JSON"),
        ("/a.proto", "message", 422, "Invalid schema"),
        ("/a.schema.json", "{", 422, "Invalid schema: it is no JSON"),
        ("/a//b.avsc", "\"int\"", 400, "The path has empty segments or dots"),
        ("/schemas/a.avsc", "\"int\"", 404, "HTTP 404 Not Found"),
        ("/folder/", "\"int\"", 405, "HTTP 405 Method Not Allowed"),
    ];
    for (path, text, status, message) in table {
        let reply = server.put(path, text).await;
        let said = reply.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(reply.status, status, "{path} {text}: {said}");
        assert!(said.starts_with(message), "{path} {text}: {said}");
    }
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    assert_eq!(server.put("/a.avsc", &large).await.status, 413);
    let larger = schema(&"x".repeat(4 * 1024 * 1024));
    assert_eq!(server.post("/subjects/a/versions", &larger).await.status, 413);
    assert_eq!(server.get("/").await.json()["documents"], json!([]));
}

#[tokio::test]
async fn documents_of_every_format_are_served_as_what_they_are() {
    let server = SchemaServer::in_memory().await;
    for (path, text, format, media) in [
        ("/a.avsc", USER, "AVRO", "application/json"),
        ("/a.schema.json", "{\"type\":\"object\"}", "JSON", "application/schema+json"),
        ("/a.json", JSON_SCHEMA, "JSON", "application/schema+json"),
        ("/a.proto", PROTO, "PROTOBUF", "text/x-protobuf; charset=utf-8"),
        ("/a", PROTO, "PROTOBUF", "text/x-protobuf; charset=utf-8"),
    ] {
        let put = server.put(path, text).await;
        assert_eq!(put.status, 201, "{path}: {}", put.body);
        assert_eq!(put.json()["schemaType"], format, "{path}");
        let read = server.get(path).await;
        assert_eq!((&*read.body, read.header("content-type")), (text, media), "{path}");
    }
}
