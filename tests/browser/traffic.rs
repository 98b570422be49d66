//! A proxy in front of a broker and a registry, and clients that produce to it: mostly well.

use std::{path::Path, time::Duration};

use kafka_protocol::messages::ProduceResponse;
use tokio::task::JoinSet;

use crate::support::{
    batch_builder::{TestBatch, TestRecord},
    broker::FakeBroker,
    client::{Client, Produce, frame_of, only},
    proxy::Proxy,
    registry::Registry,
    sidecar::{USER, user},
};

const RULES: &str = "rules:\n  - {topics: [\"clickstream.*\"], mode: observe}\n  \
                     - {topics: [\"internal-*\"], mode: \"off\"}\n";
const VERSION: i16 = 9;

/// What stands around the page.
pub(super) struct World {
    pub(super) registry: Registry,
    pub(super) proxy: Option<Proxy>,
    node: String,
    admin: String,
    clients: std::sync::Mutex<JoinSet<()>>,
    _broker: FakeBroker,
}

/// A client and what it does.
#[derive(Clone, Copy)]
struct Habit {
    client_id: &'static str,
    topic: &'static str,
    partition: i32,
    records: usize,
    /// Of so many batches one is bad; 0: none.
    one_bad_in: u64,
    pause: Duration,
}

impl World {
    /// One whose admin listener asks for the token in `file`.
    pub(super) async fn with_token(file: &Path) -> Self {
        Self::start("", &[("SCHEMAWARD_ADMIN__TOKEN_FILE", &file.display().to_string())]).await
    }

    pub(super) async fn new(more: &str) -> Self {
        Self::start(more, &[]).await
    }

    async fn start(more: &str, variables: &[(&str, &str)]) -> Self {
        let broker = FakeBroker::start().await;
        let registry = Registry::start().await;
        registry.id(1, USER);
        registry.document("events/page-view.avsc", USER);
        let upstream = [broker.address()];
        let more = format!("{RULES}{more}");
        let proxy = Proxy::start_with(&upstream, &registry.url(), &more, variables).await;
        let (node, admin) = (proxy.node(1), proxy.admin().replace("http://", ""));
        let clients = std::sync::Mutex::default();
        Self { registry, proxy: Some(proxy), node, admin, clients, _broker: broker }
    }

    /// The address of the admin listener.
    pub(super) fn admin(&self) -> String {
        self.admin.clone()
    }

    /// The URL of the page.
    pub(super) fn page(&self) -> String {
        format!("http://{}/", self.admin)
    }

    /// Has clients produce until the end.
    pub(super) fn traffic(&self) {
        let habit = |client_id, topic, partition, one_bad_in, pause| Habit {
            client_id,
            topic,
            partition,
            records: 20,
            one_bad_in,
            pause: Duration::from_millis(pause),
        };
        let habits = [
            habit("checkout", "orders", 2, 0, 12),
            habit("checkout", "orders", 3, 0, 15),
            habit("settlement-service", "payments.settled", 1, 40, 20),
            habit("web-frontend", "clickstream.web", 0, 150, 8),
            habit("warehouse-7", "inventory.changes", 0, 0, 35),
            habit("housekeeping", "internal-audit", 0, 0, 90),
        ];
        let mut clients = self.clients.lock().unwrap();
        for habit in habits {
            clients.spawn(behave(self.node.clone(), habit));
        }
    }

    /// One batch with a record that names no schema, by a client of this name, to a topic of this name.
    pub(super) async fn reject(&self, client_id: &str, topic: &str) {
        let mut client = Client::connect(&self.node).await;
        let batch = TestBatch::of([TestRecord::bare("x").header("content-type", "avro")]);
        let code = produce(&mut client, client_id, 1, &Produce::to(topic, 0, batch.encode())).await;
        assert_eq!(code, Some(87));
    }

    /// A batch that waits for a schema by this reference, which is not at hand.
    pub(super) async fn ask_for(&self, reference: &str) -> Option<i16> {
        let mut client = Client::connect(&self.node).await;
        let batch = TestBatch::of([TestRecord::avro(reference, user("Ada"))]);
        produce(&mut client, "invoice-mailer", 1, &Produce::to("orders", 0, batch.encode())).await
    }
}

async fn behave(node: String, habit: Habit) {
    let mut client = Client::connect(&node).await;
    let mut pace = tokio::time::interval(habit.pause);
    for turn in 1_u64.. {
        pace.tick().await;
        let bad = habit.one_bad_in > 0 && turn.is_multiple_of(habit.one_bad_in);
        let records = (0..habit.records).map(|at| {
            let value = user("Ada");
            let whole = if bad && at == 2 { &value[..2] } else { &value[..] };
            TestRecord::avro("1", whole)
        });
        let batch = TestBatch::of(records).encode();
        let number = i32::try_from(turn).unwrap();
        let request = Produce::to(habit.topic, habit.partition, batch);
        if produce(&mut client, habit.client_id, number, &request).await.is_none() {
            return;
        }
    }
}

/// The code of the answer; `None` where the proxy has gone.
async fn produce(
    client: &mut Client,
    client_id: &str,
    number: i32,
    request: &Produce,
) -> Option<i16> {
    let frame = frame_of(client_id, number, VERSION, &request.request(VERSION));
    if !client.try_send_bytes(&frame).await {
        return None;
    }
    let (_, answer) = client.receive::<ProduceResponse>(VERSION).await?;
    Some(only(&answer).error_code)
}
