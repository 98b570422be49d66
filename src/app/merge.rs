//! Which part of a new configuration can take effect in a running process, and which keys keep what they had.
//!
//! Keys that are only sound together stay together: a listener that stays open must not lose what guards it because the
//! new file would have it elsewhere.

use crate::{
    config::{Config, Tree},
    proxy::settings::{ListenSettings, QuarantineSettings, UpstreamSettings},
    tls::ServerTlsSettings,
};

/// What comes into force of `new` where `old` is: all of it, except what needs a restart.
pub(super) fn merged(old: &Config, new: Config) -> Config {
    let mut merged = Config { listen: listen(&old.listen, &new.listen), ..new };
    if !has_same_shape(&old.upstream, &merged.upstream) {
        merged.upstream = old.upstream.clone();
    }
    let (admin, before) = (&merged.admin, &old.admin);
    if (admin.listen, admin.probes_listen) != (before.listen, before.probes_listen) {
        merged.admin = old.admin.clone();
    }
    // The queue and the login of copies are there from the start; where they go is a matter of rules.
    let topic = merged.quarantine.topic;
    merged.quarantine = QuarantineSettings { topic, ..old.quarantine.clone() };
    merged.log.format = old.log.format;
    merged
}

/// The listeners stay, with all that says who may use them and what they are told.
fn listen(old: &ListenSettings, new: &ListenSettings) -> ListenSettings {
    let tls = match (&old.tls, &new.tls) {
        (Some(old), Some(new)) if asks_for_the_same(old, new) => Some(new.clone()),
        (old, _) => old.clone(),
    };
    ListenSettings {
        tls,
        max_connections: new.max_connections,
        max_connections_per_address: new.max_connections_per_address,
        ..old.clone()
    }
}

/// Whether clients have to show a certificate by both or by none.
const fn asks_for_the_same(old: &ServerTlsSettings, new: &ServerTlsSettings) -> bool {
    old.client_ca.is_some() == new.client_ca.is_some()
}

/// Whether brokers are reached in the same way: TLS and login decide what is fit to be said to which address.
const fn has_same_shape(old: &UpstreamSettings, new: &UpstreamSettings) -> bool {
    old.tls.is_some() == new.tls.is_some() && old.sasl.is_some() == new.sasl.is_some()
}

/// The keys in which two configurations differ, as the file spells them.
pub(super) fn differing(one: &Config, other: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    compare(String::new(), &one.effective(), &other.effective(), &mut keys);
    keys
}

fn compare(path: String, one: &Tree, other: &Tree, keys: &mut Vec<String>) {
    match (one, other) {
        (Tree::Map(entries), Tree::Map(others)) => {
            for (key, value) in entries {
                let path =
                    if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                match others.iter().find(|(other, _)| other == key) {
                    Some((_, other)) => compare(path, value, other, keys),
                    None => keys.push(path),
                }
            }
        }
        _ if one != other => keys.push(path),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "
listen: {bootstrap: '127.0.0.1:9092', client_auth: mtls, tls: {certificate: /a, key: /b, client_ca: /c}}
upstream: {bootstrap: ['kafka:9092'], tls: {ca: /d}}
registry: {url: 'http://registry:8081'}
admin: {listen: '127.0.0.1:9464', token_file: /t}
";

    fn config(text: &str) -> Config {
        Config::parse(text, "test.yaml", std::iter::empty()).unwrap_or_else(|it| panic!("{it}"))
    }

    /// The old file with one text in place of another, and what becomes of it: keys in force, and those that wait.
    fn changed(from: &str, to: &str) -> (String, String) {
        assert!(OLD.contains(from), "{from}");
        let (old, new) = (config(OLD), config(&OLD.replace(from, to)));
        let merged = merged(&old, new.clone());
        (differing(&old, &merged).join(" "), differing(&merged, &new).join(" "))
    }

    #[test]
    fn what_can_take_effect_does_and_the_rest_is_named_key_by_key() {
        let table = [
            ("http://registry", "http://other", "registry.url", ""),
            (
                "registry: {",
                "rules: [{topics: [a]}]\nregistry: {allow: ['http://x'], ",
                "registry.allow rules",
                "",
            ),
            (
                "registry: {",
                "limits: {max_record_bytes: 1KiB, idle_timeout: 0s}\nregistry: {",
                "limits.max_record_bytes limits.idle_timeout",
                "",
            ),
            (
                "registry: {",
                "log: {level: debug, format: json}\nregistry: {",
                "log.level",
                "log.format",
            ),
            ("listen: {", "listen: {max_connections: 7, ", "listen.max_connections", ""),
            ("certificate: /a", "certificate: /x", "listen.tls.certificate", ""),
            ("'kafka:9092'", "'kafka:9093'", "upstream.bootstrap", ""),
            ("/t}", "/u, reload: true}", "admin.token_file admin.reload", ""),
            (
                "{bootstrap: '127.0.0.1:9092'",
                "{bootstrap: '127.0.0.1:9093', broker_ports: 9200-9201",
                "",
                "listen.bootstrap listen.broker_ports",
            ),
            (
                "127.0.0.1:9092'",
                "127.0.0.1:9092', proxy_protocol: required, advertised_host: x",
                "",
                "listen.advertised_host listen.proxy_protocol",
            ),
        ];
        for (from, to, in_force, waiting) in table {
            assert_eq!(changed(from, to), (in_force.to_owned(), waiting.to_owned()), "{to}");
        }
    }

    #[test]
    fn what_guards_an_address_does_not_go_before_the_address_does() {
        let table = [
            // Who may connect, and the certificate that they have to show.
            (
                "client_auth: mtls, tls: {certificate: /a, key: /b, client_ca: /c}",
                "client_auth: none",
                "listen.client_auth listen.tls",
            ),
            (
                "client_auth: mtls, tls: {certificate: /a, key: /b, client_ca: /c}",
                "client_auth: none, tls: {certificate: /x, key: /b}",
                "listen.client_auth listen.tls.certificate listen.tls.client_ca",
            ),
            // A token, of a listener that would have moved to where it needs none.
            (
                "{listen: '127.0.0.1:9464', token_file: /t}",
                "{listen: '127.0.0.2:9464'}",
                "admin.listen admin.token_file",
            ),
            // TLS, and brokers that would have been reached without.
            (
                "upstream: {bootstrap: ['kafka:9092'], tls: {ca: /d}}",
                "upstream: {bootstrap: ['kafka:9093']}",
                "upstream.bootstrap upstream.tls",
            ),
            (
                "tls: {ca: /d}",
                "tls: {ca: /x}, sasl: {username_file: /u, password_file: /p}",
                "upstream.tls.ca upstream.sasl.username_file upstream.sasl.password_file",
            ),
        ];
        for (from, to, waiting) in table {
            assert_eq!(changed(from, to), (String::new(), waiting.to_owned()), "{to}");
        }
    }
}
