//! Why a session does not take all that waits for it at once.
//!
//! One poll of the actor turns whatever its handlers send into one piece of bytes, which then waits for the peer outside
//! of every limit. A frame in the mailbox is shared with all others who get it, and is counted. So a session takes so
//! much, and goes on when it is polled again: when what it took is with the kernel, or has room in the connection's
//! buffer.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix::Actor;
use actix::fut::ActorFuture;

/// What a session takes out of its mailbox in one poll, but for the rest of the last frame. As much as the connection
/// gathers before it writes.
pub const TAKEN_BYTES_MAX: usize = 32 << 10;

/// Ends at the second poll. Nobody is woken for it: to be used only where the present poll leaves something to send, as
/// whoever takes that polls again.
#[derive(Debug, Default)]
pub struct Pause {
    began: bool,
}

impl<A: Actor> ActorFuture<A> for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut A, _: &mut A::Context, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.began, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}
