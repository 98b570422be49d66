//! What the process knows about itself, put together for `/status` and the page.

use std::sync::Arc;

use crate::{
    admin::{BrokerFact, BudgetFact, StatusFacts, StatusSource},
    config::Config,
    metrics::{AvoidedRequest, Levels, Metrics},
    proxy::{
        address_map::AddressMap, budget::MemoryBudget, gateway::Gateway, quarantine::DeadLetters,
        sequence_guard::SequenceGuard,
    },
    schema::{CacheObserver, RequestOutcome, SourceObserver},
};

/// Nodes outside the map that the note names one by one.
const MAX_NOTED_NODES: usize = 10;

/// Reads the facts off the running parts.
#[derive(Debug)]
pub struct Status {
    gateway: Arc<Gateway>,
    rules: serde_json::Value,
}

impl Status {
    /// Facts of `gateway`, and the rules of `config`.
    #[must_use]
    pub fn new(config: &Config, gateway: Arc<Gateway>) -> Self {
        Self { gateway, rules: config.effective_rules().to_json() }
    }
}

impl StatusSource for Status {
    fn facts(&self) -> StatusFacts {
        let Gateway { cluster, budget, guard, metrics, .. } = &*self.gateway;
        let brokers = cluster.addresses.known().into_iter().map(|known| BrokerFact {
            node_id: known.node.0,
            address: known.address.to_string(),
            advertised: known.advertised.to_string(),
        });
        let outside = cluster.addresses.outside();
        StatusFacts {
            connections: metrics.connections(),
            brokers: brokers.collect(),
            nodes_outside_map: outside.into_iter().map(|node| node.0).collect(),
            schemas_in_cache: metrics.schemas(),
            registry_circuits_open: metrics.open_registry_circuits(),
            sequence_gaps_open: whole(guard.open_gaps()),
            rules: self.rules.clone(),
            memory_budget: BudgetFact {
                bytes: whole(budget.capacity()),
                used_bytes: whole(budget.used()),
            },
        }
    }
}

/// The levels that a scrape shows.
#[must_use]
pub fn levels(
    addresses: &AddressMap,
    budget: &MemoryBudget,
    guard: &SequenceGuard,
    dead_letters: &DeadLetters,
) -> Levels {
    Levels {
        memory_budget_bytes: whole(budget.capacity()),
        memory_budget_evictions: budget.evictions_total(),
        memory_budget_used_bytes: whole(budget.used()),
        memory_budget_waits: budget.waits_total(),
        nodes_outside_map: whole(addresses.outside().len()),
        quarantine_queue_bytes: whole(dead_letters.queued_bytes()),
        sequence_gaps_open: whole(guard.open_gaps()),
    }
}

/// What an operator has to add to the configuration, if anything: nodes that no local port stands for, with the entries
/// that would give them one.
#[must_use]
pub fn note(addresses: &AddressMap) -> Option<String> {
    let outside = addresses.outside();
    let named: Vec<_> = outside.iter().take(MAX_NOTED_NODES).collect();
    if named.is_empty() {
        return None;
    }
    let nodes: Vec<_> = named.iter().map(|node| node.0.to_string()).collect();
    let entries: Vec<_> = named.iter().map(|node| addresses.entry_to_add(**node)).collect();
    let more = match outside.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "nodes without a local port are hidden from clients: {}{more}; add to listen.broker_ports: {}",
        nodes.join(", "),
        entries.join(", "),
    ))
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Counts what the schema cache does.
#[derive(Debug)]
pub struct CacheMetrics(pub Arc<Metrics>);

impl CacheObserver for CacheMetrics {
    fn hit(&self) {
        self.0.cache_hit();
    }

    fn miss(&self) {
        self.0.cache_miss();
    }

    fn request(&self, outcome: RequestOutcome) {
        self.0.registry_request(outcome.label());
    }

    fn request_seconds(&self, seconds: f64) {
        self.0.registry_request_seconds(seconds);
    }

    fn entries(&self, count: u64) {
        self.0.cache_entries(count);
    }

    fn over_budget(&self) {
        self.0.registry_request_avoided(AvoidedRequest::Budget);
    }
}

impl SourceObserver for CacheMetrics {
    fn circuits_open(&self, count: usize) {
        self.0.registry_circuits_open(whole(count));
    }

    fn left_in_peace(&self) {
        self.0.registry_request_avoided(AvoidedRequest::Circuit);
    }

    fn retried(&self) {
        self.0.registry_retry();
    }
}
