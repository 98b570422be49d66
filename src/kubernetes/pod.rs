//! A pod, or the template of one, and the sidecar put into it. Pure: what comes in is not changed, and nothing is asked.

use std::net::SocketAddr;

use super::{
    agreement::{Agreement, Known},
    error::Impossible,
    sidecar::{self, NAME, Sidecar},
    value::Value,
    variable::{self, Rewriting, Upstream},
    wishes::{CONFIG_MAP, LISTENER, SecretMount, UpstreamOf, Variable, Wishes},
};

/// What sidecars have where a pod does not ask for something else.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The image.
    pub image: String,
    /// The configuration.
    pub configuration: Configuration,
    /// Variables that name the brokers.
    pub bootstrap: Option<Vec<Variable>>,
    /// Secrets that are mounted.
    pub secrets: Vec<SecretMount>,
    /// Where kubelet and Prometheus find the sidecar.
    pub probes_listen: SocketAddr,
    /// What becomes of a sidecar that is there already.
    pub present: Present,
}

/// Where the configuration is.
#[derive(Debug, Clone)]
pub enum Configuration {
    /// In a ConfigMap of the cluster, where one is named.
    ConfigMap(Option<String>),
    /// In a file, of which a ConfigMap is made.
    File(ConfigurationFile),
}

/// A file of which a ConfigMap is made.
#[derive(Debug, Clone)]
pub struct ConfigurationFile {
    /// What errors call it.
    pub name: String,
    /// The text.
    pub text: String,
    /// The name of the ConfigMap; without one it is made of the workload's.
    pub config_map: Option<String>,
}

/// What becomes of an injected sidecar that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It stays as it is; only variables that came later are made to lead to it.
    Keep,
    /// It is made anew.
    Renew,
}

/// A pod with its sidecar.
#[derive(Debug, Clone)]
pub(super) struct Injected {
    /// The pod.
    pub pod: Value,
    /// The ConfigMap that has to be made of the file, if any.
    pub config_map: Option<String>,
    /// What should be known though all is well.
    pub warnings: Vec<String>,
}

/// Puts the sidecar into `pod`, which has `metadata` and `spec`. `owner` is the name of what it belongs to.
///
/// # Errors
/// [`Impossible`]: what stands in the way.
pub(super) fn inject(
    pod: &Value,
    wishes: &Wishes,
    defaults: &Defaults,
    owner: &str,
) -> Result<Injected, Impossible> {
    let mut pod = pod.clone();
    let before = pod.at(&["metadata", "annotations", LISTENER]).and_then(Value::as_text);
    let before = before.map(str::to_owned);
    let Some(spec @ Value::Map(_)) = pod.get_mut("spec") else {
        return Err(Impossible::Shape { path: "spec".to_owned(), wanted: "a mapping" });
    };
    fit(spec)?;
    let present = present(spec, before.is_some())?;
    let (Present::Keep, Some(listener), Some(old)) = (defaults.present, &before, &present) else {
        return anew(pod, wishes, defaults, owner, before.as_deref(), present.as_ref());
    };
    let parsed = listener.parse::<SocketAddr>();
    let wanted = "the address of the sidecar, as the injection wrote it";
    parsed.map_err(|_| Impossible::Annotation {
        key: LISTENER.to_owned(),
        wanted,
        found: crate::text::shown(listener.as_bytes()),
    })?;
    late_variables(spec, wishes, defaults, listener, old)?;
    Ok(Injected { pod, config_map: None, warnings: Vec::new() })
}

/// Variables that came after the sidecar.
fn late_variables(
    spec: &mut Value,
    wishes: &Wishes,
    defaults: &Defaults,
    listener: &str,
    old: &Value,
) -> Result<(), Impossible> {
    let variables = wishes.bootstrap.as_ref().or(defaults.bootstrap.as_ref());
    let upstream = wishes.upstream;
    let variables = variables.map(Vec::as_slice).unwrap_or_default();
    let found = Rewriting { variables, listener, before: None, upstream }.apply(spec)?;
    match (found, variable::carried(old)?) {
        (Some(late), Some(known)) if late != known => Err(Impossible::DifferentBrokers {
            one: "the sidecar".to_owned(),
            other: variables.iter().map(Variable::shown).collect::<Vec<_>>().join(", "),
        }),
        _ => Ok(()),
    }
}

