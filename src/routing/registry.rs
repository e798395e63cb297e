//! The Registry: knows every hook, starts their actors, and gives each event to those that it belongs to.
//!
//! |            |                                                                                             |
//! |------------|---------------------------------------------------------------------------------------------|
//! | owns       | the hooks and their actors, the one-off hooks, the count of bindings, whose call is whose   |
//! | receives   | `Ingest` from the AMQP consumers and HTTP; `LiveGap` from the consumer of live events; the   |
//! |            | messages of [`super::messages`] from HTTP; `DisableHook`, `OneOffIdle` from hooks           |
//! | sends      | `Deliver`, `Update`, `Discard` … to hooks; `Reconcile` to the consumers; `Publish`, `Ingest` |
//! | fails when | a handler panics                                                                            |
//! | on failure | events in its mailbox go back to their senders, and its hooks end; then app builds it anew  |
//! |            | from the store                                                                              |
//!
//! It is derived state: everything here can be rebuilt from the store. It never sends an HTTP request and never reads
//! from the broker. [`super::events`] is the way of an event, [`super::changes`] that of a changed hook, and
//! [`super::respawn`] starts their actors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ArbiterHandle, AsyncContext, Context, WrapFuture};
use log::{error, info};

use super::bindings::{Bindings, Reconcile};
use super::calls::Calls;
use super::channels::Channels;
use super::conferences::Conferences;
use super::demand::Demand;
use super::history::{self, History};
use super::holds::Holds;
use super::hooks::Hooks;
use super::listeners::Listeners;
use super::messages::AccountLimits;
use super::one_offs::{OneOffs, Waiting};
use super::pace::Pace;
use super::respawn::Era;
use super::writes::Writes;
use crate::auth::Auth;
use crate::config;
use crate::event::{Ingest, Publish};
use crate::faults::fault_point;
use crate::ids::{AccountId, HookId};
use crate::kazoo::bindings::{channel_bindings, one_off_binding};
use crate::metrics::Metrics;
use crate::metrics::mailbox::Mailbox;
use crate::store::{Loaded, Store};
use crate::supervise::beat::next_beat;
use crate::supervise::children::{Children, Parent};
use crate::supervise::{Door, Slot};
use crate::webhook::actor::Backlog;
use crate::webhook::context::HookContext;
use crate::webhook::hook::Hook;
use crate::webhook::messages::Dismiss;
use crate::webhook::retry::{FailureLimits, FailureWindow};
use crate::websocket::roster::Roster;

const LOOK: Duration = Duration::from_millis(500);

/// What the Registry is built from, again and again.
#[derive(Clone)]
pub struct Parts {
    pub webhooks: config::Webhooks,
    pub bind_timeout_ms: u64,
    pub node_name: String,
    pub store: Store,
    pub auth: Auth,
    pub metrics: Arc<Metrics>,
    pub hooks: Arc<HookContext>,
    pub bindings: Arc<Bindings>,
    pub bus: Bus,
    pub live: Demand,
    /// Whether every call is to be known, or only those that sockets hear of anyway.
    pub track_channels: bool,
    /// Shared, so that a panic does not forget them.
    pub channels: Arc<Mutex<Channels>>,
    pub roster: Arc<Roster>,
    /// What each account's history keeps at most.
    pub history: history::Limits,
    pub histories_max: usize,
    /// Hook actors live on these, spread by hook id.
    pub arbiters: Vec<ArbiterHandle>,
    pub slot: Slot<Registry>,
    /// The hooks' actors. The next Registry starts its own when none of them is left.
    pub children: Children,
    /// Whose call is whose is nowhere else, and so outlives a panic here.
    pub calls: Arc<Mutex<Calls>>,
    /// Shared for the same reason.
    pub conferences: Arc<Mutex<Conferences>>,
}

/// The ways to the broker, and the front door for what has to be an event of ours when there is none.
#[derive(Clone)]
pub struct Bus {
    pub reconcile: Door<Reconcile>,
    pub publish: Door<Publish>,
    pub ingest: Door<Ingest>,
}

