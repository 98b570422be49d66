//! What all connections share.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    budget::MemoryBudget, cluster_view::ClusterView, end_log::EndLog, quarantine::DeadLetters,
    sequence_guard::SequenceGuard, settings::TimeSettings,
};
use crate::{
    limits::WireLimits,
    metrics::Metrics,
    rejection_log::RejectionLog,
    validate::{judge::Judge, policy::Policy},
};

/// The parts that every connection uses, none of which belongs to one.
#[derive(Debug)]
pub struct Gateway {
    /// Facts about records.
    pub judge: Judge,
    /// Opinions about them.
    pub policy: Policy,
    /// Where brokers are and what clients are told.
    pub cluster: ClusterView,
    /// Gaps that withheld batches left.
    pub guard: Arc<SequenceGuard>,
    /// What unfinished work may hold.
    pub budget: Arc<MemoryBudget>,
    /// Copies of refused batches that are on their way.
    pub dead_letters: Arc<DeadLetters>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is logged of rejections.
    pub rejections: RejectionLog,
    /// What is logged of connections that end.
    pub ends: EndLog,
    /// Bounds of a connection.
    pub limits: WireLimits,
    /// How long things may take.
    pub times: TimeSettings,
    /// Turns true when the process drains.
    pub draining: watch::Receiver<bool>,
}

impl Gateway {
    /// Waits until the process drains.
    ///
    /// # Cancel safety
    /// Holds nothing.
    pub async fn drained(&self) {
        let mut draining = self.draining.clone();
        // An error means that nobody can say so any more: then the process is ending too.
        let _ = draining.wait_for(|draining| *draining).await;
    }
}
