//! Tables of files and what is said about them.

use super::{node::Node, notes::Notes, section::Section, *};
use crate::{
    limits::FrameLimit,
    proxy::settings::{BrokerAddress, ClientAuth, PortRange},
    schema::SubjectStrategy,
    validate::policy::{Check, Mode, OnUnavailable, SequenceGuard, Tombstones},
    wire::NodeId,
};

const MINIMAL: &str =
    "upstream: {bootstrap: [kafka:9092]}\nregistry: {url: 'http://registry:8081'}\n";
const EXAMPLE: &str = include_str!("../../config/schemaward.yaml");

pub(super) fn none() -> impl Iterator<Item = (String, String)> {
    std::iter::empty()
}

pub(super) fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    owned.into_iter()
}

pub(super) fn parsed(text: &str) -> Config {
    Config::parse(text, "f.yaml", none()).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(super) fn errors(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match Config::parse(text, "f.yaml", variables(environment)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The mistakes of a file that is sound without `text`.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let mut whole = text.to_owned();
    for line in MINIMAL.lines() {
        let section = line.split(':').next().unwrap();
        if !text.lines().any(|line| line.starts_with(section)) {
            whole = format!("{whole}\n{line}");
        }
    }
    errors(&whole, &[])
}

#[test]
fn two_keys_are_enough() {
    let config = parsed(MINIMAL);
    assert_eq!(config.listen.bootstrap.to_string(), "127.0.0.1:9092");
    assert_eq!(config.listen.advertised_host.to_string(), "127.0.0.1");
    assert_eq!(config.listen.client_auth, ClientAuth::None);
    assert_eq!(
        config.listen.broker_ports,
        [PortRange { first_node: NodeId(0), first_port: 9100, count: 100 }]
    );
    assert_eq!(config.upstream.bootstrap, [BrokerAddress { host: "kafka".into(), port: 9092 }]);
    assert_eq!(config.rules, []);
    assert_eq!(config.default_rule, RuleSettings::default());
    assert_eq!(config.cache, CacheSettings::default());
    assert_eq!(config.metadata, HeaderNames::default());
    assert_eq!(config.wire_limits, WireLimits::default());
    assert_eq!(config.record_limits, RecordLimits::default());
    assert_eq!(config.schema_limits, SchemaLimits::default());
    assert_eq!(config.memory_budget, 64 * MIB);
    assert_eq!(config.times, DEFAULT_TIMES);
    assert_eq!(config.admin, AdminSettings::default());
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.metrics.max_topics, 1_000);
}

#[test]
fn the_shape_of_the_contract_is_read() {
    let config = parsed(
        r#"
listen:
  bootstrap: 127.0.0.1:9092
  broker_ports: 9100-9199
  advertised_host: 127.0.0.1
upstream:
  bootstrap: [kafka-0.kafka.svc:9092, "[2001:db8::1]:9093"]
registry:
  url: http://schema-registry.svc:8081
  allow: ["https://my-schema-server"]
rules:
  - topics: ["orders.*"]
    mode: off
    check: metadata
    tombstones: reject
    on_registry_unavailable: accept
    allow_schemas: ["https://my-schema-server/users/*"]
    sequence_guard: off
admin:
  listen: 127.0.0.1:9464
  probes_listen: 0.0.0.0:9465
"#,
    );
    assert_eq!(config.upstream.bootstrap[1].to_string(), "[2001:db8::1]:9093");
    assert_eq!(config.registry.allow[0].host_str(), Some("my-schema-server"));
    let expected = RuleSettings {
        topics: vec!["orders.*".into()],
        mode: Mode::Off,
        check: Check::Metadata,
        tombstones: Tombstones::Reject,
        on_registry_unavailable: OnUnavailable::Accept,
        allow_schemas: vec!["https://my-schema-server/users/*".into()],
        sequence_guard: SequenceGuard::Off,
        ..RuleSettings::default()
    };
    assert_eq!(config.rules, [expected]);
    assert_eq!(config.admin.probes_listen.unwrap().port(), 9465);
}

#[test]
fn the_example_file_holds_the_defaults() {
    let example = parsed(EXAMPLE);
    let mut expected = parsed(MINIMAL);
    expected.upstream.bootstrap = ["kafka-0.kafka.svc", "kafka-1.kafka.svc"]
        .map(|host| BrokerAddress { host: host.into(), port: 9092 })
        .to_vec();
    expected.registry.url = "http://schema-registry.svc:8081".parse().ok();
    expected.admin = AdminSettings {
        listen: "127.0.0.1:9464".parse().ok(),
        probes_listen: "0.0.0.0:9465".parse().ok(),
        token_file: None,
        reload: false,
    };
    assert_eq!(example, expected);
}

#[test]
fn the_example_file_holds_every_key_under_a_comment() {
    let notes = Notes::default();
    let root = Node::of_file(EXAMPLE, &"f.yaml".into()).unwrap();
    sections::config(Section::new(root, String::new(), &notes));
    let mut levels: Vec<&str> = Vec::new();
    let mut written = std::collections::BTreeSet::new();
    let mut before = "";
    for line in EXAMPLE.lines() {
        let text = line.trim_start();
        if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('#')) {
            levels.truncate((line.len() - text.len()) / 2);
            levels.push(key);
            written.insert(levels.join("."));
            assert!(before.trim_start().starts_with('#'), "{key} has no comment above it");
        }
        before = line;
    }
    let read: std::collections::BTreeSet<_> = notes.known().keys().cloned().collect();
    assert_eq!(written, read);
}

