//! Rows of schemas: an id for each, once and for good.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    answer::Refusal,
    content::{Content, Reference, registry_name},
};
use crate::schema::{Guid, SchemaFormat};

/// A schema with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) content: Content,
}

/// The id of `content`, which is given one if it has none yet.
pub(super) fn intern(transaction: &Transaction<'_>, content: &Content) -> Result<i64, Refusal> {
    let known = id_of(transaction, content.guid)?;
    let Content { format, text, references, guid } = content;
    let id = match known {
        Some(id) => id,
        None => {
            let refers_to = serde_json::to_string(references)
                .map_err(|error| Refusal::new(500, error.to_string()))?;
            transaction.execute(
                "INSERT INTO schemas (guid, format, refers_to) VALUES (?1, ?2, ?3)",
                params![guid.0, registry_name(*format), refers_to],
            )?;
            transaction.last_insert_rowid()
        }
    };
    // It may have been forgotten since, and keeps the text that it had otherwise.
    let written = transaction.execute(
        "UPDATE schemas SET text = ?2 WHERE id = ?1 AND text IS NULL",
        params![id, text],
    )?;
    if written > 0 {
        for Reference { subject, version, .. } in references {
            transaction.execute(
                "INSERT OR IGNORE INTO uses VALUES (?1, ?2, ?3)",
                params![subject, version, id],
            )?;
        }
    }
    Ok(id)
}

/// Forgets the text of a schema that nothing uses any more.
pub(super) fn forget_unused(transaction: &Transaction<'_>, id: i64) -> Result<(), Refusal> {
    let forgotten = transaction.execute(
        "UPDATE schemas SET text = NULL WHERE id = ?1
           AND NOT EXISTS (SELECT 1 FROM versions WHERE schema = ?1)
           AND NOT EXISTS (SELECT 1 FROM documents WHERE schema = ?1)",
        [id],
    )?;
    if forgotten > 0 {
        transaction.execute("DELETE FROM uses WHERE schema = ?1", [id])?;
    }
    Ok(())
}

/// The id that `guid` was ever given.
pub(super) fn id_of(connection: &Connection, guid: Guid) -> Result<Option<i64>, Refusal> {
    let mut statement = connection.prepare_cached("SELECT id FROM schemas WHERE guid = ?1")?;
    Ok(statement.query_row([guid.0], |row| row.get(0)).optional()?)
}

/// The schema with this id.
pub(super) fn by_id(connection: &Connection, id: i64) -> Result<Option<Stored>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT id, guid, format, text, refers_to FROM schemas WHERE id = ?1 AND text IS NOT NULL",
    )?;
    Ok(statement.query_row([id], stored).optional()?)
}

/// The largest id that was given.
pub(super) fn largest_id(connection: &Connection) -> Result<Option<i64>, Refusal> {
    Ok(connection.query_row("SELECT max(id) FROM schemas", [], |row| row.get(0))?)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let (format, refers_to): (String, String) = (row.get(2)?, row.get(4)?);
    let content = Content {
        format: SchemaFormat::from_registry(&format).unwrap_or(SchemaFormat::Avro),
        text: row.get(3)?,
        references: serde_json::from_str(&refers_to).unwrap_or_default(),
        guid: Guid(row.get(1)?),
    };
    Ok(Stored { id: row.get(0)?, content })
}
