//! The one place that wires everything; owns start, drain and stop.

use crate::config::Config;

/// Why the proxy ended otherwise than by a clean stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Connections were still busy when the grace period of the drain ended.
    #[error("drain grace exceeded with connections still busy")]
    DrainGraceExceeded,
    /// The parts are not put together yet.
    #[error("not wired yet")]
    NotWired,
}

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// What ended it, unless it was told to stop and all connections were done in time.
pub async fn run(_config: Config) -> Result<(), AppError> {
    Err(AppError::NotWired)
}
