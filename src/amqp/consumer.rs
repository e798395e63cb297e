//! The AmqpConsumer: keeps a connection to the broker for ever, and gives what it sends to the Registry. There are two of
//! them, one for each of our queues.
//!
//! |            |                                                                                                |
//! |------------|------------------------------------------------------------------------------------------------|
//! | owns       | the connection, its channels, the task that acknowledges                                        |
//! | receives   | messages of its queue; `Reconcile`, `Publish` from the Registry and HTTP; `StopConsuming`,     |
//! |            | `Close` from app                                                                               |
//! | sends      | `Ingest`, `LiveGap` to the Registry; bindings, acknowledgements and messages to the broker      |
//! | fails when | the broker is away, refuses a declaration, or another server consumes the queue; the task that |
//! |            | acknowledges ends; on a panic                                                                  |
//! | on failure | it stops itself after a pause and its supervisor starts it again, for ever, declaring all anew; |
//! |            | after a panic app does. Its connection is closed, and what was not acknowledged comes again     |
//! |            | from the broker                                                                                |
//!
//! It decides nothing about events: what is not JSON is rejected here, everything else is the Registry's.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, StreamHandler,
    Supervised, WrapFuture,
};
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::BasicCancelOptions;
use log::{Level, info, log, warn};
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use super::bind::{Extent, bring_in_line};
use super::decode::{decode, published_ms};
use super::gap::{Heard, away_since};
use super::publisher::publish;
use super::queue::Queue;
use super::settle::{Settings, Settler};
use super::topology::{self, ConnectError, Link};
use crate::config::Amqp;
use crate::event::{Event, Ingest, LiveGap, Publish, PublishError, Settled, now_ms};
use crate::faults::fault_point;
use crate::ids::EventId;
use crate::metrics::{QueueCounters, RejectReason};
use crate::poison::Poison;
use crate::readiness::QueueReadiness;
use crate::routing::bindings::{Bindings, NotBound, Reconcile};
use crate::store::Store;
use crate::supervise::beat::next_beat;
use crate::supervise::{Door, Slot};

/// How often it looks for what nobody tells it.
const LOOK: Duration = Duration::from_millis(500);

/// What the consumer is built from, again and again.
#[derive(Clone)]
pub struct Parts {
    pub config: Amqp,
    pub queue: Queue,
    pub node_name: String,
    pub bindings: Arc<Bindings>,
    /// Where the bindings of a lasting queue are written down.
    pub store: Option<Store>,
    pub ingest: Door<Ingest>,
    pub gap: Door<LiveGap>,
    pub counters: QueueCounters,
    pub readiness: Arc<QueueReadiness>,
    pub slot: Slot<AmqpConsumer>,
    pub poison: Poison<EventId>,
    pub heard: Heard,
}

pub struct AmqpConsumer {
    parts: Parts,
    link: Option<Rc<Link>>,
    settler: Option<Settler>,
    /// Bindings change one after the other, so that an unbinding never overtakes a binding.
    binding: Rc<Mutex<()>>,
    /// Messages for the bus that wait for the broker.
    waiting: VecDeque<Waiting>,
    pause_ms: u64,
    /// The first moment, in Unix milliseconds, at which the broker may have been out of reach.
    away_since_ms: u64,
    stopping: bool,
}

struct Waiting {
    message: Publish,
    answer: oneshot::Sender<Result<(), PublishError>>,
    until: Instant,
}

/// No further messages are taken; what is under way can still be acknowledged.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopConsuming;

/// Acknowledges what is settled and closes the connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Close;

impl AmqpConsumer {
    pub fn new(parts: Parts) -> Self {
        let pause_ms = parts.config.reconnect_min_ms;
        let unnoticed_ms = 2_000 * u64::from(parts.config.heartbeat_s);
        Self {
            parts,
            link: None,
            settler: None,
            binding: Rc::default(),
            waiting: VecDeque::new(),
            pause_ms,
            away_since_ms: away_since(now_ms(), unnoticed_ms),
            stopping: false,
        }
    }

    fn connect(&mut self, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        self.forget_bindings();
        let connected = async move {
            let name = format!("{} ({})", parts.node_name, parts.queue.role());
            let link = topology::connect(&parts.config, &parts.queue, &name).await?;
            bring_in_line(&parts, &link, Extent::Everything).await?;
            let consumer = topology::consume(&link.channel, &link.queue).await?;
            Ok::<(Link, Consumer), ConnectError>((link, consumer))
        };
        ctx.spawn(connected.into_actor(self).map(|result, actor, ctx| match result {
            Ok((link, consumer)) => actor.connected(link, consumer, ctx),
            Err(error) => {
                let wait_ms = actor.pause(ctx);
                let level = if error.needs_operator() { Level::Error } else { Level::Warn };
                log!(level, "{error}; trying again in {wait_ms} ms");
            }
        }));
    }

