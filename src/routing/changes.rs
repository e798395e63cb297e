//! The way of a changed hook: to the store, to the broker, to its actor, and only then is it answered.
//!
//! One write at a time per hook: a second one that comes while the first is under way waits for its end, and is told that
//! it is stale.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, ActorTryFutureExt, AsyncContext, Handler, ResponseActFuture, WrapFuture};
use futures_util::future::{FutureExt, join_all};
use log::info;
use serde_json::json;

use super::bindings::{NotBound, Reconcile};
use super::hooks::bindings;
use super::messages::{
    AccountLimits, DeleteHook, Drain, EnableHooks, ForgetAccount, HookError, PutHook, PutLimits, Replaces, ResendDead,
};
use super::registry::Registry;
use crate::event::now_ms;
use crate::faults::fault_point;
use crate::ids::{AccountId, HookId};
use crate::metrics::DeliveryOutcome;
use crate::store::{Committed, DeliveryKey, StoreError, Write};
use crate::webhook::actor::Backlog;
use crate::webhook::attempt::one_off_log;
use crate::webhook::hook::Hook;
use crate::webhook::messages::{Discard, Update, WriteDown};

impl Registry {
    /// The answer to a change of a hook that is being written just now, once that is over.
    fn overtaken<T: 'static>(&mut self, id: HookId) -> ResponseActFuture<Self, Result<T, HookError>> {
        Box::pin(self.writes.ended(id).map(move |()| Err(HookError::Stale(id))).into_actor(self))
    }

    /// Stores a hook; the result is in force everywhere but perhaps at the broker.
    pub(super) fn store_hook(&mut self, hook: Hook) -> ResponseActFuture<Self, Result<Arc<Hook>, HookError>> {
        let id = hook.id;
        if !self.writes.begin(id) {
            return self.overtaken(id);
        }
        let hook = Arc::new(hook);
        let stored = self.parts.store.commit(vec![Write::PutHook { id, record: hook.to_record() }]);
        Box::pin(stored.into_actor(self).map(move |result, actor, _| {
            actor.writes.end(id);
            result?;
            fault_point!("registry.stored");
            actor.put_in_force(&hook);
            Ok(hook)
        }))
    }

    fn put_in_force(&mut self, hook: &Arc<Hook>) {
        let limits = self.failure_limits(hook.account);
        match self.hooks.get(hook.id).map(|entry| Arc::clone(&entry.hook)) {
            Some(before) => {
                // First the new needs, so that what both need is not unbound in between.
                self.parts.bindings.need(bindings(hook));
                self.parts.bindings.release(&bindings(&before));
                if let Some(entry) = self.hooks.replace(Arc::clone(hook)) {
                    if !entry.addr.connected() && !before.enabled && hook.enabled {
                        // An actor that is started again reads its failures; those from before count no more.
                        self.parts.store.write(vec![Write::PutFailures { hook: hook.id, times: Vec::new() }]);
                    }
                    entry.addr.do_send(Update { hook: Arc::clone(hook), limits });
                }
            }
            None => self.start_hook(Arc::clone(hook), 0, Backlog::default()),
        }
        self.count_hooks();
    }

    /// Waits for the broker to have every binding, but not longer than a client should wait.
    pub(super) fn reconcile(&self) -> impl Future<Output = Result<(), NotBound>> + 'static + use<> {
        let reconcile = &self.parts.bus.reconcile;
        let needed = !reconcile.is_walled_up() && !self.parts.bindings.difference().is_empty();
        let asked = needed.then(|| reconcile.ask(Reconcile));
        let limit = Duration::from_millis(self.parts.bind_timeout_ms);
        async move {
            match asked {
                Some(asked) => match tokio::time::timeout(limit, asked).await {
                    Ok(Ok(result)) => result,
                    _ => Err(NotBound),
                },
                None => Ok(()),
            }
        }
    }

    fn remove_hook(&mut self, id: HookId, committed: Committed) {
        self.discarded(committed.discarded);
        if let Some(entry) = self.hooks.remove(id) {
            self.parts.bindings.release(&bindings(&entry.hook));
            self.end(&entry);
        }
        self.count_hooks();
    }

    pub(super) fn discarded(&self, count: u64) {
        self.parts.metrics.deliveries_ended(DeliveryOutcome::Discarded, count);
    }
}

