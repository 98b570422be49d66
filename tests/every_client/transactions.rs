//! Transactions: what is committed can be read, what a refusal has spoilt can be aborted, and the next one works.

use kafka_protocol::messages::{
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse,
    TransactionalId,
};

use super::support::batch::{Batch, Record};
use super::support::case::{Case, Outcome};
use super::support::python::Python;
use super::support::raw_client::RawClient;
use super::support::running::RunningProducer;
use super::support::sidecar::{user, wait_until};
use super::support::{admin, produce};
use super::{World, all_ok, broken, valid};

const INVALID_RECORD: i16 = 87;
const INVALID_TXN_STATE: i16 = 48;

#[test]
fn java_commits_aborts_after_a_refusal_and_commits_again() {
    let Some(world) = World::start() else { return };
    check_java(&world);
}

#[test]
fn librdkafka_commits_aborts_after_a_refusal_and_commits_again_when_it_does_with_a_broker() {
    let Some(world) = World::start() else { return };
    check_librdkafka(&world);
}

const LIBRDKAFKA: [&str; 3] = ["linger.ms=1000", "transactional.id=confluent", "commit=attempt"];

/// How often the next transaction is tried after one that was aborted is the same with the proxy's refusals and with the
/// broker's own.
pub(super) fn check_librdkafka(world: &World<'_>) {
    // A broker refuses a record without a key where the topic is compacted.
    let compacted = [("cleanup.policy", "compact")];
    let topic = "transactions-broker";
    admin::create_topic_with(&world.direct(), topic, 2, world.replicas(), &compacted);
    let transactions = |python: &Python, bootstrap: &str| {
        let producer = python.confluent_producer(bootstrap, &LIBRDKAFKA);
        Transactions { producer, unfit: &["INVALID_RECORD"] }
    };
    let mut direct = transactions(&Python::get().unwrap(), &world.direct());
    let valid = |at, name| valid(topic, at, name).key(name.as_bytes());
    let attempts = direct.spoilt_and_committed(
        &[valid(1, "lost"), super::valid(topic, 0, "without a key")],
        &[valid(0, "c"), valid(1, "d")],
    );
    drop(direct);
    let through = transactions(&world.python, &world.bootstrap());
    assert_eq!(check_transactions(world, "transactions-confluent", through), attempts);
    world.assert_only_the_proxy_was_dialled();
}

/// The next transaction after one that was aborted is committed at once.
pub(super) fn check_java(world: &World<'_>) {
    let settings = ["linger.ms=60000", "transactional.id=java", "commit=attempt"];
    let producer = world.java.producer(&world.bootstrap(), &settings);
    // Which one depends on whether the sender or the application is first.
    let unfit = &["InvalidRecordException", "KafkaException"];
    let transactions = Transactions { producer, unfit };
    assert_eq!(check_transactions(world, "transactions-java", transactions), 1);
    world.assert_only_the_proxy_was_dialled();
}

/// One producer, which runs transactions one after the other.
struct Transactions {
    producer: RunningProducer,
    /// What it says when it is asked to commit one with a refused batch.
    unfit: &'static [&'static str],
}

impl Transactions {
    /// What became of the records, and of the commit; what cannot be committed is aborted.
    fn run(&mut self, cases: &[Case]) -> (Vec<Outcome>, Outcome) {
        self.producer.begin(cases);
        let mut seen = self.producer.outcomes(cases.len() + 1);
        let end = seen.pop().unwrap();
        (seen, end)
    }

    fn commit(&mut self, cases: &[Case]) {
        let (seen, end) = self.run(cases);
        assert!(all_ok(&seen) && end.ok, "{seen:?} {end:?}");
    }

    /// Runs one that is refused and aborted, and then another one until it is committed: how often is that tried?
    fn spoilt_and_committed(&mut self, spoilt: &[Case], next: &[Case]) -> usize {
        let (seen, end) = self.run(spoilt);
        assert!(!seen.last().unwrap().ok, "{seen:?}");
        assert!(self.unfit.contains(&end.error.as_deref().unwrap_or_default()), "{end:?}");
        for attempt in 1..=3 {
            let (seen, end) = self.run(next);
            if end.ok && all_ok(&seen) {
                return attempt;
            }
        }
        panic!("the next transaction cannot be committed");
    }
}

