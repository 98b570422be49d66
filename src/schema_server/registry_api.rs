//! The core of the Confluent REST API: paths, parameters, answers and error codes as its clients know them.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, registry, shown},
    content::{Reference, registry_name},
    register::{Proposed, Service},
    routes::{Body, Query, bytes},
    schemas::{self, Stored},
    versions::{self, Entry, Page, Shown, Wanted},
};
use crate::schema::{Guid, SchemaFormat};

pub(super) type Shared = State<Arc<Service>>;

pub(super) async fn subjects(State(service): Shared, query: Query) -> Answer {
    let which = shown_of(&query);
    let prefix = query.text("subjectPrefix").unwrap_or_default();
    // `:*:` asks for all contexts, of which there is one.
    let prefix = prefix.strip_prefix(":*:").unwrap_or(prefix).to_owned();
    let page = page_of(&query);
    let read = service
        .database
        .read(move |connection| versions::subjects(connection, &prefix, which, page));
    Ok(registry(&read.await?))
}

pub(super) async fn look_up(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (subject, proposed) = (named(subject)?, proposed(&headers, body)?);
    let which = Shown::new(query.is_set("deleted"), false);
    let (version, stored) = service.look_up(&subject, proposed, which).await?;
    answer_version(&service, &subject, version, &stored, &query).await
}

pub(super) async fn register(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (subject, proposed) = (named(subject)?, proposed(&headers, body)?);
    let (version, stored) = service.register(&subject, proposed).await?;
    let (id, guid) = (stored.id, stored.content.guid);
    tracing::info!(subject = shown(&subject), version, id, %guid, "schema registered");
    answer_version(&service, &subject, version, &stored, &query).await
}

pub(super) async fn versions(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
) -> Answer {
    let (subject, which, page) = (named(subject)?, shown_of(&query), page_of(&query));
    let read = service.database.read(move |connection| {
        let entries = versions::shown(connection, &subject, which)?;
        let number = |it| usize::try_from(it).unwrap_or(usize::MAX);
        let entries = entries.into_iter().skip(number(page.offset)).take(number(page.limit));
        Ok(entries.map(|entry| entry.version).collect::<Vec<_>>())
    });
    Ok(registry(&read.await?))
}

