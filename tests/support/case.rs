//! One record to send, and what its producer saw: the same for every foreign client.
//!
//! Cases go to a client as one JSON object a line, bytes as hex; outcomes come back the same way.

use serde::Deserialize;
use serde_json::{Value, json};

/// A record that a foreign client shall send.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub topic: String,
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// In order; names may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Case {
    /// A record without key and headers for partition 0.
    pub fn new(topic: &str, value: &[u8]) -> Self {
        Self { topic: topic.to_owned(), value: Some(value.to_vec()), ..Self::default() }
    }

    /// The same with a null value.
    pub fn tombstone(topic: &str) -> Self {
        Self { topic: topic.to_owned(), ..Self::default() }
    }

    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: &[u8]) -> Self {
        self.key = Some(key.to_vec());
        self
    }

    /// Chooses the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = partition;
        self
    }

    /// Adds a header behind those that are there.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), Some(value.as_ref().to_vec())));
        self
    }

    /// As clients read it.
    pub fn to_json(&self) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!([name, value.as_deref().map(to_hex)]))
            .collect();
        json!({
            "topic": self.topic,
            "partition": self.partition,
            "key": self.key.as_deref().map(to_hex),
            "value": self.value.as_deref().map(to_hex),
            "headers": headers,
        })
    }
}

/// Many cases, one a line.
pub fn to_lines(cases: &[Case]) -> String {
    cases.iter().map(|case| format!("{}\n", case.to_json())).collect()
}

/// What the producer saw of one record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outcome {
    pub ok: bool,
    /// Where it is stored, if the client says so.
    #[serde(default)]
    pub offset: Option<i64>,
    /// Class of the exception.
    #[serde(default)]
    pub error: Option<String>,
    /// Kafka's error code, if the client tells it.
    #[serde(default)]
    pub code: Option<i32>,
    /// Text of the error.
    #[serde(default)]
    pub message: Option<String>,
}

impl Outcome {
    /// Reads one line of a client's output.
    pub fn from_json(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
    }
}

/// A record that a foreign client has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Consumed {
    /// Reads one line of a client's output.
    pub fn from_json(value: &Value) -> Self {
        let number = |name: &str| value[name].as_i64().expect("a number");
        let headers = value["headers"].as_array().expect("an array").iter();
        Self {
            topic: value["topic"].as_str().expect("a text").to_owned(),
            partition: number("partition").try_into().expect("32 bits"),
            offset: number("offset"),
            key: optional_hex(&value["key"]),
            value: optional_hex(&value["value"]),
            headers: headers
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), optional_hex(&pair[1])))
                .collect(),
        }
    }
}

fn optional_hex(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(from_hex)
}

/// Bytes as lower-case hex.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes behind hex.
pub fn from_hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}
