//! What topic ids are called, learnt from answers that pass. Bounded: the oldest are forgotten first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use crate::wire::TopicId;

/// Topic ids that are remembered.
pub const MAX_TOPIC_IDS: usize = 100_000;
/// Longest name that Kafka allows a topic; longer ones are not learnt.
const MAX_NAME_BYTES: usize = 249;

/// Topic ids and names, for the whole process.
#[derive(Debug, Default)]
pub struct TopicIds {
    learnt: RwLock<Learnt>,
}

#[derive(Debug, Default)]
struct Learnt {
    names: HashMap<TopicId, Arc<str>>,
    /// The ids in the order in which they were first learnt.
    order: VecDeque<TopicId>,
}

impl TopicIds {
    /// Takes note of what `id` is called. Nothing is locked for writing if that was known.
    pub fn learn(&self, id: TopicId, name: &str) {
        let known = self.name(id).is_some_and(|known| *known == *name);
        if known || name.len() > MAX_NAME_BYTES {
            return;
        }
        let mut learnt = self.learnt.write().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(id, name);
    }

    /// What `id` is called.
    #[must_use]
    pub fn name(&self, id: TopicId) -> Option<Arc<str>> {
        self.learnt.read().unwrap_or_else(PoisonError::into_inner).names.get(&id).cloned()
    }
}

impl Learnt {
    fn insert(&mut self, id: TopicId, name: &str) {
        if self.names.insert(id, Arc::from(name)).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_TOPIC_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TopicId {
        TopicId(u128::try_from(number).unwrap().to_be_bytes())
    }

    #[test]
    fn names_are_found_by_id_once_learnt() {
        let ids = TopicIds::default();
        assert_eq!(ids.name(id(1)), None);
        ids.learn(id(1), "orders");
        ids.learn(id(2), "users");
        ids.learn(id(1), "orders");
        assert_eq!(ids.name(id(1)).as_deref(), Some("orders"));
        ids.learn(id(1), "orders-2");
        assert_eq!(ids.name(id(1)).as_deref(), Some("orders-2"));
        assert_eq!(ids.name(id(2)).as_deref(), Some("users"));
    }

    #[test]
    fn names_longer_than_kafka_allows_are_not_learnt() {
        let ids = TopicIds::default();
        ids.learn(id(1), &"x".repeat(250));
        assert_eq!(ids.name(id(1)), None);
        ids.learn(id(1), &"x".repeat(249));
        assert!(ids.name(id(1)).is_some());
    }

    #[test]
    fn the_oldest_are_forgotten_past_the_bound() {
        let ids = TopicIds::default();
        for number in 0..MAX_TOPIC_IDS + 10 {
            ids.learn(id(number), "topic");
        }
        assert_eq!(ids.name(id(9)), None);
        assert!(ids.name(id(10)).is_some());
        assert!(ids.name(id(MAX_TOPIC_IDS + 9)).is_some());
        let learnt = ids.learnt.read().unwrap();
        assert_eq!((learnt.names.len(), learnt.order.len()), (MAX_TOPIC_IDS, MAX_TOPIC_IDS));
    }
}
