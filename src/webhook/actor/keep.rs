//! The way to the store and back, and the timers that lead there.

use std::collections::HashSet;
use std::time::Duration;

use actix::{ActorFuture, ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::{error, warn};

use super::WebhookActor;
use crate::event::{Receipt, now_ms};
use crate::faults::fault_point;
use crate::ids::HookId;
use crate::metrics::DeliveryOutcome;
use crate::store::{DeliveryKey, Due, StoreError, StoredDelivery, Target, Write};
use crate::webhook::delivery::Delivery;
use crate::webhook::suspect::Suspect;

/// How long to leave a failing store alone.
const STORE_PAUSE_MS: u64 = 1_000;

/// What is to be on disk before anybody is told so.
#[derive(Default)]
pub(super) struct Change {
    writes: Vec<Write>,
    receipts: Vec<Receipt>,
    /// When the first of the deliveries that it puts there is due.
    due_ms: Option<u64>,
    /// Deliveries that it deletes.
    deleted: Vec<DeliveryKey>,
}

impl Change {
    pub(super) fn log(write: Write) -> Self {
        Self { writes: vec![write], ..Self::default() }
    }

    pub(super) fn and(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Puts the delivery into the store, unless it lies there already.
    fn put(&mut self, delivery: &mut Delivery, hook: HookId, due_ms: u64) {
        if delivery.stored.is_none() {
            self.writes.push(delivery.put(hook, due_ms));
            self.due_ms = Some(earlier(self.due_ms, due_ms));
        }
        self.receipts.extend(delivery.receipt.take());
    }

    /// Deletes the delivery from the store, if it lies there.
    fn delete(&mut self, delivery: &mut Delivery) {
        if let Some(key) = delivery.stored.take() {
            self.writes.push(Write::DeleteDelivery(key));
            self.deleted.push(key);
        }
        self.receipts.extend(delivery.receipt.take());
    }

    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.receipts.is_empty()
    }

    /// By how much it should change the number of pending deliveries.
    fn growth(&self) -> i64 {
        let put = self.writes.iter().filter(|write| matches!(write, Write::PutDelivery { .. })).count();
        put as i64 - self.deleted.len() as i64
    }
}

impl WebhookActor {
    /// Writes deliveries to the store and lets go of them.
    pub(super) fn spill(&mut self, mut deliveries: Vec<Delivery>, ctx: &mut Context<Self>) {
        let mut change = Change::default();
        for delivery in &mut deliveries {
            change.put(delivery, self.id(), delivery.created_ms);
        }
        let committed = self.commit(change);
        ctx.spawn(committed);
    }

    /// The delivery is over: it goes from the store, with what else that changes there.
    pub(super) fn end(&mut self, mut delivery: Delivery, mut change: Change, ctx: &mut Context<Self>) {
        change.delete(&mut delivery);
        if change.writes.is_empty() {
            change.receipts.into_iter().for_each(Receipt::done);
            return;
        }
        let committed = self.commit(change);
        ctx.spawn(committed);
    }

    /// The delivery waits in the store until it is due again.
    pub(super) fn put_off(&mut self, mut delivery: Delivery, due_ms: u64, mut change: Change, ctx: &mut Context<Self>) {
        let receipt = delivery.receipt.take();
        change.delete(&mut delivery);
        delivery.receipt = receipt;
        change.put(&mut delivery, self.id(), due_ms);
        let committed = self.commit(change);
        ctx.spawn(committed);
        self.check_backlog();
    }

    /// Puts those deliveries in memory that hold a receipt into the store as well.
    pub(super) fn write_down(&mut self, wanted: impl Fn(&Delivery) -> bool) -> Change {
        let mut change = Change::default();
        let id = self.id();
        let flights = self.in_flight.values_mut().map(|flight| &mut flight.delivery);
        for delivery in self.ready.iter_mut().chain(flights).filter(|delivery| delivery.receipt.is_some()) {
            if wanted(delivery) {
                let due_ms = delivery.created_ms;
                change.put(delivery, id, due_ms);
            }
        }
        change
    }

    /// Commits, and only then lets the receipts be done. A failing store hands the events back to their senders.
    pub(super) fn commit(&mut self, change: Change) -> impl ActorFuture<Self, Output = ()> + 'static + use<> {
        fault_point!("hook.write");
        let growth = change.growth();
        self.figures.pending_changed(growth);
        // Reads see what the store has applied: until then, these would come up again.
        self.deleting.extend(&change.deleted);
        let Change { writes, receipts, due_ms, deleted } = change;
        let committed = self.shared.store.commit(writes);
        self.committing += 1;
        async move {
            let result = committed.await;
            if result.is_ok() {
                receipts.into_iter().for_each(Receipt::done);
            }
            result
        }
        .into_actor(self)
        .map(move |result, actor, ctx| {
            fault_point!("hook.written");
            actor.committing -= 1;
            for key in &deleted {
                actor.deleting.remove(key);
            }
            if actor.loading {
                actor.deleted_while_loading.extend(&deleted);
            }
            match result {
                Ok(committed) => {
                    // What an earlier failure kept out of the store was deleted in vain.
                    actor.figures.pending_changed(committed.growth - growth);
                    actor.next_due_ms = actor.next_due_ms.into_iter().chain(due_ms).min();
                }
                Err(error) => {
                    actor.figures.pending_changed(-growth);
                    actor.store_failed(&error);
                }
            }
            actor.pump(ctx);
            actor.end_if_discarded(ctx);
        })
    }

    /// Whatever the store still has is looked for again a little later.
    fn store_failed(&mut self, error: &StoreError) {
        error!("hook {}: the store failed: {error}", self.id());
        self.due_at(now_ms() + STORE_PAUSE_MS);
    }

    /// Disabled: nothing stays in memory but what is under way.
    pub(super) fn hold_everything(&mut self, ctx: &mut Context<Self>) {
        let (stored, only_here): (Vec<_>, Vec<_>) =
            self.ready.drain(..).partition(|delivery| delivery.stored.is_some());
        for delivery in stored {
            self.due_at(delivery.created_ms);
        }
        self.spill(only_here, ctx);
    }

    /// Held deliveries of a disabled hook expire.
    fn expire(&mut self, ctx: &mut Context<Self>) {
        let store = self.shared.store.clone();
        let everything = Write::DiscardDeliveries { hook: self.id(), created_before_ms: u64::MAX };
        let expired = async move { store.commit(vec![everything]).await }.into_actor(self).map(|result, actor, ctx| {
            match result {
                Ok(committed) => {
                    actor.next_due_ms = None;
                    actor.figures.pending_changed(-(committed.discarded as i64));
                    actor.shared.metrics.deliveries_ended(DeliveryOutcome::Expired, committed.discarded);
                    warn!(
                        "hook {}: disabled for too long, {} held deliveries expired",
                        actor.id(),
                        committed.discarded
                    );
                }
                Err(error) => actor.store_failed(&error),
            }
            actor.arm_due(ctx);
        });
        ctx.spawn(expired);
    }

    pub(super) fn due_at(&mut self, due_ms: u64) {
        self.next_due_ms = Some(earlier(self.next_due_ms, due_ms));
    }

    /// When there is something to do that no message announces.
    fn wake_at(&self) -> Option<u64> {
        let due = self.next_due_ms?;
        if self.hook.enabled {
            return self.may_send().then_some(due);
        }
        let expiry = self.hook.disabled_at_ms? + self.shared.config.hold_hours * 3_600_000;
        // After a failed attempt to expire, the store is given a pause.
        Some(if due > now_ms() { expiry.max(due) } else { expiry })
    }

    pub(super) fn arm_due(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.wake_at() else { return };
        if self.loading || self.timer.as_ref().is_some_and(|(_, armed)| *armed <= at) {
            return;
        }
        self.disarm(ctx);
        let wait = Duration::from_millis(at.saturating_sub(now_ms()));
        let handle = ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            actor.wake(ctx);
        });
        self.timer = Some((handle, at));
    }

    pub(super) fn disarm(&mut self, ctx: &mut Context<Self>) {
        if let Some((handle, _)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        match self.wake_at() {
            Some(at) if at > now_ms() => self.arm_due(ctx),
            Some(_) if !self.hook.enabled => self.expire(ctx),
            Some(_) => self.pump(ctx),
            None => (),
        }
    }

    /// Takes due deliveries out of the store, as many as the window has room for.
    pub(super) fn load(&mut self, ctx: &mut Context<Self>) {
        let now = now_ms();
        let room = self.window_room();
        let nothing_due = self.next_due_ms.is_none_or(|due| due > now);
        if self.loading || !self.may_send() || nothing_due {
            self.arm_due(ctx);
            return;
        }
        // Without room, the next request that ends comes back here.
        if room == 0 {
            return;
        }
        self.loading = true;
        self.next_due_ms = None;
        self.deleted_while_loading.clear();
        let skip = self.not_to_take_up().collect();
        let store = self.shared.store.clone();
        let id = self.id();
        let found = async move { store.due(id, now, room, skip).await }.into_actor(self);
        ctx.spawn(found.map(|result, actor, ctx| {
            actor.loading = false;
            match result {
                Ok(due) => actor.take_up(due, ctx),
                Err(error) => {
                    actor.store_failed(&error);
                    actor.arm_due(ctx);
                }
            }
        }));
    }

    /// What the store has, or seems to have, and this actor has in hand.
    fn not_to_take_up(&self) -> impl Iterator<Item = DeliveryKey> {
        let in_memory = self.ready.iter().chain(self.in_flight.values().map(|flight| &flight.delivery));
        let deleted = self.deleting.iter().chain(&self.deleted_while_loading);
        in_memory.filter_map(|delivery| delivery.stored).chain(deleted.copied())
    }

    fn take_up(&mut self, due: Due, ctx: &mut Context<Self>) {
        // Deliveries that were written down while the store was being read did not leave memory.
        let in_hand: HashSet<DeliveryKey> = self.not_to_take_up().collect();
        for (key, stored) in due.ready.into_iter().filter(|(key, _)| !in_hand.contains(key)) {
            let panics = self.shared.poison.panics(&(key.hook, key.event));
            if panics >= self.shared.config.poison_max {
                self.bury(key, stored, panics, ctx);
                continue;
            }
            let suspect =
                Suspect { receipt: None, hook: key.hook, event: key.event, poison: self.shared.poison.clone() };
            let _in_hand = suspect.in_hand();
            fault_point!("hook.take_up", &stored.body);
            match Delivery::from_stored(key, stored) {
                Ok(delivery) => self.ready.push_back(delivery),
                Err(error) => {
                    error!("hook {}: drops the stored delivery of event {}: {error}", self.id(), key.event);
                    let change = Change { deleted: vec![key], ..Change::log(Write::DeleteDelivery(key)) };
                    self.shared.metrics.delivery(DeliveryOutcome::Discarded);
                    let committed = self.commit(change);
                    ctx.spawn(committed);
                }
            }
        }
        if let Some(next) = due.next_due_ms {
            self.due_at(next);
        }
        if !self.may_send() {
            self.hold_everything(ctx);
        }
        self.pump(ctx);
        self.check_idle();
    }

    /// A delivery that makes its actor panic whenever it comes up would do so without end: it is given up.
    fn bury(&mut self, key: DeliveryKey, stored: StoredDelivery, panics: u32, ctx: &mut Context<Self>) {
        error!("hook {}: gives event {} up: its handling panicked {panics} times", self.id(), key.event);
        let mut change = Change { deleted: vec![key], ..Change::log(Write::DeleteDelivery(key)) };
        if self.target == Target::RegisteredHook {
            let reason = format!("its handling panicked {panics} times");
            change = change.and(Write::DeadLetter { hook: key.hook, delivery: stored, died_ms: now_ms(), reason });
        }
        self.shared.metrics.delivery(DeliveryOutcome::GivenUp);
        // It may be sent again, and then has its tries again.
        self.shared.poison.forget(&(key.hook, key.event));
        let committed = self.commit(change);
        ctx.spawn(committed);
    }

    pub(super) fn store_overheld(&mut self, received_ms: u64, ctx: &mut Context<Self>) {
        let change = self.write_down(|delivery| delivery.job.event.received_ms <= received_ms);
        if !change.is_empty() {
            let committed = self.commit(change);
            ctx.spawn(committed);
            self.check_backlog();
        }
    }

    /// Connections that nobody uses are closed.
    pub(super) fn arm_idle(&mut self, wait_ms: u64, ctx: &mut Context<Self>) {
        if self.idle_armed {
            return;
        }
        self.idle_armed = true;
        ctx.run_later(Duration::from_millis(wait_ms), |actor, ctx| {
            actor.idle_armed = false;
            let idle_ms = actor.shared.config.idle_ms;
            let unused_ms = now_ms().saturating_sub(actor.last_used_ms);
            if actor.in_flight.is_empty() && unused_ms >= idle_ms {
                actor.sender = None;
            } else {
                actor.arm_idle(idle_ms.saturating_sub(unused_ms).max(1), ctx);
            }
        });
    }
}

fn earlier(known: Option<u64>, other: u64) -> u64 {
    known.map_or(other, |known| known.min(other))
}
