//! ApiVersions v0-4: what the broker takes, cut to what can be walked here.
//!
//! v1 throttle time, v3 flexible (its header never is). An answer to a version that the broker does not know has the
//! body of v0 with error 35, and since KIP-511 one entry.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use super::walk::{Layout, Walk};
use crate::wire::{
    Cluster, ErrorCode, WireError,
    api::{ApiKey, offered},
    frame::Frame,
};

/// The api key of ApiVersions.
const API_VERSIONS: i16 = 18;

pub(super) fn rewrite(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    let mut head = Walk::new(layout, frame.payload());
    head.skip(4)?;
    if ErrorCode(head.i16()?) == ErrorCode::UNSUPPORTED_VERSION && layout.version != 0 {
        let oldest = Layout { version: 0, flexible: false, ..layout };
        // librdkafka's mock cluster answers in a form of its own. Clients take the versions of ApiVersions from such an
        // answer and ask again; a version that is not offered ends at the next request anyhow.
        let read = |layout| rewrite_as(layout, frame, cluster);
        return read(oldest).or_else(|_| read(layout)).or(Ok(None));
    }
    rewrite_as(layout, frame, cluster)
}

fn rewrite_as(
    layout: Layout,
    frame: &Frame,
    cluster: &dyn Cluster,
) -> Result<Option<Frame>, WireError> {
    let mut walk = Walk::new(layout, frame.payload());
    walk.skip(4)?; // correlation id
    walk.skip(2)?; // error code
    versions(&mut walk, cluster.offers_login())?;
    if walk.version() >= 1 {
        walk.skip(4)?; // throttle time
    }
    walk.skip_tagged_fields()?;
    walk.into_frame()
}

