//! The headers that records of one connection had last, as bytes, and the schema that they claim: most records of a batch
//! have the same, and so have most batches. Where they do, nothing is parsed and nothing is looked up.
//!
//! What the bytes claim is remembered from batch to batch, for one policy. What that leads to is asked anew in every walk,
//! of the [`Memo`](super::memo::Memo) behind: so it is of one moment, one registry and one topic, and counts as before.

use super::{
    claim::{Claim, Form, MessageName, Notation, Written},
    judge::Found,
    metadata::Encoding,
    policy::PolicyNumber,
};

/// Headers that a connection remembers.
const PLACES: usize = 4;
/// Longest headers that are remembered, in bytes: no record decides how much a connection holds.
pub(super) const MAX_HEADERS_BYTES: usize = 512;
/// After so many records with headers that were not remembered, most are not compared any more.
const MAX_MISSES: u8 = 8;
/// So many are not: each record has a trace of its own, and comparing is for nothing.
const PAUSE: u8 = 32;

/// The headers that records had last.
#[derive(Debug, Default)]
pub(super) struct HeaderMemo {
    /// As long as they were needed: connections hold no more than they use.
    places: Vec<Place>,
    latest: usize,
    /// The place that is filled next.
    next: usize,
    misses: u8,
    /// Records that are not compared from here on.
    pause: u8,
    /// Whether the record at hand is to be remembered.
    learning: bool,
}

/// The headers of the latest record whose schema is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latest<'m> {
    pub(super) headers: &'m [u8],
    /// What they lead to.
    pub(super) found: &'m Found,
    /// What they claim beside the schema.
    pub(super) form: Form<'m>,
}

/// Headers and what they claim.
#[derive(Debug)]
struct Place {
    bytes: Vec<u8>,
    /// By whose conventions they were read.
    policy: PolicyNumber,
    claim: Remembered,
    /// What that leads to, if that is a schema or no schema is asked for: good for one walk.
    found: Option<Found>,
}

/// A claim whose bytes are among the headers.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    notation: Notation,
    written: Range,
    encoding: Encoding,
    message: Message,
}

#[derive(Debug, Clone, Copy)]
enum Message {
    First,
    Full(Range),
    IndexesBefore,
    Indexes(Range),
    Unread,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    at: usize,
    len: usize,
}

impl HeaderMemo {
    /// Whether the headers of the next record are not to be compared.
    #[inline]
    pub(super) const fn pauses(&mut self) -> bool {
        let pauses = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        pauses
    }

    /// Whether these are the headers of the latest record whose schema is known. The one question that most records cost.
    #[inline]
    pub(super) fn is_latest(&self, headers: &[u8]) -> bool {
        let latest = self.places.get(self.latest);
        latest.is_some_and(|place| place.found.is_some() && *place.bytes == *headers)
    }

    /// Whether they are remembered, and lead to something that `find` still finds. Then they are the latest.
    #[inline(never)]
    pub(super) fn bring_forward(
        &mut self,
        headers: &[u8],
        policy: PolicyNumber,
        find: impl FnOnce(&Written<'_>) -> Option<Found>,
    ) -> bool {
        let (before, from) = self.places.split_at_checked(self.latest).unwrap_or_default();
        // Headers that take turns are found at once.
        let in_turn = (self.latest..).zip(from).chain((0..).zip(before));
        let is_it = |place: &Place| place.policy == policy && *place.bytes == *headers;
        let at = in_turn.into_iter().find_map(|(at, place)| is_it(place).then_some(at));
        let Some((at, place)) = at.and_then(|at| Some((at, self.places.get_mut(at)?))) else {
            self.miss();
            return false;
        };
        (self.latest, self.misses) = (at, 0);
        if place.found.is_none() {
            place.found = place.claim.written(&place.bytes).and_then(|written| find(&written));
        }
        place.found.is_some()
    }

    #[inline]
    fn miss(&mut self) {
        self.learning = true;
        self.misses = self.misses.saturating_add(1);
        if self.misses >= MAX_MISSES {
            self.pause = PAUSE;
        }
    }

    /// Whether the record that was not known is to be remembered. Only the first to ask is told so.
    #[inline]
    pub(super) fn wants(&mut self) -> bool {
        std::mem::take(&mut self.learning)
    }

    /// Remembers what `headers` claim, and what that leads to.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        headers: &[u8],
        policy: PolicyNumber,
        claim: &Claim<'_>,
        found: &Found,
    ) {
        if !matches!(found, Found::Named | Found::Schema(_)) || headers.len() > MAX_HEADERS_BYTES {
            return;
        }
        let Some(claim) = Remembered::of(claim, headers) else { return };
        if self.next >= PLACES {
            self.next = 0;
        }
        let bytes = match self.places.get_mut(self.next) {
            Some(oldest) => std::mem::take(&mut oldest.bytes),
            None => Vec::new(),
        };
        let place =
            Place { bytes: refilled(bytes, headers), policy, claim, found: Some(found.clone()) };
        match self.places.get_mut(self.next) {
            Some(oldest) => *oldest = place,
            None => {
                self.places.reserve_exact(1);
                self.places.push(place);
            }
        }
        self.latest = self.next;
        self.next += 1;
    }

