//! The actor of one hook: it holds a bounded window of deliveries, sends them, and writes down what does not end at once.
//!
//! |            |                                                                                        |
//! |------------|----------------------------------------------------------------------------------------|
//! | owns       | the hook's window in memory, its retry timer, its failure window                       |
//! | receives   | `Deliver`, `Overflowed`, `StoreOverheld`, `Update`, `WriteDown`, `Discard`, `Dismiss`  |
//! |            | from the Registry                                                                      |
//! | sends      | HTTP requests; writes to the store; `DisableHook`, `OneOffIdle` to the Registry        |
//! | fails when | a handler panics, or its Registry does                                                 |
//! | on failure | receipts in memory hand their events back; the Registry, or the next one, starts the   |
//! |            | hook again, which takes its deliveries from the store                                  |
//!
//! It never changes the hook's document: that is the Registry's. What is in the store and not in memory is found again
//! by its due time alone. [`send`] is the way of a request, [`keep`] that to and from the store.

mod keep;
mod send;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, ActorContext, Context, Handler, ResponseActFuture, SpawnHandle};
use log::{info, warn};

use super::context::{Figures, HookContext};
use super::delivery::{Delivery, Flight};
use super::hook::Hook;
use super::host_sender::HostSender;
use super::messages::{
    Deliver, DisableHook, Discard, Dismiss, OneOffIdle, Overflowed, StoreOverheld, Update, WriteDown,
};
use super::retry::{Counted, FailureLimits, FailureWindow};
use crate::event::now_ms;
use crate::fast::{FastMap, FastSet};
use crate::faults::fault_point;
use crate::ids::HookId;
use crate::metrics::DeliveryOutcome;
use crate::store::{DeliveryKey, Target, Write};
use crate::supervise::children::Child;

const TOO_MANY_FAILURES: &str = "too many failed attempts";
const ENDPOINT_GONE: &str = "endpoint is gone (410)";
const TOO_MANY_PENDING: &str = "too many pending deliveries";

/// What the actor finds in the store when it starts.
#[derive(Debug, Default)]
pub struct Backlog {
    pub first_due_ms: Option<u64>,
    pub failures: FailureWindow,
}

/// Kept small, since a server holds many.
pub struct WebhookActor {
    hook: Arc<Hook>,
    target: Target,
    shared: Arc<HookContext>,
    figures: Arc<Figures>,
    failures: FailureWindow,
    limits: FailureLimits,
    /// In memory, not begun.
    ready: VecDeque<Delivery>,
    /// In memory, a request under way.
    in_flight: FastMap<u64, Flight>,
    flights: u64,
    /// The earliest due time of what is in the store and not in memory.
    next_due_ms: Option<u64>,
    /// Deleted, but perhaps not in the store's eyes yet.
    deleting: FastSet<DeliveryKey>,
    /// Changes on their way to disk, with the receipts that wait for them.
    committing: usize,
    /// Deleted since the store is being read: what that finds may be from before.
    deleted_while_loading: FastSet<DeliveryKey>,
    timer: Option<(SpawnHandle, u64)>,
    idle_armed: bool,
    loading: bool,
    /// It asked to be disabled and waits for the Registry.
    suspended: bool,
    draining: bool,
    /// The hook is deleted; the actor ends when nothing is on its way to disk any more.
    discarded: bool,
    sender: Option<Rc<HostSender>>,
    /// It is in the line of those that want to send to its host.
    in_line: bool,
    last_used_ms: u64,
    /// The Registry's.
    child: Child,
}

impl WebhookActor {
    pub fn new(
        hook: Arc<Hook>,
        target: Target,
        limits: FailureLimits,
        backlog: Backlog,
        shared: Arc<HookContext>,
        figures: Arc<Figures>,
        child: Child,
    ) -> Self {
        Self {
            hook,
            target,
            shared,
            figures,
            failures: backlog.failures,
            limits,
            ready: VecDeque::new(),
            in_flight: FastMap::default(),
            flights: 0,
            next_due_ms: backlog.first_due_ms,
            deleting: FastSet::default(),
            committing: 0,
            deleted_while_loading: FastSet::default(),
            timer: None,
            idle_armed: false,
            loading: false,
            suspended: false,
            draining: false,
            discarded: false,
            sender: None,
            in_line: false,
            last_used_ms: 0,
            child,
        }
    }

    fn id(&self) -> HookId {
        self.hook.id
    }

    fn may_send(&self) -> bool {
        self.hook.enabled && !self.suspended && !self.draining && !self.discarded && !self.child.is_orphan()
    }

    fn window_room(&self) -> usize {
        self.shared.config.window_max.saturating_sub(self.ready.len() + self.in_flight.len())
    }

    fn accept(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        // Behind older deliveries that wait in the store a new one queues up there too.
        let overdue = self.loading || self.next_due_ms.is_some_and(|due| due <= delivery.created_ms);
        if self.window_room() == 0 || !self.may_send() || overdue {
            self.spill(vec![delivery], ctx);
            self.check_backlog();
        } else {
            self.ready.push_back(delivery);
        }
    }

    fn count_failure(&mut self, now: u64) {
        if self.target == Target::OneOffHook {
            return;
        }
        let counted = self.failures.push(now, self.limits);
        self.save_failures();
        if counted == Counted::Tripped && !self.shared.config.disable_disabler {
            self.disable(TOO_MANY_FAILURES);
        }
    }

