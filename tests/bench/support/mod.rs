//! What the benchmarks share: the broker, the publisher, the receiver, the server under test, and what it has used.

// Each benchmark is a program of its own and takes what it needs.
#![allow(dead_code)]

pub mod broker;
pub mod measure;
pub mod publisher;
pub mod receiver;
pub mod server;
