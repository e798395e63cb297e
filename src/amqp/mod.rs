//! The broker: what is declared there, how events come from it, when they are acknowledged, what is published to it.
//!
//! In reading order: [`queue`] (the two that are ours), `topology` (connect, declare), `bind` (what is bound, and what has
//! to be), [`consumer`] (the actor), `decode` (a message's bytes), `gap` (since when live events may be missing), `settle`
//! and `tags` (receipts become acknowledgements), `publisher` (messages for the bus).

mod bind;
pub mod consumer;
mod decode;
mod gap;
mod publisher;
pub mod queue;
mod settle;
mod tags;
mod topology;
