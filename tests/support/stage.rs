//! What most tests of the proxy begin with: everything around it, in this process.

use super::{broker::FakeBroker, client::Client, proxy::Proxy, registry::Registry, sidecar::USER};

/// A proxy between a broker that says yes and a registry that knows [`USER`] as schema 1, and a client at the broker's port.
pub struct Stage {
    pub broker: FakeBroker,
    pub registry: Registry,
    pub proxy: Proxy,
    pub client: Client,
}

impl Stage {
    /// Starts all of it; see [`Proxy::start`] for `more`.
    pub async fn new(more: &str) -> Self {
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        registry.id(1, USER);
        let proxy = Proxy::start(&[broker.address()], &registry.url(), more).await;
        let client = Client::connect(&proxy.node(1)).await;
        Self { broker, registry, proxy, client }
    }
}