pub(super) async fn version(
    State(service): Shared,
    Path((subject, wanted)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let subject = named(subject)?;
    let (version, stored) = find(&service, &subject, &wanted, &query).await?;
    answer_version(&service, &subject, version, &stored, &query).await
}

pub(super) async fn version_text(
    State(service): Shared,
    Path((subject, wanted)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let subject = named(subject)?;
    let (_, stored) = find(&service, &subject, &wanted, &query).await?;
    plain(&service, &stored, &query).await
}

pub(super) async fn referenced_by(
    State(service): Shared,
    Path((subject, wanted)): Path<(String, String)>,
) -> Answer {
    let (subject, wanted) = (named(subject)?, Wanted::parse(&wanted)?);
    let read = service.database.read(move |connection| {
        let entry = versions::find(connection, &subject, wanted, Shown::All)?;
        versions::referenced_by(connection, &subject, entry.version)
    });
    Ok(registry(&read.await?))
}

pub(super) async fn delete_subject(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
) -> Answer {
    let (subject, permanent) = (named(subject)?, query.is_set("permanent"));
    let name = shown(&subject);
    let deleted = service.database.write(move |transaction| {
        let all = versions::entries(transaction, &subject)?;
        let live: Vec<_> = all.iter().filter(|entry| !entry.deleted).copied().collect();
        let shown = shown(&subject);
        let leaving = match (all.is_empty(), live.is_empty(), permanent) {
            (true, ..) => return Err(Refusal::subject_not_found(&subject)),
            (false, true, true) => all,
            (false, true, false) => {
                let what = format!(
                    "Subject '{shown}' was soft deleted. Set permanent=true to delete permanently"
                );
                return Err(Refusal::new(40404, what));
            }
            (false, false, true) => {
                let what = format!(
                    "Subject '{shown}' was not deleted first before being permanently deleted"
                );
                return Err(Refusal::new(40405, what));
            }
            (false, false, false) => live,
        };
        versions::set_level(transaction, &subject, None)?;
        for entry in &leaving {
            take_away(transaction, &subject, *entry, permanent)?;
        }
        Ok(leaving.into_iter().map(|entry| entry.version).collect::<Vec<_>>())
    });
    let deleted = deleted.await?;
    tracing::info!(subject = name, permanent, "subject deleted");
    Ok(registry(&deleted))
}

pub(super) async fn delete_version(
    State(service): Shared,
    Path((subject, wanted)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let (subject, wanted) = (named(subject)?, Wanted::parse(&wanted)?);
    let (name, permanent) = (shown(&subject), query.is_set("permanent"));
    let deleted = service.database.write(move |transaction| {
        let which = if wanted == Wanted::Latest { Shown::Live } else { Shown::All };
        let entry = versions::find(transaction, &subject, wanted, which)?;
        let place = format!("Subject '{}' Version {}", shown(&subject), entry.version);
        match (entry.deleted, permanent) {
            (true, false) => {
                let what = "was soft deleted. Set permanent=true to delete permanently";
                return Err(Refusal::new(40406, format!("{place} {what}")));
            }
            (false, true) => {
                let what = "was not deleted first before being permanently deleted";
                return Err(Refusal::new(40407, format!("{place} {what}")));
            }
            _ => take_away(transaction, &subject, entry, permanent)?,
        }
        Ok(entry.version)
    });
    let version = deleted.await?;
    tracing::info!(subject = name, version, permanent, "version deleted");
    Ok(registry(&version))
}

fn take_away(
    transaction: &rusqlite::Transaction<'_>,
    subject: &str,
    entry: Entry,
    permanent: bool,
) -> Result<(), Refusal> {
    let referring = versions::referenced_by(transaction, subject, entry.version)?;
    if !referring.is_empty() {
        let (subject, version) = (shown(subject), entry.version);
        let what = format!(
            "One or more references exist to the schema {{subject={subject},version={version}}}."
        );
        return Err(Refusal::new(42206, what));
    }
    if permanent {
        versions::remove(transaction, subject, entry)
    } else {
        versions::mark_deleted(transaction, subject, entry.version)
    }
}

pub(super) async fn types() -> Answer {
    Ok(registry(&["JSON", "PROTOBUF", "AVRO"]))
}

pub(super) async fn contexts() -> Answer {
    Ok(registry(&["."]))
}

pub(super) async fn mode() -> Answer {
    Ok(registry(&json!({"mode": "READWRITE"})))
}

pub(super) async fn schema(State(service): Shared, Path(id): Path<String>, query: Query) -> Answer {
    let stored = of_id(&service, &id).await?;
    answer_schema(&service, &stored, &query).await
}

pub(super) async fn schema_text(
    State(service): Shared,
    Path(id): Path<String>,
    query: Query,
) -> Answer {
    let stored = of_id(&service, &id).await?;
    plain(&service, &stored, &query).await
}

pub(super) async fn schema_subjects(
    State(service): Shared,
    Path(id): Path<String>,
    query: Query,
) -> Answer {
    let mut subjects: Vec<_> =
        places(&service, &id, &query).await?.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    Ok(registry(&subjects))
}

pub(super) async fn schema_versions(
    State(service): Shared,
    Path(id): Path<String>,
    query: Query,
) -> Answer {
    let places = places(&service, &id, &query).await?;
    let place = |(subject, version)| json!({"subject": subject, "version": version});
    Ok(registry(&places.into_iter().map(place).collect::<Vec<_>>()))
}

pub(super) async fn schema_of_guid(
    State(service): Shared,
    Path(guid): Path<String>,
    query: Query,
) -> Answer {
    let stored = of_guid(&service, &guid).await?;
    answer_schema(&service, &stored, &query).await
}

pub(super) async fn ids_of_guid(State(service): Shared, Path(guid): Path<String>) -> Answer {
    let stored = of_guid(&service, &guid).await?;
    Ok(registry(&[json!({"context": ".", "id": stored.id})]))
}

async fn find(
    service: &Service,
    subject: &str,
    wanted: &str,
    query: &Query,
) -> Result<(i64, Stored), Refusal> {
    let (subject, wanted) = (subject.to_owned(), Wanted::parse(wanted)?);
    let which = Shown::new(query.is_set("deleted"), false);
    let read = service.database.read(move |connection| {
        let entry = versions::find(connection, &subject, wanted, which)?;
        let stored = schemas::by_id(connection, entry.schema)?;
        Ok((entry.version, stored.ok_or_else(|| Refusal::schema_not_found(entry.schema))?))
    });
    read.await
}

async fn of_id(service: &Service, id: &str) -> Result<Stored, Refusal> {
    let number = id.parse::<i64>().map_err(|_| Refusal::schema_not_found(shown(id)))?;
    let read = service.database.read(move |connection| schemas::by_id(connection, number));
    read.await?.ok_or_else(|| Refusal::schema_not_found(number))
}

async fn of_guid(service: &Service, guid: &str) -> Result<Stored, Refusal> {
    let not_found = Refusal::schema_not_found(shown(guid));
    let Some(guid) = Guid::parse(guid) else { return Err(not_found) };
    let read = service.database.read(move |connection| match schemas::id_of(connection, guid)? {
        Some(id) => schemas::by_id(connection, id),
        None => Ok(None),
    });
    read.await?.ok_or(not_found)
}

/// Subjects and versions of an id that is known.
async fn places(service: &Service, id: &str, query: &Query) -> Result<Vec<(String, i64)>, Refusal> {
    let id = of_id(service, id).await?.id;
    let (which, page) = (Shown::new(query.is_set("deleted"), false), page_of(query));
    let read =
        service.database.read(move |connection| versions::of_schema(connection, id, which, page));
    read.await
}

async fn answer_version(
    service: &Service,
    subject: &str,
    version: i64,
    stored: &Stored,
    query: &Query,
) -> Answer {
    let mut answer = described(service, stored, query).await?;
    answer["subject"] = subject.into();
    answer["version"] = version.into();
    answer["id"] = stored.id.into();
    Ok(registry(&answer))
}

async fn answer_schema(service: &Service, stored: &Stored, query: &Query) -> Answer {
    let mut answer = described(service, stored, query).await?;
    if query.is_set("fetchMaxId") {
        answer["maxId"] = json!(service.database.read(schemas::largest_id).await?);
    }
    Ok(registry(&answer))
}

async fn described(service: &Service, stored: &Stored, query: &Query) -> Result<Value, Refusal> {
    let text = service.text(stored, query.text("format") == Some("serialized")).await?;
    let content = &stored.content;
    let mut answer = json!({
        "guid": content.guid.to_string(),
        "schemaType": registry_name(content.format),
        "schema": text,
    });
    if !content.references.is_empty() {
        answer["references"] = json!(content.references);
    }
    Ok(answer)
}

async fn plain(service: &Service, stored: &Stored, query: &Query) -> Answer {
    let text = service.text(stored, query.text("format") == Some("serialized")).await?;
    let media = match stored.content.format {
        SchemaFormat::Protobuf => "text/plain; charset=utf-8",
        _ => "application/json",
    };
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

/// The schema that a body proposes.
pub(super) fn proposed(headers: &HeaderMap, body: Body) -> Result<Proposed, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sent {
        #[serde(default)]
        schema: String,
        schema_type: Option<String>,
        references: Option<Vec<Reference>>,
        id: Option<i64>,
        metadata: Option<Value>,
        rule_set: Option<Value>,
    }
    let sent: Sent = parsed(headers, body)?;
    if sent.schema.trim().is_empty() {
        return Err(Refusal::new(42201, "Empty schema"));
    }
    if sent.id.is_some_and(|id| id >= 0) {
        return Err(Refusal::new(
            42205,
            "Ids are given by this server: mode IMPORT is not supported",
        ));
    }
    let holds_something = |value: &Value| match value {
        Value::Object(members) => members.values().any(|member| !member.is_null()),
        value => !value.is_null(),
    };
    if sent.metadata.iter().chain(&sent.rule_set).any(holds_something) {
        let what = "Metadata and rule sets are not supported by this server";
        return Err(Refusal::new(42210, what));
    }
    let kind = sent.schema_type.as_deref().unwrap_or("AVRO");
    let format = SchemaFormat::from_registry(&kind.to_ascii_uppercase())
        .ok_or_else(|| Refusal::invalid_schema(format!("type {} is not known", shown(kind))))?;
    Ok(Proposed { format, text: sent.schema, references: sent.references.unwrap_or_default() })
}

/// A body in JSON, and said to be: a web page of anybody's can have a browser send any other, unasked.
pub(super) fn parsed<T: for<'de> Deserialize<'de>>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = media.eq_ignore_ascii_case("application/json")
        || media.to_ascii_lowercase().ends_with("+json")
        || media.eq_ignore_ascii_case("application/octet-stream");
    if !is_json {
        return Err(Refusal::new(415, "HTTP 415 Unsupported Media Type"));
    }
    serde_json::from_slice(&bytes(body)?)
        .map_err(|error| Refusal::new(400, format!("The body cannot be read: {error}")))
}

/// The name of a subject that may be one.
pub(super) fn named(subject: String) -> Result<String, Refusal> {
    // The default context can be named.
    let name = subject.strip_prefix(":.:").unwrap_or(&subject);
    let wrong = name.is_empty() || name.len() > MAX_SUBJECT_BYTES || name.starts_with(":.");
    if wrong || name.chars().any(char::is_control) {
        let what = format!("The specified subject '{}' is not a valid subject", shown(name));
        return Err(Refusal::new(42208, what));
    }
    Ok(name.to_owned())
}

fn shown_of(query: &Query) -> Shown {
    Shown::new(query.is_set("deleted"), query.is_set("deletedOnly"))
}

fn page_of(query: &Query) -> Page {
    Page::new(query.number("offset"), query.number("limit"))
}

const MAX_SUBJECT_BYTES: usize = 1_024;
