//! The checked settings back as text in the shape of the file, defaults filled in: what `check` prints.

use std::{
    fmt::Write,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
};

use rustls_pki_types::ServerName;
use url::Url;

use super::{
    Config,
    quarantine::{COMPRESSIONS, CREDENTIALS},
    registry::{APIS, Api},
    sections::{
        CHECKS, CLIENT_AUTHS, FORMATS, GUARDS, LEVELS, MODES, ON_UNAVAILABLE, PROXY_PROTOCOLS,
        ROUTINGS, SASL_MECHANISMS, SUBJECTS, TOMBSTONES, UNKNOWN_FIELDS,
    },
    upstream::DEFAULT_MECHANISM,
    values::{show_duration, show_size, word_for},
};
use crate::{
    limits::FrameLimit,
    proxy::settings::{ListenSettings, PortRange, SaslSettings},
    schema::{CacheSettings, CredentialFiles, RegistryAccess, RegistryApi, RegistrySettings},
    tls::{ClientTlsSettings, ServerTlsSettings},
    validate::{
        convention::{Convention, Conventions},
        metadata::ApicurioNames,
        policy::RuleSettings,
    },
};

/// Settings as a tree: keys in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// Not set.
    Null,
    /// A whole number.
    Number(u64),
    /// A word, a size, a duration: text that YAML takes as it is.
    Word(String),
    /// Any text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A mapping.
    Map(Vec<(&'static str, Tree)>),
}

impl Config {
    /// What is in force, in the shape of the file, every default written out.
    #[must_use]
    pub fn effective(&self) -> Tree {
        Tree::Map(vec![
            ("listen", listen(&self.listen)),
            ("upstream", self.upstream_tree()),
            ("registry", registry(&self.registry, &self.cache)),
            ("metadata", self.metadata_tree()),
            ("rules", Tree::List(self.rules.iter().map(rule).collect())),
            ("default_rule", rule(&self.default_rule)),
            ("limits", self.limits_tree()),
            ("drain", Tree::Map(vec![("grace", span(self.times.drain_grace))])),
            ("admin", self.admin_tree()),
            ("log", self.log_tree()),
            ("metrics", Tree::Map(vec![("max_topics", number(self.metrics.max_topics))])),
            ("sequence_guard", self.guard_tree()),
            ("quarantine", self.quarantine_tree()),
        ])
    }

    /// The rules in their order, the default rule last.
    #[must_use]
    pub fn effective_rules(&self) -> Tree {
        Tree::List(self.rules.iter().chain([&self.default_rule]).map(rule).collect())
    }

    fn upstream_tree(&self) -> Tree {
        let brokers = self.upstream.bootstrap.iter().map(|broker| text(broker.to_string()));
        Tree::Map(vec![
            ("bootstrap", Tree::List(brokers.collect())),
            ("connect_timeout", span(self.upstream.connect_timeout)),
            ("tls", self.upstream.tls.as_ref().map_or(Tree::Null, client_tls)),
            ("sasl", sasl(self.upstream.sasl.as_ref())),
        ])
    }

    fn metadata_tree(&self) -> Tree {
        let names = &self.metadata;
        Tree::Map(vec![
            ("content_type", texts(&names.content_type)),
            ("schema_id", text(names.schema_id.clone())),
            ("key_content_type", texts(&names.key_content_type)),
            ("key_schema_id", text(names.key_schema_id.clone())),
            ("confluent_schema_id", text(names.confluent_schema_id.clone())),
            ("confluent_key_schema_id", text(names.confluent_key_schema_id.clone())),
            ("apicurio", apicurio(&names.apicurio)),
            ("apicurio_key", apicurio(&names.apicurio_key)),
            ("azure_schema_id", text(names.azure_schema_id.clone())),
            ("cloudevents_dataschema", text(names.cloudevents_dataschema.clone())),
        ])
    }

    fn limits_tree(&self) -> Tree {
        let (wire, record) = (&self.wire_limits, &self.record_limits);
        Tree::Map(vec![
            ("max_request_bytes", frame(wire.max_request_bytes)),
            ("max_other_request_bytes", frame(wire.max_other_request_bytes)),
            ("max_rewritten_response_bytes", frame(wire.max_rewritten_response_bytes)),
            ("max_in_flight", number(wire.max_in_flight)),
            ("max_decompressed_bytes", Tree::Word(show_size(record.max_decompressed_bytes))),
            ("max_record_bytes", Tree::Word(show_size(record.max_record_bytes))),
            ("max_schema_bytes", Tree::Word(show_size(self.schema_limits.max_schema_bytes))),
            ("memory_budget", Tree::Word(show_size(self.memory_budget))),
            ("handshake_timeout", span(self.times.handshake_timeout)),
            ("lookup_deadline", span(self.times.lookup_deadline)),
            ("stall_timeout", span(self.times.stall_timeout)),
            ("idle_timeout", span(self.times.idle_timeout)),
            ("request_timeout", span(self.times.request_timeout)),
            ("response_timeout", span(self.times.response_timeout)),
        ])
    }

    fn admin_tree(&self) -> Tree {
        let token = self.admin.token_file.as_ref().map(|path| path.display().to_string());
        Tree::Map(vec![
            ("listen", optional(self.admin.listen)),
            ("probes_listen", optional(self.admin.probes_listen)),
            ("token_file", optional(token)),
        ])
    }

    fn log_tree(&self) -> Tree {
        Tree::Map(vec![
            ("level", word(word_for(&LEVELS, self.log.level))),
            ("format", word(word_for(&FORMATS, self.log.format))),
        ])
    }

    fn quarantine_tree(&self) -> Tree {
        let quarantine = &self.quarantine;
        Tree::Map(vec![
            ("topic", text(quarantine.topic.to_string())),
            ("credentials", word(word_for(&CREDENTIALS, quarantine.credentials))),
            ("sasl", sasl(quarantine.sasl.as_ref())),
            ("deadline", span(quarantine.deadline)),
            ("queue_bytes", Tree::Word(show_size(quarantine.queue_bytes))),
            ("max_connections", number(quarantine.max_connections)),
            ("compression", word(word_for(&COMPRESSIONS, quarantine.compression))),
        ])
    }

    fn guard_tree(&self) -> Tree {
        Tree::Map(vec![
            ("max_entries", number(self.sequence_guard.max_entries)),
            ("expiry", span(self.sequence_guard.expiry)),
        ])
    }
}

fn sasl(sasl: Option<&SaslSettings>) -> Tree {
    let mechanism = sasl.map_or(DEFAULT_MECHANISM, |sasl| sasl.mechanism);
    Tree::Map(vec![
        ("mechanism", word(word_for(&SASL_MECHANISMS, mechanism))),
        ("username_file", path(sasl.map(|sasl| &sasl.username_file))),
        ("password_file", path(sasl.map(|sasl| &sasl.password_file))),
    ])
}

fn listen(listen: &ListenSettings) -> Tree {
    let ports = match listen.broker_ports.as_slice() {
        [only] if only.first_node.0 == 0 => word(ports(only)),
        [] => Tree::Null,
        ranges => Tree::List(ranges.iter().map(port_range).collect()),
    };
    Tree::Map(vec![
        ("bootstrap", text(listen.bootstrap.to_string())),
        ("routing", word(word_for(&ROUTINGS, listen.routing))),
        ("broker_ports", ports),
        ("advertised_host", text(listen.advertised_host.to_string())),
        ("advertised_port", optional_number(listen.advertised_port.map(usize::from))),
        ("client_auth", word(word_for(&CLIENT_AUTHS, listen.client_auth))),
        ("tls", listen.tls.as_ref().map_or(Tree::Null, server_tls)),
        ("proxy_protocol", word(word_for(&PROXY_PROTOCOLS, listen.proxy_protocol))),
        ("max_connections", number(listen.max_connections)),
        ("max_connections_per_address", optional_number(listen.max_connections_per_address)),
    ])
}

fn server_tls(tls: &ServerTlsSettings) -> Tree {
    Tree::Map(vec![
        ("certificate", path(Some(&tls.identity.certificate))),
        ("key", path(Some(&tls.identity.key))),
        ("client_ca", path(tls.client_ca.as_ref())),
    ])
}

fn client_tls(tls: &ClientTlsSettings) -> Tree {
    let identity = tls.identity.as_ref();
    Tree::Map(vec![
        ("ca", path(tls.ca.as_ref())),
        ("server_name", optional(tls.server_name.as_ref().map(ServerName::to_str))),
        ("certificate", path(identity.map(|files| &files.certificate))),
        ("key", path(identity.map(|files| &files.key))),
    ])
}

fn path(path: Option<&PathBuf>) -> Tree {
    optional(path.map(|path| path.display()))
}

fn ports(range: &PortRange) -> String {
    let first = u32::from(range.first_port);
    format!("{first}-{}", first + u32::from(range.count) - 1)
}

fn port_range(range: &PortRange) -> Tree {
    let first = i64::from(range.first_node.0);
    let nodes = format!("{first}-{}", first + i64::from(range.count) - 1);
    Tree::Map(vec![("nodes", word(nodes)), ("ports", word(ports(range)))])
}

fn registry(registry: &RegistrySettings, cache: &CacheSettings) -> Tree {
    let allow = registry.allow.iter().map(|url| text(shown_origin(url)));
    let others =
        registry.others.iter().map(|other| Tree::Map(endpoint(Some(&other.url), &other.access)));
    let mut keys = endpoint(registry.url.as_ref(), &registry.access);
    keys.extend([
        ("allow", Tree::List(allow.collect())),
        ("others", Tree::List(others.collect())),
        ("warm_up", texts(&registry.warm_up)),
        ("request_timeout", span(registry.request_timeout)),
        ("max_concurrent_requests", number(registry.max_concurrent_requests)),
        ("circuit_failures", Tree::Number(registry.circuit.failures.into())),
        ("circuit_pause", span(registry.circuit.pause)),
        ("max_lookups_per_second", Tree::Number(cache.budget.per_second.into())),
        ("lookup_burst", Tree::Number(cache.budget.burst.into())),
        ("cache", cache_tree(cache)),
    ]);
    Tree::Map(keys)
}

fn cache_tree(cache: &CacheSettings) -> Tree {
    Tree::Map(vec![
        ("max_entries", number(cache.max_entries)),
        ("document_ttl", span(cache.document_ttl)),
        ("negative_ttl", span(cache.negative_ttl)),
        ("unavailable_ttl", span(cache.unavailable_ttl)),
        ("stale_ttl", span(cache.stale_ttl)),
    ])
}

fn shown_origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// One registry: where it is and how it is asked.
fn endpoint(url: Option<&Url>, access: &RegistryAccess) -> Vec<(&'static str, Tree)> {
    let (api, template, folder) = match &access.api {
        RegistryApi::Apicurio => (Api::Apicurio, None, None),
        RegistryApi::Confluent => (Api::Confluent, None, None),
        RegistryApi::Directory { path } => (Api::Directory, None, Some(path)),
        RegistryApi::Documents { template } => (Api::Documents, template.as_ref(), None),
    };
    let (username, password, token) = match &access.credentials {
        CredentialFiles::Basic { username, password } => (Some(username), Some(password), None),
        CredentialFiles::Bearer { token } => (None, None, Some(token)),
        CredentialFiles::None => (None, None, None),
    };
    vec![
        ("url", optional(url)),
        ("api", word(word_for(&APIS, api))),
        ("template", optional(template)),
        ("path", path(folder)),
        ("username_file", path(username)),
        ("password_file", path(password)),
        ("token_file", path(token)),
        ("tls", access.tls.as_ref().map_or(Tree::Null, registry_tls)),
    ]
}

fn registry_tls(tls: &ClientTlsSettings) -> Tree {
    let identity = tls.identity.as_ref();
    Tree::Map(vec![
        ("ca", path(tls.ca.as_ref())),
        ("certificate", path(identity.map(|files| &files.certificate))),
        ("key", path(identity.map(|files| &files.key))),
    ])
}

/// One rule; the default one has no topics.
fn rule(rule: &RuleSettings) -> Tree {
    let topics = (!rule.topics.is_empty()).then(|| ("topics", texts(&rule.topics)));
    let rest = [
        ("mode", word(word_for(&MODES, rule.mode))),
        ("check", word(word_for(&CHECKS, rule.check))),
        ("tombstones", word(word_for(&TOMBSTONES, rule.tombstones))),
        ("on_registry_unavailable", word(word_for(&ON_UNAVAILABLE, rule.on_registry_unavailable))),
        ("allow_schemas", texts(&rule.allow_schemas)),
        ("subjects", word(word_for(&SUBJECTS, rule.subjects))),
        ("allow_subjects", texts(&rule.allow_subjects)),
        ("sequence_guard", word(word_for(&GUARDS, rule.sequence_guard))),
        ("unknown_fields", word(word_for(&UNKNOWN_FIELDS, rule.unknown_fields))),
        ("conventions", conventions(Some(&rule.conventions))),
        ("key_conventions", conventions(rule.key_conventions.as_ref())),
        ("quarantine", rule.quarantine.as_ref().map_or(word(false), |it| text(it.to_string()))),
    ];
    Tree::Map(topics.into_iter().chain(rest).collect())
}

fn apicurio(names: &ApicurioNames) -> Tree {
    Tree::Map(vec![
        ("global_id", text(names.global_id.clone())),
        ("content_id", text(names.content_id.clone())),
        ("content_hash", text(names.content_hash.clone())),
        ("group_id", text(names.group_id.clone())),
        ("artifact_id", text(names.artifact_id.clone())),
        ("version", text(names.version.clone())),
        ("encoding", text(names.encoding.clone())),
    ])
}

fn conventions(conventions: Option<&Conventions>) -> Tree {
    let all = conventions.into_iter().flat_map(Conventions::iter);
    Tree::List(all.map(|it| word(word_for(&Convention::WORDS, it))).collect())
}

fn word(value: impl ToString) -> Tree {
    Tree::Word(value.to_string())
}

fn number(value: impl TryInto<u64>) -> Tree {
    Tree::Number(value.try_into().unwrap_or(u64::MAX))
}

fn text(value: String) -> Tree {
    Tree::Text(value)
}

fn texts(values: &[String]) -> Tree {
    Tree::List(values.iter().cloned().map(Tree::Text).collect())
}

fn optional(value: Option<impl ToString>) -> Tree {
    value.map_or(Tree::Null, |value| Tree::Text(value.to_string()))
}

fn optional_number(value: Option<usize>) -> Tree {
    value.map_or(Tree::Null, number)
}

fn span(duration: std::time::Duration) -> Tree {
    Tree::Word(show_duration(duration))
}

fn frame(limit: FrameLimit) -> Tree {
    Tree::Word(show_size(limit.0))
}

impl Tree {
    /// As YAML, a final line end included.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.write_yaml(&mut out, 0);
        out
    }

    /// As JSON; what has a unit is text, as in the file.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Number(number) => (*number).into(),
            Self::Word(text) | Self::Text(text) => text.clone().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let entry = |(key, tree): &(&str, Self)| ((*key).to_owned(), tree.to_json());
                serde_json::Value::Object(entries.iter().map(entry).collect())
            }
        }
    }

    /// Writes the value of a key or item whose name stands already; blocks begin on the next line.
    fn write_yaml(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(entries) => {
                for (key, tree) in entries {
                    let _ = write!(out, "{}{key}:", "  ".repeat(depth));
                    tree.write_value(out, depth);
                }
            }
            Self::List(items) => {
                for item in items {
                    item.write_item(out, depth);
                }
            }
            scalar => {
                let _ = writeln!(out, "{}", scalar.scalar());
            }
        }
    }

    fn write_value(&self, out: &mut String, depth: usize) {
        match self {
            Self::List(items) if items.iter().all(Self::is_scalar) => {
                let items: Vec<_> = items.iter().map(Self::scalar).collect();
                let _ = writeln!(out, " [{}]", items.join(", "));
            }
            Self::List(_) | Self::Map(_) => {
                out.push('\n');
                self.write_yaml(out, depth + 1);
            }
            scalar => {
                let _ = writeln!(out, " {}", scalar.scalar());
            }
        }
    }

    /// A list item: its block is written two columns in, then its first blanks give way to the dash.
    fn write_item(&self, out: &mut String, depth: usize) {
        let start = out.len();
        self.write_yaml(out, depth + 1);
        let dash = start + 2 * depth;
        if out.get(dash..dash + 2) == Some("  ") {
            out.replace_range(dash..dash + 2, "- ");
        } else {
            out.insert_str(start, &format!("{}- ", "  ".repeat(depth)));
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }

    fn scalar(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Word(word) => word.clone(),
            Self::Text(text) if is_plain(text) => text.clone(),
            // JSON's escapes are YAML's too.
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Null | Self::List(_) | Self::Map(_) => "null".to_owned(),
        }
    }
}

