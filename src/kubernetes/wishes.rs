//! What a pod asks for in its annotations.

use super::{error::Impossible, value::Value};
use crate::text::shown;

/// What every annotation and label of ours begins with.
pub(super) const PREFIX: &str = "schemaward.io/";
/// `"true"`: the pod wants the sidecar; `"false"`: it does not. May be a label.
pub(super) const INJECT: &str = "schemaward.io/inject";
/// The ConfigMap that holds `schemaward.yaml`.
pub(super) const CONFIG_MAP: &str = "schemaward.io/config-map";
/// Variables that name the brokers.
pub(super) const BOOTSTRAP_ENV: &str = "schemaward.io/bootstrap-env";
/// `env`: the sidecar gets the brokers from that variable; `config`: from its configuration.
pub(super) const UPSTREAM: &str = "schemaward.io/upstream";
/// The image of the sidecar.
pub(super) const IMAGE: &str = "schemaward.io/image";
/// `at-once`, or `wait-for-broker`.
pub(super) const STARTUP: &str = "schemaward.io/startup";
/// What becomes of topics that no rule names.
pub(super) const MODE: &str = "schemaward.io/mode";
/// Port for clients.
pub(super) const LISTEN_PORT: &str = "schemaward.io/listen-port";
/// Port for kubelet and Prometheus.
pub(super) const PROBES_PORT: &str = "schemaward.io/probes-port";
/// Secrets that are mounted.
pub(super) const SECRETS: &str = "schemaward.io/secrets";
/// `resources` of the container.
pub(super) const RESOURCES: &str = "schemaward.io/resources";
/// Written by the injection, and the mark of it: where the sidecar listens.
pub(super) const LISTENER: &str = "schemaward.io/listener";

/// Every annotation, for those that are misspelt.
const KNOWN: [&str; 12] = [
    INJECT,
    CONFIG_MAP,
    BOOTSTRAP_ENV,
    UPSTREAM,
    IMAGE,
    STARTUP,
    MODE,
    LISTEN_PORT,
    PROBES_PORT,
    SECRETS,
    RESOURCES,
    LISTENER,
];

/// What a pod asks for. What it leaves open is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Wishes {
    /// Whether it wants the sidecar.
    pub inject: Option<bool>,
    /// The ConfigMap.
    pub config_map: Option<String>,
    /// The variables; empty where none shall be changed.
    pub bootstrap: Option<Vec<Variable>>,
    /// Who knows the brokers.
    pub upstream: UpstreamOf,
    /// The image.
    pub image: Option<String>,
    /// When the application may start.
    pub startup: Startup,
    /// Mode of the default rule, as it is written.
    pub mode: Option<String>,
    /// Port for clients.
    pub listen_port: Option<u16>,
    /// Port for kubelet and Prometheus.
    pub probes_port: Option<u16>,
    /// Secrets.
    pub secrets: Option<Vec<SecretMount>>,
    /// `resources` of the container.
    pub resources: Option<Value>,
    /// Annotations of ours that mean nothing.
    pub unknown: Vec<String>,
}

/// A variable of the application, perhaps of one container only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The container; without one, all that have the variable.
    pub container: Option<String>,
    /// Its name.
    pub name: String,
}

/// A Secret and the folder at which the sidecar finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMount {
    /// The Secret.
    pub name: String,
    /// The folder.
    pub path: String,
}

/// Who knows where the brokers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UpstreamOf {
    /// The sidecar's configuration.
    Config,
    /// The variable of the application, as it was.
    #[default]
    Variable,
}

/// When the application may start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Startup {
    /// Once the sidecar listens, whether there are brokers or not.
    #[default]
    AtOnce,
    /// Once a broker has answered the sidecar.
    WaitForBroker,
}

impl Wishes {
    /// Reads what `metadata` says, the first of them before the next.
    ///
    /// # Errors
    /// [`Impossible::Annotation`]: what cannot be understood.
    pub(super) fn read(metadata: &[&Value]) -> Result<Self, Impossible> {
        let source = Source { metadata };
        let startup = source.word(
            STARTUP,
            "at-once or wait-for-broker",
            &[("at-once", Startup::AtOnce), ("wait-for-broker", Startup::WaitForBroker)],
        )?;
        let upstream = source.word(
            UPSTREAM,
            "env or config",
            &[("env", UpstreamOf::Variable), ("config", UpstreamOf::Config)],
        )?;
        Ok(Self {
            inject: source.inject()?,
            config_map: source.parsed(CONFIG_MAP, "the name of a ConfigMap", object_name)?,
            bootstrap: source.parsed(BOOTSTRAP_ENV, VARIABLES, variables)?,
            upstream: upstream.unwrap_or_default(),
            image: source.parsed(IMAGE, "the name of an image", word)?,
            startup: startup.unwrap_or_default(),
            mode: source.parsed(MODE, "enforce, observe or off", mode)?,
            listen_port: source.parsed(LISTEN_PORT, PORT, port)?,
            probes_port: source.parsed(PROBES_PORT, PORT, port)?,
            secrets: source.parsed(SECRETS, SECRET_MOUNTS, secrets)?,
            resources: source.parsed(RESOURCES, RESOURCE_LISTS, resources)?,
            unknown: source.unknown(),
        })
    }
}

