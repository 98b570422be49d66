//! A wire to a broker with a valve in the way back: requests always arrive, answers only while it is open.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A running wire.
#[derive(Debug)]
pub struct Valve {
    address: SocketAddr,
    open: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Valve {
    /// Opened, on a free port, to the broker at `to`.
    pub async fn to(to: &str) -> Self {
        Self::at("127.0.0.1:0", to).await
    }

    /// The same at `address`.
    pub async fn at(address: &str, to: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(true);
        let to = to.to_owned();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, to.clone(), opened.clone()));
            }
        });
        Self { address, open, server }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn carry(client: TcpStream, to: String, mut open: watch::Receiver<bool>) {
    let broker = TcpStream::connect(to).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    tokio::spawn(async move {
        let _ = copy(&mut from_client, &mut to_broker).await;
        let _ = to_broker.shutdown().await;
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_broker.read(&mut buffer).await {
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        if to_client.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
