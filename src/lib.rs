//! hookswitch: takes events off RabbitMQ and hands them out as webhooks, and as frames on websockets.
//!
//! The crate's map, in reading order:
//!
//! - [`cli`]: the command line
//! - [`app`]: builds, starts and stops every part
//! - [`config`]: `config.toml` and the environment
//! - [`ids`], [`event`]: what an event is, and the receipt that travels with it
//! - [`kazoo`]: what Kazoo's messages mean; pure
//! - [`routing`]: the Registry: which hooks an event goes to
//! - [`amqp`]: the broker
//! - [`webhook`]: a hook, its requests, retries, and where a request may go
//! - [`websocket`]: a socket of live events: what is said on it, its session, and what bounds it
//! - [`store`]: everything on disk
//! - [`auth`]: tokens, keys, accounts, who may do what
//! - [`http`]: the API
//! - [`validation`]: what is wrong with a document
//! - `fast`: the tables on the way of every event
//! - [`supervise`], [`poison`], [`faults`]: addresses that survive a panic; what caused one; panics on purpose, for tests
//! - [`readiness`], [`metrics`]: whether the server is ready, every counter
//!
//! `actors.md` has the bird's-eye picture and the invariants.

pub mod amqp;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod event;
mod fast;
mod faults;
#[cfg(test)]
mod fuzz;
pub mod http;
pub mod ids;
pub mod kazoo;
pub mod metrics;
pub mod poison;
pub mod readiness;
pub mod routing;
pub mod store;
pub mod supervise;
pub mod validation;
pub mod webhook;
pub mod websocket;
