//! Promise: told to stop, the program answers what is in flight, takes nothing new, and says by its exit code whether all of
//! it went well.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use kafka_protocol::messages::ApiVersionsRequest;
use support::{
    batch_builder::{TestBatch, TestRecord},
    binary::Program,
    broker::FakeBroker,
    client::{Client, Produce, only},
    http,
    registry::{Mood, Registry},
    valve::Valve,
};
use tokio::net::TcpStream;

const USER: &str = r#"{"type":"record","name":"User","namespace":"example","fields":[
    {"name":"name","type":"string"},{"name":"age","type":"int"}]}"#;
const ADA: &[u8] = b"\x06Ada\x48";
/// Nothing here may depend on these running out.
const LONG: &str = "limits: {lookup_deadline: 1m}\ndrain: {grace: 10m}\n";

struct World {
    broker: FakeBroker,
    wire: Valve,
    registry: Registry,
    program: Program,
    client: Client,
}

impl World {
    async fn new(more: &str) -> Self {
        let broker = FakeBroker::start().await;
        let wire = Valve::to(&broker.address()).await;
        let registry = Registry::start().await;
        registry.id(1, USER);
        let program = Program::run(&wire.address(), &registry.url(), more).ready().await;
        let client = Client::connect(&program.bootstrap()).await;
        Self { broker, wire, registry, program, client }
    }

    async fn send(&mut self) {
        let batch = TestBatch::of([TestRecord::avro("1", ADA)]).encode();
        let request = Produce::to("users", 0, batch).request(9);
        self.client.send(9, &request).await;
    }

    async fn answered(&mut self) -> i16 {
        let answer = self.client.receive::<kafka_protocol::messages::ProduceResponse>(9).await;
        only(&answer.expect("what is in flight is answered").1).error_code
    }

    /// Sends a signal and waits until it has arrived.
    async fn stop(&mut self, signal: &str) {
        self.program.signal(signal);
        self.program.until("/readyz", |reply| reply.body == "not ready: draining\n").await;
        assert_eq!(http::get(&self.program.admin(), "/livez").await.status, 200);
    }

    async fn assert_refuses_connections(&self) {
        while TcpStream::connect(self.program.bootstrap()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn until(happened: impl Fn() -> bool) {
    while !happened() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_waits_for_its_schema_is_judged_and_answered() {
    for signal in ["TERM", "INT"] {
        let mut world = World::new(LONG).await;
        world.registry.mood(Mood::Silent);
        world.send().await;
        until(|| !world.registry.requests().is_empty()).await;
        world.stop(signal).await;
        world.assert_refuses_connections().await;
        world.registry.mood(Mood::Well);
        assert_eq!(world.answered().await, 0, "{signal}");
        assert!(world.client.closed().await);
        assert_eq!(world.broker.received().len(), 1);
        let ended = world.program.ended().await;
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.said);
    }
}

#[tokio::test]
async fn what_the_broker_has_not_answered_yet_is_waited_for() {
    let mut world = World::new(LONG).await;
    world.wire.shut();
    for _ in 0..3 {
        world.send().await;
    }
    until(|| world.broker.received().len() == 3).await;
    world.stop("TERM").await;
    world.wire.open();
    for _ in 0..3 {
        assert_eq!(world.answered().await, 0);
    }
    assert!(world.client.closed().await);
    assert_eq!(world.program.ended().await.code, Some(0));
}

#[tokio::test]
async fn a_connection_that_stays_busy_is_cut_when_the_grace_ends() {
    let mut world = World::new("drain: {grace: 100ms}\n").await;
    world.wire.shut();
    world.send().await;
    until(|| world.broker.received().len() == 1).await;
    world.program.signal("TERM");
    let ended = world.program.ended().await;
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    let last = ended.said.lines().last().unwrap();
    assert_eq!(last, "schemaward: drain grace exceeded with 1 connections still busy");
    assert!(world.client.closed().await);
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let mut world = World::new(LONG).await;
    world.wire.shut();
    world.send().await;
    until(|| world.broker.received().len() == 1).await;
    world.stop("TERM").await;
    world.program.signal("INT");
    let ended = world.program.ended().await;
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert!(ended.said.contains("told again"), "{}", ended.said);
    assert!(world.client.closed().await);
}

#[tokio::test]
async fn idle_connections_are_closed_without_waiting_for_the_grace() {
    let mut world = World::new(LONG).await;
    world.client.call(3, &ApiVersionsRequest::default()).await;
    let mut silent = Client::connect(&world.program.bootstrap()).await;
    let mut half = Client::connect(&world.program.bootstrap()).await;
    half.send_bytes(b"\0\0\x10\0\0\0").await;
    world.program.signal("TERM");
    for client in [&mut world.client, &mut silent, &mut half] {
        assert!(client.closed().await);
    }
    let ended = world.program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("draining"), "{}", ended.said);
}

#[tokio::test]
async fn what_the_log_left_out_is_told_at_the_end() {
    let mut world = World::new("log: {format: json}\n").await;
    for _ in 0..8 {
        let batch = TestBatch::of([TestRecord::bare(ADA)]).encode();
        let response = world.client.produce(9, &Produce::to("users", 0, batch)).await;
        assert_eq!(only(&response).error_code, 87);
    }
    drop(world.client);
    world.program.signal("TERM");
    let ended = world.program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let lines: Vec<serde_json::Value> =
        ended.said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert_eq!(count("batch rejected"), 5);
    let rest = lines.iter().find(|line| line["message"] == "more batches with bad records");
    let rest = rest.unwrap_or_else(|| panic!("{}", ended.said));
    assert_eq!((&rest["topic"], &rest["suppressed"]), (&"users".into(), &3.into()));
}
