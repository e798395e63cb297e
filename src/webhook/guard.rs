//! The one guard: may a request of a hook go to this host, to this address?
//!
//! Asked with the literal host when a hook is registered, and with every resolved address whenever a connection is
//! opened. It never looks a name up, and knows nothing of ports, paths or hooks.

use std::net::{IpAddr, Ipv4Addr};

use url::Host;

use crate::webhook::allow::{AllowList, host_name};
use crate::webhook::networks::{CLOUD_METADATA, Kind, LOOPBACK, embedded, special};

/// Why a request may not go where a URI or a name leads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the URI is malformed: {0}")]
    Malformed(String),
    #[error("scheme {0:?} is neither http nor https")]
    Scheme(String),
    #[error("the URI carries user information")]
    UserInfo,
    #[error("the URI names no host")]
    NoHost,
    #[error("{0:?} is not a valid host name")]
    BadHost(String),
    #[error("host {host} is {kind}")]
    Name { host: String, kind: Kind },
    #[error("address {address} is {kind}")]
    Address { address: IpAddr, kind: Kind },
    #[error("address {address} leads to {inner}, which is {kind}")]
    Embedded { address: IpAddr, inner: Ipv4Addr, kind: Kind },
}

/// Names that mean an inner address wherever they are resolved; each one's sub-domains too.
const INNER_NAMES: &[(&str, Kind)] =
    &[("localhost", LOOPBACK), ("metadata.google.internal", CLOUD_METADATA), ("metadata.goog", CLOUD_METADATA)];

/// What the host of a URI shows by itself. A name that passes here may still lead to an address that does not.
pub fn check_host(host: &Host<&str>, allow: &AllowList) -> Result<(), Refused> {
    match host {
        Host::Ipv4(address) => check_literal(IpAddr::from(*address), allow),
        Host::Ipv6(address) => check_literal(IpAddr::from(*address), allow),
        Host::Domain(name) => check_name(name, allow),
    }
}

/// `address` is what `host` resolved to, or is written as. A listed name is let through to wherever it leads.
pub fn check_address(address: IpAddr, host: &str, allow: &AllowList) -> Result<(), Refused> {
    if allow.covers_address(address) || allow.covers_name(host) {
        return Ok(());
    }
    if let IpAddr::V6(v6) = address {
        let inner = embedded(v6);
        if inner != [None, None] {
            return inner.into_iter().flatten().try_for_each(|inner| check_embedded(address, inner));
        }
    }
    special(address).map_or(Ok(()), |kind| Err(Refused::Address { address, kind }))
}

fn check_literal(address: IpAddr, allow: &AllowList) -> Result<(), Refused> {
    check_address(address, "", allow)
}

fn check_embedded(address: IpAddr, inner: Ipv4Addr) -> Result<(), Refused> {
    special(inner.into()).map_or(Ok(()), |kind| Err(Refused::Embedded { address, inner, kind }))
}

fn check_name(name: &str, allow: &AllowList) -> Result<(), Refused> {
    let bare = host_name(name).ok_or_else(|| Refused::BadHost(name.to_owned()))?;
    if allow.covers_name(bare) {
        return Ok(());
    }
    match INNER_NAMES.iter().find(|(inner, _)| is_at_or_below(bare, inner)) {
        Some((_, kind)) => Err(Refused::Name { host: bare.to_owned(), kind }),
        None => Ok(()),
    }
}

