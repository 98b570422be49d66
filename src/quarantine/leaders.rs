//! Which broker leads the partition of a dead-letter topic.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Turnstile, time::Instant};

use super::{
    links::{Links, Place},
    requests,
};
use crate::{
    proxy::{quarantine::NotWritten, settings::BrokerAddress, upstream::Dial},
    validate::dead_letter::MAX_TOPIC_BYTES,
    wire::{ErrorCode, own_client::TopicAnswer},
};

/// How long leaders are believed: partitions may be added.
const TTL: Duration = Duration::from_secs(300);
/// How long it is believed that there is no such topic.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// Topics that are remembered.
const MAX_TOPICS: usize = 1_000;

/// A failure as it is told, and what is behind it, for the log.
pub(super) type Failed = (NotWritten, String);

/// Where a batch is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leader {
    /// The broker; `None`: there is none at this moment.
    pub(super) broker: Option<BrokerAddress>,
    /// The partition of the dead-letter topic.
    pub(super) partition: i32,
    /// When this was learnt.
    pub(super) at: Instant,
}

#[derive(Debug, Clone)]
struct Known {
    at: Instant,
    leaders: Result<Arc<[Option<BrokerAddress>]>, Failed>,
}

impl Known {
    fn serves(&self, now: Instant, newer_than: Option<Instant>) -> bool {
        let ttl = if self.leaders.is_ok() { TTL } else { NEGATIVE_TTL };
        now < self.at + ttl && newer_than.is_none_or(|stale| self.at > stale)
    }

    /// The same partition has always the same copies, in order, while their number does not change.
    fn leader(&self, partition: i32) -> Result<Leader, Failed> {
        let leaders = self.leaders.as_ref().map_err(Clone::clone)?;
        let count = i32::try_from(leaders.len()).unwrap_or(i32::MAX);
        let index = partition.checked_rem_euclid(count).unwrap_or_default();
        let broker = usize::try_from(index).ok().and_then(|index| leaders.get(index));
        Ok(Leader { broker: broker.cloned().flatten(), partition: index, at: self.at })
    }
}

/// What is known of dead-letter topics.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    topics: Mutex<HashMap<Arc<str>, Known>>,
    /// One asks at a time; the others find what it has learnt.
    turnstile: Turnstile<()>,
}

impl Leaders {
    /// Who leads the partition of `topic` that stands for `partition` of the original, learnt after `newer_than`.
    pub(super) async fn find<D: Dial>(
        &self,
        links: &Arc<Links<D>>,
        topic: &Arc<str>,
        partition: i32,
        newer_than: Option<Instant>,
    ) -> Result<Leader, Failed> {
        if topic.len() > MAX_TOPIC_BYTES {
            return Err((NotWritten::NoTopic, "its name is too long".to_owned()));
        }
        if let Some(known) = self.known(topic, newer_than) {
            return known.leader(partition);
        }
        let _one = self.turnstile.lock().await;
        if let Some(known) = self.known(topic, newer_than) {
            return known.leader(partition);
        }
        let at = Instant::now();
        let leaders = match ask(links, topic).await {
            // Nothing was learnt.
            Err(failed @ (NotWritten::Unreachable, _)) => return Err(failed),
            leaders => leaders,
        };
        let known = Known { at, leaders };
        self.keep(topic, &known);
        known.leader(partition)
    }

    fn known(&self, topic: &str, newer_than: Option<Instant>) -> Option<Known> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.get(topic).filter(|known| known.serves(Instant::now(), newer_than)).cloned()
    }

    fn keep(&self, topic: &Arc<str>, known: &Known) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= MAX_TOPICS && !topics.contains_key(topic) {
            topics.retain(|_, known| known.serves(Instant::now(), None) && known.leaders.is_ok());
        }
        if topics.len() < MAX_TOPICS || topics.contains_key(topic) {
            topics.insert(Arc::clone(topic), known.clone());
        }
    }
}

async fn ask<D: Dial>(
    links: &Arc<Links<D>>,
    topic: &str,
) -> Result<Arc<[Option<BrokerAddress>]>, Failed> {
    let unreachable = |why: &dyn std::fmt::Display| (NotWritten::Unreachable, why.to_string());
    let link = links.to(&Place::Bootstrap).await.map_err(|why| unreachable(&why))?;
    let version = link.versions.metadata;
    let request = requests::metadata(version, topic).map_err(|error| unreachable(&error))?;
    let answer = link.ask(request).await;
    let answer = answer.ok_or_else(|| unreachable(&"the connection ended"))?;
    let answer =
        TopicAnswer::parse(&answer, version, topic).map_err(|error| unreachable(&error))?;
    match answer.error {
        ErrorCode::NONE | LEADER_NOT_AVAILABLE => {}
        UNKNOWN_TOPIC_OR_PARTITION | INVALID_TOPIC_EXCEPTION => {
            return Err((NotWritten::NoTopic, String::new()));
        }
        other => return Err((NotWritten::Refused(other), String::new())),
    }
    let address = |node| {
        let (_, host, port) = answer.brokers.iter().find(|(other, ..)| *other == node)?;
        let port = u16::try_from(*port).ok()?;
        Some(BrokerAddress { host: host.clone(), port })
    };
    Ok(answer.leaders.iter().map(|leader| leader.and_then(address)).collect())
}

const UNKNOWN_TOPIC_OR_PARTITION: ErrorCode = ErrorCode(3);
const LEADER_NOT_AVAILABLE: ErrorCode = ErrorCode(5);
const INVALID_TOPIC_EXCEPTION: ErrorCode = ErrorCode(17);
