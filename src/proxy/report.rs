//! What became of a partition, for metrics and log. A batch that is refused as a whole counts as one record: how many it
//! declares is not to be believed.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    metrics::{BatchVerdict, RecordVerdict, TopicMetrics},
    reason::Reason,
    rejection_log::{Fate, RejectedBatch, RejectionLog},
    schema::SchemaRef,
    validate::{
        policy::TopicPolicy,
        verdict::{BatchFault, PartitionVerdict},
    },
};

/// What a connection knows of a topic that it produces to.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Box<str>,
    pub(super) policy: Arc<TopicPolicy>,
    pub(super) metrics: Arc<TopicMetrics>,
    /// Where copies of refused batches go, if anywhere.
    pub(super) dead_letters: Option<Arc<str>>,
}

/// One partition of one request, to be reported on.
pub(super) struct Report<'a> {
    pub(super) rejections: &'a RejectionLog,
    pub(super) peer: SocketAddr,
    pub(super) client_id: Option<&'a [u8]>,
    pub(super) topic: &'a Topic,
    pub(super) partition: i32,
}

impl Report<'_> {
    /// It goes on, with what was found in it.
    pub(super) fn forwarded(&self, verdict: &PartitionVerdict) {
        let metrics = &self.topic.metrics;
        let known_bad = verdict.fault().is_some() || verdict.rejected_records() > 0;
        self.log(verdict, if known_bad { Fate::Observed } else { Fate::Unjudged });
        let unknown = verdict.unknown_records();
        let observed = known_bad || unknown > 0;
        metrics.batch(if observed { BatchVerdict::Observed } else { BatchVerdict::Forwarded });
        if let Some(fault) = verdict.fault() {
            return metrics.records(RecordVerdict::Observed, Some(fault.reason), 1);
        }
        let mut accepted = verdict.records().saturating_sub(unknown);
        for (reason, count) in verdict.rejected_by_reason() {
            metrics.records(RecordVerdict::Observed, Some(reason), count);
            accepted = accepted.saturating_sub(count);
        }
        if unknown > 0 {
            metrics.records(RecordVerdict::Unjudged, Some(Reason::RegistryUnavailable), unknown);
        }
        metrics.records(RecordVerdict::Accepted, None, accepted);
    }

    /// It goes on although it could not be looked into.
    pub(super) fn unjudged(&self) {
        self.topic.metrics.records(RecordVerdict::Unjudged, None, 1);
        self.topic.metrics.batch(BatchVerdict::Observed);
    }

    /// It is refused for what was found in it.
    pub(super) fn refused(&self, verdict: &PartitionVerdict) {
        let metrics = &self.topic.metrics;
        self.log(verdict, Fate::Refused);
        metrics.batch(BatchVerdict::Refused);
        if let Some(fault) = verdict.fault() {
            return metrics.records(RecordVerdict::Rejected, Some(fault.reason), 1);
        }
        let mut named = 0;
        for (reason, count) in verdict.rejected_by_reason() {
            metrics.records(RecordVerdict::Rejected, Some(reason), count);
            named += count;
        }
        if named == 0 {
            named = verdict.unknown_records();
            metrics.records(RecordVerdict::Rejected, Some(Reason::RegistryUnavailable), named);
        }
        metrics.records(RecordVerdict::Withheld, None, verdict.records().saturating_sub(named));
    }

    /// It is refused before it was looked into.
    pub(super) fn fault(&self, fault: &BatchFault) {
        self.topic.metrics.records(RecordVerdict::Rejected, Some(fault.reason), 1);
        self.topic.metrics.batch(BatchVerdict::Refused);
        self.line(fault.reason, None, None, &fault.message(), Fate::Refused);
    }

    fn log(&self, verdict: &PartitionVerdict, fate: Fate) {
        if let Some(fault) = verdict.fault() {
            self.line(fault.reason, None, None, &fault.message(), fate);
        } else if let Some(record) = verdict.rejected().first() {
            let (index, schema) = (Some(record.batch_index), record.schema.as_deref());
            self.line(record.rejection.reason, index, schema, &record.message(), fate);
        } else if let Some((batch_index, detail)) = verdict.unknown_detail() {
            let reason = Reason::RegistryUnavailable;
            let message = format!("{}: record {batch_index}: {detail}", reason.label());
            let schema = verdict.unknown().first().map(SchemaRef::shown);
            self.line(reason, Some(*batch_index), schema.as_deref(), &message, fate);
        }
    }

    fn line(
        &self,
        reason: Reason,
        batch_index: Option<i32>,
        schema: Option<&str>,
        message: &str,
        fate: Fate,
    ) {
        self.rejections.rejected(&RejectedBatch {
            topic: &self.topic.name,
            partition: self.partition,
            client_id: self.client_id,
            peer: self.peer,
            batch_index,
            schema,
            reason,
            message,
            mode: self.topic.policy.mode,
            fate,
        });
    }
}