#[test]
fn the_top_level_keys_are_those_that_are_read() {
    let notes = Notes::default();
    let root = Node::of_file("", &"f.yaml".into()).unwrap();
    sections::config(Section::new(root, String::new(), &notes));
    let mut expected = sections::TOP_LEVEL.map(str::to_owned).to_vec();
    expected.sort();
    let read: Vec<_> = notes.known().keys().filter(|key| !key.contains('.')).cloned().collect();
    assert_eq!(read, expected);
}

#[test]
fn effective_settings_read_as_a_file_give_the_same_settings() {
    let ranges =
        "listen: {broker_ports: [{nodes: 1001-1003, ports: 9100-9102}, {nodes: 7, ports: 9200}]}\n";
    let rules =
        "rules: [{topics: ['a.*', '*'], mode: observe}, {topics: [b], tombstones: reject}]\n";
    let names = "listen: {routing: server_name, advertised_host: 'b{node_id}.x', advertised_port: 443, proxy_protocol: required, max_connections_per_address: 5, tls: {certificate: /c, key: /k}}\n";
    let tls = "listen: {client_auth: mtls, tls: {certificate: /c, key: /k, client_ca: /a}}\nupstream: {bootstrap: [k:1], tls: {ca: /a, server_name: kafka.example.com, certificate: /c, key: /k}}\nregistry: {url: 'http://r'}";
    let only_tls = "upstream: {bootstrap: [k:1], tls: {}}\nregistry: {url: 'http://r'}";
    let sasl = MINIMAL.replace(
        "9092]",
        "9092], sasl: {mechanism: PLAIN, username_file: /etc/u, password_file: /etc/p}",
    );
    let quarantine = format!(
        "{MINIMAL}rules: [{{topics: [a], quarantine: 'dead.{{topic}}'}}, {{topics: [b], quarantine: all-dead}}]\n\
         default_rule: {{quarantine: true}}\n\
         quarantine: {{topic: '{{topic}}-dlt', deadline: 500ms, queue_bytes: 1MiB, max_connections: 2, compression: zstd, sasl: {{username_file: /etc/u, password_file: /etc/p}}}}\n"
    );
    for text in [
        MINIMAL,
        EXAMPLE,
        &format!("{MINIMAL}{ranges}{rules}"),
        &format!("{MINIMAL}{names}"),
        tls,
        only_tls,
        &sasl,
        &quarantine,
    ] {
        let config = parsed(text);
        let yaml = config.effective().to_yaml();
        assert_eq!(parsed(&yaml), config, "{yaml}");
        assert_eq!(parsed(&config.effective().to_json().to_string()).rules, config.rules);
    }
}

#[test]
fn rules_say_where_refused_batches_are_copied_to() {
    let config = parsed(&format!(
        "{MINIMAL}rules: [{{topics: [a], quarantine: true}}, {{topics: [b], quarantine: 'x.{{topic}}'}}, {{topics: [c], quarantine: false}}]\n\
         quarantine: {{credentials: none, topic: '{{topic}}-dlt'}}\n"
    ));
    let named: Vec<_> =
        config.rules.iter().map(|rule| rule.quarantine.as_ref().map(ToString::to_string)).collect();
    assert_eq!(named, [Some("{topic}-dlt".to_owned()), Some("x.{topic}".to_owned()), None]);
    assert_eq!(config.default_rule.quarantine, None);
}

#[test]
fn copies_need_credentials_of_ones_own_or_a_word_that_none_are_asked_for() {
    let login = "sasl: {username_file: /u, password_file: /p}";
    let sound = [
        "quarantine: {credentials: none}\n".to_owned(),
        format!("quarantine: {{{login}}}\n"),
        format!(
            "quarantine: {{{login}}}\nlisten: {{bootstrap: 0.0.0.0:9092, advertised_host: h, client_auth: sasl}}\n"
        ),
    ];
    for text in sound {
        parsed(&format!("{MINIMAL}default_rule: {{quarantine: true}}\n{text}"));
    }
    let upstream = MINIMAL.replace("9092]", &format!("9092], {login}"));
    parsed(&format!("{upstream}rules: [{{topics: [a], quarantine: true}}]\n"));
    let shown = MINIMAL.replace("9092]", "9092], tls: {certificate: /c, key: /k}");
    parsed(&format!("{shown}rules: [{{topics: [a], quarantine: true}}]\n"));
    // Where nobody asks, nothing is needed.
    parsed(MINIMAL);
}

