//! Header → reference → schema: how a record names its schema, where schemas come from, and the cache in front of it.

mod address;
mod apicurio;
mod budget;
pub mod cache;
mod circuit;
mod clients;
pub mod compiled;
mod confluent;
mod credentials;
mod directory;
mod document;
mod entry;
mod fetch;
mod files;
mod fingerprint;
mod freshness;
mod gather;
pub mod http;
#[cfg(test)]
mod http_rules;
pub mod key;
pub mod language;
mod listing;
mod memory;
mod observer;
pub mod origin;
mod outline;
pub mod reference;
mod registries;
mod resolver;
pub mod settings;
mod shelf;
pub mod source;
mod spelling;
mod standing;
pub mod subject;
mod survey;
mod template;
#[cfg(test)]
mod testing;

pub use budget::LookupBudget;
pub use cache::{Bookmark, Clock, Resolution, SchemaCache};
pub use circuit::{CircuitSettings, CircuitState};
pub use clients::HttpSourceError;
pub use compiled::{Compile, Compiled, Documents, Referenced, Schema, SchemaFormat};
pub use credentials::CredentialFault;
pub use entry::{CacheEntry, EntryState};
pub use http::HttpSource;
pub use key::{ArtifactVersion, Guid, RegistryKey, SchemaId};
pub use listing::Listed;
pub use observer::{CacheObserver, RequestOutcome, SourceObserver};
pub use origin::Origins;
pub use reference::{DocumentUrl, ReferenceError, References, SchemaRef};
pub use settings::{
    CacheSettings, CredentialFiles, OtherRegistry, RegistryAccess, RegistryApi, RegistrySettings,
};
pub use source::{Fetched, Lifetime, Listing, Lookup, SchemaSource, SourceError, Validators};
pub use standing::Standing;
pub use subject::{SubjectStrategy, WantedSubject};
pub use template::Template;
