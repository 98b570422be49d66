//! Takes consignments from the queue and has each written, in a task of its own: one that waits holds up no other. Order
//! needs no more than that, because who sends one waits for its outcome before the next of the same partition.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    leaders::{Failed, Leaders},
    links::{Links, Place},
    requests,
};
use crate::{
    metrics::QuarantineOutcome,
    proxy::{
        gateway::Gateway,
        quarantine::{Consignment, Failure, NotWritten},
        upstream::{Dial, Upstream},
    },
    record::CopiedBatch,
    wire::{ErrorCode, own_client},
};

/// Pause before a batch is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a batch is tried again on another connection.
const MAX_LOST: usize = 2;

/// Writes what comes through the queue of `gateway`, until nobody sends any more.
pub async fn run<D: Dial>(gateway: Arc<Gateway>, upstream: Arc<Upstream<D>>) {
    let Some(mut consignments) = gateway.dead_letters.consignments() else { return };
    let settings = gateway.dead_letters.settings();
    let metrics = Arc::clone(&gateway.metrics);
    let links = Links::new(upstream, metrics, settings.max_connections, settings.deadline);
    let desk = Arc::new(Desk { gateway, links, leaders: Leaders::default() });
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            consignment = consignments.recv() => match consignment {
                Some(consignment) => {
                    let desk = Arc::clone(&desk);
                    under_way.spawn(async move { desk.see_to(consignment).await });
                }
                None => break,
            },
            Some(_) = under_way.join_next() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

struct Desk<D> {
    gateway: Arc<Gateway>,
    links: Arc<Links<D>>,
    leaders: Leaders,
}

impl<D: Dial> Desk<D> {
    /// Writes a consignment within its time, and says what became of it.
    async fn see_to(&self, mut consignment: Consignment) {
        let of = consignment.records();
        let deadline = consignment.deadline;
        let batches = std::mem::take(&mut consignment.batches);
        let mut written = 0;
        let mut result = Ok(());
        for batch in batches {
            result = timeout_at(deadline, self.write(&consignment, &batch))
                .await
                .unwrap_or_else(|_| Err((NotWritten::Deadline, String::new())));
            if result.is_err() {
                break;
            }
            written += batch.records;
        }
        let Gateway { metrics, dead_letters, .. } = &*self.gateway;
        metrics.quarantined(QuarantineOutcome::Written, written);
        let Consignment { to, topic, partition, answer, .. } = consignment;
        let outcome = result.map_err(|(why, cause)| {
            let failure = Failure { why, written, of };
            metrics.quarantined(why.outcome(), of.saturating_sub(written));
            dead_letters.failed(&to, &topic, partition, &failure, &cause);
            failure
        });
        // Who does not wait any more was told that it took too long.
        let _ = answer.send(outcome);
    }

    /// Writes one batch, again where that may help.
    async fn write(&self, consignment: &Consignment, batch: &CopiedBatch) -> Result<(), Failed> {
        let Consignment { to, partition, deadline, .. } = consignment;
        let (mut newer_than, mut lost) = (None, 0);
        loop {
            let leader = self.leaders.find(&self.links, to, *partition, newer_than).await?;
            let tried = match leader.broker {
                Some(broker) => {
                    let place = Place::Broker(broker);
                    self.try_once(&place, to, leader.partition, batch, *deadline).await
                }
                None => Ok(LEADER_NOT_AVAILABLE),
            };
            match tried {
                Ok(ErrorCode::NONE) => return Ok(()),
                Ok(code) if leads_no_more(code) => newer_than = Some(leader.at),
                Ok(ErrorCode::NOT_ENOUGH_REPLICAS) => {}
                Ok(code) => return Err((NotWritten::Refused(code), String::new())),
                Err(failed) if lost == MAX_LOST => return Err(failed),
                Err(_) => {
                    lost += 1;
                    newer_than = Some(leader.at);
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// What the broker at `place` says to a batch.
    async fn try_once(
        &self,
        place: &Place,
        topic: &str,
        partition: i32,
        batch: &CopiedBatch,
        deadline: Instant,
    ) -> Result<ErrorCode, Failed> {
        let unreachable = |why: &dyn std::fmt::Display| (NotWritten::Unreachable, why.to_string());
        let link = self.links.to(place).await.map_err(|why| unreachable(&why))?;
        let version = link.versions.produce;
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout_ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let request = requests::produce(version, topic, partition, batch.bytes.clone(), timeout_ms);
        let request = request.map_err(|error| unreachable(&error))?;
        let answer = link.ask(request).await;
        let answer = answer.ok_or_else(|| unreachable(&"the connection ended"))?;
        own_client::produced(&answer, version).map_err(|error| unreachable(&error))
    }
}

/// Whether another broker has to be looked for.
const fn leads_no_more(code: ErrorCode) -> bool {
    matches!(
        code,
        UNKNOWN_TOPIC_OR_PARTITION
            | LEADER_NOT_AVAILABLE
            | NOT_LEADER_OR_FOLLOWER
            | KAFKA_STORAGE_ERROR
            | FENCED_LEADER_EPOCH
    )
}

const UNKNOWN_TOPIC_OR_PARTITION: ErrorCode = ErrorCode(3);
const LEADER_NOT_AVAILABLE: ErrorCode = ErrorCode(5);
const NOT_LEADER_OR_FOLLOWER: ErrorCode = ErrorCode(6);
const KAFKA_STORAGE_ERROR: ErrorCode = ErrorCode(56);
const FENCED_LEADER_EPOCH: ErrorCode = ErrorCode(74);
