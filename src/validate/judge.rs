//! The walk over one batch: record → metadata → reference → schema → verdict. It waits for nothing: a schema that is not
//! at hand leaves its records open, and the caller asks for it and walks again.

use std::{collections::HashMap, sync::Arc};

use super::{
    metadata::{Encoding, Fact, HeaderNames, Metadata},
    policy::{Check, Tombstones, TopicPolicy},
    verdict::{BatchFault, PartitionVerdict, Rejection},
};
use crate::{
    avro::{AvroSchema, DatumError, DatumFault},
    limits::RecordLimits,
    reason::Reason,
    record::{Allowance, Batch, Record, RecordError, RecordErrorClass, Scratch},
    schema::{ReferenceError, References, Resolution, Schema, SchemaCache, SchemaRef, SourceError},
    text,
    wire::ErrorCode,
};

/// Schemas that were looked up for the request at hand, whatever the cache still remembers of them.
pub type Resolved = HashMap<SchemaRef, Resolution>;

/// A walk that stopped because the process-wide memory is spent: more is needed before the batch is walked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySpent {
    /// Bytes that decompression needs beyond those it had.
    pub needed: usize,
}

/// Schema references that are remembered from record to record.
const MEMO_ENTRIES: usize = 8;
/// Longest schema reference header that is remembered from record to record, in bytes.
const MAX_MEMO_BYTES: usize = 2_048;
/// Longest one whose memory is kept from batch to batch.
const KEPT_MEMO_BYTES: usize = 256;

/// Judges batches. Shared by all connections; holds no state of any of them.
#[derive(Debug)]
pub struct Judge {
    names: HeaderNames,
    references: References,
    schemas: Arc<SchemaCache>,
    limits: RecordLimits,
}

/// What one connection reuses from batch to batch.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Decompression buffers.
    pub scratch: Scratch,
    memo: Memo,
}

/// The last schema references of a walk and what became of them, latest first: records of one batch mostly share a few.
#[derive(Debug, Default)]
struct Memo {
    entries: [MemoEntry; MEMO_ENTRIES],
}

/// One `schema-id` header. Without `found` it is a free place.
#[derive(Debug, Default)]
struct MemoEntry {
    header: Vec<u8>,
    found: Option<Found>,
}

/// What a `schema-id` header leads to.
#[derive(Debug, Clone)]
enum Found {
    /// It can be read, and the topic asks for no more.
    Named,
    Schema(Arc<Schema>),
    Rejected(Rejection),
    Unknown(SchemaRef, Option<SourceError>),
}

/// What became of one record.
enum Outcome<'m> {
    Accepted,
    Rejected(Rejection),
    Unknown(&'m SchemaRef, Option<&'m SourceError>),
}

impl From<Rejection> for Outcome<'_> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Judge {
    /// A judge that finds metadata under `names` and schemas through `references` and `schemas`.
    #[must_use]
    pub fn new(
        names: HeaderNames,
        references: References,
        schemas: Arc<SchemaCache>,
        limits: RecordLimits,
    ) -> Self {
        Self { names, references, schemas, limits }
    }

    /// Where schemas come from.
    #[must_use]
    pub const fn schemas(&self) -> &Arc<SchemaCache> {
        &self.schemas
    }

    /// Walks the one batch of `record_set` and judges each of its records.
    ///
    /// # Errors
    /// [`MemorySpent`] when `allowance` refuses what decompression needs; the batch can be walked again from its start.
    pub fn walk(
        &self,
        record_set: &[u8],
        policy: &TopicPolicy,
        resolved: &Resolved,
        workspace: &mut Workspace,
        allowance: &mut dyn Allowance,
    ) -> Result<PartitionVerdict, MemorySpent> {
        let Workspace { scratch, memo } = workspace;
        let walk = Walk { judge: self, policy, resolved };
        let walked = walk.batch(record_set, scratch, memo, allowance);
        // What it found holds for this moment and this topic only.
        memo.forget();
        match walked {
            Ok(verdict) => Ok(verdict),
            Err(error) => fault(&error).map(PartitionVerdict::faulty),
        }
    }

    fn allowed(&self, reference: &SchemaRef, policy: &TopicPolicy) -> Result<(), Rejection> {
        if policy.allows_schema(reference, &self.references) {
            return Ok(());
        }
        let detail = format!("schema {} is not allowed on this topic", reference.shown());
        Err(Rejection::new(Reason::SchemaNotAllowed, detail))
    }

    fn find(&self, header: &[u8], policy: &TopicPolicy, resolved: &Resolved) -> Found {
        let reference = match self.references.parse(header) {
            Ok(reference) => reference,
            Err(error) => return Found::Rejected(reference_rejection(&error)),
        };
        if let Err(rejection) = self.allowed(&reference, policy) {
            return Found::Rejected(rejection);
        }
        if policy.check == Check::Metadata {
            return Found::Named;
        }
        let known = resolved.get(&reference).cloned();
        match known.or_else(|| self.schemas.cached(&reference)) {
            Some(Ok(schema)) => Found::Schema(schema),
            Some(Err(error)) => source_outcome(reference, error),
            None => Found::Unknown(reference, None),
        }
    }
}

