//! Which hooks and which sockets an event goes to.
//!
//! [`registry`] is the actor that owns the `hooks`, of which the [`takers`] get an event (`events` is its way through
//! it, `changes` that of a changed hook, `writes` which are under way, `disabling` the one nobody asks for, `answers`
//! what it tells, `one_offs` are the hooks that nobody registered, `sessions` is its side towards sockets, `live` what it
//! knows of live calls); [`bindings`] counts what is needed from the broker, and [`demand`] is how live events are asked
//! for; [`calls`] and [`conferences`] remember whose a call and a conference is, each in a [`memory`]; [`channels`] are
//! the live calls, [`commands`] how they are commanded.
//! `holds` are the events that hooks have not delivered yet.
//! [`subscriptions`] are which sessions an event goes to, by [`pattern`]s in tries that [`forest`] keeps together;
//! `listeners` are those sessions, `ushers` go there, `pace` bounds how far events are ahead of them, [`history`] is what
//! they may have missed.

mod answers;
pub mod bindings;
pub mod calls;
mod changes;
pub mod channels;
pub mod commands;
pub mod conferences;
pub mod demand;
mod disabling;
mod events;
pub mod forest;
#[cfg(test)]
mod fuzz;
pub mod history;
mod holds;
mod hooks;
mod listeners;
mod live;
pub mod memory;
pub mod messages;
#[cfg(test)]
mod naive;
mod one_offs;
mod pace;
pub mod pattern;
pub mod registry;
mod respawn;
mod sessions;
pub mod subscriptions;
pub mod takers;
mod ushers;
mod writes;
