//! Hand-made Produce requests.

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;

use super::admin::topic_name;
use super::raw_client::RawClient;

/// A request with one partition, acks=all.
pub fn request(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    request_of(&[(topic, partition, records)])
}

/// A request with many partitions, acks=all; those of one topic must stand together.
pub fn request_of(partitions: &[(&str, i32, Bytes)]) -> ProduceRequest {
    let topics = partitions.chunk_by(|a, b| a.0 == b.0).map(|same| {
        let data = same.iter().map(|(_, partition, records)| {
            PartitionProduceData::default()
                .with_index(*partition)
                .with_records(Some(records.clone()))
        });
        TopicProduceData::default()
            .with_name(topic_name(same[0].0))
            .with_partition_data(data.collect())
    });
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(topics.collect())
}

/// Sends the records of one partition and returns the answer for it. `version` is 3 to 12: later ones have no names.
pub fn call(
    client: &mut RawClient,
    topic: &str,
    partition: i32,
    records: Bytes,
    version: i16,
) -> PartitionProduceResponse {
    let response = client.call(&request(topic, partition, records), version);
    let topics = response.expect("Produce is answered").responses;
    let partitions: Vec<_> = topics.into_iter().flat_map(|t| t.partition_responses).collect();
    assert_eq!(partitions.len(), 1, "every partition of the request is answered once");
    partitions.into_iter().next().unwrap()
}
