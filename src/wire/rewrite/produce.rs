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
