//! What the admission webhook counts: a few families of its own, as it is a process of its own.

use prometheus::{IntCounter, Registry, TextEncoder};

use super::Families;

/// What came of a request to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// The pod asked for a sidecar, cannot get one, and was let through without.
    AllowedWithout,
    /// The pod asked for a sidecar, cannot get one, and was refused.
    Denied,
    /// The pod got its sidecar, or a variable that came later was made to lead to it.
    Injected,
    /// It was no AdmissionReview that could be answered.
    Malformed,
    /// The pod did not ask for a sidecar, or the object was no new pod.
    NotAsked,
    /// The pod has its sidecar already.
    Unchanged,
}

impl ReviewOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::AllowedWithout,
        Self::Denied,
        Self::Injected,
        Self::Malformed,
        Self::NotAsked,
        Self::Unchanged,
    ];

    /// The `outcome` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AllowedWithout => "allowed_without",
            Self::Denied => "denied",
            Self::Injected => "injected",
            Self::Malformed => "malformed",
            Self::NotAsked => "not_asked",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The families of the webhook.
#[derive(Debug)]
pub struct WebhookMetrics {
    registry: Registry,
    reviews: [IntCounter; ReviewOutcome::ALL.len()],
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl WebhookMetrics {
    /// All families, at 0.
    #[must_use]
    pub fn new() -> Self {
        let families = Families(Registry::new());
        let reviews = families.closed(
            "webhook_reviews_total",
            "Requests to the admission webhook, by what came of them.",
            "outcome",
            ReviewOutcome::ALL.map(ReviewOutcome::label),
        );
        #[cfg(target_os = "linux")]
        families.add_boxed(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
        Self { registry: families.0, reviews }
    }

    /// Counts a request.
    pub fn review(&self, outcome: ReviewOutcome) {
        let at = ReviewOutcome::ALL.iter().position(|one| *one == outcome);
        super::count(&self.reviews, at);
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