    fn save_failures(&self) {
        self.shared.store.write(vec![Write::PutFailures { hook: self.id(), times: self.failures.times().to_vec() }]);
    }

    /// At the limit the hook is disabled: what it has is kept, and it harms nobody else.
    fn check_backlog(&mut self) {
        if self.figures.pending() >= self.shared.config.pending_max {
            self.disable(TOO_MANY_PENDING);
        }
    }

    fn disable(&mut self, reason: &'static str) {
        if self.suspended || !self.hook.enabled || self.target == Target::OneOffHook {
            return;
        }
        self.suspended = true;
        if self.shared.disable.tell(DisableHook { id: self.id(), reason }).is_err() {
            // It is being started again, and this actor with it.
            warn!("hook {} should be disabled ({reason}), but the registry is away", self.id());
        }
    }

    /// A one-off hook without work tells the Registry, which lets go of it.
    fn check_idle(&self) {
        let idle = self.ready.is_empty() && self.in_flight.is_empty() && !self.loading && self.figures.pending() == 0;
        if self.target == Target::OneOffHook && idle {
            // A Registry that is away is being started again, and this actor with it.
            drop(self.shared.idle.tell(OneOffIdle(self.id())));
        }
    }
}

impl Actor for WebhookActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // One AMQP window in a burst fits; beyond it the Registry writes to the store itself.
        ctx.set_mailbox_capacity(self.shared.config.window_max);
        self.figures.started_ms.store(now_ms(), Ordering::Relaxed);
        self.arm_due(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.figures.panics.fetch_add(u64::from(std::thread::panicking()), Ordering::Relaxed);
    }
}

impl Handler<Deliver> for WebhookActor {
    type Result = ();

    fn handle(&mut self, Deliver { job, receipt }: Deliver, ctx: &mut Self::Context) {
        self.figures.mailbox.handled();
        if self.child.is_orphan() {
            // Its sender keeps it for the next Registry.
            return drop(receipt);
        }
        {
            let _in_hand = receipt.in_hand();
            fault_point!("hook.deliver", job.event.body());
            // Also when it was disabled meanwhile: the Registry gave it while the hook was enabled, so that it is held.
            self.accept(Delivery::new(job, receipt), ctx);
        }
        self.pump(ctx);
    }
}

impl Handler<Overflowed> for WebhookActor {
    type Result = ();

    fn handle(&mut self, message: Overflowed, ctx: &mut Self::Context) {
        self.due_at(message.due_ms);
        self.check_backlog();
        self.pump(ctx);
    }
}

impl Handler<StoreOverheld> for WebhookActor {
    type Result = ();

    fn handle(&mut self, message: StoreOverheld, ctx: &mut Self::Context) {
        self.store_overheld(message.received_ms, ctx);
    }
}

impl Handler<Dismiss> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Update> for WebhookActor {
    type Result = ();

    fn handle(&mut self, message: Update, ctx: &mut Self::Context) {
        let was_enabled = self.hook.enabled && !self.suspended;
        self.hook = message.hook;
        self.limits = message.limits;
        self.disarm(ctx);
        if !self.hook.enabled {
            self.hold_everything(ctx);
        } else if !was_enabled {
            info!("hook {} is enabled again", self.id());
            self.suspended = false;
            self.failures.clear();
            self.save_failures();
        }
        self.pump(ctx);
    }
}

impl Handler<WriteDown> for WebhookActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: WriteDown, ctx: &mut Self::Context) -> Self::Result {
        self.draining = true;
        // Requests under way may still end well; then their records are deleted again.
        let change = self.write_down(|_| true);
        self.ready.clear();
        self.disarm(ctx);
        Box::pin(self.commit(change))
    }
}

impl Handler<Discard> for WebhookActor {
    type Result = ();

    fn handle(&mut self, _: Discard, ctx: &mut Self::Context) {
        self.discarded = true;
        let mut only_in_memory = 0;
        let flights = self.in_flight.drain().map(|(_, flight)| flight.delivery);
        for mut delivery in self.ready.drain(..).chain(flights) {
            only_in_memory += u64::from(delivery.stored.is_none());
            if let Some(receipt) = delivery.receipt.take() {
                receipt.done();
            }
        }
        self.shared.metrics.deliveries_ended(DeliveryOutcome::Discarded, only_in_memory);
        self.end_if_discarded(ctx);
    }
}

impl WebhookActor {
    /// Not before the last change is on disk: its receipts would hand events back that other hooks have got.
    fn end_if_discarded(&mut self, ctx: &mut Context<Self>) {
        if !self.discarded || self.committing > 0 {
            return;
        }
        self.figures.forget_pending();
        // What came to the store after the hook was deleted there: deliveries, attempts, failures. One-off hooks come
        // again under the same id.
        if self.target == Target::RegisteredHook {
            self.shared.store.write(vec![Write::DeleteHook(self.id())]);
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::WebhookActor;

    #[test]
    fn an_actor_is_small() {
        // With what actix and tokio put around it, more would take the next 128 bytes.
        assert!(size_of::<WebhookActor>() <= 320, "{}", size_of::<WebhookActor>());
    }
}
