//! What becomes of requests to schema registries beyond their answers: made again, or not made at all.

use prometheus::{IntCounter, IntGauge};

use super::{Families, Metrics, clamped, count};

/// Why a request to a registry was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AvoidedRequest {
    /// Too many unknown schemas were asked for.
    Budget,
    /// The origin had not answered lately.
    Circuit,
}

impl AvoidedRequest {
    /// Every cause.
    pub const ALL: [Self; 2] = [Self::Budget, Self::Circuit];

    /// The `cause` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Circuit => "circuit",
        }
    }
}

#[derive(Debug)]
pub(super) struct RegistryCounters {
    avoided: [IntCounter; AvoidedRequest::ALL.len()],
    circuits_open: IntGauge,
    retries: IntCounter,
}

impl RegistryCounters {
    pub(super) fn new(families: &Families) -> Self {
        Self {
            avoided: families.closed(
                "registry_requests_avoided_total",
                "Requests to schema registries that were not made, by cause.",
                "cause",
                AvoidedRequest::ALL.map(AvoidedRequest::label),
            ),
            circuits_open: families.gauge(
                "registry_circuits_open",
                "Origins that are left in peace because they did not answer.",
            ),
            retries: families.counter(
                "registry_retries_total",
                "Requests to schema registries that were made again.",
            ),
        }
    }
}

impl Metrics {
    /// Counts a request to a registry that was not made.
    pub fn registry_request_avoided(&self, cause: AvoidedRequest) {
        let at = AvoidedRequest::ALL.iter().position(|one| *one == cause);
        count(&self.registry_counters.avoided, at);
    }

    /// Says how many origins are left in peace.
    pub fn registry_circuits_open(&self, open: u64) {
        self.registry_counters.circuits_open.set(clamped(open));
    }

    /// How many origins are left in peace.
    #[must_use]
    pub fn open_registry_circuits(&self) -> u64 {
        u64::try_from(self.registry_counters.circuits_open.get()).unwrap_or_default()
    }

    /// Counts a request to a registry that was made again.
    pub fn registry_retry(&self) {
        self.registry_counters.retries.inc();
    }
}
