//! Connects to brokers. Nothing else in the crate opens a connection to one.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    sasl::own_login::{Exchange, LoginError, Next, OwnLogin, Session},
    settings::{BrokerAddress, UpstreamSettings},
    transport::Transport,
};
use crate::{
    metrics::UpstreamErrorKind,
    tls::{self, TlsClient},
    wire::{Frame, WireError, sasl},
};

/// Why no broker could be reached. Scope: one client connection.
#[derive(Debug, thiserror::Error)]
#[error("broker {address} {}", what(.kind))]
pub struct DialError {
    /// The address tried last.
    pub address: BrokerAddress,
    /// What happened.
    pub kind: UpstreamErrorKind,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl DialError {
    /// What happened, without the address.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        what(&self.kind)
    }
}

const fn what(kind: &UpstreamErrorKind) -> &'static str {
    match kind {
        UpstreamErrorKind::Login => "does not let schemaward in",
        _ => "cannot be reached",
    }
}

/// A connection to a broker, ready for a client's requests.
#[derive(Debug)]
pub struct Connected<S> {
    /// The bytes of it.
    pub io: Transport<S>,
    /// Where it leads.
    pub address: BrokerAddress,
    /// schemaward's own login, where it has one.
    pub session: Option<Session>,
}

/// Opens byte streams to addresses; with [`Accept`](super::listener::Accept), what a simulated network replaces.
pub trait Dial: Send + Sync + 'static {
    /// A stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a stream to `address`.
    fn dial(&self, address: &BrokerAddress) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// Dials over TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDial;

impl Dial for TcpDial {
    type Io = TcpStream;

    async fn dial(&self, address: &BrokerAddress) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The brokers, as connections reach them.
#[derive(Debug)]
pub struct Upstream<D = TcpDial> {
    dial: D,
    ways: ArcSwap<Ways>,
    start: AtomicUsize,
}

/// How connections are opened from now on. One that is being opened ends as it began.
#[derive(Debug)]
struct Ways {
    tls: Option<TlsClient>,
    bootstrap: Vec<BrokerAddress>,
    connect_timeout: Duration,
    login: Option<Arc<OwnLogin>>,
}

impl Ways {
    fn new(settings: &UpstreamSettings, tls: Option<TlsClient>, before: Option<&Self>) -> Self {
        let time = settings.connect_timeout;
        let login = settings.sasl.clone().map(|sasl| {
            // The same one: sessions that are open repeat their login with the new files.
            match before.and_then(|before| before.login.as_ref()) {
                Some(login) => {
                    login.replace(sasl, time);
                    Arc::clone(login)
                }
                None => OwnLogin::new(sasl, time),
            }
        });
        Self { tls, bootstrap: settings.bootstrap.clone(), connect_timeout: time, login }
    }
}

impl<D: Dial> Upstream<D> {
    /// Connects as `settings` say, over what `dial` opens, under `tls` if there is one.
    #[must_use]
    pub fn new(settings: &UpstreamSettings, dial: D, tls: Option<TlsClient>) -> Self {
        let ways = ArcSwap::from_pointee(Ways::new(settings, tls, None));
        Self { dial, ways, start: AtomicUsize::new(0) }
    }

    /// Connects as `settings` say from now on, under `tls` if there is one. What is open stays open.
    pub fn replace(&self, settings: &UpstreamSettings, tls: Option<TlsClient>) {
        let ways = Ways::new(settings, tls, Some(&self.ways.load()));
        self.ways.store(Arc::new(ways));
    }

    /// Connects to the broker at `address`, and logs in where schemaward does so itself.
    ///
    /// # Errors
    /// [`DialError`] when it refuses, does not answer in time, or does not accept the login.
    pub async fn connect(&self, address: &BrokerAddress) -> Result<Connected<D::Io>, DialError> {
        self.connect_by(&self.ways.load_full(), address).await
    }

    async fn connect_by(
        &self,
        ways: &Ways,
        address: &BrokerAddress,
    ) -> Result<Connected<D::Io>, DialError> {
        // All steps within one time.
        let end = Instant::now() + ways.connect_timeout;
        let reached = async {
            let mut io = self.reach(ways, address, end).await?;
            let Some(login) = &ways.login else {
                return Ok(Connected { io, address: address.clone(), session: None });
            };
            let logged_in = timeout_at(end, log_in(login, &mut io)).await;
            match logged_in.unwrap_or(Err(LoginError::Deadline)) {
                Ok(session) => {
                    Ok(Connected { io, address: address.clone(), session: Some(session) })
                }
                Err(error) => Err((UpstreamErrorKind::Login, io::Error::other(error))),
            }
        };
        let failed = |(kind, source)| DialError { address: address.clone(), kind, source };
        reached.await.map_err(failed)
    }

