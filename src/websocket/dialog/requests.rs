//! What a dialog is asked for once it is known who asks: subscriptions, and commands on live calls.

use std::sync::Arc;

use bytestring::ByteString;
use serde_json::Value;

use super::{Dialog, Held, Refused};
use crate::event::now_ms;
use crate::ids::AccountId;
use crate::kazoo::Object;
use crate::kazoo::commands::Command;
use crate::routing::commands::CommandError;
use crate::routing::subscriptions::{Scope, Slot};
use crate::websocket::bindings::client::{Subscriber, Subscription, of_binding};
use crate::websocket::bindings::rights::scope;
use crate::websocket::messages::{Asked, Contact, Standing, Subscribe, SubscribeError, Unsubscribe};
use crate::websocket::protocol::reply::{self, Resumed};
use crate::websocket::protocol::request::{Resume, Target};
use crate::websocket::session::Link;
use crate::websocket::slots::{Positions, slot};

impl Dialog {
    pub(super) fn subscribe(
        &mut self,
        request_id: &Value,
        caller: AccountId,
        target: &Target,
        resume: &Option<Resume>,
        link: &mut Link<'_, Self>,
    ) -> Result<Option<ByteString>, Refused> {
        let (subscriptions, mut errors) = {
            let directory = self.shared.auth.directory();
            let scope = scope(&directory, caller, &target.account_id).map_err(|error| vec![error.to_string()])?;
            if resume.is_some() && scope == Scope::Everything {
                return Err(vec!["all accounts together cannot be resumed: account_id is *".into()]);
            }
            Subscriber::new(&directory, caller, scope, now_ms()).subscriptions(&target.bindings)
        };
        let positions = if resume.is_some() { Positions::Sent } else { Positions::LeftOut };
        let max = self.shared.max_subscriptions;
        let several = target.bindings.len() > 1;
        let mut fresh = Vec::new();
        let mut instead_of = Vec::new();
        for subscription in subscriptions {
            match self.find(subscription.scope, &subscription.subscribed_key) {
                // Once with positions, always with positions, until it is unsubscribed.
                Some(_) if resume.is_none() => (),
                Some(held) => {
                    instead_of.push(held.slot);
                    fresh.push(subscription);
                }
                None if self.held.len() + fresh.len() - instead_of.len() < max => fresh.push(subscription),
                None => {
                    let error = format!("the socket has {max} subscriptions, which is the most that it may have");
                    errors.push(of_binding(several, &subscription.subscribed_key, &error));
                }
            }
        }
        // Each binding holds or has an error.
        if errors.len() == target.bindings.len() {
            return Err(errors);
        }
        self.count_subscribe_errors(errors.len());
        let mut keys = self.keys();
        for subscription in &fresh {
            if !keys.contains(&subscription.subscribed_key) {
                keys.push(Arc::clone(&subscription.subscribed_key));
            }
        }
        if fresh.is_empty() {
            return Ok(Some(reply::subscribed(request_id, &keys, &errors, None)));
        }
        let held: Vec<Held> = fresh.into_iter().map(|subscription| self.hold(subscription, positions)).collect();
        let reply_id = request_id.clone();
        let reply = Box::new(move |standing: Option<&Standing>| {
            reply::subscribed(&reply_id, &keys, &errors, standing.map(resumed))
        });
        let asked = Asked {
            session: self.id,
            subscriptions: held.iter().map(|held| (held.slot, Arc::clone(&held.subscription))).collect(),
            instead_of: instead_of.clone(),
            resume: resume.clone(),
            reply: Some(reply),
        };
        self.ask(asked, request_id.clone(), held, instead_of, link);
        Ok(None)
    }

    fn ask(&self, asked: Asked, request_id: Value, held: Vec<Held>, instead_of: Vec<Slot>, link: &mut Link<'_, Self>) {
        let Some(contact) = self.contact(link) else { return };
        let registry = self.shared.subscribe.clone();
        let answer = async move {
            // Without a Registry, and when it fails, nothing holds.
            registry.ask(Subscribe { contact, asked }).await.unwrap_or(Err(SubscribeError::NotBound))
        };
        link.answer_later(answer, move |dialog, answer, link| match answer {
            Ok(()) => {
                dialog.held.retain(|held| !instead_of.contains(&held.slot));
                // Most sockets have one, and there are many sockets.
                dialog.held.reserve_exact(held.len());
                dialog.held.extend(held);
                dialog.publish_keys();
            }
            Err(error @ (SubscribeError::NotBound | SubscribeError::Forbidden)) => {
                let text = |one: &Held| of_binding(held.len() > 1, &one.subscription.subscribed_key, &error);
                let errors: Vec<String> = held.iter().map(text).collect();
                dialog.count_subscribe_errors(errors.len());
                dialog.refuse(&request_id, &errors, link);
            }
            // It has been cut off.
            Err(SubscribeError::SessionGone) => (),
        });
    }

