//! The sessions' side of the Registry: who subscribes and leaves, and the way of an event to sockets.

use std::collections::HashSet;
use std::sync::Arc;

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use bytestring::ByteString;

use super::bindings::NotBound;
use super::history::History;
use super::listeners::Followed;
use super::registry::Registry;
use super::subscriptions::{Scope, Slot};
use crate::auth::directory::Directory;
use crate::event::{Event, GapReason, LiveGap, now_ms};
use crate::ids::AccountId;
use crate::kazoo::bindings::Binding;
use crate::kazoo::kind::Kind;
use crate::websocket::bindings::client::Subscription;
use crate::websocket::bindings::topic::{routing_key, topic};
use crate::websocket::close::CloseCode;
use crate::websocket::messages::{Asked, Leave, News, SessionId, Standing, Subscribe, SubscribeError, Unsubscribe};
use crate::websocket::outbox::Sent;
use crate::websocket::protocol::event::{EventBody, Gap, Position};
use crate::websocket::protocol::request::Resume;

impl Registry {
    /// Gives the event to the sessions that subscribed to it; whether there was one. What is nobody's goes only to those
    /// who see everything.
    pub(super) fn route_to_sockets(&mut self, kind: Kind, event: &Event, account: Option<AccountId>) -> bool {
        if self.listeners.is_empty() && self.histories.is_empty() {
            return false;
        }
        self.recheck_rights();
        let mut name = std::mem::take(&mut self.topic);
        let sent = topic(kind, &event.head, &event.routing_key, &mut name)
            && self.send_to_sockets(kind, event, account, &name);
        self.topic = name;
        sent
    }

    fn send_to_sockets(&mut self, kind: Kind, event: &Event, account: Option<AccountId>, topic: &str) -> bool {
        let wanted = self.listeners.find(account, topic);
        let history = account.and_then(|account| self.histories.get_mut(&account));
        if !wanted && history.is_none() {
            return false;
        }
        let key = routing_key(kind, account, &event.head, &event.routing_key);
        let name = event.head.event_name.as_deref().unwrap_or_default();
        let body = Arc::new(EventBody::new(name, &key, event.text()));
        let history = history.map(|history| {
            history.push(topic, Arc::clone(&body), now_ms(), self.parts.history);
            &*history
        });
        if !wanted {
            return false;
        }
        let position = history.map(|history| Position { epoch: history.epoch(), offset: history.offset() });
        let frames = self.listeners.send(&body, position);
        if frames > 0 {
            // A broker whose clock is ahead of ours makes it nothing, never less.
            let delay_ms = now_ms().saturating_sub(event.published_ms.unwrap_or(event.received_ms));
            self.parts.metrics.frame_seconds.observe(delay_ms as f64 / 1_000.0);
        }
        for session in self.listeners.take_gone() {
            self.leave(session);
        }
        frames > 0
    }

    fn leave(&mut self, session: SessionId) {
        for subscription in self.listeners.leave(session) {
            self.parts.live.release(&subscription.needs);
        }
    }

    /// Who may have what is looked at again as soon as the tree of accounts has changed, before the next event goes out.
    pub(super) fn recheck_rights(&mut self) {
        let auth = self.parts.auth.clone();
        let directory = auth.directory();
        let generation = Some(directory.generation());
        if self.checked_rights != generation {
            self.checked_rights = generation;
            self.revoke(&directory);
        }
    }

    fn revoke(&mut self, directory: &Directory) {
        for (session, slots) in self.listeners.forbidden(directory) {
            for slot in &slots {
                self.release(session, *slot);
            }
            if let Some(contact) = self.listeners.contact(session) {
                contact.entry.tell(News::Revoked(slots));
            }
        }
        for socket in self.parts.roster.of_gone_accounts(directory) {
            socket.line.hang_up(CloseCode::AccountGone);
            self.leave(socket.id);
        }
    }

