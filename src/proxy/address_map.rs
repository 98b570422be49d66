//! Which local port stands for which broker. A node keeps its port for life; where it listens may change.
//!
//! Reading takes no lock: every connection and every rewritten answer asks here.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::settings::{BrokerAddress, ListenSettings, PortRange};
use crate::wire::NodeId;

/// Nodes outside the map that are remembered by name.
pub const MAX_OUTSIDE_NODES: usize = 100;

/// A port on which clients are awaited for one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPort(pub u16);

/// Node ids, local ports, and where the nodes listen.
#[derive(Debug)]
pub struct AddressMap {
    advertised_host: Arc<str>,
    runs: Vec<Run>,
    outside: Mutex<Vec<NodeId>>,
    /// Told when a node is found where it was not known to be.
    found: Notify,
}

/// One [`PortRange`], and where its nodes listen, one place for each port.
#[derive(Debug)]
struct Run {
    range: PortRange,
    addresses: Vec<ArcSwapOption<BrokerAddress>>,
}

impl Run {
    /// Ports or nodes beyond the last that there can be do not exist.
    fn new(range: PortRange) -> Self {
        let ports = (range.first_port..=u16::MAX).take(usize::from(range.count));
        let addresses = ports.map(|_| ArcSwapOption::empty()).collect();
        Self { range, addresses }
    }

    fn port(&self, index: usize) -> Option<LocalPort> {
        let offset = u16::try_from(index).ok().filter(|_| index < self.addresses.len())?;
        self.range.first_port.checked_add(offset).map(LocalPort)
    }

    fn node(&self, index: usize) -> Option<NodeId> {
        let offset = i32::try_from(index).ok().filter(|_| index < self.addresses.len())?;
        let node = self.range.first_node.0.checked_add(offset)?;
        (node >= 0).then_some(NodeId(node))
    }

    fn index_of_node(&self, node: NodeId) -> Option<usize> {
        let offset = i64::from(node.0).checked_sub(i64::from(self.range.first_node.0))?;
        usize::try_from(offset).ok().filter(|index| *index < self.addresses.len())
    }

    fn index_of_port(&self, port: LocalPort) -> Option<usize> {
        let offset = usize::from(port.0.checked_sub(self.range.first_port)?);
        (offset < self.addresses.len()).then_some(offset)
    }
}

impl AddressMap {
    /// A map of `listen.broker_ports` that knows no address yet.
    #[must_use]
    pub fn new(listen: &ListenSettings) -> Self {
        Self {
            advertised_host: Arc::from(listen.advertised_host.as_str()),
            runs: listen.broker_ports.iter().copied().map(Run::new).collect(),
            outside: Mutex::new(Vec::new()),
            found: Notify::new(),
        }
    }

    /// The host that clients are told.
    #[must_use]
    pub fn advertised_host(&self) -> Arc<str> {
        Arc::clone(&self.advertised_host)
    }

    /// Takes note that `node` listens at `at`, and says which port clients are told for it. `None`: the node is outside
    /// the map.
    pub fn advertise(&self, node: NodeId, at: &BrokerAddress) -> Option<LocalPort> {
        let (run, index) = self.find(node)?;
        let slot = run.addresses.get(index)?;
        if slot.load().as_deref() != Some(at) {
            slot.store(Some(Arc::new(at.clone())));
            self.found.notify_waiters();
        }
        run.port(index)
    }

    /// The broker behind a local port; `None` while nobody has told where it listens.
    #[must_use]
    pub fn broker(&self, port: LocalPort) -> Option<BrokerAddress> {
        self.address(self.node(port)?)
    }

