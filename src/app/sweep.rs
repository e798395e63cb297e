//! Looks after the actors that app owns: after a panic they are gone for good, and are made anew.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Supervisor};
use futures_util::future::{FutureExt, select_all};
use log::error;
use tokio::time::{sleep, timeout_at};

use crate::amqp::consumer::{self, AmqpConsumer};
use crate::event::now_ms;
use crate::metrics::{ActorKind, Metrics};
use crate::routing::registry::{self, Registry};
use crate::store::{Store, StoreError, StoreStats};
use crate::supervise::Slot;
use crate::supervise::beat::next_beat;
use crate::websocket::messages::News;

const EVERY: Duration = Duration::from_secs(1);
/// From the end of an actor to its next start, so that one which panics again and again leaves the others time.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Sweep {
    pub registry: Slot<Registry>,
    pub registry_parts: registry::Parts,
    /// None without a broker.
    pub consumers: Vec<consumer::Parts>,
    pub store: Store,
    pub metrics: Arc<Metrics>,
}

impl Sweep {
    pub async fn run(self) {
        let mut counted = StoreStats::default();
        loop {
            self.wait().await;
            // Its hooks end with it. Before they have, the store does not have all that they leave.
            if !self.registry.is_alive() && self.registry_parts.children.are_gone() {
                self.restart_registry().await;
            }
            for parts in self.consumers.iter().filter(|parts| !parts.slot.is_alive()) {
                error!("the AMQP consumer ({}) ended unexpectedly and is started again", parts.queue.role());
                self.metrics.restart(ActorKind::AmqpConsumer);
                start_consumer(parts.clone());
            }
            let stats = self.store.stats();
            self.metrics.store_flushes.inc_by(stats.flushes - counted.flushes);
            self.metrics.store_dropped_logs.inc_by(stats.dropped_logs - counted.dropped_logs);
            self.metrics.store_lost_writes.inc_by(stats.lost_writes - counted.lost_writes);
            self.metrics.store_bytes.set(stats.bytes_on_disk as i64);
            self.metrics.oldest_pending_age_seconds.set(age_s(stats.oldest_delivery_s, now_ms() / 1_000));
            counted = stats;
        }
    }

    async fn wait(&self) {
        if !self.registry.is_alive() && !self.registry_parts.children.are_gone() {
            return sleep(PAUSE).await;
        }
        let consumers = self.consumers.iter().map(|parts| parts.slot.panicked().boxed_local());
        let panicked = consumers.chain([self.registry.panicked().boxed_local()]);
        if timeout_at(next_beat(EVERY), select_all(panicked)).await.is_ok() {
            sleep(PAUSE).await;
        }
    }

    async fn restart_registry(&self) {
        error!("the registry ended unexpectedly and is built again from the store");
        match self.build_registry().await {
            Ok(registry) => {
                self.metrics.restart(ActorKind::Registry);
                self.registry.put(registry);
                // Not before: what a session then sends would go to the dead one.
                self.registry_parts.roster.tell_all(&News::Reannounce);
            }
            Err(error) => error!("the registry cannot be built: {error}"),
        }
    }

    async fn build_registry(&self) -> Result<Addr<Registry>, BuildError> {
        // What the dead have queued is read, too.
        self.store.flush_now().await?;
        let loaded = self.store.load().await?;
        let parts = self.registry_parts.clone();
        // A task of its own: were it to panic, nobody would look after anything any more.
        let built = actix::spawn(async move { Registry::new(parts, loaded).start() });
        built.await.map_err(|_| BuildError::Panicked)
    }
}

#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what the store has makes it panic")]
    Panicked,
}

/// Of what was created then, 0 for what was not.
fn age_s(created_s: u64, now_s: u64) -> i64 {
    if created_s == 0 { 0 } else { now_s.saturating_sub(created_s) as i64 }
}

/// Under a supervisor: a broker that is away is no panic, and the actor starts itself again.
pub fn start_consumer(parts: consumer::Parts) {
    let slot = parts.slot.clone();
    slot.put(Supervisor::start(|_| AmqpConsumer::new(parts)));
}
