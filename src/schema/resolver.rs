//! Names → the addresses that may be dialled. What was checked is what is connected to: no second resolution comes between,
//! so a name that changes its mind (DNS rebinding) leads nowhere.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{address, origin::Named};

/// Looks a name up: the system's resolver outside of tests.
pub(super) type Names = Arc<dyn Fn(String) -> Resolved + Send + Sync>;

/// A name being looked up.
pub(super) type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Resolves the names of origins that are named in one way.
pub(super) struct Resolver {
    names: Names,
    named: Named,
}

/// A name has addresses, and none of them may be dialled.
#[derive(Debug, thiserror::Error)]
#[error("resolves to {kind}")]
pub(super) struct AddressRefused {
    /// Which kind of address it is.
    pub(super) kind: &'static str,
}

impl Resolver {
    pub(super) fn new(names: Names, named: Named) -> Self {
        Self { names, named }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, named) = ((self.names)(name.as_str().to_owned()), self.named);
        Box::pin(async move {
            let permitted = permitted(found.await?, named)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses that may be dialled. One that may not does not spoil the others.
fn permitted(found: Vec<SocketAddr>, named: Named) -> Result<Vec<SocketAddr>, AddressRefused> {
    let (mut permitted, mut refused) = (Vec::new(), None);
    for socket in found {
        match address::judge(socket.ip(), named) {
            Ok(()) => permitted.push(socket),
            Err(kind) => refused = Some(AddressRefused { kind }),
        }
    }
    match refused {
        Some(refused) if permitted.is_empty() => Err(refused),
        _ => Ok(permitted),
    }
}

/// The system's resolver.
pub(super) fn system() -> Names {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_dialled_is_left_out() {
        let socket = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        type Ips = &'static [&'static str];
        let table: &[(Ips, Named, Result<Ips, &str>)] = &[
            (&["10.0.0.1", "169.254.169.254"], Named::Exactly, Ok(&["10.0.0.1"])),
            (&["10.0.0.1", "8.8.8.8"], Named::ByWildcard, Ok(&["8.8.8.8"])),
            (&["fe80::1", "169.254.169.254"], Named::Exactly, Err("a link-local address")),
            (&["127.0.0.1"], Named::ByWildcard, Err("a loopback address")),
            (&[], Named::Exactly, Ok(&[])),
        ];
        for (found, named, expected) in table {
            let found = found.iter().map(|ip| socket(ip)).collect();
            let expected = expected.map(|ips| ips.iter().map(|ip| socket(ip)).collect::<Vec<_>>());
            assert_eq!(permitted(found, *named).map_err(|refused| refused.kind), expected);
        }
    }
}
