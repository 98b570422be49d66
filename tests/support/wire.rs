//! A wire that can go wrong: what goes over it stalls, or one of its ends is cut off while the other goes on.
//!
//! What happens to it happens to the connections that are there; those that come later are carried as they should be, as
//! with a peer that has started anew.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Handle,
    sync::watch,
    task::JoinSet,
};

/// What becomes of what goes over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It is carried, both ways.
    Well,
    /// Nothing is read any more, from neither side, and nobody is told: half-open, or a peer that has stopped reading.
    Stalled,
    /// The server is told that the client has ended; answers are still carried.
    RequestsEnd,
    /// The client is told that the server has ended; requests are still carried.
    AnswersEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Answers,
    Requests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Carried,
    Ended,
    Stalled,
}

impl Flow {
    const fn now(self, way: Way) -> Now {
        match (self, way) {
            (Self::Stalled, _) => Now::Stalled,
            (Self::RequestsEnd, Way::Requests) | (Self::AnswersEnd, Way::Answers) => Now::Ended,
            _ => Now::Carried,
        }
    }
}

/// A running wire. All that goes over it ends when it is dropped.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    flow: Arc<Mutex<watch::Sender<Flow>>>,
    _server: JoinSet<()>,
}

impl Wire {
    /// A wire on a free port to the server at `to`.
    pub async fn to(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flow = Arc::new(Mutex::new(watch::Sender::new(Flow::Well)));
        let (to, flows) = (to.to_owned(), Arc::clone(&flow));
        let mut server = JoinSet::new();
        server.spawn_on(
            async move {
                let mut carried = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    // A server that is gone closes the client's connection.
                    let Ok(server) = TcpStream::connect(&to).await else { continue };
                    let flow = flows.lock().unwrap().subscribe();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    carried.spawn(carry(from_client, to_server, flow.clone(), Way::Requests));
                    carried.spawn(carry(from_server, to_client, flow, Way::Answers));
                }
            },
            &Handle::current(),
        );
        Self { address, flow, _server: server }
    }

    /// Where it begins.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes what becomes of the connections that are there now, until the sender that is returned says otherwise.
    pub fn spoil(&self, flow: Flow) -> watch::Sender<Flow> {
        let present =
            std::mem::replace(&mut *self.flow.lock().unwrap(), watch::Sender::new(Flow::Well));
        present.send_replace(flow);
        present
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    way: Way,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = flow.borrow_and_update().now(way);
        if now == Now::Ended {
            let _ = to.shutdown().await;
        }
        tokio::select! {
            changed = flow.changed() => if changed.is_err() && now != Now::Carried {
                // Nobody will ever say otherwise.
                pending::<()>().await;
            } else if changed.is_err() {
                return copy_to_the_end(from, to).await;
            },
            read = from.read(&mut buffer), if now == Now::Carried => {
                let read = read.unwrap_or(0);
                if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
                    let _ = to.shutdown().await;
                    return;
                }
            }
        }
    }
}

async fn copy_to_the_end(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}
