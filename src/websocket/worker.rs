//! A thread that serves sockets, and the way to have it do something.

use std::thread::{self, ThreadId};

use actix::{Arbiter, ArbiterHandle};

#[derive(Debug, Clone)]
pub struct Worker {
    thread: ThreadId,
    arbiter: ArbiterHandle,
}

impl Worker {
    /// That of the caller. `None` outside of actix.
    pub fn current() -> Option<Self> {
        Some(Self { thread: thread::current().id(), arbiter: Arbiter::try_current()? })
    }

    /// Has it done after whatever the thread was woken for before; `false`: the thread is gone.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        self.arbiter.spawn(work)
    }
}

impl PartialEq for Worker {
    fn eq(&self, other: &Self) -> bool {
        self.thread == other.thread
    }
}
