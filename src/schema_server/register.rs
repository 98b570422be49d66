//! The way of a schema into a subject: what it refers to, whether it is a schema, whether it fits what is there, then the
//! row. Only the last step is the writer's; it is done again where the subject has changed in between.

use std::{collections::HashSet, sync::Arc};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{
    answer::{Refusal, shown},
    content::{Content, Reference, registry_name},
    database::Database,
    level::{InForce, Level},
    protobuf_text,
    schemas::{self, Stored},
    versions::{self, Entry, Shown, Wanted},
};
use crate::{
    avro::compatibility::{SchemaText, incompatibilities},
    datum::SchemaFault,
    limits::SchemaLimits,
    schema::{Documents, Referenced, Schema, SchemaFormat},
};

/// What all requests share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) database: Database,
    pub(super) limits: SchemaLimits,
    /// Compilers and comparisons at once: they cost processor time.
    compilers: Arc<Semaphore>,
}

/// A schema as a client sends it.
#[derive(Debug, Clone)]
pub(super) struct Proposed {
    pub(super) format: SchemaFormat,
    pub(super) text: String,
    pub(super) references: Vec<Reference>,
}

/// What to do where the compatibility of two schemas cannot be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unchecked {
    Accept,
    Refuse,
}

/// A schema that is one, and what it was compared with.
struct Prepared {
    content: Content,
    documents: Arc<Documents>,
    subject: State,
}

/// Everything about a subject that decides whether a schema may become its next version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    entries: Vec<Entry>,
    level: InForce,
}

impl State {
    fn read(connection: &Connection, subject: &str) -> Result<Self, Refusal> {
        let entries = versions::entries(connection, subject)?;
        Ok(Self { entries, level: versions::level_in_force(connection, subject)? })
    }

    /// Versions that are not deleted, the latest first.
    fn live(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().rev().filter(|entry| !entry.deleted).copied()
    }
}

impl Service {
    pub(super) fn new(database: Database, limits: SchemaLimits) -> Self {
        Self { database, limits, compilers: Arc::new(Semaphore::new(MAX_COMPILERS)) }
    }

    /// Makes `proposed` the next version of `subject`, unless it is one already.
    pub(super) async fn register(
        &self,
        subject: &str,
        proposed: Proposed,
    ) -> Result<(i64, Stored), Refusal> {
        loop {
            let prepared = self.prepare(subject, proposed.clone()).await?;
            let Prepared { content, documents, subject: state } = prepared;
            if let Some(known) = self.known_as(&content, &state).await? {
                return Ok(known);
            }
            let unchecked =
                if state.level.asked_for { Unchecked::Refuse } else { Unchecked::Accept };
            let level = state.level.level;
            let against = compared(&state, level);
            let faults = self.faults(&content, &documents, &against, level, unchecked).await?;
            if !faults.is_empty() {
                return Err(incompatible(subject, &faults));
            }
            let subject = subject.to_owned();
            let written = self.database.write(move |transaction| {
                let unchanged = State::read(transaction, &subject)? == state;
                if !unchanged || !are_there(transaction, &content.references)? {
                    return Ok(None);
                }
                let id = schemas::intern(transaction, &content)?;
                let version = versions::add(transaction, &subject, id)?;
                // The text that was there first stands for all that say the same.
                let stored = schemas::by_id(transaction, id)?;
                Ok(Some((version, stored.ok_or_else(|| Refusal::schema_not_found(id))?)))
            });
            // Somebody was quicker: what they did counts for what is done here.
            if let Some(written) = written.await? {
                return Ok(written);
            }
        }
    }

