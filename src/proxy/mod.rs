//! Sockets, order, addresses: the only layer that holds connections.

pub mod settings;
