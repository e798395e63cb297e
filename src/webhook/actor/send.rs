//! The way of a request: from the window to the receiver, and what its outcome means for the delivery.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use log::debug;

use super::keep::Change;
use super::{ENDPOINT_GONE, WebhookActor};
use crate::event::now_ms;
use crate::faults::fault_point;
use crate::metrics::DeliveryOutcome;
use crate::store::{Target, Write};
use crate::webhook::attempt::{RetriesLeft, failure_text, one_off_log, record};
use crate::webhook::client::{Answer, SendRequest};
use crate::webhook::context::{LastResult, UnderWay};
use crate::webhook::delivery::{Delivery, Flight};
use crate::webhook::host_sender::{HostSender, Place};
use crate::webhook::outcome::Outcome;
use crate::webhook::retry::{Next, RetryPolicy, next_attempt};

/// A request that is over.
struct Ended {
    flight: Flight,
    answer: Answer,
    outcome: Outcome,
}

impl WebhookActor {
    /// Begins as many requests as may be under way at once.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        self.pump_from(None, ctx);
    }

    fn pump_from(&mut self, mut place: Option<Place>, ctx: &mut Context<Self>) {
        while !self.ready.is_empty()
            && self.may_send()
            && self.in_flight.len() < self.shared.config.concurrency_max
            && let Some(place) = place.take().or_else(|| self.place(ctx))
            && let Some(delivery) = self.ready.pop_front()
        {
            self.begin(delivery, place, ctx);
        }
        if self.ready.is_empty() {
            self.load(ctx);
        }
    }

    /// A place among the requests to the host; when there is none, one in the line.
    fn place(&mut self, ctx: &mut Context<Self>) -> Option<Place> {
        let sender = match self.sender.take().filter(|sender| sender.is_for(&self.hook.uri)) {
            Some(sender) => sender,
            None => HostSender::of(&self.hook.uri, &self.shared.sender),
        };
        let place = sender.try_place();
        if place.is_none() && !self.in_line {
            self.in_line = true;
            let granted = Rc::clone(&sender).place().into_actor(self);
            ctx.spawn(granted.map(|place, actor, ctx| {
                actor.in_line = false;
                actor.pump_from(place.filter(|place| place.sender.is_for(&actor.hook.uri)), ctx);
            }));
        }
        self.sender = Some(sender);
        place
    }

    fn begin(&mut self, delivery: Delivery, place: Place, ctx: &mut Context<Self>) {
        let hook = Arc::clone(&self.hook);
        let config = &self.shared.config;
        let suspect = delivery.suspect(hook.id, &self.shared.poison);
        let rendered = {
            let _in_hand = suspect.in_hand();
            fault_point!("hook.begin", delivery.job.event.body());
            delivery.job.render(&hook, &config.reserved_ccv_keys, &self.shared.cluster_id)
        };
        let request = SendRequest {
            hook: Arc::clone(&hook),
            event: delivery.job.event.id,
            rendered: Arc::clone(&rendered),
            only_failures: !config.log_successful_attempts,
        };
        let http = Rc::clone(&place.http);
        // It is large, and would be moved with each wrapper.
        let answer = Box::pin(async move { http.send(request).await });
        self.last_used_ms = now_ms();
        self.arm_idle(self.shared.config.idle_ms, ctx);
        if delivery.attempts > 0 {
            self.shared.metrics.retries.inc();
        }
        let number = self.flights;
        self.flights += 1;
        // The document of this attempt stays with it, for judging and for the log.
        let under_way = UnderWay::begin(Arc::clone(&self.figures));
        self.in_flight.insert(number, Flight { delivery, hook, rendered, under_way, _place: place });
        let answer = suspect.in_hand_of(answer);
        ctx.spawn(answer.into_actor(self).map(move |answer, actor, ctx| actor.settle(number, answer, ctx)));
    }

    fn settle(&mut self, number: u64, answer: Answer, ctx: &mut Context<Self>) {
        let Some(flight) = self.in_flight.remove(&number) else {
            return;
        };
        self.shared.metrics.request_seconds.observe(answer.duration.as_secs_f64());
        self.judge(flight, answer, ctx);
        self.pump(ctx);
        self.check_idle();
    }

    fn judge(&mut self, flight: Flight, answer: Answer, ctx: &mut Context<Self>) {
        let suspect = flight.delivery.suspect(self.id(), &self.shared.poison);
        let _in_hand = suspect.in_hand();
        fault_point!("hook.settle", flight.delivery.job.event.body());
        let now = now_ms();
        let policy = RetryPolicy {
            base_ms: self.shared.config.retry_base_ms,
            cap_ms: self.shared.config.retry_max_ms,
            retry_after_cap_ms: self.shared.config.retry_after_max_ms,
        };
        let attempts = flight.delivery.attempts + 1;
        let success = flight.hook.success.widened_by(&self.shared.success);
        let outcome = answer.outcome(flight.hook.verb, &success, SystemTime::now());
        let ended = Ended { flight, answer, outcome };
        match next_attempt(now, &ended.outcome, &policy, attempts, ended.flight.hook.retries, &mut rand::rng()) {
            Next::Delivered => self.delivered(ended, ctx),
            Next::Refused => self.refused(ended, ctx),
            Next::Held => self.gone(ended, ctx),
            Next::At(due_ms) => self.postpone(ended, due_ms, ctx),
            Next::GivenUp => self.give_up(ended, ctx),
        }
    }

    fn delivered(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.figures.set_last(LastResult::Delivered);
        self.shared.metrics.delivery(DeliveryOutcome::Delivered);
        if self.shared.config.log_successful_attempts {
            self.shared.store.write(vec![self.log(&ended, RetriesLeft::Unchanged)]);
        }
        self.end(ended.flight.delivery, Change::default(), ctx);
    }

    fn refused(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.failed(LastResult::Refused);
        self.shared.metrics.delivery(DeliveryOutcome::Refused);
        let log = self.log(&ended, RetriesLeft::Exceeded);
        self.end(ended.flight.delivery, Change::log(log), ctx);
        self.count_failure(now_ms());
    }

    /// Held: it goes out when the hook is enabled again, with the retries that it has.
    fn gone(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.failed(LastResult::Gone);
        let log = self.log(&ended, RetriesLeft::Unchanged);
        let due_ms = ended.flight.delivery.created_ms;
        self.put_off(ended.flight.delivery, due_ms, Change::log(log), ctx);
        self.disable(ENDPOINT_GONE);
    }

    fn postpone(&mut self, ended: Ended, due_ms: u64, ctx: &mut Context<Self>) {
        self.failed(LastResult::Failed);
        let log = self.log(&ended, RetriesLeft::OneLess);
        let mut delivery = ended.flight.delivery;
        delivery.attempts += 1;
        self.put_off(delivery, due_ms, Change::log(log), ctx);
        self.count_failure(now_ms());
    }

    fn give_up(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.failed(LastResult::Failed);
        self.shared.metrics.delivery(DeliveryOutcome::GivenUp);
        let delivery = &ended.flight.delivery;
        let attempts = delivery.attempts + 1;
        debug!("hook {}: gave event {} up after {attempts} attempts", self.id(), delivery.job.event.id);
        let mut change = Change::log(self.log(&ended, RetriesLeft::Exceeded));
        // A one-off hook is gone with its event: nobody could ask for its dead letters.
        if self.target == Target::RegisteredHook {
            change = change.and(Write::DeadLetter {
                hook: self.id(),
                delivery: delivery.job.to_stored(delivery.created_ms, attempts),
                died_ms: now_ms(),
                reason: failure_text(&ended.outcome),
            });
        }
        self.end(ended.flight.delivery, change, ctx);
        self.count_failure(now_ms());
    }

    fn failed(&self, result: LastResult) {
        self.figures.set_last(result);
        self.shared.metrics.attempts_failed.inc();
    }

    fn log(&self, ended: &Ended, left: RetriesLeft) -> Write {
        let at_ms = now_ms();
        let bytes_max = self.shared.config.attempt_body_bytes_max;
        let record = record(&ended.flight, &ended.answer, &ended.outcome, left, at_ms, bytes_max);
        let hook = match self.target {
            Target::RegisteredHook => self.id(),
            Target::OneOffHook => one_off_log(self.hook.account),
        };
        Write::LogAttempt { hook, at_ms, record }
    }
}
