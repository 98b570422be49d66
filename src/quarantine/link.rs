//! One connection to a broker: requests go out in order and are answered in order, a few at a time.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, split},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::requests;
use crate::{
    limits::{KIB, MIB},
    proxy::{
        own_request::EncodeError,
        reader::{Buffered, ReadError},
        sasl::own_login::Session,
        transport::Transport,
        upstream::Connected,
    },
    wire::{
        Frame, WireError,
        api::ApiKey,
        frame,
        own_client::{METADATA_VERSIONS, PRODUCE_VERSIONS},
        sasl::highest_version,
    },
};

/// Requests that may wait for their answers; as many as Java's producer has.
const MAX_IN_FLIGHT: usize = 5;
/// Requests that may wait to be sent.
const MAX_WAITING: usize = 256;
/// A connection on which nothing is asked for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Largest answer that is taken.
const MAX_ANSWER_BYTES: usize = 4 * MIB;
/// What a read makes room for.
const STEP_BYTES: usize = 4 * KIB;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker speaks neither the Metadata nor the Produce that is needed")]
    Versions,
    #[error("the broker's answer cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the broker's answer cannot be read: {0}")]
    Wire(#[from] WireError),
    #[error("the request cannot be sent: {0}")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the broker did not answer in time")]
    Silent,
}

/// The versions that a broker and we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) metadata: i16,
    pub(super) produce: i16,
}

/// One request, and who waits for its answer.
struct Ask {
    request: BytesMut,
    answer: oneshot::Sender<Frame>,
}

/// A connection, as its users have it. It ends when nobody has it any more, or after a while without use.
#[derive(Debug, Clone)]
pub(super) struct Link {
    asks: mpsc::Sender<Ask>,
    pub(super) versions: Versions,
}

impl Link {
    /// Sends `request` and waits for its answer. `None`: the connection ended before.
    pub(super) async fn ask(&self, request: BytesMut) -> Option<Frame> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { request, answer }).await.ok()?;
        answered.await.ok()
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.asks.is_closed()
    }
}

/// The connection's own side.
pub(super) struct Line<S> {
    input: Buffered<tokio::io::ReadHalf<Transport<S>>>,
    output: tokio::io::WriteHalf<Transport<S>>,
    session: Option<Session>,
    asks: mpsc::Receiver<Ask>,
    /// What was sent: its correlation id, until when it has to be answered, and who waits.
    waiting: VecDeque<(i32, Instant, oneshot::Sender<Frame>)>,
    patience: Duration,
    next_id: i32,
    _permit: OwnedSemaphorePermit,
}

/// Begins on a connection that is logged in: asks what the broker speaks. It has `patience` for each answer.
pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    connected: Connected<S>,
    permit: OwnedSemaphorePermit,
    patience: Duration,
) -> Result<(Link, Line<S>), LinkError> {
    let (input, mut output) = split(connected.io);
    let mut input = Buffered::new(input);
    output.write_all(&requests::api_versions()?).await.map_err(LinkError::Write)?;
    output.flush().await.map_err(LinkError::Write)?;
    let answer = answer(&mut input).await?;
    let common = |api_key, (least, most): (i16, i16)| {
        let highest = highest_version(&answer, api_key)?.ok_or(LinkError::Versions)?;
        if highest < least { Err(LinkError::Versions) } else { Ok(highest.min(most)) }
    };
    let versions = Versions {
        metadata: common(ApiKey::METADATA, METADATA_VERSIONS)?,
        produce: common(ApiKey::PRODUCE, PRODUCE_VERSIONS)?,
    };
    let (sender, asks) = mpsc::channel(MAX_WAITING);
    let line = Line {
        input,
        output,
        session: connected.session,
        asks,
        waiting: VecDeque::new(),
        patience,
        next_id: 0,
        _permit: permit,
    };
    Ok((Link { asks: sender, versions }, line))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Carries requests and answers until there are none for a while.
    ///
    /// # Errors
    /// [`LinkError`]: who still waits is not answered.
    pub(super) async fn carry(mut self) -> Result<(), LinkError> {
        let mut open = true;
        loop {
            let idle = self.waiting.is_empty();
            // A login that ends is not repeated here: the next connection has a new one.
            let over = self.session.as_ref().is_some_and(|session| session.is_due(Instant::now()));
            if idle && (over || !open) {
                return Ok(());
            }
            let due = self.waiting.front().map(|(_, due, _)| *due);
            let takes = open && !over && self.waiting.len() < MAX_IN_FLIGHT;
            tokio::select! {
                biased;
                frame = answer(&mut self.input) => match frame {
                    Ok(frame) => self.answered(frame)?,
                    Err(LinkError::Closed) if idle => return Ok(()),
                    Err(error) => return Err(error),
                },
                () = until(due) => return Err(LinkError::Silent),
                ask = self.asks.recv(), if takes => match ask {
                    Some(ask) => self.send(ask).await?,
                    None => open = false,
                },
                () = sleep(IDLE), if idle => return Ok(()),
            }
        }
    }

    async fn send(&mut self, mut ask: Ask) -> Result<(), LinkError> {
        if ask.answer.is_closed() {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1) & i32::MAX;
        let mut request = std::mem::take(&mut ask.request);
        requests::number(&mut request, id);
        let due = Instant::now() + self.patience;
        let output = &mut self.output;
        let sending = async {
            output.write_all(&request).await?;
            // Under TLS, what was taken is not yet on its way.
            output.flush().await
        };
        let sent = timeout_at(due, sending).await.map_err(|_| LinkError::Silent)?;
        sent.map_err(LinkError::Write)?;
        self.waiting.push_back((id, due, ask.answer));
        Ok(())
    }

    fn answered(&mut self, frame: Frame) -> Result<(), LinkError> {
        let actual = frame::response_header(frame.bytes())?.map_or(-1, |it| it.correlation_id);
        let Some((expected, _, asker)) = self.waiting.pop_front() else {
            return Err(WireError::Correlation { actual, expected: -1 }.into());
        };
        if actual != expected {
            return Err(WireError::Correlation { actual, expected }.into());
        }
        // Who has gone does not want it.
        let _ = asker.send(frame);
        Ok(())
    }
}

/// The next answer, whole.
///
/// # Cancel safety
/// What was read stays in the buffer.
async fn answer<R: AsyncRead + Unpin>(input: &mut Buffered<R>) -> Result<Frame, LinkError> {
    loop {
        if let Some(header) = frame::response_header(input.buffered())?
            && header.size > MAX_ANSWER_BYTES
        {
            let limit = MAX_ANSWER_BYTES;
            return Err(WireError::FrameTooLarge { size: header.size, limit }.into());
        }
        if let Some(frame) = Frame::cut(input.buffered()) {
            return Ok(frame);
        }
        match input.fill(STEP_BYTES).await {
            Ok(0) => return Err(LinkError::Closed),
            Ok(_) => {}
            Err(error) => return Err(ReadError::Io(error).into()),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
