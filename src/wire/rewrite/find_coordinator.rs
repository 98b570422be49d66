//! FindCoordinator v0-6: where the coordinator of a group or of a transactional id listens.
//!
//! v1 throttle time and error message, v3 flexible, v4 several coordinators at once (KIP-699). Node -1 is nobody.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    encode::{put_endpoint, put_host_and_port},
    endpoints::{MAX_ENDPOINTS, advertise},
    walk::{Layout, Walk},
};
use crate::wire::{Cluster, Endpoint, ErrorCode, NodeId, WireError, frame::Frame};

/// What a client is told of a coordinator outside the map: it asks again, and never dials a broker.
const COORDINATOR_NOT_AVAILABLE: ErrorCode = ErrorCode(15);

pub(super) fn rewrite(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    walk.skip_tagged_fields()?;
    if walk.version() >= 1 {
        walk.skip(4)?; // throttle time
    }
    if walk.version() < 4 {
        only_coordinator(&mut walk, cluster)?;
    } else {
        let mut left = MAX_ENDPOINTS;
        walk.each(|walk| {
            left = left.checked_sub(1).ok_or_else(|| walk.too_many(MAX_ENDPOINTS))?;
            coordinator(walk, cluster)
        })?;
    }
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

/// Up to v3 the error comes first.
fn only_coordinator(walk: &mut Walk<'_>, cluster: &dyn Cluster) -> Result<(), WireError> {
    let from = walk.position();
    let error = ErrorCode(walk.i16()?);
    let at = walk.position();
    if walk.version() >= 1 {
        walk.skip_text()?; // error message
    }
    let message = walk.since(at);
    let found = Found::read(walk)?;
    let end = walk.position();
    match found.verdict(error, cluster) {
        Verdict::Keep => {}
        Verdict::Tell(endpoint) => {
            walk.replace(found.address_at..end, &address(walk, &endpoint));
        }
        Verdict::Withhold => {
            let nobody = nobody(walk);
            let code = COORDINATOR_NOT_AVAILABLE.0.to_be_bytes();
            walk.replace(from..end, &[&code, message, &nobody].concat());
        }
    }
    Ok(())
}

/// From v4 on the error comes last.
fn coordinator(walk: &mut Walk<'_>, cluster: &dyn Cluster) -> Result<(), WireError> {
    walk.skip_text()?; // key
    let from = walk.position();
    let found = Found::read(walk)?;
    let end = walk.position();
    let error = ErrorCode(walk.i16()?);
    match found.verdict(error, cluster) {
        Verdict::Keep => {}
        Verdict::Tell(endpoint) => {
            walk.replace(found.address_at..end, &address(walk, &endpoint));
        }
        Verdict::Withhold => {
            let nobody = nobody(walk);
            let code = COORDINATOR_NOT_AVAILABLE.0.to_be_bytes();
            walk.replace(from..walk.position(), &[&nobody[..], &code].concat());
        }
    }
    walk.skip_text()?; // error message
    walk.skip_tagged_fields()
}

/// A coordinator as the broker names it.
struct Found<'a> {
    node: NodeId,
    host: &'a str,
    port: i32,
    address_at: usize,
}

/// What is to become of it.
enum Verdict {
    /// There is no coordinator to tell of.
    Keep,
    /// The client is sent here instead.
    Tell(Endpoint),
    /// It is outside the map.
    Withhold,
}

impl<'a> Found<'a> {
    fn read(walk: &mut Walk<'a>) -> Result<Self, WireError> {
        let node = NodeId(walk.i32()?);
        let address_at = walk.position();
        Ok(Self { node, host: walk.text()?, port: walk.i32()?, address_at })
    }

    fn verdict(&self, error: ErrorCode, cluster: &dyn Cluster) -> Verdict {
        if error != ErrorCode::NONE || self.node == NodeId(-1) {
            return Verdict::Keep;
        }
        advertise(cluster, self.node, self.host, self.port).map_or(Verdict::Withhold, Verdict::Tell)
    }
}

fn address(walk: &Walk<'_>, endpoint: &Endpoint) -> Vec<u8> {
    let mut out = Vec::new();
    put_endpoint(&mut out, walk.flexible(), endpoint);
    out
}

/// Node -1 at no address, as a broker says it.
fn nobody(walk: &Walk<'_>) -> Vec<u8> {
    let mut out = Vec::from((-1_i32).to_be_bytes());
    put_host_and_port(&mut out, walk.flexible(), "", -1);
    out
}