    fn release(&mut self, session: SessionId, slot: Slot) {
        if let Some(subscription) = self.listeners.remove(session, slot) {
            self.parts.live.release(&subscription.needs);
        }
    }

    /// The bindings hold: the reply goes out, then what was missed, and from now on events.
    fn subscribed(&mut self, asked: Asked) -> Result<(), SubscribeError> {
        if asked.reply.is_some() {
            self.may_subscribe(&asked)?;
        } else {
            // Of what makes itself known again only a part may be forbidden: the next look at the rights finds it.
            self.checked_rights = None;
        }
        let Asked { session, subscriptions, instead_of, resume, reply } = asked;
        // One that makes itself known again may have missed something meanwhile.
        let again = reply.is_none();
        let missed = resume.and_then(|resume| self.resume(&resume, &subscriptions));
        let (standing, missed) = missed.unzip();
        self.listeners.contact(session).ok_or(SubscribeError::SessionGone)?;
        if let Some(reply) = reply {
            let mut sent = self.listeners.send_to(session, &reply(standing.as_ref()));
            for frame in missed.into_iter().flatten() {
                sent = if sent == Sent::Queued { self.listeners.send_to(session, &frame) } else { sent };
            }
            if sent != Sent::Queued {
                return Err(SubscribeError::SessionGone);
            }
        }
        for slot in instead_of {
            self.release(session, slot);
        }
        for (slot, subscription) in subscriptions {
            self.release(session, slot);
            self.listeners.insert(session, slot, subscription);
        }
        if again {
            self.tell_of_gap(GapReason::RegistryRestart, Some(session));
        }
        Ok(())
    }

    /// The broker took its time, and the tree of accounts may have changed.
    fn may_subscribe(&self, asked: &Asked) -> Result<(), SubscribeError> {
        let contact = self.listeners.contact(asked.session).ok_or(SubscribeError::SessionGone)?;
        let directory = self.parts.auth.directory();
        let forbidden = |subscription: &Subscription| !subscription.is_allowed(&directory, contact.caller.account);
        match contact.caller.is_gone(&directory) || asked.subscriptions.iter().any(|(_, asked)| forbidden(asked)) {
            true => Err(SubscribeError::Forbidden),
            false => Ok(()),
        }
    }

    /// Where the client stands, and the frames of what it missed.
    fn resume(
        &mut self,
        resume: &Resume,
        subscriptions: &[(Slot, Arc<Subscription>)],
    ) -> Option<(Standing, Vec<ByteString>)> {
        let account = subscriptions.iter().find_map(|(_, subscription)| match subscription.scope {
            Scope::Account(account) => Some(account),
            Scope::Everything => None,
        })?;
        let needs: Vec<Binding> =
            subscriptions.iter().flat_map(|(_, subscription)| subscription.needs.iter().cloned()).collect();
        let heard_since_ms = self.parts.live.heard_since_ms(&needs);
        let history = self.history_of(account);
        let missed = match resume {
            Resume::Now => None,
            Resume::After { epoch, offset } => history.after(epoch, *offset, heard_since_ms),
        };
        let recovered = missed.is_some();
        let mut frames = Vec::new();
        for past in missed.into_iter().flatten() {
            let position = Position { epoch: history.epoch(), offset: past.offset };
            for (_, subscription) in subscriptions {
                for topic in subscription.topics.iter().filter(|topic| topic.pattern.matches(&past.topic)) {
                    let keys = (&subscription.subscribed_key, &topic.subscription_key);
                    frames.push(past.body.frame(keys.0, keys.1, Some(position)));
                }
            }
        }
        let standing = Standing { epoch: history.epoch().to_owned(), offset: history.offset(), recovered };
        Some((standing, frames))
    }

