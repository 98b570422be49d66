//! What the configuration in force says about requests and connections. A reload puts something new in its place: whoever
//! began with the old one ends with it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::settings::TimeSettings;
use crate::{
    limits::WireLimits,
    validate::{judge::Judge, policy::Policy},
};

/// How records are judged. A Produce request takes hold of it once, and is judged by it from its first record to its last.
#[derive(Debug)]
pub struct Judging {
    /// Facts about records.
    pub judge: Judge,
    /// Opinions about them.
    pub policy: Policy,
}

/// What one connection may ask, and how long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bounds of a connection.
    pub limits: WireLimits,
    /// How long things may take.
    pub times: TimeSettings,
}

/// The bounds in force.
pub type CurrentBounds = Arc<ArcSwap<Bounds>>;

/// The same as one connection reads them: that takes no more than a look at a pointer while they stay the same.
pub type WatchedBounds = Cache<CurrentBounds, Arc<Bounds>>;

/// Bounds that tests begin with.
#[cfg(test)]
pub(super) fn test_bounds() -> CurrentBounds {
    use std::time::Duration;
    let second = Duration::from_secs(1);
    let times = TimeSettings {
        handshake_timeout: second,
        lookup_deadline: second,
        stall_timeout: second,
        idle_timeout: second,
        request_timeout: second,
        response_timeout: second,
        drain_grace: second,
    };
    Arc::new(ArcSwap::from_pointee(Bounds { limits: WireLimits::default(), times }))
}
