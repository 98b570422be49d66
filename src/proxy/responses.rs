//! The way of responses: broker → rewritten where it must be → client, in request order.

use std::{cmp, io};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    budget::{Holding, Stage},
    connection::{ConnectionError, Then},
    gateway::Gateway,
    in_flight::{InFlight, Owed},
    produce::PendingAnswer,
    reader::{Buffered, KEPT_BYTES, ReadError},
};
use crate::{
    limits::KIB,
    metrics::Direction,
    wire::{
        Frame, WireError,
        api::ApiKey,
        frame,
        frame::ResponseHeader,
        prefix::RequestPrefix,
        rewrite, sasl,
        stream::{Advance, TailRewriter},
    },
};

/// What is read at once of a response that streams through.
const STREAM_BYTES: usize = 64 * KIB;
/// Size and correlation id.
const HEADER_BYTES: usize = 8;

/// Relays responses of one connection.
pub struct Responses<'c, R, W> {
    gateway: &'c Gateway,
    in_flight: &'c InFlight<Then>,
    broker: Buffered<R>,
    client: W,
    holding: Holding,
}

impl<'c, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Responses<'c, R, W> {
    /// From `broker` to `client`; what is held whole is charged to `holding`.
    pub fn new(
        gateway: &'c Gateway,
        in_flight: &'c InFlight<Then>,
        holding: Holding,
        broker: R,
        client: W,
    ) -> Self {
        let holding = holding.sparing(KEPT_BYTES);
        Self { gateway, in_flight, broker: Buffered::new(broker), client, holding }
    }

    /// Relays until nothing is owed any more and nothing more comes, or the broker closes.
    ///
    /// # Errors
    /// [`ConnectionError`]: the connection ends.
    pub async fn relay(&mut self) -> Result<(), ConnectionError> {
        while let Some(owed) = self.next_owed().await? {
            match owed {
                Owed::Local(response) => self.write(&response).await?,
                Owed::Broker { prefix, then } => self.answer(prefix, then).await?,
            }
            // Under TLS, what was taken is not yet on its way.
            self.client.flush().await.map_err(ConnectionError::ClientIo)?;
            self.holding.shrink_to(0);
            self.in_flight.settled();
        }
        Ok(())
    }

    /// Reads and forgets what the broker still sends, until it closes.
    pub async fn discard(&mut self) {
        self.broker.discard().await;
    }

    /// Tells the client that nothing more comes.
    pub async fn hang_up(&mut self) {
        // A client that is gone need not be told.
        let _ = self.client.shutdown().await;
    }

    /// The oldest request that is owed an answer. `None`: there will be none any more.
    async fn next_owed(&mut self) -> Result<Option<Owed<Then>>, ConnectionError> {
        loop {
            if !self.broker.buffered().is_empty() {
                return match self.in_flight.try_next() {
                    Some(owed) => Ok(Some(owed)),
                    // The answer to what went on for a client that is gone: nobody waits for it.
                    None if self.in_flight.is_closed() => Ok(None),
                    None => Err(self.unasked()),
                };
            }
            tokio::select! {
                biased;
                owed = self.in_flight.next() => return Ok(owed),
                read = self.broker.fill_idle() => {
                    if read.map_err(ConnectionError::BrokerIo)? == 0 {
                        return match self.in_flight.owed() {
                            0 => Ok(None),
                            owed => Err(ConnectionError::BrokerClosed { owed }),
                        };
                    }
                }
            }
        }
    }

    fn unasked(&mut self) -> ConnectionError {
        let buffered = self.broker.buffered();
        let actual = buffered.get(4..HEADER_BYTES).and_then(|bytes| bytes.first_chunk::<4>());
        let actual = actual.map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        ConnectionError::Broker(WireError::Correlation { actual, expected: -1 })
    }

    async fn answer(&mut self, prefix: RequestPrefix, then: Then) -> Result<(), ConnectionError> {
        let header = self.header().await?;
        if header.correlation_id != prefix.correlation_id {
            return Err(ConnectionError::Broker(WireError::Correlation {
                actual: header.correlation_id,
                expected: prefix.correlation_id,
            }));
        }
        let total = header.size.saturating_add(4);
        match then {
            Then::Relay => {
                self.count(prefix);
                self.stream(total).await
            }
            Then::Rewrite => {
                let frame = self.whole(total).await?;
                self.count(prefix);
                self.holding.cover(total.saturating_mul(2)).await;
                let rewritten = self.rewrite(prefix, &frame)?;
                drop(frame);
                self.write(&rewritten).await
            }
            Then::Login(attempt) => {
                let frame = self.whole_within(total, sasl::MAX_ANSWER_BYTES).await?;
                attempt.answered(&frame).map_err(ConnectionError::Broker)?;
                self.write(&frame).await
            }
            Then::OwnLogin(answered) => {
                let frame = self.whole_within(total, sasl::MAX_ANSWER_BYTES).await?;
                // Nobody waits for it any more when the time of the login is over.
                let _ = answered.send(frame);
                Ok(())
            }
            Then::RewriteTail => self.stream_and_rewrite_tail(prefix, header).await,
            // Apart from the task, whose size lasts as long as the connection: it is seldom.
            Then::Merge(pending) => Box::pin(self.merge(prefix, total, *pending)).await,
        }
    }

    async fn header(&mut self) -> Result<ResponseHeader, ConnectionError> {
        loop {
            let header = frame::response_header(self.broker.buffered());
            if let Some(header) = header.map_err(ConnectionError::Broker)? {
                return Ok(header);
            }
            self.more(KIB).await?;
        }
    }

