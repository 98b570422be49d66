//! Every section of the file, key by key, into the settings type of the layer that it is for.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use super::{
    Config, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MEMORY_BUDGET, DEFAULT_TIMES, SequenceGuardSettings,
    check,
    node::{Node, Value},
    section::{Given, Located, Section},
    values::{
        base_url, broker_address, duration, host, integer, origin, range, size, socket_address,
        text, topic_pattern, word,
    },
};
use crate::{
    admin::AdminSettings,
    limits::{FrameLimit, KIB, MIB, RecordLimits, SchemaLimits, WireLimits},
    logging::{LogFormat, LogLevel, LogSettings},
    metrics::MetricsSettings,
    proxy::settings::{ClientAuth, ListenSettings, PortRange, TimeSettings, UpstreamSettings},
    schema::{CacheSettings, RegistrySettings},
    validate::{
        metadata::HeaderNames,
        policy::{Check, Mode, OnUnavailable, RuleSettings, SequenceGuard, Tombstones},
    },
    wire::NodeId,
};

/// The keys of the file's first level.
pub(super) const TOP_LEVEL: [&str; 12] = [
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
pub(super) const GUARDS: [(&str, SequenceGuard); 2] =
    [("on", SequenceGuard::On), ("off", SequenceGuard::Off)];
pub(super) const CLIENT_AUTHS: [(&str, ClientAuth); 1] = [("none", ClientAuth::None)];
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
    let rules: Vec<_> = root.sections("rules").into_iter().map(named_rule).collect();
    let default_rule = rule(root.section("default_rule"), Vec::new());
    let limits = limits(root.section("limits"));
    let drain_grace = drain(root.section("drain"));
    let admin = admin(root.section("admin"), &bind);
    let log = log(root.section("log"));
    let metrics = metrics(root.section("metrics"));
    let sequence_guard = sequence_guard(root.section("sequence_guard"));
    check::schemas_can_be_had(&root, &registry, rules.iter().chain([&default_rule]));
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
    })
}

/// Addresses that are bound: what a later listener must not use again.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) bootstrap: Option<SocketAddr>,
    pub(super) broker_ports: Vec<PortRange>,
}

fn listen(mut section: Section<'_>) -> (Option<ListenSettings>, Bound) {
    let default = Located { origin: section.origin().clone(), value: DEFAULT_BOOTSTRAP };
    let bootstrap = match section.given("bootstrap", socket_address) {
        Given::Absent => Some(default),
        given => given.located(),
    };
    let broker_ports = broker_ports(&mut section);
    let advertised = section.given("advertised_host", host);
    let client_auth = section.given("client_auth", client_auth);
    let mut bound = Bound::default();
    if let Some(ports) = &broker_ports {
        check::ports(&section, ports, bootstrap.as_ref());
        bound.broker_ports = ports.iter().map(|located| located.value).collect();
    }
    let settings = bootstrap.and_then(|bootstrap| {
        bound.bootstrap = Some(bootstrap.value);
        let advertised_host = check::advertised_host(&section, &bootstrap, advertised);
        let client_auth = check::client_auth(&section, &bootstrap, client_auth);
        Some(ListenSettings {
            bootstrap: bootstrap.value,
            broker_ports: bound.broker_ports.clone(),
            advertised_host: advertised_host?,
            client_auth: client_auth?,
        })
    });
    section.finish();
    (settings.filter(|_| broker_ports.is_some()), bound)
}

fn client_auth(value: &Value) -> Result<ClientAuth, String> {
    match value {
        Value::Text(text) if matches!(text.as_str(), "sasl" | "mtls") => {
            Err(format!("{text} is not supported yet, only none"))
        }
        other => word(&CLIENT_AUTHS)(other),
    }
}

/// `9100-9199`, or a list of `{nodes: 1001-1010, ports: 9100-9109}`.
fn broker_ports(section: &mut Section<'_>) -> Option<Vec<Located<PortRange>>> {
    let node = section.take("broker_ports");
    let Some(Node { origin, value }) = node else {
        return Some(vec![Located {
            origin: section.origin().clone(),
            value: DEFAULT_BROKER_PORTS,
        }]);
    };
    match value {
        Value::List(items) if !items.is_empty() => {
            items.into_iter().enumerate().map(|(at, item)| port_item(section, at, item)).collect()
        }
        value => {
            let what = "a range of ports, such as 9100-9199, or a list of {nodes: 1001-1010, ports: 9100-9109}";
            match range::<u16>(what, &value).and_then(|ports| port_range(0..=i32::MAX, ports)) {
                Ok(value) => Some(vec![Located { origin, value }]),
                Err(message) => {
                    section.fail(&origin, "broker_ports", message);
                    None
                }
            }
        }
    }
}

fn port_item(section: &Section<'_>, at: usize, item: Node) -> Option<Located<PortRange>> {
    let mut item = section.child(&format!("broker_ports[{at}]"), item);
    let origin = item.origin().clone();
    let nodes = required(&mut item, "nodes", |value| {
        range::<i32>("a range of node ids, such as 1001-1010", value)
    });
    let ports = required(&mut item, "ports", |value| {
        range::<u16>("a range of ports, such as 9100-9109", value)
    });
    let made = nodes.zip(ports).and_then(|(nodes, ports)| {
        let same = i64::from(*nodes.end()) - i64::from(*nodes.start())
            == i64::from(*ports.end()) - i64::from(*ports.start());
        let made = if same {
            port_range(nodes, ports)
        } else {
            Err("nodes and ports must be equally many".to_owned())
        };
        made.map_err(|message| item.fail_here(&message)).ok()
    });
    item.finish();
    made.map(|value| Located { origin, value })
}

