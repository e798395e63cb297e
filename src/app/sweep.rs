//! Looks after the actors that app owns: after a panic they are gone for good, and are made anew.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Supervisor};
use log::error;

use crate::amqp::consumer::{self, AmqpConsumer};
use crate::metrics::{ActorKind, Metrics};
use crate::routing::registry::{self, Registry};
use crate::store::{Store, StoreStats};
use crate::supervise::Slot;

const EVERY: Duration = Duration::from_millis(100);

pub struct Sweep {
    pub registry: Slot<Registry>,
    pub registry_parts: registry::Parts,
    pub consumer: Slot<AmqpConsumer>,
    /// `None` without a broker.
    pub consumer_parts: Option<consumer::Parts>,
    pub store: Store,
    pub metrics: Arc<Metrics>,
}

impl Sweep {
    pub async fn run(self) {
        let mut counted = StoreStats::default();
        loop {
            tokio::time::sleep(EVERY).await;
            if !self.registry.is_alive() {
                self.restart_registry().await;
            }
            if let Some(parts) = self.consumer_parts.as_ref().filter(|_| !self.consumer.is_alive()) {
                error!("the AMQP consumer ended unexpectedly and is started again");
                self.metrics.restart(ActorKind::AmqpConsumer);
                start_consumer(&self.consumer, parts.clone());
            }
            let stats = self.store.stats();
            self.metrics.store_flushes.inc_by(stats.flushes - counted.flushes);
            self.metrics.store_dropped_logs.inc_by(stats.dropped_logs - counted.dropped_logs);
            self.metrics.store_lost_writes.inc_by(stats.lost_writes - counted.lost_writes);
            self.metrics.store_bytes.set(stats.bytes_on_disk as i64);
            counted = stats;
        }
    }

    async fn restart_registry(&self) {
        error!("the registry ended unexpectedly and is built again from the store");
        match self.store.load().await {
            Ok(loaded) => {
                self.metrics.restart(ActorKind::Registry);
                self.registry.put(Registry::new(self.registry_parts.clone(), loaded).start());
            }
            Err(error) => error!("the registry cannot be built: {error}"),
        }
    }
}

/// Under a supervisor: a broker that is away is no panic, and the actor starts itself again.
pub fn start_consumer(slot: &Slot<AmqpConsumer>, parts: consumer::Parts) {
    slot.put(Supervisor::start(|_| AmqpConsumer::new(parts)));
}