/// One walk: what stays the same from record to record.
struct Walk<'w> {
    judge: &'w Judge,
    policy: &'w TopicPolicy,
    resolved: &'w Resolved,
}

impl Walk<'_> {
    fn batch(
        &self,
        record_set: &[u8],
        scratch: &mut Scratch,
        memo: &mut Memo,
        allowance: &mut dyn Allowance,
    ) -> Result<PartitionVerdict, RecordError> {
        let batch = Batch::parse(record_set)?;
        batch.verify_checksum()?;
        let mut records = batch.records(scratch, &self.judge.limits, allowance)?;
        let mut verdict = PartitionVerdict::default();
        loop {
            let mut metadata = Metadata::default();
            let names = &self.judge.names;
            let Some(record) = records.next(|key, value| metadata.visit(names, key, value))? else {
                return Ok(verdict);
            };
            match self.record(&record, &metadata, memo) {
                Outcome::Accepted => verdict.accept(),
                Outcome::Rejected(rejection) => verdict.reject(record.batch_index, rejection),
                Outcome::Unknown(reference, error) => {
                    verdict.abstain(record.batch_index, reference, || unknown(reference, error));
                }
            }
        }
    }

    fn record<'m>(
        &self,
        record: &Record<'_>,
        metadata: &Metadata<'_>,
        memo: &'m mut Memo,
    ) -> Outcome<'m> {
        let Some(value) = record.value else {
            return match self.policy.tombstones {
                Tombstones::Allow => Outcome::Accepted,
                Tombstones::Reject => {
                    let detail = "the value is null and this topic allows no tombstones";
                    Rejection::new(Reason::PayloadMissing, detail).into()
                }
            };
        };
        let encoding = match self.encoding(metadata.content_type) {
            Ok(encoding) => encoding,
            Err(rejection) => return rejection.into(),
        };
        let name = &self.judge.names.schema_id;
        let header = match metadata.schema_id {
            Fact::Value(header) => header,
            Fact::Missing | Fact::Null => return missing(name, Reason::MissingSchemaId).into(),
            Fact::Conflict => return conflict("the schema reference").into(),
        };
        match memo.find(header, || self.judge.find(header, self.policy, self.resolved)) {
            Found::Named => Outcome::Accepted,
            Found::Schema(schema) => match check(schema, encoding, value) {
                Ok(()) => Outcome::Accepted,
                Err(rejection) => rejection.into(),
            },
            Found::Rejected(rejection) => rejection.clone().into(),
            Found::Unknown(reference, error) => Outcome::Unknown(reference, error.as_ref()),
        }
    }

    fn encoding(&self, content_type: Fact<'_>) -> Result<Encoding, Rejection> {
        match content_type {
            Fact::Value(value) => Encoding::parse(value).ok_or_else(|| {
                let detail = format!("content type \"{}\" is not understood", text::shown(value));
                Rejection::new(Reason::UnsupportedContentType, detail)
            }),
            Fact::Missing | Fact::Null => {
                let name = self.judge.names.content_type.first();
                Err(missing(name.map_or("content-type", |it| it), Reason::MissingContentType))
            }
            Fact::Conflict => Err(conflict("the content type")),
        }
    }
}

impl Memo {
    /// What `header` leads to, asking `find` only if none of the last records had it.
    fn find(&mut self, header: &[u8], find: impl FnOnce() -> Found) -> &Found {
        let [latest, ..] = &self.entries;
        if !latest.is_of(header) {
            self.bring_forward(header);
        }
        let [latest, ..] = &mut self.entries;
        latest.found.get_or_insert_with(find)
    }

