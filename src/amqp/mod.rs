//! The broker: what is declared there, how events come from it, when they are acknowledged, what is published to it.
//!
//! In reading order: [`topology`] (connect, declare, bind), [`consumer`] (the actor), `decode` (a message's bytes),
//! `settle` and `tags` (receipts become acknowledgements), `publisher` (messages for the bus).

pub mod consumer;
mod decode;
mod publisher;
mod settle;
mod tags;
mod topology;
