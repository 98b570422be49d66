//! Produce v10-13: the current leaders' addresses, a tagged field at the end (KIP-951). Older versions have none.
//!
//! v13 names topics by id.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    encode::{compact, put_unsigned_varint},
    endpoints,
    walk::{Layout, Walk},
};
use crate::wire::{Cluster, WireError, frame::Frame};

/// The tag of the addresses.
const NODE_ENDPOINTS: u32 = 0;

pub(super) fn rewrite(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    if layout.version < 10 {
        return Ok(None);
    }
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    walk.skip_tagged_fields()?;
    walk.each(topic)?;
    walk.skip(4)?; // throttle time
    for _ in 0..walk.unsigned_varint()? {
        let from = walk.position();
        let (tag, field) = walk.tagged_field()?;
        if tag == NODE_ENDPOINTS {
            let field = node_endpoints(Walk::new(layout, field), cluster)?;
            walk.replace(from..walk.position(), &field);
        }
    }
    walk.into_frame()
}

fn topic(walk: &mut Walk<'_>) -> Result<(), WireError> {
    if walk.version() >= 13 {
        walk.skip(16)?; // topic id
    } else {
        walk.skip_text()?; // name
    }
    walk.each(partition)?;
    walk.skip_tagged_fields()
}

fn partition(walk: &mut Walk<'_>) -> Result<(), WireError> {
    walk.skip(4 + 2 + 8 + 8 + 8)?; // index, error code, base offset, append time, log start offset
    walk.each(|walk| {
        walk.skip(4)?; // batch index
        walk.skip_text()?; // its error message
        walk.skip_tagged_fields()
    })?;
    walk.skip_text()?; // error message
    walk.skip_tagged_fields()
}

/// The tagged field with what clients are told.
fn node_endpoints(mut field: Walk<'_>, cluster: &dyn Cluster) -> Result<Vec<u8>, WireError> {
    let leaders = endpoints::read_node_endpoints(&mut field, cluster)?;
    field.end()?;
    let mut content = Vec::new();
    put_unsigned_varint(&mut content, compact(leaders.advertised.len()));
    for leader in &leaders.advertised {
        leader.put(&mut content, true);
    }
    let mut out = Vec::with_capacity(content.len().saturating_add(6));
    put_unsigned_varint(&mut out, NODE_ENDPOINTS);
    put_unsigned_varint(&mut out, u32::try_from(content.len()).unwrap_or(u32::MAX));
    out.extend(content);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::{rewrite_response, support::*};
    use kafka_protocol::messages::{
        ProduceResponse,
        produce_response::{
            BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
            TopicProduceResponse,
        },
    };
    use proptest::prelude::*;

    fn response(dice: &mut Dice, version: i16) -> ProduceResponse {
        ProduceResponse::default()
            .with_responses(dice.few(|dice| topic_response(dice, version)))
            .with_throttle_time_ms(dice.i32())
            .with_node_endpoints(dice.few(node_endpoint))
            .with_unknown_tagged_fields(dice.tags())
    }

    fn topic_response(dice: &mut Dice, version: i16) -> TopicProduceResponse {
        let topic = TopicProduceResponse::default()
            .with_partition_responses(dice.few(partition_response))
            .with_unknown_tagged_fields(dice.tags());
        if version >= 13 {
            topic.with_topic_id(dice.topic_id())
        } else {
            topic.with_name(dice.topic_name())
        }
    }

    fn partition_response(dice: &mut Dice) -> PartitionProduceResponse {
        let record_error = |dice: &mut Dice| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(dice.i32())
                .with_batch_index_error_message(dice.nullable_text())
                .with_unknown_tagged_fields(dice.tags())
        };
        PartitionProduceResponse::default()
            .with_index(dice.i32())
            .with_error_code(dice.error_code())
            .with_base_offset(dice.i64())
            .with_log_append_time_ms(dice.i64())
            .with_log_start_offset(dice.i64())
            .with_record_errors(dice.few(record_error))
            .with_error_message(dice.nullable_text())
            .with_current_leader(
                LeaderIdAndEpoch::default()
                    .with_leader_id(dice.node())
                    .with_leader_epoch(dice.i32()),
            )
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

    proptest! {
        #[test]
        fn nothing_but_the_leaders_addresses_changes(version in 10..=13_i16, tape in tape()) {
            let mut dice = Dice::new(tape, true);
            let tags = dice.tags();
            let mut response = response(&mut dice, version);
            let frame = encode(&response, version, &tags);
            let rewritten = rewrite_response(0, version, &frame, &TenNodes::default()).unwrap();
            let named = response.node_endpoints.len();
            retain_told(&mut response.node_endpoints, |leader| {
                (&mut leader.node_id, &mut leader.host, &mut leader.port)
            });
            prop_assert_eq!(&decode::<ProduceResponse>(&rewritten, version), &response);
            if named == 0 || !response.node_endpoints.is_empty() {
                prop_assert_eq!(rewritten, encode(&response, version, &tags));
            }
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 10..=13_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, true);
            let tags = dice.tags();
            let response = response(&mut dice, version);
            check_damage(0, version, &encode(&response, version, &tags), damage);
        }
    }

    #[test]
    fn versions_without_addresses_come_back_as_they_are() {
        for version in 0..10 {
            let frame = frame(b"anything");
            let rewritten = rewrite_response(0, version, &frame, &TenNodes::default()).unwrap();
            assert_eq!(rewritten.bytes().as_ptr(), frame.bytes().as_ptr());
        }
    }
}
