//! Sockets, order, addresses: the only layer that holds connections.

pub mod address_map;
pub mod cluster_view;
pub mod settings;
pub mod topic_ids;
