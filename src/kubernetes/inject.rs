//! Manifests with the sidecar in every pod template that they hold. What is none of ours comes out as it went in.

use super::{
    pod::{self, Configuration, Defaults},
    sidecar::CONFIG_FILE,
    value::Value,
    wishes::{INJECT, Wishes, object_name},
};
use crate::text::shown;

/// What came of a text of manifests.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The documents; each ConfigMap that is made stands before what uses it.
    pub documents: Vec<Value>,
    /// Workloads that have the sidecar now.
    pub injected: usize,
    /// What should be known though all is well, each with the workload.
    pub notes: Vec<String>,
    /// What could not be done, each with the workload. Then the documents must not be used.
    pub errors: Vec<String>,
}

/// Puts the sidecar into everything in `documents` that makes pods.
#[must_use]
pub fn inject(mut documents: Vec<Value>, defaults: &Defaults) -> Outcome {
    let mut outcome = Outcome::default();
    let mut config_maps = Vec::new();
    for (at, document) in documents.iter_mut().enumerate() {
        let mut made = Vec::new();
        walk(document, defaults, &mut outcome, &mut made);
        config_maps.extend(made.into_iter().map(|config_map| (at, config_map)));
    }
    // The last first: those before keep their places.
    for (at, config_map) in config_maps.into_iter().rev() {
        // One that is there already, of an earlier injection, does not come twice.
        let there: usize = documents.iter_mut().map(|document| update(document, &config_map)).sum();
        if there == 0 {
            documents.insert(at, config_map.document());
        }
    }
    outcome.documents = documents;
    outcome
}

/// A ConfigMap that is made of the file.
#[derive(Debug, Clone, PartialEq)]
struct ConfigMap {
    name: String,
    namespace: Option<String>,
    text: String,
}

impl ConfigMap {
    fn document(&self) -> Value {
        let mut metadata = Value::map([("name", Value::text(self.name.as_str()))]);
        if let Some(namespace) = &self.namespace {
            metadata.set("namespace", Value::text(namespace.as_str()));
        }
        let labels = Value::map([("app.kubernetes.io/name", Value::text("schemaward"))]);
        metadata.set("labels", labels);
        Value::map([
            ("apiVersion", Value::text("v1")),
            ("kind", Value::text("ConfigMap")),
            ("metadata", metadata),
            ("data", Value::map([(CONFIG_FILE, Value::text(self.text.as_str()))])),
        ])
    }

    fn is(&self, document: &Value) -> bool {
        let text = |path: &[&str]| document.at(path).and_then(Value::as_text);
        text(&["kind"]) == Some("ConfigMap")
            && text(&["metadata", "name"]) == Some(self.name.as_str())
            && text(&["metadata", "namespace"]) == self.namespace.as_deref()
    }
}

fn walk(
    document: &mut Value,
    defaults: &Defaults,
    outcome: &mut Outcome,
    config_maps: &mut Vec<ConfigMap>,
) {
    if document.text_at("kind") == Some("List") {
        for item in document.get_mut("items").and_then(Value::items_mut).into_iter().flatten() {
            walk(item, defaults, outcome, config_maps);
        }
        return;
    }
    let Some(path) = template_path(document) else { return };
    let name = describe(document);
    let note = |text: &str| format!("{name}: {text}");
    if is_controlled(document) {
        outcome.notes.push(note("left alone: what owns it makes it"));
        return;
    }
    let metadata = document.get("metadata").cloned().unwrap_or(Value::Null);
    let owner = owner_name(&metadata);
    let Some(template) = document.at_mut(path) else {
        outcome.errors.push(note(&format!("{} is not there", path.join("."))));
        return;
    };
    match injected(template, &metadata, defaults, &owner) {
        Ok(Some(made)) => {
            outcome.injected += 1;
            outcome.notes.extend(made.warnings.iter().map(|warning| note(warning)));
            *template = made.pod;
            let namespace = metadata.text_at("namespace").map(str::to_owned);
            if let (Some(name), Configuration::File(file)) =
                (made.config_map, &defaults.configuration)
            {
                let config_map = ConfigMap { name, namespace, text: file.text.clone() };
                if !config_maps.contains(&config_map) {
                    config_maps.push(config_map);
                }
            }
        }
        Ok(None) => outcome.notes.push(note(&format!("left alone: {INJECT} says so"))),
        Err(error) => outcome.errors.push(note(&error.to_string())),
    }
}

/// The template with its sidecar; `None` where it wants none.
fn injected(
    template: &Value,
    workload: &Value,
    defaults: &Defaults,
    owner: &str,
) -> Result<Option<pod::Injected>, super::Impossible> {
    let own = template.get("metadata").unwrap_or(&Value::Null);
    let wishes = Wishes::read(&[own, workload])?;
    if wishes.inject == Some(false) {
        return Ok(None);
    }
    let mut made = pod::inject(template, &wishes, defaults, owner)?;
    made.warnings.extend(wishes.unknown.iter().map(|key| format!("{key} is no annotation")));
    Ok(Some(made))
}

/// Where the template of the pods is, for kinds that make pods.
fn template_path(document: &Value) -> Option<&'static [&'static str]> {
    let group = document.text_at("apiVersion")?.rsplit_once('/').map_or("", |(group, _)| group);
    Some(match (group, document.text_at("kind")?) {
        ("", "Pod") => &[],
        ("", "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => &["spec", "template"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    })
}

/// Whether a controller made it, and would make it again.
fn is_controlled(document: &Value) -> bool {
    let owners = document.at(&["metadata", "ownerReferences"]).map(Value::items);
    let mut owners = owners.unwrap_or_default().iter();
    owners.any(|owner| matches!(owner.get("controller"), Some(Value::Bool(true))))
}

fn describe(document: &Value) -> String {
    let text = |value: Option<&Value>| {
        shown(value.and_then(Value::as_text).unwrap_or_default().as_bytes())
    };
    let metadata = document.get("metadata").unwrap_or(&Value::Null);
    let name = metadata.get("name").or_else(|| metadata.get("generateName"));
    format!("{} {}", text(document.get("kind")), text(name))
}

/// What a ConfigMap is named after. Names of objects are names of ConfigMaps.
fn owner_name(metadata: &Value) -> String {
    let name = metadata.text_at("name").or_else(|| metadata.text_at("generateName"));
    let name = name.unwrap_or_default().trim_end_matches(['-', '.']);
    let short: String = name.chars().take(MOST_OF_A_NAME).collect();
    object_name(&short).unwrap_or_else(|| "app".to_owned())
}

/// How many ConfigMaps in `document` were brought up to date.
fn update(document: &mut Value, config_map: &ConfigMap) -> usize {
    if document.text_at("kind") == Some("List") {
        let items = document.get_mut("items").and_then(Value::items_mut);
        return items.into_iter().flatten().map(|item| update(item, config_map)).sum();
    }
    if !config_map.is(document) {
        return 0;
    }
    let data = document.or_insert("data", Value::Map(Vec::new()), None);
    data.set(CONFIG_FILE, Value::text(config_map.text.as_str()));
    1
}

/// So that there is room for an ending.
const MOST_OF_A_NAME: usize = 200;
