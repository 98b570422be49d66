//! Sockets, order, addresses: the only layer that holds connections.

pub mod budget;
pub mod sequence_guard;
pub mod settings;
