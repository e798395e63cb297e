//! The configuration: one struct per section of `config.toml`, read and checked once at start.
//!
//! Sources, later ones win: built-in defaults, `config.toml` (or the file given with `--config`), environment variables
//! `HOOKSWITCH__SECTION__KEY`. Every problem is reported, not only the first. Nothing outside this module reads the
//! environment or the file.

mod amqp;
mod auth;
mod channels;
mod http;
mod import;
mod load;
mod node;
mod store;
mod webhooks;
mod websockets;

pub use amqp::{Amqp, Argument, ExchangeOverride};
pub use auth::{Auth, KazooKey};
pub use channels::Channels;
pub use http::Http;
pub use import::Import;
pub use load::{ConfigError, load};
pub use node::Node;
pub use store::Store;
pub use webhooks::Webhooks;
pub use websockets::Websockets;

use serde::{Deserialize, Serialize};

/// All settings. `Default` is what an empty file gives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub node: Node,
    pub http: Http,
    pub amqp: Amqp,
    pub webhooks: Webhooks,
    pub channels: Channels,
    pub websockets: Websockets,
    pub auth: Auth,
    pub store: Store,
    pub import: Import,
}

impl Config {
    /// Whether a broker is configured; without one events come in over HTTP only.
    pub fn has_broker(&self) -> bool {
        !self.amqp.uri.is_empty()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Problems::default();
        self.node.check(&mut problems);
        self.http.check(&mut problems);
        self.amqp.check(&mut problems);
        self.webhooks.check(&mut problems);
        self.channels.check(&mut problems);
        self.websockets.check(&mut problems);
        self.auth.check(&mut problems);
        self.store.check(&mut problems);
        self.import.check(&mut problems);
        problems.0
    }
}

/// Collects what is wrong, each problem naming its key.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, key: &str, problem: impl std::fmt::Display) {
        self.0.push(format!("{key}: {problem}"));
    }

    fn within(&mut self, key: &str, value: u64, range: std::ops::RangeInclusive<u64>) {
        if !range.contains(&value) {
            self.add(key, format!("{value} is not within {} to {}", range.start(), range.end()));
        }
    }

    /// A number of milliseconds between one millisecond and a week.
    fn milliseconds(&mut self, key: &str, value: u64) {
        self.within(key, value, 1..=7 * 24 * 3_600_000);
    }

    fn socket_address(&mut self, key: &str, value: &str) {
        if value.parse::<std::net::SocketAddr>().is_err() {
            self.add(key, format!("{value:?} is not an address and port such as 127.0.0.1:8000"));
        }
    }
}
