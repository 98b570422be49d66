//! One warning for each batch that was not copied, held to a rate for each outcome.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::Failure;
use crate::{log_rate::LogRate, metrics::QuarantineOutcome, text::shown};

#[derive(Debug, Default)]
pub(super) struct FailureLog(Mutex<HashMap<QuarantineOutcome, LogRate>>);

impl FailureLog {
    pub(super) fn failed(
        &self,
        to: &str,
        topic: &str,
        partition: i32,
        failure: &Failure,
        cause: &str,
    ) {
        let now = Instant::now();
        let taken = {
            let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let rate = rates.entry(failure.why.outcome());
            rate.or_insert_with(|| LogRate::new(now)).take_or_count(now)
        };
        let Some(suppressed) = taken else { return };
        let (topic, dead_letter_topic) = (shown(topic.as_bytes()), shown(to.as_bytes()));
        let outcome = failure.why.outcome().label();
        tracing::warn!(
            topic, partition, dead_letter_topic, outcome, why = %failure, cause, suppressed,
            "refused batch not quarantined"
        );
    }
}
