//! Facts (verdict), then opinion (policy), then plan. No sockets, no metrics, no logs.

pub mod judge;
pub mod metadata;
pub mod plan;
pub mod policy;
pub mod verdict;
