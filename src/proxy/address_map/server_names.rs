//! Nodes that share one port and are told apart by the server name that a TLS client asks for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::Place;
use crate::{proxy::advertised_host::AdvertisedHost, wire::NodeId};

/// Nodes that are remembered: more than any cluster has, and a bound for a broker that makes nodes up.
pub(super) const MAX_NAMED_NODES: usize = 2_000;

/// The nodes seen so far. They are read without a lock and written once each.
#[derive(Debug)]
pub(super) struct ServerNames {
    port: u16,
    places: ArcSwap<BTreeMap<NodeId, Arc<Place>>>,
    adding: Mutex<()>,
}

impl ServerNames {
    pub(super) fn new(port: u16) -> Self {
        Self { port, places: ArcSwap::default(), adding: Mutex::new(()) }
    }

    pub(super) fn place(&self, node: NodeId) -> Option<Arc<Place>> {
        self.places.load().get(&node).cloned()
    }

    /// The place of `node`, made where there is room.
    pub(super) fn place_or_add(&self, node: NodeId, host: &AdvertisedHost) -> Option<Arc<Place>> {
        if let Some(place) = self.place(node) {
            return Some(place);
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let places = self.places.load();
        if let Some(place) = places.get(&node) {
            return Some(Arc::clone(place));
        }
        if node.0 < 0 || places.len() >= MAX_NAMED_NODES {
            return None;
        }
        let address = ArcSwapOption::empty();
        let place = Arc::new(Place { host: host.of(node).into(), port: self.port, address });
        let mut more = BTreeMap::clone(&places);
        more.insert(node, Arc::clone(&place));
        self.places.store(Arc::new(more));
        Some(place)
    }

    pub(super) fn known(&self) -> Vec<(NodeId, Arc<Place>)> {
        self.places.load().iter().map(|(node, place)| (*node, Arc::clone(place))).collect()
    }
}
