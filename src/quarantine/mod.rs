//! Writes copies of refused batches to dead-letter topics, over connections of schemaward's own: it takes them from the
//! queue of [`crate::proxy::quarantine`], and says of each what became of it. It reads nothing that clients send.
//!
//! | File | does |
//! |---|---|
//! | `desk.rs` | takes consignments from the queue, one task for each |
//! | `leaders.rs` | which broker leads the partition of a dead-letter topic |
//! | `links.rs` | connections, one to a broker, no more than configured |
//! | `link.rs` | one connection: requests in order, answers in order |
//! | `requests.rs` | the few requests, as bytes |

mod desk;
mod leaders;
mod link;
mod links;
mod requests;

pub use desk::run;
