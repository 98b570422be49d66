//! The broker's writing half: it takes only what may reach a broker.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::budget::Holding;
use crate::{
    validate::plan::Cleared,
    wire::{request::OpaqueFrame, sasl::OwnRequest},
};

/// Writes requests to a broker. An unjudged Produce does not fit through here.
#[derive(Debug)]
pub struct BrokerWriter<W> {
    io: W,
    holding: Holding,
}

impl<W: AsyncWrite + Unpin> BrokerWriter<W> {
    /// Writes to `io`. What a broker takes counts as progress of `holding`'s account, however slowly it does.
    pub const fn new(io: W, holding: Holding) -> Self {
        Self { io, holding }
    }

    /// Writes a request that is no Produce, as it came.
    ///
    /// # Errors
    /// The socket's.
    pub async fn opaque(&mut self, request: &OpaqueFrame) -> io::Result<usize> {
        self.write(Pieces::of(vec![request.frame().bytes().clone()])).await
    }

    /// Writes a request of schemaward's own login.
    ///
    /// # Errors
    /// The socket's.
    pub async fn own(&mut self, request: &OwnRequest) -> io::Result<usize> {
        self.write(Pieces::of(vec![request.frame().bytes().clone()])).await
    }

    /// Writes what was judged.
    ///
    /// # Errors
    /// The socket's.
    pub async fn cleared(&mut self, request: Cleared<Vec<Bytes>>) -> io::Result<usize> {
        self.write(Pieces::of(request.into_inner())).await
    }

    async fn write(&mut self, mut pieces: Pieces) -> io::Result<usize> {
        let total = pieces.remaining();
        while pieces.has_remaining() {
            if self.io.write_buf(&mut pieces).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.holding.progress();
        }
        // Under TLS, what was taken is not yet on its way.
        self.io.flush().await?;
        Ok(total)
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// The socket's.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }
}

/// Bytes in pieces, written many at once.
struct Pieces {
    pieces: VecDeque<Bytes>,
    left: usize,
}

impl Pieces {
    fn of(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(Bytes::len).sum();
        Self { pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), left }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map(|piece| &piece[..]).unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in out.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        self.left = self.left.saturating_sub(count);
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                return piece.advance(count);
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_written_in_order_whatever_the_socket_takes(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9),
            takes in proptest::collection::vec(1_usize..12, 1..4),
        ) {
            let mut left = Pieces::of(pieces.iter().cloned().map(Bytes::from).collect());
            let mut written = Vec::<u8>::new();
            for take in takes.into_iter().cycle() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = left.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..filled].iter().flat_map(|it| it.to_vec()).collect();
                if seen.is_empty() {
                    break;
                }
                prop_assert!(seen.starts_with(left.chunk()));
                let take = take.min(seen.len());
                written.extend(&seen[..take]);
                left.advance(take);
            }
            prop_assert_eq!(written, pieces.concat());
            prop_assert_eq!(left.remaining(), 0);
        }
    }
}
