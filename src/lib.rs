//! schemaward: a schema-aware Kafka proxy. It reads Produce requests in flight and lets a record through only if its
//! bytes are one well-formed datum of the schema that its own headers name.
//!
//! The way of a batch, and what dies when a step fails:
//!
//! | Step | Type that leaves the step | File | Error, and what dies with it |
//! |---|---|---|---|
//! | socket bytes → frame | [`wire::frame::Frame`] | `wire/frame.rs` | [`wire::WireError`]: this connection |
//! | frame → request | [`wire::produce::ProduceRequest`] | `wire/produce.rs` | [`wire::WireError`]: this connection |
//! | request → records | [`record::Record`] | `record/reader.rs` | [`record::RecordError`]: this partition |
//! | record → schema reference | [`schema::SchemaRef`] | `schema/reference.rs` | [`reason::Reason`]: this record |
//! | reference → schema | [`schema::Schema`] | `schema/cache.rs` | [`schema::SourceError`]: nothing yet, policy decides |
//! | record + schema → verdict | [`validate::verdict::PartitionVerdict`] | `validate/judge.rs` | [`reason::Reason`]: this record |
//! | verdict → response | [`wire::frame::Frame`] | `wire/refuse.rs` | this connection |

pub mod admin;
pub mod app;
pub mod avro;
pub mod cli;
pub mod config;
pub mod connect;
pub mod cursor;
pub mod datum;
#[cfg(feature = "demo")]
pub mod demo;
pub mod health;
pub mod http_server;
pub mod json_schema;
pub mod kubernetes;
pub mod limits;
pub mod log_rate;
pub mod logging;
pub mod metrics;
pub mod protobuf;
pub mod proxy;
pub mod quarantine;
pub mod reason;
pub mod record;
pub mod rejection_log;
pub mod schema;
pub mod schema_server;
pub mod status;
pub mod text;
pub mod tls;
mod utf8;
pub mod validate;
pub mod wire;
