//! Sockets of live events: one actor per socket, and what bounds it.
//!
//! Reading order: `conversation` is what a session is given to say, `session` the actor; it reads with `reader` (`head`),
//! is timed by `watch`, limited by `bucket`, ended with a code of `close`. `outbox` is how events come to it; `line` and
//! `wire` are what is known of it from outside, `sockets` all of them. `upgrade` lets one in, `listener` is their port.

pub mod bucket;
pub mod close;
pub mod conversation;
mod guarded;
mod head;
pub mod line;
pub mod listener;
pub mod outbox;
pub mod reader;
pub mod session;
pub mod sockets;
pub mod upgrade;
mod watch;
pub mod wire;
