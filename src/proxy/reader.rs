//! Cuts whole frames from one side of a connection, holding no more than has arrived.

use std::{cmp, io, time::Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::budget::Holding;
use crate::{
    limits::{KIB, WireLimits},
    wire::{Frame, WireError, api, frame},
};

/// What an idle connection's buffer takes; most requests fit.
const IDLE_BYTES: usize = KIB;
/// What a read makes room for beyond what is already there, at least: memory grows with what arrived.
const STEP_BYTES: usize = 64 * KIB;
/// Buffers larger than this are given back when they are empty.
const KEPT_BYTES: usize = 16 * KIB;

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
    /// What it sent is no frame, or a larger one than is taken.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// A buffered reading half.
#[derive(Debug)]
pub struct Buffered<R> {
    io: R,
    buf: BytesMut,
}

impl<R: AsyncRead + Unpin> Buffered<R> {
    /// Nothing read yet.
    pub fn new(io: R) -> Self {
        Self { io, buf: BytesMut::new() }
    }

    /// What has been read and not been taken.
    pub const fn buffered(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Reads once, with room for `room` bytes. `0` is the end of the stream.
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
        self.buf.reserve(room);
        self.io.read_buf(&mut self.buf).await
    }

    /// Makes room for exactly `room` bytes more: growing in place would take up to twice what was accounted for.
    fn make_room(&mut self, room: usize) {
        let needed = self.buf.len().saturating_add(room);
        if self.buf.capacity() < needed {
            let mut grown = BytesMut::with_capacity(needed);
            grown.extend_from_slice(&self.buf);
            self.buf = grown;
        }
    }

    /// Waits for anything to arrive, with the buffer of an idle connection.
    ///
    /// # Errors
    /// The socket's.
    ///
    /// # Cancel safety
    /// What was read stays in the buffer.
    pub async fn fill_idle(&mut self) -> io::Result<usize> {
        self.fill(IDLE_BYTES).await
    }

    /// Reads until `total` bytes are buffered, growing in steps, and takes them. They are charged to `holding` beside
    /// the `charged` bytes that it covers already.
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
    ) -> Result<BytesMut, ReadError> {
        while self.buf.len() < total {
            let missing = total.saturating_sub(self.buf.len());
            let step = cmp::min(missing, cmp::max(STEP_BYTES, self.buf.len()));
            let needed = charged.saturating_add(self.buf.len()).saturating_add(step);
            if holding.held() <= charged {
                holding.begin_cover(needed).await;
            } else {
                holding.cover(needed).await;
            }
            self.make_room(step);
            if self.fill(step).await.map_err(ReadError::Io)? == 0 {
                return Err(ReadError::Truncated { got: self.buf.len() });
            }
            holding.progress();
        }
        Ok(self.buf.split_to(total))
    }
}

/// A request with the moment when its last byte had come.
#[derive(Debug)]
pub struct Arrived {
    /// The request.
    pub frame: Frame,
    /// When its last byte had come.
    pub at: Instant,
}

/// Reads requests from a client.
#[derive(Debug)]
pub struct RequestReader<R> {
    input: Buffered<R>,
    limits: WireLimits,
    holding: Holding,
    outstanding: usize,
}

impl<R: AsyncRead + Unpin> RequestReader<R> {
    /// Reads from `io` within `limits`; what is read is charged to `holding`.
    pub fn new(io: R, limits: WireLimits, holding: Holding) -> Self {
        Self { input: Buffered::new(io), limits, holding, outstanding: 0 }
    }

    /// Gives back what the request of `bytes` bytes held: it was passed on or refused.
    pub fn done(&mut self, bytes: usize) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        self.holding.shrink_to(self.outstanding);
        self.holding.progress();
    }

    /// What unfinished requests of this connection hold.
    pub const fn holding(&self) -> &Holding {
        &self.holding
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
        let bytes = self.input.whole(total, &mut self.holding, self.outstanding).await?;
        self.outstanding = self.outstanding.saturating_add(total);
        let frame = Frame::from_bytes(bytes.freeze())?;
        Ok(Some(Arrived { frame, at: Instant::now() }))
    }

    fn total(&self, announced: &frame::Announced) -> Result<usize, WireError> {
        let limit = if announced.api_key == api::ApiKey::PRODUCE.0 {
            self.limits.max_request_bytes
        } else {
            self.limits.max_other_request_bytes
        };
        if announced.size > limit.0 {
            return Err(WireError::FrameTooLarge { size: announced.size, limit: limit.0 });
        }
        Ok(announced.size.saturating_add(4))
    }
}
