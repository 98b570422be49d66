//! What no single key can know: whether the keys fit each other.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use super::{
    error::Origin,
    listen::Bound,
    section::{Given, Located, Section},
    values::show_size,
};
use crate::{
    limits::WireLimits,
    proxy::{
        advertised_host::AdvertisedHost,
        settings::{BrokerAddress, ClientAuth, PortRange, Routing},
    },
    schema::RegistrySettings,
    validate::policy::{Check, Mode, RuleSettings},
};

/// Ports that can stand for brokers: each is a bound socket.
pub(super) const MAX_BROKER_PORTS: u16 = 4_096;

/// Every port and every node once, and none of the ports that of the bootstrap listener.
pub(super) fn ports(
    listen: &Section<'_>,
    ranges: &[Located<PortRange>],
    bootstrap: Option<&Located<SocketAddr>>,
) {
    for (at, range) in ranges.iter().enumerate() {
        let earlier = ranges.get(..at).unwrap_or_default();
        let fail = |message: &str| listen.fail(&range.origin, "broker_ports", message);
        if earlier.iter().any(|other| overlap(port_span(&range.value), port_span(&other.value))) {
            fail(&format!("ports {} are in two ranges", show_span(port_span(&range.value))));
        }
        if earlier.iter().any(|other| overlap(node_span(&range.value), node_span(&other.value))) {
            fail(&format!("nodes {} are in two ranges", show_span(node_span(&range.value))));
        }
        if let Some(port) = bootstrap.map(|located| located.value.port())
            && contains(&range.value, port)
        {
            fail(&format!("port {port} is that of listen.bootstrap"));
        }
    }
    let total: u32 = ranges.iter().map(|range| u32::from(range.value.count)).sum();
    if total > u32::from(MAX_BROKER_PORTS)
        && let Some(last) = ranges.last()
    {
        let message = format!("{total} ports in all, at most {MAX_BROKER_PORTS} can be bound");
        listen.fail(&last.origin, "broker_ports", message);
    }
}

type Span = (i64, i64);

fn port_span(range: &PortRange) -> Span {
    let first = i64::from(range.first_port);
    (first, first + i64::from(range.count) - 1)
}

fn node_span(range: &PortRange) -> Span {
    let first = i64::from(range.first_node.0);
    (first, first + i64::from(range.count) - 1)
}

fn show_span((first, last): Span) -> String {
    format!("{first}-{last}")
}

fn overlap(left: Span, right: Span) -> bool {
    left.0 <= right.1 && right.0 <= left.1
}

fn contains(range: &PortRange, port: u16) -> bool {
    overlap(port_span(range), (port.into(), port.into()))
}

/// The host that clients are told: as written, else the address that is listened at, where that is one. It must tell
/// nodes apart where nothing else does.
pub(super) fn advertised_host(
    listen: &Section<'_>,
    bootstrap: &Located<SocketAddr>,
    given: Given<AdvertisedHost>,
    routing: Routing,
) -> Option<AdvertisedHost> {
    let ip = bootstrap.value.ip();
    let host = match given {
        Given::Absent if ip.is_unspecified() => {
            let message = format!("missing: clients cannot be told {ip}");
            listen.fail(&bootstrap.origin, "advertised_host", message);
            return None;
        }
        Given::Absent => {
            let value = AdvertisedHost::same_for_all(&ip.to_string());
            Located { origin: bootstrap.origin.clone(), value }
        }
        given => given.located()?,
    };
    if routing == Routing::ServerName && !host.value.names_nodes() {
        let message = format!(
            "{} is the same for every broker: routing by server name needs {{node_id}} in it",
            host.value
        );
        listen.fail(&host.origin, "advertised_host", message);
        return None;
    }
    Some(host.value)
}

/// A client names the server that it wants in its TLS handshake, and nowhere else.
pub(super) fn names_can_be_asked_for(
    listen: &Section<'_>,
    bootstrap: &Located<SocketAddr>,
    routing: Routing,
    under_tls: bool,
) {
    if routing == Routing::ServerName && !under_tls {
        let message =
            "server_name needs listen.tls: without TLS clients do not say which server they want";
        listen.fail(&bootstrap.origin, "routing", message);
    }
}

/// Who may use the listener: beyond loopback it must be written down.
pub(super) fn client_auth(
    listen: &Section<'_>,
    bootstrap: &Located<SocketAddr>,
    given: Given<ClientAuth>,
) -> Option<Located<ClientAuth>> {
    let address = bootstrap.value;
    match given {
        Given::Absent if !address.ip().is_loopback() => {
            let message = format!(
                "missing: {address} is not a loopback address, so it must be written down who may use it (none: everybody)"
            );
            listen.fail(&bootstrap.origin, "client_auth", message);
            None
        }
        Given::Absent => {
            Some(Located { origin: bootstrap.origin.clone(), value: ClientAuth::None })
        }
        given => given.located(),
    }
}

/// Who lets in by certificates has to ask for them.
pub(super) fn certificates_can_be_asked_for(
    listen: &Section<'_>,
    client_auth: Option<Located<ClientAuth>>,
    asks: bool,
) -> Option<ClientAuth> {
    let client_auth = client_auth?;
    if client_auth.value == ClientAuth::Mtls && !asks {
        let message = "mtls needs listen.tls.client_ca, which signs the certificates of clients";
        listen.fail(&client_auth.origin, "client_auth", message);
        return None;
    }
    Some(client_auth.value)
}

