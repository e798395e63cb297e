//! Which hooks an event goes to.
//!
//! [`pattern`] and [`trie`] are pure; [`registry`] is the actor that owns the hooks (`events` is the way of an event
//! through it, `changes` that of a changed hook, `answers` what it tells, `one_offs` are the hooks that nobody registered,
//! `live` is what it knows of live calls and events); [`bindings`] counts what is needed from the broker, and [`demand`] is
//! how live events are asked for; [`calls`] remembers whose call is whose, [`channels`] the live calls.

mod answers;
pub mod bindings;
pub mod calls;
mod changes;
pub mod channels;
pub mod demand;
mod events;
mod hooks;
mod live;
pub mod messages;
mod one_offs;
pub mod pattern;
pub mod registry;
mod respawn;
pub mod trie;
