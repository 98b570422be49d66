//! What the configuration says about registries and the cache.

use std::time::Duration;

use url::Url;

/// The registry and what else may be asked for schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Base URL: bare ids and paths are resolved against it (`registry.url`). Without it they cannot be resolved.
    pub url: Option<Url>,
    /// Further origins that a reference may name (`registry.allow`), each scheme, host and port.
    pub allow: Vec<Url>,
    /// Time for one request, connecting included (`registry.request_timeout`).
    pub request_timeout: Duration,
    /// Requests under way at once, over all references (`registry.max_concurrent_requests`).
    pub max_concurrent_requests: usize,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            url: None,
            allow: Vec::new(),
            request_timeout: Duration::from_secs(3),
            max_concurrent_requests: 16,
        }
    }
}

/// How long what was learnt is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Schemas kept at most (`registry.cache.max_entries`).
    pub max_entries: u64,
    /// After how long a document by URL is asked for again, where its server does not say (`registry.cache.document_ttl`).
    pub document_ttl: Duration,
    /// How long "there is none" is believed (`registry.cache.negative_ttl`).
    pub negative_ttl: Duration,
    /// How long "nobody answered" is believed (`registry.cache.unavailable_ttl`).
    pub unavailable_ttl: Duration,
    /// How long an expired document still serves while its source is down (`registry.cache.stale_ttl`).
    pub stale_ttl: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            document_ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            unavailable_ttl: Duration::from_secs(1),
            stale_ttl: Duration::from_secs(24 * 60 * 60),
        }
    }
}
