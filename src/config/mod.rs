//! Configuration: a YAML file and environment variables over it → [`Config`], checked, or every mistake at once.

mod check;
mod commented;
mod effective;
mod environment;
mod error;
mod json_schema;
mod kind;
mod listen;
mod load;
mod naming;
mod nearest;
mod node;
mod notes;
mod origins;
mod quarantine;
mod redact;
mod reference;
mod registry;
mod section;
mod sections;
mod tls;
mod tree;
mod upstream;
mod values;

use std::{net::IpAddr, time::Duration};

pub use environment::process_environment;
pub use error::{ConfigError, ConfigErrors};
pub use json_schema::json_schema;
pub use load::Loaded;
pub use origins::{Origins, Source};
pub use reference::{Key, reference};
pub use tree::Tree;
pub use values::parse_duration;

use crate::{
    admin::AdminSettings,
    limits::{LOOKUP_DEADLINE, MIB, RecordLimits, SchemaLimits, WireLimits},
    logging::LogSettings,
    metrics::MetricsSettings,
    proxy::settings::{
        ClientAuth, ClientLogins, ListenSettings, QuarantineSettings, TimeSettings,
        UpstreamSettings,
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
}

#[cfg(test)]
mod tests;