fn versions(walk: &mut Walk<'_>, login: bool) -> Result<(), WireError> {
    let from = walk.position();
    let (mut kept, mut elements) = (0_usize, Vec::new());
    walk.each(|walk| {
        let (api_key, min, max) = (walk.i16()?, walk.i16()?, walk.i16()?);
        let at = walk.position();
        walk.skip_tagged_fields()?;
        let hidden = !login && is_login(api_key);
        if let (false, Some((min, max))) = (hidden, intersect(api_key, min, max)) {
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

/// Whether an API is of a client's login, which is not offered where schemaward has logged in itself.
const fn is_login(api_key: i16) -> bool {
    matches!(ApiKey(api_key), ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE)
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::super::{rewrite_response, support::*};
    use super::*;
    use kafka_protocol::messages::{
        ApiVersionsResponse,
        api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey},
    };
    use proptest::prelude::*;

    fn entry(api_key: i16, min: i16, max: i16) -> ApiVersion {
        ApiVersion::default().with_api_key(api_key).with_min_version(min).with_max_version(max)
    }

    fn response(dice: &mut Dice, version: i16) -> ApiVersionsResponse {
        let api_version = |dice: &mut Dice| {
            let (key, min) = (i16::from(dice.below(90)), i16::from(dice.below(30)));
            entry(key, min, min + i16::from(dice.below(30))).with_unknown_tagged_fields(dice.tags())
        };
        let mut api_keys = dice.few(api_version);
        api_keys.extend([entry(0, 0, i16::from(dice.below(30))), entry(17, 0, 1)]);
        let mut response = ApiVersionsResponse::default()
            .with_error_code(dice.error_code())
            .with_api_keys(api_keys)
            .with_unknown_tagged_fields(dice.tags());
        if version >= 1 {
            response.throttle_time_ms = dice.i32();
        }
        if version < 3 {
            return response;
        }
        let supported = |dice: &mut Dice| SupportedFeatureKey::default().with_name(dice.text());
        let finalized = |dice: &mut Dice| FinalizedFeatureKey::default().with_name(dice.text());
        response
            .with_supported_features(dice.few(supported))
            .with_finalized_features_epoch(dice.i64())
            .with_finalized_features(dice.few(finalized))
            .with_zk_migration_ready(dice.below(2) == 1)
    }

    fn expected(mut response: ApiVersionsResponse) -> ApiVersionsResponse {
        response.api_keys.retain_mut(|entry| {
            let Some(range) = offered(entry.api_key) else { return true };
            let both = (entry.min_version..=entry.max_version).filter(|one| range.contains(one));
            let both: Vec<i16> = both.collect();
            entry.min_version = both.first().copied().unwrap_or_default();
            entry.max_version = both.last().copied().unwrap_or_default();
            !both.is_empty()
        });
        response
    }

    proptest! {
        #[test]
        fn ranges_are_cut_to_what_is_offered_and_all_else_stays(
            version in 0..=4_i16, tape in tape(),
        ) {
            let mut dice = Dice::new(tape, version >= 3);
            let response = response(&mut dice, version);
            let frame = encode(&response, version, &Tags::new());
            let rewritten = rewrite_response(18, version, &frame, &TenNodes::default()).unwrap();
            prop_assert_eq!(rewritten, encode(&expected(response), version, &Tags::new()));
        }

        #[test]
        fn damaged_responses_are_errors(
            version in 0..=4_i16, tape in tape(), damage: (usize, u8),
        ) {
            let mut dice = Dice::new(tape, version >= 3);
            // Error 35 has the body of v0, which is a piece of the others.
            let response = response(&mut dice, version).with_error_code(0);
            check_damage(18, version, &encode(&response, version, &Tags::new()), damage);
        }
    }

    /// Api keys, their lowest and highest versions.
    type Ranges = &'static [(i16, i16, i16)];

    fn api_keys(ranges: &[(i16, i16, i16)]) -> Vec<ApiVersion> {
        ranges.iter().map(|(key, min, max)| entry(*key, *min, *max)).collect()
    }

    #[test]
    fn brokers_of_all_ages_are_cut_alike() {
        let table: [(Ranges, Ranges); 6] = [
            // Kafka 4 names Produce v0 without taking it.
            (&[(0, 0, 13), (1, 4, 18), (3, 0, 13)], &[(0, 0, 13), (1, 4, 18), (3, 0, 13)]),
            (&[(0, 3, 14), (18, 0, 5), (17, 0, 1)], &[(0, 3, 13), (18, 0, 4), (17, 1, 1)]),
            (&[(1, 19, 20), (17, 0, 0), (60, 1, 2)], &[(60, 1, 2)]),
            (&[(37, 0, 99), (-1, -5, 9_999)], &[(37, 0, 99), (-1, -5, 9_999)]),
            (&[(36, 0, 3), (17, 0, 2)], &[(36, 0, 2), (17, 1, 1)]),
            (&[(3, 5, 2), (18, i16::MIN, i16::MAX)], &[(18, 0, 4)]),
        ];
        for (given, left) in table {
            for version in 0..=4 {
                let response = |keys| ApiVersionsResponse::default().with_api_keys(api_keys(keys));
                let frame = encode(&response(given), version, &Tags::new());
                let rewritten = rewrite_response(18, version, &frame, &TenNodes::default());
                assert_eq!(rewritten, Ok(encode(&response(left), version, &Tags::new())));
            }
        }
    }

    #[test]
    fn logins_are_not_named_where_none_is_offered() {
        for version in 0..=4 {
            let keys = [(0, 0, 13), (17, 0, 1), (18, 0, 4), (36, 0, 2), (37, 0, 3)];
            let response = ApiVersionsResponse::default().with_api_keys(api_keys(&keys));
            let frame = encode(&response, version, &Tags::new());
            let cluster = TenNodes { refuses_login: true, ..TenNodes::default() };
            let rewritten = rewrite_response(18, version, &frame, &cluster).unwrap();
            let left = response.with_api_keys(api_keys(&[(0, 0, 13), (18, 0, 4), (37, 0, 3)]));
            assert_eq!(rewritten, encode(&left, version, &Tags::new()));
        }
    }

    #[test]
    fn the_answer_to_an_unknown_version_is_read_as_v0() {
        let table: [Ranges; 2] = [&[], &[(18, 0, 3)]];
        for (keys, version) in table.iter().flat_map(|keys| (0..=4).map(move |v| (keys, v))) {
            let response =
                ApiVersionsResponse::default().with_error_code(35).with_api_keys(api_keys(keys));
            let frame = encode(&response, 0, &Tags::new());
            assert_eq!(rewrite_response(18, version, &frame, &TenNodes::default()), Ok(frame));
            let newer = encode(&response, version, &Tags::new());
            assert_eq!(rewrite_response(18, version, &newer, &TenNodes::default()), Ok(newer));
        }
    }

    #[test]
    fn a_refusal_names_the_versions_of_api_versions_only() {
        let refusal = api_versions_refusal(7);
        let response: ApiVersionsResponse = decode(&refusal, 0);
        assert_eq!(response.error_code, 35);
        assert_eq!(response.api_keys, [entry(18, 0, 4)]);
    }
}
