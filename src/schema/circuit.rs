//! One circuit breaker for each origin that fails: after some failures in a row it is left in peace for a while, then asked
//! once, and again by everybody when that goes well.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Clock, SourceObserver};

/// When an origin is left in peace, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row after which an origin is not asked (`registry.circuit_failures`). 0: it is always asked.
    pub failures: u32,
    /// For how long (`registry.circuit_pause`).
    pub pause: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(2) }
    }
}

/// Whether an origin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// It is.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// It is left in peace for this long; with zero left, whoever asks next tries.
    Open {
        /// For how long.
        left: Duration,
    },
}

/// The circuits of all origins. Those that answer well have none.
pub(super) struct Circuits {
    settings: CircuitSettings,
    clock: Clock,
    observer: Arc<dyn SourceObserver>,
    failing: Mutex<HashMap<String, Circuit>>,
}

#[derive(Debug, Default)]
struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Until when it is open; past that, one may try.
    open_until: Option<Instant>,
    /// Whether somebody tries.
    probing: bool,
}

/// The right to ask an origin once. Dropped without a word, it says nothing about the origin.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    circuits: &'a Circuits,
    origin: String,
    probe: bool,
}

impl std::fmt::Debug for Circuits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Circuits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Circuits {
    pub(super) fn new(
        settings: CircuitSettings,
        clock: Clock,
        observer: Arc<dyn SourceObserver>,
    ) -> Self {
        Self { settings, clock, observer, failing: Mutex::default() }
    }

