//! Counts clients that were turned away, and says so at a bounded rate: anybody who reaches the port can cause it.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tracing::{debug, info};

use super::entrance::EntranceError;
use crate::{
    log_rate::LogRate,
    metrics::{ConnectionEnd, Metrics, TurnedAway},
};

/// What may still be said of each cause.
#[derive(Debug)]
pub struct TurnedAwayLog([Mutex<LogRate>; TurnedAway::ALL.len()]);

impl Default for TurnedAwayLog {
    fn default() -> Self {
        let now = Instant::now();
        Self(TurnedAway::ALL.map(|_| Mutex::new(LogRate::new(now))))
    }
}

impl TurnedAwayLog {
    /// Counts and logs a client that did not get in, and says as what its connection ended.
    pub fn note(
        &self,
        metrics: &Metrics,
        peer: SocketAddr,
        error: &EntranceError,
    ) -> ConnectionEnd {
        let Some(cause) = error.cause() else {
            debug!(%peer, %error, "closed");
            return ConnectionEnd::Vanished;
        };
        metrics.client_turned_away(cause);
        let reason = std::error::Error::source(error)
            .filter(|_| matches!(error, EntranceError::Unnamed(_)))
            .map(ToString::to_string);
        match self.take(cause) {
            Some(suppressed) => {
                info!(%peer, %error, reason, suppressed, "closing: client not let in");
            }
            None => debug!(%peer, %error, reason, "closing: client not let in"),
        }
        ConnectionEnd::NotLetIn
    }

    /// The right to a line, with the count of those that were left out before it.
    fn take(&self, cause: TurnedAway) -> Option<u64> {
        let at = TurnedAway::ALL.iter().position(|one| *one == cause)?;
        let mut rate = self.0.get(at)?.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take_or_count(Instant::now())
    }
}
