//! Which hooks an event goes to.
//!
//! [`pattern`] and [`trie`] are pure; [`registry`] is the actor that owns the hooks (`events` is the way of an event
//! through it, `changes` that of a changed hook, `answers` what it tells, `one_offs` are the hooks that nobody registered); [`bindings`] counts
//! what the hooks need from the broker; [`calls`] remembers whose call is whose, [`channels`] the live calls.

mod answers;
pub mod bindings;
pub mod calls;
mod changes;
pub mod channels;
mod events;
mod hooks;
pub mod messages;
mod one_offs;
pub mod pattern;
pub mod registry;
mod respawn;
pub mod trie;