pub struct Registry {
    pub(super) parts: Parts,
    pub(super) hooks: Hooks,
    pub(super) one_offs: OneOffs,
    pub(super) limits: HashMap<AccountId, AccountLimits>,
    pub(super) parent: Parent,
    /// How many hooks had ended at the look before the last one, and at that.
    pub(super) ended: [u64; 2],
    /// Where the Registry is in the order of what it hands to the store.
    pub(super) era: Era,
    pub(super) listeners: Listeners,
    pub(super) pace: Pace,
    pub(super) holds: Holds,
    /// Of the accounts that somebody follows with positions.
    pub(super) histories: HashMap<AccountId, History>,
    /// The state of the directory when it was last looked at who may have what.
    pub(super) checked_rights: Option<u64>,
    /// Reused for each event.
    pub(super) topic: String,
    pub(super) writes: Writes,
    pub(super) draining: bool,
    /// Reused for each event.
    pub(super) found: Vec<HookId>,
}

impl Registry {
    /// Starts the actors of all hooks that the store has, and counts what they need from the broker.
    pub fn new(parts: Parts, loaded: Loaded) -> Self {
        let parent = parts.children.parent();
        let mut registry = Self {
            parts,
            hooks: Hooks::default(),
            one_offs: OneOffs::default(),
            limits: HashMap::new(),
            parent,
            ended: [0; 2],
            era: Era::default(),
            listeners: Listeners::default(),
            pace: Pace::default(),
            holds: Holds::default(),
            histories: HashMap::new(),
            checked_rights: None,
            topic: String::new(),
            writes: Writes::default(),
            draining: false,
            found: Vec::new(),
        };
        registry.take_over(loaded);
        registry
    }

    fn take_over(&mut self, mut loaded: Loaded) {
        self.parts.bindings.release_all();
        self.parts.bindings.need([one_off_binding()]);
        self.parts.live.release_all();
        if self.parts.track_channels {
            // Nobody waits for it: a call is known from its next event on.
            drop(self.parts.live.need(&channel_bindings()));
        }
        for (account, record) in loaded.configs {
            match serde_json::from_slice(&record) {
                Ok(limits) => {
                    self.limits.insert(account, limits);
                }
                Err(error) => error!("the webhook numbers of account {account} are unreadable: {error}"),
            }
        }
        for (id, record) in loaded.hooks {
            let pending = loaded.pending.remove(&id);
            let backlog = Backlog {
                first_due_ms: pending.map(|pending| pending.first_due_ms),
                failures: FailureWindow::from_times(loaded.failures.remove(&id).unwrap_or_default()),
            };
            match Hook::from_record(&record) {
                Ok(hook) => self.start_hook(Arc::new(hook), pending.map_or(0, |pending| pending.count), backlog),
                Err(error) => error!("hook {id} is unreadable and gets no events: {error}"),
            }
        }
        // What is left belongs to no registered hook: to one-off hooks, which their events carry.
        for (id, pending) in loaded.pending {
            self.one_offs.parked(id, Waiting { count: pending.count, due_ms: pending.first_due_ms });
        }
        fault_point!("registry.build");
        self.count_hooks();
        info!("{} hooks registered", self.hooks.len());
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        self.parts.slot.mailbox()
    }

    pub(super) fn channels(&self) -> MutexGuard<'_, Channels> {
        self.parts.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure_limits(&self, account: AccountId) -> FailureLimits {
        let own = self.limits.get(&account).copied().unwrap_or_default();
        FailureLimits {
            count: own.attempt_failure_count.unwrap_or(self.parts.webhooks.attempt_failure_count),
            expiry_ms: own.attempt_failure_expiry_ms.unwrap_or(self.parts.webhooks.attempt_failure_expiry_ms),
        }
    }

    pub(super) fn count_hooks(&self) {
        self.parts.metrics.hooks.set(self.hooks.len() as i64);
        self.parts.metrics.hooks_disabled.set(self.hooks.disabled() as i64);
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.revive_one_offs(ctx);
        // The one before may have panicked between a change and its bindings.
        let reconciled = self.reconcile();
        ctx.spawn(async move { _ = reconciled.await }.into_actor(self));
        // A dead hook actor is found at its next event; one that only had a timer left is found here.
        ctx.run_interval_at(next_beat(LOOK), LOOK, |actor, ctx| {
            actor.respawn_dead(ctx);
            actor.recheck_rights();
            actor.age_histories();
            actor.revive_one_offs(ctx);
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.parts.slot.count_panic();
    }
}

/// Also when a panic unwinds. Without it, they would go on beside the actors of the next Registry.
impl Drop for Registry {
    fn drop(&mut self) {
        for entry in self.hooks.iter().chain(self.one_offs.iter()) {
            entry.addr.do_send(Dismiss);
        }
    }
}
