//! What `/status` tells: what the process knows about itself at this moment.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use serde::Serialize;

use super::facts::{
    BrokerFact, BudgetFact, HistoryFact, RegistryFact, RejectionFact, SchemasFact, TopicsFact,
    TotalsFact,
};
use crate::{health::Readiness, text::timestamp};

/// What the proxy knows about itself; it is asked for each `/status`, on a thread that serves no traffic.
pub trait StatusSource: Send + Sync + 'static {
    /// The facts of this moment; of topics, those whose names contain `topic`.
    fn facts(&self, topic: &str) -> StatusFacts;
}

/// What the proxy knows about itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatusFacts {
    /// Client connections that are open.
    pub connections: u64,
    /// What was counted since the process started.
    pub totals: TotalsFact,
    /// The latest minutes.
    pub history: HistoryFact,
    /// Topics with their records.
    pub topics: TopicsFact,
    /// The latest rejections, the latest first.
    pub rejections: Vec<RejectionFact>,
    /// Known brokers and what stands for them.
    pub brokers: Vec<BrokerFact>,
    /// Brokers of the cluster that no local port stands for.
    pub nodes_outside_map: Vec<i32>,
    /// Registries, and other origins that were asked.
    pub registries: Vec<RegistryFact>,
    /// Origins of schemas that are left in peace because they did not answer.
    pub registry_circuits_open: u64,
    /// What is known of schemas.
    pub schemas: SchemasFact,
    /// Schemas in the cache.
    pub schemas_in_cache: u64,
    /// Producers and partitions whose batches are held back after a refused one.
    pub sequence_gaps_open: u64,
    /// Rules in force, in their order, the default rule last; see [`crate::config::Config::effective_rules`].
    pub rules: serde_json::Value,
    /// Memory of unfinished work.
    pub memory_budget: BudgetFact,
    /// How the configuration was read again last.
    pub reload: ReloadFact,
}

/// How the configuration was read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReloadFact {
    /// `applied`, or `failed`: then what was in force before still is. None: it was not read again yet.
    pub outcome: Option<&'static str>,
    /// When, in seconds since 1970 (UTC).
    pub unix_seconds: Option<u64>,
    /// What asked for it: `signal`, `file` (it has changed) or `request`.
    pub asked_by: Option<&'static str>,
    /// Keys that have changed and are in force.
    pub changed: Vec<String>,
    /// Keys that say something else in the file, and keep their old value until a restart.
    pub needs_restart: Vec<String>,
    /// What is wrong with the file: place, key and sentence each.
    pub mistakes: Vec<String>,
}

/// Everything that `/status` tells.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) now: String,
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) ready: bool,
    pub(super) draining: bool,
    /// Why it is not ready, or what an operator should know.
    pub(super) message: Option<String>,
    #[serde(flatten)]
    pub(super) facts: StatusFacts,
}

/// Where the status comes from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) started: Instant,
    pub(super) readiness: Arc<Readiness>,
    pub(super) proxy: Arc<dyn StatusSource>,
}

impl Sources {
    pub(super) fn status(&self, topic: &str) -> Status {
        let (ready, message) = match self.readiness.check() {
            Ok(note) => (true, note),
            Err(reason) => (false, Some(reason.to_string())),
        };
        Status {
            now: timestamp(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            ready,
            draining: self.readiness.is_draining(),
            message,
            facts: self.proxy.facts(topic),
        }
    }
}