impl Handler<PutHook> for Registry {
    type Result = ResponseActFuture<Self, Result<Arc<Hook>, HookError>>;

    fn handle(&mut self, PutHook { hook, replaces }: PutHook, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let id = hook.id;
        let present = self.hooks.get(id).map(|entry| entry.hook.revision);
        let expected = match replaces {
            Replaces::Nothing => None,
            Replaces::Revision(revision) => Some(revision),
        };
        let max = self.parts.webhooks.hooks_per_account_max;
        let refused = if present != expected {
            Some(HookError::Stale(id))
        } else if replaces == Replaces::Nothing && self.hooks.count_of(hook.account) >= max {
            Some(HookError::TooMany { max })
        } else {
            None
        };
        if let Some(error) = refused {
            return Box::pin(async move { Err(error) }.into_actor(self));
        }
        Box::pin(self.store_hook(hook).and_then(|hook, actor, _| {
            // A broker that is away gets the binding when it is back; `/readyz` tells until then.
            let reconciled = actor.reconcile();
            async move {
                if reconciled.await.is_err() {
                    info!("hook {} is stored; its bindings follow when the broker can take them", hook.id);
                }
                Ok(hook)
            }
            .into_actor(actor)
        }))
    }
}

impl Handler<DeleteHook> for Registry {
    type Result = ResponseActFuture<Self, Result<Option<Arc<Hook>>, HookError>>;

    fn handle(&mut self, DeleteHook(id): DeleteHook, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let Some(hook) = self.hooks.get(id).map(|entry| Arc::clone(&entry.hook)) else {
            return Box::pin(async { Ok(None) }.into_actor(self));
        };
        if !self.writes.begin(id) {
            return self.overtaken(id);
        }
        let deleted = self.parts.store.commit(vec![Write::DeleteHook(id)]);
        Box::pin(deleted.into_actor(self).map(move |result, actor, ctx| {
            actor.writes.end(id);
            actor.remove_hook(id, result?);
            let reconciled = actor.reconcile();
            // Nobody waits for an unbinding: an event too many is dropped.
            ctx.spawn(async move { _ = reconciled.await }.into_actor(actor));
            Ok(Some(hook))
        }))
    }
}

impl Handler<ForgetAccount> for Registry {
    type Result = ResponseActFuture<Self, Result<(), HookError>>;

    fn handle(&mut self, ForgetAccount(account): ForgetAccount, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let parked = self.parked_one_offs(account).into_actor(self);
        Box::pin(parked.map_err(|error, _, _| HookError::from(error)).and_then(move |parked, actor, _| {
            let hooks: Vec<HookId> = actor.hooks.of_account(account).iter().map(|hook| hook.id).collect();
            let one_offs = actor.one_offs.of_account(account);
            let all = hooks.iter().chain(&one_offs).chain(&parked);
            let mut writes: Vec<Write> = all.map(|id| Write::DeleteHook(*id)).collect();
            writes.extend([Write::DeleteHook(one_off_log(account)), Write::DeleteConfig(account)]);
            let deleted = actor.parts.store.commit(writes).into_actor(actor);
            deleted.map(move |result, actor, _| {
                let committed = result?;
                actor.discarded(committed.discarded);
                actor.limits.remove(&account);
                actor.channels().forget_account(account);
                for id in hooks {
                    actor.remove_hook(id, Committed::default());
                }
                for id in parked {
                    actor.one_offs.unpark(id);
                }
                for entry in one_offs.into_iter().filter_map(|id| actor.one_offs.remove(id)) {
                    entry.addr.do_send(Discard);
                }
                Ok(())
            })
        }))
    }
}

impl Handler<EnableHooks> for Registry {
    type Result = ResponseActFuture<Self, Result<usize, HookError>>;

    fn handle(&mut self, EnableHooks(accounts): EnableHooks, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let enabled = self.enable(accounts);
        Box::pin(enabled.and_then(|count, actor: &mut Self, _| {
            let reconciled = actor.reconcile();
            async move {
                if reconciled.await.is_err() {
                    info!("{count} hooks are enabled; their bindings follow when the broker can take them");
                }
                Ok(count)
            }
            .into_actor(actor)
        }))
    }
}

