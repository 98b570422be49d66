//! A producer's host: finds the leaders through the proxy, keeps one connection for each, sends what its model says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        MetadataRequest, ProduceRequest, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    cluster::Cluster,
    proxy::{BOOTSTRAP_PORT, FIRST_BROKER_PORT},
    traffic::{self, Mark, TOPICS, Traffic},
    wire::{Asked, Connection, Event, Manners, ask_once},
};
use crate::support::{
    client::frame,
    idempotent::{
        Chance, Fate, INVALID_RECORD, MAX_IN_FLIGHT, NONE, NOT_LEADER, OUT_OF_ORDER, Producer, Sent,
    },
    raw_client::response_of,
};

/// What a producer is told before it starts.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub index: usize,
    pub seed: u64,
    pub version: i16,
    pub manners: Manners,
    pub request_timeout: Duration,
    /// Answers that it cuts itself off from, of a thousand looks, until all is calm.
    pub cuts: u64,
}

/// What outlives the host: the model, and what went against the contract.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub traffic: Traffic,
    pub producer: Arc<Mutex<Producer>>,
    pub complaints: Arc<Mutex<Vec<String>>>,
}

/// A producer at work.
pub struct Client {
    settings: Settings,
    ledger: Ledger,
    /// Asked only whether all is calm, and what is stored where an acknowledgement says it is.
    cluster: Cluster,
    chance: Chance,
    leaders: Vec<Option<usize>>,
    /// Where the open batches of each partition were sent: they are awaited before another broker gets any.
    sent_to: Vec<Option<usize>>,
    connections: BTreeMap<usize, Connection>,
    /// Half-closed ones: they may still be answered.
    closing: Vec<Connection>,
    events: mpsc::UnboundedSender<Event>,
    next_number: u64,
    next_correlation: i32,
}

impl Client {
    /// Runs until every batch is acknowledged or refused for good.
    pub async fn run(settings: Settings, ledger: Ledger, cluster: Cluster) -> turmoil::Result {
        let (events, mut reports) = mpsc::unbounded_channel();
        let partitions = ledger.producer.lock().unwrap().lines.len();
        let mut client = Self {
            settings,
            ledger,
            cluster,
            chance: Chance::new(settings.seed),
            leaders: vec![None; partitions],
            sent_to: vec![None; partitions],
            connections: BTreeMap::new(),
            closing: Vec::new(),
            events,
            next_number: 0,
            next_correlation: 1,
        };
        loop {
            while let Ok(event) = reports.try_recv() {
                client.take(event);
            }
            client.cut_off();
            if client.ledger.producer.lock().unwrap().is_done() {
                return Ok(());
            }
            if client.leaders.contains(&None) {
                client.find_leaders().await;
            }
            client.send_some();
            sleep(Duration::from_millis(1 + client.chance.below(25))).await;
        }
    }

    fn complain(&self, what: String) {
        let complaint = format!("producer {}: {what}", self.settings.index);
        tracing::error!("{complaint}");
        self.ledger.complaints.lock().unwrap().push(complaint);
    }

