//! Dials brokers. Nothing else in the crate opens a connection to one.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::settings::{BrokerAddress, UpstreamSettings};
use crate::metrics::UpstreamErrorKind;

/// Why no broker could be reached. Scope: one client connection.
#[derive(Debug, thiserror::Error)]
#[error("broker {address} cannot be reached")]
pub struct DialError {
    /// The address tried last.
    pub address: BrokerAddress,
    /// What happened.
    pub kind: UpstreamErrorKind,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Dials over TCP.
#[derive(Debug)]
pub struct TcpUpstream {
    bootstrap: Vec<BrokerAddress>,
    connect_timeout: Duration,
    start: AtomicUsize,
}

impl TcpUpstream {
    /// Dials as `settings` say.
    #[must_use]
    pub fn new(settings: &UpstreamSettings) -> Self {
        Self {
            bootstrap: settings.bootstrap.clone(),
            connect_timeout: settings.connect_timeout,
            start: AtomicUsize::new(0),
        }
    }

    /// Connects to the broker at `address`.
    ///
    /// # Errors
    /// [`DialError`] when it refuses or does not answer in time.
    pub async fn dial(&self, address: &BrokerAddress) -> Result<TcpStream, DialError> {
        let connect = TcpStream::connect((address.host.as_str(), address.port));
        let (kind, source) = match timeout(self.connect_timeout, connect).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => (UpstreamErrorKind::Connect, error),
            },
            Ok(Err(error)) => (UpstreamErrorKind::Connect, error),
            Err(_) => (UpstreamErrorKind::ConnectTimeout, io::ErrorKind::TimedOut.into()),
        };
        Err(DialError { address: address.clone(), kind, source })
    }

    /// Connects to the first bootstrap broker that answers, from a rotating start.
    ///
    /// # Errors
    /// [`DialError`] of the last one when none answers.
    pub async fn dial_bootstrap(&self) -> Result<TcpStream, DialError> {
        let start = self.start.fetch_add(1, Ordering::Relaxed);
        let count = self.bootstrap.len();
        let mut last = None;
        for turn in 0..count {
            let at = start.wrapping_add(turn).checked_rem(count).unwrap_or_default();
            let Some(address) = self.bootstrap.get(at) else { continue };
            match self.dial(address).await {
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
