//! The broker: what is declared there, how events come from it, when they are acknowledged, what is published to it.
//!
//! In reading order: [`topology`] (connect, declare, bind), `bind` (what is bound, and what has to be), [`consumer`] (the
//! actor), `decode` (a message's bytes), `settle` and `tags` (receipts become acknowledgements), `publisher` (messages
//! for the bus).

mod bind;
pub mod consumer;
mod decode;
mod publisher;
mod settle;
mod tags;
mod topology;
