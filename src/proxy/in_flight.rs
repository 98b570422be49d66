//! The requests of one connection that are owed an answer, in request order: answers leave in that order, whether the
//! broker gives them or we do. Correlation ids are data here, not keys. No sockets.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::wire::{WireError, frame::Frame};

/// A request that went to the broker, and what to do with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded<T> {
    /// Its api key.
    pub api_key: i16,
    /// Its api version: the answer has the same.
    pub api_version: i16,
    /// Its correlation id: the answer repeats it.
    pub correlation_id: i32,
    /// What to do with the answer.
    pub then: T,
}

impl<T> Forwarded<T> {
    /// Checks that an answer belongs to this request. A broker answers a connection in order.
    ///
    /// # Errors
    /// [`WireError::Correlation`] if it does not.
    pub const fn expect(&self, correlation_id: i32) -> Result<(), WireError> {
        if correlation_id == self.correlation_id {
            Ok(())
        } else {
            Err(WireError::Correlation { actual: correlation_id, expected: self.correlation_id })
        }
    }
}

/// One answer that is owed to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owed<T> {
    /// The broker will give it.
    Broker(Forwarded<T>),
    /// It is ready, and waits for those before it.
    Local(Frame),
}

/// Why a request cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InFlightFull {
    /// Nothing is answered any more.
    #[error("answers are no longer written")]
    Closed,
    /// As many requests wait as may.
    #[error("{limit} requests wait for their answer")]
    Limit {
        /// How many may wait.
        limit: usize,
    },
}

/// The queue of answers that are owed.
#[derive(Debug)]
pub struct InFlight<T> {
    queue: VecDeque<Owed<T>>,
    limit: usize,
}

impl<T> InFlight<T> {
    /// A queue of at most `limit` requests.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), limit }
    }

    /// Puts a request at the end of the line. `acks=0` is owed nothing and does not come here.
    ///
    /// # Errors
    /// [`InFlightFull::Limit`] if the line is full.
    pub fn push(&mut self, owed: Owed<T>) -> Result<(), InFlightFull> {
        if self.queue.len() >= self.limit {
            return Err(InFlightFull::Limit { limit: self.limit });
        }
        self.queue.push_back(owed);
        Ok(())
    }

    /// The answer that has to be written next.
    #[must_use]
    pub fn front(&self) -> Option<&Owed<T>> {
        self.queue.front()
    }

    /// Takes the answer that has to be written next.
    pub fn pop(&mut self) -> Option<Owed<T>> {
        self.queue.pop_front()
    }

    /// The request that the broker answers next. `None`: it owes nothing, and whatever it sends is unasked for.
    #[must_use]
    pub fn oldest_forwarded(&self) -> Option<&Forwarded<T>> {
        self.queue.iter().find_map(|owed| match owed {
            Owed::Broker(forwarded) => Some(forwarded),
            Owed::Local(_) => None,
        })
    }

    /// Requests in line.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// [`InFlight`] between one half of a connection that reads requests and one that writes answers, in one task or two.
///
/// An answer that was handed out counts until the next one is asked for: the line is empty only when everything has been
/// written.
#[derive(Debug)]
pub struct InFlightQueue<T> {
    state: Mutex<State<T>>,
    /// Something can be written, or nothing ever will.
    ready: Notify,
    /// Something was written, or nothing ever will be.
    written: Notify,
}

