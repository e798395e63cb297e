//! The HTTP API. In reading order:
//! - [`server`], [`connections`]: the listener with its limits; [`front`]: the checks, in their order; [`table`]: every route
//! - [`route`], [`request`], [`body`], [`json`], [`query`]: what a request is
//! - [`call`], [`answer`], [`envelope`], [`error`]: what a handler gets, and what becomes of its answer
//! - [`page`], [`filter`], [`scan`], [`clock`]: listings
//! - one module per resource; [`hook_rules`], [`draft`] and [`room`] belong to `webhooks` and `events`
//!
//! It holds no state of its own: hooks are the Registry's, accounts the directory's, the rest the store's.

mod accounts;
mod actors;
mod answer;
mod api_auth;
mod api_keys;
mod attempts;
mod body;
mod call;
mod catalogue;
mod channels;
pub mod clock;
mod configs;
mod connections;
mod dead;
mod draft;
mod envelope;
mod error;
mod events;
mod filter;
mod front;
mod health;
mod hook_rules;
mod json;
mod metrics;
mod page;
mod query;
mod request;
mod room;
mod route;
mod scan;
pub mod server;
pub mod state;
mod streams;
mod table;
mod tree;
mod webhooks;
mod websockets;