fn check_transactions(world: &World<'_>, topic: &str, mut transactions: Transactions) -> usize {
    world.create_topic(topic, 2);
    let committed = |name| [valid(topic, 0, name), valid(topic, 1, name)];
    transactions.commit(&committed("a"));
    // What another partition has stored of a spoilt one is aborted with it.
    let spoilt = [valid(topic, 1, "lost"), valid(topic, 0, "lost"), broken(topic, 0)];
    let attempts = transactions.spoilt_and_committed(&spoilt, &committed("b"));
    transactions.commit(&committed("c"));
    // In one partition: with two, librdkafka waits for its time-out before it sees that the next one fails, as with a broker.
    let nothing_good = [valid(topic, 0, "beside"), broken(topic, 0)];
    let again = transactions.spoilt_and_committed(&nothing_good, &committed("d"));
    assert_eq!(again, attempts, "{topic}: with nothing stored it is the same");
    transactions.commit(&committed("e"));

    let lost = Some(user("lost").into());
    assert!(!world.stored(topic, 0).contains(&lost), "nothing of a refused batch is stored");
    assert!(world.stored(topic, 1).contains(&lost), "it was stored, and aborted");
    let settings = ["isolation.level=read_committed"];
    // The last records of the last transaction are among them: nothing can come behind these.
    let read = world.java.consume_with(&world.bootstrap(), topic, topic, 10, &settings);
    for at in 0..2 {
        let read = read.iter().filter(|record| record.partition == at);
        let read: Vec<_> = read.map(|record| record.value.clone().unwrap()).collect();
        assert_eq!(read, ["a", "b", "c", "d", "e"].map(user), "{topic}, partition {at}");
    }
    attempts
}

#[test]
fn a_transaction_of_which_everything_was_refused_can_be_aborted_and_not_committed() {
    let Some(world) = World::start() else { return };
    let topic = "transactions-nothing";
    world.create_topic(topic, 1);
    let topic_id = admin::describe_topic(&world.bootstrap(), topic).topic_id;
    for (commits, expected) in [(true, INVALID_TXN_STATE), (false, 0)] {
        let id = TransactionalId(admin::text(if commits { "commits" } else { "aborts" }));
        let (mut coordinator, producer) = begin(&world, &id);
        let (number, epoch) = (producer.producer_id.0, producer.producer_epoch);
        let record = Record::new(user("Carl")[..5].to_vec());
        let record = record.header("content-type", "avro").header("schema-id", "1");
        let mut batch = Batch::new(vec![record]).sequenced(number, epoch, 0);
        batch.attributes |= TRANSACTIONAL;
        let mut request = produce::request(topic, 0, batch.to_bytes());
        request.transactional_id = Some(id.clone());
        request.topic_data[0].name = admin::topic_name("");
        request.topic_data[0].topic_id = topic_id;
        let leader = admin::leader_of(&world.direct(), topic, 0);
        let response = world.sidecar.client_of(leader).call(&request, 13).unwrap();
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, INVALID_RECORD);

        let end = EndTxnRequest::default()
            .with_transactional_id(id)
            .with_producer_id(producer.producer_id)
            .with_producer_epoch(epoch)
            .with_committed(commits);
        assert_eq!(coordinator.call(&end, 5).unwrap().error_code, expected, "{commits}");
    }
    assert_eq!(world.stored(topic, 0), []);
}

/// Asks for the coordinator, which also brings the topic of transactions into being, and there for a producer.
fn begin(world: &World<'_>, id: &TransactionalId) -> (RawClient, InitProducerIdResponse) {
    let find = FindCoordinatorRequest::default()
        .with_key_type(TRANSACTION)
        .with_coordinator_keys(vec![id.0.clone()]);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id.clone()))
        .with_transaction_timeout_ms(60_000);
    let mut found = None;
    wait_until("a coordinator takes the producer", || {
        let response = world.sidecar.client().call(&find, 6).unwrap();
        let coordinator = &response.coordinators[0];
        if coordinator.error_code == 0 {
            let mut client = world.sidecar.client_of(coordinator.node_id.0);
            let response = client.call(&request, 4).unwrap();
            found = (response.error_code == 0).then_some((client, response));
        }
        found.is_some()
    });
    found.unwrap()
}

const TRANSACTION: i8 = 1;
const TRANSACTIONAL: i16 = 0x10;
