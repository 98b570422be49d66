//! One client connection and its one broker connection: requests one way, responses the other, in order.
//!
//! Both directions run in one task. A panic in it ends this connection and no other.

mod error;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{oneshot, watch},
    time::{Instant, timeout},
};

pub use self::error::{ConnectionError, log_end};
use super::{
    budget::Eviction,
    gateway::Gateway,
    in_flight::{InFlight, Owed},
    peer::Peer,
    produce::{Judged, PendingAnswer, ProduceGate},
    pulse::{self, Lapse, Pulse, Side, Watched},
    reader::{Arrived, ReadError, RequestReader},
    responses::Responses,
    sasl::{
        client_login::{Attempt, ClientLogin},
        own_login::Session,
        relogin,
    },
    settings::ClientLogins,
    writer::BrokerWriter,
};
use crate::{
    limits::MIB,
    metrics::Direction,
    wire::{
        Frame, api,
        prefix::RequestPrefix,
        request::{Answer, LoginFrame, OpaqueFrame, ProduceFrame, Request},
        rewrite,
    },
};

/// Requests that are read ahead while one waits for its schemas: they learn their arrival, and no more.
const MAX_READ_AHEAD: usize = 1_000;
/// Bytes that are read ahead before the last request, at most: one that waits must not take all memory from the others.
const MAX_READ_AHEAD_BYTES: usize = 8 * MIB;
/// The same as a part of the budget.
const READ_AHEAD_SHARE: usize = 8;
/// How long a client may take to hear that its connection ends: closed with unread bytes, it would lose answers that are
/// still on their way.
const CLIENT_LINGER: Duration = Duration::from_secs(1);
/// How long a connection whose client has closed waits for the broker to take what was sent.
const LINGER: Duration = Duration::from_secs(5);

/// How a connection ended without fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// One of the sides closed, or the process drains.
    Closed,
}

/// What the broker's answer to a request is for.
#[derive(Debug)]
pub enum Then {
    /// It streams through unread.
    Relay,
    /// It is held whole and rewritten.
    Rewrite,
    /// It is walked while it streams.
    RewriteTail,
    /// It says whether a client's login was accepted, and passes.
    Login(Box<Attempt>),
    /// It belongs to schemaward's own login.
    OwnLogin(oneshot::Sender<Frame>),
    /// It is merged with refusals.
    Merge(Box<PendingAnswer>),
}

impl From<Answer> for Then {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Relay => Self::Relay,
            Answer::Rewrite => Self::Rewrite,
            Answer::RewriteTail => Self::RewriteTail,
        }
    }
}

/// Carries one client connection to its end.
///
/// # Errors
/// [`ConnectionError`]: why it ended before its time.
pub async fn serve<CR, CW, BR, BW>(
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    (client_read, client_write): (CR, CW),
    (broker_read, broker_write): (BR, BW),
    session: Option<Session>,
) -> Result<Ended, ConnectionError>
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    BR: AsyncRead + Unpin,
    BW: AsyncWrite + Unpin,
{
    let in_flight = InFlight::new();
    let pulse = Arc::new(Pulse::default());
    let (client_read, client_write) = watched(Side::Client, &pulse, client_read, client_write);
    let (broker_read, broker_write) = watched(Side::Broker, &pulse, broker_read, broker_write);
    let account = gateway.budget.holder();
    let eviction = account.eviction();
    let broker = BrokerWriter::new(broker_write, account.sibling());
    let mut responses =
        Responses::new(&gateway, &in_flight, account.sibling(), broker_read, client_write);
    let mut reader = RequestReader::new(
        client_read,
        Arc::clone(&gateway.bounds).into(),
        account.sibling(),
        Arc::clone(&pulse),
    );
    let strangers = gateway.cluster.logins == ClientLogins::Require;
    if strangers {
        reader = reader.after_login(Arc::clone(&peer));
    }
    let gate = ProduceGate::new(Arc::clone(&gateway), Arc::clone(&peer), account);
    let mut requests = Requests::new(&gateway, &peer, &in_flight, reader, gate, broker, &pulse);
    requests.session = session;
    let ended = tokio::select! {
        biased;
        late = no_login(&gateway, &peer), if strangers => Err(late),
        ended = converse(&mut requests, &mut responses, &eviction) => ended,
        lapse = pulse::lapse(&pulse, &gateway.bounds, || in_flight.owed()) => {
            Err(ConnectionError::Lapsed(lapse))
        }
    };
    if matches!(
        ended,
        Ok(_)
            | Err(ConnectionError::BrokerIo(_)
                | ConnectionError::BrokerClosed { .. }
                | ConnectionError::Lapsed(Lapse::Idle))
    ) {
        part(&mut requests, &mut responses).await;
    }
    ended
}

