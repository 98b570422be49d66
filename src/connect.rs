//! Tries what a configuration names: brokers, registries, folders of schemas, TLS files. Serves nobody.

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{
    config::Config,
    proxy::{
        budget::MemoryBudget,
        settings::{BrokerAddress, ClientAuth, Routing},
        survey::{ClusterFacts, Survey},
        upstream::{TcpDial, Upstream},
    },
    schema::{HttpSource, RegistryAccess, RegistryApi},
    text::{shown, shown_reference},
    tls::{self, IdentityFiles, Role, TlsClient},
};

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub subject: String,
    /// What was found, or why it cannot be used.
    pub outcome: Result<String, String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(detail) => write!(f, "ok: {}: {detail}", self.subject),
            Err(cause) => write!(f, "failed: {}: {cause}", self.subject),
        }
    }
}

type Outcome = Result<String, String>;
type Attempt = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Tries everything at once, and gives up what has not answered after `within`. In the order of the configuration.
pub async fn try_all(config: &Config, within: Duration) -> Vec<Finding> {
    let end = Instant::now() + within;
    let attempts = tls_files(config).into_iter().chain(brokers(config)).chain(registries(config));
    let mut running = JoinSet::new();
    let mut found = Vec::new();
    for (at, (subject, attempt)) in attempts.enumerate() {
        found.push(Finding { subject, outcome: Err("was not tried to its end".to_owned()) });
        running.spawn(async move {
            let outcome = timeout_at(end, attempt).await;
            (at, outcome.unwrap_or_else(|_| Err(format!("no answer within {within:?}"))))
        });
    }
    while let Some(ended) = running.join_next().await {
        if let Ok((at, outcome)) = ended
            && let Some(finding) = found.get_mut(at)
        {
            finding.outcome = outcome;
        }
    }
    found
}

fn brokers(config: &Config) -> Vec<(String, Attempt)> {
    let subject = |address: &BrokerAddress| format!("broker {address}");
    let tls = match config.upstream.tls.clone().map(TlsClient::new).transpose() {
        Ok(tls) => tls,
        Err(error) => return vec![("upstream.tls".to_owned(), failed(error.to_string()))],
    };
    let survey = Arc::new(Survey {
        upstream: Upstream::new(&config.upstream, TcpDial, tls),
        listen: config.listen.clone(),
        logins: config.client_logins(),
        budget: MemoryBudget::new(config.memory_budget, config.times.stall_timeout),
        max_answer_bytes: config.wire_limits.max_rewritten_response_bytes.0,
    });
    let sasl = config.listen.client_auth == ClientAuth::Sasl;
    let by_port = config.listen.routing == Routing::Ports;
    let attempt = |address: &BrokerAddress| -> Attempt {
        let (survey, address) = (Arc::clone(&survey), address.clone());
        Box::pin(async move {
            match survey.ask(&address).await {
                Ok(Some(facts)) => cluster(&facts, by_port),
                Ok(None) if sasl => Ok("answers; the rest it tells clients that log in".to_owned()),
                Ok(None) => Ok(
                    "answers, but wants a login before it tells more: clients need one, or upstream.sasl".to_owned(),
                ),
                Err(error) => Err(error.to_string()),
            }
        })
    };
    config.upstream.bootstrap.iter().map(|address| (subject(address), attempt(address))).collect()
}

