//! Why bytes on a connection cannot be understood.

use crate::cursor::CursorError;

/// Why a frame cannot be read. Scope: the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame announces a negative size, or one too small for a header.
    #[error("frame announces {size} bytes, which is no size of a frame")]
    FrameSize {
        /// The size announced.
        size: i32,
    },
    /// A frame announces more bytes than its kind may have.
    #[error("frame announces {size} bytes but at most {limit} are taken")]
    FrameTooLarge {
        /// The size announced.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A field cannot be read.
    #[error("{what} v{version}: {error}")]
    Field {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// What is wrong, and where.
        error: CursorError,
    },
    /// A text field is not UTF-8.
    #[error("{what} v{version}: text at byte {at} is not valid UTF-8")]
    Text {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// Where the text begins.
        at: usize,
    },
    /// The message has more elements than are taken.
    #[error("{what} v{version}: more than {limit} elements")]
    TooManyElements {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// The limit.
        limit: usize,
    },
    /// Bytes are left after the last field.
    #[error("{what} v{version}: {left} bytes after the last field")]
    TrailingBytes {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// Bytes left.
        left: usize,
    },
    /// What follows an answer's records has to be held whole, and is too large for that.
    #[error("{what} v{version}: {size} bytes behind the records but at most {limit} are taken")]
    TailTooLarge {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// Bytes behind the records.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A version that was not offered.
    #[error("{what} v{version} was not offered ({min} to {max} were)")]
    Version {
        /// Name of the message.
        what: &'static str,
        /// The version asked for.
        version: i16,
        /// Lowest version offered.
        min: i16,
        /// Highest version offered.
        max: i16,
    },
    /// The broker answered another request than the oldest one.
    #[error("broker answered correlation id {actual}, expected {expected}")]
    Correlation {
        /// What the broker sent.
        actual: i32,
        /// What its oldest request carries.
        expected: i32,
    },
    /// A text field is longer than the protocol allows.
    #[error("{what} v{version}: text at byte {at} has {length} bytes, at most 32767 are allowed")]
    TextTooLong {
        /// Name of the message.
        what: &'static str,
        /// Its version.
        version: i16,
        /// Where the text begins.
        at: usize,
        /// Its length.
        length: usize,
    },
    /// A request of another kind stands where a Produce request is read.
    #[error("expected a Produce request, got api key {api_key}")]
    NotProduce {
        /// What came.
        api_key: i16,
    },
    /// A partition was forwarded but the broker left it out of its answer.
    #[error("broker left partition {partition} out of its Produce answer")]
    Unanswered {
        /// The partition.
        partition: i32,
    },
    /// The broker answered a partition that it was not sent, or one twice.
    #[error("broker answered partition {partition}, which it was not sent or has answered before")]
    Unasked {
        /// The partition.
        partition: i32,
    },
}