/// Ends once a client had its time to log in and has not done so.
async fn no_login(gateway: &Gateway, peer: &Peer) -> ConnectionError {
    let time = gateway.bounds.load().times.handshake_timeout;
    match Box::pin(timeout(time, peer.admitted())).await {
        Ok(()) => std::future::pending().await,
        Err(_) => ConnectionError::LoginTimeout(time),
    }
}

fn watched<R, W>(side: Side, pulse: &Arc<Pulse>, read: R, write: W) -> (Watched<R>, Watched<W>) {
    (Watched::new(read, side, pulse), Watched::new(write, side, pulse))
}

/// Carries requests and responses until one of the sides closes, the process drains, or something is wrong.
async fn converse<CR, CW, BR, BW>(
    requests: &mut Requests<'_, CR, BW>,
    responses: &mut Responses<'_, BR, CW>,
    eviction: &Eviction,
) -> Result<Ended, ConnectionError>
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    BR: AsyncRead + Unpin,
    BW: AsyncWrite + Unpin,
{
    let responding = responses.relay();
    tokio::pin!(responding);
    let pumped = tokio::select! {
        biased;
        ended = &mut responding => return ended.map(|()| Ended::Closed),
        () = eviction.due() => return Err(ConnectionError::Stalled),
        pumped = requests.pump() => pumped,
    };
    if matches!(pumped, Ok(()) | Err(ConnectionError::BrokerIo(_))) {
        // The client has closed or must be closed, or the broker takes nothing more. Answers that are owed still go out
        // first: a broker that is told of the end drops them.
        requests.in_flight.close();
        let grace = if requests.drains() { requests.gateway.drain_grace() } else { LINGER };
        let responded = tokio::select! {
            biased;
            responded = timeout(grace, responding) => responded,
            () = eviction.due() => return Err(ConnectionError::Stalled),
        };
        match responded {
            Ok(Err(closed @ ConnectionError::BrokerClosed { .. })) => return Err(closed),
            Ok(Err(error)) if pumped.is_ok() => return Err(error),
            _ => {}
        }
    }
    pumped.map(|()| Ended::Closed)
}

/// Tells both sides of the end, the broker first: it takes all that was sent before its client is told.
async fn part<CR, CW, BR, BW>(
    requests: &mut Requests<'_, CR, BW>,
    responses: &mut Responses<'_, BR, CW>,
) where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    BR: AsyncRead + Unpin,
    BW: AsyncWrite + Unpin,
{
    // A broker that has closed already need not be told. Under TLS, who takes nothing cannot be told.
    let _ = timeout(CLIENT_LINGER, requests.broker.shutdown()).await;
    let _ = timeout(LINGER, responses.discard()).await;
    let _ = timeout(CLIENT_LINGER, responses.hang_up()).await;
    let _ = timeout(CLIENT_LINGER, requests.reader.discard()).await;
}