impl<T> InFlightQueue<T> {
    /// A queue of at most `limit` requests.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let state = State { owed: InFlight::new(limit), being_written: 0, closed: false };
        Self { state: Mutex::new(state), ready: Notify::new(), written: Notify::new() }
    }

    /// Puts a request at the end of the line.
    ///
    /// # Errors
    /// [`InFlightFull`] if the line is full or closed. After [`Self::wait_for_room`] there is room for one.
    pub fn push(&self, owed: Owed<T>) -> Result<(), InFlightFull> {
        let mut state = self.lock();
        if state.closed {
            return Err(InFlightFull::Closed);
        }
        if !state.has_room() {
            return Err(InFlightFull::Limit { limit: state.owed.limit });
        }
        state.owed.push(owed)?;
        drop(state);
        self.ready.notify_waiters();
        Ok(())
    }

    /// Returns once there is room for a request, or the line is closed. Without room the client's socket is not read.
    ///
    /// # Cancel safety
    /// It can be dropped and called again at will.
    pub async fn wait_for_room(&self) {
        self.wait_until(&self.written, |state| (state.closed || state.has_room()).then_some(()))
            .await;
    }

    /// The answer that has to be written next; the one before counts as written with this call. `None`: the line was
    /// closed and everything has been written.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&self) -> Option<Owed<T>> {
        self.finish_answer();
        self.wait_until(&self.ready, |state| match state.owed.pop() {
            Some(owed) => {
                state.being_written = 1;
                Some(Some(owed))
            }
            None => state.closed.then_some(None),
        })
        .await
    }

    /// Takes no more requests. What is owed is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_waiters();
        self.written.notify_waiters();
    }

    /// Whether nothing is owed and nothing is being written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().len() == 0
    }

    /// Requests whose answer has not been written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns once everything that is owed has been written.
    ///
    /// # Cancel safety
    /// It can be dropped and called again at will.
    pub async fn drained(&self) {
        self.wait_until(&self.written, |state| (state.len() == 0).then_some(())).await;
    }

    fn finish_answer(&self) {
        let written = std::mem::take(&mut self.lock().being_written);
        if written > 0 {
            self.written.notify_waiters();
        }
    }

    async fn wait_until<R>(
        &self,
        change: &Notify,
        mut attempt: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> R {
        loop {
            // Made before the state is looked at, so that a change in between is not missed.
            let changed = change.notified();
            if let Some(result) = attempt(&mut self.lock()) {
                return result;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State<T> {
    owed: InFlight<T>,
    /// 1 while an answer that was handed out is being written.
    being_written: usize,
    closed: bool,
}

impl<T> State<T> {
    fn len(&self) -> usize {
        self.owed.len().saturating_add(self.being_written)
    }

    fn has_room(&self) -> bool {
        self.len() < self.owed.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::{
        future::Future,
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn forwarded(correlation_id: i32) -> Owed<()> {
        Owed::Broker(Forwarded { api_key: 0, api_version: 9, correlation_id, then: () })
    }

    fn local(correlation_id: i32) -> Owed<()> {
        let [a, b, c, d] = correlation_id.to_be_bytes();
        let bytes = Bytes::copy_from_slice(&[0, 0, 0, 4, a, b, c, d]);
        Owed::Local(Frame::from_bytes(bytes).unwrap())
    }

    #[test]
    fn answers_leave_in_request_order_whoever_gives_them() {
        let mut line = InFlight::new(3);
        for owed in [local(1), forwarded(2), local(3)] {
            line.push(owed).unwrap();
        }
        assert_eq!(line.push(local(4)), Err(InFlightFull::Limit { limit: 3 }));
        assert_eq!(line.oldest_forwarded().map(|oldest| oldest.correlation_id), Some(2));
        assert_eq!(line.front(), Some(&local(1)));
        assert_eq!(
            [(); 4].map(|()| line.pop()),
            [Some(local(1)), Some(forwarded(2)), Some(local(3)), None]
        );
        assert!(line.is_empty() && line.oldest_forwarded().is_none());
    }

    #[test]
    fn an_answer_to_another_request_is_an_error() {
        let oldest = Forwarded { api_key: 3, api_version: 12, correlation_id: 7, then: () };
        assert_eq!(oldest.expect(7), Ok(()));
        assert_eq!(oldest.expect(8), Err(WireError::Correlation { actual: 8, expected: 7 }));
    }

    #[test]
    fn an_answer_counts_until_it_is_written() {
        let queue = InFlightQueue::new(1);
        queue.push(local(1)).unwrap();
        let mut drained = pin!(queue.drained());
        let mut room = pin!(queue.wait_for_room());
        assert_eq!(poll(pin!(queue.next())), Poll::Ready(Some(local(1))));
        assert!(poll(drained.as_mut()).is_pending() && poll(room.as_mut()).is_pending());
        assert_eq!(queue.push(local(2)), Err(InFlightFull::Limit { limit: 1 }));
        assert_eq!(queue.len(), 1);
        assert!(poll(pin!(queue.next())).is_pending());
        assert!(poll(drained).is_ready() && poll(room).is_ready() && queue.is_empty());
        queue.push(local(2)).unwrap();
    }

    #[test]
    fn a_closed_line_hands_out_what_is_owed_and_then_ends() {
        let queue = InFlightQueue::new(2);
        queue.push(forwarded(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(local(2)), Err(InFlightFull::Closed));
        assert_eq!(poll(pin!(queue.next())), Poll::Ready(Some(forwarded(1))));
        assert_eq!(poll(pin!(queue.next())), Poll::Ready(None));
        assert_eq!(poll(pin!(queue.wait_for_room())), Poll::Ready(()));
    }

    #[test]
    fn closing_wakes_the_half_that_waits() {
        let queue = InFlightQueue::<()>::new(1);
        let mut next = pin!(queue.next());
        assert!(poll(next.as_mut()).is_pending());
        queue.close();
        assert_eq!(poll(next), Poll::Ready(None));
    }

    #[test]
    fn two_tasks_pass_everything_on_in_order() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let queue = std::sync::Arc::new(InFlightQueue::new(3));
            let reader = std::sync::Arc::clone(&queue);
            let reads = tokio::spawn(async move {
                for id in 0..2_000 {
                    reader.wait_for_room().await;
                    reader.push(if id % 3 == 0 { local(id) } else { forwarded(id) }).unwrap();
                }
                reader.drained().await;
                reader.close();
            });
            let mut expected = 0..2_000;
            while let Some(owed) = queue.next().await {
                let id = expected.next().unwrap();
                assert_eq!(owed, if id % 3 == 0 { local(id) } else { forwarded(id) });
            }
            assert_eq!(expected.next(), None);
            reads.await.unwrap();
        });
    }

    proptest! {
        #[test]
        fn behaves_like_a_bounded_list(operations in proptest::collection::vec(0..3_u8, 0..100)) {
            let queue = InFlightQueue::new(4);
            let mut expected = VecDeque::new();
            let mut writing = 0;
            for (operation, id) in operations.into_iter().zip(0..) {
                if operation > 0 {
                    let fits = expected.len() + writing < 4;
                    prop_assert_eq!(queue.push(forwarded(id)).is_ok(), fits);
                    if fits {
                        expected.push_back(id);
                    }
                } else {
                    let next = expected.pop_front();
                    writing = usize::from(next.is_some());
                    match poll(pin!(queue.next())) {
                        Poll::Ready(owed) => prop_assert_eq!(owed, next.map(forwarded)),
                        Poll::Pending => prop_assert_eq!(next, None),
                    }
                }
                prop_assert_eq!(queue.len(), expected.len() + writing);
            }
        }
    }
}
