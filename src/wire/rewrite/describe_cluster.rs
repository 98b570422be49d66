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
