//! Where schemas come from.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{Schema, SchemaRef};

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Arc<Fetched>, SourceError>> + Send + 'a>>;

/// A schema with what its source said about how long it may be used.
#[derive(Debug)]
pub struct Fetched {
    /// The schema.
    pub schema: Arc<Schema>,
}

/// Where schemas come from: a registry, an HTTP server, a directory, a fake in a test.
pub trait SchemaSource: Send + Sync + 'static {
    /// The schema behind `reference`. Errors tell "there is none" from "nobody answered".
    fn find<'a>(&'a self, reference: &'a SchemaRef) -> Lookup<'a>;
}

/// Why a schema could not be had. Scope: nothing yet, policy decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The document is no schema, or past a bound.
    #[error("{detail}")]
    Invalid {
        /// What is wrong, fit to be shown.
        detail: Arc<str>,
    },
    /// A redirect or reference leads to an origin that is not allowed.
    #[error("origin {origin} is not allowed")]
    NotAllowed {
        /// The origin, fit to be shown.
        origin: Arc<str>,
    },
    /// The source answered that there is no such schema.
    #[error("{detail}")]
    NotFound {
        /// Who said so, fit to be shown.
        detail: Arc<str>,
    },
    /// Nobody answered in time, or with something that says nothing about the schema.
    #[error("{detail}")]
    Unavailable {
        /// What happened, fit to be shown.
        detail: Arc<str>,
    },
}
