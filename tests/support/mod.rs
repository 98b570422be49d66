//! What the end-to-end tests stand on: a real Apache Kafka, real clients of other languages, and a raw client that reads
//! back what a broker stored, past the proxy.
//!
//! A test binary takes what it needs with `mod support;`. Everything that needs Java, Maven, Python, Node or Go returns `None`
//! (after saying so loudly) where these are missing; see [`require`].
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "every test binary compiles the whole support and uses a part of it; a broken support should fail the test"
)]

pub mod admin;
pub mod apicurio;
pub mod batch;
pub mod batch_builder;
pub mod binary;
pub mod broker;
pub mod case;
pub mod certificates;
pub mod client;
pub mod foreign;
pub mod go;
pub mod guardian;
pub mod http;
pub mod https;
pub mod idempotent;
pub mod java;
pub mod json_patch;
pub mod kafka;
pub mod library;
pub mod log_reader;
pub mod my_schema_server;
pub mod node;
pub mod once;
pub mod preload;
pub mod process;
pub mod produce;
pub mod proxy;
pub mod python;
pub mod raw_client;
pub mod raw_producer;
pub mod registry;
pub mod require;
pub mod running;
pub mod schema_server;
pub mod scrape;
pub mod scripted;
pub mod sidecar;
pub mod stage;
pub mod traffic;
pub mod valve;
pub mod wait;
pub mod webdriver;
pub mod wire;
