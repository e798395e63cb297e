//! Where the address of an actor that its owner starts again after a panic is found.
//!
//! actix does not restart a panicked actor: its address is closed for good. Its owner respawns it and puts the new
//! address here; everybody else asks here each time and so never keeps a dead one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

use crate::event::now_ms;
use crate::metrics::Mailbox;

pub struct Slot<A: Actor>(Arc<Inner<A>>);

struct Inner<A: Actor> {
    addr: RwLock<Option<Addr<A>>>,
    started_ms: AtomicU64,
    restarts: AtomicU64,
    mailbox: Mailbox,
}

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
            mailbox: Mailbox::default(),
        }))
    }
}

impl<A: Actor> Slot<A> {
    /// `None` before the first start and after the last stop.
    pub fn get(&self) -> Option<Addr<A>> {
        self.0.addr.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn put(&self, addr: Addr<A>) {
        let before = self.0.addr.write().unwrap_or_else(PoisonError::into_inner).replace(addr);
        if before.is_some() {
            self.0.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.0.started_ms.store(now_ms(), Ordering::Relaxed);
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

    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed)
    }

    pub fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    /// A way in for one message, for those who must not know the actor.
    pub fn door<M>(&self) -> Door<M>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let slot = self.clone();
        Door(Arc::new(move || slot.get().map(Addr::recipient)))
    }
}

/// Finds the present recipient of a message; `None` while its actor is not there.
pub struct Door<M>(Arc<dyn Fn() -> Option<Recipient<M>> + Send + Sync>)
where
    M: Message + Send,
    M::Result: Send;

impl<M> Door<M>
where
    M: Message + Send,
    M::Result: Send,
{
    /// For a part that this server runs without: nobody is ever behind it.
    pub fn walled_up() -> Self {
        Self(Arc::new(|| None))
    }

    pub fn recipient(&self) -> Option<Recipient<M>> {
        (self.0)()
    }
}

impl<M> Clone for Door<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