fn is_at_or_below(name: &str, inner: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.strip_suffix(inner).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::{any, proptest};
    use url::Host;

    use super::{Refused, check_address, check_host};
    use crate::webhook::allow::AllowList;
    use crate::webhook::networks::IPV4;

    #[track_caller]
    fn refusal(address: &str) -> String {
        check_address(address.parse().unwrap(), "example.com", &AllowList::none()).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_address_and_the_reason() {
        for (address, expected) in [
            ("127.0.0.1", "address 127.0.0.1 is loopback"),
            ("127.255.255.254", "address 127.255.255.254 is loopback"),
            ("0.0.0.0", "address 0.0.0.0 is unspecified"),
            ("0.1.2.3", "address 0.1.2.3 is of this network"),
            ("10.0.0.1", "address 10.0.0.1 is private"),
            ("172.31.255.255", "address 172.31.255.255 is private"),
            ("192.168.1.1", "address 192.168.1.1 is private"),
            ("169.254.1.1", "address 169.254.1.1 is link-local"),
            ("169.254.169.254", "address 169.254.169.254 is a cloud metadata service"),
            ("100.64.0.1", "address 100.64.0.1 is behind carrier NAT"),
            ("100.100.100.200", "address 100.100.100.200 is a cloud metadata service"),
            ("192.0.0.192", "address 192.0.0.192 is a cloud metadata service"),
            ("192.0.0.8", "address 192.0.0.8 is for protocol assignments"),
            ("192.0.2.1", "address 192.0.2.1 is for documentation"),
            ("198.51.100.1", "address 198.51.100.1 is for documentation"),
            ("203.0.113.1", "address 203.0.113.1 is for documentation"),
            ("198.19.0.1", "address 198.19.0.1 is for benchmarking"),
            ("224.0.0.1", "address 224.0.0.1 is multicast"),
            ("239.255.255.255", "address 239.255.255.255 is multicast"),
            ("240.0.0.1", "address 240.0.0.1 is reserved"),
            ("255.255.255.255", "address 255.255.255.255 is broadcast"),
            ("::", "address :: is unspecified"),
            ("::1", "address ::1 is loopback"),
            ("::7f00:1", "address ::7f00:1 is IPv4-compatible, which is deprecated"),
            ("::ffff:127.0.0.1", "address ::ffff:127.0.0.1 leads to 127.0.0.1, which is loopback"),
            ("::ffff:0:127.0.0.1", "address ::ffff:0:7f00:1 is reserved"),
            ("64:ff9b::10.0.0.1", "address 64:ff9b::a00:1 leads to 10.0.0.1, which is private"),
            ("64:ff9b:1::808:808", "address 64:ff9b:1::808:808 is for local-use NAT64"),
            ("2002:7f00:1::", "address 2002:7f00:1:: leads to 127.0.0.1, which is loopback"),
            // Teredo client 192.168.0.1 (each bit turned over) by way of a public server, then the other way about.
            ("2001:0:808:808::3f57:fffe", "address 2001:0:808:808::3f57:fffe leads to 192.168.0.1, which is private"),
            ("2001:0:a00:1::f7f7:f7f7", "address 2001:0:a00:1::f7f7:f7f7 leads to 10.0.0.1, which is private"),
            ("100::1", "address 100::1 is discard-only"),
            ("2001:2::1", "address 2001:2::1 is for benchmarking"),
            ("2001:20::1", "address 2001:20::1 is for protocol assignments"),
            ("2001:db8::1", "address 2001:db8::1 is for documentation"),
            ("3fff::1", "address 3fff::1 is for documentation"),
            ("5f00::1", "address 5f00::1 is for segment routing"),
            ("fc00::1", "address fc00::1 is unique local"),
            ("fd00:ec2::254", "address fd00:ec2::254 is a cloud metadata service"),
            ("fe80::1", "address fe80::1 is link-local"),
            ("fec0::1", "address fec0::1 is site-local"),
            ("ff02::1", "address ff02::1 is multicast"),
            ("4000::1", "address 4000::1 is reserved"),
        ] {
            assert_eq!(refusal(address), expected);
        }
    }

    #[test]
    fn public_addresses_pass_in_every_form() {
        for address in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700:4700::1111"] {
            assert_eq!(check_address(address.parse().unwrap(), "example.com", &AllowList::none()), Ok(()), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_an_inner_host_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "0.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "LocalHost.",
            "%6cocalhost",
            "ｌocalhost",
            "foo.localhost",
            "foo.LOCALHOST.",
            "metadata.google.internal",
        ] {
            let host = Host::parse(host).unwrap();
            let host = borrowed(&host);
            assert!(check_host(&host, &AllowList::none()).is_err(), "{host}");
        }
        for host in ["example.com", "example.com.", "notlocalhost", "localhost.example.com", "a_b.example.com"] {
            assert_eq!(check_host(&Host::Domain(host), &AllowList::none()), Ok(()), "{host}");
        }
    }

    #[test]
    fn names_that_nobody_can_look_up_are_refused() {
        let long = format!("{}.com", "a".repeat(64));
        for host in ["localhost..", "a..b", ".a", "", ".", "a\"b", "a{b}", long.as_str()] {
            assert_eq!(check_host(&Host::Domain(host), &AllowList::none()), Err(Refused::BadHost(host.to_owned())));
        }
    }

    #[test]
    fn networks_open_addresses_and_names_open_only_themselves() {
        let network = AllowList::parse(&["127.0.0.0/8".to_owned()]).unwrap();
        assert!(check_host(&Host::Ipv4(Ipv4Addr::LOCALHOST), &network).is_ok());
        assert!(check_address(IpAddr::from(Ipv4Addr::LOCALHOST), "receiver.test", &network).is_ok());
        assert!(check_host(&Host::Domain("localhost"), &network).is_err());
        assert!(check_address("10.0.0.1".parse().unwrap(), "receiver.test", &network).is_err());

        let name = AllowList::parse(&["localhost".to_owned()]).unwrap();
        assert!(check_host(&Host::Domain("LOCALHOST."), &name).is_ok());
        assert!(check_address(IpAddr::from(Ipv6Addr::LOCALHOST), "localhost", &name).is_ok());
        assert!(check_host(&Host::Ipv4(Ipv4Addr::LOCALHOST), &name).is_err());
        assert!(check_host(&Host::Domain("foo.localhost"), &name).is_err());
        assert!(check_address(IpAddr::from(Ipv4Addr::LOCALHOST), "receiver.test", &name).is_err());
    }

    fn borrowed(host: &Host) -> Host<&str> {
        match host {
            Host::Domain(name) => Host::Domain(name),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        }
    }

    /// Half of all IPv4 addresses near the edges of special networks, the other half anywhere.
    fn near_an_edge(pick: u32, anywhere: bool) -> Ipv4Addr {
        if anywhere {
            return Ipv4Addr::from_bits(pick);
        }
        let (network, _) = IPV4[pick as usize % IPV4.len()];
        let edge = if pick & 0x100 == 0 { network.network() } else { network.broadcast() };
        Ipv4Addr::from_bits(edge.to_bits().wrapping_add(pick >> 30).wrapping_sub(2))
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_refused_exactly_where_its_ipv6_forms_are(pick in any::<u32>(), anywhere in any::<bool>(), low in any::<u64>()) {
            let v4 = near_an_edge(pick, anywhere);
            let bits = u128::from(v4.to_bits());
            let refused = |address: IpAddr| check_address(address, "example.com", &AllowList::none()).is_err();
            let expected = refused(v4.into());
            let public = u128::from(0x0808_0808_u32);
            for form in [
                0xffff_u128 << 32 | bits,
                0x64_ff9b << 96 | bits,
                0x2002 << 112 | bits << 80 | u128::from(low),
                0x2001 << 112 | public << 64 | u128::from(low as u32) << 32 | u128::from(!v4.to_bits()),
                0x2001 << 112 | bits << 64 | u128::from(low as u32) << 32 | (!public & 0xffff_ffff),
            ] {
                let form = Ipv6Addr::from_bits(form);
                assert_eq!(refused(form.into()), expected, "{v4} as {form}");
            }
            // Forms that are no longer, or only locally, in use are refused whatever they carry.
            assert!(refused(Ipv6Addr::from_bits(bits).into()), "{v4}, IPv4-compatible");
            assert!(refused(Ipv6Addr::from_bits(0x64_ff9b_0001 << 80 | bits).into()), "{v4}, local NAT64");
        }
    }
}
