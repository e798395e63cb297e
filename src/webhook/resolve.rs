//! Host names to addresses, by the system's resolver or by name servers of the operator's choice.
//!
//! Called by the guarded connector, which judges what comes back. Nothing here filters, and literal addresses do not
//! come here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// A connection attempt goes through at most this many addresses of a name; the others are left out.
const ADDRESSES_MAX: usize = 16;

/// The usual port of name servers, for entries that give none.
const DNS_PORT: u16 = 53;

/// How names are looked up.
#[derive(Debug, Clone)]
pub enum Resolver {
    System,
    /// `webhooks.dns_servers`. The hosts file is not asked.
    Servers(Box<TokioResolver>),
}

/// The resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    #[error("name server {0:?} is not an address with an optional port")]
    BadServer(String),
    #[error("cannot set up the resolver: {0}")]
    SetUp(#[source] NetError),
}

/// A name cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("cannot resolve {host}: {error}")]
    System { host: String, error: io::Error },
    #[error("cannot resolve {host}: {error}")]
    Servers { host: String, error: NetError },
    #[error("{host} has no address")]
    NoAddress { host: String },
}

impl Resolver {
    /// `servers` are addresses with or without a port; no server at all means the system's resolver. `timeout` is for
    /// one question to one server.
    pub fn new(servers: &[String], timeout: Duration) -> Result<Self, ResolverError> {
        if servers.is_empty() {
            return Ok(Self::System);
        }
        let servers = servers.iter().map(|server| name_server(server)).collect::<Result<_, _>>()?;
        let config = ResolverConfig::from_name_servers(servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = timeout;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(|resolver| Self::Servers(Box::new(resolver))).map_err(ResolverError::SetUp)
    }

    /// At least one address, in the order in which they are to be tried.
    pub async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
        let found: Vec<SocketAddr> = match self {
            Self::System => match tokio::net::lookup_host((host, port)).await {
                Ok(addresses) => addresses.take(ADDRESSES_MAX).collect(),
                Err(error) => {
                    return Err(LookupError::System { host: host.to_owned(), error });
                }
            },
            Self::Servers(resolver) => match resolver.lookup_ip(host).await {
                Ok(addresses) => addresses.iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, port)).collect(),
                Err(error) => {
                    return Err(LookupError::Servers { host: host.to_owned(), error });
                }
            },
        };
        if found.is_empty() { Err(LookupError::NoAddress { host: host.to_owned() }) } else { Ok(found) }
    }
}

fn name_server(text: &str) -> Result<NameServerConfig, ResolverError> {
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT)))
        .map_err(|_| ResolverError::BadServer(text.to_owned()))?;
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    Ok(NameServerConfig::new(address.ip(), true, connections.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Resolver;

    #[test]
    fn a_bad_name_server_is_named() {
        for bad in ["", "dns.example", "1.1.1.1:x", "[::1]", "1.1.1.1:70000"] {
            let error = Resolver::new(&["1.1.1.1".to_owned(), bad.to_owned()], Duration::from_secs(1)).unwrap_err();
            assert_eq!(error.to_string(), format!("name server {bad:?} is not an address with an optional port"));
        }
    }

    #[test]
    fn without_servers_the_system_resolves() {
        assert!(matches!(Resolver::new(&[], Duration::from_secs(1)), Ok(Resolver::System)));
    }
}
