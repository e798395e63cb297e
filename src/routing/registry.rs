//! The Registry: knows every hook, starts their actors, and gives each event to those that it belongs to.
//!
//! |            |                                                                                             |
//! |------------|---------------------------------------------------------------------------------------------|
//! | owns       | the hooks and their actors, the one-off hooks, the count of bindings, whose call is whose   |
//! | receives   | `Ingest` from the AMQP consumer and HTTP; the messages of [`super::messages`] from HTTP;     |
//! |            | `DisableHook`, `OneOffIdle` from hooks                                                      |
//! | sends      | `Deliver`, `Update`, `Discard` … to hooks; `Reconcile` to the consumer; `Publish`, `Ingest`  |
//! | fails when | a handler panics                                                                            |
//! | on failure | events in its mailbox go back to their senders; app builds it anew from the store            |
//!
//! It is derived state: everything here can be rebuilt from the store. It never sends an HTTP request and never reads
//! from the broker. [`super::events`] is the way of an event, [`super::changes`] that of a changed hook.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, ArbiterHandle, AsyncContext, Context, WrapFuture};
use log::{error, info, warn};

use super::bindings::{Bindings, Reconcile};
use super::calls::Calls;
use super::hooks::{Entry, Hooks, bindings};
use super::messages::AccountLimits;
use super::one_offs::OneOffs;
use crate::auth::Auth;
use crate::config;
use crate::event::{Ingest, Publish};
use crate::ids::{AccountId, HookId};
use crate::kazoo::bindings::one_off_binding;
use crate::metrics::{ActorKind, Mailbox, Metrics};
use crate::store::{Loaded, Pending, Store, StoreError, Target};
use crate::supervise::{Door, Slot};
use crate::webhook::actor::{Backlog, WebhookActor};
use crate::webhook::context::{Figures, HookContext};
use crate::webhook::hook::Hook;
use crate::webhook::messages::{Overflowed, TakeOver};
use crate::webhook::retry::{FailureLimits, FailureWindow};

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
    /// Hook actors live on these, spread by hook id.
    pub arbiters: Vec<ArbiterHandle>,
    pub slot: Slot<Registry>,
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
    pub(super) calls: Calls,
    /// Hooks with a write under way: one at a time each.
    pub(super) writing: HashSet<HookId>,
    pub(super) draining: bool,
    /// Reused for each event.
    pub(super) found: Vec<HookId>,
}

impl Registry {
    /// Starts the actors of all hooks that the store has, and counts what they need from the broker.
    pub fn new(parts: Parts, loaded: Loaded) -> Self {
        let webhooks = &parts.webhooks;
        let calls = Calls::new(webhooks.calls_max, webhooks.calls_hours * 3_600_000);
        let mut registry = Self {
            parts,
            hooks: Hooks::default(),
            one_offs: OneOffs::default(),
            limits: HashMap::new(),
            calls,
            writing: HashSet::new(),
            draining: false,
            found: Vec::new(),
        };
        registry.take_over(loaded);
        registry
    }

    fn take_over(&mut self, mut loaded: Loaded) {
        self.parts.bindings.release_all();
        self.parts.bindings.need([one_off_binding()]);
        for (account, record) in loaded.configs {
            match serde_json::from_slice(&record) {
                Ok(limits) => {
                    self.limits.insert(account, limits);
                }
                Err(error) => error!("the webhook numbers of account {account} are unreadable: {error}"),
            }
        }
        for (id, record) in loaded.hooks {
            let backlog = backlog(loaded.pending.remove(&id), loaded.failures.remove(&id).unwrap_or_default());
            match Hook::from_record(&record) {
                Ok(hook) => self.start_hook(Arc::new(hook), backlog),
                Err(error) => error!("hook {id} is unreadable and gets no events: {error}"),
            }
        }
        // What is left belongs to no registered hook: to one-off hooks, which their events carry.
        for (id, pending) in loaded.pending {
            self.one_offs.parked(id, Overflowed { count: pending.count, due_ms: pending.first_due_ms });
        }
        self.count_hooks();
        info!("{} hooks registered", self.hooks.len());
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        self.parts.slot.mailbox()
    }

