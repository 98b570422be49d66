//! Which local port, or which server name, stands for which broker. A node keeps its place for life; where it listens
//! may change.
//!
//! Reading takes no lock: every connection and every rewritten answer asks here.

mod port_runs;
mod server_names;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use self::{port_runs::PortRun, server_names::ServerNames};
use super::{
    advertised_host::AdvertisedHost,
    settings::{BrokerAddress, ListenSettings, Routing},
};
use crate::wire::{Endpoint, NodeId};

/// Nodes outside the map that are remembered by name.
pub const MAX_OUTSIDE_NODES: usize = 100;

/// A port on which clients are awaited for one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPort(pub u16);

/// Node ids, what clients are told of them, and where they listen.
#[derive(Debug)]
pub struct AddressMap {
    host: AdvertisedHost,
    routes: Routes,
    outside: Mutex<Vec<NodeId>>,
    /// How many of them there are, for who must not wait.
    outside_count: AtomicUsize,
    /// Told when a node is found where it was not known to be.
    found: Notify,
}

#[derive(Debug)]
enum Routes {
    Ports(Vec<PortRun>),
    ServerNames(ServerNames),
}

/// What clients are told of a node, and where it listens as far as that is known.
#[derive(Debug)]
struct Place {
    host: Arc<str>,
    port: u16,
    address: ArcSwapOption<BrokerAddress>,
}

impl Place {
    /// Takes note of where the node listens. True if that is news.
    fn take_note(&self, at: &BrokerAddress) -> bool {
        let news = self.address.load().as_deref() != Some(at);
        if news {
            self.address.store(Some(Arc::new(at.clone())));
        }
        news
    }

    fn address(&self) -> Option<BrokerAddress> {
        self.address.load().as_deref().cloned()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { host: Arc::clone(&self.host), port: self.port }
    }

    fn known(&self, node: NodeId) -> Option<KnownNode> {
        let address = self.address.load().as_deref()?.clone();
        let advertised = BrokerAddress { host: self.host.to_string(), port: self.port };
        Some(KnownNode { node, advertised, address, local_port: None })
    }
}

/// A node that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Its id.
    pub node: NodeId,
    /// What clients are told.
    pub advertised: BrokerAddress,
    /// Where it listens.
    pub address: BrokerAddress,
    /// The port that stands for it; `None` where server names do.
    pub local_port: Option<LocalPort>,
}

impl AddressMap {
    /// The map that `listen` describes. It knows no address yet.
    #[must_use]
    pub fn new(listen: &ListenSettings) -> Self {
        let ListenSettings { advertised_host: host, advertised_port: port, .. } = listen;
        let routes = match listen.routing {
            Routing::Ports => {
                let run = |range: &_| PortRun::new(*range, host, *port);
                Routes::Ports(listen.broker_ports.iter().map(run).collect())
            }
            Routing::ServerName => {
                Routes::ServerNames(ServerNames::new(port.unwrap_or(listen.bootstrap.port())))
            }
        };
        Self {
            host: host.clone(),
            routes,
            outside: Mutex::new(Vec::new()),
            outside_count: AtomicUsize::new(0),
            found: Notify::new(),
        }
    }

    /// Takes note that `node` listens at `at`, and says what clients are told of it. `None`: the node is outside the map.
    pub fn advertise(&self, node: NodeId, at: &BrokerAddress) -> Option<Endpoint> {
        let (news, endpoint) = match &self.routes {
            Routes::Ports(runs) => {
                let (run, index) = find(runs, node)?;
                let place = run.place(index)?;
                (place.take_note(at), place.endpoint())
            }
            Routes::ServerNames(names) => {
                let place = names.place_or_add(node, &self.host)?;
                (place.take_note(at), place.endpoint())
            }
        };
        if news {
            self.found.notify_waiters();
        }
        Some(endpoint)
    }

    /// Where `node` listens; `None` while nobody has told.
    #[must_use]
    pub fn broker(&self, node: NodeId) -> Option<BrokerAddress> {
        match &self.routes {
            Routes::Ports(runs) => {
                let (run, index) = find(runs, node)?;
                run.place(index)?.address()
            }
            Routes::ServerNames(names) => names.place(node)?.address(),
        }
    }

