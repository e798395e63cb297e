//! One-off hooks: an event of a callflow carries its own hook, which nobody registered.
//!
//! Such a hook has an actor like any other, for as long as it has something to deliver. At most `webhooks.one_off_max` of
//! them live at once; the deliveries of further ones wait in the store until one of those has ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::dev::SendError;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use log::{error, warn};

use super::hooks::Entry;
use super::registry::Registry;
use crate::event::{Event, Receipt};
use crate::ids::{AccountId, HookId};
use crate::kazoo::kind::Kind;
use crate::kazoo::payload::one_off_hook;
use crate::metrics::{ActorKind, EventResult};
use crate::store::{StoreError, StoredDelivery, Target, Write};
use crate::webhook::actor::Backlog;
use crate::webhook::hook::Hook;
use crate::webhook::job::Job;
use crate::webhook::messages::{Deliver, Discard, OneOffIdle, Overflowed};
use crate::webhook::retry::FailureWindow;

#[derive(Default)]
pub struct OneOffs {
    entries: HashMap<HookId, Entry>,
    /// Hooks without an actor, with what the store has for them.
    parked: HashMap<HookId, Overflowed>,
    /// The order in which they were parked.
    queue: VecDeque<HookId>,
}

impl OneOffs {
    pub fn get(&self, id: HookId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn of_account(&self, account: AccountId) -> Vec<HookId> {
        let of_account = self.entries.values().filter(|entry| entry.hook.account == account);
        of_account.map(|entry| entry.hook.id).collect()
    }

    fn pending(&self, id: HookId) -> u64 {
        let live = self.get(id).map_or(0, |entry| entry.figures.pending());
        live + self.parked.get(&id).map_or(0, |parked| parked.count)
    }

    pub fn parked_ids(&self) -> Vec<HookId> {
        self.queue.iter().copied().collect()
    }

    pub fn unpark(&mut self, id: HookId) {
        if self.parked.remove(&id).is_some() {
            self.queue.retain(|queued| *queued != id);
        }
    }

    pub fn remove(&mut self, id: HookId) -> Option<Entry> {
        self.entries.remove(&id)
    }

    /// The store has deliveries for a hook that has no actor.
    pub fn parked(&mut self, id: HookId, news: Overflowed) {
        match self.parked.get_mut(&id) {
            Some(parked) => {
                parked.count += news.count;
                parked.due_ms = parked.due_ms.min(news.due_ms);
            }
            None => {
                self.parked.insert(id, news);
                self.queue.push_back(id);
            }
        }
    }

    fn next_parked(&mut self) -> Option<(HookId, Overflowed)> {
        let id = self.queue.pop_front()?;
        self.parked.remove(&id).map(|news| (id, news))
    }
}

/// Starts the actor of a one-off hook for what the store has; a delivery of it tells where it goes.
#[derive(Message)]
#[rtype(result = "()")]
struct Revive {
    id: HookId,
    waiting: Overflowed,
    delivery: StoredDelivery,
}

impl Registry {
    pub(super) fn route_one_off(
        &mut self,
        kind: Kind,
        event: &Arc<Event>,
        account: AccountId,
        receipt: &Receipt,
        ctx: &mut Context<Self>,
    ) -> EventResult {
        let hook = match one_off(event.body(), account) {
            Ok(hook) => hook,
            Err(problem) => {
                warn!("event {} carries a one-off hook that is not valid: {problem}", event.id);
                return EventResult::BadOneOff;
            }
        };
        if self.parts.auth.directory().get(account).is_some_and(|owner| !owner.enabled) {
            return EventResult::Unwanted;
        }
        let id = hook.id;
        if self.one_offs.pending(id) >= self.parts.webhooks.pending_max {
            warn!("event {}: one-off hook {id} has too many pending deliveries", event.id);
            return EventResult::BadOneOff;
        }
        let job = Arc::new(Job::new(Arc::clone(event), kind, account, Target::OneOffHook));
        let message = Deliver { job, receipt: receipt.share() };
        let alive = self.one_offs.get(id).is_some_and(|entry| entry.addr.connected());
        if !alive && self.one_offs.entries.len() >= self.parts.webhooks.one_off_max {
            self.overflow(id, message, ctx);
            return EventResult::Routed;
        }
        if !alive {
            self.start_one_off(hook, Backlog::default());
        }
        if let Some(entry) = self.one_offs.get(id) {
            match entry.addr.try_send(message) {
                Ok(()) => entry.figures.mailbox.sent(),
                Err(SendError::Full(message)) => self.overflow(id, message, ctx),
                // Dropped undone: the sender offers the event again, and then a new actor takes it.
                Err(SendError::Closed(_)) => (),
            }
        }
        EventResult::Routed
    }

    fn start_one_off(&mut self, hook: Hook, mut backlog: Backlog) {
        let id = hook.id;
        if let Some(parked) = self.one_offs.parked.get(&id) {
            backlog = waiting(parked);
            self.one_offs.unpark(id);
        }
        let entry = self.spawn(Arc::new(hook), Target::OneOffHook, backlog, Arc::default());
        self.one_offs.entries.insert(id, entry);
    }

