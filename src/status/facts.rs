//! What the parts know, in the words of `/status`: bounded lists of text that is fit to be shown.

use std::sync::Arc;

use super::whole;
use crate::{
    admin::{
        ErrorFact, RecordsFact, RegistryFact, RejectionFact, SchemaFact, SchemasFact, TopicFact,
        TopicsFact, TotalsFact,
    },
    metrics::{BatchVerdict, Direction, Metrics, RecordCounts, TopicMetrics},
    reason::Reason,
    rejection_log::{Fate, RecentRejection},
    schema::{CacheEntry, CircuitState, EntryState, SchemaCache, Standing},
    text::timestamp,
};

/// Topics that are told at once.
const MAX_TOPICS: usize = 200;
/// Schemas that are told at once, and as many references that lead to none.
const MAX_SCHEMAS: usize = 100;

pub(super) fn totals(metrics: &Metrics, topics: &[Arc<TopicMetrics>]) -> TotalsFact {
    let sum = |sum: RecordCounts, topic: &Arc<TopicMetrics>| sum.plus(&topic.counts());
    TotalsFact {
        connections: metrics.connections_so_far(),
        requests: metrics.requests_so_far(),
        bytes_from_clients: metrics.bytes_so_far(Direction::ClientToBroker),
        bytes_from_brokers: metrics.bytes_so_far(Direction::BrokerToClient),
        records: records(topics.iter().fold(RecordCounts::default(), sum)),
    }
}

const fn records(counts: RecordCounts) -> RecordsFact {
    let RecordCounts { accepted, observed, rejected, unjudged, withheld } = counts;
    RecordsFact { accepted, observed, rejected, unjudged, withheld }
}

/// Those whose names contain `filter`, the ones with most rejections first. What nobody has produced to is left out.
pub(super) fn topics(topics: &[Arc<TopicMetrics>], filter: &str) -> TopicsFact {
    let counted = topics.iter().map(|topic| (topic.counts(), topic));
    let used = counted
        .filter(|(counts, topic)| counts.total() > 0 || topic.batches(BatchVerdict::Off) > 0);
    let used: Vec<_> = used.collect();
    let total = whole(used.len());
    let matches = |topic: &TopicMetrics| filter.is_empty() || topic.name().contains(filter);
    let mut matching: Vec<_> = used.into_iter().filter(|(_, topic)| matches(topic)).collect();
    let worst = |counts: &RecordCounts| (counts.rejected, counts.observed, counts.total());
    matching.sort_by(|(left, one), (right, other)| {
        worst(right).cmp(&worst(left)).then_with(|| one.name().cmp(other.name()))
    });
    let items = matching.iter().take(MAX_TOPICS).map(|(counts, topic)| TopicFact {
        topic: topic.name().to_owned(),
        records: records(*counts),
        unread_batches: topic.batches(BatchVerdict::Off),
        reasons: topic.reasons().map(|(reason, count)| (reason.label(), count)).collect(),
    });
    TopicsFact { total, matching: whole(matching.len()), items: items.collect() }
}

pub(super) fn rejection(recent: &RecentRejection) -> RejectionFact {
    RejectionFact {
        at: timestamp(recent.at),
        first_at: timestamp(recent.first_at),
        times: recent.times,
        outcome: match recent.fate {
            Fate::Observed => "observed",
            Fate::Refused => "refused",
            Fate::Unjudged => "unjudged",
        },
        topic: recent.topic.clone(),
        partition: recent.partition,
        client_id: recent.client_id.clone(),
        peer: recent.peer.to_string(),
        reason: Reason::label(recent.reason),
        message: recent.message.clone(),
        schema: recent.schema.clone(),
    }
}

/// What leads to no schema first, then what is out of date, then the rest by name, so that rows stay where they are.
pub(super) fn schemas(cache: &SchemaCache, total: u64) -> SchemasFact {
    let there_is_one = |entry: &CacheEntry| {
        matches!(entry.state, EntryState::Fresh | EntryState::Immutable | EntryState::Stale)
    };
    let (mut kept, mut missed): (Vec<_>, Vec<_>) =
        cache.entries().into_iter().partition(there_is_one);
    let by_name = |one: &CacheEntry, other: &CacheEntry| one.reference.cmp(&other.reference);
    missed.sort_by(by_name);
    kept.sort_by(|one, other| {
        let fine = |entry: &CacheEntry| entry.state != EntryState::Stale;
        fine(one).cmp(&fine(other)).then_with(|| by_name(one, other))
    });
    missed.truncate(MAX_SCHEMAS);
    kept.truncate(MAX_SCHEMAS);
    let items = missed.into_iter().chain(kept).map(|entry| SchemaFact {
        reference: entry.reference,
        source: entry.source,
        state: entry.state.label(),
        format: entry.format.map(|format| format.label()),
        age_seconds: entry.age.as_secs(),
    });
    SchemasFact { total, items: items.collect() }
}

pub(super) fn registry(standing: Standing) -> RegistryFact {
    let left = standing.left_in_peace();
    let (circuit, failures) = match standing.circuit {
        CircuitState::Closed { failures } => ("closed", failures),
        CircuitState::Open { .. } => ("open", 0),
    };
    let error = |(at, message)| ErrorFact { at: timestamp(at), message };
    RegistryFact {
        url: standing.url,
        api: standing.api,
        circuit,
        failures,
        left_in_peace_seconds: left.map(|left| left.as_secs()),
        last_success: standing.last_success.map(timestamp),
        last_error: standing.last_error.map(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RecordVerdict;

    #[test]
    fn a_thousand_topics_are_bounded_and_the_worst_comes_first() {
        let metrics = Metrics::new(1_000);
        for number in 0..1_000 {
            let topic = metrics.topic(&format!("topic-{number:04}"));
            topic.records(RecordVerdict::Accepted, None, 1);
            if number % 100 == 7 {
                topic.records(RecordVerdict::Rejected, Some(Reason::PayloadInvalid), number);
            }
        }
        let seen = metrics.topics();
        let all = topics(&seen, "");
        assert_eq!((all.total, all.matching, all.items.len()), (1_000, 1_000, MAX_TOPICS));
        let first: Vec<_> = all.items.iter().take(2).map(|item| item.topic.as_str()).collect();
        assert_eq!(first, ["topic-0907", "topic-0807"]);
        assert_eq!(all.items[0].reasons, [("payload_invalid", 907)].into());
        assert_eq!(all.items[10].topic, "topic-0000", "equals are in the order of their names");
        let found = topics(&seen, "pic-099");
        assert_eq!((found.total, found.matching, found.items.len()), (1_000, 10, 10));
        assert_eq!(totals(&metrics, &seen).records.accepted, 1_000);
        assert_eq!(topics(&seen, "nothing").items, []);
    }

    #[test]
    fn topics_that_nobody_has_produced_to_are_left_out() {
        let metrics = Metrics::new(10);
        let _ = metrics.topic("seen");
        let found = topics(&metrics.topics(), "");
        assert_eq!((found.total, found.items), (0, Vec::new()));
    }
}
