//! The walk over one batch: record → metadata → reference → schema → verdict. It waits for nothing: a schema that is not
//! at hand leaves its records open, and the caller asks for it and walks again.

use std::{collections::HashMap, sync::Arc};

use super::{
    metadata::{Encoding, Fact, HeaderNames, Metadata, NameTable},
    policy::{Check, Tombstones, TopicPolicy},
    verdict::{BatchFault, PartitionVerdict, Rejection},
};
use crate::{
    avro::AvroSchema,
    datum::DatumFault,
    json_schema::JsonSchema,
    limits::{KIB, RecordLimits},
    reason::Reason,
    record::{Allowance, Batch, Record, RecordError, RecordErrorClass, RecordReader, Scratch},
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

/// What is walked in one turn, as [`RecordReader::spent`] counts it.
const TURN_BYTES: usize = 128 * KIB;
/// Schema references that a connection remembers.
const MEMO_ENTRIES: usize = 8;
/// Longest schema reference header that is remembered from record to record, in bytes.
const MAX_MEMO_BYTES: usize = 2_048;
/// Longest one that is remembered from batch to batch.
const KEPT_MEMO_BYTES: usize = 256;

/// Judges batches. Shared by all connections; holds no state of any of them.
#[derive(Debug)]
pub struct Judge {
    names: NameTable,
    references: Arc<References>,
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

/// The schema references that came last, latest first: records of one batch mostly share a few, and so do batches.
#[derive(Debug, Default)]
struct Memo {
    /// Who has read them: for somebody else they mean something else.
    reader: Option<Arc<References>>,
    latest: MemoEntry,
    /// Empty with most connections: they hold no more than they use.
    others: Vec<MemoEntry>,
}

/// One `schema-id` header. Empty, it is a free place.
#[derive(Debug, Default)]
struct MemoEntry {
    header: Vec<u8>,
    /// What it says, if it can be read.
    reference: Option<SchemaRef>,
    /// What that leads to: good for one walk, which is of one moment and one topic.
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

/// Whether somebody will read what is wrong with a datum: finding the words takes far longer than finding the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    Spared,
    Wanted,
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
        let (names, references) = (NameTable::new(&names), Arc::new(references));
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
        let mut walk = self.begin(record_set, policy, resolved, workspace, allowance);
        loop {
            if let Some(verdict) = walk.advance()? {
                return Ok(verdict);
            }
        }
    }

    /// Begins the same walk, to be gone in turns of bounded length.
    pub fn begin<'w>(
        &'w self,
        record_set: &'w [u8],
        policy: &'w TopicPolicy,
        resolved: &'w Resolved,
        workspace: &'w mut Workspace,
        allowance: &'w mut dyn Allowance,
    ) -> Walk<'w> {
        let Workspace { scratch, memo } = workspace;
        memo.is_read_by(&self.references);
        let look = Look { judge: self, policy, resolved };
        let way = Way::Batch { record_set, scratch, allowance };
        Walk { look, memo, way, verdict: PartitionVerdict::default() }
    }

    fn allowed(&self, reference: &SchemaRef, policy: &TopicPolicy) -> Result<(), Rejection> {
        if policy.allows_schema(reference, &self.references) {
            return Ok(());
        }
        let detail = format!("schema {} is not allowed on this topic", reference.shown());
        Err(Rejection::new(Reason::SchemaNotAllowed, detail))
    }

    /// What `header` leads to. `known` is what it says, if that is known; otherwise it will be.
    fn find(
        &self,
        header: &[u8],
        known: &mut Option<SchemaRef>,
        policy: &TopicPolicy,
        resolved: &Resolved,
    ) -> Found {
        let reference = match known {
            Some(reference) => reference,
            None => match self.references.parse(header) {
                Ok(reference) => known.insert(reference),
                Err(error) => return Found::Rejected(reference_rejection(&error)),
            },
        };
        if let Err(rejection) = self.allowed(reference, policy) {
            return Found::Rejected(rejection);
        }
        if policy.check == Check::Metadata {
            return Found::Named;
        }
        let at_hand = resolved.get(reference).cloned();
        match at_hand.or_else(|| self.schemas.cached(reference)) {
            Some(Ok(schema)) => Found::Schema(schema),
            Some(Err(error)) => source_outcome(reference, error),
            None => Found::Unknown(reference.clone(), None),
        }
    }
}

