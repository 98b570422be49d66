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
    tls: Option<TlsClient>,
    bootstrap: Vec<BrokerAddress>,
    connect_timeout: Duration,
    login: Option<Arc<OwnLogin>>,
    start: AtomicUsize,
}

impl<D: Dial> Upstream<D> {
    /// Connects as `settings` say, over what `dial` opens, under `tls` if there is one.
    #[must_use]
    pub fn new(settings: &UpstreamSettings, dial: D, tls: Option<TlsClient>) -> Self {
        Self {
            dial,
            tls,
            bootstrap: settings.bootstrap.clone(),
            connect_timeout: settings.connect_timeout,
            login: settings.sasl.clone().map(|sasl| OwnLogin::new(sasl, settings.connect_timeout)),
            start: AtomicUsize::new(0),
        }
    }

    /// What brokers are shown and believed by, if they are reached under TLS.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsClient> {
        self.tls.as_ref()
    }

    /// Connects to the broker at `address`, and logs in where schemaward does so itself.
    ///
    /// # Errors
    /// [`DialError`] when it refuses, does not answer in time, or does not accept the login.
    pub async fn connect(&self, address: &BrokerAddress) -> Result<Connected<D::Io>, DialError> {
        // All steps within one time.
        let end = Instant::now() + self.connect_timeout;
        let reached = async {
            let mut io = self.reach(address, end).await?;
            let Some(login) = &self.login else {
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
        address: &BrokerAddress,
        end: Instant,
    ) -> Result<Transport<D::Io>, (UpstreamErrorKind, io::Error)> {
        let stream = timeout_at(end, self.dial.dial(address)).await;
        let stream = stream.map_err(|_| too_slow("no connection"))?;
        let stream = stream.map_err(|error| (UpstreamErrorKind::Connect, error))?;
        let Some(tls) = &self.tls else { return Ok(Transport::Plain(stream)) };
        let secured = timeout_at(end, secure(tls, address, stream)).await;
        secured.map_err(|_| too_slow("connected, but no TLS handshake"))?
    }

    /// Connects to the first bootstrap broker that answers, from a rotating start.
    ///
    /// # Errors
    /// [`DialError`] of the last one when none answers.
    pub async fn connect_bootstrap(&self) -> Result<Connected<D::Io>, DialError> {
        let start = self.start.fetch_add(1, Ordering::Relaxed);
        let count = self.bootstrap.len();
        let mut last = None;
        for turn in 0..count {
            let at = start.wrapping_add(turn).checked_rem(count).unwrap_or_default();
            let Some(address) = self.bootstrap.get(at) else { continue };
            match self.connect(address).await {
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
