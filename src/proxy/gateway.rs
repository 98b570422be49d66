//! What all connections share.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    budget::MemoryBudget,
    cluster_view::ClusterView,
    end_log::EndLog,
    in_force::{CurrentBounds, Judging},
    quarantine::DeadLetters,
    sequence_guard::SequenceGuard,
};
use crate::{metrics::Metrics, rejection_log::RejectionLog};

/// The parts that every connection uses, none of which belongs to one.
#[derive(Debug)]
pub struct Gateway {
    /// How records are judged.
    pub judging: ArcSwap<Judging>,
    /// What connections may ask.
    pub bounds: CurrentBounds,
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
    /// Turns true when the process drains.
    pub draining: watch::Receiver<bool>,
}

impl Gateway {
    /// How long a drain waits for what is in flight.
    #[must_use]
    pub fn drain_grace(&self) -> Duration {
        self.bounds.load().times.drain_grace
    }

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
