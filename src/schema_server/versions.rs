//! Rows of subjects: which schema each version is, which are deleted, and which level of compatibility they keep to.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{
    answer::Refusal,
    level::{InForce, Level},
};

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: i64,
    pub(super) schema: i64,
    pub(super) deleted: bool,
}

/// Which versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    Deleted,
    Live,
}

impl Shown {
    pub(super) fn new(deleted: bool, deleted_only: bool) -> Self {
        match (deleted, deleted_only) {
            (_, true) => Self::Deleted,
            (true, false) => Self::All,
            (false, false) => Self::Live,
        }
    }

    const fn takes(self, deleted: bool) -> bool {
        match self {
            Self::All => true,
            Self::Deleted => deleted,
            Self::Live => !deleted,
        }
    }
}

/// A version as clients name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Latest,
    Number(i64),
}

impl Wanted {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let number = text.parse::<i64>().ok();
        match number {
            _ if text == "latest" => Ok(Self::Latest),
            Some(-1) => Ok(Self::Latest),
            Some(number) if (1..=i64::from(i32::MAX)).contains(&number) => Ok(Self::Number(number)),
            _ => Err(Refusal::new(
                42202,
                format!(
                    "The specified version '{}' is not a valid version id. Allowed values are between \
                     [1, 2^31-1] and the string \"latest\"",
                    super::answer::shown(text)
                ),
            )),
        }
    }
}

/// All versions of a subject, the oldest first, deleted ones included.
pub(super) fn entries(connection: &Connection, subject: &str) -> Result<Vec<Entry>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT version, schema, deleted FROM versions WHERE subject = ?1 ORDER BY version",
    )?;
    let rows = statement.query_map([subject], |row| {
        Ok(Entry { version: row.get(0)?, schema: row.get(1)?, deleted: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The versions of a subject that count; refused where it has none.
pub(super) fn shown(
    connection: &Connection,
    subject: &str,
    which: Shown,
) -> Result<Vec<Entry>, Refusal> {
    let mut entries = entries(connection, subject)?;
    entries.retain(|entry| which.takes(entry.deleted));
    if entries.is_empty() { Err(Refusal::subject_not_found(subject)) } else { Ok(entries) }
}

/// The version of a subject that a client names.
pub(super) fn find(
    connection: &Connection,
    subject: &str,
    wanted: Wanted,
    which: Shown,
) -> Result<Entry, Refusal> {
    let entries = shown(connection, subject, which)?;
    match wanted {
        Wanted::Latest => {
            entries.last().copied().ok_or_else(|| Refusal::subject_not_found(subject))
        }
        Wanted::Number(number) => entries
            .into_iter()
            .find(|entry| entry.version == number)
            .ok_or_else(|| Refusal::version_not_found(number)),
    }
}

/// Adds a version to a subject.
pub(super) fn add(
    transaction: &Transaction<'_>,
    subject: &str,
    schema: i64,
) -> Result<i64, Refusal> {
    let last: Option<i64> = transaction.query_row(
        "SELECT max(version) FROM versions WHERE subject = ?1",
        [subject],
        |row| row.get(0),
    )?;
    let version = last.unwrap_or(0).saturating_add(1);
    transaction.execute(
        "INSERT INTO versions (subject, version, schema) VALUES (?1, ?2, ?3)",
        params![subject, version, schema],
    )?;
    Ok(version)
}

/// Marks a version as deleted.
pub(super) fn mark_deleted(
    transaction: &Transaction<'_>,
    subject: &str,
    version: i64,
) -> Result<(), Refusal> {
    transaction.execute(
        "UPDATE versions SET deleted = 1 WHERE subject = ?1 AND version = ?2",
        params![subject, version],
    )?;
    Ok(())
}

/// Removes a version.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    subject: &str,
    entry: Entry,
) -> Result<(), Refusal> {
    transaction.execute(
        "DELETE FROM versions WHERE subject = ?1 AND version = ?2",
        params![subject, entry.version],
    )?;
    super::schemas::forget_unused(transaction, entry.schema)
}

/// Names of subjects that begin with `prefix`, in order.
pub(super) fn subjects(
    connection: &Connection,
    prefix: &str,
    which: Shown,
    page: Page,
) -> Result<Vec<String>, Refusal> {
    let condition = match which {
        Shown::All => "",
        Shown::Deleted => "AND deleted = 1",
        Shown::Live => "AND deleted = 0",
    };
    // A prefix is compared byte by byte: patterns of SQL have signs of their own.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT DISTINCT subject FROM versions
         WHERE subject >= ?1 AND substr(subject, 1, length(?1)) = ?1 {condition}
         ORDER BY subject LIMIT ?2 OFFSET ?3"
    ))?;
    let rows = statement.query_map(params![prefix, page.limit, page.offset], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: i64,
    pub(super) limit: i64,
}

impl Page {
    /// Entries of a list that are given at once, and no more.
    pub(super) const MOST: i64 = 10_000;

    /// What a client asks for; a negative limit, as Confluent's clients send it, asks for all.
    pub(super) fn new(offset: Option<i64>, limit: Option<i64>) -> Self {
        let limit = limit.filter(|limit| *limit >= 0).unwrap_or(Self::MOST).min(Self::MOST);
        Self { offset: offset.unwrap_or(0).max(0), limit }
    }
}

/// Subjects and versions that are a schema.
pub(super) fn of_schema(
    connection: &Connection,
    schema: i64,
    which: Shown,
    page: Page,
) -> Result<Vec<(String, i64)>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT subject, version, deleted FROM versions WHERE schema = ?1
         ORDER BY subject, version",
    )?;
    let rows = statement
        .query_map([schema], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, bool>(2)?)))?;
    let (offset, limit) = (page.offset, page.limit);
    let shown = rows.filter_map(|row| match row {
        Ok((row, deleted)) => which.takes(deleted).then_some(Ok(row)),
        Err(error) => Some(Err(error)),
    });
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(shown.skip(count(offset)).take(count(limit)).collect::<Result<_, _>>()?)
}

