//! Rewrites responses that have to be read: the versions that a broker offers, and every place that tells clients
//! where a node listens. Bytes that are not replaced go through as they came, unknown tagged fields too.
//!
//! Fetch and ShareFetch are not here: their answers are never held whole, see [`super::stream`].

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod api_versions;
mod describe_cluster;
pub(in crate::wire) mod encode;
pub(in crate::wire) mod endpoints;
mod find_coordinator;
mod metadata;
mod produce;
mod share_acknowledge;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
pub(in crate::wire) mod support;
pub(in crate::wire) mod walk;

pub use api_versions::api_versions_refusal;
pub use metadata::cluster_id;

use self::walk::Layout;
use super::{Cluster, WireError, api::offered, frame::Frame};

/// Rewrites the response `frame` to a request of `api_key` and `version`: what clients are told about nodes comes from
/// `cluster`, which learns nodes and topic ids on the way. Responses without anything to rewrite come back as they are.
///
/// # Errors
/// [`WireError`] if the response cannot be read to its last byte, and [`WireError::Version`] if such a version of a
/// response that has to be read was never offered.
pub fn rewrite_response(
    api_key: i16,
    version: i16,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Frame, WireError> {
    let Some((layout, rewrite)) = rewriter(api_key, version) else { return Ok(frame.clone()) };
    let range = offered(api_key).unwrap_or(0..=0);
    if !range.contains(&version) {
        let (min, max) = (*range.start(), *range.end());
        return Err(WireError::Version { what: layout.what, version, min, max });
    }
    Ok(rewrite(layout, frame, cluster)?.unwrap_or_else(|| frame.clone()))
}

/// Rewrites one kind of response; `None` if nothing had to be replaced.
type Rewriter = fn(Layout, &Frame, &dyn Cluster) -> Result<Option<Frame>, WireError>;

fn rewriter(api_key: i16, version: i16) -> Option<(Layout, Rewriter)> {
    let (what, first_flexible, rewrite): (_, _, Rewriter) = match api_key {
        0 => ("Produce response", 9, produce::rewrite),
        3 => ("Metadata response", 9, metadata::rewrite),
        10 => ("FindCoordinator response", 3, find_coordinator::rewrite),
        18 => ("ApiVersions response", 3, api_versions::rewrite),
        60 => ("DescribeCluster response", 0, describe_cluster::rewrite),
        79 => ("ShareAcknowledge response", 0, share_acknowledge::rewrite),
        _ => return None,
    };
    Some((Layout { what, version, flexible: version >= first_flexible }, rewrite))
}

#[cfg(test)]
mod tests {
    use super::{support::*, *};
    use proptest::prelude::*;

    #[test]
    fn versions_that_were_never_offered_are_errors() {
        for (api_key, version) in [(0, 14), (3, -1), (3, 14), (10, 7), (18, 5), (60, 3), (79, 3)] {
            let result = rewrite_response(api_key, version, &frame(&[0; 64]), &TenNodes::default());
            assert!(matches!(result, Err(WireError::Version { .. })), "{api_key} v{version}");
        }
    }

    #[test]
    fn other_responses_come_back_as_they_are() {
        for api_key in [-1, 1, 2, 17, 36, 78, 1_000] {
            let frame = frame(b"anything");
            let rewritten = rewrite_response(api_key, 99, &frame, &TenNodes::default());
            assert_eq!(rewritten, Ok(frame));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            api_key in prop::sample::select(vec![0_i16, 3, 10, 18, 60, 79]),
            version in 0..14_i16,
            body: Vec<u8>,
        ) {
            let _ = rewrite_response(api_key, version, &frame(&body), &TenNodes::default());
        }
    }
}
