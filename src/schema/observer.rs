//! What the cache tells the metrics, and the closed list of how sources answer.

use std::sync::Arc;

use super::{Fetched, SourceError};

/// What those who ask registries tell the metrics.
pub trait SourceObserver: Send + Sync + 'static {
    /// So many origins are left in peace now because they did not answer.
    fn circuits_open(&self, count: usize);
    /// A request was not made because its origin is left in peace.
    fn left_in_peace(&self);
    /// A request is made again.
    fn retried(&self);
}

/// Nobody is told.
impl SourceObserver for () {
    fn circuits_open(&self, _count: usize) {}
    fn left_in_peace(&self) {}
    fn retried(&self) {}
}

/// What the cache tells the metrics.
pub trait CacheObserver: Send + Sync + 'static {
    /// [`SchemaCache::cached`](super::SchemaCache::cached) had an answer.
    fn hit(&self);
    /// [`SchemaCache::cached`](super::SchemaCache::cached) had none.
    fn miss(&self);
    /// The source was asked and answered like this.
    fn request(&self, outcome: RequestOutcome);
    /// That took this long.
    fn request_seconds(&self, seconds: f64);
    /// So many schemas are kept now.
    fn entries(&self, count: u64);
    /// An unknown schema was not looked up because the budget is spent.
    fn over_budget(&self);
}

/// Nobody is told.
impl CacheObserver for () {
    fn hit(&self) {}
    fn miss(&self) {}
    fn request(&self, _outcome: RequestOutcome) {}
    fn request_seconds(&self, _seconds: f64) {}
    fn entries(&self, _count: u64) {}
    fn over_budget(&self) {}
}

/// How a source answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// With a schema.
    Found,
    /// With something that is no schema.
    Invalid,
    /// With a way to an origin that is not allowed, or a schema that the topic may not use.
    NotAllowed,
    /// That there is none.
    NotFound,
    /// That the schema is still the same.
    NotModified,
    /// Not at all, or with something that says nothing about the schema.
    Unavailable,
}

impl RequestOutcome {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Found,
        Self::Invalid,
        Self::NotAllowed,
        Self::NotFound,
        Self::NotModified,
        Self::Unavailable,
    ];

    /// The word that stands for the outcome in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Invalid => "invalid",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::NotModified => "not_modified",
            Self::Unavailable => "unavailable",
        }
    }

    pub(super) fn of(
        answer: &Result<Arc<Fetched>, SourceError>,
        previous: Option<&Fetched>,
    ) -> Self {
        match answer {
            Ok(fetched) => match previous {
                Some(known) if Arc::ptr_eq(&known.schema, &fetched.schema) => Self::NotModified,
                _ => Self::Found,
            },
            Err(SourceError::Invalid { .. }) => Self::Invalid,
            Err(SourceError::NotAllowed { .. } | SourceError::OtherSubject { .. }) => {
                Self::NotAllowed
            }
            Err(SourceError::NotFound { .. }) => Self::NotFound,
            Err(SourceError::Unavailable { .. }) => Self::Unavailable,
        }
    }
}
