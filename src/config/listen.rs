//! The section `listen`: where clients are awaited.

use std::{net::SocketAddr, ops::RangeInclusive};

use super::{
    check,
    section::{Given, Located, Section, ValueOrSections},
    sections::{CLIENT_AUTHS, PROXY_PROTOCOLS, ROUTINGS, required},
    tls,
    values::{advertised_host, integer, range, socket_address, word},
};
use crate::{
    proxy::settings::{ClientAuth, ListenSettings, PortRange, Routing},
    wire::NodeId,
};

/// Addresses that are bound: what a later listener must not use again.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) bootstrap: Option<SocketAddr>,
    pub(super) broker_ports: Vec<PortRange>,
    pub(super) client_auth: Option<ClientAuth>,
    /// Whether somebody from elsewhere gets in without a certificate.
    pub(super) open_to_strangers: bool,
}

pub(super) fn listen(mut section: Section<'_>) -> (Option<ListenSettings>, Bound) {
    let default = ListenSettings::default();
    let address = Located { origin: section.origin().clone(), value: default.bootstrap };
    let bootstrap = match section.given("bootstrap", socket_address()) {
        Given::Absent => Some(address),
        given => given.located(),
    };
    let routing = section.or("routing", default.routing, word(&ROUTINGS));
    let broker_ports = broker_ports(&mut section, routing);
    let advertised = section.given("advertised_host", advertised_host());
    let advertised_port = section.given("advertised_port", integer(1..=u16::MAX)).value();
    let proxy_protocol =
        section.or("proxy_protocol", default.proxy_protocol, word(&PROXY_PROTOCOLS));
    let max_connections =
        section.or("max_connections", default.max_connections, integer(1..=1_000_000));
    let max_connections_per_address =
        section.given("max_connections_per_address", integer(1..=1_000_000)).value();
    let client_auth = section.given("client_auth", word(&CLIENT_AUTHS));
    let tls = tls::server(&mut section);
    let mut bound = Bound::default();
    if let Some(ports) = &broker_ports {
        check::ports(&section, ports, bootstrap.as_ref());
        bound.broker_ports = ports.iter().map(|located| located.value).collect();
    }
    let settings = bootstrap.and_then(|bootstrap| {
        bound.bootstrap = Some(bootstrap.value);
        let advertised_host = check::advertised_host(&section, &bootstrap, advertised, routing);
        let client_auth = check::client_auth(&section, &bootstrap, client_auth);
        let tls = tls.ok()?;
        check::names_can_be_asked_for(&section, &bootstrap, routing, tls.is_some());
        let asks = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        bound.open_to_strangers = !asks && !bootstrap.value.ip().is_loopback();
        let client_auth = check::certificates_can_be_asked_for(&section, client_auth, asks);
        bound.client_auth = client_auth;
        Some(ListenSettings {
            bootstrap: bootstrap.value,
            broker_ports: bound.broker_ports.clone(),
            routing,
            advertised_host: advertised_host?,
            advertised_port,
            proxy_protocol,
            max_connections,
            max_connections_per_address,
            client_auth: client_auth?,
            tls,
        })
    });
    section.finish();
    (settings.filter(|_| broker_ports.is_some()), bound)
}

/// `9100-9199`, or a list of `{nodes: 1001-1010, ports: 9100-9109}`.
fn broker_ports(section: &mut Section<'_>, routing: Routing) -> Option<Vec<Located<PortRange>>> {
    let kind = range::<u16>(
        "a range of ports, such as 9100-9199, or a list of {nodes: 1001-1010, ports: 9100-9109}",
        u16::MAX,
    );
    let given = section.value_or_sections("broker_ports", kind);
    if routing == Routing::ServerName {
        if let Given::Value(Located { origin, .. }) = given {
            let message = "has no meaning where brokers are told apart by server name";
            section.fail(&origin, "broker_ports", message);
            return None;
        }
        return Some(Vec::new());
    }
    match given {
        Given::Absent => {
            let located = |value| Located { origin: section.origin().clone(), value };
            Some(ListenSettings::default().broker_ports.into_iter().map(located).collect())
        }
        Given::Faulty => None,
        Given::Value(Located { value: ValueOrSections::Sections(items), .. }) => {
            items.into_iter().map(port_item).collect()
        }
        Given::Value(Located { origin, value: ValueOrSections::Value(ports) }) => {
            match port_range(0..=i32::MAX, ports) {
                Ok(value) => Some(vec![Located { origin, value }]),
                Err(message) => {
                    section.fail(&origin, "broker_ports", message);
                    None
                }
            }
        }
    }
}

fn port_item(mut item: Section<'_>) -> Option<Located<PortRange>> {
    let origin = item.origin().clone();
    let nodes = range::<i32>("a range of node ids, such as 1001-1010", i32::MAX);
    let nodes = required(&mut item, "nodes", nodes);
    let ports = range::<u16>("a range of ports, such as 9100-9109", u16::MAX);
    let ports = required(&mut item, "ports", ports);
    let made = nodes.zip(ports).and_then(|(nodes, ports)| {
        let same = i64::from(*nodes.end()) - i64::from(*nodes.start())
            == i64::from(*ports.end()) - i64::from(*ports.start());
        let made = if same {
            port_range(nodes, ports)
        } else {
            Err("nodes and ports must be equally many".to_owned())
        };
        made.map_err(|message| item.fail_here(&message)).ok()
    });
    item.finish();
    made.map(|value| Located { origin, value })
}

fn port_range(nodes: RangeInclusive<i32>, ports: RangeInclusive<u16>) -> Result<PortRange, String> {
    let count = ports.end().saturating_sub(*ports.start()).saturating_add(1);
    if *ports.start() == 0 {
        return Err("port 0 cannot stand for a broker".to_owned());
    }
    if count > check::MAX_BROKER_PORTS {
        return Err(format!("has {count} ports, at most {} can be bound", check::MAX_BROKER_PORTS));
    }
    Ok(PortRange { first_node: NodeId(*nodes.start()), first_port: *ports.start(), count })
}
