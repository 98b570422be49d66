//! What the broker stored: read by a consumer that knows the broker's own address, past the proxy.

use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands in its partition.
    pub offset: i64,
    /// Its key, empty if it has none.
    pub key: Vec<u8>,
    /// Its value, empty if it has none.
    pub value: Vec<u8>,
    /// Its headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Everything in partition 0 of `topic`.
///
/// # Errors
/// The broker does not answer within some seconds.
pub async fn stored(bootstrap: &str, topic: &str) -> KafkaResult<Vec<Stored>> {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    let read = tokio::task::spawn_blocking(move || read(&bootstrap, &topic));
    // The only ways not to be joined are a panic in there and the end of the runtime.
    read.await.unwrap_or(Err(KafkaError::Canceled))
}

fn read(bootstrap: &str, topic: &str) -> KafkaResult<Vec<Stored>> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", bootstrap).set("group.id", "schemaward-demo");
    settings.set_log_level(RDKafkaLogLevel::Critical);
    let consumer: BaseConsumer = settings.create()?;
    let (first, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Offset(first))?;
    consumer.assign(&partitions)?;
    let mut all = Vec::new();
    while all.last().map_or(first, |last: &Stored| last.offset + 1) < end {
        let next = consumer.poll(PATIENCE).unwrap_or(Err(KafkaError::NoMessageReceived))?;
        all.push(describe(&next));
    }
    Ok(all)
}

fn describe(record: &BorrowedMessage<'_>) -> Stored {
    let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
    Stored {
        offset: record.offset(),
        key: record.key().unwrap_or_default().to_vec(),
        value: record.payload().unwrap_or_default().to_vec(),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect(),
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