/// Files, and the one mistake in each.
pub(super) const MISTAKES: &[(&str, &str)] = &[
    (
        "default_rule: {quarantine: true}",
        "f.yaml: quarantine.credentials: a rule asks for quarantine, which needs credentials of schemaward's own: upstream.sasl, upstream.tls.certificate or quarantine.sasl; where the brokers ask for none, write none",
    ),
    (
        "rules:\n  - {topics: [a], quarantine: 'dead.{topic}'}\nquarantine:\n  credentials: own",
        "f.yaml:4: quarantine.credentials: a rule asks for quarantine, which needs credentials of schemaward's own: upstream.sasl, upstream.tls.certificate or quarantine.sasl; where the brokers ask for none, write none",
    ),
    (
        "default_rule: {quarantine: true}\nquarantine:\n  credentials: none\n  sasl: {username_file: /u, password_file: /p}",
        "f.yaml:3: quarantine.credentials: is none, but there are credentials of schemaward's own",
    ),
    (
        "listen: {bootstrap: '0.0.0.0:9092', advertised_host: h, client_auth: sasl}\ndefault_rule: {quarantine: true}\nquarantine:\n  credentials: none",
        "f.yaml:4: quarantine.credentials: is none, but clients log in at the brokers (listen.client_auth: sasl), so the brokers ask for it: see quarantine.sasl",
    ),
    (
        "listen: {bootstrap: '0.0.0.0:9092', advertised_host: h, client_auth: none}\nquarantine:\n  sasl: {username_file: /u, password_file: /p}",
        "f.yaml:3: quarantine.sasl: would lend schemaward's rights to every caller: the listener is neither on loopback nor asks for a login or certificates",
    ),
    (
        "default_rule:\n  quarantine: 7",
        "f.yaml:2: default_rule.quarantine: must be true, false or the name of a topic, found 7",
    ),
    (
        "quarantine:\n  topic: '{topic}'",
        "f.yaml:2: quarantine.topic: must be another topic than the one whose batch is refused",
    ),
    (
        "default_rule:\n  quarantine: 'a b'",
        "f.yaml:2: default_rule.quarantine: must be the name of a topic, of letters, digits, `.`, `_` and `-`, in which {topic} may stand once",
    ),
    (
        "default_rule: {quarantine: true}\nquarantine: {credentials: none, queue_bytes: 128MiB}",
        "f.yaml: quarantine.queue_bytes: 128MiB is more than limits.memory_budget (64MiB)",
    ),
    (
        "quarantine:\n  compression: gzip",
        "f.yaml:2: quarantine.compression: must be one of none, zstd, found \"gzip\"",
    ),
    (
        "listen:\n  broker_port: 9100",
        "f.yaml:2: listen.broker_port: unknown key, did you mean broker_ports",
    ),
    ("lisen: {}", "f.yaml:1: lisen: unknown key, did you mean listen"),
    ("drain:\n  x: 1", "f.yaml:2: drain.x: unknown key, known here: grace"),
    ("listen: 7", "f.yaml:1: listen: must be a mapping, found 7"),
    (
        "listen:\n  bootstrap: localhost:9092",
        "f.yaml:2: listen.bootstrap: must be an IP address and a port, such as 127.0.0.1:9092 or \"[::1]:9092\", found \"localhost:9092\"",
    ),
    (
        "listen:\n  bootstrap: 0.0.0.0:9092\n  advertised_host: proxy",
        "f.yaml:2: listen.client_auth: missing: 0.0.0.0:9092 is not a loopback address, so it must be written down who may use it (none: everybody)",
    ),
    (
        "listen:\n  bootstrap: 0.0.0.0:9092\n  client_auth: none",
        "f.yaml:2: listen.advertised_host: missing: clients cannot be told 0.0.0.0",
    ),
    (
        "listen:\n  advertised_host: 0.0.0.0",
        "f.yaml:2: listen.advertised_host: clients cannot be told 0.0.0.0, which is no single host",
    ),
    (
        "listen:\n  advertised_host: host:1",
        "f.yaml:2: listen.advertised_host: must be a host name or address without a port, or a template such as broker-{node_id}.kafka.example.com, found \"host:1\"",
    ),
    (
        "listen:\n  advertised_host: b-{node}.x",
        "f.yaml:2: listen.advertised_host: must be a host name or address without a port, or a template such as broker-{node_id}.kafka.example.com, found \"b-{node}.x\"",
    ),
    (
        "listen:\n  routing: server_name\n  advertised_host: kafka.example.com\n  tls: {certificate: /c, key: /k}",
        "f.yaml:3: listen.advertised_host: kafka.example.com is the same for every broker: routing by server name needs {node_id} in it",
    ),
    (
        "listen:\n  routing: server_name\n  advertised_host: b-{node_id}.x\n  broker_ports: 9100-9199\n  tls: {certificate: /c, key: /k}",
        "f.yaml:4: listen.broker_ports: has no meaning where brokers are told apart by server name",
    ),
    (
        "listen:\n  bootstrap: 127.0.0.1:9092\n  routing: server_name\n  advertised_host: b-{node_id}.x",
        "f.yaml:2: listen.routing: server_name needs listen.tls: without TLS clients do not say which server they want",
    ),
    (
        "listen:\n  advertised_port: 0",
        "f.yaml:2: listen.advertised_port: must be a whole number from 1 to 65535, found 0",
    ),
    (
        "listen:\n  proxy_protocol: v1",
        "f.yaml:2: listen.proxy_protocol: must be one of off, required, found \"v1\"",
    ),
    (
        "listen:\n  max_connections: 0",
        "f.yaml:2: listen.max_connections: must be a whole number from 1 to 1000000, found 0",
    ),
    (
        "listen:\n  client_auth: kerberos",
        "f.yaml:2: listen.client_auth: must be one of none, mtls, sasl, found \"kerberos\"",
    ),
    (
        "listen:\n  client_auth: mtls",
        "f.yaml:2: listen.client_auth: mtls needs listen.tls.client_ca, which signs the certificates of clients",
    ),
    (
        "listen:\n  client_auth: mtls\n  tls: {certificate: /c, key: /k}",
        "f.yaml:2: listen.client_auth: mtls needs listen.tls.client_ca, which signs the certificates of clients",
    ),
    ("listen:\n  tls: {}", "f.yaml:2: listen.tls: needs certificate and key, or must be null"),
    (
        "listen:\n  tls: {client_ca: /a}",
        "f.yaml:2: listen.tls: needs certificate and key, or must be null",
    ),
    (
        "listen:\n  tls:\n    certificate: /c",
        "f.yaml:3: listen.tls.key: missing: it belongs to the certificate",
    ),
    (
        "listen:\n  tls: {certificate: /c, key: /k, ca: /a}",
        "f.yaml:2: listen.tls.ca: unknown key, known here: client_ca, certificate, key",
    ),
    ("listen:\n  tls: on", "f.yaml:2: listen.tls: must be a mapping, found \"on\""),
    (
        "upstream:\n  bootstrap: [kafka:9092]\n  tls:\n    key: /k",
        "f.yaml:4: upstream.tls.certificate: missing: it belongs to the key",
    ),
    (
        "upstream:\n  bootstrap: [kafka:9092]\n  tls:\n    server_name: a b",
        "f.yaml:4: upstream.tls.server_name: must be a host name or an IP address, found \"a b\"",
    ),
    (
        "listen:\n  bootstrap: 0.0.0.0:9092\n  advertised_host: a\n  client_auth: none\n  tls: {certificate: /c, key: /k}\nupstream:\n  bootstrap: [kafka:9092]\n  tls:\n    certificate: /c\n    key: /k",
        "f.yaml:9: upstream.tls.certificate: would lend our rights to every caller: the listener is neither on loopback nor asks for certificates (listen.tls.client_ca)",
    ),
    (
        "limits:\n  handshake_timeout: 0s",
        "f.yaml:2: limits.handshake_timeout: must be a duration from 100ms to 5m, such as 300ms, 5s or 2m, found \"0s\"",
    ),
    (
        "listen:\n  broker_ports: 9199-9100",
        "f.yaml:2: listen.broker_ports: must be a range of ports, such as 9100-9199, or a list of {nodes: 1001-1010, ports: 9100-9109}, found \"9199-9100\"",
    ),
    (
        "listen:\n  broker_ports: 0-10",
        "f.yaml:2: listen.broker_ports: port 0 cannot stand for a broker",
    ),
    (
        "listen:\n  broker_ports: 1-65535",
        "f.yaml:2: listen.broker_ports: has 65535 ports, at most 4096 can be bound",
    ),
    (
        "listen:\n  broker_ports: 9000-9100",
        "f.yaml:2: listen.broker_ports: port 9092 is that of listen.bootstrap",
    ),
    (
        "listen:\n  broker_ports:\n  - {nodes: 1-3, ports: 9100-9101}",
        "f.yaml:3: listen.broker_ports[0]: nodes and ports must be equally many",
    ),
    (
        "listen:\n  broker_ports:\n  - {nodes: 1-2, ports: 9100-9101}\n  - {nodes: 3-4, ports: 9101-9102}",
        "f.yaml:4: listen.broker_ports: ports 9101-9102 are in two ranges",
    ),
    (
        "listen:\n  broker_ports:\n  - {nodes: 1-2, ports: 9100-9101}\n  - {nodes: 2-3, ports: 9102-9103}",
        "f.yaml:4: listen.broker_ports: nodes 2-3 are in two ranges",
    ),
    (
        "listen:\n  broker_ports:\n  - {nodes: 1-2}",
        "f.yaml:3: listen.broker_ports[0].ports: missing",
    ),
    (
        "upstream:\n  bootstrap: []",
        "f.yaml:1: upstream.bootstrap: missing: give at least one broker, such as [kafka-0.kafka.svc:9092]",
    ),
    (
        "upstream:\n  bootstrap: {kafka: 9092}",
        "f.yaml:2: upstream.bootstrap: must be a list, found a mapping",
    ),
    (
        "upstream:\n  bootstrap:\n  - kafka",
        "f.yaml:3: upstream.bootstrap[0]: must be host:port, such as kafka-0.kafka.svc:9092, found \"kafka\"",
    ),
    (
        "upstream:\n  bootstrap: ['::1:9092']",
        "f.yaml:2: upstream.bootstrap[0]: must be host:port, such as kafka-0.kafka.svc:9092, found \"::1:9092\"",
    ),
    (
        "upstream:\n  bootstrap: [localhost:9092]",
        "f.yaml:2: upstream.bootstrap: localhost:9092 is where schemaward itself listens",
    ),
    (
        "upstream:\n  bootstrap: [a:1]\n  connect_timeout: 5",
        "f.yaml:3: upstream.connect_timeout: must be a duration from 10ms to 5m, such as 300ms, 5s or 2m, found 5",
    ),
    (
        "upstream:\n  bootstrap: [a:1]\n  sasl: {username_file: u}",
        "f.yaml:3: upstream.sasl.password_file: missing",
    ),
    (
        "upstream:\n  bootstrap: [a:1]\n  sasl: {mechanism: GSSAPI}",
        "f.yaml:3: upstream.sasl.mechanism: must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, found \"GSSAPI\"",
    ),
    (
        "upstream:\n  bootstrap: [a:1]\n  sasl: {username_file: u, password_file: p}\nlisten: {client_auth: sasl}",
        "f.yaml:3: upstream.sasl: cannot be had together with listen.client_auth sasl: a connection has one login, the client's or schemaward's",
    ),
    (
        "upstream:\n  bootstrap: [a:1]\n  sasl: {username_file: u, password_file: p}\nlisten: {bootstrap: '10.0.0.1:9092', client_auth: none}",
        "f.yaml:3: upstream.sasl: would lend schemaward's rights to whoever reaches 10.0.0.1:9092, which is not a loopback address",
    ),
    (
        "registry:\n  url: registry:8081",
        "f.yaml:2: registry.url: must be an http or https URL with a host, such as http://schema-registry.svc:8081, found \"registry:8081\"",
    ),
    (
        "registry:\n  url: http://me:secret@registry",
        "f.yaml:2: registry.url: must not hold a user name or password: http://registry",
    ),
    (
        "registry:\n  url: http://registry?token=secret",
        "f.yaml:2: registry.url: must not have a query or a fragment: http://registry",
    ),
    (
        "registry:\n  allow: ['http://a/b']",
        "f.yaml:2: registry.allow[0]: must be an origin (scheme, host and port) without the path /b",
    ),
    (
        "registry:\n  request_timeout: 1s",
        "f.yaml: registry.url: missing: without it and without registry.allow no schema can be found, so no record could pass",
    ),
    (
        "metadata:\n  content_type: []",
        "f.yaml:2: metadata.content_type: must name at least one header",
    ),
    (
        "metadata:\n  schema_id: 7",
        "f.yaml:2: metadata.schema_id: must be text, found 7: put it in quotes",
    ),
    (
        "rules:\n- mode: off",
        "f.yaml:2: rules[0].topics: missing: a rule needs at least one topic name or glob, such as [orders.*]",
    ),
    (
        "rules:\n- topics: ['a b']",
        "f.yaml:2: rules[0].topics[0]: must be a topic name or a glob with * and ?, found \"a b\"",
    ),
    (
        "rules:\n- topics: [a]\n- topics: [b]\n  mode: of",
        "f.yaml:4: rules[1].mode: must be one of enforce, observe, off, found \"of\"",
    ),
    (
        "default_rule:\n  topics: [a]",
        "f.yaml:2: default_rule.topics: unknown key, known here: mode, check, tombstones, on_registry_unavailable, allow_schemas, subjects, allow_subjects, sequence_guard, unknown_fields, conventions, key_conventions, quarantine",
    ),
    (
        "default_rule:\n  conventions: []",
        "f.yaml:2: default_rule.conventions: must name at least one convention",
    ),
    (
        "default_rule:\n  conventions:\n  - confluent_prefix\n  - headers\n  - glue_prefix",
        "f.yaml:5: default_rule.conventions: at most one convention can stand before the value: nothing says which it is",
    ),
    (
        "default_rule:\n  key_conventions: [headers, azure]",
        "f.yaml:2: default_rule.key_conventions: azure and cloudevents say nothing about keys",
    ),
    (
        "metadata:\n  key_schema_id: schema-id",
        "f.yaml:1: metadata.key_schema_id: schema-id cannot be about the value and about the key",
    ),
    (
        "limits:\n  max_request_bytes: 16MB",
        "f.yaml:2: limits.max_request_bytes: must be a size from 1KiB to 256MiB, such as 16MiB, found \"16MB\"",
    ),
    (
        "limits:\n  max_request_bytes: -1",
        "f.yaml:2: limits.max_request_bytes: must be a size from 1KiB to 256MiB, such as 16MiB, found -1",
    ),
    (
        "limits:\n  memory_budget: 8MiB",
        "f.yaml:1: limits.memory_budget: 8MiB is less than one request may have (16MiB)",
    ),
    (
        "limits:\n  max_in_flight: 0",
        "f.yaml:2: limits.max_in_flight: must be a whole number from 1 to 100000, found 0",
    ),
    (
        "admin:\n  listen: 0.0.0.0:9464",
        "f.yaml:2: admin.listen: 0.0.0.0:9464 is not a loopback address: it needs admin.token_file (admin.probes_listen does not)",
    ),
    (
        "admin:\n  listen: 127.0.0.1:9092",
        "f.yaml:2: admin.listen: 127.0.0.1:9092 is taken by listen.bootstrap",
    ),
    (
        "admin:\n  probes_listen: 0.0.0.0:9150",
        "f.yaml:2: admin.probes_listen: 0.0.0.0:9150 is taken by listen.broker_ports",
    ),
    (
        "admin:\n  listen: 127.0.0.1:1\n  probes_listen: 0.0.0.0:1",
        "f.yaml:3: admin.probes_listen: 0.0.0.0:1 is taken by admin.listen",
    ),
    (
        "log: {level: loud}",
        "f.yaml:1: log.level: must be one of error, warn, info, debug, trace, found \"loud\"",
    ),
    (
        "sequence_guard:\n  expiry: 0s",
        "f.yaml:2: sequence_guard.expiry: must be a duration from 1s to 1d, such as 300ms, 5s or 2m, found \"0s\"",
    ),
];