    /// Tells those who follow an account with positions, or one of them, where the account's new chain begins.
    fn tell_of_gap(&mut self, reason: GapReason, only: Option<SessionId>) {
        let accounts: HashSet<AccountId> = self.listeners.followed(only).iter().map(|one| one.account).collect();
        for account in accounts {
            self.history_of(account);
        }
        for Followed { session, account, bindings } in self.listeners.followed(only) {
            let Some(history) = self.histories.get(&account) else { continue };
            let (epoch, offset) = (history.epoch(), history.offset());
            let gap = Gap { reason: reason.as_str(), account_id: account, bindings: &bindings, epoch, offset };
            // One that takes nothing is found at its next event.
            let _ = self.listeners.send_to(session, &gap.frame());
        }
    }

    fn history_of(&mut self, account: AccountId) -> &mut History {
        let now = now_ms();
        if self.histories.len() >= self.parts.histories_max && !self.histories.contains_key(&account) {
            // Whoever comes back to it is told that it is gone.
            let oldest = self.histories.iter().min_by_key(|(_, history)| history.used_ms).map(|(account, _)| *account);
            oldest.map(|account| self.histories.remove(&account));
        }
        let history = self.histories.entry(account).or_insert_with(|| History::new(new_epoch(), now));
        history.used_ms = now;
        history
    }

    /// Histories that nobody has followed for as long as they reach back are of no use any more.
    pub(super) fn age_histories(&mut self) {
        if self.histories.is_empty() {
            return;
        }
        let now = now_ms();
        for followed in self.listeners.followed(None) {
            if let Some(history) = self.histories.get_mut(&followed.account) {
                history.used_ms = now;
            }
        }
        let limits = self.parts.history;
        self.histories.retain(|_, history| {
            history.trim(now, limits);
            now.saturating_sub(history.used_ms) <= limits.age_ms
        });
    }
}

fn new_epoch() -> String {
    format!("{:016x}", rand::random::<u64>())
}

impl Handler<Subscribe> for Registry {
    type Result = ResponseActFuture<Self, Result<(), SubscribeError>>;

    fn handle(&mut self, Subscribe { contact, asked }: Subscribe, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        if let Some(worker) = contact.outbox.worker() {
            self.pace.enter(worker);
        }
        self.listeners.enter(asked.session, contact);
        let needs: Vec<Binding> = asked.needs().cloned().collect();
        // Counted at once: what others leave meanwhile stays bound.
        let bound = self.parts.live.need(&needs);
        Box::pin(bound.into_actor(self).map(move |bound, actor, _| {
            let session = asked.session;
            let again = asked.reply.is_none();
            let answer = match bound {
                // Nobody waits for it; the need holds.
                Err(NotBound) if again => actor.subscribed(asked),
                Ok(()) => actor.subscribed(asked),
                Err(NotBound) => Err(SubscribeError::NotBound),
            };
            if answer.is_err() {
                actor.parts.live.release(&needs);
            }
            if answer == Err(SubscribeError::SessionGone) {
                actor.leave(session);
            }
            answer
        }))
    }
}

impl Handler<Unsubscribe> for Registry {
    type Result = ();

    fn handle(&mut self, Unsubscribe { session, slots }: Unsubscribe, _: &mut Self::Context) {
        self.mailbox().handled();
        for slot in slots {
            self.release(session, slot);
        }
    }
}

impl Handler<Leave> for Registry {
    type Result = ();

    fn handle(&mut self, Leave(session): Leave, _: &mut Self::Context) {
        self.mailbox().handled();
        self.leave(session);
    }
}

impl Handler<LiveGap> for Registry {
    type Result = ();

    /// Positions of before lead nowhere: every history begins anew, and those who follow one are told.
    fn handle(&mut self, gap: LiveGap, _: &mut Self::Context) {
        self.mailbox().handled();
        self.parts.metrics.live_gaps.inc();
        let now = now_ms();
        for history in self.histories.values_mut() {
            history.break_off(new_epoch(), now);
        }
        self.tell_of_gap(gap.reason, None);
    }
}
