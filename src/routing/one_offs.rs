//! One-off hooks: an event of a callflow carries its own hook, which nobody registered.
//!
//! Such a hook has an actor like any other, for as long as it has something to deliver. At most `webhooks.one_off_max` of
//! them live at once; the deliveries of further ones wait in the store until one of those has ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use log::{error, warn};

use super::hooks::Entry;
use super::registry::Registry;
use crate::event::{Event, Receipt};
use crate::faults::fault_point;
use crate::ids::{AccountId, HookId};
use crate::kazoo::kind::Kind;
use crate::kazoo::payload::one_off_hook;
use crate::metrics::{DeliveryOutcome, EventResult};
use crate::store::{DeliveryKey, StoreError, StoredDelivery, Target, Write};
use crate::webhook::actor::Backlog;
use crate::webhook::hook::Hook;
use crate::webhook::job::Job;
use crate::webhook::messages::{Deliver, Discard, OneOffIdle, Overflowed};
use crate::webhook::retry::FailureWindow;
use crate::webhook::suspect::Suspect;

/// What the store has for a hook without an actor.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub count: u64,
    pub due_ms: u64,
}

#[derive(Default)]
pub struct OneOffs {
    entries: HashMap<HookId, Entry>,
    /// Hooks without an actor, with what the store has for them.
    parked: HashMap<HookId, Waiting>,
    /// The order in which they were parked.
    queue: VecDeque<HookId>,
}

impl OneOffs {
    pub fn get(&self, id: HookId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub fn get_mut(&mut self, id: HookId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
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
    pub fn parked(&mut self, id: HookId, news: Waiting) {
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

    fn next_parked(&mut self) -> Option<(HookId, Waiting)> {
        let id = self.queue.pop_front()?;
        self.parked.remove(&id).map(|news| (id, news))
    }
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
        // Without room for its actor the store takes the delivery.
        if self.one_offs.get(id).is_none() && self.one_offs.entries.len() < self.parts.webhooks.one_off_max {
            let parked = self.one_offs.parked.get(&id).copied();
            self.one_offs.unpark(id);
            self.start_one_off(hook, parked);
        }
        self.give(id, Deliver { job, receipt: receipt.share() }, ctx);
        self.hold(receipt, event.received_ms, &[id], ctx);
        EventResult::Routed
    }

    fn start_one_off(&mut self, hook: Hook, waiting: Option<Waiting>) {
        let id = hook.id;
        let first_due_ms = waiting.map(|waiting| waiting.due_ms);
        let backlog = Backlog { first_due_ms, failures: FailureWindow::default() };
        let pending = waiting.map_or(0, |waiting| waiting.count);
        let entry = self.enter(Arc::new(hook), Target::OneOffHook, pending, backlog);
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
                    if let Some((key, delivery)) = due.ready.into_iter().next() {
                        actor.revive(key, &delivery, waiting, ctx);
                    }
                }
                Err(error) => {
                    error!("cannot read the deliveries of hook {id}: {error}");
                    actor.one_offs.parked(id, waiting);
                }
            }));
        }
    }

    /// Starts the actor of a one-off hook for what the store has; a delivery of it tells where it goes.
    fn revive(&mut self, key: DeliveryKey, delivery: &StoredDelivery, waiting: Waiting, ctx: &mut Context<Self>) {
        let id = key.hook;
        if let Some(entry) = self.one_offs.get(id) {
            // An event came for it meanwhile.
            entry.figures.pending_changed(waiting.count as i64);
            entry.addr.do_send(Overflowed { due_ms: waiting.due_ms });
            return;
        }
        let poison = self.parts.hooks.poison.clone();
        if poison.panics(&(id, key.event)) >= self.parts.webhooks.poison_max {
            error!("event {} is given up: it cannot be read for its hook without a panic", key.event);
            return self.give_up(key, waiting, ctx);
        }
        let suspect = Suspect { receipt: None, hook: id, event: key.event, poison };
        let _in_hand = suspect.in_hand();
        fault_point!("registry.revive", &delivery.body);
        match one_off(&delivery.body, delivery.account) {
            Ok(hook) if hook.id == id => self.start_one_off(hook, Some(waiting)),
            _ => {
                // Nothing tells any more where these were to go.
                error!(
                    "{} stored deliveries belong to hook {id}, which does not exist; they are discarded",
                    waiting.count
                );
                self.discard(id, ctx);
            }
        }
    }

    /// The other deliveries of the hook go on waiting.
    fn give_up(&self, key: DeliveryKey, mut waiting: Waiting, ctx: &mut Context<Self>) {
        let deleted = self.parts.store.commit(vec![Write::DeleteDelivery(key)]).into_actor(self);
        ctx.spawn(deleted.map(move |result, actor, _| {
            match result {
                Ok(_) => {
                    actor.parts.metrics.delivery(DeliveryOutcome::GivenUp);
                    waiting.count = waiting.count.saturating_sub(1);
                }
                Err(error) => error!("cannot give event {} up: {error}", key.event),
            }
            if waiting.count > 0 {
                actor.one_offs.parked(key.hook, waiting);
            }
        }));
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

impl Handler<OneOffIdle> for Registry {
    type Result = ();

    fn handle(&mut self, OneOffIdle(id): OneOffIdle, ctx: &mut Self::Context) {
        self.mailbox().handled();
        // A delivery may have been sent to it meanwhile; then it reports again when that is done.
        let idle = self.one_offs.get(id).is_some_and(|entry| {
            entry.addr.connected()
                && entry.figures.mailbox.depth() == 0
                && entry.figures.in_flight() == 0
                && entry.figures.pending() == 0
        });
        if idle && let Some(entry) = self.one_offs.remove(id) {
            entry.addr.do_send(Discard);
            self.revive_one_offs(ctx);
        }
    }
}

fn one_off(body: &[u8], account: AccountId) -> Result<Hook, String> {
    let event = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let document = one_off_hook(&event).map_err(|error| error.to_string())?;
    // Which fields, and not what is in them: that is somebody's event.
    Hook::one_off(account, &document).map_err(|faults| format!("faults in {}", faults.fields().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{HookId, OneOffs, Waiting};

    #[test]
    fn parked_hooks_come_back_in_order_with_all_that_waits() {
        let (one, other) = (HookId::random(), HookId::random());
        let mut hooks = OneOffs::default();
        hooks.parked(one, Waiting { count: 1, due_ms: 20 });
        hooks.parked(other, Waiting { count: 1, due_ms: 30 });
        hooks.parked(one, Waiting { count: 2, due_ms: 10 });
        let next = hooks.next_parked().map(|(id, news)| (id, news.count, news.due_ms));
        assert_eq!(next, Some((one, 3, 10)));
        assert_eq!(hooks.next_parked().map(|(id, _)| id), Some(other));
        assert!(hooks.next_parked().is_none());
    }
}
