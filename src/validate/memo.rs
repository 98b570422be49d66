//! The schema references that one connection met last: records of one batch mostly share a few, and so do batches.

use super::{
    claim::{Notation, Written},
    headers::HeaderMemo,
    judge::{Found, Generation},
    metadata::Side,
    policy::PolicyNumber,
};
use crate::{
    limits::KIB,
    schema::{Bookmark, SchemaRef},
};

/// Schema references that a connection remembers.
const MEMO_ENTRIES: usize = 8;
/// Longest written reference that is remembered from record to record, in bytes.
pub(super) const MAX_MEMO_BYTES: usize = 2 * KIB;
/// Longest one that is remembered from batch to batch.
const KEPT_MEMO_BYTES: usize = 256;
/// Stands between the parts of a reference of several; no text has this byte.
const BETWEEN: u8 = 0xff;

/// What a connection remembers of each side: the same bytes may be allowed on one and not on the other.
#[derive(Debug, Default)]
pub(super) struct Memos {
    /// In front of those of values.
    pub(super) headers: HeaderMemo,
    pub(super) value: Memo,
    /// Only where keys are looked at: idle connections are many.
    key: Option<Box<Memo>>,
    /// Who has read them: under somebody else they mean something else.
    judge: Option<Generation>,
}

impl Memos {
    /// Forgets everything that was read under another judge than this one.
    pub(super) fn belong_to(&mut self, judge: Generation) {
        if self.judge != Some(judge) {
            *self = Self { judge: Some(judge), ..Self::default() };
        }
    }

    /// That of keys, and that of values.
    pub(super) fn both(&mut self) -> (&mut Memo, &mut Memo) {
        let of_keys = || Box::new(Memo { side: Side::Key, ..Memo::default() });
        (self.key.get_or_insert_with(of_keys), &mut self.value)
    }

    pub(super) fn forget_found(&mut self) {
        self.headers.forget_found();
        self.key.iter_mut().for_each(|key| key.forget_found());
        self.value.forget_found();
    }
}

/// Latest first.
#[derive(Debug)]
pub(super) struct Memo {
    /// Of which side.
    pub(super) side: Side,
    latest: MemoEntry,
    /// Empty with most connections: they hold no more than they use.
    others: Vec<MemoEntry>,
}

/// One reference as it was written. Empty, it is a free place.
#[derive(Debug, Default)]
struct MemoEntry {
    notation: Notation,
    written: Vec<u8>,
    learnt: Learnt,
    /// What that leads to: good for one walk, which is of one moment and one topic.
    found: Option<Found>,
}

/// What stays true of a reference as it was written, for as long as the judge does.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// What it says, if it can be read.
    pub(super) reference: Option<SchemaRef>,
    /// Where the schema stood that one policy allows it to lead to.
    pub(super) bookmark: Option<(PolicyNumber, Bookmark)>,
}

impl Default for Memo {
    fn default() -> Self {
        Self { side: Side::Value, latest: MemoEntry::default(), others: Vec::new() }
    }
}

impl Memo {
    /// What `written` leads to, asking `find` only if no record of the walk had it lately.
    pub(super) fn find(
        &mut self,
        written: &Written<'_>,
        find: impl FnOnce(&mut Learnt) -> Found,
    ) -> &Found {
        if !self.latest.is_of(written) {
            self.bring_forward(written);
        }
        let MemoEntry { learnt, found, .. } = &mut self.latest;
        found.get_or_insert_with(|| find(learnt))
    }

    /// What `written` leads to, if the record of the walk before this moment had it.
    pub(super) fn latest(&self, written: &Written<'_>) -> Option<&Found> {
        self.latest.found.as_ref().filter(|_| self.latest.is_of(written))
    }

    /// Makes the entry of `written` the latest: its own, or a new one, or the one that was not used for longest.
    #[inline(never)]
    fn bring_forward(&mut self, written: &Written<'_>) {
        let own = self.others.iter().position(|entry| entry.is_of(written));
        if own.is_some() || !self.latest.written.is_empty() {
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
        if !self.latest.is_of(written) {
            self.latest.begin(written);
        }
    }

    fn forget_found(&mut self) {
        for entry in self.others.iter_mut().chain([&mut self.latest]) {
            entry.found = None;
            if entry.written.capacity() > KEPT_MEMO_BYTES {
                *entry = MemoEntry::default();
            }
        }
    }
}

impl MemoEntry {
    #[inline]
    fn is_of(&self, written: &Written<'_>) -> bool {
        let [first, ..] = written.parts;
        let same = self.notation == written.notation && !self.written.is_empty();
        if written.notation == Notation::Artifact {
            return same && self.is_of_parts(&written.parts);
        }
        same && self.written == first
    }

    fn is_of_parts(&self, parts: &[&[u8]]) -> bool {
        let mut rest = &*self.written;
        for (at, part) in parts.iter().enumerate() {
            let between: &[u8] = if at == 0 { &[] } else { &[BETWEEN] };
            let behind = rest.strip_prefix(between).and_then(|rest| rest.strip_prefix(*part));
            let Some(behind) = behind else { return false };
            rest = behind;
        }
        rest.is_empty()
    }

    /// Those past [`MAX_MEMO_BYTES`] are not kept: no record decides how much a connection holds.
    fn begin(&mut self, written: &Written<'_>) {
        (self.learnt, self.found) = (Learnt::default(), None);
        self.notation = written.notation;
        self.written.clear();
        let parts: &[&[u8]] = match written.notation {
            Notation::Artifact => &written.parts,
            _ => written.parts.split_at_checked(1).map_or(&[], |(first, _)| first),
        };
        if parts.iter().map(|part| part.len() + 1).sum::<usize>() > MAX_MEMO_BYTES + 1 {
            return;
        }
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.written.push(BETWEEN);
            }
            self.written.extend_from_slice(part);
        }
    }
}