    fn connected(&mut self, link: Link, consumer: Consumer, ctx: &mut Context<Self>) {
        let config = &self.parts.config;
        let settings = Settings {
            prefetch: self.parts.queue.prefetch,
            ack_delay: Duration::from_millis(config.ack_delay_ms),
            requeue_delay: Duration::from_millis(config.requeue_delay_ms),
            poison_max: config.poison_max,
            poison: self.parts.poison.clone(),
            counters: self.parts.counters.clone(),
        };
        let (settler, ended) = Settler::start(link.channel.clone(), settings);
        self.settler = Some(settler);
        // Without that task the prefetch would run full, and the queue stand still.
        ctx.spawn(ended.into_actor(self).map(|_, actor, ctx| actor.lost("acknowledging has ended", ctx)));
        self.pause_ms = config.reconnect_min_ms;
        let which = if self.parts.queue.is_lasting() { "" } else { "live " };
        info!("consuming {which}queue {:?}", link.queue);
        self.link = Some(Rc::new(link));
        self.parts.readiness.consuming.store(true, Ordering::Relaxed);
        if let Some(gap) = self.parts.heard.connection(self.away_since_ms, now_ms()) {
            self.parts.counters.reconnects.inc();
            // A queue that lasts keeps what comes meanwhile; without a Registry no socket is there to be told.
            let _ = self.parts.gap.tell(gap);
        }
        ctx.add_stream(consumer);
        // Hooks may have come while the connection was made.
        self.parts.slot.mailbox().sent();
        ctx.notify(Reconcile);
        for Waiting { message, answer, until } in std::mem::take(&mut self.waiting) {
            self.publish(message, answer, until, ctx);
        }
    }

    fn forget_bindings(&self) {
        if !self.parts.queue.is_lasting() {
            self.parts.bindings.forget_bound();
        }
    }

    /// The connection is lost, or useless: all of it goes, and after a pause a new one is made.
    fn lost(&mut self, reason: &str, ctx: &mut Context<Self>) {
        self.parts.readiness.consuming.store(false, Ordering::Relaxed);
        let Some(link) = self.link.take() else { return };
        // A binding under way may keep the link for a while.
        link.connection.abandon();
        self.settler = None;
        self.away_since_ms = away_since(now_ms(), link.unnoticed_ms);
        self.forget_bindings();
        if self.stopping {
            return;
        }
        let wait_ms = self.pause(ctx);
        let role = self.parts.queue.role();
        warn!("the connection to the broker is lost ({role}): {reason}; trying again in {wait_ms} ms");
    }

    /// Ends this life of the actor after a while; the result is how long that is.
    fn pause(&mut self, ctx: &mut Context<Self>) -> u64 {
        // Not all servers of a restarted broker come back in the same moment.
        let wait_ms = self.pause_ms / 2 + rand::random_range(0..=self.pause_ms / 2);
        self.pause_ms = (2 * self.pause_ms).min(self.parts.config.reconnect_max_ms);
        ctx.run_later(Duration::from_millis(wait_ms), |_, ctx| ctx.stop());
        wait_ms
    }

    fn take(&self, delivery: Delivery) {
        let Some(settler) = &self.settler else { return };
        let Delivery { delivery_tag: tag, exchange, routing_key, redelivered, properties, data, .. } = delivery;
        if redelivered {
            self.parts.counters.redeliveries.inc();
        }
        let encoding = properties.content_encoding().as_ref().map(|encoding| encoding.as_str());
        let body = match decode(data, encoding, self.parts.config.message_bytes_max) {
            Ok(body) => body,
            Err(error) => {
                warn!("a message from exchange {exchange:?} with routing key {routing_key:?} is rejected: {error}");
                self.parts.counters.reject(error.reason());
                return settler.reject(tag);
            }
        };
        match Event::parse(exchange.as_str(), routing_key.as_str(), body, None) {
            // The connection of its last panic may have been gone before it could be rejected.
            Ok(event) if self.parts.poison.panics(&event.id) >= self.parts.config.poison_max => {
                settler.settle(tag, event.id, Settled::Panicked);
            }
            Ok(mut event) => {
                event.published_ms = published_ms(&properties);
                self.parts.heard.message(event.received_ms);
                let receipt = settler.receipt(tag, event.id);
                let _in_hand = receipt.in_hand();
                fault_point!("consumer.take", event.body());
                // Bounded by the prefetch. Without a Registry the receipt is dropped, and the broker offers the message
                // again.
                drop(self.parts.ingest.tell(Ingest { event, receipt, audience: self.parts.queue.audience }));
            }
            Err(error) => {
                warn!("a message from exchange {exchange:?} with routing key {routing_key:?} is rejected: {error}");
                self.parts.counters.reject(RejectReason::Unparsable);
                settler.reject(tag);
            }
        }
    }

