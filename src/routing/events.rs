//! The way of an event through the Registry: whose it is, which hooks want it, and into their mailboxes.

use std::sync::{Arc, PoisonError};

use actix::dev::SendError;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use log::{debug, error};

use super::one_offs::Waiting;
use super::registry::Registry;
use super::respawn::Era;
use crate::event::{Audience, Event, Ingest, Receipt, now_ms};
use crate::faults::fault_point;
use crate::ids::{AccountId, HookId};
use crate::kazoo::classify::is_internal_leg;
use crate::kazoo::kind::Kind;
use crate::kazoo::owner::{Owner, Ownerless, owner};
use crate::kazoo::payload::payload;
use crate::kazoo::table::exchanges;
use crate::kazoo::topics::Topic;
use crate::metrics::EventResult;
use crate::store::{Committed, DeliveryKey, Target, Write};
use crate::webhook::job::Job;
use crate::webhook::messages::{Deliver, Overflowed};

impl Handler<Ingest> for Registry {
    type Result = ();

    fn handle(&mut self, Ingest { event, receipt, audience }: Ingest, ctx: &mut Self::Context) {
        self.mailbox().handled();
        if self.draining {
            // Not begun: its sender keeps it.
            drop(receipt);
            return;
        }
        let _in_hand = receipt.in_hand();
        fault_point!("registry.route", event.body());
        // A label of its own for each known exchange, and one for whatever else a publisher names.
        let exchange = exchanges().iter().find(|known| ***known == *event.exchange).copied().unwrap_or("other");
        let result = self.route(event, audience, &receipt, ctx);
        self.parts.metrics.event(audience, exchange, result);
        receipt.done();
    }
}

impl Registry {
    fn route(&mut self, event: Event, audience: Audience, receipt: &Receipt, ctx: &mut Context<Self>) -> EventResult {
        let Some(kind) = event.kind else {
            return EventResult::UnknownKind;
        };
        let account = match self.resolve(kind, &event) {
            Ok(account) => account,
            Err(reason) => {
                debug!("event {} ({}) is nobody's: {reason:?}", event.id, event.routing_key);
                // Commands never name an account, so that whoever may see everything sees those of every conference.
                if reason == EventResult::UnknownConference && audience.has_sockets() {
                    self.route_to_sockets(kind, &event, None);
                }
                return reason;
            }
        };
        let mut result = EventResult::Unwanted;
        if audience.has_sockets() {
            self.learn_of_call(kind, &event, account);
            if self.route_to_sockets(kind, &event, Some(account)) {
                result = EventResult::Routed;
                self.pace.sent(receipt.share());
            }
        }
        if !audience.has_hooks() {
            return result;
        }
        let event = Arc::new(event);
        if kind.is_one_off() {
            let of_hook = self.route_one_off(kind, &event, account, receipt, ctx);
            result = if result == EventResult::Routed { result } else { of_hook };
        }
        let found = self.find(kind, &event, account);
        if !found.is_empty() {
            result = EventResult::Routed;
            let received_ms = event.received_ms;
            let job = Arc::new(Job::new(event, kind, account, Target::RegisteredHook));
            for id in &found {
                fault_point!("registry.deliver", job.event.body());
                self.give(*id, Deliver { job: Arc::clone(&job), receipt: receipt.share() }, ctx);
            }
            self.hold(receipt, received_ms, &found, ctx);
        }
        self.found = found;
        result
    }

