//! The walk over one batch: record → metadata → reference → schema → verdict. It waits for nothing: a schema that is not
//! at hand leaves its records open, and the caller asks for it and walks again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    claim::{Claim, Datum, Written, conflict, unframe},
    datum::{Terms, Words, check},
    headers::Latest,
    memo::{Learnt, Memo, Memos},
    metadata::{EVERY, Facts, Metadata, OWN, Side},
    policy::{Check, PolicyNumber, Tombstones, TopicPolicy},
    verdict::{BatchFault, PartitionVerdict, Rejection},
};
use crate::{
    limits::{KIB, RecordLimits},
    reason::Reason,
    record::{
        Allowance, Batch, Record, RecordError, RecordErrorClass, RecordReader, Scratch, each_header,
    },
    schema::{
        Bookmark, ReferenceError, References, Resolution, Schema, SchemaCache, SchemaRef,
        SourceError,
    },
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

/// What the detail of a rejection begins with that is about the key. That of a value does not: there a path is followed by
/// a place.
const OF_KEY: &str = "key: ";
/// What is walked in one turn, as [`RecordReader::spent`] counts it.
pub(super) const TURN_BYTES: usize = 128 * KIB;

/// Tells one judge from all others of the process: what was learnt under one is nothing under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Judges batches. Shared by all connections; holds no state of any of them.
#[derive(Debug)]
pub struct Judge {
    generation: Generation,
    references: References,
    schemas: Arc<SchemaCache>,
    limits: RecordLimits,
}

/// What one connection reuses from batch to batch.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Decompression buffers.
    pub scratch: Scratch,
    memos: Memos,
}

/// What a reference leads to.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// It can be read, and the topic asks for no more.
    Named,
    Schema(Arc<Schema>),
    Rejected(Rejection),
    Unknown(Box<(SchemaRef, Option<SourceError>)>),
}

/// What became of one record.
pub(super) enum Outcome<'m> {
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
    /// A judge that finds schemas through `references` and `schemas`.
    #[must_use]
    pub fn new(references: References, schemas: Arc<SchemaCache>, limits: RecordLimits) -> Self {
        Self { generation: Generation::next(), references, schemas, limits }
    }

    /// Which judge this is.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
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
        let Workspace { scratch, memos } = workspace;
        memos.belong_to(self.generation);
        let look = Look { judge: self, policy, resolved };
        let way = Way::Batch { record_set, scratch, allowance };
        Walk { look, memos, way, verdict: PartitionVerdict::default() }
    }

    fn allowed(&self, reference: &SchemaRef, policy: &TopicPolicy) -> Result<(), Rejection> {
        if policy.allows_schema(reference, &self.references) {
            return Ok(());
        }
        let detail = format!("schema {} is not allowed on this topic", reference.shown());
        Err(Rejection::new(Reason::SchemaNotAllowed, detail))
    }

    /// What `written` leads to on one side of a record. `learnt` is what is known of that; afterwards it is more.
    fn find(
        &self,
        side: Side,
        written: &Written<'_>,
        learnt: &mut Learnt,
        policy: &TopicPolicy,
        resolved: &Resolved,
    ) -> Found {
        let Learnt { reference, bookmark } = learnt;
        // What was looked up for the request at hand counts before what the cache has.
        let marked = bookmark.as_ref().filter(|(of, _)| *of == policy.number());
        if let Some((_, marked)) =
            marked.filter(|_| resolved.is_empty() && policy.check == Check::Value)
            && let Some(schema) = self.schemas.reopen(marked)
        {
            return Found::Schema(schema);
        }
        let reference = match reference {
            Some(reference) => reference,
            None => match written.reference(&self.references) {
                Ok(read) => reference.insert(read),
                Err(error) => return Found::Rejected(reference_rejection(&error)),
            },
        };
        if let Err(rejection) = self.allowed(reference, policy) {
            return Found::Rejected(rejection);
        }
        if policy.check == Check::Metadata {
            return Found::Named;
        }
        match policy.subject(side) {
            None => self.at_hand(reference, resolved, policy, bookmark),
            Some(wanted) => match reference.under(wanted) {
                Some(reference) => self.at_hand(&reference, resolved, policy, bookmark),
                None => Found::Rejected(no_subject(reference)),
            },
        }
    }

    /// What is known of `reference` without waiting, and where the cache has it.
    fn at_hand(
        &self,
        reference: &SchemaRef,
        resolved: &Resolved,
        policy: &TopicPolicy,
        bookmark: &mut Option<(PolicyNumber, Bookmark)>,
    ) -> Found {
        let known = match resolved.get(reference) {
            Some(known) => Some(known.clone()),
            None => self.schemas.cached_and_marked(reference).map(|known| {
                let (schema, mark) = known?;
                *bookmark = Some((policy.number(), mark));
                Ok(schema)
            }),
        };
        match known {
            Some(Ok(schema)) => Found::Schema(schema),
            Some(Err(error)) => source_outcome(reference, error),
            None => Found::Unknown(Box::new((reference.clone(), None))),
        }
    }
}

