//! Live events on sockets, as Kazoo's `blackhole` hands them out: one actor per socket, and what bounds it.
//!
//! - [`protocol`]: what is said on a socket; [`bindings`]: which events a client's binding means, who may have them, and
//!   what they are called. Both are pure
//! - [`dialog`]: one side of what is said on one socket; [`login`]: as whom; [`reception`]: who may open one; [`roster`]:
//!   who is on the sockets; [`messages`]: what is asked of the Registry; [`slots`]: the numbers of subscriptions
//! - [`conversation`]: what a session is given to say, [`session`]: the actor. It reads with [`reader`] (`head`), is timed by
//!   `watch`, limited by [`bucket`], `waiting` and `portion`, ended with a code of [`close`]
//! - [`outbox`]: how events come to a session; [`line`](mod@line) and [`wire`]: what is known of it from outside, [`sockets`]: all of
//!   them; [`worker`]: the threads that serve them
//! - [`upgrade`] lets one in, [`listener`] is their port
//! - [`stream`] makes a session the body of an answer with Server-Sent Events, [`streams`] lets one in

pub mod bindings;
pub mod bucket;
pub mod close;
pub mod conversation;
pub mod dialog;
mod guarded;
mod head;
pub mod line;
pub mod listener;
pub mod login;
pub mod messages;
pub mod outbox;
mod portion;
pub mod protocol;
pub mod reader;
pub mod reception;
pub mod roster;
pub mod session;
pub mod slots;
pub mod sockets;
pub mod stream;
pub mod streams;
pub mod upgrade;
mod waiting;
mod watch;
pub mod wire;
pub mod worker;
