//! Whether the server can do its work: written by the parts, read by `GET /readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub struct Readiness {
    pub store_open: AtomicBool,
    pub webhook_queue: Arc<QueueReadiness>,
    pub live_queue: Arc<QueueReadiness>,
    pub draining: AtomicBool,
    /// Events that came in over HTTP and are not done.
    pub events_in_flight: AtomicUsize,
}

/// Whether events come from one of our queues.
#[derive(Debug, Default)]
pub struct QueueReadiness {
    /// Connected, bound and consuming. True without a broker too: then there is none to wait for.
    pub consuming: AtomicBool,
    /// Bindings that are needed and that the broker has not got yet.
    pub bindings_missing: AtomicUsize,
}

impl Readiness {
    /// What is missing; empty when ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.store_open.load(Ordering::Relaxed) {
            missing.push("store");
        }
        if !self.webhook_queue.consuming.load(Ordering::Relaxed) {
            missing.push("broker");
        }
        if self.webhook_queue.bindings_missing.load(Ordering::Relaxed) > 0 {
            missing.push("bindings");
        }
        // What sockets ask for is answered when it is bound, one by one.
        if !self.live_queue.consuming.load(Ordering::Relaxed) {
            missing.push("live events");
        }
        if self.draining.load(Ordering::Relaxed) {
            missing.push("draining");
        }
        missing
    }
}
