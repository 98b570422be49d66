//! Sockets, order, addresses: the only layer that holds connections.

pub mod address_map;
pub mod admission;
pub mod advertised_host;
pub mod budget;
pub mod cluster_view;
pub mod connection;
pub mod end_log;
pub mod entrance;
pub mod gateway;
pub mod in_flight;
pub mod listener;
pub mod peer;
pub mod probe;
pub mod produce;
pub mod proxy_protocol;
pub mod pulse;
pub mod reader;
mod report;
pub mod responses;
pub mod sasl;
pub mod sequence_guard;
pub mod settings;
pub mod topic_ids;
pub mod transport;
pub mod turned_away;
pub mod upstream;
pub mod writer;
