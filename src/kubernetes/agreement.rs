//! What sidecar and pod have to agree on: the configuration checked together with the variables that go over it, and the
//! addresses that come out.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
};

use super::{
    error::Impossible,
    value::Value,
    variable::{UPSTREAM_VARIABLE, Upstream},
    wishes::Wishes,
};
use crate::config::Config;

/// What is known of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    /// All of it.
    File {
        /// What errors call it.
        name: &'a str,
        /// The text.
        text: &'a str,
    },
    /// Nothing: it is in the cluster already.
    Nothing,
}

/// Addresses of the sidecar, and the variables that make them so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Agreement {
    /// Where the application finds it.
    pub(super) listener: SocketAddr,
    /// The port of the probes.
    pub(super) probes: u16,
    /// Every port that it binds for certain, and what for.
    pub(super) ports: Vec<(RangeInclusive<u16>, &'static str)>,
    /// Ports that it binds unless its configuration says otherwise.
    pub(super) likely: Vec<(RangeInclusive<u16>, &'static str)>,
    /// Names and values of the variables that go over the configuration.
    variables: Vec<(&'static str, String)>,
    /// What should be known though all is well.
    pub(super) warnings: Vec<String>,
}

impl Agreement {
    /// Finds out what they agree on. `probes` is where the probes are, unless somebody says otherwise.
    pub(super) fn find(
        known: Known<'_>,
        wishes: &Wishes,
        probes: SocketAddr,
    ) -> Result<Self, Impossible> {
        let mut variables = overrides(known, wishes, probes);
        let brokers = (UPSTREAM_VARIABLE, SOME_BROKER.to_owned());
        let config = parse(known, variables.iter().chain([&brokers]))?;
        if config.admin.probes_listen.is_none() {
            variables.push((PROBES_LISTEN, probes.to_string()));
        }
        let probes = config.admin.probes_listen.unwrap_or(probes).port();
        let bootstrap = config.listen.bootstrap;
        let listener = reachable(bootstrap)?;
        let mut ports = vec![
            (bootstrap.port()..=bootstrap.port(), "listen.bootstrap"),
            (probes..=probes, "admin.probes_listen"),
        ];
        if let Some(admin) = config.admin.listen {
            ports.push((admin.port()..=admin.port(), "admin.listen"));
        }
        let brokers = config.listen.broker_ports.iter().map(|range| {
            let last = range.first_port.saturating_add(range.count.saturating_sub(1));
            (range.first_port..=last, "listen.broker_ports")
        });
        let brokers = brokers.collect();
        let (certain, likely) = match known {
            Known::File { .. } => (brokers, Vec::new()),
            Known::Nothing => (Vec::new(), brokers),
        };
        ports.extend(certain);
        let warnings = config.listen.tls.iter().map(|_| TLS_NEEDED.to_owned()).collect();
        Ok(Self { listener, probes, ports, likely, variables, warnings })
    }

    /// Checks everything together with what the sidecar is told of the brokers.
    pub(super) fn check(
        &self,
        known: Known<'_>,
        upstream: Option<&Upstream>,
    ) -> Result<(), Impossible> {
        let brokers = upstream.map(|upstream| {
            // What is known only in the cluster is taken for granted.
            let value = upstream.literal.clone().unwrap_or_else(|| SOME_BROKER.to_owned());
            (UPSTREAM_VARIABLE, value)
        });
        let brokers = match (brokers, known) {
            (None, Known::Nothing) => Some((UPSTREAM_VARIABLE, SOME_BROKER.to_owned())),
            (brokers, _) => brokers,
        };
        parse(known, self.variables.iter().chain(&brokers)).map(drop)
    }

    /// The sidecar's `env`.
    pub(super) fn env(&self, upstream: Option<Upstream>) -> Vec<Value> {
        let own = self.variables.iter().map(|(name, value)| {
            Value::map([("name", Value::text(*name)), ("value", Value::text(value.as_str()))])
        });
        own.chain(upstream.into_iter().flat_map(|upstream| upstream.entries)).collect()
    }
}

/// What the pod asks for, and of a configuration that is not known, what the pod has to rely on.
fn overrides(known: Known<'_>, wishes: &Wishes, probes: SocketAddr) -> Vec<(&'static str, String)> {
    let unknown = matches!(known, Known::Nothing);
    let listen = wishes.listen_port.or(unknown.then_some(DEFAULT_PORT));
    let listen = listen.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
    let probes_port = wishes.probes_port.or(unknown.then_some(probes.port()));
    let probes = probes_port.map(|port| SocketAddr::from((probes.ip(), port)).to_string());
    let all = [(LISTEN, listen), (PROBES_LISTEN, probes), (DEFAULT_MODE, wishes.mode.clone())];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn parse<'v>(
    known: Known<'_>,
    variables: impl Iterator<Item = &'v (&'static str, String)>,
) -> Result<Config, Impossible> {
    let (name, text) = match known {
        Known::File { name, text } => (name, text),
        Known::Nothing => ("the configuration", SOME_CONFIGURATION),
    };
    let variables = variables.map(|(name, value)| ((*name).to_owned(), value.clone()));
    Config::parse(text, name, variables).map_err(Impossible::Configuration)
}

/// What the application is told, which is within the same pod.
fn reachable(bootstrap: SocketAddr) -> Result<SocketAddr, Impossible> {
    let ip = match bootstrap.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => {
            let why = "it must be a loopback address, as they are in one pod";
            return Err(Impossible::Listener { address: bootstrap, why });
        }
    };
    if bootstrap.port() == 0 {
        let why = "it must have a port that is known";
        return Err(Impossible::Listener { address: bootstrap, why });
    }
    Ok(SocketAddr::new(ip, bootstrap.port()))
}

const LISTEN: &str = "SCHEMAWARD_LISTEN__BOOTSTRAP";
const PROBES_LISTEN: &str = "SCHEMAWARD_ADMIN__PROBES_LISTEN";
const DEFAULT_MODE: &str = "SCHEMAWARD_DEFAULT_RULE__MODE";
/// The default of `listen.bootstrap`.
const DEFAULT_PORT: u16 = 9092;
/// Stands for brokers that are known only in the cluster.
const SOME_BROKER: &str = "brokers.invalid:9092";
/// Stands for a configuration that is known only in the cluster.
const SOME_CONFIGURATION: &str = "registry:\n  url: http://registry.invalid\n";
const TLS_NEEDED: &str = "listen.tls is set: the application has to speak TLS with the sidecar";
