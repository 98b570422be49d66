//! Promise: where a rule asks for it, a refused batch is in the dead-letter topic record by record, as it was sent and with what
//! is wrong with it, before its producer is told; where it is not, the refusal says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

mod copies;
mod failures;
mod real_broker;

use std::collections::BTreeMap;

use bytes::Bytes;
use support::{
    batch::Batch,
    batch_builder::{TestBatch, TestRecord},
    broker::Received,
    client::{Client, Produce, only},
    stage::Stage as World,
};

/// `{"name": "Ada", "age": 36}` in binary.
const ADA: &[u8] = b"\x06Ada\x48";
/// The same, cut off.
const CUT: &[u8] = b"\x06Ad";
/// Every rule copies, and the brokers ask for no login.
const ON: &str = "default_rule: {quarantine: true}\nquarantine: {credentials: none}\n";

/// What the headers of a copy say.
type Said = BTreeMap<String, String>;

/// A record as it is found in a dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Copy {
    key: Option<Bytes>,
    value: Option<Bytes>,
    /// Those of the record.
    headers: Vec<(String, Option<Bytes>)>,
    /// Those that were added.
    said: Said,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: i16,
    message: String,
    errors: Vec<(i32, String)>,
}

impl World {
    async fn produce(&mut self, topic: &str, batch: &TestBatch) -> Answer {
        self.send(&Produce::to(topic, 0, batch.encode())).await
    }

    async fn send(&mut self, request: &Produce) -> Answer {
        let response = self.client.produce(9, request).await;
        let partition = only(&response);
        let text = |text: &Option<_>| text.as_ref().map(ToString::to_string).unwrap_or_default();
        let errors = partition.record_errors.iter();
        Answer {
            code: partition.error_code,
            message: text(&partition.error_message),
            errors: errors
                .map(|error| (error.batch_index, text(&error.batch_index_error_message)))
                .collect(),
        }
    }

    /// What the broker was sent for `topic`.
    fn received(&self, topic: &str) -> Vec<Received> {
        self.broker.received().into_iter().filter(|it| it.topic == topic).collect()
    }

    /// The copies in a dead-letter topic, in the order in which they came.
    fn copies(&self, topic: &str) -> Vec<Copy> {
        let sets = self.received(topic).into_iter().filter_map(|it| it.record_set);
        sets.flat_map(|set| copies_in(&Batch::from_bytes(&set))).collect()
    }

    /// Records by what became of their copies.
    fn counted(&self, outcome: &str) -> f64 {
        self.proxy.metric(&format!("schemaward_quarantined_records_total{{outcome=\"{outcome}\"}}"))
    }
}

fn copies_in(batch: &Batch) -> Vec<Copy> {
    let copy = |record: &support::batch::Record| {
        let (said, headers) = parted(&record.headers);
        Copy { key: record.key.clone(), value: record.value.clone(), headers, said }
    };
    batch.records.iter().map(copy).collect()
}

/// The headers that were added, and those that were there.
fn parted(headers: &[(String, Option<Bytes>)]) -> (Said, Vec<(String, Option<Bytes>)>) {
    let (ours, theirs): (Vec<_>, Vec<_>) =
        headers.iter().cloned().partition(|(name, _)| name.starts_with("schemaward."));
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    (ours.into_iter().map(|(name, value)| (name, text(value))).collect(), theirs)
}

fn good() -> TestRecord {
    TestRecord::avro("1", ADA)
}

fn bad() -> TestRecord {
    TestRecord::avro("1", CUT)
}