fn port_range(nodes: RangeInclusive<i32>, ports: RangeInclusive<u16>) -> Result<PortRange, String> {
    let count = ports.end().saturating_sub(*ports.start()).saturating_add(1);
    if *ports.start() == 0 {
        return Err("port 0 cannot stand for a broker".to_owned());
    }
    if count > check::MAX_BROKER_PORTS {
        return Err(format!("has {count} ports, at most {} can be bound", check::MAX_BROKER_PORTS));
    }
    Ok(PortRange { first_node: NodeId(*nodes.start()), first_port: *ports.start(), count })
}

fn required<T>(
    section: &mut Section<'_>,
    key: &'static str,
    parse: impl FnOnce(&Value) -> Result<T, String>,
) -> Option<T> {
    let given = section.given(key, parse);
    if matches!(given, Given::Absent) {
        section.fail(&section.origin().clone(), key, "missing");
    }
    given.value()
}

fn upstream(mut section: Section<'_>, bound: &Bound) -> Option<UpstreamSettings> {
    let bootstrap = section.list("bootstrap", broker_address);
    let connect_timeout =
        section.or("connect_timeout", DEFAULT_CONNECT_TIMEOUT, duration(MILLI * 10..=MINUTE * 5));
    let bootstrap = check::upstream(&section, bootstrap, bound);
    section.finish();
    Some(UpstreamSettings { bootstrap: bootstrap?, connect_timeout })
}

fn registry(mut section: Section<'_>) -> (RegistrySettings, CacheSettings) {
    let default = RegistrySettings::default();
    let url = section.given("url", base_url).value();
    let allow = section.list("allow", origin).value().unwrap_or_default();
    let settings = RegistrySettings {
        url,
        allow: allow.into_iter().map(|located| located.value).collect(),
        request_timeout: section.or(
            "request_timeout",
            default.request_timeout,
            duration(MILLI * 10..=MINUTE),
        ),
        max_concurrent_requests: section.or(
            "max_concurrent_requests",
            default.max_concurrent_requests,
            integer(1..=1_000),
        ),
    };
    let cache = cache(section.section("cache"));
    section.finish();
    (settings, cache)
}

fn cache(mut section: Section<'_>) -> CacheSettings {
    let default = CacheSettings::default();
    let cache = CacheSettings {
        max_entries: section.or("max_entries", default.max_entries, integer(1..=10_000_000)),
        document_ttl: section.or(
            "document_ttl",
            default.document_ttl,
            duration(Duration::ZERO..=DAY * 30),
        ),
        negative_ttl: section.or(
            "negative_ttl",
            default.negative_ttl,
            duration(Duration::ZERO..=DAY),
        ),
        unavailable_ttl: section.or(
            "unavailable_ttl",
            default.unavailable_ttl,
            duration(Duration::ZERO..=HOUR),
        ),
        stale_ttl: section.or("stale_ttl", default.stale_ttl, duration(Duration::ZERO..=DAY * 30)),
    };
    section.finish();
    cache
}

fn metadata(mut section: Section<'_>) -> HeaderNames {
    let default = HeaderNames::default();
    let content_type = match section.list("content_type", text) {
        Given::Value(names) if names.value.is_empty() => {
            section.fail(&names.origin, "content_type", "must name at least one header");
            default.content_type
        }
        given => given.value().map_or(default.content_type, plain),
    };
    let names =
        HeaderNames { content_type, schema_id: section.or("schema_id", default.schema_id, text) };
    section.finish();
    names
}

fn named_rule(mut section: Section<'_>) -> RuleSettings {
    let topics = section.list("topics", topic_pattern);
    let none = match &topics {
        Given::Absent => true,
        Given::Faulty => false,
        Given::Value(topics) => topics.value.is_empty(),
    };
    if none {
        let message = "missing: a rule needs at least one topic name or glob, such as [orders.*]";
        section.fail(&section.origin().clone(), "topics", message);
    }
    rule(section, topics.value().map(plain).unwrap_or_default())
}

fn rule(mut section: Section<'_>, topics: Vec<String>) -> RuleSettings {
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
        allow_schemas: section.list("allow_schemas", text).value().map(plain).unwrap_or_default(),
        sequence_guard: section.or("sequence_guard", default.sequence_guard, word(&GUARDS)),
    };
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
    let listen = section.given("listen", socket_address);
    let probes = section.given("probes_listen", socket_address);
    let token = section.given("token_file", text);
    check::admin(&section, &listen, &probes, &token, bound);
    section.finish();
    AdminSettings {
        listen: listen.value(),
        probes_listen: probes.value(),
        token_file: token.value().map(Into::into),
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

fn plain<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|located| located.value).collect()
}

const DEFAULT_BOOTSTRAP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9092);
const DEFAULT_BROKER_PORTS: PortRange =
    PortRange { first_node: NodeId(0), first_port: 9100, count: 100 };
const GIB: usize = 1024 * MIB;
const MILLI: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
