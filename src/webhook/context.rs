//! What all hook actors share, and the figures that each one shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use super::client::SenderSettings;
use super::messages::{DisableHook, OneOffIdle};
use super::outcome::SuccessCodes;
use crate::config;
use crate::event::now_ms;
use crate::metrics::{Mailbox, Metrics};
use crate::store::Store;
use crate::supervise::Door;

pub struct HookContext {
    pub config: config::Webhooks,
    pub sender: Arc<SenderSettings>,
    /// The system's, beside each hook's own.
    pub success: SuccessCodes,
    pub store: Store,
    pub metrics: Arc<Metrics>,
    pub cluster_id: String,
    pub disable: Door<DisableHook>,
    pub idle: Door<OneOffIdle>,
}

/// How the last attempt of a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LastResult {
    None = 0,
    Delivered = 1,
    Failed = 2,
    Refused = 3,
    Gone = 4,
}

/// The figures of one hook's actor. They outlive the actor, so that a restart does not reset them.
#[derive(Debug)]
pub struct Figures {
    pub mailbox: Mailbox,
    pub started_ms: AtomicU64,
    pub restarts: AtomicU64,
    pub in_flight: AtomicU64,
    /// Below zero for a moment when a delivery is over before the Registry has told that it went to the store.
    pending: AtomicI64,
    last: AtomicU8,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            mailbox: Mailbox::default(),
            started_ms: AtomicU64::new(now_ms()),
            restarts: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            pending: AtomicI64::new(0),
            last: AtomicU8::new(LastResult::None as u8),
        }
    }
}

impl Figures {
    /// Deliveries in the store, and on their way there.
    pub fn pending(&self) -> u64 {
        u64::try_from(self.pending.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub fn pending_changed(&self, by: i64) {
        self.pending.fetch_add(by, Ordering::Relaxed);
    }

    /// Begins anew with this number; by how much that differs from the one before.
    pub fn reset_pending(&self, pending: i64) -> i64 {
        pending - self.pending.swap(pending, Ordering::Relaxed)
    }

    pub fn set_last(&self, result: LastResult) {
        self.last.store(result as u8, Ordering::Relaxed);
    }

    /// `None` before the first attempt.
    pub fn last(&self) -> Option<&'static str> {
        match self.last.load(Ordering::Relaxed) {
            1 => Some("delivered"),
            2 => Some("failed"),
            3 => Some("refused"),
            4 => Some("gone"),
            _ => None,
        }
    }
}