fn anew(
    mut pod: Value,
    wishes: &Wishes,
    defaults: &Defaults,
    owner: &str,
    before: Option<&str>,
    old: Option<&Value>,
) -> Result<Injected, Impossible> {
    let (config_map, known) = configuration(wishes, defaults, owner)?;
    let agreement = Agreement::find(known, wishes, defaults.probes_listen)?;
    let listener = agreement.listener.to_string();
    let spec = pod.or_insert("spec", Value::Map(Vec::new()), None);
    let mut warnings = agreement.warnings.clone();
    ports(spec, &agreement, &mut warnings)?;
    let variables = wishes.bootstrap.as_ref().or(defaults.bootstrap.as_ref());
    let Some(variables) = variables else { return Err(variable::none_named(spec)) };
    if variables.is_empty() {
        warnings.push(format!("no variable is rewritten: the application must use {listener}"));
    }
    let rewriting = Rewriting { variables, listener: &listener, before, upstream: wishes.upstream };
    let upstream = told(rewriting.apply(spec)?, wishes, old)?;
    agreement.check(known, upstream.as_ref())?;
    let sidecar = Sidecar {
        image: wishes.image.clone().unwrap_or_else(|| defaults.image.clone()),
        config_map: config_map.clone(),
        env: agreement.env(upstream),
        probes_port: agreement.probes,
        startup: wishes.startup,
        secrets: wishes.secrets.clone().unwrap_or_else(|| defaults.secrets.clone()),
        resources: wishes.resources.clone(),
    };
    put(spec, &sidecar)?;
    mark(&mut pod, &listener)?;
    if let (Known::Nothing, Configuration::File(file)) = (known, &defaults.configuration) {
        warnings.push(format!("{} is not used: {CONFIG_MAP} names {config_map}", file.name));
    }
    let made = matches!(known, Known::File { .. }).then_some(config_map);
    Ok(Injected { pod, config_map: made, warnings })
}

/// What the sidecar is told of the brokers: what the variables said, or, where they lead to it already, what it knew.
fn told(
    found: Option<Upstream>,
    wishes: &Wishes,
    old: Option<&Value>,
) -> Result<Option<Upstream>, Impossible> {
    match (found, old) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(old)) if wishes.upstream == UpstreamOf::Variable => variable::carried(old),
        (None, _) => Ok(None),
    }
}

/// The ConfigMap, and what is known of what it holds.
fn configuration<'d>(
    wishes: &Wishes,
    defaults: &'d Defaults,
    owner: &str,
) -> Result<(String, Known<'d>), Impossible> {
    match (&wishes.config_map, &defaults.configuration) {
        (Some(name), _) | (None, Configuration::ConfigMap(Some(name))) => {
            Ok((name.clone(), Known::Nothing))
        }
        (None, Configuration::ConfigMap(None)) => {
            Err(Impossible::NoConfigMap { annotation: CONFIG_MAP })
        }
        (None, Configuration::File(file)) => {
            let name = file.config_map.clone().unwrap_or_else(|| format!("{owner}-{NAME}"));
            Ok((name, Known::File { name: &file.name, text: &file.text }))
        }
    }
}

/// Whether a sidecar can work there at all.
fn fit(spec: &Value) -> Result<(), Impossible> {
    if spec.get("containers").map(Value::items).unwrap_or_default().is_empty() {
        let path = "spec.containers".to_owned();
        return Err(Impossible::Shape { path, wanted: "a list of containers" });
    }
    for key in ["initContainers", "volumes"] {
        if !matches!(spec.get(key), None | Some(Value::Null | Value::List(_))) {
            return Err(Impossible::Shape { path: format!("spec.{key}"), wanted: "a list" });
        }
    }
    let system =
        spec.at(&["os", "name"]).or_else(|| spec.at(&["nodeSelector", "kubernetes.io/os"]));
    if system.and_then(Value::as_text) == Some("windows") {
        return Err(Impossible::Windows);
    }
    match spec.get("hostNetwork") {
        Some(Value::Bool(true)) => Err(Impossible::HostNetwork),
        _ => Ok(()),
    }
}

