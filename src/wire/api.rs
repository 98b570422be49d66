//! Which APIs are read or rewritten, and in which versions. Everything else passes as it came.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::ops::RangeInclusive;

use super::WireError;
use super::prefix::RequestPrefix;

/// Number of an API of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKey(pub i16);

impl ApiKey {
    /// Stores records: judged before any of it reaches a broker.
    pub const PRODUCE: Self = Self(0);
    /// Reads records; its answer names brokers from v16 on.
    pub const FETCH: Self = Self(1);
    /// Describes brokers and topics: names addresses and topic ids.
    pub const METADATA: Self = Self(3);
    /// Finds the broker of a group or transaction: names addresses.
    pub const FIND_COORDINATOR: Self = Self(10);
    /// Begins a login.
    pub const SASL_HANDSHAKE: Self = Self(17);
    /// Tells which versions a broker takes.
    pub const API_VERSIONS: Self = Self(18);
    /// Carries one message of a login.
    pub const SASL_AUTHENTICATE: Self = Self(36);
    /// Describes the brokers: names addresses.
    pub const DESCRIBE_CLUSTER: Self = Self(60);
    /// Reads records of a share group; its answer names brokers.
    pub const SHARE_FETCH: Self = Self(78);
    /// Acknowledges records of a share group; its answer names brokers.
    pub const SHARE_ACKNOWLEDGE: Self = Self(79);
}

/// What happens to a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Both pass as they came.
    Opaque,
    /// Both are read and pass as they came: who logs in, and whether the broker takes it.
    Login,
    /// The request is judged, the response is completed and its endpoints are rewritten.
    Produce,
    /// The request passes as it came; the response is held whole and rewritten.
    Rewrite,
    /// The request passes as it came; the response is walked as it streams, and only its end is rewritten.
    RewriteTail,
}

/// What happens to requests of this kind. Whether the version is offered is for [`check_offered`] to say.
#[must_use]
pub const fn treatment(api_key: i16, version: i16) -> Treatment {
    match ApiKey(api_key) {
        ApiKey::PRODUCE => Treatment::Produce,
        ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE => Treatment::Login,
        ApiKey::METADATA
        | ApiKey::FIND_COORDINATOR
        | ApiKey::API_VERSIONS
        | ApiKey::DESCRIBE_CLUSTER
        | ApiKey::SHARE_ACKNOWLEDGE => Treatment::Rewrite,
        ApiKey::FETCH if version >= 16 => Treatment::RewriteTail,
        ApiKey::SHARE_FETCH => Treatment::RewriteTail,
        _ => Treatment::Opaque,
    }
}

/// The versions that can be walked here and are hence offered; `None` for APIs that are not read.
///
/// `Produce` v0 to v2 are offered because librdkafka compresses nothing otherwise (KAFKA-18659); they are refused as
/// a broker refuses them.
#[must_use]
pub const fn offered(api_key: i16) -> Option<RangeInclusive<i16>> {
    Some(match ApiKey(api_key) {
        ApiKey::PRODUCE | ApiKey::METADATA => 0..=13,
        ApiKey::FETCH => 0..=18,
        ApiKey::FIND_COORDINATOR => 0..=6,
        // v0 is followed by tokens without any frame header: they could not be told from requests.
        ApiKey::SASL_HANDSHAKE => 1..=1,
        ApiKey::API_VERSIONS => 0..=4,
        ApiKey::SASL_AUTHENTICATE
        | ApiKey::DESCRIBE_CLUSTER
        | ApiKey::SHARE_FETCH
        | ApiKey::SHARE_ACKNOWLEDGE => 0..=2,
        _ => return None,
    })
}

/// First version of Produce whose answer names brokers (KIP-951).
pub const FIRST_PRODUCE_WITH_ENDPOINTS: i16 = 10;

/// Whether a request asks for `ApiVersions` in a version above ours, which is answered rather than passed on (KIP-511).
#[must_use]
pub fn is_api_versions_above_ours(prefix: &RequestPrefix) -> bool {
    let above = |range: RangeInclusive<i16>| prefix.api_version > *range.end();
    prefix.api_key == ApiKey::API_VERSIONS.0 && offered(prefix.api_key).is_some_and(above)
}

/// Checks that the version of a request was offered. (`ApiVersions` above ours gets an answer all the same, in v0.)
///
/// # Errors
/// [`WireError::Version`] if it was not: passing such a request on would be a way around validation.
pub fn check_offered(prefix: &RequestPrefix) -> Result<(), WireError> {
    match offered(prefix.api_key) {
        Some(range) if !range.contains(&prefix.api_version) => Err(WireError::Version {
            what: label(prefix.api_key),
            version: prefix.api_version,
            min: *range.start(),
            max: *range.end(),
        }),
        _ => Ok(()),
    }
}

/// The name of an API for people and metric labels, `other` for those not known here.
#[must_use]
pub fn label(api_key: i16) -> &'static str {
    usize::try_from(api_key).ok().and_then(|key| LABELS.get(key)).copied().unwrap_or(OTHER)
}