    /// Where `node` listens, as soon as somebody has told.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub async fn until_known(&self, node: NodeId) -> BrokerAddress {
        loop {
            // Before the look: what is told in between must not be missed.
            let found = self.found.notified();
            tokio::pin!(found);
            found.as_mut().enable();
            if let Some(broker) = self.broker(node) {
                return broker;
            }
            found.await;
        }
    }

    /// The node that a TLS client asks for by `server_name`; `None` where that is no node's name.
    #[must_use]
    pub fn node_named(&self, server_name: &str) -> Option<NodeId> {
        match &self.routes {
            Routes::Ports(_) => None,
            Routes::ServerNames(_) => self.host.node(server_name),
        }
    }

    /// The node that a local port stands for.
    #[must_use]
    pub fn node(&self, port: LocalPort) -> Option<NodeId> {
        self.runs().iter().find_map(|run| run.node(run.index_of_port(port)?))
    }

    /// All local ports that stand for one broker, in the order of the configuration.
    pub fn ports(&self) -> impl Iterator<Item = LocalPort> + '_ {
        self.runs().iter().flat_map(|run| (0..run.len()).filter_map(|at| run.port(at)))
    }

    /// All nodes that were seen and are in the map.
    #[must_use]
    pub fn known(&self) -> Vec<KnownNode> {
        match &self.routes {
            Routes::Ports(runs) => {
                let known = |run: &PortRun, at| {
                    let known = run.place(at)?.known(run.node(at)?)?;
                    Some(KnownNode { local_port: run.port(at), ..known })
                };
                let of = |run| (0..PortRun::len(run)).filter_map(move |at| known(run, at));
                runs.iter().flat_map(of).collect()
            }
            Routes::ServerNames(names) => {
                names.known().iter().filter_map(|(node, place)| place.known(*node)).collect()
            }
        }
    }

    /// Remembers that `node` was seen and is outside the map. True if that is news: it is the time to say so. False
    /// also once [`MAX_OUTSIDE_NODES`] are remembered.
    pub fn note_outside(&self, node: NodeId) -> bool {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        let news = outside.len() < MAX_OUTSIDE_NODES && !outside.contains(&node);
        if news {
            outside.push(node);
            self.outside_count.store(outside.len(), Ordering::Relaxed);
        }
        news
    }

    /// Nodes that were seen and are outside the map, in the order of their appearance.
    #[must_use]
    pub fn outside(&self) -> Vec<NodeId> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are: read without waiting for anybody.
    #[must_use]
    pub fn outside_count(&self) -> usize {
        self.outside_count.load(Ordering::Relaxed)
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

    fn runs(&self) -> &[PortRun] {
        match &self.routes {
            Routes::Ports(runs) => runs,
            Routes::ServerNames(_) => &[],
        }
    }
}

