//! How many unknown schemas may be asked for: a token bucket. Whoever makes up references cannot make more requests of them
//! than that.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// How many look-ups of unknown schemas are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupBudget {
    /// In the long run (`registry.max_lookups_per_second`).
    pub per_second: u32,
    /// At once, after a time without any (`registry.lookup_burst`).
    pub burst: u32,
}

impl Default for LookupBudget {
    fn default() -> Self {
        Self { per_second: 50, burst: 500 }
    }
}

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Bucket {
    budget: LookupBudget,
    /// Tokens, and when they were counted. Touched by those only for whom nothing is cached.
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(budget: LookupBudget, now: Instant) -> Self {
        Self { budget, state: Mutex::new((budget.burst.into(), now)) }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = *state;
        let passed = now.saturating_duration_since(counted).as_secs_f64();
        let tokens = passed.mul_add(self.budget.per_second.into(), tokens);
        let tokens = tokens.min(self.budget.burst.into());
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now.max(counted));
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_burst_is_spent_and_comes_back_at_its_rate() {
        let now = Instant::now();
        let bucket = Bucket::new(LookupBudget { per_second: 2, burst: 5 }, now);
        let taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(now), 5);
        assert_eq!(taken(now + Duration::from_millis(499)), 0);
        assert_eq!(taken(now + Duration::from_secs(1)), 2);
        assert_eq!(taken(now), 0, "a clock that stands still or goes back brings nothing");
        assert_eq!(taken(now + Duration::from_secs(2)), 2);
        assert_eq!(taken(now + Duration::from_secs(1_000)), 5);
    }
}