    /// Which version of `subject` a schema is.
    pub(super) async fn look_up(
        &self,
        subject: &str,
        proposed: Proposed,
        which: Shown,
    ) -> Result<(i64, Stored), Refusal> {
        let subject = subject.to_owned();
        let found = self.database.read(move |connection| {
            let entries = versions::shown(connection, &subject, which)?;
            let references = resolved(connection, proposed.references, Shown::All)?;
            let content = Content::new(proposed.format, &proposed.text, references)?;
            let id = schemas::id_of(connection, content.guid)?;
            let entry = entries.iter().rev().find(|entry| Some(entry.schema) == id);
            let entry = entry.ok_or_else(|| Refusal::new(40403, "Schema not found"))?;
            let stored = schemas::by_id(connection, entry.schema)?;
            Ok((entry.version, stored.ok_or_else(|| Refusal::schema_not_found(entry.schema))?))
        });
        found.await
    }

    /// Why `proposed` cannot be the next version of `subject`, by the level of the subject: compared with one version, or
    /// with those that the level asks for.
    pub(super) async fn check(
        &self,
        subject: &str,
        proposed: Proposed,
        wanted: Option<Wanted>,
    ) -> Result<Vec<String>, Refusal> {
        let Prepared { content, documents, subject: state } =
            self.prepare(subject, proposed).await?;
        let level = state.level.level;
        let against = match wanted {
            None => compared(&state, level),
            Some(Wanted::Latest) => state.live().take(1).collect(),
            Some(Wanted::Number(number)) => {
                let found = state.live().find(|entry| entry.version == number);
                if state.entries.is_empty() {
                    return Err(Refusal::subject_not_found(subject));
                }
                vec![found.ok_or_else(|| Refusal::version_not_found(number))?]
            }
        };
        if level == Level::None {
            return Ok(Vec::new());
        }
        self.faults(&content, &documents, &against, level, Unchecked::Refuse).await
    }

    /// Finds what a schema refers to, and compiles it.
    async fn prepare(&self, subject: &str, proposed: Proposed) -> Result<Prepared, Refusal> {
        let (limits, subject) = (self.limits, subject.to_owned());
        let read = self.database.read(move |connection| {
            let Proposed { format, text, references } = proposed;
            let references = resolved(connection, references, Shown::Live)?;
            let gathered = gathered(connection, format, &references, &limits)?;
            Ok((text, format, references, gathered, State::read(connection, &subject)?))
        });
        let (text, format, references, gathered, subject) = read.await?;
        let (content, documents) = self
            .blocking(move || {
                let content = Content::new(format, &text, references)?;
                let text = content.text.clone();
                let documents = Documents { format, text, references: gathered };
                let compiled = Schema::compile(&documents, &limits);
                compiled.map_err(|SchemaFault { detail }| Refusal::invalid_schema(detail))?;
                Ok((content, Arc::new(documents)))
            })
            .await?;
        Ok(Prepared { content, documents, subject })
    }

    /// Whether a document is a schema in one of `formats`; the first that takes it counts.
    pub(super) async fn recognise(
        &self,
        formats: Vec<SchemaFormat>,
        text: String,
    ) -> Result<Content, Refusal> {
        let limits = self.limits;
        self.blocking(move || {
            let mut first = None;
            for format in formats {
                let content = Content::new(format, &text, Vec::new()).and_then(|content| {
                    let text = content.text.clone();
                    let documents = Documents { format, text, references: Vec::new() };
                    let compiled = Schema::compile(&documents, &limits);
                    compiled.map_err(|SchemaFault { detail }| Refusal::invalid_schema(detail))?;
                    Ok(content)
                });
                match content {
                    Ok(content) => return Ok(content),
                    Err(refusal) => first = first.or(Some(refusal)),
                }
            }
            Err(first.unwrap_or_else(|| Refusal::invalid_schema("its format is not known")))
        })
        .await
    }

    /// The text of a schema: serialized where a client wants it so.
    pub(super) async fn text(&self, stored: &Stored, serialized: bool) -> Result<String, Refusal> {
        let content = stored.content.clone();
        if !serialized || content.format != SchemaFormat::Protobuf {
            return Ok(content.text);
        }
        let documents = self.documents(content).await?;
        self.blocking(move || protobuf_text::serialized(&documents)).await
    }