/// The way of requests: client → judged → broker.
struct Requests<'c, R, W> {
    gateway: &'c Arc<Gateway>,
    peer: &'c Arc<Peer>,
    in_flight: &'c InFlight<Then>,
    reader: RequestReader<R>,
    broker: BrokerWriter<W>,
    gate: ProduceGate,
    login: ClientLogin,
    /// schemaward's own login at the broker.
    session: Option<Session>,
    pulse: &'c Pulse,
    draining: watch::Receiver<bool>,
    ahead: VecDeque<Arrived>,
    end: Option<Result<(), ReadError>>,
}

/// Whether a connection goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Down,
}

impl<'c, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Requests<'c, R, W> {
    fn new(
        gateway: &'c Arc<Gateway>,
        peer: &'c Arc<Peer>,
        in_flight: &'c InFlight<Then>,
        reader: RequestReader<R>,
        gate: ProduceGate,
        broker: BrokerWriter<W>,
        pulse: &'c Pulse,
    ) -> Self {
        Self {
            gateway,
            peer,
            in_flight,
            reader,
            broker,
            gate,
            login: ClientLogin::new(Arc::clone(peer), gateway.cluster.logins),
            session: None,
            pulse,
            draining: gateway.draining.clone(),
            ahead: VecDeque::new(),
            end: None,
        }
    }

    /// Passes requests on until the client closes or the process drains.
    async fn pump(&mut self) -> Result<(), ConnectionError> {
        while let Some(arrived) = self.next().await? {
            let bytes = arrived.frame.bytes().len();
            self.gateway.metrics.bytes(Direction::ClientToBroker, bytes as u64);
            self.pulse.busy(true);
            self.renew_login().await?;
            let goes = self.one(arrived).await?;
            self.pulse.busy(false);
            self.reader.done(bytes);
            if goes == Goes::Down {
                break;
            }
        }
        Ok(())
    }

    /// The next request, in the order of arrival. `None`: there is none any more.
    async fn next(&mut self) -> Result<Option<Arrived>, ConnectionError> {
        if let Some(arrived) = self.ahead.pop_front() {
            return Ok(Some(arrived));
        }
        if let Some(end) = self.end.take() {
            return end.map(|()| None).map_err(Into::into);
        }
        tokio::select! {
            biased;
            // An error means that nobody can say so any more: then the process is ending too.
            _ = self.draining.wait_for(|draining| *draining) => Ok(None),
            () = self.peer.sent_away() => Ok(None),
            next = self.reader.next() => Ok(next?),
        }
    }

