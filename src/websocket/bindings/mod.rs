//! Which events a client's binding means: from its text to patterns that the Registry matches. Pure.
//!
//! [`rights`] is whose events somebody may have, [`client`] reads bindings, [`topic`] is what an event is called in their
//! patterns and in frames, [`keys`] are Kazoo's internal keys, [`catalogue`] are the bindings on offer.
//!
//! A pattern names no account: the account that an event belongs to is found first, and only that account's subscriptions
//! are looked at. So it does not matter that Kazoo's own keys name a database that changes with the month, or a realm that
//! may be given another name; clients see those keys, and nothing is matched against them.

pub mod catalogue;
pub mod client;
pub mod keys;
pub mod rights;
pub mod topic;

#[cfg(test)]
mod tests;
