//! What happens to a request: decided once, here.

use super::{
    Frame, WireError,
    api::{self, Treatment},
    prefix::RequestPrefix,
};

/// A request frame that is no Produce: it may go to the broker as it came. Unknown api keys are among these.
#[derive(Debug, Clone)]
pub struct OpaqueFrame(Frame);

impl OpaqueFrame {
    /// The frame, as it came.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.0
    }
}

/// A Produce request: it must be judged before any of it may reach a broker.
#[derive(Debug, Clone)]
pub struct ProduceFrame(Frame);

impl ProduceFrame {
    /// The frame, as it came.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        &self.0
    }
}

/// What happens to the answer of a request that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It streams through unread.
    Relay,
    /// It is held whole and rewritten.
    Rewrite,
    /// It is walked while it streams, and its tail rewritten.
    RewriteTail,
}

/// A message of a client's login. It goes to the broker as it came; it holds secrets.
#[derive(Clone)]
pub struct LoginFrame(OpaqueFrame);

impl LoginFrame {
    /// What may go to the broker.
    #[must_use]
    pub const fn opaque(&self) -> &OpaqueFrame {
        &self.0
    }

    /// The frame, as it came.
    #[must_use]
    pub const fn frame(&self) -> &Frame {
        self.0.frame()
    }
}

impl std::fmt::Debug for LoginFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginFrame(…)")
    }
}

/// A request from a client.
#[derive(Debug, Clone)]
pub enum Request {
    /// Goes to the broker as it came.
    Opaque(OpaqueFrame, Answer),
    /// A message of a login: goes to the broker as it came, and is read.
    Login(LoginFrame),
    /// Must be judged first.
    Produce(ProduceFrame),
    /// An ApiVersions request above what we walk: answered here, so that the client asks again lower (KIP-511).
    TooNewApiVersions,
}

impl Request {
    /// Decides what happens to `frame`.
    ///
    /// # Errors
    /// [`WireError::Version`] for a version that was not offered of an api that is read or rewritten: passing it on would
    /// be a way around validation.
    pub fn new(frame: Frame) -> Result<(RequestPrefix, Self), WireError> {
        let prefix = RequestPrefix::parse(&frame)?;
        if api::is_api_versions_above_ours(&prefix) {
            return Ok((prefix, Self::TooNewApiVersions));
        }
        api::check_offered(&prefix)?;
        let request = match api::treatment(prefix.api_key, prefix.api_version) {
            Treatment::Produce => Self::Produce(ProduceFrame(frame)),
            Treatment::Login => Self::Login(LoginFrame(OpaqueFrame(frame))),
            Treatment::Opaque => Self::Opaque(OpaqueFrame(frame), Answer::Relay),
            Treatment::Rewrite => Self::Opaque(OpaqueFrame(frame), Answer::Rewrite),
            Treatment::RewriteTail => Self::Opaque(OpaqueFrame(frame), Answer::RewriteTail),
        };
        Ok((prefix, request))
    }
}
