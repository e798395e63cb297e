//! What all hook actors share, and the figures that each one shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;

use super::client::SenderSettings;
use super::messages::{DisableHook, OneOffIdle};
use super::outcome::SuccessCodes;
use crate::config;
use crate::event::now_ms;
use crate::ids::{EventId, HookId};
use crate::metrics::Metrics;
use crate::metrics::mailbox::Mailbox;
use crate::poison::Poison;
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
    /// Deliveries of the store whose handling panicked.
    pub poison: Poison<(HookId, EventId)>,
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
    pub panics: AtomicU64,
    in_flight: AtomicU64,
    /// Below zero for a moment when a delivery is over before the Registry has told that it went to the store.
    pending: AtomicI64,
    /// The sums over all hooks.
    pending_total: Gauge,
    in_flight_total: Gauge,
    last: AtomicU8,
}

impl Figures {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            mailbox: Mailbox::default(),
            started_ms: AtomicU64::new(now_ms()),
            restarts: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            pending: AtomicI64::new(0),
            pending_total: metrics.pending.clone(),
            in_flight_total: metrics.in_flight.clone(),
            last: AtomicU8::new(LastResult::None as u8),
        }
    }

    /// Deliveries in the store, and on their way there.
    pub fn pending(&self) -> u64 {
        u64::try_from(self.pending.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub fn pending_changed(&self, by: i64) {
        self.pending.fetch_add(by, Ordering::Relaxed);
        self.pending_total.inc_by(by);
    }

    /// Before they are counted again, or when nobody has them any more.
    pub fn forget_pending(&self) {
        self.pending_total.dec_by(self.pending.swap(0, Ordering::Relaxed));
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
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

/// With their last holder gone, the actor and its Registry are: whoever comes next counts for itself.
impl Drop for Figures {
    fn drop(&mut self) {
        self.forget_pending();
    }
}

/// Counts a request as under way for as long as it lives, whatever ends it.
pub struct UnderWay(Arc<Figures>);

impl UnderWay {
    pub fn begin(figures: Arc<Figures>) -> Self {
        figures.in_flight.fetch_add(1, Ordering::Relaxed);
        figures.in_flight_total.inc();
        Self(figures)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.in_flight_total.dec();
    }
}
