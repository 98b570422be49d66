//! Facts (verdict), then opinion (policy), then plan. No sockets, no metrics, no logs.

pub mod claim;
pub mod convention;
pub mod datum;
pub mod dead_letter;
pub mod examine;
mod headers;
pub mod judge;
mod memo;
pub mod metadata;
pub mod plan;
pub mod policy;
pub mod verdict;
