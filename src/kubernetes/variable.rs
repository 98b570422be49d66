//! The variable that leads to the brokers: found in the application's containers, made to lead to the sidecar, and what it
//! said before handed to the sidecar.

use super::{
    error::Impossible,
    sidecar::NAME,
    value::Value,
    wishes::{BOOTSTRAP_ENV, UPSTREAM, UpstreamOf, Variable},
};

/// The sidecar's variable for the brokers: `upstream.bootstrap`.
pub(super) const UPSTREAM_VARIABLE: &str = "SCHEMAWARD_UPSTREAM__BOOTSTRAP";

/// What the sidecar is told of the brokers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Upstream {
    /// Entries of its `env`: what the value refers to, and then the value.
    pub(super) entries: Vec<Value>,
    /// The value, where it is known before the pod runs.
    pub(super) literal: Option<String>,
}

/// What is to be rewritten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rewriting<'a> {
    pub(super) variables: &'a [Variable],
    /// Where the sidecar listens.
    pub(super) listener: &'a str,
    /// Where an earlier injection had it listen.
    pub(super) before: Option<&'a str>,
    pub(super) upstream: UpstreamOf,
}

/// Which containers there are, for what is said about them: those that can use a sidecar.
pub(super) fn application(spec: &mut Value) -> Vec<&mut Value> {
    let Value::Map(entries) = spec else { return Vec::new() };
    let mut containers = Vec::new();
    for (key, list) in entries {
        let Some(list) = list.items_mut() else { continue };
        match key.as_str() {
            // Those before it have ended, or started, when it starts.
            "initContainers" => {
                let at = list.iter().position(|it| it.text_at("name") == Some(NAME));
                containers.extend(list.iter_mut().skip(at.map_or(0, |at| at + 1)));
            }
            "containers" => containers.extend(list),
            _ => {}
        }
    }
    containers
}

impl Rewriting<'_> {
    /// Has every variable lead to the sidecar, and returns what they said before; `None` where all did lead there, or
    /// where the sidecar's configuration knows the brokers.
    pub(super) fn apply(&self, spec: &mut Value) -> Result<Option<Upstream>, Impossible> {
        let mut found: Option<(String, Upstream)> = None;
        for variable in self.variables {
            let mut containers = application(spec);
            for at in self.holders(variable, &containers)? {
                let Some(container) = containers.get_mut(at) else { continue };
                let said = self.take(variable, container)?;
                let Some(upstream) = said.filter(|_| self.upstream == UpstreamOf::Variable) else {
                    continue;
                };
                let place = place(variable, container);
                match &found {
                    Some((one, before)) if *before != upstream => {
                        return Err(Impossible::DifferentBrokers {
                            one: one.clone(),
                            other: place,
                        });
                    }
                    Some(_) => {}
                    None => found = Some((place, upstream)),
                }
            }
        }
        Ok(found.map(|(_, upstream)| upstream))
    }

    /// Which containers have the variable, in `env` or else, if there is no doubt, by `envFrom`.
    fn holders(
        &self,
        variable: &Variable,
        containers: &[&mut Value],
    ) -> Result<Vec<usize>, Impossible> {
        let named = |container: &Value| match &variable.container {
            Some(name) => container.text_at("name") == Some(name),
            None => true,
        };
        let all = containers.iter().enumerate();
        let candidates: Vec<_> = all.filter(|(_, container)| named(container)).collect();
        if let (Some(container), true) = (&variable.container, candidates.is_empty()) {
            let (variable, container) = (variable.shown(), container.clone());
            return Err(Impossible::ContainerNotFound { variable, container });
        }
        let having = |has: &dyn Fn(&Value) -> bool| -> Vec<usize> {
            candidates.iter().filter(|(_, it)| has(it)).map(|(at, _)| *at).collect()
        };
        let holders = having(&|container| entry(container, &variable.name).is_some());
        let givers = having(&|container| !sources(container, &variable.name).is_empty());
        match (holders.is_empty(), givers.len()) {
            (false, _) => Ok(holders),
            (true, 1) => Ok(givers),
            (true, 0) => Err(self.not_found(variable, looks_like(containers))),
            (true, _) => {
                let hint = "several have envFrom: name one of them as container/VARIABLE";
                Err(self.not_found(variable, hint.to_owned()))
            }
        }
    }

    fn not_found(&self, variable: &Variable, hint: String) -> Impossible {
        Impossible::VariableNotFound { variable: variable.shown(), hint }
    }

    /// Writes the listener into the variable and returns what stood there, where that is not the listener.
    fn take(
        &self,
        variable: &Variable,
        container: &mut Value,
    ) -> Result<Option<Upstream>, Impossible> {
        let at = entry(container, &variable.name);
        let is_listener = |value: &str| value == self.listener || Some(value) == self.before;
        let value = at.and_then(|at| env(container).get(at)?.text_at("value"));
        let led_here = value.is_some_and(is_listener);
        let before = match (self.upstream, led_here) {
            (UpstreamOf::Variable, false) => Some(origin(variable, container, at)?),
            _ => None,
        };
        let entries = container.or_insert("env", Value::List(Vec::new()), None).items_mut();
        let listener = Value::text(self.listener);
        match (at, entries) {
            (Some(at), Some(entries)) => {
                if let Some(entry) = entries.get_mut(at) {
                    lead(entry, listener);
                }
            }
            // It stands before envFrom's. The first place, as others may refer to it.
            (None, Some(entries)) => {
                let name = Value::text(variable.name.as_str());
                entries.insert(0, Value::map([("name", name), ("value", listener)]));
            }
            (_, None) => {}
        }
        Ok(before)
    }
}

