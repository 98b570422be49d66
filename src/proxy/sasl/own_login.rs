//! schemaward's own login at a broker, as an exchange of messages: what to send next for what came. No sockets.
//!
//! ApiVersions is asked first, as clients do: SaslAuthenticate v1, which tells how long a login holds, is younger (Kafka
//! 2.2) than the oldest brokers that are served, and a version that a broker does not know makes it close.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::{
    Secret,
    credentials::{Credentials, CredentialsError},
    keys::KeyStore,
    scram::{Expected, Hash, Scram, ScramError},
};
use crate::{
    proxy::settings::{SaslMechanism, SaslSettings},
    text::shown,
    wire::{
        ErrorCode, Frame, WireError,
        api::ApiKey,
        frame,
        sasl::{
            AuthenticateAnswer, HandshakeAnswer, OWN_AUTHENTICATE, OwnRequest, highest_version,
        },
    },
};

/// Why schemaward is not logged in. Scope: one connection to a broker. Shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The files are not fit to use.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The broker does not take the mechanism.
    #[error("the broker does not take {wanted} but: {taken}")]
    Mechanism {
        /// What is configured.
        wanted: &'static str,
        /// What it takes.
        taken: String,
    },
    /// The broker is too old, or none.
    #[error("the broker does not name SaslAuthenticate among its apis")]
    NoSasl,
    /// The broker's listener is one without logins.
    #[error("the broker's listener takes no login (error {0})")]
    NotExpected(i16),
    /// The broker refuses the user or the password.
    #[error("login of {username} by {mechanism} refused (error {code}): {message}")]
    Refused {
        /// Who.
        username: String,
        /// How.
        mechanism: &'static str,
        /// Kafka's error code.
        code: i16,
        /// What the broker says.
        message: String,
    },
    /// The broker's messages are not those of the mechanism.
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// The broker's answer cannot be read.
    #[error("the broker's answer to a login cannot be read: {0}")]
    Wire(#[from] WireError),
    /// Nothing came in time.
    #[error("the login did not come about in time")]
    Deadline,
    /// The connection broke.
    #[error("the broker closed during the login: {0}")]
    Io(#[source] std::io::Error),
    /// The user name in the file is another one now: a broker lets nobody change who he is.
    #[error("the user name has changed: a new connection is needed")]
    UserChanged,
    /// The process ends.
    #[error("the process is ending")]
    Ending,
}

/// How schemaward logs in, shared by all connections.
#[derive(Debug)]
pub struct OwnLogin {
    terms: ArcSwap<Terms>,
    keys: KeyStore,
}

/// What a reload of the configuration may change.
#[derive(Debug)]
struct Terms {
    settings: SaslSettings,
    time: Duration,
}

impl OwnLogin {
    /// Logs in as `settings` say, and again within `time`.
    #[must_use]
    pub fn new(settings: SaslSettings, time: Duration) -> Arc<Self> {
        let terms = ArcSwap::from_pointee(Terms { settings, time });
        Arc::new(Self { terms, keys: KeyStore::new() })
    }

    /// Logs in as `settings` say from now on. A login that is repeated stays with its mechanism: a broker takes no other.
    pub fn replace(&self, settings: SaslSettings, time: Duration) {
        self.terms.store(Arc::new(Terms { settings, time }));
    }

    /// What is in the files now, and how it is to be used.
    async fn credentials(&self) -> Result<(SaslMechanism, Credentials), LoginError> {
        let settings = self.terms.load().settings.clone();
        let mechanism = settings.mechanism;
        let read = tokio::task::spawn_blocking(move || Credentials::read(&settings)).await;
        Ok((mechanism, read.map_err(|_| LoginError::Ending)??))
    }
}

/// A login that holds, and when it has to be repeated.
#[derive(Debug)]
pub struct Session {
    login: Arc<OwnLogin>,
    mechanism: SaslMechanism,
    username: String,
    version: i16,
    next_id: i32,
    due: Option<Instant>,
}

impl Session {
    /// Whether the login has to be repeated before anything else is sent.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// How long repeating it may take.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.login.terms.load().time
    }

    /// Begins to repeat the login.
    ///
    /// # Errors
    /// [`LoginError`]: the files cannot be read, or name another user.
    pub async fn again(&self) -> Result<(Exchange, OwnRequest), LoginError> {
        let (_, credentials) = self.login.credentials().await?;
        if credentials.username != self.username {
            return Err(LoginError::UserChanged);
        }
        let mut exchange = Exchange {
            login: Arc::clone(&self.login),
            mechanism: self.mechanism,
            credentials,
            version: self.version,
            next_id: self.next_id,
            asked: self.next_id,
            step: Step::Handshake,
        };
        let request = exchange.handshake()?;
        Ok((exchange, request))
    }
}

