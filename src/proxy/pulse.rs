//! Whether anything still moves on a connection. Streams note what they move, with plain stores and without a clock; one
//! coarse timer for each connection looks at the notes now and then and says when it has been too long.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use super::{in_force::Bounds, settings::TimeSettings};

/// Why a connection has to go although nobody did anything wrong that could be seen. Scope: this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    /// Nothing was owed, or what was owed was not taken, and nothing moved (`limits.idle_timeout`).
    #[error("nothing has moved for limits.idle_timeout")]
    Idle,
    /// A request that was begun did not become whole (`limits.request_timeout`).
    #[error("a request that was begun is not whole after limits.request_timeout")]
    Request,
    /// The broker owed an answer, or had to take a request, and did nothing (`limits.response_timeout`).
    #[error("the broker owes an answer and has done nothing for limits.response_timeout")]
    Response,
}

/// What the streams of one connection have noted since somebody looked.
#[derive(Debug, Default)]
pub struct Pulse {
    client_moved: AtomicBool,
    broker_moved: AtomicBool,
    /// The side takes nothing of what is written to it.
    client_full: AtomicBool,
    broker_full: AtomicBool,
    /// A reader waits for the rest of a request.
    rest_awaited: AtomicBool,
    /// A request is judged or passed on.
    busy: AtomicBool,
    /// Requests that became whole.
    whole: AtomicU32,
}

impl Pulse {
    /// Takes note that a reader waits for the rest of a request, until the guard is dropped. What it has not asked for, a
    /// client need not send.
    pub fn await_rest(&self) -> RestAwaited<'_> {
        self.rest_awaited.store(true, Relaxed);
        RestAwaited(&self.rest_awaited)
    }

    /// Takes note that a request became whole.
    pub fn whole(&self) {
        self.whole.fetch_add(1, Relaxed);
    }

    /// Takes note whether a request is at hand.
    pub fn busy(&self, busy: bool) {
        self.busy.store(busy, Relaxed);
    }

    fn look(&self, owed: usize) -> Seen {
        let broker_moved = self.broker_moved.swap(false, Relaxed);
        Seen {
            moved: self.client_moved.swap(false, Relaxed) | broker_moved,
            broker_moved,
            client_full: self.client_full.load(Relaxed),
            broker_full: self.broker_full.load(Relaxed),
            rest_awaited: self.rest_awaited.load(Relaxed),
            busy: self.busy.load(Relaxed),
            whole: self.whole.load(Relaxed),
            owed: owed > 0,
        }
    }

    const fn notes(&self, side: Side) -> (&AtomicBool, &AtomicBool) {
        match side {
            Side::Broker => (&self.broker_moved, &self.broker_full),
            Side::Client => (&self.client_moved, &self.client_full),
        }
    }
}

/// While it lives, the rest of a request is awaited.
#[derive(Debug)]
pub struct RestAwaited<'p>(&'p AtomicBool);

impl Drop for RestAwaited<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// Who is at the other end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The broker.
    Broker,
    /// The client.
    Client,
}

