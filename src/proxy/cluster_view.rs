//! What rewriting learns of the cluster, and what it tells clients instead.

use std::sync::Arc;

use super::{
    address_map::AddressMap,
    settings::{BrokerAddress, ClientLogins},
    topic_ids::TopicIds,
};
use crate::{
    text::shown,
    wire::{Cluster, Endpoint, NodeId, TopicId},
};

/// Longest host that is taken from a broker, in bytes: more than DNS allows.
const MAX_HOST_BYTES: usize = 255;

/// The cluster as this process knows it.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Nodes and their local ports.
    pub addresses: Arc<AddressMap>,
    /// Topic ids and their names.
    pub topics: Arc<TopicIds>,
    /// What becomes of clients' logins.
    pub logins: ClientLogins,
}

impl Cluster for ClusterView {
    fn advertise(&self, node: NodeId, host: &str, port: i32) -> Option<Endpoint> {
        let Some(at) = address(host, port) else {
            let host = shown(host.as_bytes());
            tracing::debug!(node = node.0, %host, port, "left out a node without a usable address");
            return None;
        };
        let told = self.addresses.advertise(node, &at);
        if told.is_none() {
            self.warn_once(node);
        }
        told
    }

    fn learn_topic(&self, id: TopicId, name: &str) {
        self.topics.learn(id, name);
    }

    fn offers_login(&self) -> bool {
        self.logins != ClientLogins::Refuse
    }
}

impl ClusterView {
    fn warn_once(&self, node: NodeId) {
        if node.0 >= 0 && self.addresses.note_outside(node) {
            tracing::warn!(
                node = node.0,
                "node {} has no local port and is hidden from clients; add {} to listen.broker_ports",
                node.0,
                self.addresses.entry_to_add(node),
            );
        }
    }
}

/// An address that can be dialled, or nothing.
fn address(host: &str, port: i32) -> Option<BrokerAddress> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let usable = !host.is_empty() && host.len() <= MAX_HOST_BYTES;
    usable.then(|| BrokerAddress { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::test_listen;

    fn view() -> ClusterView {
        ClusterView {
            addresses: Arc::new(AddressMap::new(&test_listen())),
            topics: Arc::new(TopicIds::default()),
            logins: ClientLogins::Pass,
        }
    }

    #[test]
    fn clients_are_told_the_local_port_and_the_brokers_address_is_kept() {
        let view = view();
        let told = view.advertise(NodeId(3), "kafka-3", 9092).unwrap();
        assert_eq!((&*told.host, told.port), ("localhost", 9103));
        let at = view.addresses.broker(NodeId(3)).unwrap();
        assert_eq!((at.host.as_str(), at.port), ("kafka-3", 9092));
        assert_eq!(view.addresses.outside(), []);
    }

    #[test]
    fn addresses_that_nobody_can_dial_are_not_told_and_do_not_replace_others() {
        let view = view();
        view.advertise(NodeId(3), "kafka-3", 9092).unwrap();
        let long = "x".repeat(256);
        for (host, port) in [("", 1), ("h", 0), ("h", -1), ("h", 65_536), (long.as_str(), 1)] {
            assert_eq!(view.advertise(NodeId(3), host, port), None);
        }
        assert_eq!(view.addresses.broker(NodeId(3)).unwrap().host, "kafka-3");
        assert_eq!(view.addresses.outside(), []);
    }

    #[test]
    fn nodes_outside_the_map_are_remembered_but_not_nobody() {
        let view = view();
        for node in [10, -1, 10, 11] {
            assert_eq!(view.advertise(NodeId(node), "kafka", 9092), None);
        }
        assert_eq!(view.addresses.outside(), [NodeId(10), NodeId(11)]);
    }
}
