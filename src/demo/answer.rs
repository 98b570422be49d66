//! The message behind a refusal. It is in the answer (KIP-467) and other clients show it, but the Rust binding of
//! librdkafka keeps only the code: so a refused record is sent once more, by hand, to see the whole answer.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::events::Event;
use super::producer::{Refusal, Seen};

/// Adds the message to a refusal; without one if it cannot be had. Anything else stays as it is.
pub async fn with_message(seen: Seen, bootstrap: &str, topic: &str) -> Seen {
    let Seen::Refused(refusal) = seen else { return seen };
    let asked = timeout(PATIENCE, ask(bootstrap, topic, &refusal.event)).await;
    let message = asked.ok().and_then(Result::ok).flatten();
    Seen::Refused(Refusal { message, ..refusal })
}

async fn ask(bootstrap: &str, topic: &str, event: &Event) -> io::Result<Option<String>> {
    let mut stream = TcpStream::connect(bootstrap).await?;
    stream.write_all(&request(topic, event)?).await?;
    let size = usize::try_from(stream.read_i32().await?).map_err(io::Error::other)?;
    if size > MAX_ANSWER_BYTES {
        return Err(io::Error::other("the answer is too large"));
    }
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).await?;
    message(answer.into())
}

fn request(topic: &str, event: &Event) -> io::Result<Vec<u8>> {
    let header = RequestHeader::default()
        .with_request_api_key(ProduceRequest::KEY)
        .with_request_api_version(VERSION)
        .with_client_id(Some(StrBytes::from_static_str("schemaward-demo")));
    let partition = PartitionProduceData::default().with_records(Some(batch(event)?));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(5_000);
    let mut frame = BytesMut::new();
    header.encode(&mut frame, ProduceRequest::header_version(VERSION)).map_err(broken)?;
    request.with_topic_data(vec![topic]).encode(&mut frame, VERSION).map_err(broken)?;
    let size = i32::try_from(frame.len()).map_err(io::Error::other)?;
    Ok([&size.to_be_bytes(), &frame[..]].concat())
}

fn batch(event: &Event) -> io::Result<Bytes> {
    let headers = event.headers.iter().map(|(key, value)| {
        (StrBytes::from_string(key.clone()), Some(Bytes::copy_from_slice(value)))
    });
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: 0,
        key: Some(Bytes::from_static(event.key.as_bytes())),
        value: Some(Bytes::copy_from_slice(&event.value)),
        headers: headers.collect(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, [&record], &options).map_err(broken)?;
    Ok(batch.freeze())
}

/// The message of the record, else that of its partition.
fn message(mut answer: Bytes) -> io::Result<Option<String>> {
    ResponseHeader::decode(&mut answer, ProduceResponse::header_version(VERSION))
        .map_err(broken)?;
    let response = ProduceResponse::decode(&mut answer, VERSION).map_err(broken)?;
    let mut partitions = response.responses.into_iter().flat_map(|topic| topic.partition_responses);
    Ok(partitions.next().and_then(|partition| {
        let record = partition.record_errors.into_iter().next();
        let record = record.and_then(|record| record.batch_index_error_message);
        record.or(partition.error_message).map(|text| text.to_string())
    }))
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// Of Produce: record errors came with version 8, and the embedded broker knows up to 10.
const VERSION: i16 = 9;
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::produce_response::{
        BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
    };

    use super::*;

    fn answer(partition: PartitionProduceResponse) -> Bytes {
        let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
        let mut frame = BytesMut::new();
        let version = ProduceResponse::header_version(VERSION);
        ResponseHeader::default().encode(&mut frame, version).unwrap();
        ProduceResponse::default().with_responses(vec![topic]).encode(&mut frame, VERSION).unwrap();
        frame.freeze()
    }

    #[test]
    fn prefers_the_message_of_the_record_to_that_of_its_partition() {
        let text = |text| Some(StrBytes::from_static_str(text));
        let partition = PartitionProduceResponse::default().with_error_message(text("partition"));
        let record =
            BatchIndexAndErrorMessage::default().with_batch_index_error_message(text("record"));
        let both = partition.clone().with_record_errors(vec![record]);
        for (answered, expected) in [
            (PartitionProduceResponse::default(), None),
            (partition, Some("partition".to_owned())),
            (both, Some("record".to_owned())),
        ] {
            assert_eq!(message(answer(answered)).unwrap(), expected);
        }
        assert!(message(Bytes::from_static(&[0])).is_err());
    }
}
