//! The few requests that are sent, as bytes. Their correlation id is written when they are.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, MetadataRequest, ProduceRequest, TopicName,
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Encodable, StrBytes},
};

use crate::proxy::own_request::{self, EncodeError};

/// What brokers log of who asks.
const CLIENT_ID: &str = "schemaward-quarantine";
/// Where the correlation id stands, behind size, api key and version.
const ID_FROM: usize = 8;
const ID_TO: usize = 12;
/// Acknowledged by all replicas that are in sync.
const ALL: i16 = -1;
/// The version that every broker answers.
const API_VERSIONS: i16 = 0;

/// Asks which versions the broker takes.
pub(super) fn api_versions() -> Result<BytesMut, EncodeError> {
    encode(ApiKey::ApiVersions, API_VERSIONS, &ApiVersionsRequest::default())
}

/// Asks for the leaders of `topic`, without having it made where it is not there.
pub(super) fn metadata(version: i16, topic: &str) -> Result<BytesMut, EncodeError> {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(false);
    encode(ApiKey::Metadata, version, &request)
}

/// Writes one batch, to be acknowledged by all replicas.
pub(super) fn produce(
    version: i16,
    topic: &str,
    partition: i32,
    batch: Bytes,
    timeout_ms: i32,
) -> Result<BytesMut, EncodeError> {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(ALL)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(vec![topic]);
    encode(ApiKey::Produce, version, &request)
}

/// Writes the correlation id into a request.
pub(super) fn number(request: &mut BytesMut, id: i32) {
    if let Some(place) = request.get_mut(ID_FROM..ID_TO) {
        place.copy_from_slice(&id.to_be_bytes());
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn encode(api_key: ApiKey, version: i16, body: &impl Encodable) -> Result<BytesMut, EncodeError> {
    own_request::encode(CLIENT_ID, api_key, version, body)
}
