//! How a record names its schema.

use std::sync::Arc;

/// Number that one registry gave to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

/// URL of a schema document, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentUrl(pub Arc<str>);

/// How a record names its schema: its `schema-id` header, parsed and allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaRef {
    /// A schema document at an absolute URL.
    Document(DocumentUrl),
    /// A schema of the registry whose Confluent API lives under `registry` (no slash at the end).
    Id {
        /// Base URL of the registry.
        registry: Arc<str>,
        /// The schema's number there.
        id: SchemaId,
    },
}

/// Why a `schema-id` header names no schema that may be asked for. Scope: one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It is neither URL, id nor path.
    #[error("{detail}")]
    Malformed {
        /// What is wrong, fit to be shown.
        detail: String,
    },
    /// Its origin is not on the allow-list.
    #[error("origin {origin} is not allowed")]
    NotAllowed {
        /// The origin, fit to be shown.
        origin: String,
    },
}
