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

#[cfg(test)]
mod tests {
    use super::super::{rewrite_response, support::*};
    use kafka_protocol::{
        messages::{BrokerId, FindCoordinatorResponse, find_coordinator_response::Coordinator},
        protocol::StrBytes,
    };
    use proptest::prelude::*;

    fn response(dice: &mut Dice, version: i16) -> FindCoordinatorResponse {
        let mut response =
            FindCoordinatorResponse::default().with_unknown_tagged_fields(dice.tags());
        if version >= 1 {
            response.throttle_time_ms = dice.i32();
        }
        if version >= 4 {
            return response.with_coordinators(dice.few(coordinator));
        }
        let only = coordinator(dice);
        response
            .with_error_code(only.error_code)
            .with_error_message(only.error_message.filter(|_| version >= 1))
            .with_node_id(only.node_id)
            .with_host(only.host)
            .with_port(only.port)
    }

    fn coordinator(dice: &mut Dice) -> Coordinator {
        Coordinator::default()
            .with_key(dice.text())
            .with_node_id(dice.node())
            .with_host(dice.text())
            .with_port(dice.i32())
            .with_error_code(dice.error_code())
            .with_error_message(dice.nullable_text())
            .with_unknown_tagged_fields(dice.tags())
    }

    fn expect(node: &mut BrokerId, host: &mut StrBytes, port: &mut i32, error: &mut i16) {
        if *error != 0 || node.0 == -1 {
            return;
        }
        match told(node.0) {
            Some(told) => (*host, *port) = (StrBytes::from_static_str(told.0), told.1),
            None => (node.0, *host, *port, *error) = (-1, StrBytes::new(), -1, 15),
        }
    }

    fn expected(mut response: FindCoordinatorResponse, version: i16) -> FindCoordinatorResponse {
        for one in &mut response.coordinators {
            expect(&mut one.node_id, &mut one.host, &mut one.port, &mut one.error_code);
        }
        if version < 4 {
            let one = &mut response;
            expect(&mut one.node_id, &mut one.host, &mut one.port, &mut one.error_code);
        }
        response
    }

    proptest! {
        #[test]
        fn coordinators_are_sent_to_their_local_port_or_not_available(
            version in 0..=6_i16, tape in tape(),
        ) {
            let mut dice = Dice::new(tape, version >= 3);
            let tags = dice.tags();
            let response = response(&mut dice, version);
            let frame = encode(&response, version, &tags);
            let rewritten = rewrite_response(10, version, &frame, &TenNodes::default()).unwrap();
            prop_assert_eq!(rewritten, encode(&expected(response, version), version, &tags));
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 0..=6_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, version >= 3);
            let tags = dice.tags();
            let response = response(&mut dice, version);
            check_damage(10, version, &encode(&response, version, &tags), damage);
        }
    }

    #[test]
    fn nothing_is_learnt_from_an_answer_without_coordinator() {
        let cluster = TenNodes::default();
        let table = [(0, -1), (15, -1), (15, 3)];
        for (error, node) in table {
            let response = FindCoordinatorResponse::default()
                .with_error_code(error)
                .with_node_id(BrokerId(node))
                .with_port(-1);
            let frame = encode(&response, 2, &Tags::new());
            assert_eq!(rewrite_response(10, 2, &frame, &cluster), Ok(frame));
        }
        assert_eq!(cluster.seen.into_inner().unwrap(), []);
    }
}