#[test]
fn each_mistake_is_named_with_line_and_key() {
    for (text, expected) in MISTAKES {
        assert_eq!(mistakes(text), [*expected], "{text}");
    }
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_their_lines() {
    let text = "log:\n  level: loud\nlimits:\n  max_in_flight: many\nlisen: {}\nrules:\n- {topics: [a], mode: on}\n";
    let expected = [
        "f.yaml:2: log.level: must be one of error, warn, info, debug, trace, found \"loud\"",
        "f.yaml:4: limits.max_in_flight: must be a whole number from 1 to 100000, found \"many\"",
        "f.yaml:5: lisen: unknown key, did you mean listen",
        "f.yaml:7: rules[0].mode: must be one of enforce, observe, off, found \"on\"",
        "f.yaml: upstream.bootstrap: missing: give at least one broker, such as [kafka-0.kafka.svc:9092]",
        "f.yaml: registry.url: missing: without it and without registry.allow no schema can be found, so no record could pass",
        "SCHEMAWARD_DRAIN__GRACE: drain.grace: must be a duration from 0s to 1h, such as 300ms, 5s or 2m, found \"x\"",
    ];
    assert_eq!(errors(text, &[("SCHEMAWARD_DRAIN__GRACE", "x")]), expected);
}

#[test]
fn a_login_of_its_own_needs_both_files_and_says_where_the_password_can_be_read() {
    let with = |sasl: &str, host: &str| {
        parsed(&MINIMAL.replace("kafka:9092]", &format!("'{host}:9093'], sasl: {sasl}")))
    };
    for sasl in ["null", "{}", "{mechanism: SCRAM-SHA-512}", "{username_file: null}"] {
        let config = with(sasl, "kafka");
        assert_eq!((config.upstream.sasl.as_ref(), config.warnings().len()), (None, 0), "{sasl}");
        assert_eq!(config.client_logins(), ClientLogins::Pass);
    }
    for (mechanism, host, warnings) in [
        ("PLAIN", "kafka", 1),
        ("PLAIN", "10.1.2.3", 1),
        ("PLAIN", "localhost", 0),
        ("PLAIN", "127.1.2.3", 0),
        ("SCRAM-SHA-256", "kafka", 0),
    ] {
        let sasl =
            format!("{{mechanism: {mechanism}, username_file: /no/u, password_file: /no/p}}");
        let config = with(&sasl, host);
        assert_eq!(config.warnings().len(), warnings, "{mechanism} {host}");
        assert_eq!(config.client_logins(), ClientLogins::Refuse);
    }
    let required = parsed(&format!("{MINIMAL}listen: {{client_auth: sasl}}\n"));
    assert_eq!(required.client_logins(), ClientLogins::Require);
}

#[test]
fn rules_that_look_nothing_up_need_no_registry() {
    let text = "upstream: {bootstrap: [kafka:9092]}\ndefault_rule: {check: metadata}\n";
    assert_eq!(errors(text, &[]), [""; 0]);
}

#[test]
fn values_may_have_units() {
    let text = format!(
        "{MINIMAL}limits: {{max_request_bytes: 4096, max_record_bytes: 12 KiB, lookup_deadline: 300ms, stall_timeout: 2m}}\ndrain: {{grace: 0}}\n"
    );
    let config = parsed(&text);
    assert_eq!(config.wire_limits.max_request_bytes, FrameLimit(4096));
    assert_eq!(config.record_limits.max_record_bytes, 12 * 1024);
    assert_eq!(config.times.lookup_deadline, Duration::from_millis(300));
    assert_eq!(config.times.stall_timeout, Duration::from_secs(120));
    assert_eq!(config.times.drain_grace, Duration::ZERO);
}

#[test]
fn the_environment_wins_over_the_file() {
    let environment = [
        ("SCHEMAWARD_LISTEN__BOOTSTRAP", "[::1]:19092"),
        ("SCHEMAWARD_UPSTREAM__BOOTSTRAP", "[a:1, b:2]"),
        ("SCHEMAWARD_REGISTRY__CACHE__NEGATIVE_TTL", "1s"),
        ("SCHEMAWARD_RULES", "[{topics: [audit], mode: off}]"),
        ("SCHEMAWARD_LIMITS", "{max_in_flight: 5}"),
        ("SCHEMAWARD_LIMITS__MAX_RECORD_BYTES", "1MiB"),
        ("SCHEMAWARD_ADMIN__LISTEN", ""),
        ("OTHER", "x"),
    ];
    let file = format!("{MINIMAL}limits: {{max_in_flight: 7}}\nadmin: {{listen: '127.0.0.1:1'}}\n");
    let config = Config::parse(&file, "f.yaml", variables(&environment)).unwrap();
    assert_eq!(config.listen.bootstrap.to_string(), "[::1]:19092");
    assert_eq!(config.listen.advertised_host.to_string(), "::1");
    assert_eq!(config.upstream.bootstrap.len(), 2);
    assert_eq!(config.cache.negative_ttl, Duration::from_secs(1));
    assert_eq!(config.rules[0].mode, Mode::Off);
    assert_eq!(config.wire_limits.max_in_flight, 5);
    assert_eq!(config.record_limits.max_record_bytes, MIB);
    assert_eq!(config.admin.listen, None);
}

#[test]
fn brokers_may_stand_in_one_text_as_clients_have_them() {
    let table = [
        ("kafka:9092", 1),
        ("kafka-0:9092,kafka-1:9092", 2),
        ("kafka-0:9092, kafka-1:9092,", 2),
        ("[2001:db8::1]:9092,[2001:db8::2]:9092", 2),
        ("[kafka-0:9092, kafka-1:9092]", 2),
    ];
    for (text, brokers) in table {
        let environment = [("SCHEMAWARD_UPSTREAM__BOOTSTRAP", text)];
        let config = Config::parse(MINIMAL, "f.yaml", variables(&environment)).unwrap();
        assert_eq!(config.upstream.bootstrap.len(), brokers, "{text}");
    }
}

#[test]
fn variables_that_are_no_key_are_named() {
    let table: &[(&str, &str, &str)] = &[
        (
            "SCHEMAWARD_LISTEN__BOOTSTRAPP",
            "x",
            "SCHEMAWARD_LISTEN__BOOTSTRAPP: listen.bootstrapp: unknown key, did you mean bootstrap",
        ),
        (
            "SCHEMAWARD_LISTN__BOOTSTRAP",
            "x",
            "SCHEMAWARD_LISTN__BOOTSTRAP: listn: unknown key, did you mean listen",
        ),
        (
            "SCHEMAWARD_RULES__0__MODE",
            "off",
            "SCHEMAWARD_RULES__0__MODE: rules: is a list: give the whole of it as YAML text",
        ),
        (
            "SCHEMAWARD_LISTEN_BOOTSTRAP",
            "x",
            "SCHEMAWARD_LISTEN_BOOTSTRAP: unknown variable, did you mean SCHEMAWARD_LISTEN__BOOTSTRAP",
        ),
        (
            "SCHEMAWARD_DRAIN__GRACE",
            "1 year",
            "SCHEMAWARD_DRAIN__GRACE: drain.grace: must be a duration from 0s to 1h, such as 300ms, 5s or 2m, found \"1 year\"",
        ),
    ];
    for (name, value, expected) in table {
        let file = format!("{MINIMAL}rules: [{{topics: [a]}}]\n");
        assert_eq!(errors(&file, &[(*name, *value)]), [*expected], "{name}");
    }
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_break_nothing() {
    let environment = [
        ("SCHEMAWARD_SERVICE_HOST", "10.0.0.1"),
        ("SCHEMAWARD_SERVICE_PORT", "9092"),
        ("SCHEMAWARD_SERVICE_PORT_KAFKA", "9092"),
        ("SCHEMAWARD_PORT", "tcp://10.0.0.1:9092"),
        ("SCHEMAWARD_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("SCHEMAWARD_PORT_9092_TCP_PROTO", "tcp"),
        ("SCHEMAWARD_ADMIN_SERVICE_HOST", "10.0.0.2"),
        ("SCHEMAWARD_ADMIN_PORT", "tcp://10.0.0.2:9464"),
    ];
    assert_eq!(errors(MINIMAL, &environment), [""; 0]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Config::load(&path, none()).unwrap_err().to_string()
    };
    let big = load("big.yaml", &vec![b'#'; 1024 * 1024 + 1]);
    assert!(big.ends_with("big.yaml: is larger than 1048576 bytes"), "{big}");
    let binary = load("binary.yaml", b"\xff\xfe");
    assert!(binary.ends_with("binary.yaml: is not UTF-8 text"), "{binary}");
    let missing = Config::load(&folder.path().join("none.yaml"), none()).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: cannot be opened: "), "{missing}");
    let broken = load("broken.yaml", b"listen: [\n");
    assert!(broken.contains("broken.yaml:"), "{broken}");
}

#[test]
fn hostile_text_in_a_file_is_shown_escaped() {
    let found = mistakes("\"a\\u0007\\n\": 1");
    assert_eq!(found.len(), 1);
    assert!(!found[0].contains('\u{7}') && !found[0].contains('\n'), "{found:?}");
}

#[test]
fn own_credentials_may_serve_who_is_on_this_host_or_shows_a_certificate() {
    let upstream = "upstream: {bootstrap: [k:1], tls: {certificate: /c, key: /k}}";
    let asks = "tls: {certificate: /c, key: /k, client_ca: /a}";
    for listen in [
        "bootstrap: 127.0.0.1:9092".to_owned(),
        "bootstrap: '[::1]:9092'".to_owned(),
        format!("bootstrap: 0.0.0.0:9092, advertised_host: a, client_auth: mtls, {asks}"),
        format!("bootstrap: 0.0.0.0:9092, advertised_host: a, client_auth: none, {asks}"),
    ] {
        let text = format!("listen: {{{listen}}}\n{upstream}\nregistry: {{url: 'http://r'}}");
        let config = parsed(&text);
        assert!(config.upstream.tls.unwrap().identity.is_some(), "{text}");
    }
}

#[test]
fn an_absent_mapping_is_no_tls_and_an_empty_one_is_tls_with_the_authorities_of_the_system() {
    assert_eq!(parsed(MINIMAL).upstream.tls, None);
    let empty = "upstream: {bootstrap: [k:1], tls: {}}\nregistry: {url: 'http://r'}";
    assert_eq!(parsed(empty).upstream.tls, Some(crate::tls::ClientTlsSettings::default()));
}

#[test]
fn subjects_need_somebody_to_be_asked_for_them() {
    let config = |rest: &str| {
        let text = format!("upstream: {{bootstrap: [k:1]}}\n{rest}\n");
        Config::parse(&text, "f.yaml", std::iter::empty())
    };
    let rest = "registry: {url: 'http://r', warm_up: ['orders-*', '42']}\n\
                rules: [{topics: [a], subjects: topic_record_name, allow_subjects: ['x-*', y]}]";
    let parsed = config(rest).unwrap();
    assert_eq!(parsed.registry.warm_up, ["orders-*", "42"]);
    assert_eq!(parsed.rules[0].subjects, SubjectStrategy::TopicRecordName);
    assert_eq!(parsed.rules[0].allow_subjects, ["x-*", "y"]);
    let again = parsed.effective().to_yaml();
    assert_eq!(Config::parse(&again, "again", std::iter::empty()).unwrap(), parsed);
    for asks in ["subjects: record_name", "allow_subjects: [x]"] {
        let rest = format!(
            "registry: {{url: 'http://r'}}\nrules: [{{topics: [a], check: metadata, {asks}}}]"
        );
        let errors = config(&rest).unwrap_err().to_string();
        assert!(
            errors.contains("rules[0]: subjects and allow_subjects need check value"),
            "{errors}"
        );
    }
}
