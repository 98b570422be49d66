//! Levels of compatibility in the Confluent API, and the question whether a schema would fit.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{Answer, Refusal, registry, shown},
    level::Level,
    register::Service,
    registry_api::{Shared, named, parsed, proposed},
    routes::{Body, Query},
    versions::{self, Wanted},
};

pub(super) async fn level(State(service): Shared) -> Answer {
    let read = service.database.read(|connection| versions::level_in_force(connection, ""));
    Ok(registry(&json!({"compatibilityLevel": read.await?.level.label()})))
}

pub(super) async fn set_level(State(service): Shared, headers: HeaderMap, body: Body) -> Answer {
    write_level(&service, String::new(), &headers, body).await
}

pub(super) async fn unset_level(State(service): Shared) -> Answer {
    let write = service.database.write(|transaction| {
        versions::set_level(transaction, "", None)?;
        versions::level_in_force(transaction, "")
    });
    Ok(registry(&json!({"compatibilityLevel": write.await?.level.label()})))
}

pub(super) async fn subject_level(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
) -> Answer {
    let (subject, default) = (named(subject)?, query.is_set("defaultToGlobal"));
    let read = service.database.read(move |connection| {
        if default {
            return Ok(versions::level_in_force(connection, &subject)?.level);
        }
        versions::level(connection, &subject)?.ok_or_else(|| not_configured(&subject))
    });
    Ok(registry(&json!({"compatibilityLevel": read.await?.label()})))
}

pub(super) async fn set_subject_level(
    State(service): Shared,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    write_level(&service, named(subject)?, &headers, body).await
}

pub(super) async fn unset_subject_level(
    State(service): Shared,
    Path(subject): Path<String>,
) -> Answer {
    let subject = named(subject)?;
    let write = service.database.write(move |transaction| {
        let level = versions::level(transaction, &subject)?;
        versions::set_level(transaction, &subject, None)?;
        level.ok_or_else(|| not_configured(&subject))
    });
    Ok(registry(&json!({"compatibilityLevel": write.await?.label()})))
}

pub(super) async fn check_all(
    State(service): Shared,
    Path(subject): Path<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (subject, proposed) = (named(subject)?, proposed(&headers, body)?);
    let faults = service.check(&subject, proposed, None).await?;
    Ok(checked(&faults, &query))
}

pub(super) async fn check_one(
    State(service): Shared,
    Path((subject, wanted)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (subject, wanted) = (named(subject)?, Wanted::parse(&wanted)?);
    let faults = service.check(&subject, proposed(&headers, body)?, Some(wanted)).await?;
    Ok(checked(&faults, &query))
}

fn checked(faults: &[String], query: &Query) -> Response {
    let mut answer = json!({"is_compatible": faults.is_empty()});
    if query.is_set("verbose") {
        answer["messages"] = json!(faults);
    }
    registry(&answer)
}

async fn write_level(
    service: &Service,
    subject: String,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    #[derive(Deserialize)]
    struct Wanted {
        compatibility: Option<String>,
    }
    let Wanted { compatibility } = parsed(headers, body)?;
    let level = compatibility.as_deref().and_then(Level::parse).ok_or_else(|| {
        let valid = Level::ALL.map(|level| level.label().to_lowercase()).join(", ");
        Refusal::new(42203, format!("Invalid compatibility level. Valid values are {valid}"))
    })?;
    let name = shown(&subject);
    let write = service
        .database
        .write(move |transaction| versions::set_level(transaction, &subject, Some(level)));
    write.await?;
    tracing::info!(subject = name, level = level.label(), "compatibility level set");
    Ok(registry(&json!({"compatibility": level.label()})))
}

fn not_configured(subject: &str) -> Refusal {
    let subject = shown(subject);
    let what = format!("Subject '{subject}' does not have subject-level compatibility configured");
    Refusal::new(40408, what)
}