/// A walk under way.
pub struct Walk<'w> {
    look: Look<'w>,
    memo: &'w mut Memo,
    way: Way<'w>,
    verdict: PartitionVerdict,
}

/// How far a walk has come.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation for each turn")]
enum Way<'w> {
    Batch { record_set: &'w [u8], scratch: &'w mut Scratch, allowance: &'w mut dyn Allowance },
    Records(RecordReader<'w>),
    Done,
}

impl Walk<'_> {
    /// Goes on for a turn: for some milliseconds at most, unless a single record takes longer. `None`: it goes on.
    ///
    /// # Errors
    /// [`MemorySpent`]: the walk is over, and has to be begun anew.
    pub fn advance(&mut self) -> Result<Option<PartitionVerdict>, MemorySpent> {
        match self.turn() {
            Ok(Turn::Paused) => Ok(None),
            Ok(Turn::Over) => Ok(Some(std::mem::take(&mut self.verdict))),
            Err(error) => fault(&error).map(|fault| Some(PartitionVerdict::faulty(fault))),
        }
    }

    fn turn(&mut self) -> Result<Turn, RecordError> {
        let Self { look, memo, way, verdict } = self;
        let mut records = match std::mem::replace(way, Way::Done) {
            Way::Batch { record_set, scratch, allowance } => {
                let batch = Batch::parse(record_set)?;
                batch.verify_checksum()?;
                batch.records(scratch, &look.judge.limits, allowance)?
            }
            Way::Records(records) => records,
            Way::Done => return Ok(Turn::Over),
        };
        let end = records.spent().saturating_add(TURN_BYTES);
        while records.spent() < end {
            let mut metadata = Metadata::default();
            let names = &look.judge.names;
            let Some(record) = records.next(|key, value| metadata.visit(names, key, value))? else {
                return Ok(Turn::Over);
            };
            let words = if verdict.names_more() { Words::Wanted } else { Words::Spared };
            match look.record(&record, &metadata, memo, words) {
                Outcome::Accepted => verdict.accept(),
                Outcome::Rejected(rejection) => verdict.reject(record.batch_index, rejection),
                Outcome::Unknown(reference, error) => {
                    verdict.abstain(record.batch_index, reference, || unknown(reference, error));
                }
            }
        }
        *way = Way::Records(records);
        Ok(Turn::Paused)
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.memo.forget_found();
    }
}

/// How a turn ended.
enum Turn {
    Over,
    Paused,
}

/// What stays the same from record to record.
struct Look<'w> {
    judge: &'w Judge,
    policy: &'w TopicPolicy,
    resolved: &'w Resolved,
}

impl Look<'_> {
    fn record<'m>(
        &self,
        record: &Record<'_>,
        metadata: &Metadata<'_>,
        memo: &'m mut Memo,
        words: Words,
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
        let header = match metadata.schema_id {
            Fact::Value(header) => header,
            Fact::Missing | Fact::Null => {
                let name = self.judge.names.schema_id();
                return missing(&name, Reason::MissingSchemaId).into();
            }
            Fact::Conflict => return conflict("the schema reference").into(),
        };
        let Self { judge, policy, resolved } = self;
        match memo.find(header, |known| judge.find(header, known, policy, resolved)) {
            Found::Named => Outcome::Accepted,
            Found::Schema(schema) => match check(schema, encoding, value, words) {
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
                let name = self.judge.names.content_type();
                Err(missing(&name, Reason::MissingContentType))
            }
            Fact::Conflict => Err(conflict("the content type")),
        }
    }
}

impl Memo {
    fn is_read_by(&mut self, reader: &Arc<References>) {
        if !self.reader.as_ref().is_some_and(|it| Arc::ptr_eq(it, reader)) {
            *self = Self { reader: Some(Arc::clone(reader)), ..Self::default() };
        }
    }

    /// What `header` leads to, asking `find` only if no record of the walk had it lately.
    fn find(
        &mut self,
        header: &[u8],
        find: impl FnOnce(&mut Option<SchemaRef>) -> Found,
    ) -> &Found {
        if !self.latest.is_of(header) {
            self.bring_forward(header);
        }
        let MemoEntry { reference, found, .. } = &mut self.latest;
        found.get_or_insert_with(|| find(reference))
    }

