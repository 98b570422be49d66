//! What the process knows about itself, put together for `/status` and the page.

use std::sync::Arc;

use crate::{
    admin::{BrokerFact, BudgetFact, StatusFacts, StatusSource},
    config::Config,
    metrics::Metrics,
    proxy::gateway::Gateway,
    schema::{CacheObserver, EntryState, RequestOutcome},
};

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
        let Gateway { cluster, budget, metrics, judge, .. } = &*self.gateway;
        let known = cluster.addresses.known().into_iter();
        let brokers = known.filter_map(|(node, port, address)| {
            let address = address?.to_string();
            Some(BrokerFact { node_id: node.0, address, local_port: port.0 })
        });
        let outside = cluster.addresses.outside();
        let kept =
            |state| matches!(state, EntryState::Fresh | EntryState::Immutable | EntryState::Stale);
        let schemas = judge.schemas().entries().iter().filter(|it| kept(it.state)).count();
        StatusFacts {
            connections: metrics.connections(),
            brokers: brokers.collect(),
            nodes_outside_map: outside.into_iter().map(|node| node.0).collect(),
            schemas_in_cache: u64::try_from(schemas).unwrap_or(u64::MAX),
            rules: self.rules.clone(),
            memory_budget: BudgetFact {
                bytes: u64::try_from(budget.capacity()).unwrap_or(u64::MAX),
                used_bytes: u64::try_from(budget.used()).unwrap_or(u64::MAX),
            },
        }
    }
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
}
