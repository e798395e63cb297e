//! How much of what waits for it a session takes at a time.
//!
//! One poll of the actor turns all that its handlers send into one piece of bytes, which is the peer's alone and counts
//! for no limit. A frame in the mailbox is shared with all others who get it, and is counted. So a session takes a
//! portion, and the next one when it is polled again: when the connection has room for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix::Actor;
use actix::fut::ActorFuture;

/// As much as the connection gathers before it writes.
const PORTION_BYTES: usize = 32 << 10;

#[derive(Debug, Default)]
pub struct Portion {
    bytes: usize,
}

impl Portion {
    /// A frame is taken. `Some`: enough for now; to be waited for, and to be used only where something is sent: nobody is
    /// woken for it, but whoever takes what was sent polls again.
    pub fn take(&mut self, bytes: usize) -> Option<Pause> {
        self.bytes += bytes;
        (self.bytes >= PORTION_BYTES).then(|| {
            self.bytes = 0;
            Pause { began: false }
        })
    }
}

/// Ends at the second poll.
#[derive(Debug)]
pub struct Pause {
    began: bool,
}

impl<A: Actor> ActorFuture<A> for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut A, _: &mut A::Context, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.began, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}
