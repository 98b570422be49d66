//! DescribeCluster v0-2: the brokers' addresses.
//!
//! Flexible from v0 on; v1 says whether brokers or controllers are listed, v2 whether a broker is fenced (KIP-1073).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    endpoints,
    walk::{Layout, Walk},
};
use crate::wire::{Cluster, Endpoint, NodeId, TopicId, WireError, frame::Frame};

pub(super) fn rewrite(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    walk.skip_tagged_fields()?;
    walk.skip(4 + 2)?; // throttle time, error code
    walk.skip_text()?; // error message
    let of_brokers = walk.version() < 1 || walk.i8()? == BROKERS;
    walk.skip_text()?; // cluster id
    walk.skip(4)?; // controller id
    nodes(&mut walk, if of_brokers { cluster } else { &Nobody })?;
    walk.skip(4)?; // what the client may do with the cluster
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

fn nodes(walk: &mut Walk<'_>, cluster: &dyn Cluster) -> Result<(), WireError> {
    let from = walk.position();
    let nodes = endpoints::read(walk, cluster, |walk| {
        walk.skip_text()?; // rack
        if walk.version() >= 2 {
            walk.skip(1)?; // whether it is fenced
        }
        walk.skip_tagged_fields()
    })?;
    endpoints::replace(walk, from, &nodes);
    Ok(())
}

/// The endpoint type of brokers.
const BROKERS: i8 = 1;

/// Controllers listen where no client of ours may go, and may share their node ids with brokers: none is told, and
/// nothing is learnt from them.
struct Nobody;

impl Cluster for Nobody {
    fn advertise(&self, _: NodeId, _: &str, _: i32) -> Option<Endpoint> {
        None
    }

    fn learn_topic(&self, _: TopicId, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::super::{rewrite_response, support::*};
    use super::*;
    use kafka_protocol::messages::{
        DescribeClusterResponse, describe_cluster_response::DescribeClusterBroker,
    };
    use proptest::prelude::*;

    fn response(dice: &mut Dice, version: i16) -> DescribeClusterResponse {
        let mut response = DescribeClusterResponse::default()
            .with_throttle_time_ms(dice.i32())
            .with_error_code(dice.error_code())
            .with_error_message(dice.nullable_text())
            .with_cluster_id(dice.text())
            .with_controller_id(dice.node())
            .with_brokers(dice.few(|dice| broker(dice, version)))
            .with_cluster_authorized_operations(dice.i32())
            .with_unknown_tagged_fields(dice.tags());
        if version >= 1 {
            response.endpoint_type = i8::try_from(dice.below(3)).unwrap();
        }
        response
    }

    fn broker(dice: &mut Dice, version: i16) -> DescribeClusterBroker {
        DescribeClusterBroker::default()
            .with_broker_id(dice.node())
            .with_host(dice.text())
            .with_port(dice.i32())
            .with_rack(dice.nullable_text())
            .with_is_fenced(version >= 2 && dice.below(2) == 1)
            .with_unknown_tagged_fields(dice.tags())
    }

    proptest! {
        #[test]
        fn nothing_but_the_brokers_addresses_changes_and_controllers_are_left_out(
            version in 0..=2_i16, tape in tape(),
        ) {
            let mut dice = Dice::new(tape, true);
            let tags = dice.tags();
            let mut response = response(&mut dice, version);
            let cluster = TenNodes::default();
            let frame = encode(&response, version, &tags);
            let rewritten = rewrite_response(60, version, &frame, &cluster).unwrap();
            if response.endpoint_type == BROKERS {
                retain_told(&mut response.brokers, |broker| {
                    (&mut broker.broker_id, &mut broker.host, &mut broker.port)
                });
            } else {
                response.brokers.clear();
                prop_assert_eq!(cluster.seen.into_inner().unwrap(), []);
            }
            prop_assert_eq!(rewritten, encode(&response, version, &tags));
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 0..=2_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, true);
            let tags = dice.tags();
            let response = response(&mut dice, version);
            check_damage(60, version, &encode(&response, version, &tags), damage);
        }
    }
}
