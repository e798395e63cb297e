//! Whether the server can do its work: written by the parts, read by `GET /readyz`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub struct Readiness {
    pub store_open: AtomicBool,
    /// Connected, bound and consuming. True without a broker too: then there is none to wait for.
    pub broker_consuming: AtomicBool,
    /// Bindings that hooks need and the broker has not got yet.
    pub bindings_missing: AtomicUsize,
    pub draining: AtomicBool,
    /// Events that came in over HTTP and are not done.
    pub events_in_flight: AtomicUsize,
}

impl Readiness {
    /// What is missing; empty when ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.store_open.load(Ordering::Relaxed) {
            missing.push("store");
        }
        if !self.broker_consuming.load(Ordering::Relaxed) {
            missing.push("broker");
        }
        if self.bindings_missing.load(Ordering::Relaxed) > 0 {
            missing.push("bindings");
        }
        if self.draining.load(Ordering::Relaxed) {
            missing.push("draining");
        }
        missing
    }
}
