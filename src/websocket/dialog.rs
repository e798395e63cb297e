//! What is said on a socket: Kazoo's protocol, as the conversation of a session.
//!
//! Requests are checked in one order, which decides the text of the error: rate, token, shape, account, limits. Nothing is
//! sent that has no `data`.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use serde_json::Value;
use tokio::time::Instant;

use super::bindings::client::{Subscriber, Subscription};
use super::bindings::rights::scope;
use super::close::CloseCode;
use super::conversation::Conversation;
use super::login::{Change, FAILED, Login};
use super::messages::{Asked, Contact, Leave, News, SessionId, Standing, Subscribe, SubscribeError, Unsubscribe};
use super::protocol::reply::{self, Resumed};
use super::protocol::request::{Frame, Request, Resume, Target};
use super::roster::{Entry, Roster};
use super::session::Link;
use super::slots::{Positions, slot};
use crate::auth::Auth;
use crate::event::now_ms;
use crate::faults::fault_point;
use crate::ids::AccountId;
use crate::kazoo::Object;
use crate::kazoo::commands::Command;
use crate::metrics::Metrics;
use crate::routing::commands::{CommandError, Commands};
use crate::routing::subscriptions::{Scope, Slot};
use crate::supervise::Door;

/// A token that expires later than this is looked at again then.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What all dialogs share.
pub struct Shared {
    pub auth: Auth,
    pub roster: Arc<Roster>,
    pub metrics: Arc<Metrics>,
    pub subscribe: Door<Subscribe>,
    pub unsubscribe: Door<Unsubscribe>,
    pub leave: Door<Leave>,
    pub commands: Commands,
    pub max_subscriptions: usize,
    pub token_grace: Duration,
}

pub struct Dialog {
    shared: Arc<Shared>,
    id: SessionId,
    login: Login,
    /// `None` before the socket is open.
    entry: Option<Arc<Entry>>,
    held: Vec<Held>,
    slots: u32,
    /// The client has been told that its token is over.
    expiring: bool,
}

/// A subscription that holds.
struct Held {
    slot: Slot,
    subscription: Subscription,
}

type Refused = Vec<String>;

impl Dialog {
    /// With the login of the upgrade, if it brought one.
    pub fn new(shared: Arc<Shared>, login: Login) -> Self {
        let id = shared.roster.next_id();
        Self { shared, id, login, entry: None, held: Vec::new(), slots: 0, expiring: false }
    }

    fn request(&mut self, text: &str, link: &mut Link<'_, Self>) {
        fault_point!("session.request", text.as_bytes());
        let within_rate = link.is_within_rate();
        let frame = Frame::parse(text);
        let answer = if within_rate {
            self.take(&frame, link)
        } else {
            Err(vec![format!("rate limiting threshold hit for {}!", link.peer())])
        };
        match answer {
            Ok(Some(reply)) => link.send(reply),
            Ok(None) => (),
            Err(errors) => self.refuse(&frame.request_id, &errors, link),
        }
    }

    fn refuse(&self, request_id: &Value, errors: &[String], link: &mut Link<'_, Self>) {
        self.shared.metrics.websocket_request_errors.inc();
        link.send(reply::error(request_id, errors));
    }

    /// `None`: the reply comes later.
    fn take(&mut self, frame: &Frame, link: &mut Link<'_, Self>) -> Result<Option<ByteString>, Refused> {
        let caller = self.authenticate(frame, link)?;
        self.label(frame);
        match frame.request.as_ref().map_err(|error| vec![error.to_string()])? {
            Request::Subscribe { target, resume } => self.subscribe(&frame.request_id, caller, target, resume, link),
            Request::Unsubscribe(target) => self.unsubscribe(&frame.request_id, caller, target).map(Some),
            Request::UnsubscribeAll => Ok(Some(self.unsubscribe_all(&frame.request_id))),
            Request::Ping => Ok(Some(reply::response(&frame.request_id, "pong"))),
            Request::Command { account_id, call_id, command } => {
                self.command(&frame.request_id, caller, account_id, (call_id, command), link)?;
                Ok(None)
            }
        }
    }

    // ---- who asks

    fn authenticate(&mut self, frame: &Frame, link: &mut Link<'_, Self>) -> Result<AccountId, Refused> {
        if let Some(token) = &frame.auth_token {
            let change = self.login.show(&self.shared.auth, token).map_err(|error| vec![error])?;
            self.logged_in(change, link)?;
        }
        match self.login.caller() {
            Some(_) if self.login.is_over(now_ms()) => Err(vec![format!("{FAILED}: the token has expired")]),
            Some(caller) if caller.is_gone(&self.shared.auth.directory()) => {
                link.close(CloseCode::AccountGone);
                Err(vec![format!("{FAILED}: {}", CloseCode::AccountGone.reason())])
            }
            Some(caller) => Ok(caller.account),
            None => Err(vec!["authentication token required".into()]),
        }
    }

    fn logged_in(&mut self, change: Change, link: &mut Link<'_, Self>) -> Result<(), Refused> {
        let Some(account) = self.login.account().filter(|_| change != Change::Nothing) else { return Ok(()) };
        if change == Change::Authenticated {
            if !link.take_seat(account) {
                link.close(CloseCode::AccountFull);
                return Err(vec![CloseCode::AccountFull.reason().into()]);
            }
            link.authenticated();
            if let Some(entry) = &self.entry {
                entry.labels().caller = self.login.caller();
            }
        }
        self.expiring = false;
        self.await_expiry(link);
        Ok(())
    }

    fn await_expiry(&self, link: &mut Link<'_, Self>) {
        let left = self.login.expires_ms().map(|at| Duration::from_millis(at.saturating_sub(now_ms())));
        link.set_deadline(left.map(|left| Instant::now() + left.min(DEADLINE_MAX)));
    }

