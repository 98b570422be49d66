//! How often something may be said in the log: a few lines at once, then one now and then, with the count of those between.

use std::time::{Duration, Instant};

/// Lines that may be written at once, refilled over time.
#[derive(Debug, Clone, Copy)]
pub struct LogRate {
    lines: u32,
    refilled: Instant,
    /// Lines that were not written and are not told yet.
    pub suppressed: u64,
}

impl LogRate {
    /// All lines are there.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { lines: BURST, refilled: now, suppressed: 0 }
    }

    fn refill(&mut self, now: Instant) {
        let mut due = now.saturating_duration_since(self.refilled);
        while due >= INTERVAL && self.lines < BURST {
            due -= INTERVAL;
            self.refilled += INTERVAL;
            self.lines += 1;
        }
        if self.lines >= BURST {
            self.refilled = now;
        }
    }

    /// Takes a line, and with it the count of those that were not written since the last one.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        self.refill(now);
        self.lines = self.lines.checked_sub(1)?;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// Like [`LogRate::take`], and counts what is not written.
    pub fn take_or_count(&mut self, now: Instant) -> Option<u64> {
        let taken = self.take(now);
        if taken.is_none() {
            self.suppressed = self.suppressed.saturating_add(1);
        }
        taken
    }

    /// Whether forgetting it changes nothing.
    pub fn is_idle(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.lines == BURST && self.suppressed == 0
    }
}

/// Lines that may be written at once.
pub const BURST: u32 = 5;
/// After that, one in this time.
pub const INTERVAL: Duration = Duration::from_secs(10);