/// A stream, or half of one, that notes what it moves.
#[derive(Debug)]
pub struct Watched<S> {
    io: S,
    side: Side,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    /// Notes what `io`, which leads to `side`, moves.
    pub fn new(io: S, side: Side, pulse: &Arc<Pulse>) -> Self {
        Self { io, side, pulse: Arc::clone(pulse) }
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        let (moved, full) = self.pulse.notes(self.side);
        full.store(written.is_pending(), Relaxed);
        if matches!(written, Poll::Ready(Ok(1..))) {
            moved.store(true, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buf);
        if buf.filled().len() > before {
            this.pulse.notes(this.side).0.store(true, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, pieces);
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.pulse.notes(this.side).1.store(flushed.is_pending(), Relaxed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// Waits until a connection has to go; `owed` says how many requests wait for their answer. New times count from the next
/// look on, `MAX_PERIOD` later at most.
///
/// # Cancel safety
/// Dropped, it forgets how long it has been.
pub async fn lapse(pulse: &Pulse, bounds: &ArcSwap<Bounds>, owed: impl Fn() -> usize) -> Lapse {
    let mut ages = Ages::default();
    loop {
        let period = period(&bounds.load().times);
        sleep(period).await;
        if let Some(lapse) = ages.add(&pulse.look(owed()), period, &bounds.load().times) {
            return lapse;
        }
    }
}

/// A quarter of the shortest time: what lapses is noticed at most that much late. Where nothing ever lapses, that may have
/// changed when somebody looks again.
fn period(times: &TimeSettings) -> Duration {
    let all = [times.idle_timeout, times.request_timeout, times.response_timeout];
    let shortest = all.into_iter().filter(|timeout| !timeout.is_zero()).min();
    shortest.map_or(MAX_PERIOD, |shortest| (shortest / 4).clamp(MIN_PERIOD, MAX_PERIOD))
}

const MIN_PERIOD: Duration = Duration::from_millis(10);
const MAX_PERIOD: Duration = Duration::from_secs(30);

/// One look.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    moved: bool,
    broker_moved: bool,
    client_full: bool,
    broker_full: bool,
    rest_awaited: bool,
    busy: bool,
    whole: u32,
    owed: bool,
}

/// For how long something has been so, counted in looks: while the process stands still, nothing gets older. `None`: it was
/// not so when somebody last looked.
#[derive(Debug, Default)]
struct Ages {
    idle: Option<Duration>,
    request: Option<Duration>,
    response: Option<Duration>,
    whole: u32,
}

impl Ages {
    fn add(&mut self, seen: &Seen, period: Duration, times: &TimeSettings) -> Option<Lapse> {
        let older = |age: Option<Duration>| Some(age.map_or(Duration::ZERO, |age| age + period));
        let broker_owes = (seen.owed && !seen.client_full) || seen.broker_full;
        let waits = broker_owes || (seen.busy && !seen.client_full);
        self.idle = if seen.moved || waits { None } else { older(self.idle) };
        self.response = if seen.broker_moved || !broker_owes { None } else { older(self.response) };
        if self.whole != seen.whole {
            (self.whole, self.request) = (seen.whole, None);
        }
        if seen.rest_awaited {
            self.request = older(self.request);
        }
        let past = |age: Option<Duration>, timeout: Duration| {
            !timeout.is_zero() && age.is_some_and(|age| age >= timeout)
        };
        if past(self.request, times.request_timeout) {
            Some(Lapse::Request)
        } else if past(self.response, times.response_timeout) {
            Some(Lapse::Response)
        } else {
            past(self.idle, times.idle_timeout).then_some(Lapse::Idle)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::WireLimits;

    const SECOND: Duration = Duration::from_secs(1);

    fn times() -> TimeSettings {
        TimeSettings {
            handshake_timeout: SECOND,
            lookup_deadline: SECOND,
            stall_timeout: SECOND,
            drain_grace: SECOND,
            idle_timeout: 10 * SECOND,
            request_timeout: 5 * SECOND,
            response_timeout: 20 * SECOND,
        }
    }

    /// After how many looks, a second apart, a connection goes that is always seen like this.
    fn looks(seen: impl Fn(u32) -> Seen) -> Option<(u32, Lapse)> {
        let mut ages = Ages::default();
        (1..100).find_map(|look| Some((look, ages.add(&seen(look), SECOND, &times())?)))
    }

    #[test]
    fn each_way_of_standing_still_has_its_time() {
        let quiet = Seen::default();
        let owed = Seen { owed: true, ..quiet };
        let rest = Seen { rest_awaited: true, ..quiet };
        for (seen, expected) in [
            (quiet, Some((11, Lapse::Idle))),
            (Seen { moved: true, ..quiet }, None),
            (Seen { busy: true, ..quiet }, None),
            (rest, Some((6, Lapse::Request))),
            (Seen { moved: true, ..rest }, Some((6, Lapse::Request))),
            (owed, Some((21, Lapse::Response))),
            (Seen { busy: true, broker_full: true, ..quiet }, Some((21, Lapse::Response))),
            (Seen { moved: true, ..owed }, Some((21, Lapse::Response))),
            (Seen { moved: true, broker_moved: true, ..owed }, None),
            // A broker that is not read owes nothing.
            (Seen { client_full: true, ..owed }, Some((11, Lapse::Idle))),
            (Seen { client_full: true, busy: true, ..owed }, Some((11, Lapse::Idle))),
            (Seen { client_full: true, moved: true, ..owed }, None),
        ] {
            assert_eq!(looks(|_| seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn a_client_is_not_blamed_for_what_it_was_not_asked_for() {
        let seen = |look| Seen { rest_awaited: look % 2 == 0, moved: true, ..Seen::default() };
        assert_eq!(looks(seen), Some((12, Lapse::Request)));
    }

    #[test]
    fn a_new_request_has_its_own_time() {
        let seen =
            |look| Seen { rest_awaited: true, moved: true, whole: look / 5, ..Seen::default() };
        assert_eq!(looks(seen), None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_times_nothing_lapses_until_there_are_some() {
        let zero = Duration::ZERO;
        let never = TimeSettings {
            idle_timeout: zero,
            request_timeout: zero,
            response_timeout: zero,
            ..times()
        };
        let in_force =
            |times: &TimeSettings| Bounds { limits: WireLimits::default(), times: times.clone() };
        let bounds = ArcSwap::from_pointee(in_force(&never));
        let pulse = Pulse::default();
        let mut lapsed = std::pin::pin!(lapse(&pulse, &bounds, || 0));
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, &mut lapsed).await.is_err());
        let idle = TimeSettings { idle_timeout: Duration::from_millis(20), ..never };
        bounds.store(Arc::new(in_force(&idle)));
        let lapsed = tokio::time::timeout(2 * MAX_PERIOD, lapsed).await;
        assert_eq!(lapsed, Ok(Lapse::Idle));
    }
}
