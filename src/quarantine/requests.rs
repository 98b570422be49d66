//! The few requests that are sent, as bytes. Their correlation id is written when they are.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, MetadataRequest, ProduceRequest, RequestHeader, TopicName,
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Encodable, StrBytes},
};

/// What brokers log of who asks.
const CLIENT_ID: &str = "schemaward-quarantine";
/// Bytes of the size in front of a request.
const SIZE: usize = 4;
/// Where the correlation id stands, behind size, api key and version.
const ID_FROM: usize = 8;
const ID_TO: usize = 12;
/// Acknowledged by all replicas that are in sync.
const ALL: i16 = -1;
/// The version that every broker answers.
const API_VERSIONS: i16 = 0;

/// A request that cannot be written as bytes: a name that is too long, for example.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the request cannot be encoded: {0}")]
pub(super) struct EncodeError(String);

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
    let header = RequestHeader::default()
        .with_request_api_key(api_key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let failed = |error: &dyn std::fmt::Display| EncodeError(error.to_string());
    let mut out = BytesMut::from(&[0; SIZE][..]);
    let header_version = api_key.request_header_version(version);
    header.encode(&mut out, header_version).map_err(|error| failed(&error))?;
    body.encode(&mut out, version).map_err(|error| failed(&error))?;
    let size = i32::try_from(out.len() - SIZE).map_err(|error| failed(&error))?;
    if let Some(place) = out.first_chunk_mut() {
        *place = size.to_be_bytes();
    }
    Ok(out)
}
