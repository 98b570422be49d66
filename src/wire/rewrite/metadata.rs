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
