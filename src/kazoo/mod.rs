//! What Kazoo's messages mean. Pure: nothing here does I/O, keeps state or knows an actor.
//!
//! In reading order:
//! - [`notifications`], [`kind`], [`table`]: what Kazoo publishes, as data, one row per kind
//! - `skim`, [`members`], [`head`]: the few fields of an event that routing needs, read in one pass, and where others are
//! - [`classify`]: which kind an event is
//! - [`database`], [`owner`]: whose it is
//! - [`segment`], [`routing`]: where it would be published
//! - [`normalise`], [`coerce`], [`fields`], [`call_payload`], [`payload`]: what a hook is sent
//! - `selection`, [`topics`], [`bindings`]: which events a hook takes
//! - [`channel`], [`commands`]: what an event tells of a live call, and what can be done to one
//! - [`rewrite`]: what a socket is sent
//! - [`catalogue`]: the hooks on offer, and sample payloads
//! - [`dump`]: Kazoo's own accounts and hooks, as its database gives them out

pub mod bindings;
pub mod call_payload;
pub mod catalogue;
pub mod channel;
pub mod classify;
pub mod coerce;
pub mod commands;
pub mod database;
pub mod dump;
pub mod fields;
pub mod head;
pub mod kind;
pub mod members;
pub mod normalise;
pub mod notifications;
pub mod owner;
pub mod payload;
pub mod rewrite;
pub mod routing;
pub mod segment;
mod selection;
mod skim;
pub mod table;
pub mod topics;

use serde_json::{Map, Value};

/// A JSON object: an event as it was published, a payload as it is sent, a hook's `custom_data`.
pub type Object = Map<String, Value>;