    /// Reads once; the end of the stream is an error while an answer is owed.
    async fn more(&mut self, room: usize) -> Result<usize, ConnectionError> {
        match self.fill(room).await? {
            0 => Err(ConnectionError::BrokerClosed { owed: self.in_flight.owed() }),
            read => Ok(read),
        }
    }

    async fn fill(&mut self, room: usize) -> Result<usize, ConnectionError> {
        self.broker.fill(room).await.map_err(ConnectionError::BrokerIo)
    }

    /// Lets `left` bytes through unread.
    async fn stream(&mut self, mut left: usize) -> Result<(), ConnectionError> {
        while left > 0 {
            if self.broker.buffered().is_empty() {
                self.more(cmp::min(left, STREAM_BYTES)).await?;
            }
            let now = cmp::min(left, self.broker.buffered().len());
            let chunk = self.broker.buffered().split_to(now);
            self.write_bytes(&chunk).await?;
            left -= now;
        }
        Ok(())
    }

    /// Lets a response through while walking it, and rewrites the endpoints in its tail to exactly their old length.
    async fn stream_and_rewrite_tail(
        &mut self,
        prefix: RequestPrefix,
        header: ResponseHeader,
    ) -> Result<(), ConnectionError> {
        let mut left = header.size.saturating_sub(4);
        let mut walk = TailRewriter::new(prefix.api_key, prefix.api_version, left);
        self.stream(HEADER_BYTES).await?;
        loop {
            let buffered = self.broker.buffered();
            let seen = buffered.get(..cmp::min(left, buffered.len())).unwrap_or_default();
            let step = walk.advance(seen, &self.gateway.cluster);
            match step.map_err(ConnectionError::Broker)? {
                Advance::Done => return self.stream(left).await,
                Advance::NeedMore => {
                    self.more(cmp::min(left, STREAM_BYTES)).await?;
                }
                Advance::Pass(count) => {
                    let count = cmp::min(count, left);
                    self.stream(count).await?;
                    left -= count;
                }
                Advance::Replace(tail) => {
                    let buffered = self.broker.buffered();
                    let _replaced = buffered.split_to(cmp::min(left, buffered.len()));
                    return self.write_bytes(&tail).await;
                }
            }
        }
    }

    async fn merge(
        &mut self,
        prefix: RequestPrefix,
        total: usize,
        pending: PendingAnswer,
    ) -> Result<(), ConnectionError> {
        let broker = self.whole(total).await?;
        self.count(prefix);
        // Its copies: merged, then rewritten.
        self.holding.cover(total.saturating_mul(2).saturating_add(pending.bytes)).await;
        let merged = pending.shape.merge(&broker).map_err(ConnectionError::Broker)?;
        drop(broker);
        let merged = self.rewrite(prefix, &merged)?;
        self.write(&merged).await?;
        pending.tickets.into_iter().for_each(super::sequence_guard::GapTicket::told);
        Ok(())
    }

    /// Counts what the broker took for the Produce request whose answer is here; nobody asks it of others.
    fn count(&self, prefix: RequestPrefix) {
        if ApiKey(prefix.api_key) == ApiKey::PRODUCE
            && let Some(handed) = self.in_flight.answered()
        {
            self.gateway.metrics.produce_broker(handed.elapsed());
        }
    }

    fn rewrite(&self, prefix: RequestPrefix, frame: &Frame) -> Result<Frame, ConnectionError> {
        let RequestPrefix { api_key, api_version, .. } = prefix;
        rewrite::rewrite_response(api_key, api_version, frame, &self.gateway.cluster)
            .map_err(ConnectionError::Broker)
    }

    /// A response that has to be held whole.
    async fn whole(&mut self, total: usize) -> Result<Frame, ConnectionError> {
        let limit = self.gateway.bounds.load().limits.max_rewritten_response_bytes.0;
        self.whole_within(total, limit).await
    }

    async fn whole_within(&mut self, total: usize, limit: usize) -> Result<Frame, ConnectionError> {
        let size = total.saturating_sub(4);
        if size > limit {
            return Err(ConnectionError::Broker(WireError::FrameTooLarge { size, limit }));
        }
        // An answer finishes what was begun: it must not wait for the memory that its own connection holds.
        let read = self.broker.whole(total, &mut self.holding, 0, Stage::Continue).await;
        let bytes = read.map_err(|error| match error {
            ReadError::Io(source) => ConnectionError::BrokerIo(source),
            ReadError::Truncated { .. } => {
                ConnectionError::BrokerClosed { owed: self.in_flight.owed() }
            }
            ReadError::Stranger { api } => ConnectionError::Stranger { api },
            ReadError::Wire(error) => ConnectionError::Broker(error),
        })?;
        Frame::from_bytes(bytes).map_err(ConnectionError::Broker)
    }

    async fn write(&mut self, frame: &Frame) -> Result<(), ConnectionError> {
        self.write_bytes(frame.bytes()).await
    }

    async fn write_bytes(&mut self, mut bytes: &[u8]) -> Result<(), ConnectionError> {
        while !bytes.is_empty() {
            let written = self.client.write_buf(&mut bytes).await;
            let written = written.map_err(ConnectionError::ClientIo)?;
            if written == 0 {
                return Err(ConnectionError::ClientIo(io::ErrorKind::WriteZero.into()));
            }
            self.gateway.metrics.bytes(Direction::BrokerToClient, written as u64);
            // What streams through holds nothing, and says nothing about a request that does.
            if self.holding.held() > 0 {
                self.holding.progress();
            }
        }
        Ok(())
    }
}