/// A login under way.
#[derive(Debug)]
pub struct Exchange {
    login: Arc<OwnLogin>,
    mechanism: SaslMechanism,
    credentials: Credentials,
    version: i16,
    next_id: i32,
    /// Correlation id of the request that waits for its answer.
    asked: i32,
    step: Step,
}

/// What the next answer is to.
#[derive(Debug)]
enum Step {
    ApiVersions,
    Handshake,
    Plain,
    ScramFirst(Scram),
    ScramLast(Expected),
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expected(…)")
    }
}

/// How a login goes on.
#[derive(Debug)]
pub enum Next {
    /// This is to be sent, and its answer to be taken.
    Ask(Box<Exchange>, OwnRequest),
    /// The broker has accepted it.
    Done(Session),
}

impl Exchange {
    /// Begins a login on a new connection.
    ///
    /// # Errors
    /// [`LoginError::Credentials`].
    pub async fn begin(login: &Arc<OwnLogin>) -> Result<(Self, OwnRequest), LoginError> {
        let (mechanism, credentials) = login.credentials().await?;
        let (login, step) = (Arc::clone(login), Step::ApiVersions);
        let (version, next_id, asked) = (0, 0, 0);
        let mut exchange = Self { login, mechanism, credentials, version, next_id, asked, step };
        let id = exchange.id();
        Ok((exchange, OwnRequest::api_versions(id)?))
    }

    /// Takes the broker's answer to what was sent last.
    ///
    /// # Errors
    /// [`LoginError`]: the connection is of no use.
    pub async fn take(mut self, answer: &Frame) -> Result<Next, LoginError> {
        let header = frame::response_header(answer.bytes())?;
        let actual = header.map_or(-1, |header| header.correlation_id);
        if actual != self.asked {
            return Err(WireError::Correlation { actual, expected: self.asked }.into());
        }
        let request = match std::mem::replace(&mut self.step, Step::Handshake) {
            Step::ApiVersions => {
                let highest = highest_version(answer, ApiKey::SASL_AUTHENTICATE)?;
                self.version = highest.ok_or(LoginError::NoSasl)?.clamp(0, OWN_AUTHENTICATE);
                self.handshake()?
            }
            Step::Handshake => {
                self.taken(&HandshakeAnswer::parse(answer)?)?;
                self.first()?
            }
            Step::ScramFirst(scram) => {
                let answer = self.accepted(answer)?;
                self.last(&scram, answer.message).await?
            }
            Step::Plain => return Ok(Next::Done(self.session(answer)?)),
            Step::ScramLast(expected) => {
                let message = self.accepted(answer)?.message;
                expected.check(message).map_err(|error| self.scram(error))?;
                return Ok(Next::Done(self.session(answer)?));
            }
        };
        Ok(Next::Ask(Box::new(self), request))
    }

    fn id(&mut self) -> i32 {
        self.asked = self.next_id;
        self.next_id = self.next_id.wrapping_add(1) & i32::MAX;
        self.asked
    }

    fn handshake(&mut self) -> Result<OwnRequest, LoginError> {
        Ok(OwnRequest::handshake(self.id(), self.mechanism())?)
    }

    fn taken(&self, answer: &HandshakeAnswer<'_>) -> Result<(), LoginError> {
        match answer.error_code {
            ErrorCode::NONE => Ok(()),
            ErrorCode(UNSUPPORTED_MECHANISM) => {
                let taken = shown(answer.mechanisms.join(", ").as_bytes());
                Err(LoginError::Mechanism { wanted: self.mechanism(), taken })
            }
            ErrorCode(code) => Err(LoginError::NotExpected(code)),
        }
    }