/// The sidecar that is there, if it is one of ours; what only has its name is in the way.
fn present(spec: &Value, injected: bool) -> Result<Option<Value>, Impossible> {
    let named = |key: &str| {
        let containers = spec.get(key).map(Value::items).unwrap_or_default();
        containers.iter().find(|container| container.text_at("name") == Some(NAME))
    };
    let taken = |what| Impossible::NameTaken { what, name: NAME.to_owned() };
    if named("containers").is_some() {
        return Err(taken("a container"));
    }
    let old = named("initContainers");
    if old.is_some() && !injected {
        return Err(taken("an init container"));
    }
    let volumes = spec.get("volumes").map(Value::items).unwrap_or_default();
    if let (false, Some(volume)) = (injected, volumes.iter().find(|it| sidecar::is_own_volume(it)))
    {
        let name = volume.text_at("name").unwrap_or_default().to_owned();
        return Err(Impossible::NameTaken { what: "a volume", name });
    }
    Ok(old.cloned())
}

/// All containers of a pod share its ports.
fn ports(
    spec: &Value,
    agreement: &Agreement,
    warnings: &mut Vec<String>,
) -> Result<(), Impossible> {
    let lists = ["initContainers", "containers"].map(|key| spec.get(key).map(Value::items));
    for container in lists.into_iter().flatten().flatten() {
        let name = container.text_at("name").unwrap_or_default();
        if name == NAME {
            continue;
        }
        for port in container.get("ports").map(Value::items).unwrap_or_default() {
            if !matches!(port.text_at("protocol"), None | Some("TCP")) {
                continue;
            }
            let Some(Value::Number(number)) = port.get("containerPort") else { continue };
            let Some(number) = number.as_u64().and_then(|it| u16::try_from(it).ok()) else {
                continue;
            };
            let taken = |ports: &[(std::ops::RangeInclusive<u16>, &'static str)]| {
                ports.iter().find(|(range, _)| range.contains(&number)).map(|(_, of)| *of)
            };
            if let Some(use_of) = taken(&agreement.ports) {
                let (container, cure) = (name.to_owned(), cure(use_of));
                return Err(Impossible::PortTaken { port: number, use_of, container, cure });
            }
            if let Some(use_of) = taken(&agreement.likely) {
                warnings.push(format!(
                    "port {number} of container {name} is one of the sidecar's, unless its configuration changes {use_of}"
                ));
            }
        }
    }
    Ok(())
}

fn cure(use_of: &str) -> &'static str {
    match use_of {
        "listen.bootstrap" => "set the annotation schemaward.io/listen-port to another one",
        "admin.probes_listen" => "set the annotation schemaward.io/probes-port to another one",
        _ => "change it in the configuration",
    }
}

/// The container first, so that all others can use it; volumes at the end.
fn put(spec: &mut Value, sidecar: &Sidecar) -> Result<(), Impossible> {
    let empty = || Value::List(Vec::new());
    let containers = spec.or_insert("initContainers", empty(), Some("containers"));
    let shape = |path: &str| Impossible::Shape { path: path.to_owned(), wanted: "a list" };
    let containers = containers.items_mut().ok_or_else(|| shape("spec.initContainers"))?;
    match containers.iter_mut().find(|container| container.text_at("name") == Some(NAME)) {
        Some(old) => *old = sidecar.renewed(old),
        None => containers.insert(0, sidecar.container()),
    }
    let volumes = spec.or_insert("volumes", empty(), None);
    let volumes = volumes.items_mut().ok_or_else(|| shape("spec.volumes"))?;
    let mut own = sidecar.volumes();
    volumes.retain(|old| {
        let name = |volume: &Value| volume.text_at("name").map(str::to_owned);
        !sidecar::is_own_volume(old) || own.iter().any(|volume| name(volume) == name(old))
    });
    for old in volumes.iter_mut() {
        if let Some(at) = own.iter().position(|it| it.text_at("name") == old.text_at("name")) {
            *old = own.remove(at);
        }
    }
    volumes.append(&mut own);
    Ok(())
}

/// Notes on the pod that it was injected, and where its sidecar listens.
fn mark(pod: &mut Value, listener: &str) -> Result<(), Impossible> {
    let empty = || Value::Map(Vec::new());
    let metadata = pod.or_insert("metadata", empty(), Some("spec"));
    let shape = |path: &str| Impossible::Shape { path: path.to_owned(), wanted: "a mapping" };
    if !matches!(metadata, Value::Map(_)) {
        return Err(shape("metadata"));
    }
    let annotations = metadata.or_insert("annotations", empty(), None);
    if !matches!(annotations, Value::Map(_)) {
        return Err(shape("metadata.annotations"));
    }
    annotations.set(LISTENER, Value::text(listener));
    Ok(())
}