    /// Repeats schemaward's own login where it is time, before the broker asks for it.
    async fn renew_login(&mut self) -> Result<(), ConnectionError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        if session.is_due(Instant::now()) {
            self.reader.pause();
            // Apart from the task, whose size lasts as long as the connection: it is seldom.
            Box::pin(relogin::repeat(session, self.in_flight, &mut self.broker)).await?;
        }
        Ok(())
    }

    async fn one(&mut self, arrived: Arrived) -> Result<Goes, ConnectionError> {
        let Arrived { frame, at } = arrived;
        let (prefix, request) = Request::new(frame)?;
        self.gateway.metrics.request(api::label(prefix.api_key));
        let waited = self.in_flight.room(self.reader.max_in_flight()).await;
        match request {
            Request::Opaque(frame, answer) => self.pass(prefix, &frame, answer.into()).await,
            Request::Login(frame) => self.log_in(prefix, &frame).await,
            Request::Produce(frame) => {
                // That others are owed answers is no time of our own.
                let began = if waited { Instant::now() } else { at };
                let judged = self.judge(&frame, at).await?;
                self.gateway.metrics.produce_own(began.elapsed());
                self.forward(prefix, judged).await
            }
            Request::TooNewApiVersions => {
                let refusal = rewrite::api_versions_refusal(prefix.correlation_id);
                let bytes = refusal.bytes().len();
                self.in_flight.push(Owed::Local(refusal), bytes);
                Ok(Goes::On)
            }
        }
    }

    async fn log_in(
        &mut self,
        prefix: RequestPrefix,
        frame: &LoginFrame,
    ) -> Result<Goes, ConnectionError> {
        let attempt = self.login.read(prefix, frame).map_err(ConnectionError::Login)?;
        let then = attempt.map_or(Then::Relay, |attempt| Then::Login(Box::new(attempt)));
        self.pass(prefix, frame.opaque(), then).await
    }

    async fn pass(
        &mut self,
        prefix: RequestPrefix,
        frame: &OpaqueFrame,
        then: Then,
    ) -> Result<Goes, ConnectionError> {
        self.in_flight.push(Owed::Broker { prefix, then }, 0);
        self.broker.opaque(frame).await.map_err(ConnectionError::BrokerIo)?;
        Ok(Goes::On)
    }

    /// Judges a Produce request; while it waits, the requests behind it are read, so that their time runs too.
    async fn judge(
        &mut self,
        frame: &ProduceFrame,
        at: Instant,
    ) -> Result<Judged, ConnectionError> {
        let Self { gate, reader, ahead, end, peer, gateway, .. } = self;
        let share = gateway.budget.capacity() / READ_AHEAD_SHARE;
        let most = frame.frame().bytes().len().saturating_add(share.min(MAX_READ_AHEAD_BYTES));
        // Apart from the task, which would be as large for as long as the connection lives.
        let mut judging = Box::pin(gate.judge(frame, at));
        loop {
            let room = ahead.len() < MAX_READ_AHEAD && reader.outstanding() < most;
            if !room {
                reader.pause();
            }
            let reading = room && end.is_none();
            tokio::select! {
                biased;
                judged = &mut judging => return judged.map_err(Into::into),
                next = reader.next(), if reading => match next {
                    Ok(Some(arrived)) => ahead.push_back(arrived),
                    Ok(None) => { peer.leave(); *end = Some(Ok(())); }
                    Err(error) => { peer.leave(); *end = Some(Err(error)); }
                },
            }
        }
    }

    async fn forward(
        &mut self,
        prefix: RequestPrefix,
        judged: Judged,
    ) -> Result<Goes, ConnectionError> {
        let Judged { cleared, answer, forwarded, acks } = judged;
        if answer.is_some() && self.peer.is_gone() {
            // Nobody will be told, so nobody resends in order: what is pipelined behind the refused batch must not
            // overtake it.
            self.broker.cleared(cleared).await.map_err(ConnectionError::BrokerIo)?;
            return Ok(Goes::Down);
        }
        if acks == 0 {
            let refused = answer.is_some();
            if forwarded > 0 {
                self.broker.cleared(cleared).await.map_err(ConnectionError::BrokerIo)?;
            }
            // A broker closes the connection too: it is the only way to tell a producer that does not listen.
            return Ok(if refused { Goes::Down } else { Goes::On });
        }
        if let (Some(answer), 0, true) = (&answer, forwarded, prefix.api_version < 3) {
            // A broker takes no such request, not even an empty one.
            let response = answer.shape.local()?;
            let bytes = response.bytes().len();
            self.in_flight.push(Owed::Local(response), bytes);
            return Ok(Goes::On);
        }
        let waiting = answer.as_ref().map_or(0, |answer| answer.bytes);
        let then = match answer {
            Some(answer) => Then::Merge(Box::new(answer)),
            None if prefix.api_version >= api::FIRST_PRODUCE_WITH_ENDPOINTS => Then::Rewrite,
            None => Then::Relay,
        };
        // That a broker takes a request slowly is time of the broker.
        self.in_flight.hand(Instant::now());
        self.in_flight.push(Owed::Broker { prefix, then }, waiting);
        self.broker.cleared(cleared).await.map_err(ConnectionError::BrokerIo)?;
        Ok(Goes::On)
    }

    fn drains(&self) -> bool {
        *self.draining.borrow()
    }
}
