//! How many connections may be open at once, in all and from one address. The only lock is taken when one opens or closes.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::settings::ListenSettings;

/// Why a connection is closed at once. Scope: this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// As many as there may be are open.
    #[error("{most} connections are open, which is all that listen.max_connections allows")]
    Full {
        /// The limit.
        most: usize,
    },
    /// As many as one address may have are open from this one.
    #[error(
        "{most} connections are open from this address, which is all that listen.max_connections_per_address allows"
    )]
    FullForAddress {
        /// The limit.
        most: usize,
    },
}

/// Counts open connections.
#[derive(Debug, Default)]
pub struct Admission {
    most: AtomicUsize,
    /// As many as can be counted: no such limit.
    most_per_address: AtomicUsize,
    open: AtomicUsize,
    /// Addresses with open connections: no more entries than there are connections.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Admission {
    /// Counts within the limits of `listen`.
    #[must_use]
    pub fn new(listen: &ListenSettings) -> Arc<Self> {
        let admission = Self::default();
        admission.resize(listen);
        Arc::new(admission)
    }

    /// Takes the limits of `listen` over. What is open stays open.
    pub fn resize(&self, listen: &ListenSettings) {
        let per_address = listen.max_connections_per_address.unwrap_or(usize::MAX);
        self.most.store(listen.max_connections, Ordering::Relaxed);
        self.most_per_address.store(per_address, Ordering::Relaxed);
    }

    /// Lets one more connection be open, until what is returned is dropped.
    ///
    /// # Errors
    /// [`NotAdmitted::Full`].
    pub fn admit(self: &Arc<Self>) -> Result<Admitted, NotAdmitted> {
        let most = self.most.load(Ordering::Relaxed);
        let one_more = |open: usize| (open < most).then(|| open.saturating_add(1));
        match self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Admitted { admission: Arc::clone(self), address: None }),
            Err(_) => Err(NotAdmitted::Full { most }),
        }
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that may be open.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admitted {
    /// Counts the connection for `address`, once that is known for certain.
    ///
    /// # Errors
    /// [`NotAdmitted::FullForAddress`].
    pub fn from_address(&mut self, address: IpAddr) -> Result<(), NotAdmitted> {
        let most = self.admission.most_per_address.load(Ordering::Relaxed);
        if most == usize::MAX {
            return Ok(());
        }
        let whose = whose(address);
        let mut by_address = self.admission.by_address();
        let open = by_address.entry(whose).or_default();
        if *open >= most {
            return Err(NotAdmitted::FullForAddress { most });
        }
        *open = open.saturating_add(1);
        drop(by_address);
        self.address = Some(whose);
        Ok(())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = self.admission.by_address();
        if let Some(open) = by_address.get_mut(&address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// Under which address a connection counts: whoever has one IPv6 address has the 2^64 of its network.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::test_listen;

    fn admission(most: usize, most_per_address: Option<usize>) -> Arc<Admission> {
        Admission::new(&ListenSettings {
            max_connections: most,
            max_connections_per_address: most_per_address,
            ..test_listen()
        })
    }

    #[test]
    fn the_last_connection_is_let_in_and_the_next_is_not_until_one_has_closed() {
        let admission = admission(2, None);
        let first = admission.admit().unwrap();
        let _second = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err(), NotAdmitted::Full { most: 2 });
        drop(first);
        let _third = admission.admit().unwrap();
        assert!(admission.admit().is_err());
    }

    #[test]
    fn one_address_cannot_take_the_place_of_others() {
        let admission = admission(10, Some(2));
        let from = |address: &str| {
            let mut admitted = admission.admit().unwrap();
            admitted.from_address(address.parse().unwrap()).map(|()| admitted)
        };
        let first = from("10.0.0.1").unwrap();
        let _mapped = from("::ffff:10.0.0.1").unwrap();
        assert_eq!(from("10.0.0.1").unwrap_err(), NotAdmitted::FullForAddress { most: 2 });
        let _other = from("10.0.0.2").unwrap();
        let _six = [from("2001:db8::1").unwrap(), from("2001:db8::2").unwrap()];
        assert!(from("2001:db8:0:0:ffff::3").is_err(), "the same network of 2^64 addresses");
        let _network = from("2001:db8:0:1::1").unwrap();
        drop(first);
        let _again = from("10.0.0.1").unwrap();
        assert_eq!(admission.open.load(Ordering::Relaxed), 6, "refused ones are not counted");
    }

    #[test]
    fn new_limits_count_for_the_next_connection_and_cost_none_that_is_open() {
        let admission = admission(2, None);
        let address = "10.0.0.1".parse().unwrap();
        let _open = [admission.admit().unwrap(), admission.admit().unwrap()];
        let limits = |max_connections, max_connections_per_address| ListenSettings {
            max_connections,
            max_connections_per_address,
            ..test_listen()
        };
        admission.resize(&limits(1, None));
        assert_eq!(admission.admit().unwrap_err(), NotAdmitted::Full { most: 1 });
        admission.resize(&limits(5, Some(1)));
        let mut third = admission.admit().unwrap();
        third.from_address(address).unwrap();
        let mut fourth = admission.admit().unwrap();
        assert!(fourth.from_address(address).is_err());
        admission.resize(&limits(5, None));
        fourth.from_address(address).unwrap();
        drop((third, fourth));
        assert!(admission.by_address().is_empty());
    }

    #[test]
    fn nothing_is_remembered_of_addresses_without_connections() {
        let admission = admission(10, Some(1));
        for last in 0..=255 {
            let mut admitted = admission.admit().unwrap();
            admitted.from_address([10, 0, 0, last].into()).unwrap();
        }
        assert!(admission.by_address().is_empty());
        assert_eq!(admission.open.load(Ordering::Relaxed), 0);
    }
}
