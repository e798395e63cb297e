//! What is said on a socket: Kazoo's protocol, as the conversation of a session. Here is who asks, and until when;
//! `requests` is what is asked for.
//!
//! Requests are checked in one order, which decides the text of the error: rate, token, shape, account, limits. Nothing is
//! sent that has no `data`.

mod requests;

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use serde_json::Value;
use tokio::time::Instant;

use super::bindings::client::Subscription;
use super::close::CloseCode;
use super::conversation::Conversation;
use super::login::{Change, FAILED, Login};
use super::messages::{Leave, News, SessionId, Subscribe, Unsubscribe};
use super::protocol::reply;
use super::protocol::request::{Frame, Request};
use super::roster::{Entry, Roster};
use super::session::Link;
use crate::auth::Auth;
use crate::event::now_ms;
use crate::faults::fault_point;
use crate::ids::AccountId;
use crate::metrics::Metrics;
use crate::routing::commands::Commands;
use crate::routing::subscriptions::Slot;
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
    manner: Manner,
}

/// How the client takes part.
enum Manner {
    Converses,
    /// What it wants came with its request; nothing more does.
    Listens(Box<str>),
}

/// A subscription that holds.
struct Held {
    slot: Slot,
    subscription: Arc<Subscription>,
}

type Refused = Vec<String>;

impl Dialog {
    /// With the login of the upgrade, if it brought one.
    pub fn new(shared: Arc<Shared>, login: Login) -> Self {
        let id = shared.roster.next_id();
        Self { shared, id, login, entry: None, held: Vec::new(), slots: 0, expiring: false, manner: Manner::Converses }
    }

    /// Of a client that says no more than this. The socket ends when nothing is subscribed.
    pub fn listening(self, request: Box<str>) -> Self {
        Self { manner: Manner::Listens(request), ..self }
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
        self.end_if_useless(link);
    }

    fn end_if_useless(&self, link: &mut Link<'_, Self>) {
        if matches!(self.manner, Manner::Listens(_)) && self.held.is_empty() {
            link.close(CloseCode::NothingLeft);
        }
    }

    /// `None`: the reply comes later.
    fn take(&mut self, frame: &Frame, link: &mut Link<'_, Self>) -> Result<Option<ByteString>, Refused> {
        let caller = self.authenticate(frame, link)?;
        self.label(frame);
        match frame.request.as_ref().map_err(|error| vec![error.to_string()])? {
            Request::Subscribe { target, resume } => {
                let answer = self.subscribe(&frame.request_id, caller, target, resume, link);
                answer.inspect_err(|errors| self.count_subscribe_errors(errors.len()))
            }
            Request::Unsubscribe(target) => self.unsubscribe(&frame.request_id, caller, target).map(Some),
            Request::UnsubscribeAll => Ok(Some(self.unsubscribe_all(&frame.request_id))),
            Request::Ping => Ok(Some(reply::response(&frame.request_id, "pong"))),
            Request::Command { account_id, call_id, command } => {
                self.command(&frame.request_id, caller, account_id, (call_id, command), link)?;
                Ok(None)
            }
        }
    }

    fn authenticate(&mut self, frame: &Frame, link: &mut Link<'_, Self>) -> Result<AccountId, Refused> {
        if let Some(token) = &frame.auth_token {
            let change = self.login.show(&self.shared.auth, token, now_ms()).map_err(|error| vec![error])?;
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
        let naming = labels.naming.get_or_insert_default();
        if let Some(name) = &frame.name {
            naming.name = Some(name.clone());
        }
        if let Some(metadata) = &frame.metadata {
            naming.metadata = Some(metadata.clone());
        }
    }
}

impl Conversation for Dialog {
    type Message = News;

    fn on_open(&mut self, link: &mut Link<'_, Self>) {
        let entry = Entry::new(self.id, link.peer(), now_ms(), Arc::clone(link.outbox().line()), link.address());
        self.shared.roster.enter(&entry);
        self.entry = Some(entry);
        // A socket that finds no seat is closed; there is no request to answer.
        if self.login.account().is_some() && self.logged_in(Change::Authenticated, link).is_err() {
            return;
        }
        if let Manner::Listens(request) = &self.manner {
            let request = request.clone();
            self.request(&request, link);
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
                self.end_if_useless(link);
            }
            News::Reannounce => self.reannounce(link),
        }
    }

    /// The token expires: a new one may come for a little while.
    fn on_deadline(&mut self, link: &mut Link<'_, Self>) {
        if !self.login.is_over(now_ms()) {
            return self.await_expiry(link);
        }
        // A client that only listens has no new token to send.
        if self.expiring || matches!(self.manner, Manner::Listens(_)) {
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