    async fn reach(
        &self,
        ways: &Ways,
        address: &BrokerAddress,
        end: Instant,
    ) -> Result<Transport<D::Io>, (UpstreamErrorKind, io::Error)> {
        let stream = timeout_at(end, self.dial.dial(address)).await;
        let stream = stream.map_err(|_| too_slow("no connection"))?;
        let stream = stream.map_err(|error| (UpstreamErrorKind::Connect, error))?;
        let Some(tls) = &ways.tls else { return Ok(Transport::Plain(stream)) };
        let secured = timeout_at(end, secure(tls, address, stream)).await;
        secured.map_err(|_| too_slow("connected, but no TLS handshake"))?
    }

    /// Connects to the first bootstrap broker that answers, from a rotating start.
    ///
    /// # Errors
    /// [`DialError`] of the last one when none answers.
    pub async fn connect_bootstrap(&self) -> Result<Connected<D::Io>, DialError> {
        let start = self.start.fetch_add(1, Ordering::Relaxed);
        let ways = self.ways.load_full();
        let count = ways.bootstrap.len();
        let mut last = None;
        for turn in 0..count {
            let at = start.wrapping_add(turn).checked_rem(count).unwrap_or_default();
            let Some(address) = ways.bootstrap.get(at) else { continue };
            match self.connect_by(&ways, address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| DialError {
            address: BrokerAddress { host: String::new(), port: 0 },
            kind: UpstreamErrorKind::Connect,
            source: io::Error::new(io::ErrorKind::NotFound, "no bootstrap broker is configured"),
        }))
    }
}

fn too_slow(what: &str) -> (UpstreamErrorKind, io::Error) {
    let message = format!("{what} within upstream.connect_timeout");
    (UpstreamErrorKind::ConnectTimeout, io::Error::new(io::ErrorKind::TimedOut, message))
}

/// Shakes hands with the broker at `address` over `stream`.
async fn secure<S>(
    tls: &TlsClient,
    address: &BrokerAddress,
    stream: S,
) -> Result<Transport<S>, (UpstreamErrorKind, io::Error)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |message: String| (UpstreamErrorKind::Tls, io::Error::other(message));
    let connecting = tls.connecting(&address.host).map_err(|error| failed(error.to_string()))?;
    let connector = TlsConnector::from(connecting.config);
    match connector.connect(connecting.server_name, stream).await {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream.into()))),
        Err(error) => Err(failed(format!("TLS handshake failed: {}", tls::explain(&error)))),
    }
}

/// Logs in over a connection on which nothing else was sent.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    login: &Arc<OwnLogin>,
    io: &mut S,
) -> Result<Session, LoginError> {
    let (mut exchange, mut request) = Exchange::begin(login).await?;
    loop {
        let bytes = request.frame().bytes();
        io.write_all(bytes).await.map_err(LoginError::Io)?;
        // Under TLS, what was taken is not yet on its way.
        io.flush().await.map_err(LoginError::Io)?;
        match exchange.take(&answer(io).await?).await? {
            Next::Ask(rest, next) => (exchange, request) = (*rest, next),
            Next::Done(session) => return Ok(session),
        }
    }
}

/// Reads one answer and not a byte more.
async fn answer<S: AsyncRead + Unpin>(io: &mut S) -> Result<Frame, LoginError> {
    let mut bytes = vec![0; 4];
    io.read_exact(&mut bytes).await.map_err(LoginError::Io)?;
    let header = bytes.first_chunk().map_or(-1, |size| i32::from_be_bytes(*size));
    let size = usize::try_from(header).map_err(|_| WireError::FrameSize { size: header })?;
    let limit = sasl::MAX_ANSWER_BYTES;
    if size > limit {
        return Err(WireError::FrameTooLarge { size, limit }.into());
    }
    bytes.resize(size.saturating_add(4), 0);
    io.read_exact(bytes.get_mut(4..).unwrap_or_default()).await.map_err(LoginError::Io)?;
    Ok(Frame::from_bytes(bytes.into())?)
}

#[cfg(test)]
mod tests;