    /// The account that the event belongs to.
    fn resolve(&mut self, kind: Kind, event: &Event) -> Result<AccountId, EventResult> {
        let now = now_ms();
        let calls = Arc::clone(&self.parts.calls);
        let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        let conferences = Arc::clone(&self.parts.conferences);
        let mut conferences = conferences.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, lacking) = match owner(kind, &event.head, &event.routing_key) {
            Owner::Account(account) => (Some(account), EventResult::MissingAccount),
            Owner::Call(call) => (calls.account_of(event.publisher, &call, now), EventResult::UnknownCall),
            Owner::Realm(realm) => {
                let directory = self.parts.auth.directory();
                (directory.by_realm(&realm).map(|account| account.id), EventResult::UnknownRealm)
            }
            Owner::Conference(conference) => {
                (conferences.account_of(event.publisher, &conference, now), EventResult::UnknownConference)
            }
            // An alarm without an account is the system's own.
            Owner::Nobody(Ownerless::MissingAccount) if kind.is_admin_only() => {
                (Some(self.parts.auth.directory().root()), EventResult::MissingAccount)
            }
            Owner::Nobody(reason) => (None, reason.into()),
        };
        // What an HTTP publisher posts never leaves its own accounts, whatever a realm in it says.
        let allowed = known.filter(|account| {
            event.publisher.is_none_or(|publisher| self.parts.auth.directory().reaches(publisher, *account))
        });
        let account = allowed.or(event.publisher).ok_or(lacking)?;
        if let Some(call) = event.head.call_id.as_deref() {
            calls.remember(event.publisher, call, account, now);
        }
        if let Some(conference) = event.head.conference_id.as_deref().filter(|_| kind == Kind::ConferenceEvent) {
            conferences.remember(event.publisher, conference, account, now);
        }
        Ok(account)
    }

    /// The hooks that get the event, each once.
    fn find(&mut self, kind: Kind, event: &Event, account: AccountId) -> Vec<HookId> {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let Some(topic) = Topic::of(kind) else {
            return found;
        };
        let directory = self.parts.auth.directory();
        self.hooks.find_own(account, topic, &mut found);
        for ancestor in directory.ancestors(account) {
            self.hooks.find_of_descendants(ancestor.id, topic, &mut found);
        }
        let internal = is_internal_leg(&event.head);
        let mut fields = None;
        found.retain(|id| {
            let Some(entry) = self.hooks.get(*id) else { return false };
            let hook = &entry.hook;
            let allowed = !kind.is_admin_only() || directory.is_administrator(hook.account);
            let wants_leg = hook.include_internal_legs || !internal;
            // A disabled account is served nothing; its ancestors still hear of it.
            let served = directory.get(hook.account).is_none_or(|owner| owner.enabled);
            allowed
                && wants_leg
                && served
                && (hook.modifiers.is_empty() || {
                    let fields = fields.get_or_insert_with(|| {
                        let reserved = &self.parts.webhooks.reserved_ccv_keys;
                        payload(kind, event.text(), &event.places, account, reserved)
                    });
                    hook.modifiers.pass(fields)
                })
        });
        drop(directory);
        found
    }

    /// Puts a delivery where the hook finds it: into the mailbox, else into the store.
    pub(super) fn give(&mut self, id: HookId, message: Deliver, ctx: &mut Context<Self>) {
        let Some(entry) = self.entry(id) else { return self.overflow(id, message, ctx) };
        match entry.addr.try_send(message) {
            Ok(()) => entry.figures.mailbox.sent(),
            Err(SendError::Full(message)) => self.overflow(id, message, ctx),
            Err(SendError::Closed(message)) => {
                self.respawn(id, ctx);
                self.overflow(id, message, ctx);
            }
        }
    }

    /// The hook cannot be given the delivery now: it goes to the store at once, and the hook is told.
    pub(super) fn overflow(&self, id: HookId, Deliver { job, receipt }: Deliver, ctx: &mut Context<Self>) {
        let (now, era) = (now_ms(), self.era);
        let key = DeliveryKey { hook: id, due_ms: now, event: job.event.id };
        let write = Write::PutDelivery { key, delivery: job.to_stored(now, 0) };
        let stored = self.parts.store.commit(vec![write]).into_actor(self);
        ctx.spawn(stored.map(move |result, actor, _| match result {
            Ok(committed) => {
                actor.overflowed(id, era, committed, now);
                receipt.done();
            }
            Err(error) => {
                error!("hook {id}: cannot store a delivery: {error}");
                drop(receipt);
            }
        }));
    }

    /// The Registry wrote deliveries for the hook to the store, in that era.
    pub(super) fn overflowed(&mut self, id: HookId, era: Era, committed: Committed, due_ms: u64) {
        let Some(entry) = self.entry(id) else {
            let count = u64::try_from(committed.growth).unwrap_or(0);
            return self.one_offs.parked(id, Waiting { count, due_ms });
        };
        // Written before the hook's deliveries were counted, they are among those already.
        if era >= entry.counted {
            entry.figures.pending_changed(committed.growth);
        }
        entry.addr.do_send(Overflowed { due_ms });
    }
}

impl From<Ownerless> for EventResult {
    fn from(reason: Ownerless) -> Self {
        match reason {
            Ownerless::MissingAccount => Self::MissingAccount,
            Ownerless::MalformedAccount => Self::MalformedAccount,
            Ownerless::NoAccountDatabase => Self::NoAccountDatabase,
            Ownerless::MissingRealm => Self::MissingRealm,
            Ownerless::MissingConference => Self::MissingConference,
        }
    }
}
