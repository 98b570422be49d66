//! The messages of a login: SaslHandshake v1, SaslAuthenticate v0-2, and the few that schemaward sends itself.
//!
//! SaslAuthenticate: v1 session lifetime (KIP-368), v2 flexible. What it carries is secret: no error shows any of it.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use bytes::BufMut;

use super::{
    ErrorCode, WireError,
    api::ApiKey,
    fields::{Fields, Flexible},
    frame::{Frame, FrameBuilder},
    prefix::RequestPrefix,
};

/// Largest answer of a login that is taken, in bytes: real ones have a few hundred.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The highest version of SaslAuthenticate that schemaward sends itself: v1 tells the session's lifetime, v2 nothing more.
pub const OWN_AUTHENTICATE: i16 = 1;

const HANDSHAKE_VERSION: i16 = 1;
const FIRST_FLEXIBLE: i16 = 2;
const SIZE: usize = 4;
/// Mechanisms and apis that an answer may list.
const MAX_LISTED: usize = 1_000;
const CLIENT_ID: &str = "schemaward";

/// The mechanism that a SaslHandshake request names.
///
/// # Errors
/// [`WireError`] if the request cannot be read to its last byte.
pub fn mechanism(frame: &Frame) -> Result<&str, WireError> {
    let (_, mut fields) = request(frame, "SaslHandshake request", i16::MAX)?;
    let mechanism = fields.text()?;
    fields.end()?;
    Ok(mechanism)
}

/// The mechanism's message in a SaslAuthenticate request.
///
/// # Errors
/// [`WireError`] if the request cannot be read to its last byte.
pub fn message(frame: &Frame) -> Result<&[u8], WireError> {
    let (_, mut fields) = request(frame, "SaslAuthenticate request", FIRST_FLEXIBLE)?;
    let message = fields.bytes()?;
    fields.tagged_fields()?;
    fields.end()?;
    Ok(message)
}

/// Reads the header of a request.
fn request<'a>(
    frame: &'a Frame,
    what: &'static str,
    first_flexible: i16,
) -> Result<(RequestPrefix, Fields<'a>), WireError> {
    let prefix = RequestPrefix::parse(frame)?;
    let flexible = Flexible(prefix.api_version >= first_flexible);
    let mut fields = Fields::new(frame.bytes(), what, prefix.api_version, flexible);
    fields.skip(SIZE)?;
    RequestPrefix::read(&mut fields)?;
    fields.client_id()?;
    fields.tagged_fields()?;
    Ok((prefix, fields))
}

/// A broker's answer to a SaslHandshake request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeAnswer<'a> {
    /// Whether the mechanism is taken.
    pub error_code: ErrorCode,
    /// Those that the broker takes.
    pub mechanisms: Vec<&'a str>,
}

impl<'a> HandshakeAnswer<'a> {
    /// Reads the answer `frame`.
    ///
    /// # Errors
    /// [`WireError`] if it cannot be read to its last byte.
    pub fn parse(frame: &'a Frame) -> Result<Self, WireError> {
        let (what, version) = ("SaslHandshake response", HANDSHAKE_VERSION);
        let mut fields = answer(frame, what, version, Flexible(false))?;
        let error_code = ErrorCode(fields.i16()?);
        let mut mechanisms = Vec::new();
        for _ in 0..fields.count()? {
            if mechanisms.len() >= MAX_LISTED {
                return Err(WireError::TooManyElements { what, version, limit: MAX_LISTED });
            }
            mechanisms.push(fields.text()?);
        }
        fields.end()?;
        Ok(Self { error_code, mechanisms })
    }
}

/// A broker's answer to a SaslAuthenticate request.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticateAnswer<'a> {
    /// Whether the message was taken.
    pub error_code: ErrorCode,
    /// Why it was not.
    pub error_message: Option<&'a [u8]>,
    /// The mechanism's message.
    pub message: &'a [u8],
    /// After how many milliseconds the login has to be repeated; 0: never.
    pub session_lifetime_ms: i64,
}

