//! Record set → batch → records, magic 2 only. Borrows from the bytes that came, never re-encodes.
//!
//! What a consumer will read must be what was judged: a batch is exactly one compressed stream used to its last byte, and
//! the declared records use its output to the last byte. Everything else is an error, whatever a broker would say.

pub mod batch;
#[cfg(test)]
pub(crate) mod builder;
pub mod compression;
pub mod copy;
pub mod error;
mod gzip;
mod inflate;
mod lz4;
pub mod reader;
pub mod scratch;
mod snappy;
mod snappy_stream;
mod walk;
mod window;
mod zstd;

pub use batch::{Batch, BatchHeader, ProducerSequence, peek_compression, peek_sequence};
pub use compression::Compression;
pub use copy::{BatchCopier, CopiedBatch, CopyError};
pub use error::{RecordError, RecordErrorClass};
pub use reader::{Record, RecordReader};
pub use scratch::{Allowance, Scratch, Unlimited};
pub use walk::each_header;
