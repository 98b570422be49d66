//! What was acknowledged stays: with many writers at once, and killed at any moment.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{USER, refused, schema};
use crate::support::{proxy::loopback, schema_server::SchemaServer, wait};

#[tokio::test]
async fn whoever_registers_at_once_gets_one_id_and_versions_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(SchemaServer::keeping(folder.path()).await);
    server.put("/config", r#"{"compatibility":"NONE"}"#).await;
    let same = (0..24).map(|at| (format!("/subjects/s{}/versions", at % 3), USER.to_owned()));
    let different = (0..24).map(|at| {
        let text = format!(r#"{{"type":"fixed","name":"F{at}","size":1}}"#);
        ("/subjects/many/versions".to_owned(), text)
    });
    let tasks: Vec<_> = same
        .chain(different)
        .map(|(path, text)| {
            let server = Arc::clone(&server);
            tokio::spawn(
                async move { (text.clone(), server.post(&path, &schema(&text)).await.json()) },
            )
        })
        .collect();
    let mut ids: HashMap<String, Value> = HashMap::new();
    for task in tasks {
        let (text, answer) = task.await.unwrap();
        assert!(answer["id"].is_i64(), "{answer}");
        assert_eq!(ids.entry(text).or_insert(answer["id"].clone()), &answer["id"]);
    }
    assert_eq!(ids.len(), 25);
    let versions = server.get("/subjects/many/versions").await.json();
    assert_eq!(versions, json!((1..=24).collect::<Vec<_>>()));
}

/// What was acknowledged: subject, text, version and id; and documents by path.
type Ledger = Vec<(String, String, Value)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let host = loopback();
    let args = ["--data", folder.path().to_str().unwrap()];
    let mut acknowledged = Ledger::new();
    for round in 0..6_u32 {
        let server = Arc::new(SchemaServer::start(&host, "http", &args).await);
        acknowledged.extend(write_until_it_is_killed(&server, round).await);
        Arc::into_inner(server).unwrap().crash();
    }
    let server = SchemaServer::start(&host, "http", &args).await;
    assert!(acknowledged.len() > 60, "{} were acknowledged", acknowledged.len());
    let mut texts_of_ids: HashMap<i64, String> = HashMap::new();
    for (path, text, answer) in &acknowledged {
        let id = answer["id"].as_i64().unwrap();
        let known = texts_of_ids.entry(id).or_insert_with(|| text.clone());
        assert_eq!(known, text, "id {id} was given twice");
        let schema = server.get(&format!("/schemas/ids/{id}")).await.json();
        assert_eq!(schema["schema"], **text, "{path}: {answer}");
        assert_eq!(schema["guid"], answer["guid"]);
        if let Some(subject) = path.strip_prefix("/subjects/") {
            let version = &answer["version"];
            let found = server.get(&format!("/subjects/{subject}/{version}")).await.json();
            assert_eq!((&found["id"], &found["version"]), (&answer["id"], version), "{path}");
        } else {
            assert_eq!(server.get(path).await.body, *text);
        }
    }
    // What was registered before a crash has the same id after it, for whoever asks again.
    let (_, text, answer) = &acknowledged[0];
    let again = server.post("/subjects/again/versions", &schema(text)).await.json();
    assert_eq!(again["id"], answer["id"]);
}

/// Four writers at once; the server is killed when a number of writes, another one each round, has been acknowledged.
async fn write_until_it_is_killed(server: &Arc<SchemaServer>, round: u32) -> Ledger {
    let written = Arc::new(AtomicU32::new(0));
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let (server, written) = (Arc::clone(server), Arc::clone(&written));
            tokio::spawn(async move { write(&server, round, writer, &written).await })
        })
        .collect();
    let enough = 13 + round * 7;
    wait::until("enough is acknowledged", || written.load(Ordering::SeqCst) >= enough).await;
    server.signal("KILL");
    let mut ledger = Ledger::new();
    for writer in writers {
        ledger.extend(writer.await.unwrap());
    }
    ledger
}

async fn write(server: &SchemaServer, round: u32, writer: u32, written: &AtomicU32) -> Ledger {
    let mut ledger = Ledger::new();
    for number in 0.. {
        let name = format!("R{round}W{writer}N{number}");
        let text = format!(r#"{{"type":"fixed","name":"{name}","size":1}}"#);
        let by_path = number % 3 == 0;
        let (method, path, body) = if by_path {
            (Method::PUT, format!("/{name}.avsc"), text.clone())
        } else {
            let path = format!("/subjects/s{writer}-{round}-{number}/versions");
            (Method::POST, path, schema(&text).to_string())
        };
        let json = [("content-type", "application/json")];
        let Ok(reply) = server.try_ask(method, &path, &json, &body).await else { return ledger };
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        ledger.push((path, text, reply.json()));
        written.fetch_add(1, Ordering::SeqCst);
    }
    ledger
}

#[tokio::test]
async fn what_is_kept_by_another_version_or_is_damaged_or_in_use_is_said_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, host) = (folder.path().to_str().unwrap(), loopback());
    let listen = format!("{host}:8082");
    let args = ["--listen", &listen, "--data", path];
    let server = SchemaServer::keeping(folder.path()).await;
    server.put("/a.avsc", USER).await;
    let (code, said) = refused(&args);
    assert_eq!(code, Some(1));
    assert!(said.contains("is used by another process"), "{said}");
    server.signal("TERM");
    assert_eq!(server.ended().await.0, Some(0));
    let database = folder.path().join("schemas.db");
    let connection = Connection::open(&database).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let (code, said) = refused(&args);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("schemas.db has layout 99, this version of schemaward reads 1"),
        "{said}"
    );
    fs::write(&database, "no database".repeat(1_000)).unwrap();
    let (code, said) = refused(&args);
    assert_eq!(code, Some(1));
    assert!(said.contains("schemas.db is damaged, or no database"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
