//! What the configuration says about the admin listeners.

use std::{net::SocketAddr, path::PathBuf};

/// Where operators and probes are awaited. Without an address there is no listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Everything (`admin.listen`).
    pub listen: Option<SocketAddr>,
    /// Only `/metrics`, `/livez` and `/readyz`, for kubelet and Prometheus (`admin.probes_listen`).
    pub probes_listen: Option<SocketAddr>,
    /// File with the token that `admin.listen` asks for (`admin.token_file`), read anew for each request.
    pub token_file: Option<PathBuf>,
    /// Whether `POST /reload` has the configuration read again (`admin.reload`).
    pub reload: bool,
}
