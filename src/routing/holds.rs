//! Which events have been at hooks for too long.
//!
//! One slow endpoint must not stop the broker's window, so that what a hook did not deliver in time is put on disk and
//! its receipt is done. All hooks have one queue for that and one timer: a timer for each hook would cost nearly as much
//! as sending, and most events are over long before. A new Registry begins with an empty queue, for the hooks of the one
//! before end with it, and their receipts hand the events back.

use std::collections::VecDeque;
use std::time::Duration;

use actix::{AsyncContext, Context};
use tokio::time::Instant;

use super::registry::Registry;
use crate::event::{Fate, Receipt};
use crate::fast::FastMap;
use crate::ids::HookId;
use crate::webhook::messages::StoreOverheld;

#[derive(Default)]
pub struct Holds {
    /// In the order in which they become due, for all may take equally long.
    queue: VecDeque<Held>,
    armed: bool,
}

struct Held {
    due: Instant,
    received_ms: u64,
    fate: Fate,
    hooks: Box<[HookId]>,
}

impl Holds {
    fn add(&mut self, due: Instant, received_ms: u64, fate: Fate, hooks: &[HookId]) {
        while self.queue.pop_front_if(|oldest| !oldest.fate.is_open()).is_some() {}
        self.queue.push_back(Held { due, received_ms, fate, hooks: hooks.into() });
    }

    /// The hooks that have had events for too long, each with the time at which the last of these was received.
    fn overheld(&mut self, now: Instant) -> FastMap<HookId, u64> {
        let mut overheld = FastMap::default();
        while let Some(held) = self.queue.pop_front_if(|oldest| oldest.due <= now || !oldest.fate.is_open()) {
            if held.fate.is_open() {
                for hook in held.hooks {
                    let last: &mut u64 = overheld.entry(hook).or_default();
                    *last = held.received_ms.max(*last);
                }
            }
        }
        overheld
    }
}

impl Registry {
    /// These hooks have just been given an event.
    pub(super) fn hold(&mut self, receipt: &Receipt, received_ms: u64, hooks: &[HookId], ctx: &mut Context<Self>) {
        let due = Instant::now() + Duration::from_millis(self.parts.webhooks.ack_hold_ms);
        self.holds.add(due, received_ms, receipt.fate(), hooks);
        if !self.holds.armed {
            self.arm_holds(ctx);
        }
    }

    fn arm_holds(&mut self, ctx: &mut Context<Self>) {
        let next = self.holds.queue.front().map(|oldest| oldest.due);
        self.holds.armed = next.is_some();
        let Some(next) = next else { return };
        ctx.run_later(next.saturating_duration_since(Instant::now()), |actor, ctx| {
            for (id, received_ms) in actor.holds.overheld(Instant::now()) {
                if let Some(entry) = actor.entry(id) {
                    entry.addr.do_send(StoreOverheld { received_ms });
                }
            }
            actor.arm_holds(ctx);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Holds;
    use crate::event::Receipt;
    use crate::ids::HookId;

    #[test]
    fn hooks_are_told_of_what_is_due_and_not_over() {
        let mut holds = Holds::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let [one, other] = [1, 2].map(|byte| HookId::from_bytes([byte; 16]));
        let open = Receipt::new(|_| ());
        let over = Receipt::new(|_| ());
        holds.add(at(10), 1, over.fate(), &[one, other]);
        holds.add(at(20), 2, open.fate(), &[one]);
        holds.add(at(30), 3, open.fate(), &[one, other]);
        holds.add(at(40), 4, open.fate(), &[other]);
        over.done();
        assert!(holds.overheld(at(5)).is_empty());
        assert_eq!(holds.queue.len(), 3, "what is over goes before it is due");
        let overheld = holds.overheld(at(30));
        assert_eq!((overheld.len(), overheld[&one], overheld[&other]), (2, 3, 3));
        open.done();
        assert_eq!(holds.queue.len(), 1);
        let last = Receipt::new(|_| ());
        holds.add(at(60), 5, last.fate(), &[one]);
        assert_eq!(holds.queue.len(), 1, "nor does it stay until the timer");
        last.done();
        assert!(holds.overheld(at(70)).is_empty());
        assert!(holds.queue.is_empty());
    }
}
