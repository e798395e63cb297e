//! What every handler may use.

use std::sync::Arc;

use crate::auth::Auth;
use crate::config::Config;
use crate::ids::AccountId;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::routing::commands::Commands;
use crate::routing::registry::Registry;
use crate::store::Store;
use crate::supervise::Slot;
use crate::webhook::allow::AllowList;
use crate::websocket::reception::Desk;
use crate::websocket::roster::Roster;
use crate::websocket::upgrade::Lobby;

pub struct State {
    pub config: Config,
    pub allow: Arc<AllowList>,
    pub auth: Arc<Auth>,
    pub store: Store,
    pub registry: Slot<Registry>,
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    pub system_account: AccountId,
    /// One entry per kind of actor besides the hooks, for `GET /v2/actors`.
    pub actors: Vec<ActorProbe>,
    /// To the bus, by the connection that no other server can take over; `None` without a broker.
    pub commands: Commands,
    /// Who is on the sockets.
    pub roster: Arc<Roster>,
    /// Where sockets and streams are let in.
    pub lobby: Arc<Lobby<Desk>>,
    /// Account documents change one at a time, so that checks on the tree hold until the change is on disk.
    pub account_writes: tokio::sync::Mutex<()>,
}

/// Reads the figures of one actor.
pub struct ActorProbe {
    pub kind: &'static str,
    /// Which of several of the kind.
    pub queue: Option<&'static str>,
    pub read: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
}
