//! The walk over a batch that is refused: every record with what is wrong with it and the bytes that it is, for whoever
//! keeps copies. It is not the walk that decides, and may see schemas that came since.

use std::ops::ControlFlow;

use super::{
    datum::Words,
    judge::{Look, MemorySpent, Outcome, TURN_BYTES, Turn, Walk},
    memo::Memos,
    metadata::{EVERY, Metadata, OWN},
    verdict::Rejection,
};
use crate::record::{RecordError, RecordErrorClass, RecordReader};

/// One record of a refused batch.
#[derive(Debug)]
pub struct Examined<'r> {
    /// Its place in the batch, from 0.
    pub batch_index: i32,
    /// The record's bytes, its length apart.
    pub body: &'r [u8],
    /// What is wrong with it.
    pub finding: Finding,
    /// The schema that it names for its value, fit to be shown, where that can be read.
    pub schema: Option<Box<str>>,
}

/// What is known of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing is wrong with it.
    Good,
    /// It does not pass.
    Bad(Rejection),
    /// Its schema is not at hand.
    Unknown(String),
}

/// Why a batch is not examined to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Memory is spent.
    Memory(MemorySpent),
    /// It cannot be taken apart.
    Unreadable,
}

impl Walk<'_> {
    /// Goes on for a turn, and shows `see` every record of it; a break ends the walk. `None`: it goes on. A walk that was
    /// begun this way has to go on this way.
    ///
    /// # Errors
    /// [`Cut`].
    pub fn examine(
        &mut self,
        see: &mut dyn FnMut(Examined<'_>) -> ControlFlow<()>,
    ) -> Result<Option<()>, Cut> {
        let turn = self.go_on(|look, records, memos, _| match look.policy.naming.is_own() {
            true => look.examine::<OWN>(records, memos, see),
            false => look.examine::<EVERY>(records, memos, see),
        });
        match turn {
            Ok(Turn::Over) => Ok(Some(())),
            Ok(Turn::Paused) => Ok(None),
            Err(error) if error.class() == RecordErrorClass::BudgetSpent => {
                Err(Cut::Memory(MemorySpent { needed: error.needed() }))
            }
            Err(_) => Err(Cut::Unreadable),
        }
    }
}

impl Look<'_> {
    fn examine<const N: usize>(
        &self,
        records: &mut RecordReader<'_>,
        memos: &mut Memos,
        see: &mut dyn FnMut(Examined<'_>) -> ControlFlow<()>,
    ) -> Result<Turn, RecordError> {
        let names = &self.policy.naming.names;
        let end = records.spent().saturating_add(TURN_BYTES);
        while records.spent() < end {
            let mut metadata = Metadata::<'_, N>::default();
            let next = records.next_with_body(|key, value| metadata.visit(names, key, value))?;
            let Some((record, body)) = next else { return Ok(Turn::Over) };
            let (finding, schema) =
                match self.record(&record, metadata.facts(), memos, Words::Wanted) {
                    Outcome::Accepted => (Finding::Good, self.shown(&record, metadata.facts(), "")),
                    Outcome::Rejected(rejection) => {
                        let schema = self.shown(&record, metadata.facts(), &rejection.detail);
                        (Finding::Bad(rejection), schema)
                    }
                    Outcome::Unknown(reference, error) => {
                        let finding = Finding::Unknown(super::judge::unknown(reference, error));
                        (finding, self.shown(&record, metadata.facts(), ""))
                    }
                };
            let batch_index = record.batch_index;
            if see(Examined { batch_index, body, finding, schema }).is_break() {
                return Ok(Turn::Over);
            }
        }
        Ok(Turn::Paused)
    }
}
