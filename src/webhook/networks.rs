//! The networks that no request may reach, as data, and the IPv6 forms that carry an IPv4 address.
//!
//! Read by the guard alone. From the IANA special-purpose address registries, plus the addresses at which cloud
//! platforms answer their own machines. Nothing here knows of host names or of the operator's allow-list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What kind of address is refused, worded to follow "address 127.0.0.1 is …".
pub type Kind = &'static str;

pub const LOOPBACK: Kind = "loopback";
pub const CLOUD_METADATA: Kind = "a cloud metadata service";
const PRIVATE: Kind = "private";
const LINK_LOCAL: Kind = "link-local";
const UNSPECIFIED: Kind = "unspecified";
const MULTICAST: Kind = "multicast";
const DOCUMENTATION: Kind = "for documentation";
const BENCHMARKING: Kind = "for benchmarking";
const RESERVED: Kind = "reserved";
const PROTOCOL: Kind = "for protocol assignments";

/// The first match wins: what is more specific stands before the network around it.
pub const IPV4: &[(Ipv4Net, Kind)] = &[
    (v4(0, 0, 0, 0, 32), UNSPECIFIED),
    (v4(0, 0, 0, 0, 8), "of this network"),
    (v4(10, 0, 0, 0, 8), PRIVATE),
    (v4(100, 100, 100, 200, 32), CLOUD_METADATA),
    (v4(100, 64, 0, 0, 10), "behind carrier NAT"),
    (v4(127, 0, 0, 0, 8), LOOPBACK),
    // Public by its number, yet answered by the hypervisor of the machine that asks.
    (v4(168, 63, 129, 16, 32), CLOUD_METADATA),
    (v4(169, 254, 169, 254, 32), CLOUD_METADATA),
    (v4(169, 254, 170, 2, 32), CLOUD_METADATA),
    (v4(169, 254, 170, 23, 32), CLOUD_METADATA),
    (v4(169, 254, 0, 0, 16), LINK_LOCAL),
    (v4(172, 16, 0, 0, 12), PRIVATE),
    (v4(192, 0, 0, 192, 32), CLOUD_METADATA),
    (v4(192, 0, 0, 0, 24), PROTOCOL),
    (v4(192, 0, 2, 0, 24), DOCUMENTATION),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), PRIVATE),
    (v4(198, 18, 0, 0, 15), BENCHMARKING),
    (v4(198, 51, 100, 0, 24), DOCUMENTATION),
    (v4(203, 0, 113, 0, 24), DOCUMENTATION),
    (v4(224, 0, 0, 0, 4), MULTICAST),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), RESERVED),
];

/// The first match wins, as above. Addresses that carry an IPv4 address are judged by that and do not come here.
pub const IPV6: &[(Ipv6Net, Kind)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), UNSPECIFIED),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), LOOPBACK),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible, which is deprecated"),
    // Where in such an address the IPv4 address stands depends on the network it is used in: no part of it is safe.
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "for local-use NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), BENCHMARKING),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), DOCUMENTATION),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), PROTOCOL),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), DOCUMENTATION),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "for segment routing"),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), CLOUD_METADATA),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), CLOUD_METADATA),
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), CLOUD_METADATA),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), LINK_LOCAL),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), MULTICAST),
];

/// All that IANA has opened for global unicast so far; the rest of IPv6 is refused, whatever becomes of it.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

/// What speaks against `address` as it stands.
pub fn special(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(v4) => IPV4.iter().find(|(network, _)| network.contains(&v4)).map(|(_, kind)| *kind),
        IpAddr::V6(v6) => match IPV6.iter().find(|(network, _)| network.contains(&v6)) {
            Some((_, kind)) => Some(kind),
            None => (!GLOBAL_UNICAST.contains(&v6)).then_some(RESERVED),
        },
    }
}

/// The IPv4 addresses that a packet to `address` is on its way to. Teredo names two: its relay server, and, with
/// every bit turned over, its client.
pub fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = address.to_bits();
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if let Some(mapped) = address.to_ipv4_mapped() {
        [Some(mapped), None]
    } else if NAT64.contains(&address) {
        [Some(at(0)), None]
    } else if SIX_TO_FOUR.contains(&address) {
        [Some(at(80)), None]
    } else if TEREDO.contains(&address) {
        [Some(Ipv4Addr::from_bits(!(bits as u32))), Some(at(64))]
    } else {
        [None, None]
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests {
    use super::{IPV4, IPV6, special};

    #[test]
    fn no_row_hides_a_more_specific_one_below_it() {
        for (at, (network, _)) in IPV4.iter().enumerate() {
            assert!(IPV4[..at].iter().all(|(earlier, _)| !earlier.contains(network)), "{network}");
        }
        for (at, (network, _)) in IPV6.iter().enumerate() {
            assert!(IPV6[..at].iter().all(|(earlier, _)| !earlier.contains(network)), "{network}");
        }
    }

    #[test]
    fn the_first_and_the_last_address_of_each_network_are_special() {
        for (network, kind) in IPV4 {
            assert!(special(network.network().into()).is_some(), "{network}");
            assert!(special(network.broadcast().into()).is_some(), "{network}");
            assert!(network.addr() == network.network(), "{network} is written with host bits ({kind})");
        }
        for (network, kind) in IPV6 {
            assert!(special(network.network().into()).is_some(), "{network}");
            assert!(special(network.broadcast().into()).is_some(), "{network}");
            assert!(network.addr() == network.network(), "{network} is written with host bits ({kind})");
        }
    }

    #[test]
    fn what_lies_beside_a_special_network_is_not_special() {
        for open in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2606:4700::1111",
            "3ffe:ffff::",
        ] {
            assert_eq!(special(open.parse().unwrap()), None, "{open}");
        }
    }
}