    /// The latest headers, and what they say.
    #[inline]
    pub(super) fn latest(&self) -> Option<Latest<'_>> {
        let Place { bytes, claim, found, .. } = self.places.get(self.latest)?;
        let form = Form { encoding: claim.encoding, message: claim.message(bytes)? };
        Some(Latest { headers: bytes, found: found.as_ref()?, form })
    }

    /// Ends a walk.
    pub(super) fn forget_found(&mut self) {
        self.places.iter_mut().for_each(|place| place.found = None);
    }
}

/// `content` in the memory of `bytes`.
fn refilled(mut bytes: Vec<u8>, content: &[u8]) -> Vec<u8> {
    bytes.clear();
    bytes.reserve_exact(content.len());
    bytes.extend_from_slice(content);
    bytes
}

impl Remembered {
    /// `None` where something of it is not among the headers, or in several pieces.
    fn of(claim: &Claim<'_>, headers: &[u8]) -> Option<Self> {
        let Written { notation, parts: [written, ..] } = claim.written;
        if notation == Notation::Artifact {
            return None;
        }
        let message = match claim.message {
            MessageName::First => Message::First,
            MessageName::Full(name) => Message::Full(Range::of(name, headers)?),
            MessageName::IndexesBefore => Message::IndexesBefore,
            MessageName::Indexes([]) => Message::Indexes(Range { at: 0, len: 0 }),
            MessageName::Indexes(list) => Message::Indexes(Range::of(list, headers)?),
            MessageName::Unread => Message::Unread,
        };
        let (written, encoding) = (Range::of(written, headers)?, claim.encoding);
        Some(Self { notation, written, encoding, message })
    }

    fn written<'h>(&self, headers: &'h [u8]) -> Option<Written<'h>> {
        Some(Written {
            notation: self.notation,
            parts: [self.written.of_bytes(headers)?, &[], &[]],
        })
    }

    #[inline]
    fn message<'h>(&self, headers: &'h [u8]) -> Option<MessageName<'h>> {
        Some(match self.message {
            Message::First => MessageName::First,
            Message::Full(name) => MessageName::Full(name.of_bytes(headers)?),
            Message::IndexesBefore => MessageName::IndexesBefore,
            Message::Indexes(list) => MessageName::Indexes(list.of_bytes(headers)?),
            Message::Unread => MessageName::Unread,
        })
    }
}

impl Range {
    /// Where `part` stands in `whole`, which it was taken from.
    fn of(part: &[u8], whole: &[u8]) -> Option<Self> {
        let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let range = Self { at, len: part.len() };
        (range.of_bytes(whole)? == part).then_some(range)
    }

    #[inline]
    fn of_bytes(self, whole: &[u8]) -> Option<&[u8]> {
        whole.get(self.at..self.at.checked_add(self.len)?)
    }
}

#[cfg(test)]
mod tests;