    /// Asks to ask `origin`. `Err`: not for this long.
    pub(super) fn enter(&self, origin: &str) -> Result<Pass<'_>, Duration> {
        let now = (self.clock)();
        let mut failing = self.lock();
        let mut probe = false;
        if let Some(circuit) = failing.get_mut(origin)
            && let Some(until) = circuit.open_until
        {
            if now < until || circuit.probing {
                return Err(until.saturating_duration_since(now));
            }
            circuit.probing = true;
            probe = true;
        }
        Ok(Pass { circuits: self, origin: origin.to_owned(), probe })
    }

    /// Whether `origin` is asked at this moment.
    pub(super) fn state(&self, origin: &str) -> CircuitState {
        let now = (self.clock)();
        let failing = self.lock();
        match failing.get(origin) {
            None => CircuitState::Closed { failures: 0 },
            Some(Circuit { failures, open_until: None, .. }) => {
                CircuitState::Closed { failures: *failures }
            }
            Some(Circuit { open_until: Some(until), .. }) => {
                CircuitState::Open { left: until.saturating_duration_since(now) }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        // Whole between any two statements.
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the circuit of an origin, and tells where it opens.
    fn change(&self, pass: &Pass<'_>, change: impl FnOnce(&mut Circuit)) {
        let mut failing = self.lock();
        if failing.len() >= MAX_ORIGINS && !failing.contains_key(&pass.origin) {
            return;
        }
        let circuit = failing.entry(pass.origin.clone()).or_default();
        let was_open = circuit.open_until.is_some();
        change(circuit);
        if pass.probe {
            circuit.probing = false;
        }
        if !was_open && circuit.open_until.is_some() {
            let failures = circuit.failures;
            tracing::warn!(origin = pass.origin, failures, "schema registry is left in peace");
        }
        self.tell(&failing);
    }

    fn tell(&self, failing: &HashMap<String, Circuit>) {
        let open = failing.values().filter(|circuit| circuit.open_until.is_some()).count();
        self.observer.circuits_open(open);
    }
}

impl Pass<'_> {
    /// The origin has answered: what went wrong is over.
    pub(super) fn answered(self) {
        let mut failing = self.circuits.lock();
        if let Some(circuit) = failing.remove(&self.origin) {
            if circuit.open_until.is_some() {
                tracing::info!(origin = self.origin, "schema registry answers again");
            }
            self.circuits.tell(&failing);
        }
    }

    /// The origin did not answer, or not as one who can.
    pub(super) fn failed(self) {
        let CircuitSettings { failures: most, pause } = self.circuits.settings;
        let until = (self.circuits.clock)().checked_add(pause);
        self.circuits.change(&self, |circuit| {
            circuit.failures = circuit.failures.saturating_add(1);
            if most > 0 && circuit.failures >= most {
                circuit.open_until = until;
            }
        });
    }

    /// The origin has asked to be left in peace for this long.
    pub(super) fn told_to_wait(self, wait: Duration) {
        let until = (self.circuits.clock)().checked_add(wait.min(MAX_WAIT));
        self.circuits.change(&self, |circuit| circuit.open_until = circuit.open_until.max(until));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Some(circuit) = self.circuits.lock().get_mut(&self.origin)
        {
            // The next one may try.
            circuit.probing = false;
        }
    }
}

/// Failing origins that are remembered at once: a wildcard can stand for any number.
const MAX_ORIGINS: usize = 1_024;
/// Longest time that an origin is left in peace at its own word.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Open(AtomicUsize);

    impl SourceObserver for Open {
        fn circuits_open(&self, count: usize) {
            self.0.store(count, Ordering::SeqCst);
        }
        fn retried(&self) {}
        fn left_in_peace(&self) {}
    }

    struct Bench {
        circuits: Circuits,
        now: Arc<Mutex<Instant>>,
        open: Arc<Open>,
    }

    impl Bench {
        fn new() -> Self {
            let now = Arc::new(Mutex::new(Instant::now()));
            let open = Arc::new(Open::default());
            let settings = CircuitSettings { failures: 3, pause: Duration::from_secs(10) };
            let shown = Arc::clone(&now);
            let clock: Clock = Arc::new(move || *shown.lock().unwrap());
            let circuits = Circuits::new(settings, clock, Arc::clone(&open) as _);
            Self { circuits, now, open }
        }

        fn advance(&self, seconds: u64) {
            *self.now.lock().unwrap() += Duration::from_secs(seconds);
        }

        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.circuits.enter("a").unwrap().failed();
            }
        }

        fn open(&self) -> usize {
            self.open.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_for_its_own_origin() {
        let bench = Bench::new();
        bench.fail(2);
        bench.circuits.enter("a").unwrap().answered();
        bench.fail(2);
        assert_eq!(bench.open(), 0);
        bench.fail(1);
        assert_eq!(bench.open(), 1);
        assert_eq!(bench.circuits.enter("a").unwrap_err(), Duration::from_secs(10));
        bench.circuits.enter("b").unwrap().failed();
        bench.advance(9);
        assert_eq!(bench.circuits.enter("a").unwrap_err(), Duration::from_secs(1));
    }

    #[test]
    fn after_its_pause_one_may_try_and_what_he_finds_decides() {
        let bench = Bench::new();
        bench.fail(3);
        bench.advance(10);
        let probe = bench.circuits.enter("a").unwrap();
        assert!(bench.circuits.enter("a").is_err(), "half open");
        probe.failed();
        assert_eq!(bench.circuits.enter("a").unwrap_err(), Duration::from_secs(10));
        bench.advance(10);
        drop(bench.circuits.enter("a").unwrap());
        let probe = bench.circuits.enter("a").expect("who gave up hands on the right to try");
        assert_eq!(bench.open(), 1);
        probe.answered();
        assert_eq!(bench.open(), 0);
        bench.fail(2);
        assert!(bench.circuits.enter("a").is_ok(), "counted from the start");
    }

    #[test]
    fn who_asks_to_be_left_in_peace_is_within_bounds() {
        let bench = Bench::new();
        bench.circuits.enter("a").unwrap().told_to_wait(Duration::from_secs(7));
        assert_eq!(bench.circuits.enter("a").unwrap_err(), Duration::from_secs(7));
        bench.circuits.enter("b").unwrap().told_to_wait(Duration::MAX);
        assert_eq!(bench.circuits.enter("b").unwrap_err(), MAX_WAIT);
        bench.advance(60);
        for origin in ["a", "b"] {
            bench.circuits.enter(origin).unwrap().answered();
        }
        assert_eq!(bench.open(), 0);
    }

    #[test]
    fn zero_failures_mean_never() {
        let bench = Bench::new();
        let settings = CircuitSettings { failures: 0, ..CircuitSettings::default() };
        let circuits = Circuits { settings, ..bench.circuits };
        for _ in 0..100 {
            circuits.enter("a").unwrap().failed();
        }
        assert!(circuits.enter("a").is_ok());
    }

    #[test]
    fn origins_that_fail_are_remembered_within_bounds() {
        let bench = Bench::new();
        for origin in 0..2 * MAX_ORIGINS {
            bench.circuits.enter(&origin.to_string()).unwrap().failed();
        }
        assert_eq!(bench.circuits.lock().len(), MAX_ORIGINS);
    }
}
