//! Why a record set cannot be read. Says what and where, never any content of a record.

use crate::cursor::CursorError;
use crate::record::Compression;

/// Why a record set cannot be read. Scope: one partition; the connection lives on.
///
/// Small and without anything to drop, for it is the error side of every step of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no batch: null, empty, or fewer bytes than tell which format it is.
    #[error("record set of {len} bytes holds no batch")]
    NoBatch {
        /// Bytes of the record set.
        len: usize,
    },
    /// A message set of a format without headers.
    #[error("batch has magic {magic}, only magic 2 has headers")]
    OldMagic {
        /// 0 or 1.
        magic: i8,
    },
    /// No format that exists: taken for damage, as a broker does.
    #[error("batch has magic {magic}, which does not exist")]
    UnknownMagic {
        /// Below 0 or above 2.
        magic: i8,
    },
    /// The batch's own length is not that of a batch, or more than what came.
    #[error("batch announces {announced} bytes but {available} follow its length")]
    BatchLength {
        /// What the batch says.
        announced: i32,
        /// Bytes of the record set after the length.
        available: usize,
    },
    /// More than one batch, or bytes after it.
    #[error("{left} bytes after the batch, which ends at byte {at}: only one batch is allowed")]
    BytesAfterBatch {
        /// Where the first batch ends.
        at: usize,
        /// Bytes after it.
        left: usize,
    },
    /// The CRC-32C does not fit the bytes.
    #[error("batch checksum is {actual:#010x} but its header says {expected:#010x}")]
    Checksum {
        /// Of the bytes that came.
        actual: u32,
        /// What the header says.
        expected: u32,
    },
    /// Codec bits that mean nothing.
    #[error("compression codec {id} does not exist")]
    UnknownCompression {
        /// 5, 6 or 7.
        id: u8,
    },
    /// A batch of no records, or of fewer. A broker refuses it, too (`LogValidator.validateBatch`).
    #[error("batch announces {count} records, at least 1 is needed")]
    RecordCount {
        /// What the header says.
        count: i32,
    },
    /// A field of a record is cut short, over-long, or negative where it must not be.
    #[error("record {record}: {what}: {error}")]
    Field {
        /// Its index in the batch.
        record: i32,
        /// Which part of the record.
        what: &'static str,
        /// What is wrong. For the record's length: where in the records of the batch, decompressed; else: where in the
        /// record, its length apart.
        error: CursorError,
    },
    /// Bytes of a record after its last header.
    #[error("record {record}: {left} bytes after the last header, which ends at byte {at}")]
    LeftInRecord {
        /// Its index in the batch.
        record: i32,
        /// Where the last header ends in the record.
        at: usize,
        /// Bytes after it.
        left: usize,
    },
    /// Bytes after the declared number of records.
    #[error("bytes are left after {count} records, which end at byte {at}")]
    LeftInBatch {
        /// Declared records.
        count: i32,
        /// Where they end in the records of the batch, decompressed.
        at: usize,
    },
    /// A record larger than what is read.
    #[error("record {record} has {size} bytes but at most {limit} are taken")]
    RecordTooLarge {
        /// Its index in the batch.
        record: i32,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch decompresses to more than what is read.
    #[error("{codec} batch decompresses to more than {limit} bytes")]
    BatchTooLarge {
        /// How it is compressed.
        codec: Compression,
        /// The limit.
        limit: usize,
    },
    /// A zstd frame that refers back farther than what is kept.
    #[error("zstd window of {size} bytes, at most {limit} are kept")]
    ZstdWindow {
        /// What the frame asks for.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A large raw snappy block that refers back farther than what is kept of it.
    #[error("snappy copy from {offset} bytes before, at most {limit} are kept of a large block")]
    SnappyOffset {
        /// How far back.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The compressed stream is not exactly one valid stream.
    #[error("{codec} stream at byte {at}: {what}")]
    Stream {
        /// The codec.
        codec: Compression,
        /// Where in the compressed bytes.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The memory that decompression needs was not granted; the same batch may pass later.
    #[error("{needed} more bytes are needed to decompress the batch than the budget has")]
    BudgetSpent {
        /// What was asked for last.
        needed: usize,
    },
}

/// What a [`RecordError`] means to the producer. Each class has one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordErrorClass {
    /// Nothing is known about the batch: there was no memory to look into it. Try again, or answer a retriable code.
    BudgetSpent,
    /// CRC or batch size is wrong: `CORRUPT_MESSAGE`, clients retry.
    Corrupt,
    /// Larger than what is read: `MESSAGE_TOO_LARGE`, Java splits the batch and goes on.
    TooLarge,
    /// The CRC holds and what is inside cannot be decoded: `INVALID_RECORD`, for a retry would bring the same bytes.
    Undecodable,
    /// A codec that does not exist: `UNSUPPORTED_COMPRESSION_TYPE`.
    UnsupportedCompression,
    /// Magic below 2, no batch or several ones: `INVALID_RECORD`, as a broker answers.
    UnsupportedFormat,
}

impl RecordError {
    /// Bytes that decompression was not granted; 0 for every other error.
    #[must_use]
    pub const fn needed(&self) -> usize {
        match self {
            Self::BudgetSpent { needed } => *needed,
            _ => 0,
        }
    }

    /// What the error means to the producer.
    #[must_use]
    pub const fn class(&self) -> RecordErrorClass {
        match self {
            Self::BudgetSpent { .. } => RecordErrorClass::BudgetSpent,
            Self::BatchLength { .. } | Self::Checksum { .. } | Self::UnknownMagic { .. } => {
                RecordErrorClass::Corrupt
            }
            Self::BatchTooLarge { .. }
            | Self::RecordTooLarge { .. }
            | Self::SnappyOffset { .. }
            | Self::ZstdWindow { .. } => RecordErrorClass::TooLarge,
            Self::Field { .. }
            | Self::LeftInBatch { .. }
            | Self::LeftInRecord { .. }
            | Self::RecordCount { .. }
            | Self::Stream { .. } => RecordErrorClass::Undecodable,
            Self::UnknownCompression { .. } => RecordErrorClass::UnsupportedCompression,
            Self::BytesAfterBatch { .. } | Self::NoBatch { .. } | Self::OldMagic { .. } => {
                RecordErrorClass::UnsupportedFormat
            }
        }
    }
}