impl<'a> AuthenticateAnswer<'a> {
    /// Reads the answer `frame` to a request of `version`.
    ///
    /// # Errors
    /// [`WireError`] if it cannot be read to its last byte.
    pub fn parse(frame: &'a Frame, version: i16) -> Result<Self, WireError> {
        let flexible = Flexible(version >= FIRST_FLEXIBLE);
        let mut fields = answer(frame, "SaslAuthenticate response", version, flexible)?;
        let error_code = ErrorCode(fields.i16()?);
        let error_message = fields.nullable_text()?;
        let message = fields.bytes()?;
        let session_lifetime_ms = if version >= 1 { fields.i64()? } else { 0 };
        fields.tagged_fields()?;
        fields.end()?;
        Ok(Self { error_code, error_message, message, session_lifetime_ms })
    }
}

/// The highest version of `api_key` in the v0 answer `frame` to ApiVersions; `None` if it does not name it.
///
/// # Errors
/// [`WireError`] if it cannot be read to its last byte.
pub fn highest_version(frame: &Frame, api_key: ApiKey) -> Result<Option<i16>, WireError> {
    let what = "ApiVersions response";
    let mut fields = answer(frame, what, 0, Flexible(false))?;
    fields.i16()?; // error code: an answer with an error names nothing that is looked for
    let (mut highest, count) = (None, fields.count()?);
    if count > MAX_LISTED {
        return Err(WireError::TooManyElements { what, version: 0, limit: MAX_LISTED });
    }
    for _ in 0..count {
        let (key, _min, max) = (fields.i16()?, fields.i16()?, fields.i16()?);
        if key == api_key.0 {
            highest = Some(max);
        }
    }
    fields.end()?;
    Ok(highest)
}

/// Reads the header of an answer.
fn answer<'a>(
    frame: &'a Frame,
    what: &'static str,
    version: i16,
    flexible: Flexible,
) -> Result<Fields<'a>, WireError> {
    let mut fields = Fields::new(frame.bytes(), what, version, flexible);
    fields.skip(SIZE)?;
    fields.i32()?; // correlation id
    fields.tagged_fields()?;
    Ok(fields)
}

/// A request of schemaward's own login: the only requests beside a client's that may reach a broker.
pub struct OwnRequest {
    frame: Frame,
    prefix: RequestPrefix,
}

impl std::fmt::Debug for OwnRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnRequest").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl OwnRequest {
    /// Asks which versions the broker takes, in the version that every broker answers.
    ///
    /// # Errors
    /// None that can happen: it fits a frame.
    pub fn api_versions(correlation_id: i32) -> Result<Self, WireError> {
        let (api_key, api_version) = (ApiKey::API_VERSIONS.0, 0);
        Self::new(RequestPrefix { api_key, api_version, correlation_id }, |_| {})
    }

    /// Asks for a login by `mechanism`.
    ///
    /// # Errors
    /// None that can happen: it fits a frame.
    pub fn handshake(correlation_id: i32, mechanism: &str) -> Result<Self, WireError> {
        let (api_key, api_version) = (ApiKey::SASL_HANDSHAKE.0, HANDSHAKE_VERSION);
        Self::new(RequestPrefix { api_key, api_version, correlation_id }, |out| {
            Flexible(false).put_text(out, Some(mechanism));
        })
    }

    /// Sends one message of the mechanism, in a version up to [`OWN_AUTHENTICATE`].
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] if the message does not fit a frame.
    pub fn authenticate(
        correlation_id: i32,
        api_version: i16,
        message: &[u8],
    ) -> Result<Self, WireError> {
        let api_key = ApiKey::SASL_AUTHENTICATE.0;
        Self::new(RequestPrefix { api_key, api_version, correlation_id }, |out| {
            Flexible(false).put_count(out, message.len());
            out.put_slice(message);
        })
    }

    fn new(
        prefix: RequestPrefix,
        body: impl FnOnce(&mut bytes::BytesMut),
    ) -> Result<Self, WireError> {
        let mut builder = FrameBuilder::with_capacity(64);
        let out = builder.payload();
        out.put_i16(prefix.api_key);
        out.put_i16(prefix.api_version);
        out.put_i32(prefix.correlation_id);
        Flexible(false).put_text(out, Some(CLIENT_ID));
        body(out);
        Ok(Self { frame: builder.finish()?, prefix })
    }

    /// The request as it travels.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What it begins with.
    #[must_use]
    pub const fn prefix(&self) -> RequestPrefix {
        self.prefix
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a panic fails a test")]
mod tests;