    /// The broker behind a local port, as soon as somebody has told where it listens.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub async fn until_known(&self, port: LocalPort) -> BrokerAddress {
        loop {
            // Before the look: what is told in between must not be missed.
            let found = self.found.notified();
            tokio::pin!(found);
            found.as_mut().enable();
            if let Some(broker) = self.broker(port) {
                return broker;
            }
            found.await;
        }
    }

    /// The node that a local port stands for.
    #[must_use]
    pub fn node(&self, port: LocalPort) -> Option<NodeId> {
        self.runs.iter().find_map(|run| run.node(run.index_of_port(port)?))
    }

    /// All local ports, in the order of the configuration.
    pub fn ports(&self) -> impl Iterator<Item = LocalPort> + '_ {
        self.runs.iter().flat_map(|run| (0..run.addresses.len()).filter_map(|at| run.port(at)))
    }

    /// All nodes of the map, their ports, and where they listen as far as that is known.
    #[must_use]
    pub fn known(&self) -> Vec<(NodeId, LocalPort, Option<BrokerAddress>)> {
        let known = |port| self.node(port).map(|node| (node, port, self.address(node)));
        self.ports().filter_map(known).collect()
    }

    /// Remembers that `node` was seen and is outside the map. True if that is news: it is the time to say so. False
    /// also once [`MAX_OUTSIDE_NODES`] are remembered.
    pub fn note_outside(&self, node: NodeId) -> bool {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        let news = outside.len() < MAX_OUTSIDE_NODES && !outside.contains(&node);
        if news {
            outside.push(node);
        }
        news
    }

    /// Nodes that were seen and are outside the map, in the order of their appearance.
    #[must_use]
    pub fn outside(&self) -> Vec<NodeId> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The entry of `listen.broker_ports` that would take `node` into the map. Nodes that are outside get the ports
    /// after the last one, in the order of their appearance.
    #[must_use]
    pub fn entry_to_add(&self, node: NodeId) -> String {
        let before = self.outside().iter().take_while(|other| **other != node).count();
        let last = self.ports().max().unwrap_or(LocalPort(0)).0;
        let port =
            u16::try_from(before).ok().and_then(|before| last.checked_add(before)?.checked_add(1));
        let port = port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
        format!("{{nodes: {node}-{node}, ports: {port}-{port}}}", node = node.0)
    }

    fn address(&self, node: NodeId) -> Option<BrokerAddress> {
        let (run, index) = self.find(node)?;
        run.addresses.get(index)?.load().as_deref().cloned()
    }

    /// The first place of `node`.
    fn find(&self, node: NodeId) -> Option<(&Run, usize)> {
        let node = (node.0 >= 0).then_some(node)?;
        self.runs.iter().find_map(|run| Some((run, run.index_of_node(node)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::ClientAuth;
    use proptest::prelude::*;

    fn range(first_node: i32, first_port: u16, count: u16) -> PortRange {
        PortRange { first_node: NodeId(first_node), first_port, count }
    }

    fn map(ranges: &[PortRange]) -> AddressMap {
        AddressMap::new(&ListenSettings {
            bootstrap: "127.0.0.1:9092".parse().unwrap(),
            broker_ports: ranges.to_vec(),
            advertised_host: "localhost".to_owned(),
            client_auth: ClientAuth::None,
        })
    }

    fn at(host: &str) -> BrokerAddress {
        BrokerAddress { host: host.to_owned(), port: 9092 }
    }

    #[tokio::test]
    async fn who_waits_for_a_node_is_told_when_it_is_known() {
        let map = map(&[range(0, 9100, 10)]);
        let waiting = map.until_known(LocalPort(9102));
        tokio::pin!(waiting);
        for other in [1, 3] {
            assert!(at_once(waiting.as_mut()).await.is_none());
            map.advertise(NodeId(other), &at("other"));
        }
        assert!(at_once(waiting.as_mut()).await.is_none());
        map.advertise(NodeId(2), &at("two"));
        assert_eq!(waiting.await, at("two"));
        assert_eq!(map.until_known(LocalPort(9102)).await, at("two"));
    }

    /// What a future gives at once.
    async fn at_once<F: Future>(future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }

    #[test]
    fn a_node_keeps_its_port_while_its_address_changes() {
        let map = map(&[range(0, 9100, 100), range(1001, 9300, 10)]);
        for (node, port) in [(0, 9100), (99, 9199), (1001, 9300), (1010, 9309)] {
            let (node, port) = (NodeId(node), LocalPort(port));
            assert_eq!(map.node(port), Some(node));
            assert_eq!(map.broker(port), None);
            for host in ["old", "old", "new"] {
                assert_eq!(map.advertise(node, &at(host)), Some(port));
                assert_eq!(map.broker(port), Some(at(host)));
            }
        }
        assert_eq!(map.known().len(), 110);
        assert_eq!(map.known()[0], (NodeId(0), LocalPort(9100), Some(at("new"))));
        assert_eq!(map.known()[1], (NodeId(1), LocalPort(9101), None));
    }

    #[test]
    fn nodes_outside_the_ranges_have_no_port() {
        let map = map(&[range(0, 9100, 100), range(1001, 9300, 10)]);
        for node in [-1, i32::MIN, 100, 1000, 1011, i32::MAX] {
            assert_eq!(map.advertise(NodeId(node), &at("host")), None);
        }
        for port in [0, 9099, 9200, 9310, u16::MAX] {
            assert_eq!(map.node(LocalPort(port)), None);
            assert_eq!(map.broker(LocalPort(port)), None);
        }
    }

    #[test]
    fn a_node_outside_is_news_once_and_remembered_up_to_a_bound() {
        let map = map(&[range(0, 9100, 1)]);
        assert!(map.note_outside(NodeId(7)));
        assert!(!map.note_outside(NodeId(7)));
        assert!(map.note_outside(NodeId(5)));
        assert_eq!(map.outside(), [NodeId(7), NodeId(5)]);
        assert_eq!(map.entry_to_add(NodeId(7)), "{nodes: 7-7, ports: 9101-9101}");
        assert_eq!(map.entry_to_add(NodeId(5)), "{nodes: 5-5, ports: 9102-9102}");
        let news = (10..1_000).filter(|node| map.note_outside(NodeId(*node))).count();
        assert_eq!(news, MAX_OUTSIDE_NODES - 2);
    }

    #[test]
    fn the_entry_to_add_names_no_port_where_none_is_left() {
        let entry = map(&[range(0, 65_535, 1)]).entry_to_add(NodeId(1));
        assert_eq!(entry, "{nodes: 1-1, ports: PORT-PORT}");
    }

    proptest! {
        #[test]
        fn ranges_that_overflow_map_both_ways_or_not_at_all(
            first_node: i32, first_port: u16, count: u16, node: i32, port: u16, edge in -3..3_i32,
        ) {
            let map = map(&[range(first_node, first_port, count)]);
            for node in [node, first_node, first_node.wrapping_add(edge)] {
                if let Some(port) = map.advertise(NodeId(node), &at("host")) {
                    prop_assert!(node >= 0);
                    prop_assert_eq!(map.node(port), Some(NodeId(node)));
                    prop_assert_eq!(map.broker(port), Some(at("host")));
                }
            }
            if let Some(node) = map.node(LocalPort(port)) {
                prop_assert_eq!(map.advertise(node, &at("host")), Some(LocalPort(port)));
            }
            prop_assert!(map.ports().count() <= usize::from(count));
            prop_assert!(map.ports().all(|port| port.0 >= first_port));
        }
    }

    #[test]
    fn overlapping_ranges_answer_with_the_first() {
        let map = map(&[range(0, 9100, 10), range(5, 9200, 10)]);
        assert_eq!(map.advertise(NodeId(5), &at("host")), Some(LocalPort(9105)));
        assert_eq!(map.broker(LocalPort(9200)), Some(at("host")));
    }
}
