//! The broker's writing half: it takes only what may reach a broker.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{validate::plan::Cleared, wire::request::OpaqueFrame};

/// Writes requests to a broker. An unjudged Produce does not fit through here.
#[derive(Debug)]
pub struct BrokerWriter<W>(W);

impl<W: AsyncWrite + Unpin> BrokerWriter<W> {
    /// Writes to `io`.
    pub const fn new(io: W) -> Self {
        Self(io)
    }

    /// Writes a request that is no Produce, as it came.
    ///
    /// # Errors
    /// The socket's.
    pub async fn opaque(&mut self, request: &OpaqueFrame) -> io::Result<usize> {
        self.0.write_all(request.frame().bytes()).await?;
        Ok(request.frame().bytes().len())
    }

    /// Writes what was judged.
    ///
    /// # Errors
    /// The socket's.
    pub async fn cleared(&mut self, request: Cleared<Vec<Bytes>>) -> io::Result<usize> {
        let mut written = 0;
        for bytes in request.into_inner() {
            self.0.write_all(&bytes).await?;
            written += bytes.len();
        }
        Ok(written)
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// The socket's.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
