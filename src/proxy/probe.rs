//! Asks a broker, once at start, whether it is there and who else is: before that nobody is sent anywhere.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use kafka_protocol::{
    messages::{ApiKey, ApiVersionsRequest, MetadataRequest, RequestHeader},
    protocol::{Encodable, StrBytes},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, split},
    time::{sleep, timeout},
};

use super::{
    budget::Stage,
    gateway::Gateway,
    reader::{Buffered, ReadError},
    upstream::{Dial, DialError, Upstream},
};
use crate::{
    health::{Latch, Readiness},
    tls,
    wire::{Frame, WireError, frame, rewrite},
};

/// Time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pause between two attempts, doubled up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Oldest version of each request: every broker answers it.
const API_VERSIONS: i16 = 0;
const METADATA: i16 = 1;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{error}: {}", error.source)]
    Dial { error: DialError },
    #[error("the broker speaks TLS, but there is no upstream.tls")]
    SpeaksTls,
    #[error("the broker did not answer within {ATTEMPT:?}")]
    Deadline,
    #[error("the broker closed the connection or sent no answer: {0}")]
    Read(#[from] ReadError),
    #[error("the broker's answer cannot be read: {0}")]
    Wire(#[from] WireError),
    #[error("the request cannot be sent: {0}")]
    Write(#[from] std::io::Error),
    #[error("the request cannot be encoded: {0}")]
    Encode(String),
}

impl ProbeError {
    /// What is behind it, where that leads to what has to be changed.
    fn cause(&self) -> Option<String> {
        match self {
            Self::Write(error) | Self::Read(ReadError::Io(error)) if tls::is_tls_error(error) => {
                Some(tls::explain(error))
            }
            Self::Read(ReadError::Io(error)) => Some(error.to_string()),
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
    let (reading, mut writing) = split(connected.io);
    let mut input = Buffered::new(reading);
    let api_versions = ApiVersionsRequest::default();
    writing.write_all(&request(ApiKey::ApiVersions, API_VERSIONS, &api_versions)?).await?;
    writing.flush().await?;
    answer(gateway, &mut input).await?;
    let metadata = MetadataRequest::default().with_topics(Some(Vec::new()));
    writing.write_all(&request(ApiKey::Metadata, METADATA, &metadata)?).await?;
    writing.flush().await?;
    match answer(gateway, &mut input).await {
        Ok(frame) => {
            let api_key = ApiKey::Metadata as i16;
            rewrite::rewrite_response(api_key, METADATA, &frame, &gateway.cluster)?;
        }
        Err(error) => tracing::info!(%error, "the cluster's nodes are learnt from clients"),
    }
    Ok(())
}

fn request(api_key: ApiKey, version: i16, body: &impl Encodable) -> Result<BytesMut, ProbeError> {
    let header = RequestHeader::default()
        .with_request_api_key(api_key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("schemaward")));
    let encode = |error: &dyn std::fmt::Display| ProbeError::Encode(error.to_string());
    let mut payload = BytesMut::new();
    header.encode(&mut payload, 1).map_err(|error| encode(&error))?;
    body.encode(&mut payload, version).map_err(|error| encode(&error))?;
    let frame = Frame::build(&payload)?;
    Ok(BytesMut::from(&frame.bytes()[..]))
}

async fn answer(
    gateway: &Gateway,
    input: &mut Buffered<impl AsyncRead + Unpin>,
) -> Result<Frame, ProbeError> {
    let mut holding = gateway.budget.holder();
    let header = loop {
        if speaks_tls(input.buffered()) {
            return Err(ProbeError::SpeaksTls);
        }
        if let Some(header) = frame::response_header(input.buffered())? {
            break header;
        }
        if input.fill_idle().await? == 0 {
            return Err(ReadError::Truncated { got: input.buffered().len() }.into());
        }
    };
    let limit = gateway.bounds.load().limits.max_rewritten_response_bytes.0;
    if header.size > limit {
        return Err(WireError::FrameTooLarge { size: header.size, limit }.into());
    }
    let total = header.size.saturating_add(4);
    let bytes = input.whole(total, &mut holding, 0, Stage::Begin).await?;
    Ok(Frame::from_bytes(bytes.freeze())?)
}

/// Whether an answer begins like TLS, an alert for example, which is shorter than any answer.
fn speaks_tls(answer: &[u8]) -> bool {
    let size = answer.first_chunk().map(|size| u32::from_be_bytes(*size));
    size.and_then(|size| usize::try_from(size).ok()).is_some_and(tls::looks_like_tls)
}
