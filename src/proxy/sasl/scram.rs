//! The client's side of SCRAM (RFC 5802, RFC 7677), without channel binding, as Kafka has it: names and passwords are
//! taken as UTF-8, without SASLprep. No sockets. What the server says is hostile until its signature was checked.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};

use crate::text::shown;

/// The hash function of the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    const fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    const fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Why a server is not believed, or does not believe us.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The server's message is none of SCRAM.
    #[error("the broker's {0} message of SCRAM cannot be read")]
    Malformed(&'static str),
    /// The server answers another login than this one.
    #[error("the broker's nonce does not continue ours")]
    Nonce,
    /// More work is asked for than is done for anybody, or so little that the password is not protected.
    #[error(
        "the broker asks for {0} iterations of SCRAM, {MIN_ITERATIONS} to {MAX_ITERATIONS} are done"
    )]
    Iterations(u32),
    /// The server says why it refuses.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The server does not know the password.
    #[error("the broker's signature is wrong: it does not know the password")]
    Signature,
    /// The system has no random bytes.
    #[error("no random bytes can be had")]
    Random,
}

/// A login that has begun.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    first_bare: String,
}

/// What the server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerFirst {
    text: String,
    nonce: String,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: NonZeroU32,
}

/// What the password comes to under a salt.
#[derive(Clone)]
pub(super) struct Keys {
    client: hmac::Tag,
    server: hmac::Tag,
}

/// What the server's last message has to prove.
pub(super) struct Expected {
    server_key: hmac::Key,
    auth_message: String,
}

impl Scram {
    pub(super) fn new(hash: Hash, username: &str) -> Result<Self, ScramError> {
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| ScramError::Random)?;
        Ok(Self::with_nonce(hash, username, STANDARD.encode(random)))
    }

    fn with_nonce(hash: Hash, username: &str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, first_bare: format!("n={name},r={nonce}"), nonce }
    }

    pub(super) const fn hash(&self) -> Hash {
        self.hash
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("{GS2_HEADER}{}", self.first_bare).into_bytes()
    }

    /// Reads the server's first message.
    pub(super) fn server_first(&self, message: &[u8]) -> Result<ServerFirst, ScramError> {
        let malformed = ScramError::Malformed("first");
        let text = text(message, "first")?;
        let mut attributes = text.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|it| it.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(iterations)) =
            (attribute("r="), attribute("s="), attribute("i="))
        else {
            return Err(malformed);
        };
        // Longer than ours: the server has to add its own part.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::Nonce);
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        let iterations: Option<NonZeroU32> = iterations.parse().ok();
        let (Some(salt), Some(iterations)) = (salt, iterations) else { return Err(malformed) };
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations.get()) {
            return Err(ScramError::Iterations(iterations.get()));
        }
        Ok(ServerFirst { text: text.to_owned(), nonce: nonce.to_owned(), salt, iterations })
    }

    /// The last message, and what the server has to prove in return.
    pub(super) fn last(&self, server: &ServerFirst, keys: &Keys) -> (Vec<u8>, Expected) {
        let without_proof = format!("c={},r={}", STANDARD.encode(GS2_HEADER), server.nonce);
        let auth_message = format!("{},{},{without_proof}", self.first_bare, server.text);
        let stored_key = digest::digest(self.hash.digest(), keys.client.as_ref());
        let stored_key = hmac::Key::new(self.hash.hmac(), stored_key.as_ref());
        let signature = hmac::sign(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = keys
            .client
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, sign)| key ^ sign)
            .collect();
        let server_key = hmac::Key::new(self.hash.hmac(), keys.server.as_ref());
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        (message.into_bytes(), Expected { server_key, auth_message })
    }
}

impl Keys {
    /// Slow on purpose: not for a thread that serves sockets.
    pub(super) fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; digest::MAX_OUTPUT_LEN];
        let (salted, _) = salted.split_at_mut(hash.digest().output_len());
        pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), salted);
        let salted = hmac::Key::new(hash.hmac(), salted);
        Self {
            client: hmac::sign(&salted, b"Client Key"),
            server: hmac::sign(&salted, b"Server Key"),
        }
    }
}

impl Expected {
    /// Checks the server's last message.
    pub(super) fn check(&self, message: &[u8]) -> Result<(), ScramError> {
        let text = text(message, "last")?;
        let signature = text.split(',').next().and_then(|it| it.strip_prefix("v="));
        let signature = signature.and_then(|signature| STANDARD.decode(signature).ok());
        let signature = signature.ok_or(ScramError::Malformed("last"))?;
        hmac::verify(&self.server_key, self.auth_message.as_bytes(), &signature)
            .map_err(|_| ScramError::Signature)
    }
}

/// A message of the server that is no refusal.
fn text<'m>(message: &'m [u8], which: &'static str) -> Result<&'m str, ScramError> {
    let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed(which))?;
    if text.len() > MAX_MESSAGE {
        return Err(ScramError::Malformed(which));
    }
    match text.strip_prefix("e=") {
        Some(why) => Err(ScramError::Refused(shown(why.as_bytes()))),
        None => Ok(text),
    }
}

/// No channel binding, no other user to act for.
const GS2_HEADER: &str = "n,,";
const NONCE_BYTES: usize = 24;
/// The least that RFC 7677 allows, and the least that Kafka stores.
const MIN_ITERATIONS: u32 = 4_096;
/// Kafka stores at most 16,384. A broker must not make this process burn more than about a second.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Bytes of a message of the server.
const MAX_MESSAGE: usize = 4_096;

#[cfg(test)]
mod tests;
