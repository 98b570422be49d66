//! What the configuration says about registries and the cache.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{CircuitSettings, LookupBudget, RegistryKey, Template};
use crate::tls::ClientTlsSettings;

/// The registries and what else may be asked for schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Base URL of the main registry: bare ids and paths are resolved against it (`registry.url`). Without it paths cannot be
    /// resolved.
    pub url: Option<Url>,
    /// How the main registry is asked (`registry.api` and what stands beside it).
    pub access: RegistryAccess,
    /// Further origins that a reference may name (`registry.allow`), each scheme, host and port. A host that begins with `*.`
    /// stands for every name below it.
    pub allow: Vec<Url>,
    /// Further registries (`registry.others`).
    pub others: Vec<OtherRegistry>,
    /// What is looked up at start, before a record needs it (`registry.warm_up`): references, and globs of subjects.
    pub warm_up: Vec<String>,
    /// Time for one request, connecting included (`registry.request_timeout`).
    pub request_timeout: Duration,
    /// Requests under way at once, over all references (`registry.max_concurrent_requests`).
    pub max_concurrent_requests: usize,
    /// When an origin that fails is left in peace.
    pub circuit: CircuitSettings,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            url: None,
            access: RegistryAccess::default(),
            allow: Vec::new(),
            others: Vec::new(),
            warm_up: Vec::new(),
            request_timeout: Duration::from_secs(3),
            max_concurrent_requests: 16,
            circuit: CircuitSettings::default(),
        }
    }
}

impl RegistrySettings {
    /// Every registry, the main one first.
    pub fn registries(&self) -> impl Iterator<Item = (&Url, &RegistryAccess)> {
        let main = self.url.as_ref().map(|url| (url, &self.access));
        main.into_iter().chain(self.others.iter().map(|other| (&other.url, &other.access)))
    }

    /// Whether the same servers are asked for the same things as by `other`, whoever asks and how often: what one of them
    /// has said holds for the other.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let main = |it: &Self| (it.url.clone(), it.access.api.clone(), it.allow.clone());
        let others = |it: &Self| -> Vec<_> {
            it.others.iter().map(|it| (it.url.clone(), it.access.api.clone())).collect()
        };
        main(self) == main(other) && others(self) == others(other)
    }

    /// Whether no schema can be had from anywhere.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.url.is_none() && self.allow.is_empty() && self.others.is_empty()
    }
}

/// A registry beside the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRegistry {
    /// Its base URL (`url`): what lies below it is asked of this registry.
    pub url: Url,
    /// How it is asked.
    pub access: RegistryAccess,
}

/// How a registry is asked, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryAccess {
    /// What it understands (`api`).
    pub api: RegistryApi,
    /// Who asks.
    pub credentials: CredentialFiles,
    /// Private authority, certificate to show (`tls`). `None`: the authorities of the system, and none.
    pub tls: Option<ClientTlsSettings>,
}

/// What a registry understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RegistryApi {
    /// Apicurio's REST API, version 3 (`apicurio`).
    Apicurio,
    /// Confluent's REST API (`confluent`). What else lies below its URL is a document.
    #[default]
    Confluent,
    /// A folder of schema files, which stands for the URL (`directory`): nobody is asked.
    Directory {
        /// The folder (`path`).
        path: PathBuf,
    },
    /// Any HTTP server (`documents`).
    Documents {
        /// Where a registered schema is (`template`); `None`: there are only paths.
        template: Option<Template>,
    },
}

impl RegistryApi {
    /// Whether schemas can be asked for by this kind of number or name.
    #[must_use]
    pub fn knows(&self, key: &RegistryKey) -> bool {
        match self {
            Self::Apicurio => !matches!(key, RegistryKey::Fingerprint(_) | RegistryKey::Guid(_)),
            Self::Confluent => matches!(key, RegistryKey::Guid(_) | RegistryKey::Id(_)),
            Self::Directory { .. } => true,
            Self::Documents { template } => {
                template.as_ref().is_some_and(|template| template.fits(key))
            }
        }
    }
}

/// The files that hold who we are to a registry; they may be replaced at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CredentialFiles {
    /// HTTP's basic authentication.
    Basic {
        /// Holds the user name (`username_file`).
        username: PathBuf,
        /// Holds the password (`password_file`).
        password: PathBuf,
    },
    /// A bearer token.
    Bearer {
        /// Holds the token (`token_file`).
        token: PathBuf,
    },
    /// Nobody in particular.
    #[default]
    None,
}

/// How long what was learnt is kept, and how much is asked.
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
    /// How many unknown schemas are looked up.
    pub budget: LookupBudget,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            document_ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            unavailable_ttl: Duration::from_secs(1),
            stale_ttl: Duration::from_secs(24 * 60 * 60),
            budget: LookupBudget::default(),
        }
    }
}
