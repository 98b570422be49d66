//! Configuration: a YAML file and environment variables over it → [`Config`], checked, or every mistake at once.

mod check;
mod effective;
mod environment;
mod error;
mod listen;
mod naming;
mod node;
mod quarantine;
mod registry;
mod section;
mod sections;
mod tls;
mod upstream;
mod values;

use std::{fs::File, io::Read, net::IpAddr, path::Path, sync::Arc, time::Duration};

pub use effective::Tree;
pub use environment::process_environment;
pub use error::{ConfigError, ConfigErrors};

use self::{
    environment::Environment,
    error::Origin,
    node::{Node, Value},
    section::{Files, Notes, Section, wanted},
};
use crate::{
    admin::AdminSettings,
    limits::{LOOKUP_DEADLINE, MIB, RecordLimits, SchemaLimits, WireLimits},
    logging::LogSettings,
    metrics::MetricsSettings,
    proxy::{
        sasl::credentials::Credentials,
        settings::{
            ClientAuth, ClientLogins, ListenSettings, QuarantineSettings, TimeSettings,
            UpstreamSettings,
        },
    },
    schema::{CacheSettings, CredentialFiles, RegistrySettings},
    tls::{TlsClient, TlsServer},
    validate::{metadata::HeaderNames, policy::RuleSettings},
};

/// Everything that is configured, checked: what is here can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where clients are awaited (`listen`).
    pub listen: ListenSettings,
    /// Where brokers are (`upstream`).
    pub upstream: UpstreamSettings,
    /// Where schemas are (`registry`).
    pub registry: RegistrySettings,
    /// How long schemas are kept (`registry.cache`).
    pub cache: CacheSettings,
    /// Under which names the metadata is found (`metadata`).
    pub metadata: HeaderNames,
    /// Rules in their order; the first whose topics match counts (`rules`).
    pub rules: Vec<RuleSettings>,
    /// The rule of all other topics (`default_rule`).
    pub default_rule: RuleSettings,
    /// What one connection may ask (`limits`).
    pub wire_limits: WireLimits,
    /// What one batch may cost (`limits`).
    pub record_limits: RecordLimits,
    /// What one schema may cost (`limits`).
    pub schema_limits: SchemaLimits,
    /// Bytes that unfinished work of all connections together may hold (`limits.memory_budget`).
    pub memory_budget: usize,
    /// How long things may take (`limits`, `drain`).
    pub times: TimeSettings,
    /// Where operators and probes are awaited (`admin`).
    pub admin: AdminSettings,
    /// What is logged, and how (`log`).
    pub log: LogSettings,
    /// Bounds of the metrics (`metrics`).
    pub metrics: MetricsSettings,
    /// Bounds of the sequence guard (`sequence_guard`).
    pub sequence_guard: SequenceGuardSettings,
    /// Copies of refused batches (`quarantine`).
    pub quarantine: QuarantineSettings,
}

/// Bounds of the table of open sequence gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceGuardSettings {
    /// Gaps that may be open at once (`sequence_guard.max_entries`).
    pub max_entries: usize,
    /// After how long without a batch of its producer a gap is forgotten (`sequence_guard.expiry`).
    pub expiry: Duration,
}

impl Default for SequenceGuardSettings {
    fn default() -> Self {
        // Longer than a producer retries by default: 2 minutes in Java, 5 in librdkafka.
        Self { max_entries: 100_000, expiry: Duration::from_secs(15 * 60) }
    }
}

/// Time for a connection to one broker address, where `upstream.connect_timeout` does not say.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What unfinished work may hold, where `limits.memory_budget` does not say.
pub const DEFAULT_MEMORY_BUDGET: usize = 64 * MIB;
/// The times, where the file does not say.
pub const DEFAULT_TIMES: TimeSettings = TimeSettings {
    handshake_timeout: Duration::from_secs(10),
    lookup_deadline: LOOKUP_DEADLINE,
    stall_timeout: Duration::from_secs(30),
    // A broker closes after 10 minutes: it goes first, and its clients know that way of ending.
    idle_timeout: Duration::from_secs(11 * 60),
    request_timeout: Duration::from_secs(60),
    response_timeout: Duration::from_secs(30 * 60),
    drain_grace: Duration::from_secs(25),
};

