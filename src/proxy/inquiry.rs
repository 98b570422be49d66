//! Asks one broker over one connection what it offers and who else is there.

use bytes::BytesMut;
use kafka_protocol::{
    messages::{ApiKey, ApiVersionsRequest, MetadataRequest},
    protocol::Encodable,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, split};

use super::{
    budget::{MemoryBudget, Stage},
    own_request::{self, EncodeError},
    reader::{Buffered, ReadError},
};
use crate::{
    tls,
    wire::{Frame, WireError, frame},
};

/// Oldest version of the request: every broker answers it.
const API_VERSIONS: i16 = 0;

/// Why a broker did not answer.
#[derive(Debug, thiserror::Error)]
pub enum InquiryError {
    /// It expects a handshake.
    #[error("the broker speaks TLS, but there is no upstream.tls")]
    SpeaksTls,
    /// Nothing came.
    #[error("the broker closed the connection or sent no answer: {0}")]
    Read(#[from] ReadError),
    /// Something else came.
    #[error("the broker's answer cannot be read: {0}")]
    Wire(#[from] WireError),
    /// Nothing could be sent.
    #[error("the request cannot be sent: {0}")]
    Write(#[from] std::io::Error),
    /// There is nothing to send.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl InquiryError {
    /// What is behind it, where that leads to what has to be changed.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Write(error) | Self::Read(ReadError::Io(error)) if tls::is_tls_error(error) => {
                Some(tls::explain(error))
            }
            Self::Read(ReadError::Io(error)) => Some(error.to_string()),
            _ => None,
        }
    }

    /// It and what is behind it, in one line.
    #[must_use]
    pub fn explained(&self) -> String {
        match self.cause() {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// Asks for ApiVersions, and for Metadata of `version` without topics. The inner error: the broker has answered, but not
/// the second question; it may want a login first.
///
/// # Errors
/// [`InquiryError`]: it has not answered.
pub async fn inquire<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    budget: &std::sync::Arc<MemoryBudget>,
    limit: usize,
    version: i16,
) -> Result<Result<Frame, InquiryError>, InquiryError> {
    let (reading, mut writing) = split(io);
    let mut input = Buffered::new(reading);
    let api_versions = ApiVersionsRequest::default();
    writing.write_all(&request(ApiKey::ApiVersions, API_VERSIONS, &api_versions)?).await?;
    writing.flush().await?;
    answer(budget, limit, &mut input).await?;
    let metadata = MetadataRequest::default().with_topics(Some(Vec::new()));
    writing.write_all(&request(ApiKey::Metadata, version, &metadata)?).await?;
    writing.flush().await?;
    Ok(answer(budget, limit, &mut input).await)
}

fn request(api_key: ApiKey, version: i16, body: &impl Encodable) -> Result<BytesMut, EncodeError> {
    own_request::encode("schemaward", api_key, version, body)
}

async fn answer(
    budget: &std::sync::Arc<MemoryBudget>,
    limit: usize,
    input: &mut Buffered<impl AsyncRead + Unpin>,
) -> Result<Frame, InquiryError> {
    let mut holding = budget.holder();
    let header = loop {
        if speaks_tls(input.buffered()) {
            return Err(InquiryError::SpeaksTls);
        }
        if let Some(header) = frame::response_header(input.buffered())? {
            break header;
        }
        if input.fill_idle().await? == 0 {
            return Err(ReadError::Truncated { got: input.buffered().len() }.into());
        }
    };
    if header.size > limit {
        return Err(WireError::FrameTooLarge { size: header.size, limit }.into());
    }
    let total = header.size.saturating_add(4);
    let bytes = input.whole(total, &mut holding, 0, Stage::Begin).await?;
    Ok(Frame::from_bytes(bytes)?)
}

/// Whether an answer begins like TLS, an alert for example, which is shorter than any answer.
fn speaks_tls(answer: &[u8]) -> bool {
    let size = answer.first_chunk().map(|size| u32::from_be_bytes(*size));
    size.and_then(|size| usize::try_from(size).ok()).is_some_and(tls::looks_like_tls)
}