    /// `None` before there is a valid token.
    fn contact(&self, link: &Link<'_, Self>) -> Option<Contact> {
        let entry = Arc::clone(self.entry.as_ref()?);
        self.login.caller().map(|caller| Contact { outbox: link.outbox(), entry, caller })
    }

    fn hold(&mut self, subscription: Subscription, positions: Positions) -> Held {
        self.slots = self.slots.wrapping_add(1);
        Held { slot: slot(self.slots, positions), subscription: Arc::new(subscription) }
    }

    pub(super) fn count_subscribe_errors(&self, count: usize) {
        self.shared.metrics.websocket_subscribe_errors.inc_by(count as u64);
    }

    fn find(&self, scope: Scope, key: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.subscription.scope == scope && *held.subscription.subscribed_key == *key)
    }

    pub(super) fn unsubscribe(
        &mut self,
        request_id: &Value,
        caller: AccountId,
        target: &Target,
    ) -> Result<ByteString, Refused> {
        let scope = {
            let directory = self.shared.auth.directory();
            scope(&directory, caller, &target.account_id).map_err(|error| vec![error.to_string()])?
        };
        let named = |held: &Held| {
            held.subscription.scope == scope
                && target.bindings.iter().any(|binding| **binding == *held.subscription.subscribed_key)
        };
        self.drop_held(named);
        let left = self.keys();
        let left: Vec<&str> = left.iter().map(|key| &**key).collect();
        Ok(reply::unsubscribed(request_id, &target.bindings, &left))
    }

    pub(super) fn unsubscribe_all(&mut self, request_id: &Value) -> ByteString {
        let dropped = self.keys();
        self.drop_held(|_| true);
        reply::unsubscribed(request_id, &dropped, &[])
    }

    /// Answered when the broker has confirmed it.
    pub(super) fn command(
        &self,
        request_id: &Value,
        caller: AccountId,
        account_id: &str,
        (call_id, command): (&str, &Object),
        link: &mut Link<'_, Self>,
    ) -> Result<(), Refused> {
        let scope = {
            let directory = self.shared.auth.directory();
            scope(&directory, caller, account_id).map_err(|error| vec![error.to_string()])?
        };
        let Scope::Account(account) = scope else {
            return Err(vec!["a command is for a call of one account: account_id is *".into()]);
        };
        let (commands, call_id, data) = (self.shared.commands.clone(), call_id.to_owned(), command.clone());
        let sent = async move {
            let channel = commands.find(account, &call_id).await?;
            let command = Command::of_socket(data, channel.bridge)?;
            commands.send(command, &channel).await
        };
        let request_id = request_id.clone();
        link.answer_later(sent, move |dialog, sent: Result<String, CommandError>, link| match sent {
            Ok(accepted) => link.send(reply::response(&request_id, &accepted)),
            Err(error) => dialog.refuse(&request_id, &[error.to_string()], link),
        });
        Ok(())
    }

    fn drop_held(&mut self, named: impl Fn(&Held) -> bool) {
        let slots: Vec<Slot> = self.held.extract_if(.., |held| named(held)).map(|held| held.slot).collect();
        if !slots.is_empty() {
            // A Registry that is being rebuilt hears of what is left.
            let _ = self.shared.unsubscribe.tell(Unsubscribe { session: self.id, slots });
            self.publish_keys();
        }
    }

    /// All bindings, as the client wrote them, each once.
    fn keys(&self) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = Vec::with_capacity(self.held.len());
        for held in &self.held {
            if !keys.contains(&held.subscription.subscribed_key) {
                keys.push(Arc::clone(&held.subscription.subscribed_key));
            }
        }
        keys
    }

    pub(super) fn publish_keys(&self) {
        if let Some(entry) = &self.entry {
            entry.labels().bindings = self.keys().into();
        }
    }

    pub(super) fn reannounce(&mut self, link: &mut Link<'_, Self>) {
        let Some(contact) = self.contact(link).filter(|_| !self.held.is_empty()) else { return };
        let subscriptions = self.held.iter().map(|held| (held.slot, Arc::clone(&held.subscription))).collect();
        let asked = Asked { session: self.id, subscriptions, instead_of: Vec::new(), resume: None, reply: None };
        let registry = self.shared.subscribe.clone();
        // A broker that is away has the need all the same; the Registry sees to it.
        actix::spawn(async move { _ = registry.ask(Subscribe { contact, asked }).await });
    }
}

fn resumed(standing: &Standing) -> Resumed<'_> {
    Resumed { epoch: &standing.epoch, offset: standing.offset, recovered: standing.recovered }
}