    /// Starts the actors of parked hooks while there is room for them.
    pub(super) fn revive_one_offs(&mut self, ctx: &mut Context<Self>) {
        let mut room = self.parts.webhooks.one_off_max.saturating_sub(self.one_offs.entries.len());
        while room > 0
            && let Some((id, waiting)) = self.one_offs.next_parked()
        {
            room -= 1;
            let store = self.parts.store.clone();
            let found = async move { store.due(id, u64::MAX, 1, Vec::new()).await }.into_actor(self);
            ctx.spawn(found.map(move |result, actor, ctx| match result {
                Ok(due) => {
                    if let Some((_, delivery)) = due.ready.into_iter().next() {
                        ctx.notify(Revive { id, waiting, delivery });
                    }
                }
                Err(error) => {
                    error!("cannot read the deliveries of hook {id}: {error}");
                    actor.one_offs.parked(id, waiting);
                }
            }));
        }
    }

    /// A one-off hook whose actor panicked is started anew by what the store has for it.
    pub(super) fn park_dead_one_offs(&mut self, ctx: &mut Context<Self>) {
        let dead = self.one_offs.iter().filter(|entry| !entry.addr.connected()).map(|entry| entry.hook.id);
        for id in dead.collect::<Vec<_>>() {
            self.parts.metrics.restart(ActorKind::WebhookActor);
            if let Some(entry) = self.one_offs.remove(id) {
                self.parts.metrics.pending.inc_by(entry.figures.reset_pending(0));
            }
            let store = self.parts.store.clone();
            let found = async move { store.pending(id).await }.into_actor(self);
            ctx.spawn(found.map(move |result, actor, _| match result {
                Ok(Some(pending)) => {
                    actor.overflowed(id, Overflowed { count: pending.count, due_ms: pending.first_due_ms })
                }
                Ok(None) => (),
                Err(error) => error!("cannot read the deliveries of hook {id}: {error}"),
            }));
        }
    }

    /// The one-off hooks of an account that have no actor; their deliveries tell whose they are.
    pub(super) fn parked_one_offs(
        &self,
        account: AccountId,
    ) -> impl Future<Output = Result<Vec<HookId>, StoreError>> + 'static + use<> {
        let (store, parked) = (self.parts.store.clone(), self.one_offs.parked_ids());
        async move {
            let mut found = Vec::new();
            for id in parked {
                let due = store.due(id, u64::MAX, 1, Vec::new()).await?;
                if due.ready.iter().any(|(_, delivery)| delivery.account == account) {
                    found.push(id);
                }
            }
            Ok(found)
        }
    }

    /// Deletes all that the store has under a hook id.
    fn discard(&self, id: HookId, ctx: &mut Context<Self>) {
        let deleted = self.parts.store.commit(vec![Write::DeleteHook(id)]).into_actor(self);
        ctx.spawn(deleted.map(move |result, actor, _| match result {
            Ok(committed) => actor.discarded(committed.discarded),
            Err(error) => error!("cannot delete what the store has of hook {id}: {error}"),
        }));
    }
}

impl Handler<Revive> for Registry {
    type Result = ();

    fn handle(&mut self, message: Revive, ctx: &mut Self::Context) {
        let Revive { id, waiting: news, delivery } = message;
        if let Some(entry) = self.one_offs.get(id) {
            entry.addr.do_send(news);
            return;
        }
        match one_off(&delivery.body, delivery.account) {
            Ok(hook) if hook.id == id => self.start_one_off(hook, waiting(&news)),
            _ => {
                // Nothing tells any more where these were to go.
                error!(
                    "{} stored deliveries belong to hook {id}, which does not exist; they are discarded",
                    news.count
                );
                self.discard(id, ctx);
            }
        }
    }
}

impl Handler<OneOffIdle> for Registry {
    type Result = ();

    fn handle(&mut self, OneOffIdle(id): OneOffIdle, ctx: &mut Self::Context) {
        // A delivery may have been sent to it meanwhile; then it reports again when that is done.
        let idle = self.one_offs.get(id).is_some_and(|entry| {
            entry.figures.mailbox.depth() == 0
                && entry.figures.in_flight.load(Ordering::Relaxed) == 0
                && entry.figures.pending() == 0
        });
        if idle && let Some(entry) = self.one_offs.remove(id) {
            entry.addr.do_send(Discard);
            self.revive_one_offs(ctx);
        }
    }
}

fn waiting(news: &Overflowed) -> Backlog {
    Backlog { pending: news.count, first_due_ms: Some(news.due_ms), failures: FailureWindow::default() }
}

fn one_off(body: &[u8], account: AccountId) -> Result<Hook, String> {
    let event = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let document = one_off_hook(&event).map_err(|error| error.to_string())?;
    // Which fields, and not what is in them: that is somebody's event.
    Hook::one_off(account, &document).map_err(|faults| format!("faults in {}", faults.fields().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{HookId, OneOffs, Overflowed};

    #[test]
    fn parked_hooks_come_back_in_order_with_all_that_waits() {
        let (one, other) = (HookId::random(), HookId::random());
        let mut hooks = OneOffs::default();
        hooks.parked(one, Overflowed { count: 1, due_ms: 20 });
        hooks.parked(other, Overflowed { count: 1, due_ms: 30 });
        hooks.parked(one, Overflowed { count: 2, due_ms: 10 });
        let next = hooks.next_parked().map(|(id, news)| (id, news.count, news.due_ms));
        assert_eq!(next, Some((one, 3, 10)));
        assert_eq!(hooks.next_parked().map(|(id, _)| id), Some(other));
        assert!(hooks.next_parked().is_none());
    }
}
