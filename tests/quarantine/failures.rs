//! What a producer is told where copies cannot be written: always, and in time.

use super::{
    ON, World, bad, good,
    support::{
        batch_builder::{TestBatch, TestRecord},
        broker::Temper,
        wait::until,
    },
};

const DEAD: &str = "users.rejected";

#[tokio::test]
async fn a_refusal_says_why_nothing_was_copied() {
    let table = [
        (Temper::Missing, "there is no dead-letter topic"),
        (Temper::Refuses(29), "the broker refused the copy (error 29, TopicAuthorizationFailed)"),
        (Temper::Refuses(10), "the broker refused the copy (error 10, MessageTooLarge)"),
        (Temper::Closes, "the broker cannot be reached"),
    ];
    for (temper, why) in table {
        let mut world = World::new(ON).await;
        world.broker.temper(DEAD, Some(temper));
        let answer = world.produce("users", &TestBatch::of([good(), bad()])).await;
        assert_eq!(answer.code, 87, "{temper:?}: the refusal stays what it is");
        let suffix = format!("; not quarantined: {why}");
        assert!(answer.message.starts_with("payload_invalid: record 1: "), "{answer:?}");
        assert!(answer.message.ends_with(&suffix), "{temper:?}: {answer:?}");
        assert!(answer.errors[0].1.ends_with(&suffix), "Java shows this one: {answer:?}");
        assert_eq!((world.counted("failed"), world.counted("written")), (2.0, 0.0), "{temper:?}");
        assert!(world.received(DEAD).is_empty());
    }
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_not_waited_for_longer_than_the_deadline() {
    let more = ON.replace("none}", "none, deadline: 300ms}");
    for temper in [Temper::Silent, Temper::Leaderless] {
        let mut world = World::new(&more).await;
        world.broker.temper(DEAD, Some(temper));
        let answer = world.produce("users", &TestBatch::of([bad()])).await;
        let expected = "; not quarantined: not acknowledged in time";
        assert!(answer.message.ends_with(expected), "{temper:?}: {answer:?}");
        until("it is counted", || world.counted("timed_out") == 1.0).await;
        // Its place in the queue is free again, and so is its memory.
        let queue = || world.proxy.metric("schemaward_quarantine_queue_bytes");
        until("the queue is empty", || queue() == 0.0).await;
        // Good batches have gone on all the time, and bad ones are copied again when the broker is well.
        assert_eq!(world.produce("users", &TestBatch::of([good()])).await.code, 0, "{temper:?}");
        world.broker.temper(DEAD, None);
        loop {
            let answer = world.produce("users", &TestBatch::of([bad()])).await;
            assert_eq!(answer.code, 87);
            if !answer.message.contains("not quarantined") {
                break;
            }
        }
        assert_eq!(world.copies(DEAD).len(), 1, "{temper:?}");
    }
}

#[tokio::test]
async fn others_do_not_wait_while_a_refusal_does() {
    let more = ON.replace("none}", "none, deadline: 30s}");
    let mut world = World::new(&more).await;
    world.broker.temper(DEAD, Some(Temper::Silent));
    let slow = super::Produce::to("users", 0, TestBatch::of([bad()]).encode());
    world.client.send(9, &slow.request(9)).await;
    let queue = || world.proxy.metric("schemaward_quarantine_queue_bytes");
    until("the copy is on its way", || queue() > 0.0).await;
    let mut other = super::Client::connect(&world.proxy.node(1)).await;
    let request = super::Produce::to("users", 0, TestBatch::of([good()]).encode());
    let response = other.produce(9, &request).await;
    assert_eq!(super::only(&response).error_code, 0);
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let more = ON.replace("none}", "none, queue_bytes: 64KiB}");
    let mut world = World::new(&more).await;
    let large = TestBatch::of([bad(), TestRecord::avro("1", vec![7; 100_000])]);
    let answer = world.produce("users", &large).await;
    assert!(answer.message.ends_with("; not quarantined: no room in the queue"), "{answer:?}");
    assert_eq!(world.counted("queue_full"), 2.0);
    assert!(world.received(DEAD).is_empty());
    assert_eq!(world.proxy.metric("schemaward_quarantine_queue_bytes"), 0.0);
    until("its memory is free", || world.proxy.app().memory_budget().used() == 0).await;
    let small = TestBatch::of([bad()]);
    assert!(!world.produce("users", &small).await.message.contains("quarantined"));
    assert_eq!(world.copies(DEAD).len(), 1);
}

#[tokio::test]
async fn copies_of_a_large_batch_are_parted_and_stay_in_order() {
    let mut world = World::new(ON).await;
    let records = (0..20).map(|index| TestRecord::avro("1", vec![7; 100_000 + index]));
    let answer = world.produce("users", &TestBatch::of(records)).await;
    assert!(!answer.message.contains("quarantined"), "{answer:?}");
    let copies = world.copies(DEAD);
    let sizes: Vec<_> = copies.iter().map(|copy| copy.value.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, (100_000..100_020).collect::<Vec<_>>());
    let requests = world.received(DEAD).len();
    assert!((4..=6).contains(&requests), "none larger than half a mebibyte: {requests}");
}

#[tokio::test]
async fn a_leader_that_has_moved_is_found_again() {
    let mut world = World::new(ON).await;
    assert_eq!(world.produce("users", &TestBatch::of([bad()])).await.code, 87);
    for code in [6, 74, 19] {
        world.broker.temper(DEAD, Some(Temper::RefusesOnce(code)));
        let before = world.copies(DEAD).len();
        let answer = world.produce("users", &TestBatch::of([bad()])).await;
        assert!(!answer.message.contains("quarantined"), "{code}: {answer:?}");
        assert_eq!(world.copies(DEAD).len(), before + 1, "{code}");
    }
}

#[tokio::test]
async fn a_missing_topic_is_not_asked_for_with_each_batch() {
    let mut world = World::new(ON).await;
    world.broker.temper(DEAD, Some(Temper::Missing));
    let mut asked = Vec::new();
    for _ in 0..20 {
        let answer = world.produce("users", &TestBatch::of([bad()])).await;
        assert!(answer.message.ends_with("there is no dead-letter topic"), "{answer:?}");
        asked.push(metadata_requests(&world));
    }
    let times = asked[19] - asked[0];
    assert!(times <= 1, "{times}: what is not there is remembered for seconds");
}

/// Requests for the metadata of the dead-letter topic.
fn metadata_requests(world: &World) -> usize {
    let frames = world.broker.frames();
    let named = |frame: &[u8]| frame.windows(DEAD.len()).any(|part| part == DEAD.as_bytes());
    frames.iter().filter(|frame| frame.starts_with(&[0, 3]) && named(frame)).count()
}
