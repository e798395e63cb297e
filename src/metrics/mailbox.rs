//! How much waits for an actor. Whoever sends to it and the actor itself count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages sent to an actor and handled by it. Their difference is the depth of its mailbox, which actix does not tell.
#[derive(Debug, Default)]
pub struct Mailbox {
    sent: AtomicU64,
    handled: AtomicU64,
    /// Went with an actor that panicked.
    lost: AtomicU64,
}

impl Mailbox {
    pub fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub fn handled(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }

    pub fn handled_total(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// An actor ended with whatever was in its mailbox.
    pub fn forget(&self) {
        self.lost.fetch_add(self.depth(), Ordering::Relaxed);
    }

    pub fn depth(&self) -> u64 {
        let gone = self.handled_total() + self.lost.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(gone)
    }
}