/// The first place of `node`.
fn find(runs: &[PortRun], node: NodeId) -> Option<(&PortRun, usize)> {
    let node = (node.0 >= 0).then_some(node)?;
    runs.iter().find_map(|run| Some((run, run.index_of_node(node)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::{PortRange, test_listen};
    use proptest::prelude::*;

    fn range(first_node: i32, first_port: u16, count: u16) -> PortRange {
        PortRange { first_node: NodeId(first_node), first_port, count }
    }

    fn map(ranges: &[PortRange]) -> AddressMap {
        AddressMap::new(&ListenSettings { broker_ports: ranges.to_vec(), ..test_listen() })
    }

    fn told(port: u16) -> Option<Endpoint> {
        Some(Endpoint { host: "localhost".into(), port })
    }

    fn at(host: &str) -> BrokerAddress {
        BrokerAddress { host: host.to_owned(), port: 9092 }
    }

    #[tokio::test]
    async fn who_waits_for_a_node_is_told_when_it_is_known() {
        let map = map(&[range(0, 9100, 10)]);
        let waiting = map.until_known(NodeId(2));
        tokio::pin!(waiting);
        for other in [1, 3] {
            assert!(at_once(waiting.as_mut()).await.is_none());
            map.advertise(NodeId(other), &at("other"));
        }
        assert!(at_once(waiting.as_mut()).await.is_none());
        map.advertise(NodeId(2), &at("two"));
        assert_eq!(waiting.await, at("two"));
        assert_eq!(map.until_known(NodeId(2)).await, at("two"));
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
            assert_eq!(map.broker(node), None);
            for host in ["old", "old", "new"] {
                assert_eq!(map.advertise(node, &at(host)), told(port.0));
                assert_eq!(map.broker(node), Some(at(host)));
            }
        }
        let known: Vec<_> = map.known().iter().map(|known| known.node.0).collect();
        assert_eq!(known, [0, 99, 1001, 1010]);
        assert_eq!(map.known()[0].address, at("new"));
        assert_eq!(map.ports().count(), 110);
    }

    #[test]
    fn nodes_outside_the_ranges_have_no_port() {
        let map = map(&[range(0, 9100, 100), range(1001, 9300, 10)]);
        for node in [-1, i32::MIN, 100, 1000, 1011, i32::MAX] {
            assert_eq!(map.advertise(NodeId(node), &at("host")), None);
        }
        for port in [0, 9099, 9200, 9310, u16::MAX] {
            assert_eq!(map.node(LocalPort(port)), None);
        }
    }

    #[test]
    fn a_node_outside_is_news_once_and_remembered_up_to_a_bound() {
        let map = map(&[range(0, 9100, 1)]);
        assert!(map.note_outside(NodeId(7)));
        assert!(!map.note_outside(NodeId(7)));
        assert!(map.note_outside(NodeId(5)));
        assert_eq!(map.outside(), [NodeId(7), NodeId(5)]);
        assert_eq!(map.outside_count(), 2);
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
                if let Some(endpoint) = map.advertise(NodeId(node), &at("host")) {
                    let port = LocalPort(endpoint.port);
                    prop_assert!(node >= 0);
                    prop_assert_eq!(map.node(port), Some(NodeId(node)));
                    prop_assert_eq!(map.broker(NodeId(node)), Some(at("host")));
                }
            }
            if let Some(node) = map.node(LocalPort(port)) {
                prop_assert_eq!(map.advertise(node, &at("host")), told(port));
            }
            prop_assert!(map.ports().count() <= usize::from(count));
            prop_assert!(map.ports().all(|port| port.0 >= first_port));
        }
    }

    #[test]
    fn overlapping_ranges_answer_with_the_first() {
        let map = map(&[range(0, 9100, 10), range(5, 9200, 10)]);
        assert_eq!(map.advertise(NodeId(5), &at("host")), told(9105));
        assert_eq!(map.node(LocalPort(9200)), Some(NodeId(5)));
    }

    #[test]
    fn host_and_port_may_be_templates_of_what_stands_before_the_proxy() {
        let map = AddressMap::new(&ListenSettings {
            advertised_host: AdvertisedHost::parse("b{node_id}.example.com").unwrap(),
            advertised_port: Some(443),
            broker_ports: vec![range(5, 9200, 2)],
            ..test_listen()
        });
        let told = map.advertise(NodeId(6), &at("kafka-6")).unwrap();
        assert_eq!((&*told.host, told.port), ("b6.example.com", 443));
        assert_eq!(map.node(LocalPort(9201)), Some(NodeId(6)));
        assert_eq!(map.node_named("b6.example.com"), None, "ports tell nodes apart here");
    }

    fn named() -> AddressMap {
        AddressMap::new(&ListenSettings {
            advertised_host: AdvertisedHost::parse("b{node_id}.example.com").unwrap(),
            routing: Routing::ServerName,
            ..test_listen()
        })
    }

    #[test]
    fn nodes_of_any_size_share_one_port_by_their_names() {
        let map = named();
        for node in [0, 1_001, i32::MAX] {
            let name = format!("b{node}.example.com");
            assert_eq!(map.node_named(&name), Some(NodeId(node)));
            assert_eq!(map.broker(NodeId(node)), None);
            for host in ["old", "new"] {
                let told = map.advertise(NodeId(node), &at(host)).unwrap();
                assert_eq!((&*told.host, told.port), (name.as_str(), 9092));
                assert_eq!(map.broker(NodeId(node)), Some(at(host)));
            }
        }
        assert_eq!(map.advertise(NodeId(-1), &at("host")), None);
        assert_eq!(map.node_named("kafka.example.com"), None);
        assert_eq!((map.ports().count(), map.known().len()), (0, 3));
    }

    #[test]
    fn a_broker_that_makes_nodes_up_fills_a_bounded_table() {
        let map = named();
        let told = (0..3_000).filter(|node| map.advertise(NodeId(*node), &at("h")).is_some());
        assert_eq!(told.count(), server_names::MAX_NAMED_NODES);
    }
}