    async fn find_leaders(&mut self) {
        let topics = TOPICS.iter().map(|topic| {
            kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(topic))))
        });
        let request = MetadataRequest::default().with_topics(Some(topics.collect()));
        let asked = ask_once(BOOTSTRAP_PORT, frame(1, METADATA, &request)).await;
        let Some(answer) = asked else { return };
        let (_, metadata) = response_of::<MetadataRequest>(answer, METADATA).unwrap();
        for broker in &metadata.brokers {
            let port = i32::from(FIRST_BROKER_PORT) + broker.node_id.0;
            if broker.host.as_str() != "proxy" || broker.port != port {
                self.complain(format!("is led to {}:{}", broker.host, broker.port));
            }
        }
        for topic in &metadata.topics {
            for partition in &topic.partitions {
                let name = topic.name.as_ref().unwrap();
                let at = traffic::partition(name, partition.partition_index);
                self.leaders[at] = usize::try_from(partition.leader_id.0).ok();
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Answer(number, answer) => self.answered(number, answer),
            Event::Closed(number) => {
                self.closing.retain(|connection| {
                    connection.number != number || {
                        lose(&self.ledger, &connection.asked);
                        false
                    }
                });
                let node = self.node_of(number);
                if let Some(connection) = node.and_then(|node| self.connections.remove(&node)) {
                    lose(&self.ledger, &connection.asked);
                    // The leader may be gone.
                    self.leaders.fill(None);
                }
            }
        }
    }

    fn node_of(&self, number: u64) -> Option<usize> {
        let mut connections = self.connections.iter();
        connections.find(|(_, connection)| connection.number == number).map(|(node, _)| *node)
    }

    fn answered(&mut self, number: u64, answer: Bytes) {
        let all = self.connections.values_mut().chain(&mut self.closing);
        let Some(connection) = all.into_iter().find(|known| known.number == number) else { return };
        let Some(asked) = connection.asked.pop_front() else {
            return self.complain("has an answer to nothing".to_owned());
        };
        let version = self.settings.version;
        let (id, response) = match response_of::<ProduceRequest>(answer, version) {
            Ok(answer) => answer,
            Err(error) => return self.complain(format!("cannot read an answer: {error}")),
        };
        if id != asked.correlation_id {
            let expected = asked.correlation_id;
            lose(&self.ledger, [&asked]);
            return self.complain(format!("has answer {id} where {expected} is next"));
        }
        let mut left = asked.sent;
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                let at = traffic::partition(&topic.name, partition.index);
                match left.iter().position(|sent| sent.line == at) {
                    Some(index) => {
                        let sent = left.remove(index);
                        self.settle(sent, partition.error_code, partition.base_offset);
                    }
                    None => self.complain(format!("has an answer for partition {at} not asked")),
                }
            }
        }
        for sent in left {
            self.complain(format!("has no answer for partition {}", sent.line));
            self.ledger.producer.lock().unwrap().lost(sent);
        }
    }

    fn settle(&mut self, sent: Sent, code: i16, offset: i64) {
        tracing::debug!(?sent, code, "answered");
        if code == NONE {
            self.check(sent, offset);
        }
        if code == NOT_LEADER {
            self.leaders[sent.line] = None;
        }
        let mut producer = self.ledger.producer.lock().unwrap();
        producer.answered(sent, code);
        let fate = producer.lines[sent.line].batches[sent.batch].fate;
        let bad = self.ledger.traffic.is_bad(self.settings.index, sent.line, sent.batch);
        let expected = match fate {
            Fate::Failed(INVALID_RECORD) => bad,
            Fate::Failed(code) => code == OUT_OF_ORDER,
            _ => true,
        };
        if !expected {
            let style = producer.style;
            self.complain(format!("({style:?}) {sent:?} ends as {fate:?}"));
        }
    }

    /// An acknowledged batch is stored where its acknowledgement says.
    fn check(&self, sent: Sent, offset: i64) {
        let cluster = self.cluster.lock();
        let log = &cluster.partitions[sent.line].log;
        let first = usize::try_from(offset).ok().and_then(|offset| log.get(offset));
        let mine = |mark: &&Mark| {
            (mark.producer, mark.batch, mark.record)
                == (self.settings.index as u32, sent.batch as u32, 0)
        };
        if first.filter(mine).is_none() {
            self.complain(format!("{sent:?} is not at offset {offset} but {first:?}"));
        }
    }

    /// Ends what takes too long, and now and then what does not.
    fn cut_off(&mut self) {
        let calm = self.cluster.lock().calm;
        let limit = self.settings.request_timeout;
        let late = |connection: &Connection| {
            connection.asked.front().is_some_and(|asked| asked.at.elapsed() > limit)
        };
        let nodes: Vec<_> = self.connections.keys().copied().collect();
        for node in nodes {
            let unlucky = !calm && self.chance.below(1_000) < self.settings.cuts;
            let is_late = late(&self.connections[&node]);
            if !is_late && !unlucky {
                continue;
            }
            let mut connection = self.connections.remove(&node).unwrap();
            if !is_late && self.chance.percent(50) {
                connection.half_close();
                self.closing.push(connection);
            } else {
                lose(&self.ledger, &connection.cut());
            }
            self.leaders.fill(None);
        }
        for index in (0..self.closing.len()).rev() {
            let done = self.closing[index].asked.is_empty();
            if done || late(&self.closing[index]) {
                lose(&self.ledger, &self.closing.remove(index).cut());
            }
        }
    }

    fn send_some(&mut self) {
        // What is in doubt is settled first: nothing overtakes it on another connection.
        if !self.closing.is_empty() {
            return;
        }
        for _ in 0..self.chance.below(3) {
            let nodes: Vec<_> = self.leaders.iter().flatten().copied().collect();
            if nodes.is_empty() {
                return;
            }
            let node = self.chance.pick(&nodes);
            self.send_to(node);
        }
    }

    /// Sends one request with what some of the partitions of `node` have.
    fn send_to(&mut self, node: usize) {
        let busy = self.connections.get(&node).is_some_and(|it| it.asked.len() >= MAX_IN_FLIGHT);
        if busy {
            return;
        }
        let mut batches = Vec::new();
        for line in 0..self.leaders.len() {
            if self.leaders[line] == Some(node) && self.chance.percent(70) {
                batches.extend(self.next_of(line, node));
            }
        }
        if batches.is_empty() {
            return;
        }
        let correlation_id = self.next_correlation;
        self.next_correlation += 1;
        let request = frame(correlation_id, self.settings.version, &self.request(&batches));
        let asked = Asked { correlation_id, sent: batches, at: Instant::now() };
        tracing::debug!(node, ?asked, "sends");
        self.connection(node).ask(request, asked);
    }

    fn next_of(&mut self, line: usize, node: usize) -> Option<Sent> {
        let (index, traffic) = (self.settings.index, self.ledger.traffic);
        let mut producer = self.ledger.producer.lock().unwrap();
        if producer.lines[line].on_the_wire() == 0 {
            self.sent_to[line] = Some(node);
        }
        if self.sent_to[line] != Some(node) {
            return None;
        }
        producer.next(line, |batch| traffic.count(index, line, batch))
    }

    fn request(&self, batches: &[Sent]) -> ProduceRequest {
        let (index, traffic) = (self.settings.index, self.ledger.traffic);
        let topics = TOPICS.iter().map(|topic| {
            let here = batches.iter().filter(|sent| traffic::place(sent.line).0 == *topic);
            let partitions = here.map(|sent| {
                PartitionProduceData::default()
                    .with_index(traffic::place(sent.line).1)
                    .with_records(Some(traffic.encode(index, *sent)))
            });
            TopicProduceData::default()
                .with_name(TopicName(StrBytes::from_static_str(topic)))
                .with_partition_data(partitions.collect())
        });
        let topics = topics.filter(|topic| !topic.partition_data.is_empty());
        ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(topics.collect())
    }

    fn connection(&mut self, node: usize) -> &mut Connection {
        let Self { next_number, events, settings, chance, .. } = self;
        self.connections.entry(node).or_insert_with(|| {
            *next_number += 1;
            let port = FIRST_BROKER_PORT + node as u16;
            let seed = chance.next();
            Connection::open(*next_number, port, settings.manners, seed, events.clone())
        })
    }
}

/// Takes note that these will not be answered.
fn lose<'a>(ledger: &Ledger, asked: impl IntoIterator<Item = &'a Asked>) {
    let mut producer = ledger.producer.lock().unwrap();
    asked.into_iter().flat_map(|asked| &asked.sent).for_each(|sent| producer.lost(*sent));
}

const METADATA: i16 = 9;
