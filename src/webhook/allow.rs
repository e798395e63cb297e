//! The operator's exceptions from the guard, `webhooks.allow_hosts`: networks, single addresses and host names.
//!
//! Parsed once from the configuration; read by the guard. It never looks a name up.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

/// Networks cover literal and resolved addresses; a name covers itself and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    networks: Vec<IpNet>,
    names: Vec<String>,
}

/// An entry is neither a network, nor an address, nor a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network, an address or a host name")]
pub struct BadEntry(pub String);

impl AllowList {
    /// Lets nothing through.
    pub fn none() -> Self {
        Self::default()
    }

    /// Entries such as `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`, `receiver.internal`; the first bad one is named.
    pub fn parse(entries: &[String]) -> Result<Self, BadEntry> {
        let mut list = Self::none();
        for entry in entries {
            list.add(entry.trim()).ok_or_else(|| BadEntry(entry.clone()))?;
        }
        Ok(list)
    }

    /// Whether the name itself is listed, in any case, with or without a trailing dot.
    pub fn covers_name(&self, host: &str) -> bool {
        let host = without_final_dot(host);
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether a listed network holds the address. `::ffff:10.0.0.1` is held by a network that holds `10.0.0.1`:
    /// the two reach the same machine in the same way.
    pub fn covers_address(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address) || network.contains(&plain))
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        if let Ok(network) = entry.parse::<IpNet>() {
            self.networks.push(network);
        } else if let Ok(address) = entry.parse::<IpAddr>() {
            self.networks.push(address.into());
        } else {
            match Host::parse(entry).ok()? {
                Host::Ipv4(address) => self.networks.push(IpAddr::from(address).into()),
                Host::Ipv6(address) => self.networks.push(IpAddr::from(address).into()),
                Host::Domain(name) => self.names.push(host_name(&name)?.to_owned()),
            }
        }
        Some(())
    }
}

/// The name without its final dot, if it is one that can be looked up: labels of letters, digits, `-` and `_`.
pub(super) fn host_name(name: &str) -> Option<&str> {
    let bare = without_final_dot(name);
    let valid = !bare.is_empty() && bare.len() <= 253 && bare.split('.').all(is_label);
    valid.then_some(bare)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{AllowList, BadEntry};

    fn list(entries: &[&str]) -> AllowList {
        AllowList::parse(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn networks_and_single_addresses_cover_addresses() {
        let list = list(&["10.0.0.0/8", " 127.0.0.1 ", "fd00::/8", "[::1]", "::ffff:192.168.0.0/112"]);
        for covered in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd12::1", "::1", "::ffff:192.168.0.9"] {
            assert!(list.covers_address(covered.parse().unwrap()), "{covered}");
        }
        for other in ["11.0.0.1", "127.0.0.2", "fe80::1", "::2", "::ffff:127.0.0.2", "64:ff9b::10.1.2.3"] {
            assert!(!list.covers_address(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_name_covers_itself_in_any_case_and_nothing_below_it() {
        let list = list(&["Receiver.Internal.", "localhost"]);
        for covered in ["receiver.internal", "RECEIVER.internal.", "localhost.", "LOCALHOST"] {
            assert!(list.covers_name(covered), "{covered}");
        }
        for other in ["a.receiver.internal", "internal", "foo.localhost", ""] {
            assert!(!list.covers_name(other), "{other}");
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        for bad in ["", "10.0.0.0/33", "*.localhost", "host:80", "http://host", "a b", "a..b", ".", "256.1.1.1"] {
            let entries = ["10.0.0.0/8".to_owned(), bad.to_owned()];
            assert_eq!(AllowList::parse(&entries), Err(BadEntry(bad.to_owned())), "{bad}");
        }
    }
}
