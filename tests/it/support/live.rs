//! `Live`: the consumer of the live queue alone, with an ear in the place of the Registry.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler, Supervisor};
use hookswitch::amqp::consumer::{AmqpConsumer, Close, Parts, StopConsuming};
use hookswitch::amqp::queue::Queue;
use hookswitch::config::Config;
use hookswitch::event::{Audience, Ingest, LiveGap, Receipt, now_ms};
use hookswitch::kazoo::bindings::Binding;
use hookswitch::metrics::Metrics;
use hookswitch::readiness::Readiness;
use hookswitch::routing::bindings::Bindings;
use hookswitch::routing::demand::Demand;
use hookswitch::supervise::Slot;

use super::bus::{own_queue, use_queue};
use super::{PATIENCE, eventually};

/// What was heard.
#[derive(Default)]
struct Heard {
    /// By Msg-ID, with the receipts of those that are not settled.
    events: Vec<String>,
    receipts: VecDeque<Receipt>,
    holds: bool,
    gaps: Vec<LiveGap>,
}

struct Ear(Arc<Mutex<Heard>>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Ingest> for Ear {
    type Result = ();

    fn handle(&mut self, Ingest { event, receipt, audience }: Ingest, _: &mut Self::Context) {
        assert_eq!(audience, Audience::Sockets);
        let mut heard = self.0.lock().unwrap();
        heard.events.push(event.head.msg_id.as_deref().unwrap().to_owned());
        if heard.holds {
            heard.receipts.push_back(receipt);
        } else {
            receipt.done();
        }
    }
}

impl Handler<LiveGap> for Ear {
    type Result = ();

    fn handle(&mut self, gap: LiveGap, _: &mut Self::Context) {
        self.0.lock().unwrap().gaps.push(gap);
    }
}

pub struct Live {
    pub demand: Demand,
    pub bindings: Arc<Bindings>,
    pub readiness: Arc<Readiness>,
    pub metrics: Metrics,
    heard: Arc<Mutex<Heard>>,
    consumer: Slot<AmqpConsumer>,
    parts: Parts,
    _ear: Slot<Ear>,
}

impl Live {
    /// Returns when it consumes.
    pub async fn on(uri: &str, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        use_queue(&mut config, uri, &own_queue());
        configure(&mut config);
        let (metrics, readiness) = (Metrics::new(), Arc::new(Readiness::default()));
        let delay = Duration::from_millis(config.amqp.unbind_delay_ms);
        let bindings = Arc::new(Bindings::with_delay(delay));
        let (consumer, ear, heard) = (Slot::default(), Slot::default(), Arc::default());
        ear.put(Ear(Arc::clone(&heard)).start());
        let parts = Parts {
            queue: Queue::live(&config.amqp),
            config: config.amqp,
            node_name: "live@test".to_owned(),
            bindings: Arc::clone(&bindings),
            store: None,
            ingest: ear.door(),
            gap: ear.door(),
            counters: metrics.live_queue.clone(),
            readiness: Arc::clone(&readiness.live_queue),
            slot: consumer.clone(),
            poison: Default::default(),
            heard: Default::default(),
        };
        let demand = Demand::new(Arc::clone(&bindings), Some(consumer.door()), PATIENCE);
        let live = Self { demand, bindings, readiness, metrics, heard, consumer, parts, _ear: ear };
        live.start();
        live.await_consuming().await;
        live
    }

    /// Also a second time, as after a panic.
    pub fn start(&self) {
        let parts = self.parts.clone();
        self.consumer.put(Supervisor::start(|_| AmqpConsumer::new(parts)));
    }

    pub async fn await_consuming(&self) {
        eventually("a consumed live queue", async || self.is_consuming()).await;
    }

    pub fn is_consuming(&self) -> bool {
        !self.readiness.missing().contains(&"live events")
    }

    pub async fn stop(&self) {
        self.consumer.ask(StopConsuming).await.unwrap();
        self.consumer.ask(Close).await.unwrap();
    }

    /// Bound when it returns.
    pub async fn need(&self, binding: &Binding) {
        self.demand.need(std::slice::from_ref(binding)).await.unwrap();
        assert!(self.bindings.has(std::slice::from_ref(binding)));
    }

    /// From now on events are not settled.
    pub fn hold(&self) {
        self.heard.lock().unwrap().holds = true;
    }

    /// Settles all events, those that were held and those to come.
    pub fn let_go(&self) {
        let mut heard = self.heard.lock().unwrap();
        heard.holds = false;
        heard.receipts.drain(..).for_each(Receipt::done);
    }

    /// Msg-IDs, in the order of their coming.
    pub fn events(&self) -> Vec<String> {
        self.heard.lock().unwrap().events.clone()
    }

    pub async fn eventually_heard(&self, id: &str) {
        eventually(&format!("event {id}"), async || self.events().iter().any(|heard| heard == id)).await;
    }

    pub fn gaps(&self) -> Vec<LiveGap> {
        self.heard.lock().unwrap().gaps.clone()
    }

    pub fn now_ms() -> u64 {
        now_ms()
    }
}
