//! The error codes that schemaward itself emits.

/// An error code of the Kafka protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// A batch's checksum or size is wrong; clients retry.
    pub const CORRUPT_MESSAGE: Self = Self(2);
    /// The batch is too large; Java splits it and goes on.
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    /// Retriable and "not persisted" for every current client.
    pub const NOT_ENOUGH_REPLICAS: Self = Self(19);
    /// The version is outside the range that is offered.
    pub const UNSUPPORTED_VERSION: Self = Self(35);
    /// The request contradicts itself.
    pub const INVALID_REQUEST: Self = Self(42);
    /// The message format has no place for headers.
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: Self = Self(43);
    /// An earlier batch of the producer is missing.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: Self = Self(45);
    /// The codec is not supported for this version.
    pub const UNSUPPORTED_COMPRESSION_TYPE: Self = Self(76);
    /// A record failed validation; clients do not retry.
    pub const INVALID_RECORD: Self = Self(87);
    /// The topic id is not known; clients refresh their metadata.
    pub const UNKNOWN_TOPIC_ID: Self = Self(100);
}
