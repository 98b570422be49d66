//! Header → reference → schema: how a record names its schema, where schemas come from, and the cache in front of it.

mod apicurio;
pub mod cache;
pub mod compiled;
mod confluent;
mod directory;
mod document;
mod entry;
mod fetch;
mod files;
mod fingerprint;
mod gather;
pub mod http;
pub mod key;
mod language;
mod listing;
mod observer;
pub mod origin;
mod outline;
pub mod reference;
mod registries;
pub mod settings;
pub mod source;
mod spelling;
pub mod subject;
mod template;
#[cfg(test)]
mod testing;

pub use cache::{Clock, Resolution, SchemaCache};
pub use compiled::{Compile, Documents, Referenced, Schema, SchemaFormat};
pub use entry::{CacheEntry, EntryState};
pub use http::{HttpSource, HttpSourceError};
pub use key::{ArtifactVersion, Guid, RegistryKey, SchemaId};
pub use listing::Listed;
pub use observer::{CacheObserver, RequestOutcome};
pub use origin::Origins;
pub use reference::{DocumentUrl, ReferenceError, References, SchemaRef};
pub use settings::{
    CacheSettings, CredentialFiles, OtherRegistry, RegistryAccess, RegistryApi, RegistrySettings,
};
pub use source::{Fetched, Lifetime, Listing, Lookup, SchemaSource, SourceError, Validators};
pub use subject::{SubjectStrategy, WantedSubject};
pub use template::Template;
