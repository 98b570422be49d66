//! Has refused batches copied where a rule asks for it, before the refusal is told. What is accepted never comes here.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{Case, Desk, Grant, ProduceGate, YIELD_AFTER};
use crate::{
    proxy::{
        gateway::Gateway,
        quarantine::{Copying, Failure, NotWritten, Outcome, Refused},
        report::Topic,
    },
    reason::Reason,
    validate::plan::At,
    wire::ErrorCode,
};

/// A refused batch that has to be copied.
pub(super) struct ToCopy<'a> {
    at: At,
    topic: Arc<Topic>,
    to: Arc<str>,
    partition: i32,
    record_set: &'a [u8],
    /// `Err`: why it cannot be.
    reason: Result<Reason, NotWritten>,
    records: u64,
}

impl ProduceGate {
    /// Takes note that a refused batch has to be copied, unless it comes again anyway.
    pub(super) fn note_to_copy<'a>(
        &self,
        desk: &mut Desk<'a>,
        case: &Case<'a>,
        code: ErrorCode,
        reason: Result<Reason, NotWritten>,
        records: u64,
    ) {
        let Some(to) = &case.topic.dead_letters else { return };
        if !comes_again(code) {
            let (at, partition, record_set) = (case.at, case.partition, case.record_set);
            let (topic, to) = (Arc::clone(&case.topic), Arc::clone(to));
            desk.to_copy.push(ToCopy { at, topic, to, partition, record_set, reason, records });
        }
    }

    /// Has the refused batches copied, and waits for it in order to tell where it failed, up to the deadline.
    pub(super) async fn quarantine(&mut self, desk: &mut Desk<'_>) {
        let deadline = Instant::now() + self.gateway.dead_letters.deadline();
        // Who is not answered need not wait.
        let waits = desk.request.acks != 0 && !self.peer.is_gone();
        let mut awaited = Vec::new();
        for batch in std::mem::take(&mut desk.to_copy) {
            match self.copy(desk, &batch, deadline).await {
                Ok(outcome) => awaited.push((batch, outcome)),
                Err(why) => self.not_copied(desk, &batch, why),
            }
        }
        for (batch, outcome) in awaited.into_iter().filter(|_| waits) {
            let failure = match timeout_at(deadline, outcome).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(failure))) => failure,
                Ok(Err(_)) => NotWritten::Ending.into(),
                Err(_) => NotWritten::Deadline.into(),
            };
            desk.planner.add(batch.at, &format!("; not quarantined: {failure}"));
        }
    }

    /// Copies one batch into the queue, in turns.
    async fn copy(
        &mut self,
        desk: &Desk<'_>,
        batch: &ToCopy<'_>,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Outcome>, NotWritten> {
        let reason = batch.reason?;
        let said = desk.planner.refusal(batch.at).and_then(|refusal| refusal.message.clone());
        let refused = Refused {
            to: Arc::clone(&batch.to),
            topic: &batch.topic.name,
            partition: batch.partition,
            record_set: batch.record_set,
            reason,
            message: said.unwrap_or_default(),
            client_id: desk.request.client_id,
        };
        let Self { gateway, workspace, holding, busy, .. } = self;
        let mut copying: Copying<'_> = gateway.dead_letters.begin(&refused, holding.sibling())?;
        let used = workspace.scratch.held_bytes();
        let mut grant = Grant { holding, used };
        let policy = &batch.topic.policy;
        let judge = &desk.judging.judge;
        let mut walk = judge.begin(batch.record_set, policy, &desk.resolved, workspace, &mut grant);
        loop {
            let started = Instant::now();
            let over = copying.turn(&mut walk)?;
            *busy = busy.saturating_add(started.elapsed());
            if *busy >= YIELD_AFTER {
                *busy = Duration::ZERO;
                tokio::task::yield_now().await;
            }
            if over {
                return gateway.dead_letters.send(copying, deadline);
            }
        }
    }

    fn not_copied(&self, desk: &mut Desk<'_>, batch: &ToCopy<'_>, why: NotWritten) {
        let failure = Failure { of: batch.records, ..why.into() };
        let Gateway { metrics, dead_letters, .. } = &*self.gateway;
        // What cannot be taken apart counts as one: how many records it declares is not to be believed.
        metrics.quarantined(why.outcome(), batch.records.max(1));
        dead_letters.failed(&batch.to, &batch.topic.name, batch.partition, &failure, "");
        desk.planner.add(batch.at, &format!("; not quarantined: {failure}"));
    }
}

/// Whether producers send a batch again that is answered this.
const fn comes_again(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_TOPIC_ID
    )
}
