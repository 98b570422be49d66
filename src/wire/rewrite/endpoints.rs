//! Arrays of nodes and where they listen. They look alike wherever a response has one: node id, host, port, then
//! fields that stay as they are.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    encode::{MAX_HOST_BYTES, put_endpoint},
    walk::Walk,
};
use crate::wire::{Cluster, Endpoint, NodeId, WireError};

/// Nodes or coordinators that one answer may name. Each of them can grow to the length of the advertised host.
pub(super) const MAX_ENDPOINTS: usize = 100_000;

/// A node that clients are told of.
#[derive(Debug)]
pub(in crate::wire) struct Advertised<'a> {
    node: NodeId,
    endpoint: Endpoint,
    rest: &'a [u8],
}

impl Advertised<'_> {
    /// Writes the node as an element of its array.
    pub(in crate::wire) fn put(&self, out: &mut Vec<u8>, flexible: bool) {
        out.extend(self.node.0.to_be_bytes());
        put_endpoint(out, flexible, &self.endpoint);
        out.extend(self.rest);
    }
}

/// Nodes that an array named, and what is left of them.
#[derive(Debug, Default)]
pub(in crate::wire) struct Endpoints<'a> {
    /// How many nodes the array had.
    pub(in crate::wire) named: usize,
    /// Those that clients are told of.
    pub(in crate::wire) advertised: Vec<Advertised<'a>>,
}

impl<'a> Endpoints<'a> {
    /// Adds the nodes of `other`.
    pub(in crate::wire) fn append(&mut self, other: Endpoints<'a>) {
        self.named = self.named.saturating_add(other.named);
        self.advertised.extend(other.advertised);
    }
}

/// What clients are told instead of `host:port`; hosts too long for the protocol's oldest strings are not told.
pub(super) fn advertise(
    cluster: &dyn Cluster,
    node: NodeId,
    host: &str,
    port: i32,
) -> Option<Endpoint> {
    cluster.advertise(node, host, port).filter(|endpoint| endpoint.host.len() <= MAX_HOST_BYTES)
}

/// Reads an array of nodes; `rest` passes over what follows an element's port.
pub(super) fn read<'a>(
    walk: &mut Walk<'a>,
    cluster: &dyn Cluster,
    mut rest: impl FnMut(&mut Walk<'a>) -> Result<(), WireError>,
) -> Result<Endpoints<'a>, WireError> {
    let named = walk.array_len()?;
    if named > MAX_ENDPOINTS {
        return Err(walk.too_many(MAX_ENDPOINTS));
    }
    let mut advertised = Vec::new();
    for _ in 0..named {
        let node = NodeId(walk.i32()?);
        let host = walk.text()?;
        let port = walk.i32()?;
        let at = walk.position();
        rest(walk)?;
        if let Some(endpoint) = advertise(cluster, node, host, port) {
            advertised.push(Advertised { node, endpoint, rest: walk.since(at) });
        }
    }
    Ok(Endpoints { named, advertised })
}

/// Reads the `node_endpoints` of KIP-951: a rack and tagged fields follow the port.
pub(in crate::wire) fn read_node_endpoints<'a>(
    walk: &mut Walk<'a>,
    cluster: &dyn Cluster,
) -> Result<Endpoints<'a>, WireError> {
    read(walk, cluster, |walk| {
        walk.skip_text()?;
        walk.skip_tagged_fields()
    })
}

/// Replaces the array read since `from` by what clients are told.
pub(super) fn replace(walk: &mut Walk<'_>, from: usize, endpoints: &Endpoints<'_>) {
    let mut elements = Vec::new();
    for advertised in &endpoints.advertised {
        advertised.put(&mut elements, walk.flexible());
    }
    walk.replace_array(from, endpoints.advertised.len(), &elements);
}
