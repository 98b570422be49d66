//! The libraries of other languages that speak as [`Foreign`] wants it, what is peculiar to each, and what they are given
//! to send.

use super::case::Case;
use super::foreign::Foreign;
use super::sidecar::user;
use super::{go, node};

/// The nodes of the cluster that they are tried with.
pub const NODES: [i32; 3] = [1, 2, 3];

/// A library and what is peculiar to it.
#[derive(Debug, Clone)]
pub struct Library {
    pub name: &'static str,
    pub program: Foreign,
    /// What its users see of a refusal.
    pub error: &'static str,
    pub codecs: &'static [&'static str],
    /// A refusal of one partition is told of all that one call has sent, stored or not.
    pub fails_whole_calls: bool,
}

/// Those that can run here.
pub fn libraries() -> Vec<Library> {
    let all = ["none", "gzip", "snappy", "lz4", "zstd"].as_slice();
    let franz = go::franz().map(|program| Library {
        name: "franz",
        program,
        error: "kerr.Error",
        codecs: all,
        fails_whole_calls: false,
    });
    let sarama = |name| {
        move |program| Library {
            name,
            program,
            error: "sarama.KError",
            codecs: all,
            fails_whole_calls: false,
        }
    };
    let old = go::sarama().map(sarama("sarama"));
    let new = go::sarama_latest().map(sarama("sarama-latest"));
    let kafkajs = node::kafkajs().map(|program| Library {
        name: "kafkajs",
        program,
        error: "KafkaJSProtocolError",
        codecs: &all[..2],
        fails_whole_calls: true,
    });
    [franz, old, new, kafkajs].into_iter().flatten().collect()
}

/// A valid record with a key, long enough that clients do compress it.
pub fn case(topic: &str, partition: i32, name: &str) -> Case {
    with_metadata(topic, partition, name, &user(name))
}

/// The same without its age.
pub fn broken(topic: &str, partition: i32, name: &str) -> Case {
    let datum = user(name);
    with_metadata(topic, partition, name, &datum[..datum.len() - 1])
}

fn with_metadata(topic: &str, partition: i32, name: &str, datum: &[u8]) -> Case {
    let case = Case::new(topic, datum).partition(partition).key(name.as_bytes());
    case.header("content-type", "avro").header("schema-id", "1").header("padding", [b'x'; 500])
}
