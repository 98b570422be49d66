//! The requests of one connection that are owed an answer, in request order (sans-io).
//!
//! A client takes answers in the order of its requests, whoever gave them: correlation ids are checked, never used to
//! find a request.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    limits::MIB,
    wire::{Frame, prefix::RequestPrefix},
};

/// What a request is owed.
#[derive(Debug)]
pub enum Owed<T> {
    /// The broker's answer, and what is to be done with it.
    Broker {
        /// The request.
        prefix: RequestPrefix,
        /// What is to be done with the answer.
        then: T,
    },
    /// An answer that was made here.
    Local(Frame),
}

/// Bytes that answers made here, or parts of answers, may have while they wait. One more may always wait.
const MAX_WAITING_BYTES: usize = MIB;

/// The queue between the way of requests, which pushes, and the way of responses, which takes.
#[derive(Debug)]
pub struct InFlight<T> {
    queue: Mutex<Queue<T>>,
    pushed: Notify,
    settled: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<(Owed<T>, usize)>,
    /// Taken and not settled yet.
    taken: usize,
    /// What those that were taken have waiting.
    taken_bytes: usize,
    /// What all of them have waiting.
    bytes: usize,
    closed: bool,
    /// Since when the broker has the oldest Produce request that it has not answered: most clients have one at a time, and
    /// what they need is not worth an allocation.
    handed: Option<Instant>,
    /// The same of those behind it.
    handed_behind: VecDeque<Instant>,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> InFlight<T> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let waiting = VecDeque::new();
        let queue = Queue {
            waiting,
            taken: 0,
            taken_bytes: 0,
            bytes: 0,
            closed: false,
            handed: None,
            handed_behind: VecDeque::new(),
        };
        Self { queue: Mutex::new(queue), pushed: Notify::new(), settled: Notify::new() }
    }

    /// Waits until one more request may be owed an answer, where `limit` may be; says whether it had to.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn room(&self, limit: usize) -> bool {
        let mut waited = false;
        while self.is_full(limit) {
            waited = true;
            self.settled.notified().await;
        }
        waited
    }

    /// Waits until nothing is owed any more. One caller at a time, the one that pushes.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn all_settled(&self) {
        while self.owed() > 0 {
            self.settled.notified().await;
        }
    }

    fn is_full(&self, limit: usize) -> bool {
        self.owed() >= limit || self.lock().bytes >= MAX_WAITING_BYTES
    }

    /// Takes a place in line, for an answer of which `bytes` wait here already. Must happen before the request can reach
    /// the broker.
    pub fn push(&self, owed: Owed<T>, bytes: usize) {
        let mut queue = self.lock();
        queue.waiting.push_back((owed, bytes));
        queue.bytes = queue.bytes.saturating_add(bytes);
        drop(queue);
        self.pushed.notify_one();
    }

    /// Takes note that a Produce request that will be answered is handed to the broker. In the order of their pushes.
    pub fn hand(&self, at: Instant) {
        let mut queue = self.lock();
        if queue.handed.is_none() {
            queue.handed = Some(at);
        } else {
            queue.handed_behind.push_back(at);
        }
    }

    /// Since when the broker has had the Produce request that it has just answered: the oldest.
    pub fn answered(&self) -> Option<Instant> {
        let mut queue = self.lock();
        let next = queue.handed_behind.pop_front();
        std::mem::replace(&mut queue.handed, next)
    }

    /// Nothing more will be pushed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.pushed.notify_one();
    }

    /// Whether nothing more will be pushed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Requests without an answer.
    #[must_use]
    pub fn owed(&self) -> usize {
        let queue = self.lock();
        queue.waiting.len().saturating_add(queue.taken)
    }

    /// The oldest request, if one waits.
    pub fn try_next(&self) -> Option<Owed<T>> {
        let mut queue = self.lock();
        let (owed, bytes) = queue.waiting.pop_front()?;
        queue.taken = queue.taken.saturating_add(1);
        queue.taken_bytes = queue.taken_bytes.saturating_add(bytes);
        Some(owed)
    }

    /// The oldest request; `None` once the queue is closed and empty.
    ///
    /// # Cancel safety
    /// Takes nothing unless it returns it. One caller at a time.
    pub async fn next(&self) -> Option<Owed<T>> {
        loop {
            if let Some(owed) = self.try_next() {
                return Some(owed);
            }
            if self.lock().closed {
                return None;
            }
            self.pushed.notified().await;
        }
    }

    /// The request that was taken last has its answer.
    pub fn settled(&self) {
        let mut queue = self.lock();
        queue.taken = queue.taken.saturating_sub(1);
        queue.bytes = queue.bytes.saturating_sub(queue.taken_bytes);
        queue.taken_bytes = 0;
        drop(queue);
        self.settled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    fn broker(correlation_id: i32) -> Owed<()> {
        let prefix = RequestPrefix { api_key: 0, api_version: 9, correlation_id };
        Owed::Broker { prefix, then: () }
    }

    fn id(owed: Option<Owed<()>>) -> Option<i32> {
        match owed {
            Some(Owed::Broker { prefix, .. }) => Some(prefix.correlation_id),
            Some(Owed::Local(_)) => Some(-1),
            None => None,
        }
    }

    fn local() -> Owed<()> {
        Owed::Local(Frame::build(&[0; 4]).unwrap())
    }

    #[tokio::test]
    async fn answers_leave_in_request_order_whoever_gives_them() {
        let in_flight = InFlight::new();
        for owed in [broker(1), local(), broker(2)] {
            in_flight.push(owed, 0);
        }
        in_flight.close();
        for expected in [Some(1), Some(-1), Some(2), None] {
            assert_eq!(id(in_flight.next().await), expected);
        }
    }

    #[test]
    fn a_full_queue_has_room_again_when_an_answer_is_settled() {
        let in_flight = InFlight::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        in_flight.push(broker(1), 0);
        let mut room = pin!(in_flight.room(1));
        assert!(room.as_mut().poll(&mut context).is_pending());
        assert_eq!(id(in_flight.try_next()), Some(1));
        assert!(room.as_mut().poll(&mut context).is_pending(), "taken is not yet answered");
        in_flight.settled();
        assert!(room.as_mut().poll(&mut context).is_ready());
        assert_eq!(in_flight.owed(), 0);
    }

    #[test]
    fn a_queue_is_full_too_when_answers_of_many_bytes_wait() {
        let in_flight = InFlight::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        in_flight.push(broker(1), MAX_WAITING_BYTES - 1);
        assert!(pin!(in_flight.room(10)).poll(&mut context).is_ready());
        in_flight.push(broker(2), 1);
        let mut room = pin!(in_flight.room(10));
        assert!(room.as_mut().poll(&mut context).is_pending());
        assert_eq!(id(in_flight.try_next()), Some(1));
        assert!(room.as_mut().poll(&mut context).is_pending(), "taken is not yet answered");
        in_flight.settled();
        assert!(room.as_mut().poll(&mut context).is_ready());
        assert_eq!(id(in_flight.try_next()), Some(2));
        in_flight.settled();
        assert_eq!(in_flight.lock().bytes, 0);
    }

    #[test]
    fn since_when_the_broker_has_requests_is_told_in_their_order() {
        let in_flight = InFlight::<()>::new();
        let now = Instant::now();
        let at = |seconds| now + std::time::Duration::from_secs(seconds);
        for round in 0..3 {
            assert_eq!(in_flight.answered(), None);
            (0..round).for_each(|number| in_flight.hand(at(number)));
            for number in 0..round {
                assert_eq!(in_flight.answered(), Some(at(number)), "{number} of {round}");
                in_flight.hand(at(round + number));
            }
            for number in 0..round {
                assert_eq!(in_flight.answered(), Some(at(round + number)));
            }
        }
    }

    #[test]
    fn a_push_wakes_who_waits_for_the_next() {
        let in_flight = InFlight::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut next = pin!(in_flight.next());
        assert!(next.as_mut().poll(&mut context).is_pending());
        in_flight.push(broker(7), 0);
        assert!(next.as_mut().poll(&mut context).is_ready());
    }
}
