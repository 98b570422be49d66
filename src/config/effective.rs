//! The checked settings back as text in the shape of the file, defaults filled in: what `check` prints.

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
    tree::{Tree, number, optional, optional_number, path, span, text, texts, word},
    upstream::DEFAULT_MECHANISM,
    values::{show_size, word_for},
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
            ("schema_id", text(&names.schema_id)),
            ("key_content_type", texts(&names.key_content_type)),
            ("key_schema_id", text(&names.key_schema_id)),
            ("confluent_schema_id", text(&names.confluent_schema_id)),
            ("confluent_key_schema_id", text(&names.confluent_key_schema_id)),
            ("apicurio", apicurio(&names.apicurio)),
            ("apicurio_key", apicurio(&names.apicurio_key)),
            ("azure_schema_id", text(&names.azure_schema_id)),
            ("cloudevents_dataschema", text(&names.cloudevents_dataschema)),
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
        Tree::Map(vec![
            ("listen", optional(self.admin.listen)),
            ("probes_listen", optional(self.admin.probes_listen)),
            ("token_file", path(self.admin.token_file.as_ref())),
            ("reload", Tree::Bool(self.admin.reload)),
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
        ("global_id", text(&names.global_id)),
        ("content_id", text(&names.content_id)),
        ("content_hash", text(&names.content_hash)),
        ("group_id", text(&names.group_id)),
        ("artifact_id", text(&names.artifact_id)),
        ("version", text(&names.version)),
        ("encoding", text(&names.encoding)),
    ])
}

fn conventions(conventions: Option<&Conventions>) -> Tree {
    let all = conventions.into_iter().flat_map(Conventions::iter);
    Tree::List(all.map(|it| word(word_for(&Convention::WORDS, it))).collect())
}

fn frame(limit: FrameLimit) -> Tree {
    Tree::Word(show_size(limit.0))
}