    fn publish(
        &mut self,
        message: Publish,
        answer: oneshot::Sender<Result<(), PublishError>>,
        until: Instant,
        ctx: &mut Context<Self>,
    ) {
        let Some(link) = &self.link else {
            if self.waiting.len() >= self.parts.config.publish_queue_max {
                let _ = answer.send(Err(PublishError::Full));
            } else {
                self.waiting.push_back(Waiting { message, answer, until });
            }
            return;
        };
        let published = publish(link.publish.clone(), message, until.saturating_duration_since(Instant::now()));
        let answered = async move {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(published.await);
        };
        ctx.spawn(answered.into_actor(self));
    }
}

impl Actor for AmqpConsumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        self.connect(ctx);
        ctx.run_interval_at(next_beat(LOOK), LOOK, |actor, ctx| {
            if actor.link.is_some() && actor.parts.bindings.wait_for_a_look() {
                actor.parts.slot.mailbox().sent();
                ctx.notify(Reconcile);
            }
            let now = Instant::now();
            while let Some(late) = actor.waiting.pop_front_if(|waiting| waiting.until <= now) {
                let _ = late.answer.send(Err(PublishError::Disconnected));
            }
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.parts.slot.count_panic();
        self.parts.readiness.consuming.store(false, Ordering::Relaxed);
    }
}

impl Supervised for AmqpConsumer {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.parts.slot.count_restart();
        // Timers and futures are gone with the old context; the waiting messages and the pause stay.
        self.link = None;
        self.settler = None;
        self.binding = Rc::default();
    }
}

impl StreamHandler<lapin::Result<Delivery>> for AmqpConsumer {
    fn handle(&mut self, item: lapin::Result<Delivery>, ctx: &mut Self::Context) {
        // The broker's window is the mailbox; what is in it has been sent as it is handled.
        self.parts.slot.mailbox().sent();
        self.parts.slot.mailbox().handled();
        match item {
            Ok(delivery) => self.take(delivery),
            Err(error) => self.lost(&error.to_string(), ctx),
        }
    }

    /// Also how a deleted queue shows: connection and channel still claim to be connected.
    fn finished(&mut self, ctx: &mut Self::Context) {
        if !self.stopping {
            self.lost("the consumer was cancelled", ctx);
        }
    }
}

impl Handler<Reconcile> for AmqpConsumer {
    type Result = ResponseActFuture<Self, Result<(), NotBound>>;

    fn handle(&mut self, _: Reconcile, _: &mut Self::Context) -> Self::Result {
        self.parts.slot.mailbox().handled();
        let missing = self.parts.bindings.difference().missing.len();
        self.parts.readiness.bindings_missing.store(missing, Ordering::Relaxed);
        let Some(link) = self.link.clone() else {
            return Box::pin(async { Err(NotBound) }.into_actor(self));
        };
        let (parts, binding) = (self.parts.clone(), Rc::clone(&self.binding));
        let in_line = async move {
            let _one_at_a_time = binding.lock().await;
            bring_in_line(&parts, &link, Extent::Changes).await
        };
        Box::pin(in_line.into_actor(self).map(|result, actor, ctx| {
            result.map_err(|error| {
                actor.lost(&error.to_string(), ctx);
                NotBound
            })
        }))
    }
}

impl Handler<Publish> for AmqpConsumer {
    type Result = ResponseActFuture<Self, Result<(), PublishError>>;

    fn handle(&mut self, message: Publish, ctx: &mut Self::Context) -> Self::Result {
        self.parts.slot.mailbox().handled();
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + Duration::from_millis(self.parts.config.publish_timeout_ms);
        self.publish(message, answer, until, ctx);
        Box::pin(async move { answered.await.unwrap_or(Err(PublishError::Disconnected)) }.into_actor(self))
    }
}

impl Handler<StopConsuming> for AmqpConsumer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: StopConsuming, _: &mut Self::Context) -> Self::Result {
        self.parts.slot.mailbox().handled();
        self.stopping = true;
        let link = self.link.clone();
        let cancelled = async move {
            if let Some(link) = link
                && let Err(error) = link.channel.basic_cancel("hookswitch".into(), BasicCancelOptions::default()).await
            {
                warn!("cannot cancel the consumer: {error}");
            }
        };
        Box::pin(cancelled.into_actor(self))
    }
}

impl Handler<Close> for AmqpConsumer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        self.parts.slot.mailbox().handled();
        self.parts.readiness.consuming.store(false, Ordering::Relaxed);
        let flushed = self.settler.take().map(|settler| settler.flush());
        let link = self.link.take();
        let closed = async move {
            if let Some(flushed) = flushed {
                // The task may have ended with its channel.
                let _ = flushed.await;
            }
            if let Some(link) = link
                && let Err(error) = link.connection.close("shutting down").await
            {
                warn!("cannot close the connection to the broker: {error}");
            }
        };
        Box::pin(closed.into_actor(self))
    }
}
