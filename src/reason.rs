//! The closed list of reasons why a record or a batch does not pass: metric label, log word, start of the message.

use crate::wire::ErrorCode;

/// Why a record, or a batch as a whole, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The batch's checksum, size or inner structure is wrong.
    BatchCorrupt,
    /// The batch, or a record in it, is larger than what is read.
    BatchTooLarge,
    /// Two metadata headers contradict each other, or the content type does not fit the schema.
    ConflictingMetadata,
    /// One request names the same partition twice.
    DuplicatePartition,
    /// The schema reference cannot be parsed.
    MalformedSchemaId,
    /// No header says how the value is encoded.
    MissingContentType,
    /// No header names the schema.
    MissingSchemaId,
    /// The value is not a datum of the schema.
    PayloadInvalid,
    /// The value is null where the rule does not allow tombstones.
    PayloadMissing,
    /// The value is a datum of the schema with bytes after it.
    PayloadTrailingBytes,
    /// The schema could not be had, so nothing is known.
    RegistryUnavailable,
    /// The schema document is none that can be compiled.
    SchemaInvalid,
    /// The schema reference is outside what the rule or the configuration allows.
    SchemaNotAllowed,
    /// There is no such schema.
    SchemaNotFound,
    /// An earlier batch of the same producer was withheld and has not come again.
    SequenceGap,
    /// The request names a topic id that no Metadata answer has told yet.
    UnknownTopicId,
    /// The batch's codec is unknown, or newer than the request's version allows.
    UnsupportedCompression,
    /// The content type is none that is understood.
    UnsupportedContentType,
    /// The request or the batch has a format without headers, or not exactly one batch.
    UnsupportedFormat,
}

impl Reason {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 19] = [
        Self::BatchCorrupt,
        Self::BatchTooLarge,
        Self::ConflictingMetadata,
        Self::DuplicatePartition,
        Self::MalformedSchemaId,
        Self::MissingContentType,
        Self::MissingSchemaId,
        Self::PayloadInvalid,
        Self::PayloadMissing,
        Self::PayloadTrailingBytes,
        Self::RegistryUnavailable,
        Self::SchemaInvalid,
        Self::SchemaNotAllowed,
        Self::SchemaNotFound,
        Self::SequenceGap,
        Self::UnknownTopicId,
        Self::UnsupportedCompression,
        Self::UnsupportedContentType,
        Self::UnsupportedFormat,
    ];

    /// The word that stands for the reason everywhere: metrics, logs, messages, documentation.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BatchCorrupt => "batch_corrupt",
            Self::BatchTooLarge => "batch_too_large",
            Self::ConflictingMetadata => "conflicting_metadata",
            Self::DuplicatePartition => "duplicate_partition",
            Self::MalformedSchemaId => "malformed_schema_id",
            Self::MissingContentType => "missing_content_type",
            Self::MissingSchemaId => "missing_schema_id",
            Self::PayloadInvalid => "payload_invalid",
            Self::PayloadMissing => "payload_missing",
            Self::PayloadTrailingBytes => "payload_trailing_bytes",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::SchemaInvalid => "schema_invalid",
            Self::SchemaNotAllowed => "schema_not_allowed",
            Self::SchemaNotFound => "schema_not_found",
            Self::SequenceGap => "sequence_gap",
            Self::UnknownTopicId => "unknown_topic_id",
            Self::UnsupportedCompression => "unsupported_compression",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::UnsupportedFormat => "unsupported_format",
        }
    }

    /// The code that a producer gets for the reason, where the place of the fault does not ask for another.
    #[must_use]
    pub const fn error_code(self) -> ErrorCode {
        match self {
            Self::BatchTooLarge => ErrorCode::MESSAGE_TOO_LARGE,
            Self::DuplicatePartition => ErrorCode::INVALID_REQUEST,
            Self::RegistryUnavailable => ErrorCode::NOT_ENOUGH_REPLICAS,
            Self::SequenceGap => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::UnknownTopicId => ErrorCode::UNKNOWN_TOPIC_ID,
            Self::UnsupportedCompression => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            _ => ErrorCode::INVALID_RECORD,
        }
    }
}