    async fn known_as(
        &self,
        content: &Content,
        state: &State,
    ) -> Result<Option<(i64, Stored)>, Refusal> {
        let (guid, live) = (content.guid, state.live().collect::<Vec<_>>());
        let read = self.database.read(move |connection| {
            let id = schemas::id_of(connection, guid)?;
            let Some(entry) = live.into_iter().find(|entry| Some(entry.schema) == id) else {
                return Ok(None);
            };
            let stored = schemas::by_id(connection, entry.schema)?;
            Ok(stored.map(|stored| (entry.version, stored)))
        });
        read.await
    }

    async fn documents(&self, content: Content) -> Result<Documents, Refusal> {
        let limits = self.limits;
        let read = self.database.read(move |connection| {
            let Content { format, text, references, .. } = content;
            let references = gathered(connection, format, &references, &limits)?;
            Ok(Documents { format, text, references })
        });
        read.await
    }

    /// Compares with one version after the other, and says what is wrong with the first that does not fit.
    async fn faults(
        &self,
        content: &Content,
        documents: &Arc<Documents>,
        against: &[Entry],
        level: Level,
        unchecked: Unchecked,
    ) -> Result<Vec<String>, Refusal> {
        for entry in against {
            let id = entry.schema;
            let stored =
                self.database.read(move |connection| schemas::by_id(connection, id)).await?;
            // A version that was removed in the meantime: who writes finds out.
            let Some(earlier) = stored.filter(|stored| stored.content.guid != content.guid) else {
                continue;
            };
            let faults = if earlier.content.format != content.format {
                let (theirs, ours) = (earlier.content.format, content.format);
                let (theirs, ours) = (registry_name(theirs), registry_name(ours));
                vec![format!("it is a schema of type {theirs}, the new one of type {ours}")]
            } else if content.format == SchemaFormat::Avro {
                let (new, old) = (Arc::clone(documents), self.documents(earlier.content).await?);
                self.blocking(move || compare(&new, &old, level)).await?
            } else if unchecked == Unchecked::Refuse {
                return Err(cannot_tell(content.format, level));
            } else {
                Vec::new()
            };
            if !faults.is_empty() {
                let version = entry.version;
                let named = |fault| format!("version {version}: {fault}");
                return Ok(faults.into_iter().map(named).collect());
            }
        }
        Ok(Vec::new())
    }

    /// Does what costs processor time, a few at once.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let stopped = || Refusal::new(500, "the server is stopping");
        let place = Arc::clone(&self.compilers).acquire_owned().await.map_err(|_| stopped())?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        match done.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => Err(Refusal::invalid_schema("it cannot be compiled")),
            Err(_) => Err(stopped()),
        }
    }
}

/// The versions that a level compares with, the latest first.
fn compared(state: &State, level: Level) -> Vec<Entry> {
    match level {
        Level::None => Vec::new(),
        level if level.is_transitive() => state.live().collect(),
        _ => state.live().take(1).collect(),
    }
}

fn compare(new: &Documents, old: &Documents, level: Level) -> Result<Vec<String>, Refusal> {
    let texts = |documents: &Documents| -> Vec<String> {
        documents.references.iter().map(|reference| reference.text.clone()).collect()
    };
    let (new_references, old_references) = (texts(new), texts(old));
    let new_references: Vec<_> = new_references.iter().map(String::as_str).collect();
    let old_references: Vec<_> = old_references.iter().map(String::as_str).collect();
    let new = SchemaText { text: &new.text, references: &new_references };
    let old = SchemaText { text: &old.text, references: &old_references };
    let mut faults = Vec::new();
    let directions = [
        (level.new_reads_old(), new, old, "the new schema cannot read the old one's data"),
        (level.old_reads_new(), old, new, "the old schema cannot read the new one's data"),
    ];
    for (wanted, reader, writer, what) in directions {
        if wanted {
            let found = incompatibilities(reader, writer);
            let found = found.map_err(|SchemaFault { detail }| Refusal::invalid_schema(detail))?;
            faults.extend(found.into_iter().map(|each| format!("{what}: {each}")));
        }
    }
    Ok(faults)
}