/// Ids of schemas that refer to a version of a subject, and are a version themselves that is not deleted.
pub(super) fn referenced_by(
    connection: &Connection,
    subject: &str,
    version: i64,
) -> Result<Vec<i64>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT schema FROM uses WHERE subject = ?1 AND version = ?2
           AND EXISTS (SELECT 1 FROM versions WHERE versions.schema = uses.schema AND deleted = 0)
         ORDER BY schema",
    )?;
    let rows = statement.query_map(params![subject, version], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The level of a subject, or the one for all where `subject` is empty.
pub(super) fn level(connection: &Connection, subject: &str) -> Result<Option<Level>, Refusal> {
    let mut statement = connection.prepare_cached("SELECT level FROM levels WHERE subject = ?1")?;
    let name: Option<String> = statement.query_row([subject], |row| row.get(0)).optional()?;
    Ok(name.and_then(|name| Level::parse(&name)))
}

/// The level that counts for a subject.
pub(super) fn level_in_force(connection: &Connection, subject: &str) -> Result<InForce, Refusal> {
    let level = match level(connection, subject)? {
        Some(level) => Some(level),
        None => level_of_all(connection)?,
    };
    Ok(InForce { level: level.unwrap_or(Level::INITIAL), asked_for: level.is_some() })
}

fn level_of_all(connection: &Connection) -> Result<Option<Level>, Refusal> {
    level(connection, "")
}

/// Sets the level of a subject, or of all; `None` takes it back.
pub(super) fn set_level(
    transaction: &Transaction<'_>,
    subject: &str,
    level: Option<Level>,
) -> Result<(), Refusal> {
    match level {
        Some(level) => transaction.execute(
            "INSERT OR REPLACE INTO levels VALUES (?1, ?2)",
            params![subject, level.label()],
        )?,
        None => transaction.execute("DELETE FROM levels WHERE subject = ?1", [subject])?,
    };
    Ok(())
}
