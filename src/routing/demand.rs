//! What sockets, and the tracking of calls, need from the live queue: bound while somebody needs it.
//!
//! The Registry's way to say so. A socket is answered when its bindings hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::bindings::{Bindings, NotBound, Reconcile};
use crate::kazoo::bindings::Binding;
use crate::supervise::Door;

/// How often to ask a consumer that has no broker.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub struct Demand {
    bindings: Arc<Bindings>,
    /// `None` without a broker: then everything comes over HTTP, and nothing has to be bound.
    reconcile: Option<Door<Reconcile>>,
    patience: Duration,
}

impl Demand {
    pub fn new(bindings: Arc<Bindings>, reconcile: Option<Door<Reconcile>>, patience: Duration) -> Self {
        Self { bindings, reconcile, patience }
    }

    /// Counts the need at once. The future ends when the broker has all of them; `NotBound` when it does not say so in
    /// time, as while it is away for longer. The need holds even then, and is met as soon as the broker can, until it is
    /// released.
    pub fn need(&self, bindings: &[Binding]) -> impl Future<Output = Result<(), NotBound>> + use<> {
        self.bindings.need(bindings.iter().cloned());
        let pending = self.reconcile.clone().filter(|_| !self.bindings.has(bindings));
        let (all, wanted, patience) = (Arc::clone(&self.bindings), bindings.to_vec(), self.patience);
        async move {
            let Some(door) = pending else { return Ok(()) };
            let bound = async {
                // One that is connecting to the broker binds them by itself then.
                while !matches!(door.ask(Reconcile).await, Ok(Ok(()))) && !all.has(&wanted) {
                    sleep(LOOK_AGAIN).await;
                }
            };
            timeout(patience, bound).await.map_err(|_| NotBound)
        }
    }

    /// Since when every event under them comes here, in Unix milliseconds. Without a broker that is always.
    pub fn heard_since_ms(&self, bindings: &[Binding]) -> u64 {
        match self.reconcile {
            Some(_) => self.bindings.bound_since_ms(bindings).unwrap_or(u64::MAX),
            None => 0,
        }
    }

    /// The last one to release a binding leaves it bound for `amqp.unbind_delay_ms`.
    pub fn release(&self, bindings: &[Binding]) {
        self.bindings.release(bindings);
    }

    /// Before a new Registry counts again.
    pub fn release_all(&self) {
        self.bindings.release_all();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use actix::{Actor, Context, Handler, ResponseFuture};

    use super::{Arc, Binding, Bindings, Demand, Door, Duration, NotBound, Reconcile};
    use crate::supervise::Slot;

    fn binding() -> Binding {
        Binding { exchange: "callevt", routing_key: "call.*.*".into() }
    }

    /// Answers as it is told; `None` is never.
    struct Consumer(Option<Result<(), NotBound>>);

    impl Actor for Consumer {
        type Context = Context<Self>;
    }

    impl Handler<Reconcile> for Consumer {
        type Result = ResponseFuture<Result<(), NotBound>>;

        fn handle(&mut self, _: Reconcile, _: &mut Self::Context) -> Self::Result {
            match self.0 {
                Some(answer) => Box::pin(async move { answer }),
                None => Box::pin(pending()),
            }
        }
    }

    async fn need(door: Option<Door<Reconcile>>) -> Result<(), NotBound> {
        let bindings = Arc::new(Bindings::default());
        let demand = Demand::new(Arc::clone(&bindings), door, Duration::from_millis(20));
        let answer = demand.need(&[binding()]).await;
        assert_eq!(bindings.difference().missing, [binding()], "the need holds");
        demand.release(&[binding()]);
        assert!(bindings.difference().is_empty());
        answer
    }

    #[actix::test]
    async fn need_is_answered_as_the_consumer_does_or_in_time() {
        assert_eq!(need(None).await, Ok(()));
        assert_eq!(need(Some(Door::walled_up())).await, Err(NotBound));
        for (answer, expected) in [(Some(Ok(())), Ok(())), (Some(Err(NotBound)), Err(NotBound)), (None, Err(NotBound))]
        {
            let slot = Slot::default();
            slot.put(Consumer(answer).start());
            assert_eq!(need(Some(slot.door())).await, expected);
        }
    }

    #[actix::test]
    async fn need_waits_for_a_broker_that_is_away_for_a_moment() {
        let bindings = Arc::new(Bindings::default());
        let slot = Slot::default();
        slot.put(Consumer(Some(Err(NotBound))).start());
        let demand = Demand::new(Arc::clone(&bindings), Some(slot.door()), Duration::from_secs(60));
        let needed = actix::spawn(demand.need(&[binding()]));
        tokio::task::yield_now().await;
        assert!(!needed.is_finished());
        bindings.set_bound(binding());
        assert_eq!(needed.await.unwrap(), Ok(()));
    }

    #[actix::test]
    async fn what_is_bound_already_needs_nobody() {
        let bindings = Arc::new(Bindings::default());
        bindings.set_bound(binding());
        let demand = Demand::new(bindings, Some(Door::walled_up()), Duration::from_millis(20));
        assert_eq!(demand.need(&[binding()]).await, Ok(()));
    }
}