struct Source<'m> {
    metadata: &'m [&'m Value],
}

impl<'m> Source<'m> {
    fn find(&self, kind: &str, key: &str) -> Option<&'m Value> {
        self.metadata.iter().find_map(|metadata| metadata.at(&[kind, key]))
    }

    /// The annotation, where it is one that says something.
    fn text(&self, key: &'static str, wanted: &'static str) -> Result<Option<&'m str>, Impossible> {
        let found = self.find("annotations", key);
        found.map(|value| value.as_text().ok_or_else(|| wrong(key, wanted, "no text"))).transpose()
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        wanted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Impossible> {
        let text = self.text(key, wanted)?;
        text.map(|text| parse(text.trim()).ok_or_else(|| wrong(key, wanted, text))).transpose()
    }

    fn word<T: Copy>(
        &self,
        key: &'static str,
        wanted: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Impossible> {
        let find = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, it)| *it);
        self.parsed(key, wanted, find)
    }

    /// As an annotation, or else as a label: only labels can be selected by.
    fn inject(&self) -> Result<Option<bool>, Impossible> {
        let words = [("true", true), ("false", false)];
        let said = self.word(INJECT, "\"true\" or \"false\"", &words)?;
        match (said, self.find("labels", INJECT).and_then(Value::as_text)) {
            (None, Some("true")) => Ok(Some(true)),
            (None, Some("false")) => Ok(Some(false)),
            (None, Some(label)) => Err(wrong(INJECT, "\"true\" or \"false\"", label)),
            (said, _) => Ok(said),
        }
    }

    fn unknown(&self) -> Vec<String> {
        let annotations = self.metadata.iter().filter_map(|metadata| metadata.get("annotations"));
        let keys = annotations.flat_map(Value::entries).map(|(key, _)| key.as_str());
        let strange = keys.filter(|key| key.starts_with(PREFIX) && !KNOWN.contains(key));
        strange.take(MOST_UNKNOWN).map(|key| shown(key.as_bytes())).collect()
    }
}

fn wrong(key: &str, wanted: &'static str, found: &str) -> Impossible {
    Impossible::Annotation { key: key.to_owned(), wanted, found: shown(found.as_bytes()) }
}

/// The name of an object: a DNS subdomain.
#[must_use]
pub fn object_name(text: &str) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = text.bytes().all(|byte| legal(byte) || matches!(byte, b'-' | b'.'));
    let ends = text.bytes().next().is_some_and(legal) && text.bytes().last().is_some_and(legal);
    (inner && ends && text.len() <= 253).then(|| text.to_owned())
}

/// `NAME`, `CONTAINER/NAME`, or several of these with commas between them; nothing for none.
#[must_use]
pub fn variables(text: &str) -> Option<Vec<Variable>> {
    if text.split(',').count() > MOST_VARIABLES {
        return None;
    }
    let parts = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    let variable = |part: &str| {
        let (container, name) = match part.split_once('/') {
            Some((container, name)) => (Some(object_name(container)?), name),
            None => (None, part),
        };
        let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b'/');
        let legal = !name.is_empty() && name.bytes().all(legal);
        legal.then(|| Variable { container, name: name.to_owned() })
    };
    parts.map(variable).collect()
}

/// `NAME` or `NAME=PATH`.
#[must_use]
pub fn secret(text: &str) -> Option<SecretMount> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (object_name(name.trim())?, path.trim().to_owned()),
        None => (object_name(text)?, format!("{SECRETS_FOLDER}/{text}")),
    };
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    let legal = path.starts_with('/') && path.bytes().all(legal) && !path.contains("/..");
    (legal && path.trim_end_matches('/') != super::sidecar::CONFIG_FOLDER)
        .then_some(SecretMount { name, path })
}

