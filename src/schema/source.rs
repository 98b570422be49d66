//! Where schemas come from.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Listed, Schema, SchemaRef, Standing};

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Arc<Fetched>, SourceError>> + Send + 'a>>;

/// A list of subjects under way.
pub type Listing<'a> = Pin<Box<dyn Future<Output = Vec<Listed>> + Send + 'a>>;

/// A schema with what its source said about how long it may be used.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The schema.
    pub schema: Arc<Schema>,
    /// How long it may be used without asking again.
    pub lifetime: Lifetime,
    /// How long it may serve beyond that while its source is down, where the source says so and that is shorter than
    /// configured.
    pub stale_if_error: Option<Duration>,
    /// What to send along when asking again.
    pub validators: Option<Validators>,
}

impl Fetched {
    /// A schema that never changes.
    #[must_use]
    pub fn immutable(schema: Arc<Schema>) -> Self {
        Self { schema, lifetime: Lifetime::Forever, stale_if_error: None, validators: None }
    }
}

/// How long a schema may be used without asking its source again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The source did not say: as long as the configuration says.
    Configured,
    /// This long.
    For(Duration),
    /// It never changes.
    Forever,
}

/// What an HTTP server gave for asking again (RFC 9110, section 8.8). Opaque bytes; sent only to the URL that gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// The URL that gave them, which redirects can make another one than the document's.
    pub url: Arc<str>,
    /// `ETag`.
    pub etag: Option<Vec<u8>>,
    /// `Last-Modified`.
    pub last_modified: Option<Vec<u8>>,
}

/// Where schemas come from: a registry, an HTTP server, a directory, a fake in a test.
pub trait SchemaSource: Send + Sync + 'static {
    /// The schema behind `reference`. Errors tell "there is none" from "nobody answered".
    ///
    /// `previous` is what the source answered before, if that is still known: a source that can tell that nothing has
    /// changed answers with the same `Arc` of the schema, and a new lifetime.
    fn find<'a>(&'a self, reference: &'a SchemaRef, previous: Option<&'a Fetched>) -> Lookup<'a>;

    /// The latest versions of the subjects that one of `globs` matches, as far as the source has subjects.
    fn latest<'a>(&'a self, globs: &'a [String]) -> Listing<'a> {
        let _ = globs;
        Box::pin(std::future::ready(Vec::new()))
    }

    /// How those who are asked stand, for people who look.
    fn standings(&self) -> Vec<Standing> {
        Vec::new()
    }
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
    /// A redirect or reference leads to an origin that is not allowed, or to an address that nobody is led to.
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
    /// The schema is there, but not registered under a subject that may be used.
    #[error("{detail}")]
    OtherSubject {
        /// Which subject was expected, fit to be shown.
        detail: Arc<str>,
    },
    /// Nobody answered in time, or with something that says nothing about the schema.
    #[error("{detail}")]
    Unavailable {
        /// What happened, fit to be shown.
        detail: Arc<str>,
    },
}

impl SourceError {
    /// [`SourceError::Invalid`] with this detail, which must be fit to be shown.
    pub(super) fn invalid(detail: impl Into<Arc<str>>) -> Self {
        Self::Invalid { detail: detail.into() }
    }

    /// [`SourceError::OtherSubject`] with this detail, which must be fit to be shown.
    pub(super) fn other_subject(detail: impl Into<Arc<str>>) -> Self {
        Self::OtherSubject { detail: detail.into() }
    }

    /// [`SourceError::Unavailable`] with this detail, which must be fit to be shown.
    pub(super) fn unavailable(detail: impl Into<Arc<str>>) -> Self {
        Self::Unavailable { detail: detail.into() }
    }
}
