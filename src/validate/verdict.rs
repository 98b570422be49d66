//! Facts about one partition's batch: what was found, without opinion on what to do about it.

use std::collections::HashSet;

use crate::{
    limits::{MAX_PENDING_LOOKUPS, MAX_RECORD_ERRORS},
    reason::Reason,
    schema::SchemaRef,
    wire::ErrorCode,
};

/// Why one record does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reason.
    pub reason: Reason,
    /// What was found and where, fit to be shown.
    pub detail: String,
}

impl Rejection {
    /// A rejection for `reason` with `detail`.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A record that does not pass, by its place in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Index of the record in its batch, from 0.
    pub batch_index: i32,
    /// Why.
    pub rejection: Rejection,
    /// The schema that it names for its value, fit to be shown, where that can be read.
    pub schema: Option<Box<str>>,
}

impl RejectedRecord {
    /// The text that the producer sees: `payload_invalid: record 3: …`.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { batch_index, rejection: Rejection { reason, detail }, .. } = self;
        format!("{}: record {batch_index}: {detail}", reason.label())
    }
}

/// Why a batch does not pass as a whole, before its records count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFault {
    /// The reason.
    pub reason: Reason,
    /// The code for the producer: the same reason has different ones.
    pub code: ErrorCode,
    /// What was found and where, fit to be shown.
    pub detail: String,
}

impl BatchFault {
    /// The text that the producer sees: `batch_corrupt: …`.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}: {}", self.reason.label(), self.detail)
    }
}

/// What is known of one batch. Only [`super::judge::Judge`] makes one.
#[derive(Debug, Default)]
pub struct PartitionVerdict {
    fault: Option<BatchFault>,
    records: u64,
    rejected: Vec<RejectedRecord>,
    rejected_by_reason: [u64; Reason::ALL.len()],
    unknown: Vec<SchemaRef>,
    /// The same, to be found among at once: one batch can name a thousand schemas a million times.
    named: HashSet<SchemaRef>,
    unknown_records: u64,
    unknown_detail: Option<(i32, String)>,
}

impl PartitionVerdict {
    pub(super) fn faulty(fault: BatchFault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    pub(super) const fn accept(&mut self, records: u64) {
        self.records += records;
    }

    pub(super) fn reject(
        &mut self,
        batch_index: i32,
        rejection: Rejection,
        schema: Option<Box<str>>,
    ) {
        self.records += 1;
        if let Some(count) = self.rejected_by_reason.get_mut(slot(rejection.reason)) {
            *count += 1;
        }
        if self.names_more() {
            self.rejected.push(RejectedRecord { batch_index, rejection, schema });
        }
    }

    /// Whether one more record that does not pass will be named, and what is wrong with it be read.
    pub(super) fn names_more(&self) -> bool {
        self.rejected.len() < MAX_RECORD_ERRORS
    }

    pub(super) fn abstain(
        &mut self,
        batch_index: i32,
        reference: &SchemaRef,
        detail: impl FnOnce() -> String,
    ) {
        self.records += 1;
        self.unknown_records += 1;
        if self.unknown_detail.is_none() {
            self.unknown_detail = Some((batch_index, detail()));
        }
        if self.unknown.len() < MAX_PENDING_LOOKUPS && !self.named.contains(reference) {
            self.named.insert(reference.clone());
            self.unknown.push(reference.clone());
        }
    }

    /// What is wrong with the batch as a whole. Comes before what is wrong with its records.
    #[must_use]
    pub const fn fault(&self) -> Option<&BatchFault> {
        self.fault.as_ref()
    }

    /// Records that were walked.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// The first records that certainly do not pass, ascending; at most [`MAX_RECORD_ERRORS`].
    #[must_use]
    pub fn rejected(&self) -> &[RejectedRecord] {
        &self.rejected
    }

    /// How many records certainly do not pass.
    #[must_use]
    pub fn rejected_records(&self) -> u64 {
        self.rejected_by_reason.iter().sum()
    }

    /// How many records certainly do not pass, for each reason that occurs.
    pub fn rejected_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.rejected_by_reason).filter(|(_, count)| *count > 0)
    }

    /// How many records name a schema that is not at hand.
    #[must_use]
    pub const fn unknown_records(&self) -> u64 {
        self.unknown_records
    }

    /// The schemas that are not at hand, each once; at most [`MAX_PENDING_LOOKUPS`].
    #[must_use]
    pub fn unknown(&self) -> &[SchemaRef] {
        &self.unknown
    }

    /// The first record whose schema is not at hand, and why it is not.
    #[must_use]
    pub const fn unknown_detail(&self) -> Option<&(i32, String)> {
        self.unknown_detail.as_ref()
    }

    /// Why the first record does not pass that is known not to; otherwise that it is not known whether one does.
    #[must_use]
    pub fn first_reason(&self) -> Reason {
        self.rejected.first().map_or(Reason::RegistryUnavailable, |it| it.rejection.reason)
    }

    /// Whether nothing more can be learnt by waiting for schemas.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.fault.is_some() || self.unknown.is_empty() || self.rejected_records() > 0
    }
}

fn slot(reason: Reason) -> usize {
    Reason::ALL.iter().position(|it| *it == reason).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::DocumentUrl;

    #[test]
    fn schemas_that_are_not_at_hand_are_named_once_in_order_and_up_to_the_bound() {
        let long = "x".repeat(1_900);
        let reference = |number: usize| {
            SchemaRef::Document(DocumentUrl(format!("https://h/{long}/{number}").into()))
        };
        let references: Vec<_> = (0..MAX_PENDING_LOOKUPS + 3).map(reference).collect();
        for known in [1, 3, MAX_PENDING_LOOKUPS - 1, MAX_PENDING_LOOKUPS, references.len()] {
            let mut verdict = PartitionVerdict::default();
            // Comparing each record with all references would take seconds here, and a minute for a large batch.
            for (index, reference) in (0..100_000).zip(references[..known].iter().cycle()) {
                verdict.abstain(index, reference, || format!("record {index}"));
            }
            assert_eq!(verdict.unknown(), &references[..known.min(MAX_PENDING_LOOKUPS)]);
            assert_eq!(verdict.unknown_records(), 100_000);
            assert_eq!(verdict.unknown_detail(), Some(&(0, "record 0".to_owned())));
        }
    }
}
