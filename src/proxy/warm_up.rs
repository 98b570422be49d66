//! Looks schemas up before the first record needs them.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::gateway::Gateway;
use crate::{
    schema::{References, SchemaRef},
    text::shown_reference,
    validate::{metadata::Side, policy::Policy},
};

/// Looks up what `wanted` names, as records will: references (with a slash, or only digits), and the latest versions of the
/// subjects that the others match. Nobody waits for it, and what cannot be had now is looked up when a record needs it.
pub async fn warm_up(gateway: Arc<Gateway>, references: References, wanted: Vec<String>) {
    let is_reference = |it: &String| it.contains('/') || it.bytes().all(|b| b.is_ascii_digit());
    let (named, globs): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_reference);
    let mut all = Vec::new();
    for text in named {
        match references.parse(text.as_bytes()) {
            Ok(reference) => all.push(reference),
            Err(error) => {
                let reference = shown_reference(text.as_bytes());
                tracing::warn!(%error, reference, "a schema cannot be looked up in advance");
            }
        }
    }
    let judging = gateway.judging.load_full();
    let schemas = judging.judge.schemas();
    if !globs.is_empty() {
        let listed = schemas.latest(&globs).await;
        all.extend(listed.into_iter().map(|(subject, it)| as_named(&judging.policy, &subject, it)));
    }
    let count = all.len();
    let mut under_way = JoinSet::new();
    let mut found = 0_usize;
    for reference in all {
        if under_way.len() >= MAX_UNDER_WAY {
            found += usize::from(matches!(under_way.join_next().await, Some(Ok(true))));
        }
        let schemas = Arc::clone(schemas);
        under_way.spawn(async move { schemas.resolve(&reference).await.is_ok() });
    }
    while let Some(ended) = under_way.join_next().await {
        found += usize::from(matches!(ended, Ok(true)));
    }
    if count > 0 {
        tracing::info!(found, of = count, "schemas looked up in advance");
    }
}

/// A schema as the records of the topic that `subject` is named after will have it looked up: under that subject, where the
/// topic's rule wants one.
fn as_named(policy: &Policy, subject: &str, reference: SchemaRef) -> SchemaRef {
    let sides = [("-value", Side::Value), ("-key", Side::Key)];
    let of_topic = sides.into_iter().find_map(|(suffix, side)| {
        let policy = policy.for_topic(subject.strip_suffix(suffix)?);
        reference.under(policy.subject(side)?)
    });
    of_topic.unwrap_or(reference)
}

/// Look-ups at once: few, for records may be waiting for others.
const MAX_UNDER_WAY: usize = 4;
