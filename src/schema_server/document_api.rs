//! Schema documents by path: `PUT`, `GET`, `HEAD` and `DELETE` of `/users/schema.avsc`, its versions, and lists of folders.
//! Every path is a document's that does not begin as one of the registry's does.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, json, shown},
    content::registry_name,
    documents::{self, Document, Put, etag},
    register::Service,
    routes::{Query, bytes},
    versions::Page,
};
use crate::schema::SchemaFormat;

/// What is asked of a document, or of a folder.
pub(super) async fn document(
    State(service): State<Arc<Service>>,
    query: Query,
    request: Request,
) -> Answer {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let path = decoded(request.uri().path())?;
    let reads = matches!(method, Method::GET | Method::HEAD);
    if path.is_empty() || path.ends_with('/') {
        return if reads {
            list(&service, path, &query).await
        } else {
            Ok(not_allowed("GET, HEAD"))
        };
    }
    match method {
        _ if reads && query.text("versions").is_some() => history(&service, path).await,
        _ if reads => get(&service, path, &query, &headers).await,
        Method::PUT => {
            let body = bytes(Bytes::from_request(request, &()).await)?;
            put(&service, path, &headers, body).await
        }
        Method::DELETE => delete(&service, path, &query, &headers).await,
        _ => Ok(not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

async fn get(service: &Service, path: String, query: &Query, headers: &HeaderMap) -> Answer {
    let wanted = query.text("version").map(|version| version.parse::<i64>());
    let wanted = wanted.transpose().map_err(|_| Refusal::new(400, "version is no number"))?;
    let read = service.database.read(move |connection| {
        let found = match wanted {
            Some(version) => documents::version(connection, &path, version)?,
            None => documents::current(connection, &path)?,
        };
        found.ok_or_else(|| documents::not_found(&path))
    });
    let (document, body) = read.await?;
    let etag = etag(&body);
    let known = Preconditions::new(headers).none_match.is_some_and(|known| weakly(&known, &etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media(document.format))], body).into_response()
    };
    describe(&mut response, &document, &etag);
    Ok(response)
}

async fn put(service: &Service, path: String, headers: &HeaderMap, body: Bytes) -> Answer {
    let most = service.limits.max_schema_bytes;
    if body.len() > most {
        return Err(Refusal::new(413, format!("The document has more than {most} bytes")));
    }
    let text = std::str::from_utf8(&body)
        .map_err(|_| Refusal::invalid_schema("the document is not UTF-8"))?;
    let content = service.recognise(formats(&path, text), text.to_owned()).await?;
    let conditions = Preconditions::new(headers);
    let tag = etag(&body);
    let write = service.database.write(move |transaction| {
        let current = documents::current(transaction, &path)?;
        conditions.hold(current.map(|(_, body)| etag(&body)).as_deref())?;
        documents::put(transaction, &path, &content, &body)
    });
    let (done, document) = write.await?;
    let (version, id) = (document.version, document.schema);
    tracing::info!(path = shown(&document.path), version, id, "document put");
    let mut response = json(&described(&document));
    describe(&mut response, &document, &tag);
    if done == Put::Created {
        *response.status_mut() = StatusCode::CREATED;
        let location = HeaderValue::from_str(&encoded(&document.path));
        response.headers_mut().extend(location.ok().map(|at| (header::LOCATION, at)));
    }
    Ok(response)
}

async fn delete(service: &Service, path: String, query: &Query, headers: &HeaderMap) -> Answer {
    let permanent = query.is_set("permanent");
    let conditions = Preconditions::new(headers);
    let name = shown(&path);
    let write = service.database.write(move |transaction| {
        let current = documents::current(transaction, &path)?;
        let is_there = match permanent {
            true => !documents::history(transaction, &path)?.is_empty(),
            false => current.is_some(),
        };
        if !is_there {
            return Err(documents::not_found(&path));
        }
        conditions.hold(current.map(|(_, body)| etag(&body)).as_deref())?;
        if permanent {
            documents::remove(transaction, &path)
        } else {
            documents::delete(transaction, &path)
        }
    });
    write.await?;
    tracing::info!(path = name, permanent, "document deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn history(service: &Service, path: String) -> Answer {
    let name = path.clone();
    let versions =
        service.database.read(move |connection| documents::history(connection, &path)).await?;
    if versions.is_empty() {
        return Err(documents::not_found(&name));
    }
    Ok(json(&versions.iter().map(described).collect::<Vec<_>>()))
}

async fn list(service: &Service, folder: String, query: &Query) -> Answer {
    let after = query.text("after").unwrap_or_default().trim_start_matches('/').to_owned();
    let limit = Page::new(None, query.number("limit")).limit.clamp(1, MAX_LISTED);
    let read = service.database.read(move |connection| {
        documents::list(connection, &folder, &after, limit.saturating_add(1))
    });
    let mut found = read.await?;
    let more = i64::try_from(found.len()).is_ok_and(|found| found > limit);
    if more {
        found.pop();
    }
    let mut answer = json!({"documents": found.iter().map(described).collect::<Vec<_>>()});
    if let Some(last) = found.last().filter(|_| more) {
        answer["after"] = format!("/{}", last.path).into();
    }
    Ok(json(&answer))
}

fn described(document: &Document) -> Value {
    json!({
        "path": format!("/{}", document.path),
        "version": document.version,
        "id": document.schema,
        "guid": document.guid.to_string(),
        "schemaType": registry_name(document.format),
        "bytes": document.bytes,
        "created": document.created,
        "deleted": document.deleted,
    })
}

fn describe(response: &mut Response, document: &Document, etag: &str) {
    let texts = [
        (header::ETAG, etag.to_owned()),
        (HeaderName::from_static("schema-id"), document.schema.to_string()),
        (HeaderName::from_static("schema-guid"), document.guid.to_string()),
        (HeaderName::from_static("schema-version"), document.version.to_string()),
    ];
    let values = texts
        .into_iter()
        .filter_map(|(name, text)| HeaderValue::from_str(&text).ok().map(|value| (name, value)));
    response.headers_mut().extend(values);
}

const fn media(format: SchemaFormat) -> &'static str {
    match format {
        SchemaFormat::Json => "application/schema+json",
        SchemaFormat::Protobuf => "text/x-protobuf; charset=utf-8",
        _ => "application/json",
    }
}

/// What a document can be, by its name and then by how it looks, the likeliest first.
fn formats(path: &str, text: &str) -> Vec<SchemaFormat> {
    let name = path.to_ascii_lowercase();
    let is_json_schema = || {
        let value: Option<Value> = serde_json::from_str(text).ok();
        value.is_some_and(|value| value.get("$schema").is_some())
    };
    if name.ends_with(".avsc") {
        vec![SchemaFormat::Avro]
    } else if name.ends_with(".proto") {
        vec![SchemaFormat::Protobuf]
    } else if name.ends_with(".schema.json") || is_json_schema() {
        vec![SchemaFormat::Json]
    } else if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[', '"']) {
        vec![SchemaFormat::Avro, SchemaFormat::Json]
    } else {
        vec![SchemaFormat::Protobuf]
    }
}

fn not_allowed(allowed: &'static str) -> Response {
    let mut response = Refusal::new(405, "HTTP 405 Method Not Allowed").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The path of a document, without the slash in front; of a folder with the one at the end.
fn decoded(path: &str) -> Result<String, Refusal> {
    let wrong = |what: &str| Refusal::new(400, format!("The path {what}"));
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let pair = digit().zip(digit()).map(|(high, low)| high << 4 | low);
        let byte = pair.and_then(|byte| u8::try_from(byte).ok());
        bytes.push(byte.ok_or_else(|| wrong("is not percent-encoded"))?);
    }
    let path = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    if path.len() > MAX_PATH_BYTES {
        return Err(wrong("is too long"));
    }
    if path.chars().any(char::is_control) {
        return Err(wrong("has control characters"));
    }
    let segments = path.strip_suffix('/').unwrap_or(path).split('/');
    if !path.is_empty() && segments.clone().any(|part| matches!(part, "" | "." | "..")) {
        return Err(wrong("has empty segments or dots"));
    }
    if segments.clone().next().is_some_and(|first| RESERVED.contains(&first)) {
        return Err(Refusal::new(404, "HTTP 404 Not Found"));
    }
    Ok(path.to_owned())
}

/// A path as it stands in a URL.
fn encoded(path: &str) -> String {
    let mut out = String::from("/");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What must hold for a request to be done (RFC 9110, section 13).
#[derive(Debug, Default)]
struct Preconditions {
    matches: Option<String>,
    none_match: Option<String>,
}

impl Preconditions {
    fn new(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let values: Vec<_> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Self { matches: text(header::IF_MATCH), none_match: text(header::IF_NONE_MATCH) }
    }

    fn hold(&self, current: Option<&str>) -> Result<(), Refusal> {
        let matches = self.matches.as_ref().is_none_or(|wanted| {
            current.is_some_and(|tag| tags(wanted).any(|each| each == "*" || each == tag))
        });
        let none = self
            .none_match
            .as_ref()
            .is_none_or(|known| !current.is_some_and(|tag| weakly(known, tag)));
        if matches && none {
            Ok(())
        } else {
            Err(Refusal::new(412, "A precondition does not hold"))
        }
    }
}

fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

fn weakly(list: &str, tag: &str) -> bool {
    tags(list).any(|each| each == "*" || each.strip_prefix("W/").unwrap_or(each) == tag)
}

/// First segments of paths that are the registry's, or the server's own.
const RESERVED: [&str; 11] = [
    "clusters",
    "compatibility",
    "config",
    "contexts",
    "exporters",
    "livez",
    "metrics",
    "mode",
    "schemas",
    "subjects",
    "v1",
];
const MAX_PATH_BYTES: usize = 1_024;
/// Documents that are listed at once.
const MAX_LISTED: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling_and_are_not_the_registrys() {
        for (path, expected) in [
            ("/", Ok("")),
            ("/users/schema.avsc", Ok("users/schema.avsc")),
            ("/users/", Ok("users/")),
            ("/a%20b/gr%C3%BCn%2Fx", Ok("a b/grün/x")),
            ("/subject", Ok("subject")),
            ("/a//b", Err(400)),
            ("/a/../b", Err(400)),
            ("/%2e%2e/b", Err(400)),
            ("//", Err(400)),
            ("/a%0ab", Err(400)),
            ("/a%ff", Err(400)),
            ("/a%4", Err(400)),
            ("/subjects/a/b", Err(404)),
            ("/livez/", Err(404)),
        ] {
            let found = decoded(path).map_err(|refusal| refusal.code);
            assert_eq!(found, expected.map(str::to_owned), "{path}");
        }
        assert!(decoded(&format!("/{}", "x".repeat(1_025))).is_err());
        assert_eq!(encoded("a b/grün"), "/a%20b/gr%C3%BCn");
    }

    #[test]
    fn preconditions_are_those_of_http() {
        let conditions = |matches: Option<&str>, none_match: Option<&str>| Preconditions {
            matches: matches.map(Into::into),
            none_match: none_match.map(Into::into),
        };
        for (matches, none_match, current, holds) in [
            (None, None, None, true),
            (Some("\"a\""), None, Some("\"a\""), true),
            (Some("\"b\", \"a\""), None, Some("\"a\""), true),
            (Some("W/\"a\""), None, Some("\"a\""), false),
            (Some("\"b\""), None, Some("\"a\""), false),
            (Some("*"), None, Some("\"a\""), true),
            (Some("*"), None, None, false),
            (None, Some("*"), None, true),
            (None, Some("*"), Some("\"a\""), false),
            (None, Some("W/\"a\""), Some("\"a\""), false),
            (None, Some("\"b\""), Some("\"a\""), true),
        ] {
            let held = conditions(matches, none_match).hold(current).is_ok();
            assert_eq!(held, holds, "{matches:?} {none_match:?} {current:?}");
        }
    }

    #[test]
    fn a_documents_name_comes_before_its_looks() {
        use SchemaFormat::{Avro, Json, Protobuf};
        let dialect = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema"}"#;
        for (path, text, expected) in [
            ("a.avsc", dialect, vec![Avro]),
            ("a.AVSC", "x", vec![Avro]),
            ("a.proto", "{}", vec![Protobuf]),
            ("a.schema.json", "{}", vec![Json]),
            ("a.json", dialect, vec![Json]),
            ("a", dialect, vec![Json]),
            ("a.json", "{}", vec![Avro, Json]),
            ("a", "\u{feff} \"int\"", vec![Avro, Json]),
            ("a", "syntax = \"proto3\";", vec![Protobuf]),
        ] {
            assert_eq!(formats(path, text), expected, "{path}: {text}");
        }
    }
}
