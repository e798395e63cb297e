//! One event on its way to one hook, as the hook's actor holds it.

use std::sync::Arc;

use super::context::UnderWay;
use super::hook::Hook;
use super::host_sender::Place;
use super::job::{BadJob, Job};
use super::request::Rendered;
use super::suspect::Suspect;
use crate::event::{Receipt, now_ms};
use crate::ids::{EventId, HookId};
use crate::poison::Poison;
use crate::store::{DeliveryKey, StoredDelivery, Write};

pub struct Delivery {
    pub job: Arc<Job>,
    /// Attempts made so far.
    pub attempts: u32,
    pub created_ms: u64,
    /// `None` once the sender was told that the event is safe.
    pub receipt: Option<Receipt>,
    /// Where it lies in the store, when it does.
    pub stored: Option<DeliveryKey>,
}

/// A delivery with a request under way, and what the request was made from.
pub struct Flight {
    pub delivery: Delivery,
    pub hook: Arc<Hook>,
    pub rendered: Arc<Rendered>,
    pub under_way: UnderWay,
    /// Until the request is over.
    pub _place: Place,
}

impl Delivery {
    pub fn new(job: Arc<Job>, receipt: Receipt) -> Self {
        Self { job, attempts: 0, created_ms: now_ms(), receipt: Some(receipt), stored: None }
    }

    pub fn from_stored(key: DeliveryKey, stored: StoredDelivery) -> Result<Self, BadJob> {
        let (attempts, created_ms) = (stored.attempts, stored.created_ms);
        let job = Arc::new(Job::from_stored(stored)?);
        Ok(Self { job, attempts, created_ms, receipt: None, stored: Some(key) })
    }

    /// To have it in hand while it is worked on.
    pub fn suspect(&self, hook: HookId, poison: &Poison<(HookId, EventId)>) -> Suspect {
        let receipt = self.receipt.as_ref().map(Receipt::suspect);
        Suspect { receipt, hook, event: self.job.event.id, poison: poison.clone() }
    }

    /// The write that puts it into the store, due at that time.
    pub fn put(&mut self, hook: HookId, due_ms: u64) -> Write {
        let key = DeliveryKey { hook, due_ms, event: self.job.event.id };
        self.stored = Some(key);
        Write::PutDelivery { key, delivery: self.job.to_stored(self.created_ms, self.attempts) }
    }
}
