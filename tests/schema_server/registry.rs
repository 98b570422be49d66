//! The core of the Confluent API: ids, GUIDs, subjects, versions, references, deletion, error codes.

use reqwest::Method;
use serde_json::json;

use super::{USER, USER_WITH_AGE, schema};
use crate::support::schema_server::SchemaServer;

#[tokio::test]
async fn the_same_schema_has_the_same_id_and_guid_in_all_subjects() {
    let server = SchemaServer::in_memory().await;
    let one = server.post("/subjects/one/versions", &schema(USER)).await;
    assert_eq!(one.header("content-type"), "application/vnd.schemaregistry.v1+json");
    let spaced = "{\"name\": \"User\", \"type\": \"record\",\n \"fields\": [{\"name\": \"name\", \"type\": {\"type\": \"string\"}}]}";
    let two =
        server.post("/subjects/a%2Ftwo/versions?normalize=true", &schema(spaced)).await.json();
    let one = one.json();
    assert_eq!((&two["id"], &two["guid"], &two["version"]), (&one["id"], &one["guid"], &json!(1)));
    assert_eq!(two["schema"], USER);
    let other = server.post("/subjects/one/versions", &schema(USER_WITH_AGE)).await.json();
    assert_ne!(other["id"], one["id"]);
    assert_eq!(other["version"], 2);
    let again = server.post("/subjects/one/versions", &schema(USER)).await.json();
    assert_eq!((&again["id"], &again["version"]), (&one["id"], &json!(1)), "it is there already");
    let (id, guid) = (&one["id"], one["guid"].as_str().unwrap());
    for (path, expected) in [
        ("/subjects".to_owned(), json!(["a/two", "one"])),
        ("/subjects?subjectPrefix=a".to_owned(), json!(["a/two"])),
        ("/subjects?offset=1&limit=1".to_owned(), json!(["one"])),
        ("/subjects/one/versions".to_owned(), json!([1, 2])),
        (format!("/schemas/ids/{id}/subjects"), json!(["a/two", "one"])),
        (
            format!("/schemas/ids/{id}/versions"),
            json!([{"subject": "a/two", "version": 1}, {"subject": "one", "version": 1}]),
        ),
        (format!("/schemas/ids/{id}/schema"), serde_json::from_str(USER).unwrap()),
        ("/subjects/one/versions/1/schema".to_owned(), serde_json::from_str(USER).unwrap()),
        (format!("/schemas/guids/{guid}/ids"), json!([{"context": ".", "id": id}])),
        ("/schemas/types".to_owned(), json!(["JSON", "PROTOBUF", "AVRO"])),
        ("/mode".to_owned(), json!({"mode": "READWRITE"})),
    ] {
        assert_eq!(server.get(&path).await.json(), expected, "{path}");
    }
    let of_id = json!({"guid": guid, "schemaType": "AVRO", "schema": USER});
    assert_eq!(server.get(&format!("/schemas/ids/{id}")).await.json(), of_id);
    assert_eq!(server.get(&format!("/schemas/guids/{guid}")).await.json(), of_id);
    let most = server.get(&format!("/schemas/ids/{id}?fetchMaxId=true")).await.json();
    assert_eq!(most["maxId"], other["id"]);
    let latest = server.get("/subjects/one/versions/latest").await.json();
    assert_eq!((&latest["id"], &latest["subject"]), (&other["id"], &json!("one")));
    assert_eq!(server.post("/subjects/one", &schema(spaced)).await.json()["version"], 1);
}

#[tokio::test]
async fn references_are_followed_and_hold_on_to_what_they_name() {
    let server = SchemaServer::in_memory().await;
    let address = r#"{"type":"record","name":"n.Address","fields":[]}"#;
    let user = r#"{"type":"record","name":"n.User","fields":[{"name":"home","type":"n.Address"}]}"#;
    let referring = |version: i64| {
        let reference = json!({"name": "n.Address", "subject": "address", "version": version});
        json!({"schema": user, "references": [reference]})
    };
    assert_eq!(server.post("/subjects/user/versions", &referring(1)).await.code(), 42201);
    server.post("/subjects/address/versions", &schema(address)).await;
    assert_eq!(server.post("/subjects/user/versions", &schema(user)).await.code(), 42201);
    let registered = server.post("/subjects/user/versions", &referring(-1)).await.json();
    let id = registered["id"].clone();
    assert_eq!(registered["references"][0]["version"], 1, "the latest has a number");
    assert_eq!(server.post("/subjects/user", &referring(1)).await.json()["id"], id);
    let by = server.get("/subjects/address/versions/1/referencedby").await.json();
    assert_eq!(by, json!([id]));
    assert_eq!(server.delete("/subjects/address").await.code(), 42206);
    assert_eq!(server.delete("/subjects/address/versions/1").await.code(), 42206);
    assert_eq!(server.delete("/subjects/user").await.json(), json!([1]));
    assert_eq!(server.delete("/subjects/address").await.json(), json!([1]));
}