impl Registry {
    /// Those that were disabled automatically.
    fn disabled_hooks(&self, accounts: &[AccountId]) -> Vec<Arc<Hook>> {
        let hooks = accounts.iter().flat_map(|account| self.hooks.of_account(*account));
        hooks.filter(|hook| hook.disable_reason.is_some()).collect()
    }

    /// Those that are being written just now follow in the next round.
    fn enable(&mut self, accounts: Vec<AccountId>) -> ResponseActFuture<Self, Result<usize, HookError>> {
        let (free, busy): (Vec<_>, Vec<_>) =
            self.disabled_hooks(&accounts).into_iter().partition(|hook| self.writes.begin(hook.id));
        let written = join_all(busy.iter().map(|hook| self.writes.ended(hook.id)));
        let enabled: Vec<Hook> = free.iter().map(|hook| hook.enabled(now_ms())).collect();
        let writes = enabled.iter().map(|hook| Write::PutHook { id: hook.id, record: hook.to_record() }).collect();
        let stored = self.parts.store.commit(writes);
        let stored = stored.into_actor(self).map(move |result: Result<Committed, StoreError>, actor, _| {
            for hook in &enabled {
                actor.writes.end(hook.id);
            }
            result?;
            let count = enabled.len();
            for hook in enabled {
                actor.put_in_force(&Arc::new(hook));
            }
            Ok(count)
        });
        if busy.is_empty() {
            return Box::pin(stored);
        }
        Box::pin(stored.and_then(|count, actor: &mut Self, _| {
            let rest = written.into_actor(actor).then(move |_, actor, _| actor.enable(accounts));
            rest.map(move |result, _, _| Ok(count + result?))
        }))
    }
}

impl Handler<ResendDead> for Registry {
    type Result = ResponseActFuture<Self, Result<u64, HookError>>;

    fn handle(&mut self, ResendDead(id): ResendDead, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let store = self.parts.store.clone();
        let max = self.parts.webhooks.dead_max;
        let letters = async move { store.dead_letters(id, max, None).await.map_err(HookError::from) };
        Box::pin(letters.into_actor(self).and_then(move |letters, actor: &mut Self, _| {
            let (now, era) = (now_ms(), actor.era);
            let count = letters.len() as u64;
            let mut writes = Vec::with_capacity(2 * letters.len());
            for mut letter in letters {
                // All retries anew.
                letter.delivery.attempts = 0;
                writes.push(Write::DeleteDeadLetter(letter.key));
                let key = DeliveryKey { hook: id, due_ms: now, event: letter.delivery.event_id };
                writes.push(Write::PutDelivery { key, delivery: letter.delivery });
            }
            let revived = actor.parts.store.commit(writes).into_actor(actor);
            revived.map(move |result, actor, _| {
                let committed = result?;
                if count > 0 && actor.hooks.get(id).is_some() {
                    actor.overflowed(id, era, committed, now);
                }
                Ok(count)
            })
        }))
    }
}

impl Handler<PutLimits> for Registry {
    type Result = ResponseActFuture<Self, Result<(), HookError>>;

    fn handle(&mut self, PutLimits { account, limits }: PutLimits, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let write = if limits == AccountLimits::default() {
            Write::DeleteConfig(account)
        } else {
            let record = json!(limits).to_string().into_bytes();
            Write::PutConfig { account, record }
        };
        let stored = self.parts.store.commit(vec![write]);
        Box::pin(stored.into_actor(self).map(move |result, actor, _| {
            result?;
            actor.limits.insert(account, limits);
            actor.tell_limits(account);
            Ok(())
        }))
    }
}

impl Registry {
    fn tell_limits(&self, account: AccountId) {
        let limits = self.failure_limits(account);
        for hook in self.hooks.of_account(account) {
            if let Some(entry) = self.hooks.get(hook.id) {
                entry.addr.do_send(Update { hook, limits });
            }
        }
    }
}

impl Handler<Drain> for Registry {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        self.draining = true;
        let all = self.hooks.iter().chain(self.one_offs.iter());
        let written: Vec<_> = all.map(|entry| entry.addr.send(WriteDown)).collect();
        // An actor that is gone has handed its events back already.
        Box::pin(async move { drop(join_all(written).await) }.into_actor(self))
    }
}
