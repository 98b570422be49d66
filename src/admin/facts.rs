//! The parts of what `/status` tells. Their names are an interface: `docs/status.md` describes each of them.

use std::collections::BTreeMap;

use serde::Serialize;

/// A broker and what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokerFact {
    /// The broker's id in its cluster.
    pub node_id: i32,
    /// Where it is.
    pub address: String,
    /// What clients are told: host and port.
    pub advertised: String,
    /// The port that stands for it here; `None` where server names do.
    pub local_port: Option<u16>,
}

/// Memory of unfinished work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BudgetFact {
    /// Bytes that may be held.
    pub bytes: u64,
    /// Bytes that are held.
    pub used_bytes: u64,
}

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecordsFact {
    /// They passed.
    pub accepted: u64,
    /// They would have been rejected, and were forwarded.
    pub observed: u64,
    /// They were refused for a reason of their own.
    pub rejected: u64,
    /// They were forwarded though they could not be judged.
    pub unjudged: u64,
    /// They were good, in a batch that was refused.
    pub withheld: u64,
}

/// What was counted since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TotalsFact {
    /// Client connections.
    pub connections: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Bytes from clients.
    pub bytes_from_clients: u64,
    /// Bytes from brokers.
    pub bytes_from_brokers: u64,
    /// Records of every topic.
    pub records: RecordsFact,
}

/// The latest minutes, a value for each interval, the oldest first. All lists are of one length.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HistoryFact {
    /// Time between two values.
    pub interval_seconds: u64,
    /// Client connections that were open.
    pub connections: Vec<u64>,
    /// Requests of clients.
    pub requests_per_second: Vec<f64>,
    /// Records that were looked at.
    pub records_per_second: Vec<f64>,
    /// Records that were rejected.
    pub rejected_per_second: Vec<f64>,
    /// Records that would have been rejected, and were forwarded.
    pub observed_per_second: Vec<f64>,
    /// Bytes from clients.
    pub bytes_from_clients_per_second: Vec<f64>,
}

/// Topics with their records, those with most rejections first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopicsFact {
    /// Topics that are counted by name.
    pub total: u64,
    /// Those of them whose names contain what was asked for.
    pub matching: u64,
    /// The first of these.
    pub items: Vec<TopicFact>,
}

/// A topic with its records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopicFact {
    /// Its name; `other` is all topics past the bound.
    pub topic: String,
    /// Its records.
    #[serde(flatten)]
    pub records: RecordsFact,
    /// Batches that were forwarded unread: the topic is off.
    pub unread_batches: u64,
    /// Why records were rejected, or would have been.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// Batches that were rejected: of one topic, by one client, for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RejectionFact {
    /// When that happened last; what follows is about that time.
    pub at: String,
    /// When it happened first.
    pub first_at: String,
    /// How often it happened.
    pub times: u64,
    /// What became of the batch: `refused`, `observed` or `unjudged`.
    pub outcome: &'static str,
    /// The topic; empty where its name is not known.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// Where the client is.
    pub peer: String,
    /// Why.
    pub reason: &'static str,
    /// Which record, and what is wrong with it.
    pub message: String,
    /// The schema that the record names.
    pub schema: Option<String>,
}

/// What is known of schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemasFact {
    /// Schemas in the cache.
    pub total: u64,
    /// Some of them, and some references that lead to none, these first.
    pub items: Vec<SchemaFact>,
}

/// What is known of one reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaFact {
    /// The reference.
    pub reference: String,
    /// Who was asked.
    pub source: String,
    /// `fresh`, `immutable`, `stale`, or why there is none: `invalid`, `not_allowed`, `not_found`, `unavailable`.
    pub state: &'static str,
    /// What it is written in: `avro`, `json` or `protobuf`; `None` where there is none.
    pub format: Option<&'static str>,
    /// Time since its source last answered.
    pub age_seconds: u64,
}

/// A registry, or another origin that was asked for schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RegistryFact {
    /// Its base URL, or the origin.
    pub url: String,
    /// What it understands: `registry.api` of the configuration. `None` for an origin that is no registry.
    pub api: Option<&'static str>,
    /// `closed`: it is asked. `open`: it did not answer and is left in peace.
    pub circuit: &'static str,
    /// Failures in a row, where it is asked all the same.
    pub failures: u32,
    /// For how long it is still left in peace.
    pub left_in_peace_seconds: Option<u64>,
    /// When it last answered, whatever it said.
    pub last_success: Option<String>,
    /// What went wrong last.
    pub last_error: Option<ErrorFact>,
}

/// Something that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorFact {
    /// When.
    pub at: String,
    /// What.
    pub message: String,
}