    fn label(&self, frame: &Frame) {
        let Some(entry) = &self.entry else { return };
        if frame.name.is_none() && frame.metadata.is_none() {
            return;
        }
        let mut labels = entry.labels();
        if let Some(name) = &frame.name {
            labels.name = Some(name.clone());
        }
        if let Some(metadata) = &frame.metadata {
            labels.metadata = Some(metadata.clone());
        }
    }

    // ---- what is asked for

    fn subscribe(
        &mut self,
        request_id: &Value,
        caller: AccountId,
        target: &Target,
        resume: &Option<Resume>,
        link: &mut Link<'_, Self>,
    ) -> Result<Option<ByteString>, Refused> {
        let (subscriptions, errors) = {
            let directory = self.shared.auth.directory();
            let scope = scope(&directory, caller, &target.account_id).map_err(|error| vec![error.to_string()])?;
            if resume.is_some() && scope == Scope::Everything {
                return Err(vec!["all accounts together cannot be resumed: account_id is *".into()]);
            }
            Subscriber::new(&directory, caller, scope, now_ms()).subscriptions(&target.bindings)
        };
        if subscriptions.is_empty() {
            return Err(errors);
        }
        let positions = if resume.is_some() { Positions::Sent } else { Positions::LeftOut };
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
                None => fresh.push(subscription),
            }
        }
        let count = self.held.len() + fresh.len() - instead_of.len();
        if count > self.shared.max_subscriptions {
            let max = self.shared.max_subscriptions;
            return Err(vec![format!("the socket would have {count} subscriptions, more than {max}")]);
        }
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
            subscriptions: held.iter().map(|held| (held.slot, held.subscription.clone())).collect(),
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
                dialog.held.extend(held);
                dialog.publish_keys();
            }
            Err(error @ (SubscribeError::NotBound | SubscribeError::Forbidden)) => {
                let several = held.len() > 1;
                let text = |held: &Held| match several {
                    true => format!("{}: {error}", held.subscription.subscribed_key),
                    false => error.to_string(),
                };
                let errors: Vec<String> = held.iter().map(text).collect();
                dialog.refuse(&request_id, &errors, link);
            }
            // It has been cut off.
            Err(SubscribeError::SessionGone) => (),
        });
    }

    /// `None` before there is a valid token.
    fn contact(&self, link: &Link<'_, Self>) -> Option<Contact> {
        self.login.caller().map(|caller| Contact { outbox: link.outbox(), news: link.address(), caller })
    }

    fn hold(&mut self, subscription: Subscription, positions: Positions) -> Held {
        self.slots = self.slots.wrapping_add(1);
        Held { slot: slot(self.slots, positions), subscription }
    }

    fn find(&self, scope: Scope, key: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.subscription.scope == scope && *held.subscription.subscribed_key == *key)
    }

    fn unsubscribe(&mut self, request_id: &Value, caller: AccountId, target: &Target) -> Result<ByteString, Refused> {
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

    fn unsubscribe_all(&mut self, request_id: &Value) -> ByteString {
        let dropped = self.keys();
        self.drop_held(|_| true);
        reply::unsubscribed(request_id, &dropped, &[])
    }

    /// Answered when the broker has confirmed it.
    fn command(
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

    fn publish_keys(&self) {
        if let Some(entry) = &self.entry {
            entry.labels().bindings = self.keys();
        }
    }
}

impl Conversation for Dialog {
    type Message = News;

    fn on_open(&mut self, link: &mut Link<'_, Self>) {
        let entry = Entry::new(self.id, link.peer(), now_ms(), Arc::clone(link.outbox().line()), link.address());
        self.shared.roster.enter(&entry);
        self.entry = Some(entry);
        if self.login.account().is_some() {
            // A socket that finds no seat is closed; there is no request to answer.
            let _ = self.logged_in(Change::Authenticated, link);
        }
    }

    fn on_text(&mut self, text: ByteString, link: &mut Link<'_, Self>) {
        self.request(&text, link);
    }

    fn on_message(&mut self, news: News, link: &mut Link<'_, Self>) {
        match news {
            News::Revoked(slots) => {
                self.held.retain(|held| !slots.contains(&held.slot));
                self.publish_keys();
            }
            News::Reannounce => self.reannounce(link),
        }
    }

    /// The token expires: a new one may come for a little while.
    fn on_deadline(&mut self, link: &mut Link<'_, Self>) {
        if !self.login.is_over(now_ms()) {
            return self.await_expiry(link);
        }
        if self.expiring {
            return link.close(CloseCode::TokenExpired);
        }
        self.expiring = true;
        link.send(reply::error(&Value::Null, &[format!("{FAILED}: the token has expired")]));
        link.set_deadline(Some(Instant::now() + self.shared.token_grace));
    }

    fn on_end(&mut self) {
        if self.entry.take().is_some() {
            self.shared.roster.leave(self.id);
            let _ = self.shared.leave.tell(Leave(self.id));
        }
    }
}

impl Dialog {
    fn reannounce(&mut self, link: &mut Link<'_, Self>) {
        let Some(contact) = self.contact(link).filter(|_| !self.held.is_empty()) else { return };
        let subscriptions = self.held.iter().map(|held| (held.slot, held.subscription.clone())).collect();
        let asked = Asked { session: self.id, subscriptions, instead_of: Vec::new(), resume: None, reply: None };
        let registry = self.shared.subscribe.clone();
        // A broker that is away has the need all the same; the Registry sees to it.
        actix::spawn(async move { _ = registry.ask(Subscribe { contact, asked }).await });
    }
}

fn resumed(standing: &Standing) -> Resumed<'_> {
    Resumed { epoch: &standing.epoch, offset: standing.offset, recovered: standing.recovered }
}
