//! Reads back what a broker stored, past the proxy: asked of the partition's leader, from the first offset to the last.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest};

use super::admin::{self, topic_name};
use super::batch::{self, Batch};
use super::raw_client::{RawClient, invalid};

/// One record as it is stored, with what its batch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In order; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// Of the record's batch.
    pub base_sequence: i32,
    /// The end mark of a transaction, written by the broker.
    pub is_control: bool,
}

/// The records of a partition, uncommitted and aborted ones and control records included.
pub fn stored(bootstrap: &str, topic: &str, partition: i32) -> Vec<StoredRecord> {
    let batches = stored_batches_raw(bootstrap, topic, partition);
    batches.iter().flat_map(|batch| records_of(&Batch::from_bytes(batch))).collect()
}

/// The values of the records that producers wrote, in order: what most tests want to know.
pub fn stored_values(bootstrap: &str, topic: &str, partition: i32) -> Vec<Option<Bytes>> {
    let records = stored(bootstrap, topic, partition).into_iter();
    records.filter(|record| !record.is_control).map(|record| record.value).collect()
}

/// Waits until the partition has at least `count` records, and returns what it has. With acks other than `all` a
/// record is acknowledged before it can be read.
pub fn stored_at_least(
    bootstrap: &str,
    topic: &str,
    partition: i32,
    count: usize,
) -> Vec<StoredRecord> {
    let end = Instant::now() + DEADLINE;
    loop {
        let records = stored(bootstrap, topic, partition);
        if records.len() >= count {
            return records;
        }
        assert!(Instant::now() < end, "{topic}-{partition} has {} records", records.len());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The batches of a partition, byte by byte as the broker stored them; see [`batch::as_sent`] to compare them.
pub fn stored_batches_raw(bootstrap: &str, topic: &str, partition: i32) -> Vec<Bytes> {
    let end = Instant::now() + DEADLINE;
    loop {
        match read(bootstrap, topic, partition) {
            Ok(batches) => return batches,
            // A leader may just be changing.
            Err(e) => assert!(Instant::now() < end, "{topic}-{partition} cannot be read: {e}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The offset behind the last record that can be read.
///
/// # Errors
/// The leader is not there, or is none any more.
pub fn end_offset(bootstrap: &str, topic: &str, partition: i32) -> io::Result<i64> {
    let (_, leader) = admin::leader(bootstrap, topic, partition)?;
    end_offset_at(&mut RawClient::connect(leader)?, topic, partition)
}

fn read(bootstrap: &str, topic: &str, partition: i32) -> io::Result<Vec<Bytes>> {
    let (_, leader) = admin::leader(bootstrap, topic, partition)?;
    let mut client = RawClient::connect(leader)?;
    let end = end_offset_at(&mut client, topic, partition)?;
    let (mut batches, mut next) = (Vec::new(), 0);
    while next < end {
        let fetched = fetch(&mut client, topic, partition, next)?;
        let last = fetched.last().ok_or_else(|| invalid(format!("nothing at offset {next}")))?;
        next = offset_behind(last);
        batches.extend(fetched);
    }
    Ok(batches)
}

fn end_offset_at(client: &mut RawClient, topic: &str, partition: i32) -> io::Result<i64> {
    let latest = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
    let topics =
        ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![latest]);
    let request =
        ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topics]);
    let response = client.call(&request, 7)?;
    let answer = response.topics.iter().flat_map(|topic| &topic.partitions).next();
    let answer = answer.ok_or_else(|| invalid("no partition in ListOffsets".to_owned()))?;
    check(answer.error_code)?;
    Ok(answer.offset)
}

fn fetch(client: &mut RawClient, topic: &str, partition: i32, from: i64) -> io::Result<Vec<Bytes>> {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(from)
        .with_partition_max_bytes(FETCH_BYTES);
    let topics = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(1_000)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_epoch(-1)
        .with_topics(vec![topics]);
    // The last version that names topics; later ones want their ids.
    let response = client.call(&request, 12)?;
    check(response.error_code)?;
    let answer = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
    let answer = answer.ok_or_else(|| invalid("no partition in Fetch".to_owned()))?;
    check(answer.error_code)?;
    Ok(batch::split(answer.records.unwrap_or_default()))
}

fn check(error_code: i16) -> io::Result<()> {
    if error_code == 0 { Ok(()) } else { Err(invalid(format!("error code {error_code}"))) }
}

/// Base offset, and the last offset delta behind the 23 bytes up to the attributes.
fn offset_behind(batch: &[u8]) -> i64 {
    let base = i64::from_be_bytes(batch[..8].try_into().unwrap());
    base + i64::from(i32::from_be_bytes(batch[23..27].try_into().unwrap())) + 1
}

fn records_of(batch: &Batch) -> Vec<StoredRecord> {
    let stored = |(record, delta): (&batch::Record, i64)| StoredRecord {
        offset: batch.base_offset + delta,
        timestamp: batch.base_timestamp + record.timestamp_delta,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        base_sequence: batch.base_sequence,
        is_control: batch.attributes & CONTROL != 0,
    };
    batch.records.iter().zip(0..).map(stored).collect()
}

/// The bit of the attributes that marks a control batch.
const CONTROL: i16 = 0x20;
const FETCH_BYTES: i32 = 64 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(30);
