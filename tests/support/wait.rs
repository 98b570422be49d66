//! Waiting for what can be observed, never for time to pass.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before the test has failed: generous, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Waits until `condition` holds; panics with `what` if it never does.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        sleep(POLL).await;
    }
}

/// What `future` gives; panics with `what` if it never does.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
