//! Cuts whole frames from one side of a connection, holding no more than has arrived.

use std::{
    cmp,
    future::{Future, poll_fn},
    io, mem,
    pin::pin,
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use super::{
    budget::{Holding, Stage},
    in_force::WatchedBounds,
    peer::Peer,
    pulse::Pulse,
    spare,
};
use crate::{
    limits::{KIB, MIB},
    wire::{
        Frame, WireError,
        api::{self, ApiKey},
        frame,
    },
};

/// What an idle connection's buffer takes; most requests fit.
const IDLE_BYTES: usize = KIB / 2;
/// What a read makes room for beyond what is already there, at least: memory grows with what arrived.
const STEP_BYTES: usize = 64 * KIB;
/// The first step for a frame is never larger, whatever came before.
const MAX_STEP_BYTES: usize = MIB;
/// Buffers larger than this are given back when they are empty. What fits into it is not charged: a small request never
/// waits for memory that large ones hold.
pub const KEPT_BYTES: usize = 16 * KIB;

/// What can wait in a socket, about.
const SOCKET_BYTES: usize = 8 * MIB;

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The socket failed.
    #[error("reading failed")]
    Io(#[source] io::Error),
    /// The peer closed in the middle of a frame.
    #[error("the peer closed after {got} bytes of a frame")]
    Truncated {
        /// Bytes that had come.
        got: usize,
    },
    /// A client that must log in first asks for something else.
    #[error("{api} was asked for before the broker had accepted a login")]
    Stranger {
        /// What.
        api: &'static str,
    },
    /// What it sent is no frame, or a larger one than is taken.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// A buffered reading half.
#[derive(Debug)]
pub struct Buffered<R> {
    io: R,
    buf: BytesMut,
    /// What the next idle read makes room for.
    idle_bytes: usize,
    /// Since when nobody has read, although there may have been something, and how much was found since. `None` once a
    /// read had to wait, or more was found than can have waited.
    paused: Option<(Instant, usize)>,
    /// What the latest buffer for a large frame took: with less, it was divided.
    whole_capacity: usize,
    /// About how large the largest of the latest frames was: the next one may as well be.
    usual: usize,
    /// Where it is noted that the rest of a frame is awaited.
    pulse: Option<Arc<Pulse>>,
}

impl<R: AsyncRead + Unpin> Buffered<R> {
    /// Nothing read yet.
    pub fn new(io: R) -> Self {
        Self {
            io,
            buf: BytesMut::new(),
            idle_bytes: IDLE_BYTES,
            paused: None,
            whole_capacity: 0,
            usual: 0,
            pulse: None,
        }
    }

    /// What has been read and not been taken.
    pub const fn buffered(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Reads once, `room` bytes at most. `0` is the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel safety
    /// What was read stays in the buffer.
    pub async fn fill(&mut self, room: usize) -> io::Result<usize> {
        if self.buf.is_empty() && self.buf.capacity() > KEPT_BYTES && room <= KEPT_BYTES {
            self.buf = BytesMut::new();
        }
        let Self { io, buf, paused, pulse, .. } = self;
        let _rest = pulse.as_ref().filter(|_| !buf.is_empty()).map(|pulse| pulse.await_rest());
        let read = poll_fn(|context| {
            buf.reserve(room);
            let read = pin!(io.read_buf(&mut (&mut *buf).limit(room))).poll(context);
            if read.is_pending() {
                *paused = None;
                // Who waits holds little. What is smaller stays, to be used again.
                if buf.is_empty() && buf.capacity() > 2 * IDLE_BYTES {
                    *buf = BytesMut::new();
                }
            }
            read
        })
        .await?;
        let paused = self.paused.map(|(since, found)| (since, found.saturating_add(read)));
        self.paused = paused.filter(|(_, found)| *found <= SOCKET_BYTES);
        Ok(read)
    }

    /// Takes note that nobody reads from now on: what is found at the next read may have come at any time since.
    pub fn pause(&mut self) {
        self.paused.get_or_insert_with(|| (Instant::now(), 0));
    }

    /// When what was just read came, at the earliest.
    fn arrival(&self) -> Instant {
        self.paused.map_or_else(Instant::now, |(since, _)| since)
    }

    /// Reads and forgets until the other side closes.
    pub async fn discard(&mut self) {
        self.buf.clear();
        while self.fill(KEPT_BYTES).await.is_ok_and(|read| read > 0) {
            self.buf.clear();
        }
    }

    /// Makes room for exactly `room` bytes more: growing in place would take up to twice what was accounted for.
    fn make_room(&mut self, room: usize) {
        let needed = self.buf.len().saturating_add(room);
        if self.buf.capacity() < needed {
            let mut grown = spare::buffer(needed);
            grown.extend_from_slice(&self.buf);
            if self.is_undivided() {
                spare::give_back(mem::take(&mut self.buf));
            }
            self.whole_capacity = grown.capacity();
            self.buf = grown;
        }
    }

    /// Whether the buffer is the latest for a large frame, and nothing of it was given away.
    fn is_undivided(&self) -> bool {
        self.buf.capacity() == self.whole_capacity
    }

    /// Waits for anything to arrive, with the buffer of an idle connection, or a larger one while it is filled each time.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel safety
    /// What was read stays in the buffer.
    pub async fn fill_idle(&mut self) -> io::Result<usize> {
        let read = self.fill(self.idle_bytes).await?;
        self.idle_bytes = if read < self.idle_bytes { IDLE_BYTES } else { KEPT_BYTES };
        Ok(read)
    }

    /// Reads until `total` bytes are buffered, growing in steps, the first as large as the latest frames, and takes them.
    /// Nothing behind them is read, so that a large frame has its buffer for itself. They are charged to `holding` beside the
    /// `charged` bytes that it covers already; `stage` says how to ask for the first of them.
    ///
    /// # Errors
    /// [`ReadError`] when the stream ends or fails.
    ///
    /// # Cancel safety
    /// What was read stays in the buffer, what was charged stays charged.
    pub async fn whole(
        &mut self,
        total: usize,
        holding: &mut Holding,
        charged: usize,
        stage: Stage,
    ) -> Result<Bytes, ReadError> {
        let begun = holding.to_cover(charged);
        loop {
            let missing = total.saturating_sub(self.buf.len());
            let step = cmp::max(STEP_BYTES, cmp::max(self.buf.len(), self.usual));
            let step = cmp::min(missing, step);
            let here = cmp::min(total, self.buf.len());
            let needed = charged.saturating_add(here).saturating_add(step);
            // What came with the request before is charged too: many small ones may be read ahead.
            if stage == Stage::Begin && holding.held() <= begun {
                holding.begin_cover(needed).await;
            } else {
                holding.cover(needed).await;
            }
            if missing == 0 {
                // Slowly less: frames of a busy producer differ, and a second step is a second buffer and a copy.
                let faded = self.usual - self.usual / 8;
                self.usual = cmp::max(faded, cmp::min(total, MAX_STEP_BYTES));
                // Smaller ones leave their buffer here, for what comes next.
                let alone =
                    total >= spare::MIN_BYTES && self.buf.len() == total && self.is_undivided();
                return Ok(match alone {
                    true => spare::freeze(mem::take(&mut self.buf)),
                    false => self.buf.split_to(total).freeze(),
                });
            }
            self.make_room(step);
            if self.fill(step).await.map_err(ReadError::Io)? == 0 {
                return Err(ReadError::Truncated { got: self.buf.len() });
            }
            holding.progress();
        }
    }
}

/// A request with the moment when its last byte had come.
#[derive(Debug)]
pub struct Arrived {
    /// The request.
    pub frame: Frame,
    /// When its last byte had come, or might have come: see [`RequestReader::pause`].
    pub at: Instant,
}

/// Reads requests from a client.
#[derive(Debug)]
pub struct RequestReader<R> {
    input: Buffered<R>,
    bounds: WatchedBounds,
    holding: Holding,
    outstanding: usize,
    /// Who has to log in first.
    stranger: Option<Arc<Peer>>,
}

impl<R: AsyncRead + Unpin> RequestReader<R> {
    /// Reads from `io` within the `bounds` in force when a request begins; what is read is charged to `holding`, what is
    /// awaited is noted in `pulse`.
    pub fn new(io: R, bounds: WatchedBounds, holding: Holding, pulse: Arc<Pulse>) -> Self {
        let holding = holding.sparing(KEPT_BYTES);
        let input = Buffered { pulse: Some(pulse), ..Buffered::new(io) };
        Self { input, bounds, holding, outstanding: 0, stranger: None }
    }

    /// Takes nothing but what a login needs until the broker has accepted one of `peer`'s.
    #[must_use]
    pub fn after_login(mut self, peer: Arc<Peer>) -> Self {
        self.stranger = Some(peer);
        self
    }

    /// Gives back what the request of `bytes` bytes held: it was passed on or refused. What has been read of the next
    /// one stays charged.
    pub fn done(&mut self, bytes: usize) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        let begun = self.input.buffered().len();
        self.holding.shrink_to(self.outstanding.saturating_add(begun));
        self.holding.progress();
    }

    /// Requests that may wait for their response.
    pub fn max_in_flight(&mut self) -> usize {
        self.bounds.load().limits.max_in_flight
    }

    /// Bytes of requests that were read and are not done.
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Takes note that nobody reads from now on: requests that are found later may have arrived at any time since.
    pub fn pause(&mut self) {
        self.input.pause();
    }

    /// Reads and forgets until the client closes.
    pub async fn discard(&mut self) {
        self.input.discard().await;
    }

    /// The next whole request; `None` when the client closed between two.
    ///
    /// # Errors
    /// [`ReadError`]: a frame over its limit is refused as soon as its size and api key are known, and never buffered.
    ///
    /// # Cancel safety
    /// Nothing that was read is lost.
    pub async fn next(&mut self) -> Result<Option<Arrived>, ReadError> {
        let total = loop {
            if let Some(announced) = frame::announced(self.input.buffered())? {
                break self.total(&announced)?;
            }
            if self.input.fill_idle().await.map_err(ReadError::Io)? == 0 {
                return match self.input.buffered().len() {
                    0 => Ok(None),
                    got => Err(ReadError::Truncated { got }),
                };
            }
        };
        let Self { input, holding, outstanding, .. } = self;
        let bytes = input.whole(total, holding, *outstanding, Stage::Begin).await?;
        *outstanding = outstanding.saturating_add(total);
        if let Some(pulse) = &input.pulse {
            pulse.whole();
        }
        let frame = Frame::from_bytes(bytes)?;
        Ok(Some(Arrived { frame, at: input.arrival() }))
    }

    fn total(&mut self, announced: &frame::Announced) -> Result<usize, ReadError> {
        self.stranger.take_if(|peer| peer.is_admitted());
        if self.stranger.is_some() {
            check_stranger(*announced)?;
        }
        announced.check(&self.bounds.load().limits)?;
        Ok(announced.size.saturating_add(4))
    }
}

/// What a login needs, and no more than a broker takes of somebody it does not know.
fn check_stranger(announced: frame::Announced) -> Result<(), ReadError> {
    let frame::Announced { size, api_key } = announced;
    match ApiKey(api_key) {
        ApiKey::API_VERSIONS | ApiKey::SASL_HANDSHAKE | ApiKey::SASL_AUTHENTICATE => {}
        _ => return Err(ReadError::Stranger { api: api::label(api_key) }),
    }
    if size > MAX_STRANGER_BYTES {
        return Err(WireError::FrameTooLarge { size, limit: MAX_STRANGER_BYTES }.into());
    }
    Ok(())
}

/// Largest request before a login, in bytes: that of a broker (`sasl.server.max.receive.size`).
const MAX_STRANGER_BYTES: usize = 512 * KIB;

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Context, time::Duration};

    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::proxy::{budget::MemoryBudget, in_force::test_bounds};

    const LARGE: usize = 200 * KIB;

    /// A reader whose buffer never waits for the other end, which is given too.
    fn reader(budget: &Arc<MemoryBudget>) -> (RequestReader<DuplexStream>, DuplexStream) {
        let (io, other) = tokio::io::duplex(MIB);
        (RequestReader::new(io, test_bounds().into(), budget.holder(), Arc::default()), other)
    }

    fn budget() -> Arc<MemoryBudget> {
        MemoryBudget::new(MIB, Duration::from_secs(30))
    }

    /// A request of `size` bytes, its size included.
    fn request(size: usize) -> Vec<u8> {
        let mut frame = vec![0; size];
        frame[..4].copy_from_slice(&u32::try_from(size - 4).unwrap().to_be_bytes());
        frame
    }

    /// Reads what is there of a request that is not whole.
    fn read_some(reader: &mut RequestReader<DuplexStream>) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        for _ in 0..4 {
            assert!(pin!(reader.next()).poll(&mut context).is_pending());
        }
    }

    #[tokio::test]
    async fn what_was_read_of_the_next_request_stays_charged_when_one_is_done() {
        let budget = budget();
        let (mut reader, mut client) = reader(&budget);
        client.write_all(&request(LARGE)).await.unwrap();
        client.write_all(&request(LARGE)[..LARGE / 2]).await.unwrap();
        let first = reader.next().await.unwrap().unwrap();
        read_some(&mut reader);
        let size = first.frame.bytes().len();
        drop(first);
        reader.done(size);
        assert!(budget.used() >= LARGE / 2 - KEPT_BYTES, "{} bytes charged", budget.used());
        client.write_all(&request(LARGE)[LARGE / 2..]).await.unwrap();
        let second = reader.next().await.unwrap().unwrap();
        reader.done(second.frame.bytes().len());
        assert_eq!((budget.used(), reader.outstanding()), (0, 0));
    }

    #[tokio::test]
    async fn a_small_request_is_not_charged_and_many_are() {
        let budget = budget();
        let (mut reader, mut client) = reader(&budget);
        for _ in 0..20 {
            client.write_all(&request(KEPT_BYTES)).await.unwrap();
        }
        reader.next().await.unwrap().unwrap();
        assert_eq!(budget.used(), 0);
        for _ in 1..20 {
            reader.next().await.unwrap().unwrap();
        }
        assert!(budget.used() >= 15 * KEPT_BYTES, "{} bytes charged", budget.used());
        (0..20).for_each(|_| reader.done(KEPT_BYTES));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_large_request_has_its_buffer_for_itself_and_leaves_it_to_the_next() {
        let (mut reader, mut client) = reader(&budget());
        client.write_all(&[request(LARGE), request(LARGE), request(LARGE)].concat()).await.unwrap();
        let mut place = None;
        for _ in 0..3 {
            let arrived = reader.next().await.unwrap().unwrap();
            let here = arrived.frame.bytes().as_ptr();
            assert_eq!(*place.get_or_insert(here), here);
            reader.done(LARGE);
        }
    }

    #[tokio::test]
    async fn a_buffer_that_is_outgrown_is_left_to_the_next_that_fits_it() {
        let (mut reader, mut client) = reader(&budget());
        let sizes = [LARGE, 2 * LARGE, LARGE];
        let mut places = Vec::new();
        for size in sizes {
            client.write_all(&request(size)).await.unwrap();
            places.push(reader.next().await.unwrap().unwrap().frame.bytes().as_ptr());
            reader.done(size);
        }
        assert_eq!(places[2], places[0]);
    }

    #[tokio::test]
    async fn memory_grows_with_what_arrived_and_not_with_what_was_announced() {
        let budget = budget();
        let (mut reader, mut client) = reader(&budget);
        client.write_all(&request(8 * MIB)[..LARGE]).await.unwrap();
        read_some(&mut reader);
        assert!(budget.used() <= 2 * LARGE, "{} bytes charged", budget.used());
    }

    #[tokio::test]
    async fn requests_found_after_a_pause_may_have_come_at_its_start() {
        let budget = budget();
        let (mut reader, mut client) = reader(&budget);
        client.write_all(&request(100)).await.unwrap();
        client.write_all(&request(KEPT_BYTES)).await.unwrap();
        let before = Instant::now();
        reader.pause();
        let paused = Instant::now();
        for _ in 0..2 {
            let found = reader.next().await.unwrap().unwrap();
            assert!((before..=paused).contains(&found.at));
        }
        read_some(&mut reader);
        let waited = Instant::now();
        client.write_all(&request(100)).await.unwrap();
        assert!(reader.next().await.unwrap().unwrap().at >= waited);
    }
}
