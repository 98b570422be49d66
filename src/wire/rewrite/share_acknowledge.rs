//! ShareAcknowledge v0-2: the current leaders' addresses, a plain field at the end.
//!
//! Flexible from v0 on; v2 has the lock timeout (KIP-1222).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    endpoints,
    walk::{Layout, Walk},
};
use crate::wire::{Cluster, WireError, frame::Frame};

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
    if walk.version() >= 2 {
        walk.skip(4)?; // lock timeout
    }
    walk.each(topic)?;
    let from = walk.position();
    let leaders = endpoints::read_node_endpoints(&mut walk, cluster)?;
    endpoints::replace(&mut walk, from, &leaders);
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

fn topic(walk: &mut Walk<'_>) -> Result<(), WireError> {
    walk.skip(16)?; // topic id
    walk.each(partition)?;
    walk.skip_tagged_fields()
}

fn partition(walk: &mut Walk<'_>) -> Result<(), WireError> {
    walk.skip(4 + 2)?; // partition index, error code
    walk.skip_text()?; // error message
    walk.skip(4 + 4)?; // leader, its epoch
    walk.skip_tagged_fields()?; // of the leader
    walk.skip_tagged_fields()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::{rewrite_response, support::*};
    use super::*;
    use kafka_protocol::messages::{
        ShareAcknowledgeResponse,
        share_acknowledge_response::{
            LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
        },
    };
    use proptest::prelude::*;

    fn response(dice: &mut Dice) -> ShareAcknowledgeResponse {
        ShareAcknowledgeResponse::default()
            .with_throttle_time_ms(dice.i32())
            .with_error_code(dice.error_code())
            .with_error_message(dice.nullable_text())
            .with_responses(dice.few(topic_response))
            .with_node_endpoints(dice.few(node_endpoint))
            .with_unknown_tagged_fields(dice.tags())
    }

    fn topic_response(dice: &mut Dice) -> ShareAcknowledgeTopicResponse {
        let partition = |dice: &mut Dice| {
            PartitionData::default()
                .with_partition_index(dice.i32())
                .with_error_code(dice.error_code())
                .with_error_message(dice.nullable_text())
                .with_current_leader(
                    LeaderIdAndEpoch::default()
                        .with_leader_id(dice.i32())
                        .with_leader_epoch(dice.i32())
                        .with_unknown_tagged_fields(dice.tags()),
                )
                .with_unknown_tagged_fields(dice.tags())
        };
        ShareAcknowledgeTopicResponse::default()
            .with_topic_id(dice.topic_id())
            .with_partitions(dice.few(partition))
            .with_unknown_tagged_fields(dice.tags())
    }

    fn node_endpoint(dice: &mut Dice) -> NodeEndpoint {
        NodeEndpoint::default()
            .with_node_id(dice.node())
            .with_host(dice.text())
            .with_port(dice.i32())
            .with_rack(dice.nullable_text())
            .with_unknown_tagged_fields(dice.tags())
    }

    /// Versions 0 and 2 are v1 without and with a lock timeout behind the error message.
    fn as_version(frame: &Frame, response: &ShareAcknowledgeResponse, version: i16) -> Frame {
        if version < 2 {
            return frame.clone();
        }
        let header = encode(&ShareAcknowledgeResponse::default(), 1, &Tags::new());
        let message = response.error_message.as_ref().map_or(0, |message| message.len());
        let at = 1 + 4 + 2 + 1 + message;
        assert_eq!(body(&header).first(), Some(&0), "a header without tagged fields");
        let (head, tail) = body(frame).split_at(at);
        super::super::support::frame(&[head, &30_000_i32.to_be_bytes(), tail].concat())
    }

    proptest! {
        #[test]
        fn nothing_but_the_leaders_addresses_changes(version in 0..=2_i16, tape in tape()) {
            let mut dice = Dice::new(tape, true);
            let mut response = response(&mut dice);
            let encoded = encode(&response, 1, &Tags::new());
            let frame = as_version(&encoded, &response, version);
            let rewritten = rewrite_response(79, version, &frame, &TenNodes::default()).unwrap();
            retain_told(&mut response.node_endpoints, |leader| {
                (&mut leader.node_id, &mut leader.host, &mut leader.port)
            });
            let encoded = encode(&response, 1, &Tags::new());
            prop_assert_eq!(rewritten, as_version(&encoded, &response, version));
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 0..=2_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, true);
            let response = response(&mut dice);
            let frame = encode(&response, 1, &Tags::new());
            check_damage(79, version, &as_version(&frame, &response, version), damage);
        }
    }
}