    /// Makes the entry of `header` the latest: its own, or a new one, or the one that was not used for longest.
    #[inline(never)]
    fn bring_forward(&mut self, header: &[u8]) {
        let own = self.others.iter().position(|entry| entry.is_of(header));
        if own.is_some() || !self.latest.header.is_empty() {
            if own.is_none() && self.others.len() + 1 < MEMO_ENTRIES {
                self.others.push(MemoEntry::default());
            }
            let moved = own.map_or(self.others.len(), |at| at + 1);
            if let Some(moved @ [_, ..]) = self.others.get_mut(..moved) {
                moved.rotate_right(1);
                if let [first, ..] = moved {
                    std::mem::swap(first, &mut self.latest);
                }
            }
        }
        if !self.latest.is_of(header) {
            self.latest.begin(header);
        }
    }

    fn forget_found(&mut self) {
        for entry in self.others.iter_mut().chain([&mut self.latest]) {
            entry.found = None;
            if entry.header.capacity() > KEPT_MEMO_BYTES {
                *entry = MemoEntry::default();
            }
        }
    }
}

impl MemoEntry {
    fn is_of(&self, header: &[u8]) -> bool {
        self.header == header && !header.is_empty()
    }

    /// Headers past [`MAX_MEMO_BYTES`] are not kept: no record decides how much a connection holds.
    fn begin(&mut self, header: &[u8]) {
        (self.reference, self.found) = (None, None);
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

fn check(schema: &Schema, encoding: Encoding, value: &[u8], words: Words) -> Result<(), Rejection> {
    match schema {
        Schema::Avro(avro) => check_avro(avro, encoding, value, words),
        Schema::Json(json) => check_json(json, encoding, value, words),
    }
}

fn check_json(
    json: &JsonSchema,
    encoding: Encoding,
    value: &[u8],
    words: Words,
) -> Result<(), Rejection> {
    if encoding != Encoding::Json {
        let detail = "the schema is a JSON Schema but the content type is not json";
        return Err(Rejection::new(Reason::ConflictingMetadata, detail));
    }
    match words {
        Words::Wanted => json
            .check(value)
            .map_err(|error| Rejection::new(datum_reason(error.fault), error.to_string())),
        Words::Spared => {
            let rejection = |fault| Err(Rejection::new(datum_reason(fault), String::new()));
            json.fault(value).map_or(Ok(()), rejection)
        }
    }
}

fn check_avro(
    avro: &AvroSchema,
    encoding: Encoding,
    value: &[u8],
    words: Words,
) -> Result<(), Rejection> {
    let checked = match (encoding, words) {
        (Encoding::Avro, Words::Wanted) => avro.check_binary(value),
        (Encoding::Avro, Words::Spared) => {
            let rejection = |fault| Err(Rejection::new(datum_reason(fault), String::new()));
            return avro.fault_in_binary(value).map_or(Ok(()), rejection);
        }
        (Encoding::AvroJson | Encoding::Json, _) => avro.check_json(value),
        (Encoding::Protobuf, _) => {
            let detail = "the content type is protobuf but the schema is an Avro one";
            return Err(Rejection::new(Reason::ConflictingMetadata, detail));
        }
    };
    checked.map_err(|error| Rejection::new(datum_reason(error.fault), error.to_string()))
}

const fn datum_reason(fault: DatumFault) -> Reason {
    match fault {
        DatumFault::Invalid => Reason::PayloadInvalid,
        DatumFault::TrailingBytes => Reason::PayloadTrailingBytes,
    }
}

fn reference_rejection(error: &ReferenceError) -> Rejection {
    let reason = match error {
        ReferenceError::Malformed { .. } => Reason::MalformedSchemaId,
        ReferenceError::NotAllowed { .. } => Reason::SchemaNotAllowed,
    };
    Rejection::new(reason, error.to_string())
}

fn source_outcome(reference: &SchemaRef, error: SourceError) -> Found {
    let reason = match error {
        SourceError::Unavailable { .. } => return Found::Unknown(reference.clone(), Some(error)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::SchemaLimits,
        record::{
            Unlimited,
            builder::{Flavour, OwnedRecord, batch},
        },
        schema::{
            CacheSettings, Documents, Fetched, Lookup, RegistrySettings, SchemaFormat, SchemaSource,
        },
        validate::policy::RuleSettings,
    };

    /// Is never asked: these tests hand in what was looked up.
    struct Nobody;

    impl SchemaSource for Nobody {
        fn find<'a>(&'a self, _: &'a SchemaRef, _: Option<&'a Fetched>) -> Lookup<'a> {
            Box::pin(async { Err(not_found()) })
        }
    }

    fn not_found() -> SourceError {
        SourceError::NotFound { detail: "there is none".into() }
    }

    fn references(registry: &str) -> References {
        let url = Some(registry.parse().unwrap());
        References::new(&RegistrySettings { url, ..RegistrySettings::default() })
    }

    fn judge(registry: &str) -> Judge {
        let cache = SchemaCache::new(Arc::new(Nobody), CacheSettings::default(), Arc::new(()));
        let limits = RecordLimits::default();
        Judge::new(HeaderNames::default(), references(registry), cache, limits)
    }

    fn schema(text: &str) -> Resolution {
        let text = text.to_owned();
        let documents = Documents { format: SchemaFormat::Avro, text, references: Vec::new() };
        Ok(Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap()))
    }

