//! What the process knows about itself, put together for `/status` and the page.

mod facts;
mod history;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use self::history::History;
use crate::{
    admin::{BrokerFact, BudgetFact, ReloadFact, StatusFacts, StatusSource},
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
    rules: ArcSwap<serde_json::Value>,
    reload: ArcSwap<ReloadFact>,
    history: History,
}

impl Status {
    /// Facts of `gateway`, and the rules of `config`.
    #[must_use]
    pub fn new(config: &Config, gateway: Arc<Gateway>) -> Self {
        let rules = ArcSwap::from_pointee(config.effective_rules().to_json());
        Self { gateway, rules, reload: ArcSwap::default(), history: History::default() }
    }

    /// Takes the rules of `config` over.
    pub fn follow(&self, config: &Config) {
        self.rules.store(Arc::new(config.effective_rules().to_json()));
    }

    /// Takes note of how the configuration was read again.
    pub fn reloaded(&self, fact: ReloadFact) {
        self.reload.store(Arc::new(fact));
    }

    /// How the configuration was read again last.
    #[must_use]
    pub fn reload(&self) -> Arc<ReloadFact> {
        self.reload.load_full()
    }

    /// Takes a sample of the counters now and then, for ever, for the history of the latest minutes.
    pub async fn keep_history(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(history::INTERVAL);
        // A process that was stopped for a while has no samples of that while.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let metrics = &self.gateway.metrics;
            let totals = facts::totals(metrics, &metrics.topics());
            self.history.sample(Instant::now(), metrics.connections(), totals);
        }
    }
}

impl StatusSource for Status {
    fn facts(&self, topic: &str) -> StatusFacts {
        let Gateway { judging, cluster, budget, guard, metrics, rejections, .. } = &*self.gateway;
        let brokers = cluster.addresses.known().into_iter().map(|known| BrokerFact {
            node_id: known.node.0,
            address: known.address.to_string(),
            advertised: known.advertised.to_string(),
            local_port: known.local_port.map(|port| port.0),
        });
        let outside = cluster.addresses.outside();
        let (topics, recent) = (metrics.topics(), rejections.recent().latest());
        let judging = judging.load();
        let schemas = judging.judge.schemas();
        let standings = schemas.standings().into_iter();
        StatusFacts {
            connections: metrics.connections(),
            totals: facts::totals(metrics, &topics),
            history: self.history.fact(),
            topics: facts::topics(&topics, topic),
            rejections: recent.iter().map(|recent| facts::rejection(recent)).collect(),
            brokers: brokers.collect(),
            nodes_outside_map: outside.into_iter().map(|node| node.0).collect(),
            registries: standings.map(facts::registry).collect(),
            schemas: facts::schemas(schemas, metrics.schemas()),
            schemas_in_cache: metrics.schemas(),
            registry_circuits_open: metrics.open_registry_circuits(),
            sequence_gaps_open: whole(guard.open_gaps()),
            rules: serde_json::Value::clone(&self.rules.load()),
            reload: ReloadFact::clone(&self.reload.load()),
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
        nodes_outside_map: whole(addresses.outside_count()),
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
pub struct CacheMetrics {
    metrics: Arc<Metrics>,
    retired: AtomicBool,
}

impl CacheMetrics {
    /// Counts in `metrics`.
    #[must_use]
    pub const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, retired: AtomicBool::new(false) }
    }

    /// Takes note that another cache has taken the place of this one, which ends what it has under way: from now on levels
    /// are told by the other one.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

impl CacheObserver for CacheMetrics {
    fn hit(&self) {
        self.metrics.cache_hit();
    }

    fn miss(&self) {
        self.metrics.cache_miss();
    }

    fn request(&self, outcome: RequestOutcome) {
        self.metrics.registry_request(outcome.label());
    }

    fn request_seconds(&self, seconds: f64) {
        self.metrics.registry_request_seconds(seconds);
    }

    fn entries(&self, count: u64) {
        if !self.is_retired() {
            self.metrics.cache_entries(count);
        }
    }

    fn over_budget(&self) {
        self.metrics.registry_request_avoided(AvoidedRequest::Budget);
    }
}

impl SourceObserver for CacheMetrics {
    fn circuits_open(&self, count: usize) {
        if !self.is_retired() {
            self.metrics.registry_circuits_open(whole(count));
        }
    }

    fn left_in_peace(&self) {
        self.metrics.registry_request_avoided(AvoidedRequest::Circuit);
    }

    fn retried(&self) {
        self.metrics.registry_retry();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_by_the_cache_that_is_in_use() {
        let metrics = Metrics::new(1);
        let [old, new] = [(); 2].map(|()| CacheMetrics::new(Arc::clone(&metrics)));
        old.entries(7);
        old.circuits_open(1);
        assert_eq!((metrics.schemas(), metrics.open_registry_circuits()), (7, 1));
        old.retire();
        new.entries(2);
        new.circuits_open(0);
        // What it has under way ends after it was replaced.
        old.entries(8);
        old.circuits_open(2);
        assert_eq!((metrics.schemas(), metrics.open_registry_circuits()), (2, 0));
    }
}
