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