    fn first(&mut self) -> Result<OwnRequest, LoginError> {
        let username = self.credentials.username.as_str();
        let (step, message) = match self.mechanism {
            SaslMechanism::Plain => {
                let password = self.credentials.password.reveal();
                (Step::Plain, format!("\0{username}\0{password}").into_bytes())
            }
            SaslMechanism::ScramSha256 => scram(Hash::Sha256, username)?,
            SaslMechanism::ScramSha512 => scram(Hash::Sha512, username)?,
        };
        self.step = step;
        Ok(OwnRequest::authenticate(self.id(), self.version, &message)?)
    }

    async fn last(&mut self, scram: &Scram, message: &[u8]) -> Result<OwnRequest, LoginError> {
        let server = scram.server_first(message).map_err(|error| self.scram(error))?;
        let password = &self.credentials.password;
        let keys = self.login.keys.keys(scram.hash(), password, &server).await;
        let (message, expected) = scram.last(&server, &keys.ok_or(LoginError::Ending)?);
        self.step = Step::ScramLast(expected);
        Ok(OwnRequest::authenticate(self.id(), self.version, &message)?)
    }

    /// The answer, unless it is a refusal.
    fn accepted<'a>(&self, answer: &'a Frame) -> Result<AuthenticateAnswer<'a>, LoginError> {
        let answer = AuthenticateAnswer::parse(answer, self.version)?;
        if answer.error_code == ErrorCode::NONE {
            return Ok(answer);
        }
        Err(LoginError::Refused {
            username: shown(self.credentials.username.as_bytes()),
            mechanism: self.mechanism(),
            code: answer.error_code.0,
            message: without(&self.credentials.password, answer.error_message.unwrap_or_default()),
        })
    }

    fn scram(&self, error: ScramError) -> LoginError {
        LoginError::Scram(match error {
            ScramError::Refused(why) => {
                ScramError::Refused(without(&self.credentials.password, why.as_bytes()))
            }
            other => other,
        })
    }

    fn session(self, answer: &Frame) -> Result<Session, LoginError> {
        let answer = self.accepted(answer)?;
        let due = due(Instant::now(), answer.session_lifetime_ms, random_byte());
        let Self { login, mechanism, credentials, version, next_id, .. } = self;
        let Credentials { username, .. } = credentials;
        Ok(Session { login, mechanism, username, version, next_id, due })
    }

    fn mechanism(&self) -> &'static str {
        self.mechanism.name()
    }
}

fn scram(hash: Hash, username: &str) -> Result<(Step, Vec<u8>), ScramError> {
    let scram = Scram::new(hash, username)?;
    let message = scram.first();
    Ok((Step::ScramFirst(scram), message))
}

/// What a broker says, fit to be shown. It knows the password, where it was sent, and might repeat it.
fn without(password: &Secret, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    if text.contains(password.reveal()) { "(withheld)".to_owned() } else { shown(said) }
}

/// When a login has to be repeated that was accepted at `now` and holds for `lifetime_ms`: after 85 to 95 % of it, as
/// clients do, so that connections which began together do not all come at once.
fn due(now: Instant, lifetime_ms: i64, jitter: u8) -> Option<Instant> {
    let lifetime = u64::try_from(lifetime_ms).ok().filter(|lifetime| *lifetime > 0)?;
    let per_mille = 850_u128 + u128::from(jitter) * 100 / 255;
    let part = u128::from(lifetime) * per_mille / 1_000;
    now.checked_add(Duration::from_millis(u64::try_from(part).ok()?))
}

/// Without random bytes every login is repeated at the same part of its life, which does no harm.
fn random_byte() -> u8 {
    let mut byte = [128];
    let _ = SystemRandom::new().fill(&mut byte);
    let [byte] = byte;
    byte
}

const UNSUPPORTED_MECHANISM: i16 = 33;

#[cfg(test)]
mod tests;
