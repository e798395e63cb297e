//! Where the address of an actor that its owner starts again after a panic is found, and how an owner's end becomes that
//! of what it started.
//!
//! actix does not restart a panicked actor: its address is closed for good. Its owner respawns it and puts the new
//! address into its [`Slot`]; everybody else asks there each time and so never keeps a dead one. [`children`] is for
//! owners that panic themselves, [`beat`] for what looks after something.

pub mod beat;
pub mod children;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};
use tokio::sync::Notify;

use crate::event::now_ms;
use crate::metrics::mailbox::Mailbox;

pub struct Slot<A: Actor>(Arc<Inner<A>>);

struct Inner<A: Actor> {
    addr: RwLock<Option<Addr<A>>>,
    started_ms: AtomicU64,
    restarts: AtomicU64,
    panics: AtomicU64,
    mailbox: Mailbox,
    panicked: Notify,
}

/// The actor is not there, or ended before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actor is away")]
pub struct Away;

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Default for Slot<A> {
    fn default() -> Self {
        Self(Arc::new(Inner {
            addr: RwLock::new(None),
            started_ms: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            mailbox: Mailbox::default(),
            panicked: Notify::new(),
        }))
    }
}

impl<A: Actor> Slot<A> {
    /// `None` before the first start and after the last stop.
    fn get(&self) -> Option<Addr<A>> {
        self.0.addr.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn put(&self, addr: Addr<A>) {
        // What was in the mailbox of the one before went with it.
        self.0.mailbox.forget();
        let before = self.0.addr.write().unwrap_or_else(PoisonError::into_inner).replace(addr);
        if before.is_some() {
            self.count_restart();
        } else {
            self.0.started_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    pub fn clear(&self) {
        self.0.addr.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn is_alive(&self) -> bool {
        self.0.addr.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Addr::connected)
    }

    pub fn started_ms(&self) -> u64 {
        self.0.started_ms.load(Ordering::Relaxed)
    }

    /// For an actor that its supervisor starts again; [`Self::put`] counts by itself.
    pub fn count_restart(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
        self.0.started_ms.store(now_ms(), Ordering::Relaxed);
    }

    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed)
    }

    /// Counts a panic, if the actor ends by one, and tells its owner. To be called in its `stopped`.
    pub fn count_panic(&self) {
        if std::thread::panicking() {
            self.0.panics.fetch_add(1, Ordering::Relaxed);
            self.0.panicked.notify_one();
        }
    }

    /// Resolves when the actor ends by a panic, or has since the last call. The address may be closed a moment later.
    pub async fn panicked(&self) {
        self.0.panicked.notified().await;
    }

    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    pub fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    /// Sends past the limit of the mailbox: something else has to bound the number of these messages. The message comes
    /// back when nobody is there.
    pub fn tell<M>(&self, message: M) -> Result<(), M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        match self.get().filter(Addr::connected) {
            Some(addr) => {
                self.0.mailbox.sent();
                addr.do_send(message);
                Ok(())
            }
            None => Err(message),
        }
    }

    /// The message is on its way with the call.
    pub fn ask<M>(&self, message: M) -> impl Future<Output = Result<M::Result, Away>> + 'static + use<A, M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        ask(self.get().map(Addr::recipient), &self.0.mailbox, message)
    }

    /// A way in for one message, for those who must not know the actor.
    pub fn door<M>(&self) -> Door<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Door(Some(Arc::new(self.clone())))
    }
}

fn ask<M>(
    recipient: Option<Recipient<M>>,
    mailbox: &Mailbox,
    message: M,
) -> impl Future<Output = Result<M::Result, Away>> + 'static + use<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let asked = recipient.filter(Recipient::connected).map(|recipient| {
        mailbox.sent();
        recipient.send(message)
    });
    async move {
        match asked {
            Some(asked) => asked.await.map_err(|_| Away),
            None => Err(Away),
        }
    }
}

/// What a [`Door`] needs of the [`Slot`] behind it.
trait Behind<M>: Send + Sync
where
    M: Message + Send,
    M::Result: Send,
{
    fn recipient(&self) -> Option<Recipient<M>>;
    fn mailbox(&self) -> &Mailbox;
}

impl<A, M> Behind<M> for Slot<A>
where
    M: Message + Send + 'static,
    M::Result: Send,
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    fn recipient(&self) -> Option<Recipient<M>> {
        self.get().filter(Addr::connected).map(Addr::recipient)
    }

    fn mailbox(&self) -> &Mailbox {
        Slot::mailbox(self)
    }
}

/// Finds the present recipient of a message.
pub struct Door<M>(Option<Arc<dyn Behind<M>>>)
where
    M: Message + Send,
    M::Result: Send;

impl<M> Door<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// For a part that this server runs without: nobody is ever behind it.
    pub fn walled_up() -> Self {
        Self(None)
    }

    pub fn is_walled_up(&self) -> bool {
        self.0.is_none()
    }

    /// As [`Slot::tell`].
    pub fn tell(&self, message: M) -> Result<(), M> {
        let Some((behind, recipient)) = self.0.as_ref().and_then(|behind| Some((behind, behind.recipient()?))) else {
            return Err(message);
        };
        behind.mailbox().sent();
        recipient.do_send(message);
        Ok(())
    }

    /// As [`Slot::ask`].
    pub fn ask(&self, message: M) -> impl Future<Output = Result<M::Result, Away>> + 'static + use<M> {
        let asked = self.0.as_ref().map(|behind| ask(behind.recipient(), behind.mailbox(), message));
        async move {
            match asked {
                Some(asked) => asked.await,
                None => Err(Away),
            }
        }
    }
}

impl<M> Clone for Door<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