impl Variable {
    pub(super) fn shown(&self) -> String {
        match &self.container {
            Some(container) => format!("{container}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The value in the place of whatever the entry had.
fn lead(entry: &mut Value, listener: Value) {
    if entry.get("valueFrom").is_some() {
        // An entry has one or the other.
        entry.remove("value");
    }
    let Value::Map(keys) = entry else { return };
    match keys.iter_mut().find(|(key, _)| key == "valueFrom") {
        Some(from) => *from = ("value".to_owned(), listener),
        None => entry.set("value", listener),
    }
}

/// What the sidecar is told by an environment that has it already: that of an earlier injection.
pub(super) fn carried(container: &Value) -> Result<Option<Upstream>, Impossible> {
    let variable = Variable { container: None, name: UPSTREAM_VARIABLE.to_owned() };
    let at = entry(container, UPSTREAM_VARIABLE);
    at.map(|at| origin(&variable, container, Some(at))).transpose()
}

/// Where the variable gets its value from, as entries for the sidecar's `env`.
fn origin(
    variable: &Variable,
    container: &Value,
    at: Option<usize>,
) -> Result<Upstream, Impossible> {
    let unknown = |why: &str| Impossible::UnknownOrigin {
        variable: variable.name.clone(),
        container: container.text_at("name").unwrap_or_default().to_owned(),
        why: why.to_owned(),
        annotation: UPSTREAM,
    };
    let name = ("name", Value::text(UPSTREAM_VARIABLE));
    let from = |from: Value| Upstream {
        entries: vec![Value::map([name.clone(), ("valueFrom", from)])],
        literal: None,
    };
    let Some(at) = at else {
        return match &sources(container, &variable.name)[..] {
            [source] => Ok(from(source.clone())),
            _ => Err(unknown("it may come from one or another envFrom")),
        };
    };
    let entry = env(container).get(at).unwrap_or(&Value::Null);
    match (entry.text_at("value"), entry.get("valueFrom")) {
        (_, Some(source)) if KEY_REFERENCES.iter().any(|kind| source.get(kind).is_some()) => {
            Ok(from(source.clone()))
        }
        (_, Some(_)) => Err(unknown("its valueFrom is of no kind that names brokers")),
        (None | Some(""), None) => Err(unknown("it is empty")),
        (Some(value), None) if value.len() > MOST_BYTES => Err(unknown("it is too long")),
        (Some(value), None) => {
            let mut entries = Vec::new();
            refer(container, value, at, 0, &mut entries).map_err(|why| unknown(&why))?;
            let literal = (!value.contains("$(")).then(|| value.to_owned());
            entries.push(Value::map([name, ("value", Value::text(value))]));
            Ok(Upstream { entries, literal })
        }
    }
}

/// The entries before `end` that `value` refers to as `$(NAME)`, and those that they refer to, each once and in their
/// order. What no entry has is a variable of a Service, which the sidecar has too.
fn refer(
    container: &Value,
    value: &str,
    end: usize,
    depth: usize,
    out: &mut Vec<Value>,
) -> Result<(), String> {
    let names = references(value);
    if names.len() > MOST_REFERENCES {
        return Err("it refers to too many other variables".to_owned());
    }
    for name in names {
        if depth > MOST_REFERENCES || out.len() > MOST_REFERENCES {
            return Err("it refers to too many other variables".to_owned());
        }
        let before = env(container).get(..end).unwrap_or_default();
        let at = before.iter().rposition(|entry| entry.text_at("name") == Some(name));
        let Some((at, entry)) = at.and_then(|at| Some((at, before.get(at)?))) else {
            if !sources(container, name).is_empty() {
                return Err(format!("it refers to {name}, which may come from envFrom"));
            }
            continue;
        };
        if out.contains(entry) {
            continue;
        }
        refer(container, entry.text_at("value").unwrap_or_default(), at, depth + 1, out)?;
        out.push(entry.clone());
    }
    Ok(())
}

/// The names in `$(NAME)`; `$$` is a dollar sign.
fn references(value: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('$') {
        rest = match (after.strip_prefix('$'), after.strip_prefix('(')) {
            (Some(escaped), _) => escaped,
            (None, Some(open)) => match open.split_once(')') {
                Some((name, behind)) => {
                    names.push(name);
                    behind
                }
                None => "",
            },
            (None, None) => after,
        };
    }
    names
}

fn env(container: &Value) -> &[Value] {
    container.get("env").map(Value::items).unwrap_or_default()
}

/// The entry that counts: the last of the name.
fn entry(container: &Value, name: &str) -> Option<usize> {
    env(container).iter().rposition(|entry| entry.text_at("name") == Some(name))
}

/// What in `envFrom` may have the variable, each as a `valueFrom`.
fn sources(container: &Value, name: &str) -> Vec<Value> {
    let all = container.get("envFrom").map(Value::items).unwrap_or_default();
    let source = |source: &Value| {
        let key = name.strip_prefix(source.text_at("prefix").unwrap_or_default())?;
        let kinds = [("configMapRef", "configMapKeyRef"), ("secretRef", "secretKeyRef")];
        kinds.into_iter().find_map(|(whole, one)| {
            let object = source.get(whole)?.text_at("name")?;
            let reference = [("name", Value::text(object)), ("key", Value::text(key))];
            Some(Value::map([(one, Value::map(reference))]))
        })
    };
    all.iter().filter_map(source).collect()
}

/// Variables that probably name brokers, for who forgot to name one.
pub(super) fn looks_like(containers: &[&mut Value]) -> String {
    let mut found = Vec::new();
    for container in containers {
        let name = container.text_at("name").unwrap_or_default();
        for variable in env(container).iter().filter_map(|entry| entry.text_at("name")) {
            let upper = variable.to_ascii_uppercase();
            if ["BOOTSTRAP", "BROKER", "KAFKA"].iter().any(|part| upper.contains(part)) {
                found.push(format!("{variable} of container {name}"));
            }
        }
    }
    found.truncate(MOST_HINTS);
    match found.is_empty() {
        true => "none of its variables looks like it".to_owned(),
        false => format!("perhaps {}", found.join(", ")),
    }
}

/// No variable is named.
pub(super) fn none_named(spec: &mut Value) -> Impossible {
    let hint = looks_like(&application(spec));
    Impossible::NoVariable { annotation: BOOTSTRAP_ENV, hint }
}

fn place(variable: &Variable, container: &Value) -> String {
    format!("{} of container {}", variable.name, container.text_at("name").unwrap_or_default())
}

/// Kinds of `valueFrom` that mean the same in another container.
const KEY_REFERENCES: [&str; 3] = ["configMapKeyRef", "secretKeyRef", "fieldRef"];
/// Bytes of a value that names brokers.
const MOST_BYTES: usize = 64 * 1024;
/// Variables that one may refer to, and how far.
const MOST_REFERENCES: usize = 32;
/// Variables that are proposed at most.
const MOST_HINTS: usize = 5;