impl Config {
    /// What becomes of clients' logins.
    #[must_use]
    pub const fn client_logins(&self) -> ClientLogins {
        match (&self.upstream.sasl, self.listen.client_auth) {
            (Some(_), _) => ClientLogins::Refuse,
            (None, ClientAuth::Sasl) => ClientLogins::Require,
            (None, ClientAuth::None | ClientAuth::Mtls) => ClientLogins::Pass,
        }
    }

    /// What is allowed and should not be, also in the files that are named.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let copies =
            UpstreamSettings { sasl: self.quarantine.sasl.clone(), ..self.upstream.clone() };
        let logins = [("upstream", &self.upstream), ("quarantine", &copies)];
        let clear =
            logins.into_iter().filter(|(_, upstream)| upstream.sends_password_in_the_clear());
        let clear = clear.map(|(section, _)| format!(
            "{section}.sasl.mechanism: PLAIN sends the password to brokers in the clear, where the network can read it"
        ));
        let clear: Vec<_> = clear.collect();
        let server = self.listen.tls.iter().map(TlsServer::check);
        let client = self.upstream.tls.iter().map(TlsClient::check);
        let registries = self.registry.registries();
        let registries =
            registries.filter_map(|(_, access)| access.tls.as_ref()).map(TlsClient::check);
        let files = server.chain(client).chain(registries).filter_map(Result::ok).flatten();
        clear.into_iter().chain(self.credentials_in_the_clear()).chain(files).collect()
    }

    /// Registries to which credentials would go where the network can read them.
    fn credentials_in_the_clear(&self) -> impl Iterator<Item = String> {
        self.registry.registries().filter_map(|(url, access)| {
            let clear = url.scheme() == "http" && access.credentials != CredentialFiles::None;
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let near = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
            let warning = || format!(
                "registry {url}: sends its credentials in the clear, where the network can read them"
            );
            (clear && !near).then(warning)
        })
    }

    /// What is wrong with the files that are read again while the proxy runs.
    #[must_use]
    pub fn unreadable(&self) -> Option<String> {
        let logins = [
            ("upstream.sasl", self.upstream.sasl.as_ref()),
            ("quarantine.sasl", self.quarantine.sasl.as_ref()),
        ];
        let login = logins.into_iter().find_map(|(key, sasl)| {
            let error = Credentials::read(sasl?).err()?;
            Some(format!("{key}: {error}"))
        });
        login.or_else(|| {
            let mut registries = self.registry.registries();
            registries.find_map(|(url, access)| {
                let fault = access.credentials.check().err()?;
                Some(format!("registry {url}: {fault}"))
            })
        })
    }

    /// Reads the file at `path` and lays `environment` over it, see [`process_environment`].
    ///
    /// # Errors
    /// Every mistake in file and environment, each with its place; where the file is no YAML, only that.
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let shown = path.display().to_string();
        let text = read(path).map_err(|message| {
            ConfigError::new(Origin::File(shown.as_str().into()), "", message)
        })?;
        Self::read(&text, &shown, environment, Files::Read)
    }

    /// Like [`Config::load`] for a text that is called `name` in errors. The files that it names are left alone.
    ///
    /// # Errors
    /// The same.
    pub fn parse(
        text: &str,
        name: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::read(text, name, environment, Files::Leave)
    }

    fn read(
        text: &str,
        name: &str,
        environment: impl Iterator<Item = (String, String)>,
        files: Files,
    ) -> Result<Self, ConfigErrors> {
        let name: Arc<str> = name.into();
        let environment = Environment::new(environment, &sections::TOP_LEVEL);
        let mut root = Node::of_file(text, &name)?;
        if !matches!(root.value, Value::Map(_) | Value::Null) {
            let message = wanted("a mapping", &root.value);
            return Err(ConfigError::new(root.origin, "", message).into());
        }
        // What is missing is missing in the file as a whole, not in its first line.
        root.origin = Origin::File(name);
        let mut errors = Vec::new();
        environment.apply(&mut root, &mut errors);
        let notes = Notes::new(files);
        let config = sections::config(Section::new(root, String::new(), &notes));
        errors.extend(environment.near_misses(&notes.known()));
        errors.extend(notes.into_errors());
        match config {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors::new(errors)),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("is larger than {MAX_FILE_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Size of the largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
