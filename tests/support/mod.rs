//! What the end-to-end tests stand on: a real Apache Kafka, real Java and Python clients, and a raw client that reads
//! back what a broker stored, past the proxy.
//!
//! A test binary takes what it needs with `mod support;`. Everything that needs Java, Maven or Python returns `None`
//! (after saying so loudly) where these are missing; see [`require`].
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "every test binary compiles the whole support and uses a part of it; a broken support should fail the test"
)]

pub mod admin;
pub mod batch;
pub mod batch_builder;
pub mod binary;
pub mod broker;
pub mod case;
pub mod client;
pub mod guardian;
pub mod http;
pub mod idempotent;
pub mod java;
pub mod kafka;
pub mod log_reader;
pub mod my_schema_server;
pub mod once;
pub mod process;
pub mod produce;
pub mod proxy;
pub mod python;
pub mod raw_client;
pub mod registry;
pub mod require;
pub mod scrape;
pub mod scripted;
pub mod sidecar;
pub mod valve;
pub mod wait;