/// A walk under way.
pub struct Walk<'w> {
    look: Look<'w>,
    memos: &'w mut Memos,
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

impl<'w> Walk<'w> {
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
        self.go_on(|look, records, memos, verdict| match look.policy.naming.is_own() {
            true => look.records::<OWN>(records, memos, verdict),
            false => look.records::<EVERY>(records, memos, verdict),
        })
    }

    /// Goes on with `walk` where the last turn ended.
    #[inline]
    pub(super) fn go_on(
        &mut self,
        walk: impl FnOnce(
            &Look<'w>,
            &mut RecordReader<'_>,
            &mut Memos,
            &mut PartitionVerdict,
        ) -> Result<Turn, RecordError>,
    ) -> Result<Turn, RecordError> {
        let Self { look, memos, way, verdict } = self;
        let mut records = match std::mem::replace(way, Way::Done) {
            Way::Batch { record_set, scratch, allowance } => {
                let batch = Batch::parse(record_set)?;
                batch.verify_checksum()?;
                batch.records(scratch, &look.judge.limits, allowance)?
            }
            Way::Records(records) => records,
            Way::Done => return Ok(Turn::Over),
        };
        let paused = walk(look, &mut records, memos, verdict)?;
        if paused == Turn::Paused {
            *way = Way::Records(records);
        }
        Ok(paused)
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.memos.forget_found();
    }
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Over,
    Paused,
}

/// Whether the headers of a record are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Not,
    /// They are those of the record before, or of the last one whose were.
    AsLatest,
    AsOther,
}

/// What stays the same from record to record.
pub(super) struct Look<'w> {
    judge: &'w Judge,
    pub(super) policy: &'w TopicPolicy,
    resolved: &'w Resolved,
}

