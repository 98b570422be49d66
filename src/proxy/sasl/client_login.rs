//! A client's login as it passes: who it is, and whether the broker has accepted it. Nothing is decided here that a
//! broker decides; nothing of a password or token is kept or shown.

use std::sync::Arc;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use crate::{
    proxy::{peer::Peer, settings::ClientLogins},
    text::shown,
    wire::{
        ErrorCode, Frame, WireError,
        api::ApiKey,
        prefix::RequestPrefix,
        request::LoginFrame,
        sasl::{AuthenticateAnswer, mechanism, message},
    },
};

/// Why a client's login is not passed on. Scope: the connection ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// schemaward has logged in itself.
    #[error("a login was sent, which is not offered: schemaward logs in itself (upstream.sasl)")]
    NotOffered,
    /// The mechanism cannot be followed, so nobody could say when the login is complete.
    #[error(
        "login by {0} was asked for; with client_auth sasl there are PLAIN, OAUTHBEARER, SCRAM-SHA-256 and SCRAM-SHA-512"
    )]
    Mechanism(String),
    /// A login was begun while one was under way.
    #[error("a login was begun while another one was under way")]
    Overlapping,
    /// The request cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The logins of one connection.
#[derive(Debug)]
pub struct ClientLogin {
    peer: Arc<Peer>,
    logins: ClientLogins,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No login is under way.
    Idle,
    /// The mechanism was named.
    Named(Mechanism),
    /// The first of two messages was sent.
    Proving(Option<User>),
    /// A login that cannot be followed.
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    OAuthBearer,
    Plain,
    Scram(&'static str),
}

/// Who somebody says he is.
#[derive(Debug, PartialEq, Eq)]
struct User {
    mechanism: &'static str,
    name: String,
}

impl ClientLogin {
    /// No login yet.
    #[must_use]
    pub const fn new(peer: Arc<Peer>, logins: ClientLogins) -> Self {
        Self { peer, logins, state: State::Idle }
    }

    /// Reads a message of a login on its way to the broker. `Some`: the broker's answer to it completes the login.
    ///
    /// # Errors
    /// [`LoginRefusal`]: the message must not be passed on.
    pub fn read(
        &mut self,
        prefix: RequestPrefix,
        request: &LoginFrame,
    ) -> Result<Option<Attempt>, LoginRefusal> {
        if self.logins == ClientLogins::Refuse {
            return Err(LoginRefusal::NotOffered);
        }
        if prefix.api_key == ApiKey::SASL_HANDSHAKE.0 {
            self.state = self.named(mechanism(request.frame())?)?;
            return Ok(None);
        }
        let message = message(request.frame())?;
        let (proof, user) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Named(Mechanism::Plain) => (Proof::Code, plain_user(message)),
            State::Named(Mechanism::OAuthBearer) => (Proof::Empty, bearer_user(message)),
            State::Named(Mechanism::Scram(mechanism)) => {
                self.state = State::Proving(scram_user(mechanism, message));
                return Ok(None);
            }
            State::Proving(user) => (Proof::Signature, user),
            State::Unclear => {
                self.state = State::Unclear;
                return Ok(None);
            }
            // The broker refuses it.
            State::Idle => return Ok(None),
        };
        let (peer, version) = (Arc::clone(&self.peer), prefix.api_version);
        Ok(Some(Attempt { peer, version, proof, user }))
    }

    fn named(&self, name: &str) -> Result<State, LoginRefusal> {
        let required = self.logins == ClientLogins::Require;
        match (&self.state, Mechanism::named(name)) {
            (State::Idle, Some(mechanism)) => Ok(State::Named(mechanism)),
            (State::Idle, None) if required => Err(LoginRefusal::Mechanism(shown(name.as_bytes()))),
            _ if required => Err(LoginRefusal::Overlapping),
            _ => Ok(State::Unclear),
        }
    }
}

impl Mechanism {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "OAUTHBEARER" => Self::OAuthBearer,
            "PLAIN" => Self::Plain,
            "SCRAM-SHA-256" => Self::Scram("SCRAM-SHA-256"),
            "SCRAM-SHA-512" => Self::Scram("SCRAM-SHA-512"),
            _ => return None,
        })
    }
}

/// A login that is complete once the broker has accepted it.
#[derive(Debug)]
pub struct Attempt {
    peer: Arc<Peer>,
    version: i16,
    proof: Proof,
    user: Option<User>,
}

/// What beside error code 0 shows that a broker has accepted a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Nothing.
    Code,
    /// No message: a refused token is first answered with code 0 and the reason as message (RFC 7628).
    Empty,
    /// The server's signature.
    Signature,
}

impl Attempt {
    /// Takes the broker's answer.
    ///
    /// # Errors
    /// [`WireError`] if it cannot be read.
    pub fn answered(self, answer: &Frame) -> Result<(), WireError> {
        let answer = AuthenticateAnswer::parse(answer, self.version)?;
        let proven = match self.proof {
            Proof::Code => true,
            Proof::Empty => answer.message.is_empty(),
            Proof::Signature => answer.message.starts_with(b"v="),
        };
        if proven && answer.error_code == ErrorCode::NONE {
            let user = self.user.as_ref().map(|user| (user.mechanism, user.name.as_str()));
            self.peer.admit(user);
        }
        Ok(())
    }
}

/// `[authorization id] NUL user NUL password` (RFC 4616).
fn plain_user(message: &[u8]) -> Option<User> {
    let mut parts = message.split(|byte| *byte == 0);
    let (_authorization, name, _password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    user("PLAIN", std::str::from_utf8(name).ok()?.to_owned())
}

/// `n,[a=authorization id],n=user,r=nonce…` (RFC 5802): `=2C` is a comma, `=3D` an equals sign.
fn scram_user(mechanism: &'static str, message: &[u8]) -> Option<User> {
    let name = std::str::from_utf8(message).ok()?.split(',').nth(2)?.strip_prefix("n=")?;
    let mut pieces = name.split('=');
    let mut decoded = pieces.next()?.to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        decoded.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        decoded.push_str(rest);
    }
    user(mechanism, decoded)
}

/// `n,[a=authorization id],^Aauth=Bearer TOKEN^A…^A^A` (RFC 7628), whose token is a JWT: its `sub`.
fn bearer_user(message: &[u8]) -> Option<User> {
    let mut auth = std::str::from_utf8(message).ok()?.split('\u{1}').skip(1).filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == "auth").then_some(value)
    });
    // Of two, nobody knows which one the broker reads.
    let (value, None) = (auth.next()?, auth.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    let mut parts = token.trim().split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if !scheme.eq_ignore_ascii_case("bearer") || parts.next().is_some() {
        return None;
    }
    let claims = BASE64_URL.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    user("OAUTHBEARER", claims.sub)
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

fn user(mechanism: &'static str, name: String) -> Option<User> {
    (1..=MAX_NAME).contains(&name.len()).then_some(User { mechanism, name })
}

/// Longest user name that is kept, in bytes; whoever has a longer one is known by his address.
const MAX_NAME: usize = 1_024;

const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests;
