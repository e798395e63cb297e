//! hookswitch: takes events off RabbitMQ and hands them out as webhooks.
//!
//! The crate's map, in reading order:
//!
//! - [`ids`], `event`: what an event is, and the receipt that travels with it
//! - [`kazoo`]: what Kazoo's messages mean; pure
//! - [`webhook`]: a hook, its requests, retries, and where a request may go
//! - [`store`]: everything on disk
//! - [`auth`]: tokens, keys, accounts, who may do what
//! - [`validation`]: what is wrong with a document
//!

pub mod auth;
pub mod ids;
pub mod kazoo;
pub mod store;
pub mod validation;
pub mod webhook;
