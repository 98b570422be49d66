//! Facts (verdict), then opinion (policy), then plan.

pub mod metadata;
pub mod policy;