    /// One record for each reference, each with the value `true`.
    fn batch_of(references: &[&str]) -> Vec<u8> {
        let record = |reference: &&str| {
            OwnedRecord::of([1]).with("content-type", "avro").with("schema-id", *reference)
        };
        batch(Flavour::Plain, &references.iter().map(record).collect::<Vec<_>>())
    }

    /// Which records pass (`.`), do not (`x`), or wait for their schema (`?`).
    fn walk(
        judge: &Judge,
        workspace: &mut Workspace,
        policy: &TopicPolicy,
        resolved: &Resolved,
        references: &[&str],
    ) -> String {
        let one = |reference| {
            let bytes = batch_of(&[reference]);
            judge.walk(&bytes, policy, resolved, &mut Workspace::default(), &mut Unlimited)
        };
        let apart = references.iter().map(|reference| one(reference).unwrap());
        let apart: String = apart.map(|verdict| mark(&verdict)).collect();
        let bytes = batch_of(references);
        let together = judge.walk(&bytes, policy, resolved, workspace, &mut Unlimited).unwrap();
        let rejected = together.rejected().iter().map(|record| record.batch_index);
        let expected = (0..).zip(apart.chars()).filter(|(_, mark)| *mark == 'x');
        assert!(rejected.eq(expected.map(|(index, _)| index)), "{apart} {together:?}");
        let unknown = apart.chars().filter(|mark| *mark == '?').count() as u64;
        assert_eq!(together.unknown_records(), unknown, "{apart} {together:?}");
        apart
    }

    fn mark(verdict: &PartitionVerdict) -> char {
        match (verdict.rejected_records(), verdict.unknown_records()) {
            (0, 0) => '.',
            (0, _) => '?',
            _ => 'x',
        }
    }

    fn default_policy() -> TopicPolicy {
        TopicPolicy::new(&RuleSettings::default())
    }

    #[test]
    fn many_references_in_one_batch_are_judged_as_if_each_were_alone() {
        let judge = judge("http://registry");
        let mut resolved = Resolved::new();
        for id in 0..20 {
            let text = if id % 3 == 0 { "\"boolean\"" } else { "\"string\"" };
            let reference = judge.references.parse(format!("{id}").as_bytes()).unwrap();
            resolved.insert(reference, schema(text));
        }
        let long = |id: &str| format!("http://registry/{}{id}", "x".repeat(MAX_MEMO_BYTES - 300));
        let longer = |id: &str| format!("{}{}", long(id), "y".repeat(300));
        let odd = [long("1"), long("2"), longer("1"), longer("2"), "99".into(), String::new()];
        let mut named: Vec<String> = (0..20).map(|id| id.to_string()).collect();
        named.extend(odd);
        let mut workspace = Workspace::default();
        for step in [1, 3, 5, 7, 11] {
            let turns = (0..120).map(|at| &*named[at * step % (at % named.len() + 1)]);
            let turns: Vec<_> = turns.collect();
            walk(&judge, &mut workspace, &default_policy(), &resolved, &turns);
            walk(&judge, &mut workspace, &default_policy(), &Resolved::new(), &turns);
        }
    }