    pub(super) fn start_hook(&mut self, hook: Arc<Hook>, backlog: Backlog) {
        self.parts.bindings.need(bindings(&hook));
        let entry = self.spawn(hook, Target::RegisteredHook, backlog, Arc::default());
        self.hooks.insert(entry);
    }

    pub(super) fn spawn(&self, hook: Arc<Hook>, target: Target, backlog: Backlog, figures: Arc<Figures>) -> Entry {
        let limits = self.failure_limits(hook.account);
        let shared = Arc::clone(&self.parts.hooks);
        let arbiter = &self.parts.arbiters[usize::from(hook.id.as_bytes()[0]) % self.parts.arbiters.len()];
        let (of_actor, figures_of_actor) = (Arc::clone(&hook), Arc::clone(&figures));
        let addr = WebhookActor::start_in_arbiter(arbiter, move |_| {
            WebhookActor::new(of_actor, target, limits, backlog, shared, figures_of_actor)
        });
        Entry { hook, addr, figures }
    }

    pub(super) fn failure_limits(&self, account: AccountId) -> FailureLimits {
        let own = self.limits.get(&account).copied().unwrap_or_default();
        FailureLimits {
            count: own.attempt_failure_count.unwrap_or(self.parts.webhooks.attempt_failure_count),
            expiry_ms: own.attempt_failure_expiry_ms.unwrap_or(self.parts.webhooks.attempt_failure_expiry_ms),
        }
    }

    pub(super) fn count_hooks(&self) {
        let disabled = self.hooks.iter().filter(|entry| !entry.hook.enabled).count();
        self.parts.metrics.hooks.set(self.hooks.len() as i64);
        self.parts.metrics.hooks_disabled.set(disabled as i64);
    }

    /// An actor that panicked is started again, with what the store has for it.
    pub(super) fn respawn(&mut self, id: HookId, ctx: &mut Context<Self>) {
        let Some(figures) = self.hooks.get(id).map(|entry| Arc::clone(&entry.figures)) else {
            return;
        };
        warn!("the actor of hook {id} ended unexpectedly and is started again");
        self.parts.metrics.restart(ActorKind::WebhookActor);
        figures.restarts.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = self.hooks.get(id).map(|entry| Arc::clone(&entry.hook)) {
            let entry = self.spawn(before, Target::RegisteredHook, Backlog::default(), figures);
            if let Some(present) = self.hooks.get_mut(id) {
                *present = entry;
            }
        }
        let store = self.parts.store.clone();
        let looked_up = async move { Ok((store.pending(id).await?, store.failures(id).await?)) }.into_actor(self);
        ctx.spawn(looked_up.map(move |result: Result<_, StoreError>, actor, _| match (result, actor.hooks.get(id)) {
            (Ok((pending, failures)), Some(entry)) => entry.addr.do_send(TakeOver(backlog(pending, failures))),
            (Ok(_), None) => (),
            (Err(error), _) => error!("cannot read what the store has for hook {id}: {error}"),
        }));
    }
}

fn backlog(pending: Option<Pending>, failures: Vec<u64>) -> Backlog {
    Backlog {
        pending: pending.map_or(0, |pending| pending.count),
        first_due_ms: pending.map(|pending| pending.first_due_ms),
        failures: FailureWindow::from_times(failures),
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.revive_one_offs(ctx);
        // A dead hook actor is found at its next event; one that only had a timer left is found here.
        ctx.run_interval(Duration::from_millis(500), |actor, ctx| {
            let dead: Vec<HookId> =
                actor.hooks.iter().filter(|entry| !entry.addr.connected()).map(|entry| entry.hook.id).collect();
            for id in dead {
                actor.respawn(id, ctx);
            }
            actor.park_dead_one_offs(ctx);
            actor.revive_one_offs(ctx);
        });
    }
}
