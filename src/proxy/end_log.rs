//! Why connections end, in the log: each cause at a rate of its own, so that nobody fills the log by coming again and again.
//! The metrics count every one of them.

use std::{
    fmt::Display,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tracing::{debug, error, warn};

use crate::{log_rate::LogRate, metrics::ConnectionEnd};

/// The log of connections that ended before their time.
#[derive(Debug)]
pub struct EndLog {
    /// What each cause may still write, in the order of [`ConnectionEnd::ALL`].
    rates: Mutex<[LogRate; ConnectionEnd::ALL.len()]>,
}

impl Default for EndLog {
    fn default() -> Self {
        let rate = LogRate::new(Instant::now());
        Self { rates: Mutex::new([rate; ConnectionEnd::ALL.len()]) }
    }
}

impl EndLog {
    /// Writes why the connection of `peer` ended, unless there was enough of this.
    pub fn ended(&self, end: ConnectionEnd, peer: SocketAddr, why: &dyn Display, cause: &str) {
        let label = end.label();
        match end {
            // What clients, operators and time do to sound connections is nothing to warn of.
            ConnectionEnd::Closed
            | ConnectionEnd::Cut
            | ConnectionEnd::Idle
            | ConnectionEnd::Vanished => {
                debug!(%peer, error = %why, cause, end = label, "connection closed");
            }
            _ => {
                if let Some(suppressed) = self.take(end, Instant::now()) {
                    warn!(%peer, error = %why, cause, end = label, suppressed, "connection closed");
                }
            }
        }
    }

    /// Writes that a fault of our own ended the connection of `peer`.
    pub fn panicked(&self, peer: SocketAddr) {
        if let Some(suppressed) = self.take(ConnectionEnd::Panic, Instant::now()) {
            error!(%peer, suppressed, "connection closed: a fault in schemaward, please report it");
        }
    }

    /// Writes how many lines were left out and are not told yet, within the rate or, at the end, whatever the rate.
    pub fn report_suppressed(&self, at_the_end: bool) {
        for end in ConnectionEnd::ALL {
            let suppressed = self.with(end, |rate| match (rate.suppressed, at_the_end) {
                (0, _) => None,
                (suppressed, true) => Some(suppressed),
                (_, false) => rate.take(Instant::now()),
            });
            if let Some(suppressed) = suppressed {
                warn!(end = end.label(), suppressed, "more connections closed");
            }
        }
    }

    fn take(&self, end: ConnectionEnd, now: Instant) -> Option<u64> {
        self.with(end, |rate| rate.take_or_count(now))
    }

    fn with<T>(
        &self,
        end: ConnectionEnd,
        what: impl FnOnce(&mut LogRate) -> Option<T>,
    ) -> Option<T> {
        let at = ConnectionEnd::ALL.iter().position(|one| *one == end)?;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        what(rates.get_mut(at)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_cause_writes_five_lines_and_then_one_in_ten_seconds() {
        let (log, now) = (EndLog::default(), Instant::now());
        let written = |end, after: u64| {
            let now = now + Duration::from_secs(after);
            (0..100).filter_map(|_| log.take(end, now)).collect::<Vec<_>>()
        };
        assert_eq!(written(ConnectionEnd::Client, 0), [0; 5]);
        assert_eq!(written(ConnectionEnd::NoBroker, 0), [0; 5]);
        assert_eq!(written(ConnectionEnd::Client, 1), [0; 0]);
        assert_eq!(written(ConnectionEnd::Client, 11), [195]);
    }
}