/// Whether YAML reads `text` without quotes as the same text, in every version of YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let lower = text.to_ascii_lowercase();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:*".contains(&byte);
    if text.parse::<SocketAddrV4>().is_ok() || text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.bytes().all(legal)
        && !text.ends_with(':')
        && !WORDS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_as_yaml() {
        let tree = Tree::Map(vec![
            ("a", Tree::Word("16MiB".into())),
            ("b", Tree::List(vec![Tree::Text("x.*".into()), Tree::Text("*".into())])),
            ("c", Tree::Map(vec![("d", Tree::Null)])),
            (
                "e",
                Tree::List(vec![Tree::Map(vec![
                    ("f", Tree::Word("1".into())),
                    ("g", Tree::List(vec![])),
                ])]),
            ),
            ("h", Tree::List(vec![])),
        ]);
        let expected = "a: 16MiB\nb: [x.*, \"*\"]\nc:\n  d: null\ne:\n  - f: 1\n    g: []\nh: []\n";
        assert_eq!(tree.to_yaml(), expected);
    }

    #[test]
    fn texts_that_yaml_would_misread_are_quoted() {
        for (text, plain) in [
            ("orders.*", true),
            ("http://host:8081/", true),
            ("127.0.0.1:9092", true),
            ("10.5", false),
            ("[::1]:9092", false),
            ("off", false),
            ("True", false),
            ("12", false),
            ("a: b", false),
            ("a#b", false),
            ("", false),
        ] {
            assert_eq!(is_plain(text), plain, "{text:?}");
        }
    }
}
