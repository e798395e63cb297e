//! How the actors of hooks come and go: started, found dead after a panic, and started again.
//!
//! A new actor takes over what the store has for its hook. It is started only when everything that the one before had
//! queued for the disk is there and counted: reading earlier would bring deliveries up again that are over, and count
//! some twice. Until then the hook's events go to the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::{error, warn};

use super::hooks::{Entry, bindings};
use super::registry::Registry;
use crate::ids::HookId;
use crate::metrics::ActorKind;
use crate::store::{StoreError, Target, Write};
use crate::webhook::actor::{Backlog, WebhookActor};
use crate::webhook::context::Figures;
use crate::webhook::hook::Hook;
use crate::webhook::messages::Discard;
use crate::webhook::retry::FailureWindow;

/// How long to leave a store alone that could not tell what it has.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// A place in the order of all that the Registry hands to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Era(u64);

impl Registry {
    /// A hook whose actor is alive, or is going to be.
    pub(super) fn entry(&self, id: HookId) -> Option<&Entry> {
        self.hooks.get(id).or_else(|| self.one_offs.get(id))
    }

    fn entry_mut(&mut self, id: HookId) -> Option<&mut Entry> {
        match self.hooks.get_mut(id) {
            Some(entry) => Some(entry),
            None => self.one_offs.get_mut(id),
        }
    }

    /// With that many deliveries in the store.
    pub(super) fn start_hook(&mut self, hook: Arc<Hook>, pending: u64, backlog: Backlog) {
        self.parts.bindings.need(bindings(&hook));
        let entry = self.enter(hook, Target::RegisteredHook, pending, backlog);
        self.hooks.insert(entry);
    }

    pub(super) fn enter(&self, hook: Arc<Hook>, target: Target, pending: u64, backlog: Backlog) -> Entry {
        let figures = Arc::new(Figures::new(&self.parts.metrics));
        figures.pending_changed(pending as i64);
        let addr = self.spawn(&hook, target, backlog, &figures);
        Entry { hook, target, addr, figures, reviving: false, counted: Era::default() }
    }

    fn spawn(
        &self,
        hook: &Arc<Hook>,
        target: Target,
        backlog: Backlog,
        figures: &Arc<Figures>,
    ) -> actix::Addr<WebhookActor> {
        let limits = self.failure_limits(hook.account);
        let shared = Arc::clone(&self.parts.hooks);
        let arbiter = &self.parts.arbiters[usize::from(hook.id.as_bytes()[0]) % self.parts.arbiters.len()];
        let (hook, figures, child) = (Arc::clone(hook), Arc::clone(figures), self.parent.child());
        WebhookActor::start_in_arbiter(arbiter, move |_| {
            WebhookActor::new(hook, target, limits, backlog, shared, figures, child)
        })
    }

    /// The actors that have panicked since the last look.
    pub(super) fn respawn_dead(&mut self, ctx: &mut Context<Self>) {
        // Not at every hook twice a second: there may be many. One that has just ended is looked for once more.
        let ended = self.parent.ended();
        if self.ended == [ended; 2] {
            return;
        }
        self.ended = [self.ended[1], ended];
        let all = self.hooks.iter().chain(self.one_offs.iter());
        let dead = all.filter(|entry| !entry.reviving && !entry.addr.connected()).map(|entry| entry.hook.id);
        for id in dead.collect::<Vec<_>>() {
            self.respawn(id, ctx);
        }
    }

    pub(super) fn respawn(&mut self, id: HookId, ctx: &mut Context<Self>) {
        if self.draining {
            // What it had is on disk, or goes back to its senders.
            return;
        }
        let Some(entry) = self.entry_mut(id).filter(|entry| !entry.reviving) else { return };
        entry.reviving = true;
        entry.figures.restarts.fetch_add(1, Ordering::Relaxed);
        entry.figures.mailbox.forget();
        warn!("the actor of hook {id} ended unexpectedly and is started again");
        self.parts.metrics.restart(ActorKind::WebhookActor);
        self.count_and_start(id, ctx);
    }

    fn count_and_start(&mut self, id: HookId, ctx: &mut Context<Self>) {
        let era = self.next_era();
        let store = self.parts.store.clone();
        // It may have been deleted since.
        let Some(entry) = self.entry_mut(id).filter(|entry| entry.reviving) else { return };
        // From here on changes are counted from nothing, and what was before them is in the answer.
        entry.counted = era;
        entry.figures.forget_pending();
        let counted = store.pending(id);
        let read = async move { Ok((counted.await?, store.failures(id).await?)) }.into_actor(self);
        ctx.spawn(read.map(move |result: Result<_, StoreError>, actor, ctx| {
            if actor.entry(id).is_none_or(|entry| entry.counted != era) {
                return;
            }
            match result {
                Ok((pending, failures)) => actor.start_again(id, pending, failures, ctx),
                Err(error) => {
                    error!("cannot read what the store has for hook {id}, and try again: {error}");
                    ctx.run_later(STORE_PAUSE, move |actor, ctx| actor.count_and_start(id, ctx));
                }
            }
        }));
    }

    fn start_again(&mut self, id: HookId, pending: u64, failures: Vec<u64>, ctx: &mut Context<Self>) {
        let Some(entry) = self.entry(id) else { return };
        entry.figures.pending_changed(pending as i64);
        let is_waiting = entry.figures.pending() > 0;
        if entry.target == Target::OneOffHook && !is_waiting {
            // Nothing is left to do, and nobody else would notice.
            self.one_offs.remove(id);
            self.revive_one_offs(ctx);
            return;
        }
        let backlog = Backlog { first_due_ms: is_waiting.then_some(0), failures: FailureWindow::from_times(failures) };
        let addr = self.spawn(&entry.hook, entry.target, backlog, &entry.figures);
        if let Some(entry) = self.entry_mut(id) {
            entry.addr = addr;
            entry.reviving = false;
        }
    }

    /// The hook was deleted from the store. Its actor, which ends, sees to what came there since; one that is dead cannot.
    pub(super) fn end(&self, entry: &Entry) {
        if entry.addr.connected() {
            entry.addr.do_send(Discard);
        } else {
            self.parts.store.write(vec![Write::DeleteHook(entry.hook.id)]);
        }
    }

    fn next_era(&mut self) -> Era {
        self.era.0 += 1;
        self.era
    }
}
