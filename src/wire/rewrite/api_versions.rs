//! ApiVersions v0-4: what the broker takes, cut to what can be walked here.
//!
//! v1 throttle time, v3 flexible (its header never is). An answer to a version that the broker does not know has the
//! body of v0 with error 35, and since KIP-511 one entry.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::{
    offered,
    walk::{Layout, Walk},
};
use crate::wire::{ErrorCode, WireError, frame::Frame};

/// The api key of ApiVersions.
const API_VERSIONS: i16 = 18;

pub(super) fn rewrite(layout: Layout, frame: &Frame) -> Result<Option<Frame>, WireError> {
    let mut head = Walk::new(layout, frame.payload());
    head.skip(4)?;
    if ErrorCode(head.i16()?) == ErrorCode::UNSUPPORTED_VERSION && layout.version != 0 {
        let oldest = Layout { version: 0, flexible: false, ..layout };
        if let Ok(rewritten) = rewrite_as(oldest, frame) {
            return Ok(rewritten);
        }
    }
    rewrite_as(layout, frame)
}

fn rewrite_as(layout: Layout, frame: &Frame) -> Result<Option<Frame>, WireError> {
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    walk.skip(2)?; // error code
    versions(&mut walk)?;
    if walk.version() >= 1 {
        walk.skip(4)?; // throttle time
    }
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

fn versions(walk: &mut Walk<'_>) -> Result<(), WireError> {
    let from = walk.position();
    let (mut kept, mut elements) = (0_usize, Vec::new());
    walk.each(|walk| {
        let (api_key, min, max) = (walk.i16()?, walk.i16()?, walk.i16()?);
        let at = walk.position();
        walk.skip_tagged_fields()?;
        if let Some((min, max)) = intersect(api_key, min, max) {
            for number in [api_key, min, max] {
                elements.extend(number.to_be_bytes());
            }
            elements.extend(walk.since(at));
            kept = kept.saturating_add(1);
        }
        Ok(())
    })?;
    walk.replace_array(from, kept, &elements);
    Ok(())
}

/// The versions that both sides know. `None`: no version can be used, the API is not named.
///
/// The range that is offered of Produce begins at 0, so that its minimum stays the broker's: librdkafka drops
/// compression for brokers that do not name v0 (KAFKA-18659).
fn intersect(api_key: i16, min: i16, max: i16) -> Option<(i16, i16)> {
    let Some(range) = offered(api_key) else { return Some((min, max)) };
    let (min, max) = (min.max(*range.start()), max.min(*range.end()));
    (min <= max).then_some((min, max))
}

/// The answer to an ApiVersions request above the versions that are offered: in v0, error 35, and as only entry the
/// versions of ApiVersions itself, so that the client asks once more and not twice (KIP-511).
#[must_use]
pub fn api_versions_refusal(correlation_id: i32) -> Frame {
    let range = offered(API_VERSIONS).unwrap_or(0..=0);
    let [a, b, c, d] = correlation_id.to_be_bytes();
    let [e, f] = ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes();
    let [g, h] = API_VERSIONS.to_be_bytes();
    let ([i, j], [k, l]) = (range.start().to_be_bytes(), range.end().to_be_bytes());
    Frame::around([a, b, c, d, e, f, 0, 0, 0, 1, g, h, i, j, k, l])
}