impl Look<'_> {
    /// Goes on until the turn is over, looking at `N` kinds of headers.
    fn records<const N: usize>(
        &self,
        records: &mut RecordReader<'_>,
        memos: &mut Memos,
        verdict: &mut PartitionVerdict,
    ) -> Result<Turn, RecordError> {
        let (names, remembers) = (&self.policy.naming.names, self.policy.naming.key.is_none());
        let end = records.spent().saturating_add(TURN_BYTES);
        // Whether the next record may well have the headers of this one.
        let mut alike = true;
        while records.spent() < end {
            let (mut metadata, mut known) = (Metadata::<'_, N>::default(), Known::Not);
            let next = records.next_unless_known(
                |headers| {
                    if remembers {
                        known = self.knows(headers, memos);
                    }
                    known != Known::Not
                },
                |key, value| metadata.visit(names, key, value),
            )?;
            let Some((record, headers)) = next else { return Ok(Turn::Over) };
            if known != Known::Not {
                if let Some(latest) = memos.headers.latest()
                    && self.is_good(record.value, &latest)
                {
                    alike |= known == Known::AsLatest;
                    let passed = if alike {
                        records
                            .pass_alike(latest.headers, end, |value| self.is_good(value, &latest))
                    } else {
                        0
                    };
                    alike &= passed > 0;
                    verdict.accept(passed + 1);
                    continue;
                }
                // Whatever is wrong is found like anything else.
                each_header(headers, |key, value| metadata.visit(names, key, value));
            }
            let accepted = self.decide(&record, metadata.facts(), memos, verdict);
            if accepted && record.value.is_some() && memos.headers.wants() {
                self.learn(headers, metadata.facts(), memos);
            }
        }
        Ok(Turn::Paused)
    }

    /// Whether a record had these headers lately, and the schema that they claim is still at hand.
    #[inline]
    fn knows(&self, headers: &[u8], memos: &mut Memos) -> Known {
        let Memos { headers: known, value: memo, .. } = memos;
        if known.pauses() {
            return Known::Not;
        }
        if known.is_latest(headers) {
            return Known::AsLatest;
        }
        let is_known = known.bring_forward(headers, self.policy.number(), |written| {
            let found = self.found(written, memo);
            matches!(found, Found::Named | Found::Schema(_)).then(|| found.clone())
        });
        if is_known { Known::AsOther } else { Known::Not }
    }

    /// Remembers what the headers of a record say, if they are what its value was judged by.
    fn learn(&self, headers: &[u8], facts: Facts<'_, '_>, memos: &mut Memos) {
        let reader = self.policy.naming.reader(Side::Value);
        let claim = match reader.conventions.is_headers_only() {
            true => reader.own(facts).ok(),
            false => reader.in_headers(facts).ok().and_then(|claims| claims.only()),
        };
        let Some(claim) = claim else { return };
        if let Some(found) = memos.value.latest(&claim.written) {
            memos.headers.learn(headers, self.policy.number(), &claim, found);
        }
    }

    /// Whether a record passes that has the latest headers. Quick, and without a word where it does not.
    #[inline(always)]
    fn is_good(&self, value: Option<&[u8]>, latest: &Latest<'_>) -> bool {
        match (value, latest.found) {
            (None, _) => self.policy.tombstones == Tombstones::Allow,
            (_, Found::Named) => true,
            (Some(value), Found::Schema(schema)) => {
                check(schema, latest.form, Datum::Plain(value), self.terms(Words::Spared)).is_ok()
            }
            _ => false,
        }
    }

    const fn terms(&self, words: Words) -> Terms {
        Terms {
            words,
            unknown_fields: self.policy.unknown_fields,
            max_inflated_bytes: self.judge.limits.max_record_bytes,
        }
    }

    /// Adds what is known of a record to the verdict. Whether it passes.
    #[inline(always)]
    fn decide(
        &self,
        record: &Record<'_>,
        facts: Facts<'_, '_>,
        memos: &mut Memos,
        verdict: &mut PartitionVerdict,
    ) -> bool {
        let words = if verdict.names_more() { Words::Wanted } else { Words::Spared };
        match self.record(record, facts, memos, words) {
            Outcome::Accepted => {
                verdict.accept(1);
                return true;
            }
            Outcome::Rejected(rejection) => {
                let schema =
                    verdict.names_more().then(|| self.shown(record, facts, &rejection.detail));
                verdict.reject(record.batch_index, rejection, schema.flatten());
            }
            Outcome::Unknown(reference, error) => {
                verdict.abstain(record.batch_index, reference, || unknown(reference, error));
            }
        }
        false
    }

    #[inline]
    fn tombstone<'m>(&self) -> Outcome<'m> {
        match self.policy.tombstones {
            Tombstones::Allow => Outcome::Accepted,
            Tombstones::Reject => {
                let detail = "the value is null and this topic allows no tombstones";
                Rejection::new(Reason::PayloadMissing, detail).into()
            }
        }
    }

    /// The schema that a record names for what `detail` finds wrong, its key or else its value, fit to be shown; `None` if it
    /// names none that can be read.
    #[cold]
    pub(super) fn shown(
        &self,
        record: &Record<'_>,
        facts: Facts<'_, '_>,
        detail: &str,
    ) -> Option<Box<str>> {
        let naming = &self.policy.naming;
        let of_key = naming.key.is_some() && detail.starts_with(OF_KEY);
        let (side, bytes) =
            if of_key { (Side::Key, record.key) } else { (Side::Value, record.value) };
        let reader = naming.reader(side);
        let claim = match reader.conventions.is_headers_only() {
            true => reader.own(facts).ok()?,
            false => match (reader.in_headers(facts).ok()?.first(), reader.conventions.prefix) {
                (Some(claim), _) => claim,
                (None, prefix) => unframe(prefix?, bytes?).ok()?.0,
            },
        };
        let reference = claim.written.reference(&self.judge.references).ok()?;
        Some(reference.shown().into())
    }

    #[inline]
    pub(super) fn record<'m>(
        &self,
        record: &Record<'_>,
        facts: Facts<'_, '_>,
        memos: &'m mut Memos,
        words: Words,
    ) -> Outcome<'m> {
        if self.policy.naming.key.is_some() {
            return self.key_and_value(record, facts, memos, words);
        }
        self.value(record, facts, &mut memos.value, words)
    }

    #[inline]
    fn value<'m>(
        &self,
        record: &Record<'_>,
        facts: Facts<'_, '_>,
        memo: &'m mut Memo,
        words: Words,
    ) -> Outcome<'m> {
        let Some(value) = record.value else { return self.tombstone() };
        let reader = self.policy.naming.reader(Side::Value);
        if reader.conventions.is_headers_only() {
            return match reader.own(facts) {
                Ok(claim) => self.claim(&claim, Datum::Plain(value), memo, words),
                Err(rejection) => rejection.into(),
            };
        }
        self.any_claim(Side::Value, value, facts, memo, words)
    }

    /// A key is judged like a value; where there is none, there is nothing to judge. What is certainly wrong with either
    /// counts before what cannot be said of the other.
    #[inline(never)]
    fn key_and_value<'m>(
        &self,
        record: &Record<'_>,
        facts: Facts<'_, '_>,
        memos: &'m mut Memos,
        words: Words,
    ) -> Outcome<'m> {
        let (memo_of_keys, memo) = memos.both();
        if let Some(key) = record.key {
            match self.any_claim(Side::Key, key, facts, memo_of_keys, words) {
                Outcome::Accepted => {}
                Outcome::Rejected(Rejection { reason, detail }) => {
                    return Rejection::new(reason, format!("{OF_KEY}{detail}")).into();
                }
                unknown @ Outcome::Unknown(..) => {
                    return match self.value(record, facts, memo, words) {
                        Outcome::Rejected(rejection) => rejection.into(),
                        _ => unknown,
                    };
                }
            }
        }
        self.value(record, facts, memo, words)
    }

    /// What a side of the record claims by any convention that the topic accepts: in its headers, or else in its prefix.
    #[inline(never)]
    fn any_claim<'m>(
        &self,
        side: Side,
        bytes: &[u8],
        facts: Facts<'_, '_>,
        memo: &'m mut Memo,
        words: Words,
    ) -> Outcome<'m> {
        let reader = self.policy.naming.reader(side);
        let claims = match reader.in_headers(facts) {
            Ok(claims) => claims,
            Err(rejection) => return rejection.into(),
        };
        let Some(first) = claims.first() else {
            let Some(prefix) = reader.conventions.prefix else {
                return reader.nothing(facts).into();
            };
            return match unframe(prefix, bytes) {
                Ok((claim, datum)) => self.claim(&claim, datum, memo, words),
                Err(rejection) => rejection.into(),
            };
        };
        if !claims.encodings_agree() {
            return conflict("the content type").into();
        }
        for other in claims.others() {
            match self.agreement(&first, &other, memo) {
                Agreement::Same => {}
                Agreement::Different => return conflict("the schema reference").into(),
                // Rejected, or not known yet.
                Agreement::NoSchema => return self.claim(&other, Datum::Plain(bytes), memo, words),
            }
        }
        let encoding = claims.encoding();
        self.claim(&Claim { encoding, ..first }, Datum::Plain(bytes), memo, words)
    }

    #[inline]
    fn claim<'m>(
        &self,
        claim: &Claim<'_>,
        datum: Datum<'_>,
        memo: &'m mut Memo,
        words: Words,
    ) -> Outcome<'m> {
        match self.found(&claim.written, memo) {
            Found::Named => Outcome::Accepted,
            Found::Schema(schema) => {
                let checked = check(schema, claim.form(), datum, self.terms(words));
                checked.map_or_else(Outcome::Rejected, |()| Outcome::Accepted)
            }
            Found::Rejected(rejection) => rejection.clone().into(),
            Found::Unknown(unknown) => {
                let (reference, error) = &**unknown;
                Outcome::Unknown(reference, error.as_ref())
            }
        }
    }

    #[inline]
    fn found<'m>(&self, written: &Written<'_>, memo: &'m mut Memo) -> &'m Found {
        let Self { judge, policy, resolved } = self;
        let side = memo.side;
        memo.find(written, |known| judge.find(side, written, known, policy, resolved))
    }

    /// Whether two references that are written differently name one schema.
    #[cold]
    fn agreement(&self, one: &Claim<'_>, other: &Claim<'_>, memo: &mut Memo) -> Agreement {
        let one = self.found(&one.written, memo).clone();
        match (&one, self.found(&other.written, memo)) {
            (Found::Schema(one), Found::Schema(other)) if !one.is_same_as(other) => {
                Agreement::Different
            }
            (_, Found::Rejected(_) | Found::Unknown(..)) => Agreement::NoSchema,
            _ => Agreement::Same,
        }
    }
}

/// What is known of a second reference.
enum Agreement {
    Different,
    /// It leads to none, or none that is at hand.
    NoSchema,
    Same,
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
        SourceError::Unavailable { .. } => {
            return Found::Unknown(Box::new((reference.clone(), Some(error))));
        }
        SourceError::Invalid { .. } => Reason::SchemaInvalid,
        SourceError::NotAllowed { .. } | SourceError::OtherSubject { .. } => {
            Reason::SchemaNotAllowed
        }
        SourceError::NotFound { .. } => Reason::SchemaNotFound,
    };
    Found::Rejected(Rejection::new(reason, format!("schema {}: {error}", reference.shown())))
}

/// A document is registered nowhere.
fn no_subject(reference: &SchemaRef) -> Rejection {
    let detail = format!(
        "schema {} has no subject, and this topic accepts schemas of certain subjects only",
        reference.shown()
    );
    Rejection::new(Reason::SchemaNotAllowed, detail)
}

pub(super) fn unknown(reference: &SchemaRef, error: Option<&SourceError>) -> String {
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
mod tests;
