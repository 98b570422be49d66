//! Which partitions of a Produce request go on and which are refused: the only maker of bytes that may reach a broker.

use bytes::Bytes;

use super::{
    policy::{Action, Mode, TopicPolicy},
    verdict::{BatchFault, PartitionVerdict},
};
use crate::wire::{
    produce::ProduceRequest,
    refuse::{AnswerShape, MAX_ANSWER_TEXT, Refusal},
};

/// Proof that a Produce request may reach a broker: every partition in it was judged, or its topic is not policed. Only
/// [`Planner::finish`] makes one, and the broker's writer takes only this and [`crate::wire::request::OpaqueFrame`]:
/// sending an unjudged Produce does not compile.
#[derive(Debug)]
pub struct Cleared<T>(T);

impl<T> Cleared<T> {
    /// What was cleared.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Decides partition by partition. What nobody decided is refused.
#[derive(Debug)]
pub struct Planner<'a> {
    request: &'a ProduceRequest<'a>,
    actions: Vec<Vec<Option<Action>>>,
    /// Bytes of text that refusals may still have: thousands of partitions must not hold it all before the answer is cut.
    text_left: usize,
}

/// What a Produce request comes to.
#[derive(Debug)]
pub struct Plan {
    /// The bytes for the broker, in the order of writing. The request as it came where nothing is refused; otherwise the
    /// request without the refused partitions, possibly without any.
    pub cleared: Cleared<Vec<Bytes>>,
    /// What the answer has to contain beyond the broker's. `None` where nothing is refused.
    pub shape: Option<AnswerShape>,
    /// Partitions that go on.
    pub forwarded: usize,
}

impl<'a> Planner<'a> {
    /// Starts with nothing decided.
    #[must_use]
    pub fn new(request: &'a ProduceRequest<'a>) -> Self {
        let actions = request.topics.iter().map(|topic| {
            let mut actions = Vec::new();
            actions.resize_with(topic.partitions.len(), || None);
            actions
        });
        Self { actions: actions.collect(), request, text_left: MAX_ANSWER_TEXT }
    }

    /// Lets a partition go on unread if its topic is not policed, and says whether it is so.
    pub fn unread(&mut self, at: At, policy: &TopicPolicy) -> bool {
        let off = policy.mode == Mode::Off;
        if off {
            self.set(at, Action::Forward);
        }
        off
    }

    /// Lets a partition go on although it could not be judged, if its topic is only observed.
    pub fn unjudged(&mut self, at: At, policy: &TopicPolicy) {
        if policy.mode == Mode::Observe {
            self.set(at, Action::Forward);
        }
    }

    /// Refuses a partition for what is wrong with it as a whole.
    pub fn refuse(&mut self, at: At, fault: &BatchFault) {
        self.set(at, Action::refuse(fault));
    }

    /// Decides a partition by what was found in it, and says how.
    pub fn judged(&mut self, at: At, policy: &TopicPolicy, verdict: &PartitionVerdict) -> &Action {
        self.set(at, policy.decide(verdict))
    }

    /// Adds `text` to what the producer of a refused partition is told.
    pub fn add(&mut self, at: At, text: &str) {
        let slot = self.actions.get_mut(at.topic).and_then(|topic| topic.get_mut(at.partition));
        if let Some(Some(Action::Refuse(refusal))) = slot {
            refusal.add(text, &mut self.text_left);
        }
    }

    /// What the producer of a refused partition is told.
    #[must_use]
    pub fn refusal(&self, at: At) -> Option<&Refusal> {
        let slot = self.actions.get(at.topic).and_then(|topic| topic.get(at.partition))?;
        match slot {
            Some(Action::Refuse(refusal)) => Some(refusal),
            _ => None,
        }
    }

    /// Whether a partition is decided.
    #[must_use]
    pub fn is_decided(&self, at: At) -> bool {
        self.actions
            .get(at.topic)
            .and_then(|topic| topic.get(at.partition))
            .is_some_and(Option::is_some)
    }

    fn set(&mut self, at: At, action: Action) -> &Action {
        const NOWHERE: &Action = &Action::Forward;
        let action = match action {
            Action::Refuse(refusal) => Action::Refuse(refusal.presentable(&mut self.text_left)),
            Action::Forward => Action::Forward,
        };
        let slot = self.actions.get_mut(at.topic).and_then(|topic| topic.get_mut(at.partition));
        slot.map_or(NOWHERE, |slot| slot.insert(action))
    }

    /// The plan: bytes for the broker, and what to answer for the rest.
    #[must_use]
    pub fn finish(mut self, frame: &Bytes) -> Plan {
        let forwards = |action: &Option<Action>| matches!(action, Some(Action::Forward));
        let total: usize = self.actions.iter().map(Vec::len).sum();
        let forwarded = self.actions.iter().flatten().filter(|action| forwards(action)).count();
        if forwarded == total {
            return Plan { cleared: Cleared(vec![frame.clone()]), shape: None, forwarded };
        }
        let keep = |topic: usize, partition: usize| {
            self.actions.get(topic).and_then(|topic| topic.get(partition)).is_some_and(forwards)
        };
        let cleared = Cleared(self.request.without(keep));
        let shape = AnswerShape::of(self.request, |topic, partition| {
            let slot = self.actions.get_mut(topic).and_then(|topic| topic.get_mut(partition));
            match slot.and_then(Option::take) {
                Some(Action::Forward) => None,
                Some(Action::Refuse(refusal)) => Some(refusal),
                None => Some(Refusal::undecided()),
            }
        });
        Plan { cleared, shape: Some(shape), forwarded }
    }
}

/// A partition by its place in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Index of the topic in the request.
    pub topic: usize,
    /// Index of the partition in the topic.
    pub partition: usize,
}
