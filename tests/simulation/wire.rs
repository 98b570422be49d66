//! A client's connection: it writes in pieces, reads when it likes, and may end in any of the ways in which connections do.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use turmoil::net::TcpStream;

use crate::support::{
    client::read_frame,
    idempotent::{Chance, Sent},
};

/// How a client behaves on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Pauses before it reads the next answer, at most.
    pub read_pause: u64,
    /// Bytes that it writes at once, and pauses between them.
    pub piece: usize,
    pub write_pause: u64,
}

/// What a connection reports; the number is the connection's.
#[derive(Debug)]
pub enum Event {
    Answer(u64, Bytes),
    Closed(u64),
}

/// A Produce request that was sent.
#[derive(Debug)]
pub struct Asked {
    pub correlation_id: i32,
    pub sent: Vec<Sent>,
    pub at: Instant,
}

/// An open connection, or one that is being opened.
#[derive(Debug)]
pub struct Connection {
    pub number: u64,
    pub asked: VecDeque<Asked>,
    /// Nothing more is sent on it: its writing half is closed.
    pub is_closing: bool,
    requests: Option<mpsc::UnboundedSender<Bytes>>,
    task: JoinHandle<()>,
}

impl Connection {
    pub fn open(
        number: u64,
        port: u16,
        manners: Manners,
        seed: u64,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (requests, queue) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(("proxy", port))).await;
            if let Ok(Ok(stream)) = connected {
                let (reading, writing) = split(stream);
                let mut chance = Chance::new(seed);
                let writes = write(writing, queue, manners, Chance::new(chance.next()));
                let reads = read(reading, number, &events, manners, chance);
                tokio::select! {
                    biased;
                    () = reads => {}
                    () = writes => {}
                }
            }
            let _ = events.send(Event::Closed(number));
        });
        let (asked, requests) = (VecDeque::new(), Some(requests));
        Self { number, asked, is_closing: false, requests, task }
    }

    pub fn ask(&mut self, frame: Bytes, asked: Asked) {
        self.asked.push_back(asked);
        if let Some(requests) = &self.requests {
            let _ = requests.send(frame);
        }
    }

    /// Closes the writing half, and goes on reading what is still answered.
    pub fn half_close(&mut self) {
        self.is_closing = true;
        self.requests = None;
    }

    /// Cuts it off: what is unread or on its way is lost.
    pub fn cut(self) -> VecDeque<Asked> {
        self.task.abort();
        self.asked
    }
}

async fn write(
    mut writing: WriteHalf<TcpStream>,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    manners: Manners,
    mut chance: Chance,
) {
    while let Some(frame) = queue.recv().await {
        for piece in frame.chunks(manners.piece) {
            if writing.write_all(piece).await.is_err() {
                return;
            }
            if manners.write_pause > 0 {
                sleep(Duration::from_millis(chance.below(manners.write_pause))).await;
            }
        }
    }
    if writing.shutdown().await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn read(
    mut reading: ReadHalf<TcpStream>,
    number: u64,
    events: &mpsc::UnboundedSender<Event>,
    manners: Manners,
    mut chance: Chance,
) {
    loop {
        if manners.read_pause > 0 {
            sleep(Duration::from_millis(chance.below(manners.read_pause))).await;
        }
        let Some(frame) = read_frame(&mut reading).await else { return };
        let _ = events.send(Event::Answer(number, frame.slice(4..)));
    }
}

/// Sends one request on a connection of its own and gives its answer, without the size.
pub async fn ask_once(port: u16, frame: Bytes) -> Option<Bytes> {
    let asking = async {
        let mut stream = TcpStream::connect(("proxy", port)).await.ok()?;
        stream.write_all(&frame).await.ok()?;
        let size = stream.read_i32().await.ok()?;
        let mut answer = vec![0; usize::try_from(size).unwrap()];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer.into())
    };
    timeout(CONNECT_TIMEOUT, asking).await.ok().flatten()
}

/// Time to connect, or to answer what is asked once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