fn secrets(text: &str) -> Option<Vec<SecretMount>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(secret).collect()
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Something without blanks.
fn word(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

fn mode(text: &str) -> Option<String> {
    ["enforce", "observe", "off"].contains(&text).then(|| text.to_owned())
}

/// `{"requests": {…}, "limits": {…}}`, as JSON or as YAML.
fn resources(text: &str) -> Option<Value> {
    let value = super::documents::small(text)?;
    let quantity =
        |(_, value): &(String, Value)| matches!(value, Value::Text(_) | Value::Number(_));
    let list = |(key, value): &(String, Value)| {
        ["requests", "limits"].contains(&key.as_str())
            && matches!(value, Value::Map(_))
            && value.entries().iter().all(quantity)
    };
    (matches!(value, Value::Map(_)) && value.entries().iter().all(list)).then_some(value)
}

const VARIABLES: &str = "the name of a variable, or container/NAME, or several with commas";
const PORT: &str = "a port";
const SECRET_MOUNTS: &str = "the name of a Secret, or NAME=/folder, or several with commas";
const RESOURCE_LISTS: &str = "requests and limits, such as {\"limits\": {\"memory\": \"512Mi\"}}";
/// Where Secrets are found that are mounted without a folder.
const SECRETS_FOLDER: &str = "/run/secrets/schemaward";
/// Variables that may be named.
const MOST_VARIABLES: usize = 16;
/// Annotations without meaning that are named.
const MOST_UNKNOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(annotations: &[(&str, &str)]) -> Result<Wishes, Impossible> {
        let annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), Value::text(*v)));
        let metadata = Value::map([("annotations", Value::Map(annotations.collect()))]);
        Wishes::read(&[&metadata])
    }

    fn variable(container: Option<&str>, name: &str) -> Variable {
        Variable { container: container.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn annotations_are_read() {
        let wishes = wishes(&[
            (INJECT, "true"),
            (CONFIG_MAP, "orders-schemaward"),
            (BOOTSTRAP_ENV, "KAFKA, app/spring.kafka.bootstrap-servers"),
            (UPSTREAM, "config"),
            (IMAGE, "registry.example.com/schemaward:1"),
            (STARTUP, "wait-for-broker"),
            (MODE, "observe"),
            (LISTEN_PORT, "19092"),
            (PROBES_PORT, "19465"),
            (SECRETS, "a,b=/etc/b"),
            (RESOURCES, "limits: {memory: 1Gi}"),
            ("schemaward.io/imgae", "x"),
            ("other.io/inject", "x"),
        ])
        .unwrap();
        assert_eq!(wishes.inject, Some(true));
        assert_eq!(wishes.config_map.as_deref(), Some("orders-schemaward"));
        let variables =
            vec![variable(None, "KAFKA"), variable(Some("app"), "spring.kafka.bootstrap-servers")];
        assert_eq!(wishes.bootstrap, Some(variables));
        assert_eq!(wishes.upstream, UpstreamOf::Config);
        assert_eq!(wishes.startup, Startup::WaitForBroker);
        assert_eq!((wishes.listen_port, wishes.probes_port), (Some(19092), Some(19465)));
        let paths: Vec<_> = wishes.secrets.iter().flatten().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["/run/secrets/schemaward/a", "/etc/b"]);
        assert_eq!(wishes.unknown, ["schemaward.io/imgae"]);
        let limits = Value::map([("limits", Value::map([("memory", Value::text("1Gi"))]))]);
        assert_eq!(wishes.resources, Some(limits));
    }

    #[test]
    fn what_is_not_there_is_left_open() {
        assert_eq!(wishes(&[]).unwrap(), Wishes::default());
        assert_eq!(wishes(&[(BOOTSTRAP_ENV, " ")]).unwrap().bootstrap, Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let table = [
            (INJECT, "yes"),
            (CONFIG_MAP, "Orders"),
            (BOOTSTRAP_ENV, "A B"),
            (BOOTSTRAP_ENV, "A,,B"),
            (BOOTSTRAP_ENV, "a/b/c"),
            (UPSTREAM, "variable"),
            (IMAGE, "an image"),
            (STARTUP, "readyz"),
            (MODE, "on"),
            (LISTEN_PORT, "0"),
            (PROBES_PORT, "65536"),
            (SECRETS, "a=relative"),
            (SECRETS, "a=/etc/../x"),
            (SECRETS, "a=/etc/schemaward"),
            (RESOURCES, "{"),
            (RESOURCES, "claims: []"),
            (RESOURCES, "limits: {memory: [1]}"),
        ];
        for (key, said) in table {
            match wishes(&[(key, said)]) {
                Err(Impossible::Annotation { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key}: {said}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_first_metadata_count_before_the_next_and_annotations_before_labels() {
        let [pod, workload] = ["a", "b"].map(|name| {
            Value::map([("annotations", Value::map([(CONFIG_MAP, Value::text(name))]))])
        });
        let read = |metadata: &[&Value]| Wishes::read(metadata).unwrap();
        assert_eq!(read(&[&pod, &workload]).config_map.as_deref(), Some("a"));
        assert_eq!(read(&[&Value::Null, &workload]).config_map.as_deref(), Some("b"));
        let label = Value::map([("labels", Value::map([(INJECT, Value::text("true"))]))]);
        assert_eq!(read(&[&label]).inject, Some(true));
        let mut both = label;
        both.set("annotations", Value::map([(INJECT, Value::text("false"))]));
        assert_eq!(read(&[&both]).inject, Some(false));
    }
}