/// References with the numbers of the versions that they name.
fn resolved(
    connection: &Connection,
    references: Vec<Reference>,
    which: Shown,
) -> Result<Vec<Reference>, Refusal> {
    let resolve = |reference: Reference| {
        let Reference { name, subject, version } = reference;
        let found = Wanted::parse(&version.to_string())
            .and_then(|wanted| versions::find(connection, &subject, wanted, which));
        match found {
            Ok(entry) => Ok(Reference { name, subject, version: entry.version }),
            Err(refusal) if refusal.code == 50001 => Err(refusal),
            Err(refusal) => Err(Refusal::invalid_schema(format!("reference: {refusal}"))),
        }
    };
    references.into_iter().map(resolve).collect()
}

fn are_there(connection: &Connection, references: &[Reference]) -> Result<bool, Refusal> {
    let resolved = resolved(connection, references.to_vec(), Shown::Live);
    match resolved {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.code == 50001 => Err(refusal),
        Err(_) => Ok(false),
    }
}

/// Everything that a schema refers to, each document after those that it needs itself, each once.
fn gathered(
    connection: &Connection,
    format: SchemaFormat,
    references: &[Reference],
    limits: &SchemaLimits,
) -> Result<Vec<Referenced>, Refusal> {
    let mut gathering =
        Gathering { connection, format, limits, seen: HashSet::new(), bytes: 0, found: Vec::new() };
    gathering.gather(references)?;
    Ok(gathering.found)
}

struct Gathering<'a> {
    connection: &'a Connection,
    format: SchemaFormat,
    limits: &'a SchemaLimits,
    seen: HashSet<(String, i64)>,
    bytes: usize,
    found: Vec<Referenced>,
}

impl Gathering<'_> {
    /// Recursion is as deep as there are references at most, which are few.
    fn gather(&mut self, references: &[Reference]) -> Result<(), Refusal> {
        for Reference { name, subject, version } in references {
            if !self.seen.insert((subject.clone(), *version)) {
                continue;
            }
            let most = self.limits.max_references;
            if self.seen.len() > most {
                let what = format!("it refers to more than {most} schemas");
                return Err(Refusal::invalid_schema(what));
            }
            let wanted = Wanted::Number(*version);
            let entry = versions::find(self.connection, subject, wanted, Shown::All)?;
            let stored = schemas::by_id(self.connection, entry.schema)?;
            let stored = stored.ok_or_else(|| Refusal::schema_not_found(entry.schema))?;
            let Content { format, text, references, .. } = stored.content;
            if format != self.format {
                let what = format!("subject '{}' is a schema of another type", shown(subject));
                return Err(Refusal::invalid_schema(what));
            }
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > self.limits.max_schema_bytes.saturating_mul(MAX_DOCUMENTS_FACTOR) {
                return Err(Refusal::invalid_schema("it is too large with what it refers to"));
            }
            self.gather(&references)?;
            self.found.push(Referenced { name: name.clone(), text });
        }
        Ok(())
    }
}

fn incompatible(subject: &str, faults: &[String]) -> Refusal {
    let subject = shown(subject);
    let details = faults.join("; ");
    let message = format!(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", \
         details: [{details}]"
    );
    Refusal::new(409, message)
}

fn cannot_tell(format: SchemaFormat, level: Level) -> Refusal {
    let (format, level) = (registry_name(format), level.label());
    let message = format!(
        "{level} compatibility of {format} schemas cannot be checked by this server; with the \
         subject's compatibility set to NONE it is not asked for"
    );
    Refusal::new(42205, message)
}

/// Schemas that are compiled or compared at once.
const MAX_COMPILERS: usize = 2;
/// How many times larger than one document a document may be together with everything that it refers to.
const MAX_DOCUMENTS_FACTOR: usize = 4;
