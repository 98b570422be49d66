//! Rows of documents: each path with its versions, byte for byte as they were put.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{answer::Refusal, content::Content, schemas, versions::Page};
use crate::schema::{Guid, SchemaFormat};

/// A version of a document, its bytes apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) path: String,
    pub(super) version: i64,
    pub(super) schema: i64,
    pub(super) guid: Guid,
    pub(super) format: SchemaFormat,
    pub(super) bytes: i64,
    /// Seconds since 1970.
    pub(super) created: i64,
    pub(super) deleted: bool,
}

/// What was done with a document that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Created,
    Replaced,
    Unchanged,
}

const COLUMNS: &str = "path, version, schema, guid, format, length(body), created, deleted
    FROM documents JOIN schemas ON schemas.id = documents.schema";

/// The current version of a document with its bytes.
pub(super) fn current(
    connection: &Connection,
    path: &str,
) -> Result<Option<(Document, Vec<u8>)>, Refusal> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE path = ?1 AND deleted = 0 ORDER BY version DESC LIMIT 1"
    ))?;
    let found = statement.query_row([path], document).optional()?;
    found.map(|found| with_body(connection, found)).transpose()
}

/// A version of a document, also of one that was deleted.
pub(super) fn version(
    connection: &Connection,
    path: &str,
    version: i64,
) -> Result<Option<(Document, Vec<u8>)>, Refusal> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE path = ?1 AND version = ?2"))?;
    let found = statement.query_row(params![path, version], document).optional()?;
    found.map(|found| with_body(connection, found)).transpose()
}

fn with_body(connection: &Connection, found: Document) -> Result<(Document, Vec<u8>), Refusal> {
    let mut statement =
        connection.prepare_cached("SELECT body FROM documents WHERE path = ?1 AND version = ?2")?;
    let body = statement.query_row(params![found.path, found.version], |row| row.get(0))?;
    Ok((found, body))
}

/// All versions of a document, the oldest first, also those of one that was deleted.
pub(super) fn history(connection: &Connection, path: &str) -> Result<Vec<Document>, Refusal> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE path = ?1 ORDER BY version LIMIT ?2"))?;
    let rows = statement.query_map(params![path, Page::MOST], document)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Documents below `folder` (empty, or with a slash at its end) whose path comes after `after`, in order.
pub(super) fn list(
    connection: &Connection,
    folder: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Document>, Refusal> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE path > ?2 AND substr(path, 1, length(?1)) = ?1 AND deleted = 0
           AND version = (SELECT max(version) FROM documents AS d WHERE d.path = documents.path)
         ORDER BY path LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![folder, after.max(folder), limit], document)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts a document: as a new version, unless it is what is there already.
pub(super) fn put(
    transaction: &Transaction<'_>,
    path: &str,
    content: &Content,
    body: &[u8],
) -> Result<(Put, Document), Refusal> {
    let schema = schemas::intern(transaction, content)?;
    let before = current(transaction, path)?;
    let done = match before {
        Some((document, bytes)) if bytes == body && document.schema == schema => {
            return Ok((Put::Unchanged, document));
        }
        Some(_) => Put::Replaced,
        None => Put::Created,
    };
    let last: Option<i64> = transaction.query_row(
        "SELECT max(version) FROM documents WHERE path = ?1",
        [path],
        |row| row.get(0),
    )?;
    let next = last.unwrap_or(0).saturating_add(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    transaction.execute(
        "INSERT INTO documents (path, version, schema, body, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![path, next, schema, body, i64::try_from(now).unwrap_or(i64::MAX)],
    )?;
    let (document, _) = version(transaction, path, next)?.ok_or_else(|| not_found(path))?;
    Ok((done, document))
}

/// Takes a document away; its versions can still be read one by one.
pub(super) fn delete(transaction: &Transaction<'_>, path: &str) -> Result<(), Refusal> {
    transaction.execute("UPDATE documents SET deleted = 1 WHERE path = ?1", [path])?;
    Ok(())
}

/// Removes all versions of a document.
pub(super) fn remove(transaction: &Transaction<'_>, path: &str) -> Result<(), Refusal> {
    let mut statement =
        transaction.prepare_cached("SELECT DISTINCT schema FROM documents WHERE path = ?1")?;
    let schemas: Vec<i64> =
        statement.query_map([path], |row| row.get(0))?.collect::<Result<_, _>>()?;
    transaction.execute("DELETE FROM documents WHERE path = ?1", [path])?;
    schemas.into_iter().try_for_each(|schema| schemas::forget_unused(transaction, schema))
}

/// Stands for the bytes of a document (RFC 9110, section 8.8.3).
pub(super) fn etag(body: &[u8]) -> String {
    let digest = digest(&SHA256, body);
    let digits: String =
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

pub(super) fn not_found(path: &str) -> Refusal {
    Refusal::new(404, format!("There is no document at /{}", super::answer::shown(path)))
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let format: String = row.get(4)?;
    Ok(Document {
        path: row.get(0)?,
        version: row.get(1)?,
        schema: row.get(2)?,
        guid: Guid(row.get(3)?),
        format: SchemaFormat::from_registry(&format).unwrap_or(SchemaFormat::Avro),
        bytes: row.get(5)?,
        created: row.get(6)?,
        deleted: row.get(7)?,
    })
}
