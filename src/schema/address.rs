//! Which IP addresses a look-up may connect to. Names are judged by what they resolve to, at the moment of dialling: see
//! `resolver.rs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::origin::Named;

/// How far an address reaches; the greater, the less it may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Everybody's.
    Public,
    /// One's own network or machine: dialled only for origins that are named one by one.
    Own(&'static str),
    /// Nobody is to be led there.
    Nobody(&'static str),
}

/// Refuses an address at which an origin that is `named` in this way may not be asked, and says of which kind it is.
pub(super) fn judge(address: IpAddr, named: Named) -> Result<(), &'static str> {
    match (reach(address), named) {
        (Reach::Public, _) | (Reach::Own(_), Named::Exactly) => Ok(()),
        (Reach::Own(kind), Named::ByWildcard) | (Reach::Nobody(kind), _) => Err(kind),
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return Reach::Nobody("a cloud's metadata address");
    }
    match (a, b, c) {
        (0, ..) => Reach::Nobody("an unspecified address"),
        (169, 254, _) => Reach::Nobody("a link-local address"),
        (224..=239, ..) => Reach::Nobody("a multicast address"),
        (255, 255, 255) if address.is_broadcast() => Reach::Nobody("the broadcast address"),
        (240.., ..) => Reach::Nobody("a reserved address"),
        (127, ..) => Reach::Own("a loopback address"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Reach::Own("a private address"),
        (100, 64..=127, _) => Reach::Own("a shared address (RFC 6598)"),
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => {
            Reach::Own("an address for special purposes (RFC 6890)")
        }
        _ => Reach::Public,
    }
}

/// What stands for an IPv4 address is judged by that too: the worse of the two counts.
fn of_v6(address: Ipv6Addr) -> Reach {
    let inner = within(address).map_or(Reach::Public, of_v4);
    itself(address).max(inner)
}

fn itself(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) {
        return Reach::Nobody("a cloud's metadata address");
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Nobody("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Own("a loopback address"),
        // Mapped, compatible, NAT64: only what is inside counts.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Reach::Public,
        [0x64, 0xff9b, ..] => Reach::Nobody("an address of a local translation (RFC 8215)"),
        [0x2001, 0, ..] => Reach::Nobody("a Teredo address"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Own("a documentation address"),
        [0xfc00..=0xfdff, ..] => Reach::Own("a unique local address"),
        [0xfe80..=0xfebf, ..] => Reach::Nobody("a link-local address"),
        [0xfec0..=0xfeff, ..] => Reach::Own("a site-local address"),
        [0xff00..=0xffff, ..] => Reach::Nobody("a multicast address"),
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Nobody("a reserved address"),
    }
}

/// The IPv4 address that `address` stands for or leads to: IPv4-mapped and -compatible, NAT64, 6to4, ISATAP.
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [_, _, _, _, 0 | 0x0200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Where clouds answer with credentials, outside of link-local addresses: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];
/// The same of AWS and of Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_addresses_is_told() {
        let table = [(ANYBODYS, true, true), (OWN, true, false), (NOBODYS, false, false)];
        for (addresses, exactly, by_wildcard) in table {
            for text in addresses.split_whitespace() {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(judge(address, Named::Exactly).is_ok(), exactly, "{text}");
                assert_eq!(judge(address, Named::ByWildcard).is_ok(), by_wildcard, "{text}");
            }
        }
    }

    /// Allowed for every origin.
    const ANYBODYS: &str = "8.8.8.8 1.1.1.1 99.255.255.255 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 \
        192.167.0.1 169.253.0.1 223.255.255.255 2606:4700::1111 ::ffff:8.8.8.8 ::8.8.8.8 \
        64:ff9b::808:808 2002:808:808::1";

    /// Allowed for origins that are named exactly.
    const OWN: &str = "127.0.0.1 127.255.255.255 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 \
        100.127.255.255 192.0.2.1 198.18.0.1 ::1 fc00::1 fdff::1 fec0::1 2001:db8::1 \
        ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::10.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 \
        2002:7f00:1::1 2002:c0a8:101:: 2606:4700::5efe:10.0.0.1";

    /// Never allowed.
    const NOBODYS: &str = "0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 169.254.170.2 224.0.0.1 239.255.255.255 \
        240.0.0.1 255.255.255.255 100.100.100.200 192.0.0.192 168.63.129.16 :: fe80::1 \
        febf::1 ff02::1 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 ::ffff:0.0.0.0 \
        ::ffff:224.0.0.1 ::169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 \
        2002:a9fe:a9fe:: 2002:6464:64c8::1 2001::1 2606:4700::200:5efe:169.254.169.254 \
        4000::1 ::ffff:0:8.8.8.8";
}
