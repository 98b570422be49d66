//! What is wrong with a schema, or with a datum of one: the same for every format.

use crate::limits::MAX_SHOWN_BYTES;

/// Why a schema document cannot be used. Scope: every record that names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SchemaFault {
    /// What is wrong and where, fit to be shown.
    pub detail: String,
}

impl SchemaFault {
    pub(crate) const fn new(detail: String) -> Self {
        Self { detail }
    }

    /// Says in which part of the document; only the innermost parts are kept.
    pub(crate) fn within(self, place: &str) -> Self {
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

/// A number of bytes in words.
pub(crate) fn bytes(count: u64) -> String {
    format!("{count} byte{}", if count == 1 { "" } else { "s" })
}

/// A number that stood where a length, a count or an index should be. A large one may be a value of another schema, which
/// is the datum's secret.
pub(crate) fn number(number: i64) -> String {
    if number.unsigned_abs() <= MAX_SHOWN_NUMBER {
        number.to_string()
    } else if number < 0 {
        format!("below -{MAX_SHOWN_NUMBER}")
    } else {
        format!("above {MAX_SHOWN_NUMBER}")
    }
}

/// A name of the schema, short enough for a message.
pub(crate) fn cut(name: &str) -> String {
    let mut characters = name.chars();
    let mut short: String = characters.by_ref().take(MAX_SHOWN_NAME).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Largest number from the wire that is shown.
const MAX_SHOWN_NUMBER: u64 = 65_535;
/// Characters of one name that are shown.
const MAX_SHOWN_NAME: usize = 100;

/// Keeps both ends of a long path: where it starts, and where it went wrong.
pub(crate) fn shortened(path: String) -> String {
    if path.len() <= MAX_SHOWN_BYTES {
        return path;
    }
    let split = |at: usize| (at..path.len()).find(|at| path.is_char_boundary(*at));
    let head = split(MAX_SHOWN_BYTES / 3).and_then(|end| path.get(..end));
    let tail = split(path.len() - MAX_SHOWN_BYTES / 2).and_then(|start| path.get(start..));
    format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default())
}
