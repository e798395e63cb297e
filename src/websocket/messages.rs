//! What a session asks of the Registry, and what it hears from there beside its events.

use std::sync::Arc;

use actix::Message;
use bytestring::ByteString;

use super::bindings::client::Subscription;
use super::outbox::Outbox;
use super::protocol::request::Resume;
use super::roster::Entry;
use crate::auth::Caller;
use crate::kazoo::bindings::Binding;
use crate::routing::subscriptions::Slot;

/// Tells sessions apart, for as long as the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// How the Registry reaches a session. Each `Subscribe` brings one; the first counts.
pub struct Contact {
    pub outbox: Outbox,
    pub entry: Arc<Entry>,
    /// Whoever showed its token.
    pub caller: Caller,
}

/// What a session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The account may not have these any more; no event of theirs comes.
    Revoked(Vec<Slot>),
    /// There is a new Registry, which knows of no session.
    Reannounce,
}

/// Where a client that resumes stands once it has subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub epoch: String,
    pub offset: u64,
    /// Whether all that came since the client's position follows.
    pub recovered: bool,
}

/// Makes the reply, which goes out before the first event does.
pub type Reply = Box<dyn FnOnce(Option<&Standing>) -> ByteString + Send>;

/// Answered when every binding is live at the broker and the reply is on its way; nothing of it holds otherwise.
#[derive(Message)]
#[rtype(result = "Result<(), SubscribeError>")]
pub struct Subscribe {
    pub contact: Contact,
    pub asked: Asked,
}

pub struct Asked {
    pub session: SessionId,
    /// All in one account where the client resumes.
    pub subscriptions: Vec<(Slot, Arc<Subscription>)>,
    /// Slots that are empty from then on.
    pub instead_of: Vec<Slot>,
    pub resume: Option<Resume>,
    /// `None` when nobody asked: a session makes itself known again.
    pub reply: Option<Reply>,
}

impl Asked {
    pub fn needs(&self) -> impl Iterator<Item = &Binding> {
        self.subscriptions.iter().flat_map(|(_, subscription)| subscription.needs.iter())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    #[error("the broker does not have the binding yet")]
    NotBound,
    /// The tree of accounts has changed meanwhile.
    #[error("unauthorized account id")]
    Forbidden,
    /// It has ended, or was cut off.
    #[error("the session is gone")]
    SessionGone,
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unsubscribe {
    pub session: SessionId,
    pub slots: Vec<Slot>,
}

/// The session has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave(pub SessionId);
