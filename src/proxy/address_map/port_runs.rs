//! Nodes that have local ports of their own.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{LocalPort, Place};
use crate::{
    proxy::{advertised_host::AdvertisedHost, settings::PortRange},
    wire::NodeId,
};

/// One [`PortRange`], and where its nodes listen, one place for each port.
#[derive(Debug)]
pub(super) struct PortRun {
    range: PortRange,
    places: Vec<Place>,
}

impl PortRun {
    /// Ports or nodes beyond the last that there can be do not exist.
    pub(super) fn new(range: PortRange, host: &AdvertisedHost, port: Option<u16>) -> Self {
        let shared: Arc<str> = host.of(range.first_node).into();
        let place = |(offset, local): (i32, u16)| {
            let node = NodeId(range.first_node.0.saturating_add(offset));
            let host = if host.names_nodes() { host.of(node).into() } else { Arc::clone(&shared) };
            Place { host, port: port.unwrap_or(local), address: ArcSwapOption::empty() }
        };
        let ports = (range.first_port..=u16::MAX).take(usize::from(range.count));
        Self { range, places: (0..).zip(ports).map(place).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    pub(super) fn port(&self, index: usize) -> Option<LocalPort> {
        let offset = u16::try_from(index).ok().filter(|_| index < self.places.len())?;
        self.range.first_port.checked_add(offset).map(LocalPort)
    }

    pub(super) fn node(&self, index: usize) -> Option<NodeId> {
        let offset = i32::try_from(index).ok().filter(|_| index < self.places.len())?;
        let node = self.range.first_node.0.checked_add(offset)?;
        (node >= 0).then_some(NodeId(node))
    }

    pub(super) fn index_of_node(&self, node: NodeId) -> Option<usize> {
        let offset = i64::from(node.0).checked_sub(i64::from(self.range.first_node.0))?;
        usize::try_from(offset).ok().filter(|index| *index < self.places.len())
    }

    pub(super) fn index_of_port(&self, port: LocalPort) -> Option<usize> {
        let offset = usize::from(port.0.checked_sub(self.range.first_port)?);
        (offset < self.places.len()).then_some(offset)
    }
}
