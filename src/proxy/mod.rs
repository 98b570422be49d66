//! Sockets, order, addresses: the only layer that holds connections.

pub mod budget;
pub mod in_flight;
pub mod sequence_guard;
pub mod settings;
