//! Asks a broker, once at start, whether it is there and who else is: before that nobody is sent anywhere.

use std::{sync::Arc, time::Duration};

use kafka_protocol::messages::ApiKey;
use tokio::time::{sleep, timeout};

use super::{
    gateway::Gateway,
    inquiry::{InquiryError, inquire},
    upstream::{Dial, DialError, Upstream},
};
use crate::{
    health::{Latch, Readiness},
    wire::{WireError, rewrite},
};

/// Time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pause between two attempts, doubled up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// An old version: every broker answers it.
const METADATA: i16 = 1;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{error}: {}", error.source)]
    Dial { error: DialError },
    #[error("the broker did not answer within {ATTEMPT:?}")]
    Deadline,
    #[error(transparent)]
    Inquiry(#[from] InquiryError),
    #[error("the broker's answer cannot be read: {0}")]
    Wire(#[from] WireError),
}

impl ProbeError {
    /// What is behind it, where that leads to what has to be changed.
    fn cause(&self) -> Option<String> {
        match self {
            Self::Inquiry(error) => error.cause(),
            _ => None,
        }
    }
}

/// Asks until a broker has answered, then drops the latch. Says in `readiness` what it waits for.
pub async fn until_answered<D: Dial>(
    gateway: Arc<Gateway>,
    upstream: Arc<Upstream<D>>,
    readiness: Arc<Readiness>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let attempt = timeout(ATTEMPT, ask(&gateway, &upstream)).await;
        match attempt.unwrap_or(Err(ProbeError::Deadline)) {
            Ok(()) => return readiness.drop_latch(Latch::Broker),
            Err(error) => {
                let cause = error.cause();
                tracing::warn!(%error, cause, "no broker has answered yet");
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                readiness.set_reason(Latch::Broker, format!("{error}{cause}"));
            }
        }
        sleep(pause).await;
        pause = MAX_PAUSE.min(pause * 2);
    }
}

/// One attempt. A broker that answers ApiVersions but not Metadata (it wants a login first) has answered.
async fn ask<D: Dial>(gateway: &Gateway, upstream: &Upstream<D>) -> Result<(), ProbeError> {
    let connected = upstream.connect_bootstrap().await;
    let connected = connected.map_err(|error| ProbeError::Dial { error })?;
    let limit = gateway.bounds.load().limits.max_rewritten_response_bytes.0;
    match inquire(connected.io, &gateway.budget, limit, METADATA).await? {
        Ok(frame) => {
            let api_key = ApiKey::Metadata as i16;
            rewrite::rewrite_response(api_key, METADATA, &frame, &gateway.cluster)?;
        }
        Err(error) => tracing::info!(%error, "the cluster's nodes are learnt from clients"),
    }
    Ok(())
}