const OTHER: &str = "other";

/// Every name that [`label`] can give: those of the api keys from 0 on, then `other`.
pub const LABELS: &[&str] = &[
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "LeaderAndIsr",
    "StopReplica",
    "UpdateMetadata",
    "ControlledShutdown",
    "OffsetCommit",
    "OffsetFetch",
    "FindCoordinator",
    "JoinGroup",
    "Heartbeat",
    "LeaveGroup",
    "SyncGroup",
    "DescribeGroups",
    "ListGroups",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "DeleteRecords",
    "InitProducerId",
    "OffsetForLeaderEpoch",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "WriteTxnMarkers",
    "TxnOffsetCommit",
    "DescribeAcls",
    "CreateAcls",
    "DeleteAcls",
    "DescribeConfigs",
    "AlterConfigs",
    "AlterReplicaLogDirs",
    "DescribeLogDirs",
    "SaslAuthenticate",
    "CreatePartitions",
    "CreateDelegationToken",
    "RenewDelegationToken",
    "ExpireDelegationToken",
    "DescribeDelegationToken",
    "DeleteGroups",
    "ElectLeaders",
    "IncrementalAlterConfigs",
    "AlterPartitionReassignments",
    "ListPartitionReassignments",
    "OffsetDelete",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "DescribeUserScramCredentials",
    "AlterUserScramCredentials",
    "Vote",
    "BeginQuorumEpoch",
    "EndQuorumEpoch",
    "DescribeQuorum",
    "AlterPartition",
    "UpdateFeatures",
    "Envelope",
    "FetchSnapshot",
    "DescribeCluster",
    "DescribeProducers",
    "BrokerRegistration",
    "BrokerHeartbeat",
    "UnregisterBroker",
    "DescribeTransactions",
    "ListTransactions",
    "AllocateProducerIds",
    "ConsumerGroupHeartbeat",
    "ConsumerGroupDescribe",
    "ControllerRegistration",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
    "AssignReplicasToDirs",
    "ListConfigResources",
    "DescribeTopicPartitions",
    "ShareGroupHeartbeat",
    "ShareGroupDescribe",
    "ShareFetch",
    "ShareAcknowledge",
    "AddRaftVoter",
    "RemoveRaftVoter",
    "UpdateRaftVoter",
    "InitializeShareGroupState",
    "ReadShareGroupState",
    "WriteShareGroupState",
    "DeleteShareGroupState",
    "ReadShareGroupStateSummary",
    "StreamsGroupHeartbeat",
    "StreamsGroupDescribe",
    "DescribeShareGroupOffsets",
    "AlterShareGroupOffsets",
    "DeleteShareGroupOffsets",
    "StreamsGroupTopologyDescriptionUpdate",
    "UnregisterController",
    OTHER,
];

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::ApiKey as Known;

    #[test]
    fn every_api_that_the_oracle_knows_has_its_name() {
        for key in i16::MIN..=i16::MAX {
            if let Ok(known) = Known::try_from(key) {
                assert_eq!(label(key), format!("{known:?}"));
            }
        }
        for key in [i16::MIN, -1, 95, 1_000, i16::MAX] {
            assert_eq!(label(key), "other");
        }
        assert_eq!(LABELS.len(), LABELS.iter().collect::<std::collections::HashSet<_>>().len());
    }

    #[test]
    fn only_versions_that_were_offered_are_taken() {
        for (api_key, min, max) in [
            (0, 0, 13),
            (1, 0, 18),
            (3, 0, 13),
            (10, 0, 6),
            (17, 1, 1),
            (18, 0, 4),
            (36, 0, 2),
            (60, 0, 2),
            (78, 0, 2),
            (79, 0, 2),
        ] {
            for api_version in [i16::MIN, min - 1, min, max, max + 1, i16::MAX] {
                let prefix = RequestPrefix { api_key, api_version, correlation_id: 1 };
                let taken = check_offered(&prefix).is_ok();
                assert_eq!(taken, (min..=max).contains(&api_version), "{api_key} v{api_version}");
            }
        }
        for api_key in [-1, 2, 37, 68, 95, i16::MAX] {
            let prefix = RequestPrefix { api_key, api_version: 99, correlation_id: 1 };
            assert_eq!(check_offered(&prefix), Ok(()));
        }
    }

    #[test]
    fn only_answers_that_may_name_brokers_are_touched() {
        for (api_key, version, expected) in [
            (0, 3, Treatment::Produce),
            (1, 15, Treatment::Opaque),
            (1, 16, Treatment::RewriteTail),
            (3, 0, Treatment::Rewrite),
            (10, 0, Treatment::Rewrite),
            (17, 1, Treatment::Login),
            (18, 0, Treatment::Rewrite),
            (36, 2, Treatment::Login),
            (60, 0, Treatment::Rewrite),
            (78, 0, Treatment::RewriteTail),
            (79, 0, Treatment::Rewrite),
            (95, 0, Treatment::Opaque),
        ] {
            assert_eq!(treatment(api_key, version), expected, "{api_key} v{version}");
        }
    }
}
