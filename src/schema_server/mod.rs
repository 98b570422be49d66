//! A small schema server for development, CI and edge sites: schema documents by path, and the core of the Confluent
//! REST API, over one durable database. It depends on nothing of the proxy but the check of schemas.
//!
//! | Step | File |
//! |---|---|
//! | connection → request, within bounds | `server.rs`, `auth.rs` |
//! | request → what is wanted | `routes.rs`, `registry_api.rs`, `level_api.rs`, `document_api.rs` |
//! | schema → what it is known by | `content.rs`, `protobuf_text.rs`, `protobuf_print.rs` |
//! | schema → registered, checked against earlier ones | `register.rs`, `level.rs` |
//! | rows, read anywhere and written one after the other | `database.rs`, `layout.rs`, `schemas.rs`, `versions.rs`, `documents.rs` |

mod answer;
mod auth;
mod content;
mod database;
mod document_api;
mod documents;
mod layout;
mod level;
mod level_api;
mod protobuf_print;
mod protobuf_text;
mod register;
mod registry_api;
mod routes;
mod schemas;
mod server;
mod settings;
mod versions;

pub use self::{
    auth::CredentialFiles,
    layout::StorageError,
    server::{SchemaServer, ServerError},
    settings::{ServerSettings, Storage},
};
