//! An event on its way through the server, and the receipt that tells its sender when it may be forgotten.
//!
//! An [`Event`] is parsed once, where it comes in (AMQP consumer, HTTP), and is never changed afterwards. A [`Receipt`]
//! goes with it: copies travel with each delivery, and only when the last of them is done is the sender told so. A copy
//! that is dropped undone, by an error or a panic, makes the whole event undone, and its sender keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use crate::ids::{AccountId, EventId};
use crate::kazoo::classify::classify;
use crate::kazoo::head::Head;
use crate::kazoo::kind::Kind;
use crate::kazoo::members::Places;

/// Unix milliseconds of the wall clock.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseEventError {
    #[error("the event is not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("the event is not a JSON object: {0}")]
    NotJson(String),
}

/// One event as it was published, with the few fields that routing needs.
#[derive(Debug)]
pub struct Event {
    pub id: EventId,
    pub exchange: Box<str>,
    pub routing_key: Box<str>,
    pub head: Head,
    /// Where in the body its members stand.
    pub places: Places,
    /// `None` for what no part of this server takes.
    pub kind: Option<Kind>,
    /// The account that an HTTP publisher posted it under; it owns an event that names no account.
    pub publisher: Option<AccountId>,
    pub received_ms: u64,
    /// When the broker got it, where that is known to the millisecond; only ever measured with.
    pub published_ms: Option<u64>,
    body: ByteString,
}

impl Event {
    /// Parses a body. Success means that the whole body is valid JSON, within the parser's depth limit.
    pub fn parse(
        exchange: &str,
        routing_key: &str,
        body: Bytes,
        publisher: Option<AccountId>,
    ) -> Result<Self, ParseEventError> {
        let body = ByteString::try_from(body)?;
        let (head, places) = Head::read(&body).map_err(|error| ParseEventError::NotJson(error.to_string()))?;
        let id = identify(exchange, routing_key, &head, body.as_bytes());
        let kind = classify(&head);
        Ok(Self {
            id,
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            head,
            places,
            kind,
            publisher,
            received_ms: now_ms(),
            published_ms: None,
            body,
        })
    }

    pub fn body(&self) -> &Bytes {
        self.body.as_bytes()
    }

    pub fn text(&self) -> &str {
        &self.body
    }
}

/// The same for every copy of an event. Publishers reuse Msg-IDs, so that the routing key, name and account count too;
/// where there is no Msg-ID, the whole body does.
fn identify(exchange: &str, routing_key: &str, head: &Head, body: &[u8]) -> EventId {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match head.msg_id.as_deref() {
        Some(msg_id) => {
            field(exchange.as_bytes());
            field(routing_key.as_bytes());
            field(msg_id.as_bytes());
            field(head.event_name.as_deref().unwrap_or_default().as_bytes());
            let account = head.channel_account_id.as_deref().or(head.account_id.as_deref());
            field(account.unwrap_or_default().as_bytes());
        }
        None => {
            field(exchange.as_bytes());
            field(routing_key.as_bytes());
            field(body);
        }
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    EventId::from_bytes(bytes)
}

/// How an event ended for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Every delivery is done or on disk.
    Done,
    /// Something could not take it; the sender should offer it again.
    Undone,
    /// The same, because the handler of this very event panicked: offered again only so many times.
    Panicked,
}

type Settle = Box<dyn FnOnce(Settled) + Send + Sync>;

struct Shared {
    undone: AtomicBool,
    panicked: AtomicBool,
    settle: Option<Settle>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let settled = match (*self.undone.get_mut(), *self.panicked.get_mut()) {
            (false, _) => Settled::Done,
            (true, false) => Settled::Undone,
            (true, true) => Settled::Panicked,
        };
        if let Some(settle) = self.settle.take() {
            settle(settled);
        }
    }
}

/// One share in an event's fate. The sender hears of it when the last share is gone.
#[must_use = "dropping a receipt hands the event back to its sender"]
pub struct Receipt {
    shared: Arc<Shared>,
    done: bool,
}

impl Receipt {
    /// `settle` runs once, on whichever thread drops the last share; it must not block or panic.
    pub fn new(settle: impl FnOnce(Settled) + Send + Sync + 'static) -> Self {
        let settle: Settle = Box::new(settle);
        let shared = Shared { undone: AtomicBool::new(false), panicked: AtomicBool::new(false), settle: Some(settle) };
        Self { shared: Arc::new(shared), done: false }
    }

    /// A further share, for a further delivery.
    pub fn share(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), done: false }
    }

    /// For exactly the time in which a handler works on this event: when that panics, this event is to blame, and not
    /// those that the panic drops with it.
    pub fn in_hand(&self) -> InHand {
        InHand(self.suspect())
    }

    /// To see later whether the sender still waits.
    pub fn fate(&self) -> Fate {
        Fate(Arc::downgrade(&self.shared))
    }

    /// For those who have the event in hand again and again, and may give the receipt away meanwhile.
    pub fn suspect(&self) -> Suspect {
        Suspect(Arc::downgrade(&self.shared))
    }

    /// This share's part is done. By value, so that a closure which captures the receipt takes all of it.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.shared.undone.store(true, Ordering::Relaxed);
    }
}

/// An event that may turn out to be to blame for a panic. It holds no share: the sender does not wait for it.
#[derive(Clone)]
pub struct Suspect(Weak<Shared>);

impl Suspect {
    /// Blames the event for the panic that goes on. `false` when its sender has been told already how it ended.
    pub fn blame(&self) -> bool {
        let Some(shared) = self.0.upgrade() else { return false };
        shared.panicked.store(true, Ordering::Relaxed);
        true
    }
}

/// See [`Receipt::fate`]. It holds no share.
pub struct Fate(Weak<Shared>);

impl Fate {
    pub fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// See [`Receipt::in_hand`].
#[must_use = "the event is in hand only as long as this lives"]
pub struct InHand(Suspect);

impl Drop for InHand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.blame();
        }
    }
}

/// Who is to get an event. The broker sends it once for the hooks and once for the sockets, as far as they ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Hooks,
    /// Settled when it is routed, or a little later where that is far ahead of the sockets; a socket takes a frame or is
    /// cut off.
    Sockets,
    /// It comes only once: posted over HTTP, or caused by the server itself.
    Everyone,
}

impl Audience {
    pub fn has_hooks(self) -> bool {
        self != Self::Sockets
    }

    pub fn has_sockets(self) -> bool {
        self != Self::Hooks
    }
}

/// A new event for the Registry, from a consumer, from HTTP, or caused by the server itself.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ingest {
    pub event: Event,
    pub receipt: Receipt,
    pub audience: Audience,
}

/// Sent when live events come again after a time in which some may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct LiveGap {
    pub reason: GapReason,
    /// Unix milliseconds: nothing that was published before is missing.
    pub since_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The connection to the broker was lost, and the queue of the sockets with it.
    AmqpReconnect,
    /// The Registry ended unexpectedly and was built anew.
    RegistryRestart,
}

impl GapReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AmqpReconnect => "amqp_reconnect",
            Self::RegistryRestart => "registry_restart",
        }
    }
}

/// A message for the bus. Answered when the broker confirmed it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PublishError>")]
pub struct Publish {
    pub exchange: &'static str,
    pub routing_key: String,
    pub body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("no broker is configured")]
    NoBroker,
    #[error("the broker is not connected")]
    Disconnected,
    #[error("the broker refused the message")]
    Refused,
    #[error("the broker did not confirm the message in time")]
    Timeout,
    #[error("too many messages wait for the broker")]
    Full,
}

#[cfg(test)]
mod tests;
