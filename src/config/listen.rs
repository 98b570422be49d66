//! The section `listen`: where clients are awaited.

use std::{net::SocketAddr, ops::RangeInclusive};

use super::{
    check,
    node::{Node, Value},
    section::{Given, Located, Section},
    sections::{CLIENT_AUTHS, required},
    values::{host, range, socket_address, word},
};
use crate::{
    proxy::settings::{ClientAuth, ListenSettings, PortRange},
    wire::NodeId,
};

/// Addresses that are bound: what a later listener must not use again.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) bootstrap: Option<SocketAddr>,
    pub(super) broker_ports: Vec<PortRange>,
    pub(super) client_auth: Option<ClientAuth>,
}

pub(super) fn listen(mut section: Section<'_>) -> (Option<ListenSettings>, Bound) {
    let default = Located { origin: section.origin().clone(), value: DEFAULT_BOOTSTRAP };
    let bootstrap = match section.given("bootstrap", socket_address) {
        Given::Absent => Some(default),
        given => given.located(),
    };
    let broker_ports = broker_ports(&mut section);
    let advertised = section.given("advertised_host", host);
    let client_auth = section.given("client_auth", client_auth);
    let mut bound = Bound::default();
    if let Some(ports) = &broker_ports {
        check::ports(&section, ports, bootstrap.as_ref());
        bound.broker_ports = ports.iter().map(|located| located.value).collect();
    }
    let settings = bootstrap.and_then(|bootstrap| {
        bound.bootstrap = Some(bootstrap.value);
        let advertised_host = check::advertised_host(&section, &bootstrap, advertised);
        let client_auth = check::client_auth(&section, &bootstrap, client_auth);
        bound.client_auth = client_auth;
        Some(ListenSettings {
            bootstrap: bootstrap.value,
            broker_ports: bound.broker_ports.clone(),
            advertised_host: advertised_host?,
            client_auth: client_auth?,
        })
    });
    section.finish();
    (settings.filter(|_| broker_ports.is_some()), bound)
}

fn client_auth(value: &Value) -> Result<ClientAuth, String> {
    match value {
        Value::Text(text) if text == "mtls" => {
            Err("mtls is not supported yet, only none and sasl".to_owned())
        }
        other => word(&CLIENT_AUTHS)(other),
    }
}

/// `9100-9199`, or a list of `{nodes: 1001-1010, ports: 9100-9109}`.
fn broker_ports(section: &mut Section<'_>) -> Option<Vec<Located<PortRange>>> {
    let node = section.take("broker_ports");
    let Some(Node { origin, value }) = node else {
        return Some(vec![Located {
            origin: section.origin().clone(),
            value: DEFAULT_BROKER_PORTS,
        }]);
    };
    match value {
        Value::List(items) if !items.is_empty() => {
            items.into_iter().enumerate().map(|(at, item)| port_item(section, at, item)).collect()
        }
        value => {
            let what = "a range of ports, such as 9100-9199, or a list of {nodes: 1001-1010, ports: 9100-9109}";
            match range::<u16>(what, &value).and_then(|ports| port_range(0..=i32::MAX, ports)) {
                Ok(value) => Some(vec![Located { origin, value }]),
                Err(message) => {
                    section.fail(&origin, "broker_ports", message);
                    None
                }
            }
        }
    }
}

fn port_item(section: &Section<'_>, at: usize, item: Node) -> Option<Located<PortRange>> {
    let mut item = section.child(&format!("broker_ports[{at}]"), item);
    let origin = item.origin().clone();
    let nodes = required(&mut item, "nodes", |value| {
        range::<i32>("a range of node ids, such as 1001-1010", value)
    });
    let ports = required(&mut item, "ports", |value| {
        range::<u16>("a range of ports, such as 9100-9109", value)
    });
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

const DEFAULT_BOOTSTRAP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9092);
const DEFAULT_BROKER_PORTS: PortRange =
    PortRange { first_node: NodeId(0), first_port: 9100, count: 100 };
