//! Promise: clients as they are in use, of this and earlier years, do through the proxy all that they do without it, in front
//! of this and earlier brokers; and none of them ever dials a broker.
//!
//! What takes long, and what needs other versions of Kafka or kcat, runs in `scripts/full` only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "../support/mod.rs"]
mod support;

mod administration;
mod groups;
mod kcat;
mod older;
mod producing;
mod telemetry;
mod transactions;

use std::sync::OnceLock;

use bytes::Bytes;
use support::case::{Case, Outcome};
use support::java::{self, Java};
use support::kafka::{Kafka, Options};
use support::preload::Dialled;
use support::python::Python;
use support::sidecar::{Sidecar, user};
use support::{admin, log_reader};

/// The cluster of three that all tests here share. Its brokers take telemetry from clients.
fn cluster() -> Option<&'static Kafka> {
    static KAFKA: OnceLock<Option<Kafka>> = OnceLock::new();
    let start = || {
        let reporter = ("metric.reporters".to_owned(), "TelemetryReceiver".to_owned());
        let plugins = Some(java::classes()?.clone());
        Kafka::with(&Options {
            brokers: 3,
            properties: vec![reporter],
            plugins,
            ..Options::default()
        })
    };
    KAFKA.get_or_init(start).as_ref()
}

/// A proxy in front of Kafka, and clients whose every connection is written down.
struct World<'k> {
    kafka: &'k Kafka,
    sidecar: Sidecar,
    dialled: Dialled,
    java: Java,
    python: Python,
}

impl World<'static> {
    fn start() -> Option<Self> {
        Self::of(cluster()?, java::CURRENT)
    }
}

impl<'k> World<'k> {
    /// In front of these brokers, with Java clients of this version.
    fn of(kafka: &'k Kafka, java: &str) -> Option<Self> {
        let dialled = Dialled::nothing()?;
        let java = Java::of(java)?.watched(&dialled);
        let python = Python::get()?.watched(&dialled);
        let sidecar = Sidecar::start(kafka, "");
        Some(Self { kafka, sidecar, dialled, java, python })
    }

    fn direct(&self) -> String {
        self.kafka.bootstrap()
    }

    fn bootstrap(&self) -> String {
        self.sidecar.bootstrap()
    }

    fn create_topic(&self, topic: &str, partitions: i32) {
        admin::create_topic(&self.direct(), topic, partitions, self.replicas());
    }

    fn replicas(&self) -> i16 {
        self.kafka.node_ids().len().min(3).try_into().unwrap()
    }

    /// What a partition holds, markers of transactions apart.
    fn stored(&self, topic: &str, partition: i32) -> Vec<Option<Bytes>> {
        log_reader::stored_values(&self.direct(), topic, partition)
    }

    /// Clients have been there, and nowhere but at the proxy.
    fn assert_only_the_proxy_was_dialled(&self) {
        assert_only_dialled(&self.dialled, &self.sidecar);
    }
}

fn assert_only_dialled(dialled: &Dialled, sidecar: &Sidecar) {
    let addresses = dialled.addresses();
    let proxys = format!("{}:", sidecar.proxy.host());
    assert!(addresses.contains(&sidecar.bootstrap()), "{addresses:?}");
    let others: Vec<_> = addresses.iter().filter(|it| !it.starts_with(&proxys)).collect();
    assert!(others.is_empty(), "dialled past {proxys} {others:?}");
}

/// A record that follows its schema.
fn valid(topic: &str, partition: i32, name: &str) -> Case {
    with_schema(Case::new(topic, &user(name)).partition(partition))
}

/// A record whose value ends before its age.
fn broken(topic: &str, partition: i32) -> Case {
    with_schema(Case::new(topic, &user("Carl")[..5]).partition(partition))
}

fn with_schema(case: Case) -> Case {
    case.header("content-type", "avro").header("schema-id", "1")
}

/// What stands in a log for these names.
fn users(names: &[impl AsRef<str>]) -> Vec<Option<Bytes>> {
    names.iter().map(|name| Some(Bytes::from(user(name.as_ref())))).collect()
}

fn all_ok(seen: &[Outcome]) -> bool {
    seen.iter().all(|outcome| outcome.ok)
}