/// Whether clients can reach every node of a cluster.
fn cluster(facts: &ClusterFacts, by_port: bool) -> Outcome {
    let id = facts.id.as_ref().map_or_else(
        || "a cluster without an id".to_owned(),
        |id| format!("cluster {}", shown(id.as_bytes())),
    );
    let listed = |nodes: &[crate::wire::NodeId]| {
        let shown: Vec<_> = nodes.iter().take(MAX_NODES).map(|node| node.0.to_string()).collect();
        let more = if nodes.len() > MAX_NODES { " and more" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    let nodes = listed(&facts.nodes);
    match &facts.to_add {
        Some(entry) => Err(format!(
            "{id}: no local port stands for nodes {}: add {entry} to listen.broker_ports",
            listed(&facts.outside)
        )),
        None if facts.nodes.is_empty() => {
            Err(format!("{id}: it names no node that can be reached"))
        }
        None if by_port => Ok(format!("{id}, nodes {nodes}, each in listen.broker_ports")),
        None => Ok(format!("{id}, nodes {nodes}")),
    }
}

fn registries(config: &Config) -> Vec<(String, Attempt)> {
    let source = HttpSource::new(&config.registry, config.schema_limits, Arc::new(()));
    let source = match source {
        Ok(source) => Arc::new(source),
        Err(error) => return vec![("registry".to_owned(), failed(error.to_string()))],
    };
    let registry = |(url, access): (&Url, &RegistryAccess)| -> (String, Attempt) {
        let subject = match &access.api {
            RegistryApi::Directory { path } => format!("folder {}", path.display()),
            _ => format!("registry {}", shown_reference(url.as_str().as_bytes())),
        };
        let (source, url, access) = (Arc::clone(&source), url.clone(), access.clone());
        (subject, Box::pin(async move { source.survey(&url, &access).await }))
    };
    let origin = |url: &Url| -> (String, Attempt) {
        let subject = format!("origin {}", url.origin().ascii_serialization());
        let (source, url) = (Arc::clone(&source), url.clone());
        (subject, Box::pin(async move { source.survey_origin(&url).await }))
    };
    // What a wildcard stands for nobody knows.
    let named = |url: &&Url| !url.host_str().unwrap_or_default().contains('*');
    let allowed = config.registry.allow.iter().filter(named).map(origin);
    config.registry.registries().map(registry).chain(allowed).collect()
}

fn tls_files(config: &Config) -> Vec<(String, Attempt)> {
    let mut files = Vec::new();
    let own = |section: &str, identity: Option<&IdentityFiles>| {
        let file = |it: &IdentityFiles| (format!("{section}.certificate"), it.certificate.clone());
        identity.map(file).map(|(key, path)| (key, Role::Certificate, path))
    };
    let ca =
        |key: String, path: &Option<PathBuf>| path.clone().map(|path| (key, Role::Authority, path));
    if let Some(tls) = &config.listen.tls {
        files.extend(own("listen.tls", Some(&tls.identity)));
        files.extend(ca("listen.tls.client_ca".to_owned(), &tls.client_ca));
    }
    let registries = config.registry.registries().enumerate().map(|(at, (_, access))| {
        // The main registry comes first, if there is one.
        let main = usize::from(config.registry.url.is_some());
        let section = match at.checked_sub(main) {
            None => "registry.tls".to_owned(),
            Some(at) => format!("registry.others[{at}].tls"),
        };
        (section, access.tls.as_ref())
    });
    let upstream = ("upstream.tls".to_owned(), config.upstream.tls.as_ref());
    for (section, tls) in std::iter::once(upstream).chain(registries) {
        let Some(tls) = tls else { continue };
        files.extend(ca(format!("{section}.ca"), &tls.ca));
        files.extend(own(&section, tls.identity.as_ref()));
    }
    let attempt = |(key, role, path): (String, Role, PathBuf)| -> (String, Attempt) {
        let subject = format!("{key} {}", path.display());
        (subject, Box::pin(async move { validity(role, &path).await }))
    };
    files.into_iter().map(attempt).collect()
}

async fn validity(role: Role, path: &Path) -> Outcome {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || tls::validity(role, &path)).await;
    read.unwrap_or_else(|_| Err("cannot be read".to_owned()))
}

fn failed(cause: String) -> Attempt {
    Box::pin(std::future::ready(Err(cause)))
}

/// Nodes that are named one by one.
const MAX_NODES: usize = 20;
