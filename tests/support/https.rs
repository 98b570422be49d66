//! HTTP under TLS, as an API server speaks it: one request a connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::http::Reply;

/// Connects to `address`, where a server called `name` is expected.
///
/// # Errors
/// There is none, or none that is trusted.
pub async fn connect(
    address: SocketAddr,
    name: &str,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// Sends `head` and `body` as they are, and reads the answer; what the server no longer takes of the body is left.
///
/// # Errors
/// No answer comes.
pub async fn exchange(
    mut stream: TlsStream<TcpStream>,
    head: &str,
    body: &[u8],
) -> io::Result<Reply> {
    stream.write_all(head.as_bytes()).await?;
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(body).await;
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    // A close without TLS' own farewell does not take away what was read.
    let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await?;
    let text = String::from_utf8(answer).map_err(io::Error::other)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        read?;
        return Err(io::Error::other("no answer"));
    };
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    Ok(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}
