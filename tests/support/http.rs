//! Plain HTTP, as kubelet and Prometheus speak it.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// Header lines in lower case.
    pub head: String,
    pub body: String,
}

/// Asks for a path at an address, `host:port`.
pub async fn get(address: &str, path: &str) -> Reply {
    try_get(address, path).await.unwrap_or_else(|| panic!("{address} does not answer"))
}

/// The same where perhaps nobody listens.
pub async fn try_get(address: &str, path: &str) -> Option<Reply> {
    ask(address, "GET", path, "").await
}

/// Asks with another method and with header lines, each with its end of line.
pub async fn ask(address: &str, method: &str, path: &str, headers: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().unwrap();
    Some(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}
