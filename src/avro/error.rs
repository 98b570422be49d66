//! What is wrong with a schema, or with a datum.

/// Why a schema document cannot be used. Scope: every record that names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SchemaFault {
    /// What is wrong and where, fit to be shown.
    pub detail: String,
}

impl SchemaFault {
    pub(super) const fn new(detail: String) -> Self {
        Self { detail }
    }

    /// Says in which part of the document; only the innermost parts are kept.
    pub(super) fn within(self, place: &str) -> Self {
        if self.detail.len() + place.len() > MAX_DETAIL_BYTES {
            return self;
        }
        Self { detail: format!("{place}: {}", self.detail) }
    }
}

/// Bytes of a fault's text after which no further place is put before it.
const MAX_DETAIL_BYTES: usize = 512;

/// Which promise a datum breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatumFault {
    /// It is no datum of the schema.
    Invalid,
    /// It is one, and bytes follow it.
    TrailingBytes,
}

/// Why bytes are not exactly one datum of a schema. Scope: one record.
///
/// The path is made of the schema's names and of positions, never of the datum's own keys, texts or values:
/// `users.accounts{entry 2}.balance at byte 41: union branch 7, schema has 2`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} at byte {offset}: {detail}")]
pub struct DatumError {
    /// Which promise is broken.
    pub fault: DatumFault,
    /// Where in the schema: fields and positions, or the name of the schema's type where it is the whole datum.
    pub path: String,
    /// Where in the bytes, counted from the start of the datum.
    pub offset: usize,
    /// What was found and what was expected.
    pub detail: String,
}