    #[test]
    fn a_json_schema_judges_json_and_nothing_else() {
        let judge = judge("http://registry");
        let compiled = |format, text: &str| {
            let documents = Documents { format, text: text.to_owned(), references: Vec::new() };
            Arc::new(Schema::compile(&documents, &SchemaLimits::default()).unwrap())
        };
        let json = compiled(SchemaFormat::Json, r#"{"maximum":5}"#);
        let avro = compiled(SchemaFormat::Avro, "\"long\"");
        let table: [(&Arc<Schema>, &str, &[u8], &str); 9] = [
            (&json, "json", b"5", ""),
            (&json, "application/json", b" \"6\"", ""),
            (&json, "json", b"6", "payload_invalid: value at byte 0: above 5 (maximum)"),
            (&json, "json", b"5 5", "payload_trailing_bytes: value at byte 2: 1 byte left over"),
            (&json, "avro", b"5", JSON_CONFLICT),
            (&json, "avro-json", b"5", JSON_CONFLICT),
            (&json, "protobuf", b"5", JSON_CONFLICT),
            (&avro, "json", b"6", ""),
            (&avro, "avro-json", b"6", ""),
        ];
        let reference = judge.references.parse(b"7").unwrap();
        for (schema, content_type, value, expected) in table {
            let record = OwnedRecord::of(value.to_vec());
            let record = record.with("content-type", content_type).with("schema-id", "7");
            let bytes = batch(Flavour::Plain, &[record]);
            let resolved = Resolved::from([(reference.clone(), Ok(Arc::clone(schema)))]);
            let mut workspace = Workspace::default();
            let policy = default_policy();
            let verdict =
                judge.walk(&bytes, &policy, &resolved, &mut workspace, &mut Unlimited).unwrap();
            let said = verdict.rejected().first().map(|record| {
                let Rejection { reason, detail } = &record.rejection;
                format!("{}: {detail}", reason.label())
            });
            assert_eq!(said.unwrap_or_default(), expected, "{content_type}");
        }
    }

    const JSON_CONFLICT: &str =
        "conflicting_metadata: the schema is a JSON Schema but the content type is not json";

    #[test]
    fn what_one_walk_found_is_not_believed_by_the_next() {
        let judge = judge("http://registry");
        let reference = judge.references.parse(b"7").unwrap();
        let mut workspace = Workspace::default();
        let steps = [
            (None, "?"),
            (Some(Err(not_found())), "x"),
            (Some(schema("\"boolean\"")), "."),
            (Some(schema("\"string\"")), "x"),
            (None, "?"),
        ];
        for (known, expected) in steps {
            let resolved = known.into_iter().map(|known| (reference.clone(), known)).collect();
            let marks = walk(&judge, &mut workspace, &default_policy(), &resolved, &["7"]);
            assert_eq!(marks, expected, "{resolved:?}");
        }
    }

    #[test]
    fn what_one_topic_allows_says_nothing_about_the_next() {
        let judge = judge("http://registry");
        let reference = judge.references.parse(b"7").unwrap();
        let resolved = Resolved::from([(reference, schema("\"boolean\""))]);
        let mut workspace = Workspace::default();
        for (allowed, expected) in [("7", "."), ("8", "x"), ("*", "."), ("users/*", "x")] {
            let allow_schemas = vec![allowed.to_owned()];
            let rule = RuleSettings { allow_schemas, ..RuleSettings::default() };
            let policy = TopicPolicy::new(&rule);
            let marks = walk(&judge, &mut workspace, &policy, &resolved, &["7"]);
            assert_eq!(marks, expected, "{allowed}");
        }
        let rule = RuleSettings { check: Check::Metadata, ..RuleSettings::default() };
        let policy = TopicPolicy::new(&rule);
        let marks = walk(&judge, &mut workspace, &policy, &Resolved::new(), &["7", "", "8"]);
        assert_eq!(marks, ".x.");
    }

    #[test]
    fn a_reference_means_what_the_present_registry_makes_of_it() {
        let mut workspace = Workspace::default();
        let resolved = Resolved::from([(
            references("http://one").parse(b"7").unwrap(),
            schema("\"boolean\""),
        )]);
        for (registry, expected) in [("http://one", "."), ("http://two", "?"), ("http://one", ".")]
        {
            let judge = judge(registry);
            let marks = walk(&judge, &mut workspace, &default_policy(), &resolved, &["7"]);
            assert_eq!(marks, expected, "{registry}");
        }
    }
}
