//! What the integration tests stand on: real receivers, real brokers, the real binary. Only `app`, `bus`, `live` and
//! `echo` know the crate's own types beyond its ids, and `kazoo` where events are published, so that a mistake in the
//! crate cannot hide in its tests.

pub mod api;
pub mod app;
pub mod bridge;
pub mod bus;
pub mod calls;
pub mod chaos;
pub mod dns;
pub mod echo;
pub mod endpoint;
pub mod hook_server;
pub mod kazoo;
pub mod live;
pub mod monster;
pub mod operations;
pub mod process;
pub mod publisher;
pub mod rabbit;
pub mod raw_socket;
pub mod reader;
pub mod sse_client;
pub mod ws_client;

use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails. Far above what is ever needed: it decides how soon a failure
/// shows, not whether a slow machine passes.
pub const PATIENCE: Duration = Duration::from_secs(20);

const POLL_EVERY: Duration = Duration::from_millis(20);

/// Waits until the condition holds; fails the test, naming `what`, when it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(POLL_EVERY).await;
    }
}
