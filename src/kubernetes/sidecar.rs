//! The sidecar: the container and the volumes that every injected pod gets. What Kubernetes would fill in is written out
//! where it is ours, so that a second injection finds what it would write.

use super::{
    value::Value,
    wishes::{SecretMount, Startup},
};

/// The name of the container.
pub(super) const NAME: &str = "schemaward";
/// Where the configuration is mounted.
pub(super) const CONFIG_FOLDER: &str = "/etc/schemaward";
/// The key of the ConfigMap, and so the name of the file.
pub(super) const CONFIG_FILE: &str = "schemaward.yaml";
/// The volume of the configuration.
const CONFIG_VOLUME: &str = "schemaward-config";
/// Volumes of Secrets: this and a number.
const SECRET_VOLUME: &str = "schemaward-secret-";
/// The port of the probes, by name.
const PROBES: &str = "probes";
/// Who the process runs as: the user of the image.
const USER: u32 = 65_532;

/// Keys of the container that are ours alone; others may be set by whoever comes after.
const OWNED: [&str; 13] = [
    "image",
    "restartPolicy",
    "command",
    "args",
    "env",
    "ports",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "lifecycle",
    "volumeMounts",
];

/// Everything in which sidecars differ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sidecar {
    pub(super) image: String,
    pub(super) config_map: String,
    /// Entries of `env`.
    pub(super) env: Vec<Value>,
    pub(super) probes_port: u16,
    pub(super) startup: Startup,
    pub(super) secrets: Vec<SecretMount>,
    /// In place of the usual `resources`.
    pub(super) resources: Option<Value>,
}

impl Sidecar {
    /// The container: one that starts before the application and is stopped after it, which needs no `preStop`, as
    /// SIGTERM drains.
    pub(super) fn container(&self) -> Value {
        let args = ["run", "--config", &format!("{CONFIG_FOLDER}/{CONFIG_FILE}")];
        let port = Value::map([
            ("name", Value::text(PROBES)),
            ("containerPort", Value::from(u32::from(self.probes_port))),
            ("protocol", Value::text("TCP")),
        ]);
        let mut container = Value::map([
            ("name", Value::text(NAME)),
            ("image", Value::text(self.image.as_str())),
            ("restartPolicy", Value::text("Always")),
            ("args", texts(&args)),
        ]);
        if !self.env.is_empty() {
            container.set("env", Value::List(self.env.clone()));
        }
        container.set("ports", Value::List(vec![port]));
        container.set("startupProbe", self.startup_probe());
        container.set("livenessProbe", probe("/livez", 10, 3));
        container.set("resources", self.resources.clone().unwrap_or_else(resources));
        container.set("securityContext", security_context());
        container.set("volumeMounts", Value::List(self.mounts()));
        container
    }

    /// The container made of an older one: what is not ours stays.
    pub(super) fn renewed(&self, old: &Value) -> Value {
        let mut container = self.container();
        let mut renewed = old.clone();
        for key in OWNED {
            match container.remove(key) {
                Some(value) => renewed.set(key, value),
                None => drop(renewed.remove(key)),
            }
        }
        renewed
    }

    /// Without a wish the application starts while brokers are away, as it would without a sidecar.
    fn startup_probe(&self) -> Value {
        match self.startup {
            Startup::AtOnce => probe("/livez", 1, 30),
            Startup::WaitForBroker => probe("/readyz", 1, 600),
        }
    }

    fn mounts(&self) -> Vec<Value> {
        let secrets = self.secrets.iter().enumerate();
        let secrets =
            secrets.map(|(at, secret)| mount(&format!("{SECRET_VOLUME}{at}"), &secret.path));
        std::iter::once(mount(CONFIG_VOLUME, CONFIG_FOLDER)).chain(secrets).collect()
    }

    /// The volumes. Both kinds follow what is changed in the cluster.
    pub(super) fn volumes(&self) -> Vec<Value> {
        let volume = |name: &str, kind: &str, key: &str, of: &str| {
            let source = Value::map([(key, Value::text(of)), ("defaultMode", Value::from(MODE))]);
            Value::map([("name", Value::text(name)), (kind, source)])
        };
        let config = volume(CONFIG_VOLUME, "configMap", "name", &self.config_map);
        let secrets = self.secrets.iter().enumerate().map(|(at, secret)| {
            volume(&format!("{SECRET_VOLUME}{at}"), "secret", "secretName", &secret.name)
        });
        std::iter::once(config).chain(secrets).collect()
    }
}

/// Whether a volume is one of a sidecar.
pub(super) fn is_own_volume(volume: &Value) -> bool {
    let name = volume.text_at("name").unwrap_or_default();
    name == CONFIG_VOLUME || name.starts_with(SECRET_VOLUME)
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    let get = Value::map([
        ("path", Value::text(path)),
        ("port", Value::text(PROBES)),
        ("scheme", Value::text("HTTP")),
    ]);
    Value::map([
        ("httpGet", get),
        ("periodSeconds", Value::from(period)),
        // A process that is short of CPU may take its time.
        ("timeoutSeconds", Value::from(5)),
        ("successThreshold", Value::from(1)),
        ("failureThreshold", Value::from(failures)),
    ])
}

/// Room for the memory budget, the schema cache and the connections.
fn resources() -> Value {
    let requests = [("cpu", Value::text("50m")), ("memory", Value::text("32Mi"))];
    Value::map([
        ("requests", Value::map(requests)),
        ("limits", Value::map([("memory", Value::text("256Mi"))])),
    ])
}

fn security_context() -> Value {
    Value::map([
        ("allowPrivilegeEscalation", Value::Bool(false)),
        ("capabilities", Value::map([("drop", texts(&["ALL"]))])),
        ("privileged", Value::Bool(false)),
        ("readOnlyRootFilesystem", Value::Bool(true)),
        ("runAsGroup", Value::from(USER)),
        ("runAsNonRoot", Value::Bool(true)),
        ("runAsUser", Value::from(USER)),
        ("seccompProfile", Value::map([("type", Value::text("RuntimeDefault"))])),
    ])
}

fn mount(name: &str, path: &str) -> Value {
    Value::map([
        ("name", Value::text(name)),
        ("mountPath", Value::text(path)),
        ("readOnly", Value::Bool(true)),
    ])
}

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::text(*text)).collect())
}

/// Everybody may read: the volume is this container's.
const MODE: u32 = 0o644;
