//! What must hold for any bytes: one body for each fuzz target.
//!
//! The targets of `fuzz/` run them under libFuzzer, `tests/fuzz.rs` under proptest and over seeds and old findings. They
//! see what a user of the crate sees, its public items, and nothing else. A body panics where a promise is broken.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "every fuzz target compiles all bodies and runs one of them; a broken promise has to panic"
)]

mod avro_datum;
mod avro_json;
mod avro_schema;
mod batches;
mod configuration;
mod decompression;
mod frame_prefix;
mod json_schema;
mod produce_request;
mod record_batch;
mod response_rewrite;
mod schema_reference;
pub mod schemas;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Whether the bytes were what they claim to be: a seed has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Refused,
    Taken,
}

impl Outcome {
    const fn of(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::Refused }
    }
}

/// A fuzz target: its name, which is that of its folders too, and its body.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]) -> Outcome,
}

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]) -> Outcome) -> Self {
        Self { name, run }
    }
}

pub const ALL: [Target; 11] = [
    Target::new("avro_datum", avro_datum::run),
    Target::new("avro_json", avro_json::run),
    Target::new("avro_schema", avro_schema::run),
    Target::new("configuration", configuration::run),
    Target::new("decompression", decompression::run),
    Target::new("frame_prefix", frame_prefix::run),
    Target::new("json_schema", json_schema::run),
    Target::new("produce_request", produce_request::run),
    Target::new("record_batch", record_batch::run),
    Target::new("response_rewrite", response_rewrite::run),
    Target::new("schema_reference", schema_reference::run),
];

/// Runs the body of the target `name`.
pub fn run(name: &str, data: &[u8]) {
    let target = ALL.iter().find(|target| target.name == name);
    (target.expect("a target of that name").run)(data);
}

/// Does `work`, which must never hold more than so many bytes of the allocator's at once.
fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let memory =
        allocation_counter::measure(|| result = Some(catch_unwind(AssertUnwindSafe(work))));
    let result = match result.expect("the work was done") {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    };
    let held = memory.bytes_max;
    assert!(held <= bytes as u64, "{held} bytes were held at once, {bytes} are allowed");
    result
}

/// Text that is shown to people: not endless, and on one line.
fn assert_presentable(text: &str) {
    assert!(text.len() <= 16 * 1024, "{} bytes of text", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// The first byte of the input, which says how to take the rest.
fn split(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}
