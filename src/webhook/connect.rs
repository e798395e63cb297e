//! The connector that asks the guard: every connection of every hook is opened here and nowhere else.
//!
//! Given to each hook's HTTP client. It looks a name up, drops the addresses that the guard refuses, and connects to
//! what is left, so that no later look-up can lead elsewhere. TLS comes on top of it and keeps to the URL's host.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::net::TcpStream;
use actix_tls::connect::tcp::TcpConnector;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::dev::{Service, always_ready};
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use url::Host;

use crate::webhook::allow::AllowList;
use crate::webhook::guard::{Refused, check_address, check_host};
use crate::webhook::resolve::Resolver;

/// Where connections may lead, and how names are looked up.
#[derive(Debug)]
pub struct Reach {
    pub allow: AllowList,
    pub resolver: Resolver,
}

/// Refusals travel as [`ConnectError::Resolver`] and downcast to [`Refused`].
#[derive(Debug, Clone)]
pub struct GuardedConnector {
    reach: Arc<Reach>,
}

/// Whether a request had a connection opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Fresh,
    Reused,
}

tokio::task_local! {
    // The pool does not tell whether it reused a connection; this service is called exactly when it did not.
    static LINK: Rc<Cell<Link>>;
}

/// Runs one request and says over what kind of connection it went.
pub async fn observed<F: Future>(request: F) -> (F::Output, Link) {
    let link = Rc::new(Cell::new(Link::Reused));
    let output = LINK.scope(Rc::clone(&link), request).await;
    (output, link.get())
}

impl GuardedConnector {
    pub fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        // Outside of `observed` nobody asks.
        let _ = LINK.try_with(|link| link.set(Link::Fresh));
        let reach = Arc::clone(&self.reach);
        Box::pin(async move {
            let addresses = reach.addresses(info.hostname(), info.port()).await?;
            // Whatever addresses came with the request are overwritten: only checked ones are left.
            let connection = TcpConnector::default().service().call(info.set_addrs(addresses)).await?;
            connection.io_ref().set_nodelay(true).map_err(ConnectError::Io)?;
            Ok(connection)
        })
    }
}

impl Reach {
    async fn addresses(&self, hostname: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let host = Host::parse(hostname).map_err(|_| refusal(Refused::BadHost(hostname.to_owned())))?;
        let (name, found) = match &host {
            Host::Ipv4(address) => ("", vec![SocketAddr::new((*address).into(), port)]),
            Host::Ipv6(address) => ("", vec![SocketAddr::new((*address).into(), port)]),
            Host::Domain(name) => {
                check_host(&Host::Domain(name.as_str()), &self.allow).map_err(refusal)?;
                let found = self.resolver.lookup(name, port).await;
                (name.as_str(), found.map_err(|error| ConnectError::Resolver(Box::new(error)))?)
            }
        };
        let mut refused = None;
        let mut passed = Vec::with_capacity(found.len());
        for address in found {
            match check_address(address.ip(), name, &self.allow) {
                Ok(()) => passed.push(address),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        match refused {
            Some(reason) if passed.is_empty() => Err(refusal(reason)),
            _ => Ok(passed),
        }
    }
}

fn refusal(refused: Refused) -> ConnectError {
    ConnectError::Resolver(Box::new(refused))
}