/// Credentials of our own serve whoever gets in, so not everybody may get in.
pub(super) fn own_credentials(upstream: &Section<'_>, origin: &Origin, key: &str, bound: &Bound) {
    if bound.open_to_strangers {
        let message = "would lend our rights to every caller: the listener is neither on loopback nor asks for certificates (listen.tls.client_ca)";
        upstream.fail(origin, key, message);
    }
}

/// At least one broker, and none of them schemaward itself.
pub(super) fn upstream(
    upstream: &Section<'_>,
    given: Given<Vec<Located<BrokerAddress>>>,
    bound: &Bound,
) -> Option<Vec<BrokerAddress>> {
    let brokers = match given {
        Given::Faulty => return None,
        Given::Absent => Vec::new(),
        Given::Value(brokers) => brokers.value,
    };
    if brokers.is_empty() {
        let message = "missing: give at least one broker, such as [kafka-0.kafka.svc:9092]";
        upstream.fail(upstream.origin(), "bootstrap", message);
        return None;
    }
    let own = brokers.iter().find(|broker| is_own(&broker.value, bound));
    if let Some(broker) = own {
        let message = format!("{} is where schemaward itself listens", broker.value);
        upstream.fail(&broker.origin, "bootstrap", message);
        return None;
    }
    Some(brokers.into_iter().map(|located| located.value).collect())
}

/// Whoever gets in acts with schemaward's rights at the brokers: that must not be everybody, nor somebody with rights of
/// his own.
pub(super) fn own_login(sasl: &Section<'_>, bound: &Bound) {
    let (Some(bootstrap), Some(client_auth)) = (bound.bootstrap, bound.client_auth) else { return };
    match client_auth {
        ClientAuth::Sasl => sasl.fail_here(
            "cannot be had together with listen.client_auth sasl: a connection has one login, the client's or schemaward's",
        ),
        ClientAuth::None | ClientAuth::Mtls if bound.open_to_strangers => sasl.fail_here(&format!(
            "would lend schemaward's rights to whoever reaches {bootstrap}, which is not a loopback address"
        )),
        ClientAuth::None | ClientAuth::Mtls => {}
    }
}

fn is_own(broker: &BrokerAddress, bound: &Bound) -> bool {
    let Some(bootstrap) = bound.bootstrap else { return false };
    let host: Option<IpAddr> = match broker.host.as_str() {
        "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        other => other.parse().ok(),
    };
    let same_host = host.is_some_and(|host| {
        host == bootstrap.ip() || (bootstrap.ip().is_unspecified() && host.is_loopback())
    });
    same_host && is_bound(broker.port, bound)
}

fn is_bound(port: u16, bound: &Bound) -> bool {
    let bootstrap = bound.bootstrap.is_some_and(|address| address.port() == port);
    bootstrap || bound.broker_ports.iter().any(|range| contains(range, port))
}

/// A rule that looks schemas up needs somewhere to look.
pub(super) fn schemas_can_be_had<'a>(
    root: &Section<'_>,
    registry: &RegistrySettings,
    mut rules: impl Iterator<Item = &'a RuleSettings>,
) {
    let nowhere = registry.is_nowhere();
    let needed = rules.any(|rule| rule.mode != Mode::Off && rule.check == Check::Value);
    if nowhere && needed && !root.is_faulty("registry") {
        let message = "missing: without it and without registry.allow no schema can be found, so no record could pass";
        root.fail(root.origin(), "registry.url", message);
    }
}

/// One request of the largest size must fit into the budget, or it could never be finished.
pub(super) fn budget(limits: &Section<'_>, memory_budget: usize, wire: &WireLimits) {
    let largest = wire.max_request_bytes.max(wire.max_other_request_bytes).0;
    if memory_budget < largest {
        let (budget, largest) = (show_size(memory_budget), show_size(largest));
        let message = format!("{budget} is less than one request may have ({largest})");
        limits.fail(limits.origin(), "memory_budget", message);
    }
}

/// Beyond loopback the full listener needs a token, and every listener its own address.
pub(super) fn admin(
    admin: &Section<'_>,
    listen: &Given<SocketAddr>,
    probes: &Given<SocketAddr>,
    token: &Given<PathBuf>,
    bound: &Bound,
) {
    if let Given::Value(listen) = listen {
        let address = listen.value;
        if !address.ip().is_loopback() && matches!(token, Given::Absent) {
            let message = format!(
                "{address} is not a loopback address: it needs admin.token_file (admin.probes_listen does not)"
            );
            admin.fail(&listen.origin, "listen", message);
        }
        distinct(admin, "listen", &listen.origin, address, bound);
    }
    if let Given::Value(probes) = probes {
        distinct(admin, "probes_listen", &probes.origin, probes.value, bound);
        if let Given::Value(listen) = listen
            && clash(listen.value, probes.value)
        {
            let message = format!("{} is taken by admin.listen", probes.value);
            admin.fail(&probes.origin, "probes_listen", message);
        }
    }
}

fn distinct(admin: &Section<'_>, key: &str, origin: &Origin, address: SocketAddr, bound: &Bound) {
    let Some(bootstrap) = bound.bootstrap else { return };
    let same_ip = clash(SocketAddr::new(bootstrap.ip(), address.port()), address);
    if same_ip && is_bound(address.port(), bound) {
        let what = if bootstrap.port() == address.port() { "bootstrap" } else { "broker_ports" };
        admin.fail(origin, key, format!("{address} is taken by listen.{what}"));
    }
}

/// Whether two listeners cannot both be bound. Port 0 is any free port.
fn clash(left: SocketAddr, right: SocketAddr) -> bool {
    let same_ip =
        left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified();
    left.port() == right.port() && left.port() != 0 && same_ip
}
