//! Header → reference → schema: how a record names its schema, where schemas come from, and the cache in front of it.

pub mod compiled;
pub mod reference;
pub mod settings;
pub mod source;

pub use compiled::Schema;
pub use reference::{DocumentUrl, ReferenceError, SchemaId, SchemaRef};
pub use settings::{CacheSettings, RegistrySettings};
pub use source::{SchemaSource, SourceError};
