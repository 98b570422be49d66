//! Metadata v0-13: the brokers' addresses, and what each topic id is called.
//!
//! v1 racks, controller id and internal topics, v2 cluster id, v3 throttle time, v5 offline replicas, v7 leader epochs,
//! v8 authorized operations (of the cluster only up to v10), v9 flexible, v10 topic ids, v12 nameless topics, v13 a
//! top-level error.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    endpoints,
    walk::{Layout, Walk},
};
use crate::wire::{Cluster, ErrorCode, TopicId, WireError, frame::Frame};

/// What a cluster calls itself in a Metadata response of `version`, which must not be older than 2 nor flexible.
///
/// # Errors
/// [`WireError`]: it cannot be read.
pub fn cluster_id(version: i16, frame: &Frame) -> Result<Option<String>, WireError> {
    let layout = Layout { what: "Metadata response", version, flexible: false };
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    if version >= 3 {
        walk.skip(4)?; // throttle time
    }
    walk.each(|walk| {
        walk.skip(4)?; // node id
        walk.skip_text()?; // host
        walk.skip(4)?; // port
        walk.skip_text() // rack
    })?;
    Ok(walk.nullable_text()?.map(str::to_owned))
}

pub(super) fn rewrite(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    let mut walk = Walk::new(layout, frame.payload());
    let version = walk.version();
    walk.skip(4)?; // correlation id
    walk.skip_tagged_fields()?;
    if version >= 3 {
        walk.skip(4)?; // throttle time
    }
    brokers(&mut walk, cluster)?;
    if version >= 2 {
        walk.skip_text()?; // cluster id
    }
    if version >= 1 {
        walk.skip(4)?; // controller id
    }
    walk.each(|walk| topic(walk, cluster))?;
    if (8..=10).contains(&version) {
        walk.skip(4)?; // what the client may do with the cluster
    }
    if version >= 13 {
        walk.skip(2)?; // error code
    }
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

fn brokers(walk: &mut Walk<'_>, cluster: &dyn Cluster) -> Result<(), WireError> {
    let from = walk.position();
    let brokers = endpoints::read(walk, cluster, |walk| {
        if walk.version() >= 1 {
            walk.skip_text()?; // rack
        }
        walk.skip_tagged_fields()
    })?;
    endpoints::replace(walk, from, &brokers);
    Ok(())
}

fn topic(walk: &mut Walk<'_>, cluster: &dyn Cluster) -> Result<(), WireError> {
    let version = walk.version();
    let error = ErrorCode(walk.i16()?);
    let name = if version >= 12 { walk.nullable_text()? } else { Some(walk.text()?) };
    if version >= 10 {
        let id = walk.array::<16>()?;
        if let (ErrorCode::NONE, Some(name)) = (error, name)
            && id != [0; 16]
        {
            cluster.learn_topic(TopicId(id), name);
        }
    }
    if version >= 1 {
        walk.skip(1)?; // whether it is internal
    }
    walk.each(partition)?;
    if version >= 8 {
        walk.skip(4)?; // what the client may do with the topic
    }
    walk.skip_tagged_fields()
}

fn partition(walk: &mut Walk<'_>) -> Result<(), WireError> {
    walk.skip(2 + 4 + 4)?; // error code, partition index, leader
    if walk.version() >= 7 {
        walk.skip(4)?; // leader epoch
    }
    walk.skip_i32s()?; // replicas
    walk.skip_i32s()?; // in-sync replicas
    if walk.version() >= 5 {
        walk.skip_i32s()?; // offline replicas
    }
    walk.skip_tagged_fields()
}

#[cfg(test)]
mod tests {
    use super::super::{rewrite_response, support::*};
    use super::*;
    use kafka_protocol::{
        messages::{
            MetadataResponse,
            metadata_response::{
                MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
            },
        },
        protocol::StrBytes,
    };
    use proptest::prelude::*;

    fn response(dice: &mut Dice, version: i16) -> MetadataResponse {
        let mut response = MetadataResponse::default()
            .with_brokers(dice.few(|dice| broker(dice, version)))
            .with_topics(dice.few(|dice| topic(dice, version)))
            .with_unknown_tagged_fields(dice.tags());
        if version >= 1 {
            response.controller_id = dice.node();
        }
        if version >= 2 {
            response.cluster_id = dice.nullable_text();
        }
        if version >= 3 {
            response.throttle_time_ms = dice.i32();
        }
        if (8..=10).contains(&version) {
            response.cluster_authorized_operations = dice.i32();
        }
        if version >= 13 {
            response.error_code = dice.error_code();
        }
        response
    }

    fn broker(dice: &mut Dice, version: i16) -> MetadataResponseBroker {
        MetadataResponseBroker::default()
            .with_node_id(dice.node())
            .with_host(dice.text())
            .with_port(dice.i32())
            .with_rack(dice.nullable_text().filter(|_| version >= 1))
            .with_unknown_tagged_fields(dice.tags())
    }

    fn topic(dice: &mut Dice, version: i16) -> MetadataResponseTopic {
        let nameless = version >= 12 && dice.below(4) == 0;
        let mut topic = MetadataResponseTopic::default()
            .with_error_code(dice.error_code())
            .with_name((!nameless).then(|| dice.topic_name()))
            .with_partitions(dice.few(|dice| partition(dice, version)))
            .with_unknown_tagged_fields(dice.tags());
        if version >= 1 {
            topic.is_internal = dice.below(2) == 1;
        }
        if version >= 8 {
            topic.topic_authorized_operations = dice.i32();
        }
        if version >= 10 {
            topic.topic_id = dice.topic_id();
        }
        topic
    }

    fn partition(dice: &mut Dice, version: i16) -> MetadataResponsePartition {
        let mut partition = MetadataResponsePartition::default()
            .with_error_code(dice.error_code())
            .with_partition_index(dice.i32())
            .with_leader_id(dice.node())
            .with_replica_nodes(dice.few(Dice::node))
            .with_isr_nodes(dice.few(Dice::node))
            .with_unknown_tagged_fields(dice.tags());
        if version >= 5 {
            partition.offline_replicas = dice.few(Dice::node);
        }
        if version >= 7 {
            partition.leader_epoch = dice.i32();
        }
        partition
    }

    /// The topics that can be learnt.
    fn named(response: &MetadataResponse) -> Vec<(TopicId, String)> {
        let named = response.topics.iter().filter_map(|topic| {
            let name = topic.name.as_ref().filter(|_| topic.error_code == 0)?;
            let id = *topic.topic_id.as_bytes();
            (id != [0; 16]).then(|| (TopicId(id), name.to_string()))
        });
        named.collect()
    }

    proptest! {
        #[test]
        fn nothing_but_the_brokers_addresses_changes(version in 0..=13_i16, tape in tape()) {
            let mut dice = Dice::new(tape, version >= 9);
            let tags = dice.tags();
            let mut response = response(&mut dice, version);
            let cluster = TenNodes::default();
            let frame = encode(&response, version, &tags);
            let rewritten = rewrite_response(3, version, &frame, &cluster).unwrap();
            prop_assert_eq!(cluster.topics.into_inner().unwrap(), named(&response));
            prop_assert_eq!(cluster.seen.into_inner().unwrap().len(), response.brokers.len());
            retain_told(&mut response.brokers, |broker| {
                (&mut broker.node_id, &mut broker.host, &mut broker.port)
            });
            prop_assert_eq!(rewritten, encode(&response, version, &tags));
        }

        #[test]
        fn a_cluster_is_called_what_it_says(version in 2..=8_i16, tape in tape()) {
            let response = response(&mut Dice::new(tape, false), version);
            let found = cluster_id(version, &encode(&response, version, &Tags::new()));
            prop_assert_eq!(found.unwrap(), response.cluster_id.map(|id| id.to_string()));
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 0..=13_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, version >= 9);
            let tags = dice.tags();
            let response = response(&mut dice, version);
            check_damage(3, version, &encode(&response, version, &tags), damage);
        }
    }

    #[test]
    fn hosts_and_names_that_are_not_utf8_are_errors() {
        for needle in ["broker-host", "topic-name"] {
            let broker = MetadataResponseBroker::default()
                .with_host(StrBytes::from_static_str("broker-host"));
            let topic = MetadataResponseTopic::default()
                .with_name(Some(StrBytes::from_static_str("topic-name").into()));
            let response =
                MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic]);
            let mut bytes = encode(&response, 12, &Tags::new()).bytes().to_vec();
            let at = bytes.windows(needle.len()).position(|part| part == needle.as_bytes());
            bytes[at.unwrap()] = 0xff;
            let frame = Frame::from_bytes(bytes.into()).unwrap();
            let result = rewrite_response(3, 12, &frame, &TenNodes::default());
            assert!(matches!(result, Err(WireError::Text { version: 12, .. })), "{result:?}");
        }
    }

    #[test]
    fn a_made_up_count_of_brokers_is_an_error_at_once() {
        let mut body = vec![0; 4];
        body.extend(i32::MAX.to_be_bytes());
        let result = rewrite_response(3, 3, &frame(&body), &TenNodes::default());
        assert!(matches!(result, Err(WireError::TooManyElements { .. })), "{result:?}");
    }
}
