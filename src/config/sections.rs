//! Every section of the file, key by key, into the settings type of the layer that it is for.

use std::time::Duration;

use super::{
    Config, DEFAULT_MEMORY_BUDGET, DEFAULT_TIMES, SequenceGuardSettings, check,
    kind::Kind,
    listen::{Bound, listen},
    naming::{conventions, key_conventions, metadata},
    node::Value,
    quarantine::{dead_letter_topic, quarantine},
    registry::registry,
    section::{Given, Located, Section},
    upstream::upstream,
    values::{boolean, duration, integer, path, size, socket_address, text, topic_pattern, word},
};
use crate::{
    admin::{AdminSettings, check_token_file},
    limits::{FrameLimit, KIB, MIB, RecordLimits, SchemaLimits, WireLimits},
    logging::{LogFormat, LogLevel, LogSettings},
    metrics::MetricsSettings,
    protobuf::UnknownFields,
    proxy::settings::{ClientAuth, ProxyProtocol, Routing, SaslMechanism, TimeSettings},
    schema::SubjectStrategy,
    validate::{
        dead_letter::DeadLetterName,
        policy::{Check, Mode, OnUnavailable, RuleSettings, SequenceGuard, Tombstones},
    },
};

/// The keys of the file's first level.
pub(super) const TOP_LEVEL: [&str; 13] = [
    "listen",
    "upstream",
    "registry",
    "metadata",
    "rules",
    "default_rule",
    "limits",
    "drain",
    "admin",
    "log",
    "metrics",
    "sequence_guard",
    "quarantine",
];

pub(super) const MODES: [(&str, Mode); 3] =
    [("enforce", Mode::Enforce), ("observe", Mode::Observe), ("off", Mode::Off)];
pub(super) const CHECKS: [(&str, Check); 2] =
    [("value", Check::Value), ("metadata", Check::Metadata)];
pub(super) const TOMBSTONES: [(&str, Tombstones); 2] =
    [("allow", Tombstones::Allow), ("reject", Tombstones::Reject)];
pub(super) const ON_UNAVAILABLE: [(&str, OnUnavailable); 3] = [
    ("retry", OnUnavailable::Retry),
    ("reject", OnUnavailable::Reject),
    ("accept", OnUnavailable::Accept),
];
pub(super) const SUBJECTS: [(&str, SubjectStrategy); 4] = [
    ("any", SubjectStrategy::Any),
    ("topic_name", SubjectStrategy::TopicName),
    ("record_name", SubjectStrategy::RecordName),
    ("topic_record_name", SubjectStrategy::TopicRecordName),
];
pub(super) const GUARDS: [(&str, SequenceGuard); 2] =
    [("on", SequenceGuard::On), ("off", SequenceGuard::Off)];
pub(super) const UNKNOWN_FIELDS: [(&str, UnknownFields); 2] =
    [("reject", UnknownFields::Reject), ("allow", UnknownFields::Allow)];
pub(super) const CLIENT_AUTHS: [(&str, ClientAuth); 3] =
    [("none", ClientAuth::None), ("mtls", ClientAuth::Mtls), ("sasl", ClientAuth::Sasl)];
pub(super) const SASL_MECHANISMS: [(&str, SaslMechanism); 3] = [
    ("PLAIN", SaslMechanism::Plain),
    ("SCRAM-SHA-256", SaslMechanism::ScramSha256),
    ("SCRAM-SHA-512", SaslMechanism::ScramSha512),
];
pub(super) const ROUTINGS: [(&str, Routing); 2] =
    [("ports", Routing::Ports), ("server_name", Routing::ServerName)];
pub(super) const PROXY_PROTOCOLS: [(&str, ProxyProtocol); 2] =
    [("off", ProxyProtocol::Off), ("required", ProxyProtocol::Required)];