#[tokio::test]
async fn deleting_is_in_two_steps_and_a_schema_that_comes_again_has_its_id_again() {
    let server = SchemaServer::in_memory().await;
    let first = server.post("/subjects/s/versions", &schema(USER)).await.json()["id"].clone();
    server.post("/subjects/s/versions", &schema(USER_WITH_AGE)).await;
    let steps = [
        ("/subjects/s/versions/1?permanent=true", json!(40407)),
        ("/subjects/s/versions/9", json!(40402)),
        ("/subjects/s/versions/zero", json!(42202)),
        ("/subjects/s?permanent=true", json!(40405)),
        ("/subjects/none", json!(40401)),
        ("/subjects/s/versions/latest", json!(2)),
        ("/subjects/s/versions/2", json!(40406)),
        ("/subjects/s", json!([1])),
        ("/subjects/s", json!(40404)),
    ];
    for (path, expected) in steps {
        let reply = server.delete(path).await;
        let found = if reply.status == 200 { reply.json() } else { json!(reply.code()) };
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(server.get("/subjects").await.json(), json!([]));
    assert_eq!(server.get("/subjects?deleted=true").await.json(), json!(["s"]));
    assert_eq!(server.get("/subjects/s/versions").await.code(), 40401);
    assert_eq!(server.get("/subjects/s/versions?deletedOnly=true").await.json(), json!([1, 2]));
    assert_eq!(server.get("/subjects/s/versions/1?deleted=true").await.json()["id"], first);
    assert_eq!(server.get(&format!("/schemas/ids/{first}")).await.status, 200, "records name it");
    assert_eq!(server.delete("/subjects/s?permanent=true").await.json(), json!([1, 2]));
    assert_eq!(server.get(&format!("/schemas/ids/{first}")).await.code(), 40403);
    let other = server.post("/subjects/s/versions", &schema("\"int\"")).await.json()["id"].clone();
    assert!(
        other.as_i64() > first.as_i64().map(|first| first + 1),
        "{other}: no id is given twice"
    );
    let again = server.post("/subjects/t/versions", &schema(USER)).await.json();
    assert_eq!(again["id"], first);
}

#[tokio::test]
async fn refusals_have_the_codes_that_clients_know() {
    let server = SchemaServer::in_memory().await;
    server.post("/subjects/s/versions", &schema(USER)).await;
    for (path, status, code) in [
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/none/versions/1", 404, 40401),
        ("/subjects/s/versions/2", 404, 40402),
        ("/subjects/s/versions/0", 422, 42202),
        ("/subjects/s/versions/x", 422, 42202),
        ("/subjects/:.other:s/versions", 422, 42208),
        ("/schemas/ids/99", 404, 40403),
        ("/schemas/ids/x", 404, 40403),
        ("/schemas/guids/x", 404, 40403),
        ("/schemas/guids/00000000-0000-0000-0000-000000000000", 404, 40403),
        ("/config/s", 404, 40408),
        ("/subjects/s/nothing", 404, 404),
    ] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{path}");
    }
    for (path, body, status, code) in [
        ("/subjects/s/versions", json!({"schema": ""}), 422, 42201),
        ("/subjects/s/versions", json!({"schema": "\"no\""}), 422, 42201),
        ("/subjects/s/versions", json!({"schema": "x", "schemaType": "THRIFT"}), 422, 42201),
        ("/subjects/s/versions", json!({"schema": "\"int\"", "id": 7}), 422, 42205),
        (
            "/subjects/s/versions",
            json!({"schema": "\"int\"", "ruleSet": {"domainRules": []}}),
            422,
            42210,
        ),
        ("/subjects/s/versions", json!([]), 400, 400),
        ("/subjects/none", schema(USER), 404, 40401),
        ("/subjects/s", schema("\"int\""), 404, 40403),
        ("/compatibility/subjects/s/versions/7", schema(USER), 404, 40402),
    ] {
        let reply = server.post(path, &body).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{path} {body}: {}", reply.body);
    }
    assert_eq!(server.put("/config", r#"{"compatibility":"SIDEWAYS"}"#).await.code(), 42203);
    assert_eq!(server.ask(Method::PATCH, "/config", &[], "").await.status, 405);
    // A browser sends this for any web page, unasked.
    let form = [("content-type", "text/plain")];
    let body = schema("\"int\"").to_string();
    assert_eq!(server.ask(Method::POST, "/subjects/s/versions", &form, &body).await.status, 415);
}
