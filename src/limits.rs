//! Every bound on what a peer can make the process hold or do, as newtypes and plain numbers with their defaults.
//!
//! Nothing here enforces anything; the layers take the part that they need.

use std::time::Duration;

/// One kibibyte, in bytes.
pub const KIB: usize = 1024;
/// One mebibyte, in bytes.
pub const MIB: usize = 1024 * KIB;

/// Largest frame that is taken from a socket, in bytes, without its 4-byte size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameLimit(pub usize);

/// What one connection may ask of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireLimits {
    /// Largest Produce request, in bytes (`limits.max_request_bytes`).
    pub max_request_bytes: FrameLimit,
    /// Largest request of any other kind, in bytes (`limits.max_other_request_bytes`).
    pub max_other_request_bytes: FrameLimit,
    /// Largest response that has to be held whole because it is rewritten, in bytes
    /// (`limits.max_rewritten_response_bytes`). Streamed responses have no limit.
    pub max_rewritten_response_bytes: FrameLimit,
    /// Requests of one connection that may wait for their response (`limits.max_in_flight`).
    pub max_in_flight: usize,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self {
            max_request_bytes: FrameLimit(16 * MIB),
            max_other_request_bytes: FrameLimit(16 * MIB),
            max_rewritten_response_bytes: FrameLimit(64 * MIB),
            max_in_flight: 1_000,
        }
    }
}

/// What reading one record batch may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Bytes that one compressed batch may decompress to (`limits.max_decompressed_bytes`).
    pub max_decompressed_bytes: usize,
    /// Bytes of one record, its own length prefix apart (`limits.max_record_bytes`).
    pub max_record_bytes: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { max_decompressed_bytes: 64 * MIB, max_record_bytes: 16 * MIB }
    }
}

/// What compiling one schema document may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaLimits {
    /// Bytes of one schema document (`limits.max_schema_bytes`).
    pub max_schema_bytes: usize,
    /// Nesting of one schema document.
    pub max_depth: usize,
    /// Schemas that one schema may refer to, directly or not.
    pub max_references: usize,
    /// Named types of one schema, its references included.
    pub max_named_types: usize,
    /// Types, fields, branches and symbols of one schema, each once for every record around it; long names count as more.
    pub max_nodes: usize,
}

impl Default for SchemaLimits {
    fn default() -> Self {
        Self {
            max_schema_bytes: MIB,
            max_depth: 64,
            max_references: 256,
            max_named_types: 10_000,
            max_nodes: 200_000,
        }
    }
}

/// Levels that a datum may nest (records, arrays, maps and unions each count one).
pub const MAX_DATUM_DEPTH: usize = 256;
/// Items of one value that take no bytes at all, such as the elements of an array of nulls.
pub const MAX_ZERO_BYTE_ITEMS: u64 = 1_000_000;

/// How long a Produce request may wait for schema look-ups, counted from its arrival.
pub const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of text from the wire that are shown in a message, a log line or a page.
pub const MAX_SHOWN_BYTES: usize = 256;
/// Records of one batch that are named in its refusal.
pub const MAX_RECORD_ERRORS: usize = 100;
/// Distinct schemas that one request may wait for.
pub const MAX_PENDING_LOOKUPS: usize = 1_024;