    /// Makes the entry of `header` the latest: its own, or a free one, or the one that was not used for longest.
    #[inline(never)]
    fn bring_forward(&mut self, header: &[u8]) {
        // Free ones come last.
        let fits = |entry: &MemoEntry| entry.found.is_none() || entry.is_of(header);
        let moved = self.entries.iter().position(fits).map_or(MEMO_ENTRIES, |at| at + 1);
        if let Some(moved) = self.entries.get_mut(..moved) {
            moved.rotate_right(1);
        }
        let [latest, ..] = &mut self.entries;
        if !latest.is_of(header) {
            latest.begin(header);
        }
    }

    fn forget(&mut self) {
        for entry in self.entries.iter_mut().take_while(|entry| entry.found.is_some()) {
            entry.found = None;
            if entry.header.capacity() > KEPT_MEMO_BYTES {
                entry.header = Vec::new();
            }
        }
    }
}

impl MemoEntry {
    fn is_of(&self, header: &[u8]) -> bool {
        self.header == header && self.found.is_some() && !header.is_empty()
    }

    /// Headers past [`MAX_MEMO_BYTES`] are not kept: no record decides how much a connection holds.
    fn begin(&mut self, header: &[u8]) {
        self.found = None;
        self.header.clear();
        if header.len() <= MAX_MEMO_BYTES {
            self.header.extend_from_slice(header);
        }
    }
}

fn missing(header: &str, reason: Reason) -> Rejection {
    Rejection::new(reason, format!("no {header} header"))
}

fn conflict(what: &str) -> Rejection {
    let detail = format!("{what} is given twice with different values");
    Rejection::new(Reason::ConflictingMetadata, detail)
}

fn check(schema: &Schema, encoding: Encoding, value: &[u8]) -> Result<(), Rejection> {
    match schema {
        Schema::Avro(avro) => check_avro(avro, encoding, value),
    }
}

fn check_avro(avro: &AvroSchema, encoding: Encoding, value: &[u8]) -> Result<(), Rejection> {
    let checked = match encoding {
        Encoding::Avro => avro.check_binary(value),
        Encoding::AvroJson | Encoding::Json => avro.check_json(value),
        Encoding::Protobuf => {
            let detail = "the content type is protobuf but the schema is an Avro one";
            return Err(Rejection::new(Reason::ConflictingMetadata, detail));
        }
    };
    checked.map_err(|error| datum_rejection(&error))
}

fn datum_rejection(error: &DatumError) -> Rejection {
    let reason = match error.fault {
        DatumFault::Invalid => Reason::PayloadInvalid,
        DatumFault::TrailingBytes => Reason::PayloadTrailingBytes,
    };
    Rejection::new(reason, error.to_string())
}

fn reference_rejection(error: &ReferenceError) -> Rejection {
    let reason = match error {
        ReferenceError::Malformed { .. } => Reason::MalformedSchemaId,
        ReferenceError::NotAllowed { .. } => Reason::SchemaNotAllowed,
    };
    Rejection::new(reason, error.to_string())
}

fn source_outcome(reference: SchemaRef, error: SourceError) -> Found {
    let reason = match error {
        SourceError::Unavailable { .. } => return Found::Unknown(reference, Some(error)),
        SourceError::Invalid { .. } => Reason::SchemaInvalid,
        SourceError::NotAllowed { .. } => Reason::SchemaNotAllowed,
        SourceError::NotFound { .. } => Reason::SchemaNotFound,
    };
    Found::Rejected(Rejection::new(reason, format!("schema {}: {error}", reference.shown())))
}

fn unknown(reference: &SchemaRef, error: Option<&SourceError>) -> String {
    match error {
        Some(error) => format!("schema {}: {error}", reference.shown()),
        None => format!("schema {}: no answer in time", reference.shown()),
    }
}

fn fault(error: &RecordError) -> Result<BatchFault, MemorySpent> {
    let (reason, code) = match error.class() {
        RecordErrorClass::BudgetSpent => return Err(MemorySpent { needed: error.needed() }),
        RecordErrorClass::Corrupt => (Reason::BatchCorrupt, ErrorCode::CORRUPT_MESSAGE),
        RecordErrorClass::TooLarge => (Reason::BatchTooLarge, ErrorCode::MESSAGE_TOO_LARGE),
        RecordErrorClass::Undecodable => (Reason::BatchCorrupt, ErrorCode::INVALID_RECORD),
        RecordErrorClass::UnsupportedCompression => {
            (Reason::UnsupportedCompression, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)
        }
        RecordErrorClass::UnsupportedFormat => {
            (Reason::UnsupportedFormat, ErrorCode::INVALID_RECORD)
        }
    };
    Ok(BatchFault { reason, code, detail: error.to_string() })
}