pub(super) const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
pub(super) const FORMATS: [(&str, LogFormat); 2] =
    [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The whole file. `None`: something without a default is missing or faulty, and noted.
pub(super) fn config(mut root: Section<'_>) -> Option<Config> {
    let (listen, bind) = listen(root.section("listen"));
    let upstream = upstream(root.section("upstream"), &bind);
    let (registry, cache) = registry(root.section("registry"));
    let metadata = metadata(root.section("metadata"));
    let quarantine = quarantine(root.section("quarantine"), &bind);
    let dead_letters = &quarantine.settings.topic;
    let rules = root.sections("rules").into_iter().map(|rule| named_rule(rule, dead_letters));
    let rules: Vec<_> = rules.collect();
    let default_rule = rule(root.section("default_rule"), Vec::new(), dead_letters);
    let limits = limits(root.section("limits"));
    let drain_grace = drain(root.section("drain"));
    let admin = admin(root.section("admin"), &bind);
    let log = log(root.section("log"));
    let metrics = metrics(root.section("metrics"));
    let sequence_guard = sequence_guard(root.section("sequence_guard"));
    check::schemas_can_be_had(&root, &registry, rules.iter().chain([&default_rule]));
    let asked = rules.iter().chain([&default_rule]).any(|rule| rule.quarantine.is_some());
    quarantine.check(&root, asked, upstream.as_ref(), limits.memory_budget, &bind);
    root.finish();
    Some(Config {
        listen: listen?,
        upstream: upstream?,
        registry,
        cache,
        metadata,
        rules,
        default_rule,
        wire_limits: limits.wire,
        record_limits: limits.record,
        schema_limits: limits.schema,
        memory_budget: limits.memory_budget,
        times: TimeSettings { drain_grace, ..limits.times },
        admin,
        log,
        metrics,
        sequence_guard,
        quarantine: quarantine.settings,
    })
}

pub(super) fn required<T>(
    section: &mut Section<'_>,
    key: &'static str,
    kind: Kind<impl Fn(&Value) -> Result<T, String>>,
) -> Option<T> {
    let given = section.given(key, kind);
    section.needs(key);
    if matches!(given, Given::Absent) {
        section.fail(&section.origin().clone(), key, "missing");
    }
    given.value()
}

fn named_rule(mut section: Section<'_>, dead_letters: &DeadLetterName) -> RuleSettings {
    let topics = section.list("topics", topic_pattern());
    section.needs("topics");
    let none = match &topics {
        Given::Absent => true,
        Given::Faulty => false,
        Given::Value(topics) => topics.value.is_empty(),
    };
    if none {
        let message = "missing: a rule needs at least one topic name or glob, such as [orders.*]";
        section.fail(&section.origin().clone(), "topics", message);
    }
    rule(section, topics.value().map(plain).unwrap_or_default(), dead_letters)
}

fn rule(
    mut section: Section<'_>,
    topics: Vec<String>,
    dead_letters: &DeadLetterName,
) -> RuleSettings {
    let default = RuleSettings::default();
    let rule = RuleSettings {
        topics,
        mode: section.or("mode", default.mode, word(&MODES)),
        check: section.or("check", default.check, word(&CHECKS)),
        tombstones: section.or("tombstones", default.tombstones, word(&TOMBSTONES)),
        on_registry_unavailable: section.or(
            "on_registry_unavailable",
            default.on_registry_unavailable,
            word(&ON_UNAVAILABLE),
        ),
        allow_schemas: section.list("allow_schemas", text()).value().map(plain).unwrap_or_default(),
        subjects: section.or("subjects", default.subjects, word(&SUBJECTS)),
        allow_subjects: section
            .list("allow_subjects", text())
            .value()
            .map(plain)
            .unwrap_or_default(),
        sequence_guard: section.or("sequence_guard", default.sequence_guard, word(&GUARDS)),
        unknown_fields: section.or("unknown_fields", default.unknown_fields, word(&UNKNOWN_FIELDS)),
        conventions: conventions(&mut section),
        key_conventions: key_conventions(&mut section),
        quarantine: section.or("quarantine", None, dead_letter_topic(dead_letters)),
    };
    let asks = rule.subjects != SubjectStrategy::Any || !rule.allow_subjects.is_empty();
    if asks && rule.check == Check::Metadata {
        let message =
            "subjects and allow_subjects need check value: without it no registry is asked";
        section.fail_here(message);
    }
    section.finish();
    rule
}

struct Limits {
    wire: WireLimits,
    record: RecordLimits,
    schema: SchemaLimits,
    memory_budget: usize,
    times: TimeSettings,
}

fn limits(mut section: Section<'_>) -> Limits {
    let limits = Limits {
        wire: wire_limits(&mut section),
        record: record_limits(&mut section),
        schema: SchemaLimits {
            max_schema_bytes: section.or(
                "max_schema_bytes",
                SchemaLimits::default().max_schema_bytes,
                size(KIB..=16 * MIB),
            ),
            ..SchemaLimits::default()
        },
        memory_budget: section.or("memory_budget", DEFAULT_MEMORY_BUDGET, size(MIB..=64 * GIB)),
        times: TimeSettings {
            handshake_timeout: section.or(
                "handshake_timeout",
                DEFAULT_TIMES.handshake_timeout,
                duration(MILLI * 100..=MINUTE * 5),
            ),
            lookup_deadline: section.or(
                "lookup_deadline",
                DEFAULT_TIMES.lookup_deadline,
                duration(Duration::ZERO..=MINUTE),
            ),
            stall_timeout: section.or(
                "stall_timeout",
                DEFAULT_TIMES.stall_timeout,
                duration(Duration::from_secs(1)..=MINUTE * 10),
            ),
            idle_timeout: section.or(
                "idle_timeout",
                DEFAULT_TIMES.idle_timeout,
                duration(Duration::ZERO..=DAY),
            ),
            request_timeout: section.or(
                "request_timeout",
                DEFAULT_TIMES.request_timeout,
                duration(Duration::ZERO..=DAY),
            ),
            response_timeout: section.or(
                "response_timeout",
                DEFAULT_TIMES.response_timeout,
                duration(Duration::ZERO..=DAY),
            ),
            ..DEFAULT_TIMES
        },
    };
    check::budget(&section, limits.memory_budget, &limits.wire);
    section.finish();
    limits
}

fn wire_limits(section: &mut Section<'_>) -> WireLimits {
    let default = WireLimits::default();
    let mut frame =
        |key, default: FrameLimit, most| FrameLimit(section.or(key, default.0, size(KIB..=most)));
    WireLimits {
        max_request_bytes: frame("max_request_bytes", default.max_request_bytes, 256 * MIB),
        max_other_request_bytes: frame(
            "max_other_request_bytes",
            default.max_other_request_bytes,
            256 * MIB,
        ),
        max_rewritten_response_bytes: frame(
            "max_rewritten_response_bytes",
            default.max_rewritten_response_bytes,
            GIB,
        ),
        max_in_flight: section.or("max_in_flight", default.max_in_flight, integer(1..=100_000)),
    }
}

fn record_limits(section: &mut Section<'_>) -> RecordLimits {
    let default = RecordLimits::default();
    RecordLimits {
        max_decompressed_bytes: section.or(
            "max_decompressed_bytes",
            default.max_decompressed_bytes,
            size(KIB..=GIB),
        ),
        max_record_bytes: section.or(
            "max_record_bytes",
            default.max_record_bytes,
            size(KIB..=256 * MIB),
        ),
    }
}

fn drain(mut section: Section<'_>) -> Duration {
    let grace = section.or("grace", DEFAULT_TIMES.drain_grace, duration(Duration::ZERO..=HOUR));
    section.finish();
    grace
}

fn admin(mut section: Section<'_>, bound: &Bound) -> AdminSettings {
    let listen = section.given("listen", socket_address());
    let probes = section.given("probes_listen", socket_address());
    let token = section.given("token_file", path());
    let reload = section.or("reload", false, boolean());
    check::admin(&section, &listen, &probes, &token, bound);
    if let Given::Value(Located { origin, value: file }) = &token
        && section.reads_files()
        && let Err(message) = check_token_file(file)
    {
        section.fail_later(origin, "token_file", message);
    }
    section.finish();
    AdminSettings {
        listen: listen.value(),
        probes_listen: probes.value(),
        token_file: token.value(),
        reload,
    }
}

fn log(mut section: Section<'_>) -> LogSettings {
    let default = LogSettings::default();
    let log = LogSettings {
        level: section.or("level", default.level, word(&LEVELS)),
        format: section.or("format", default.format, word(&FORMATS)),
    };
    section.finish();
    log
}

fn metrics(mut section: Section<'_>) -> MetricsSettings {
    let default = MetricsSettings::default();
    let max_topics = section.or("max_topics", default.max_topics, integer(0..=100_000));
    section.finish();
    MetricsSettings { max_topics }
}

fn sequence_guard(mut section: Section<'_>) -> SequenceGuardSettings {
    let default = SequenceGuardSettings::default();
    let guard = SequenceGuardSettings {
        max_entries: section.or("max_entries", default.max_entries, integer(1..=10_000_000)),
        expiry: section.or("expiry", default.expiry, duration(Duration::from_secs(1)..=DAY)),
    };
    section.finish();
    guard
}

pub(super) fn plain<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|located| located.value).collect()
}

const GIB: usize = 1024 * MIB;
pub(super) const MILLI: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
