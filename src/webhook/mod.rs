//! Webhooks: what a hook is, what its requests look like, where they may go, and what becomes of them.
//!
//! Most modules compute; only [`resolve`], [`connect`], [`tls`] and [`client`] touch the network or the disk. When to
//! send is decided elsewhere. In reading order:
//!
//! - [`hook`]: a registered hook; [`record`]: its form on disk
//! - [`document`]: what its public document must keep to, and [`rules`]: the lists and limits in that; [`fields`]: what
//!   delivery reads of it; [`modifiers`]: which payloads it wants
//! - [`uri`]: where its requests go; [`guard`]: whether they may; [`networks`], [`allow`]: what the guard goes by
//! - [`request`], [`form`]: verb, format, and the rendering of a payload
//! - [`client`]: one request and its answer, by way of [`connect`], [`resolve`] and [`tls`], with its tasks
//!   [`put_off`]; [`host_sender`]: what hooks of one host share
//! - [`outcome`]: how an attempt ended; [`retry`]: when to try again, and when a hook has failed too often
//! - [`actor`]: the actor of one hook, with its [`messages`] and [`context`]; [`job`]: an event that several hooks share;
//!   [`delivery`]: one event to one hook; [`attempt`]: one request of it; [`suspect`]: which one a panic is blamed on

pub mod actor;
pub mod allow;
pub mod attempt;
pub mod client;
pub mod connect;
pub mod context;
pub mod delivery;
pub mod document;
pub mod fields;
pub mod form;
pub mod guard;
pub mod hook;
pub mod host_sender;
pub mod job;
pub mod messages;
pub mod modifiers;
pub mod networks;
pub mod outcome;
pub mod put_off;
pub mod record;
pub mod request;
pub mod resolve;
pub mod retry;
pub mod rules;
pub mod suspect;
pub mod tls;
pub mod uri;
