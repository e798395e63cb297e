//! Names and handles of every counter. Labels come from fixed lists only: no account, hook or host ever becomes one.
//! [`mailbox`]: how much waits for an actor; [`holders`]: how many accounts hold how many sockets.

pub mod holders;
pub mod mailbox;

use std::fmt::{self, Write};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::holders::Holders;
use crate::event::Audience;

/// What became of an event at the Registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventResult {
    /// At least one hook or socket took it.
    Routed,
    /// No enabled hook and no socket wanted it.
    Unwanted,
    /// No part of the server takes events of its kind.
    UnknownKind,
    MissingAccount,
    MalformedAccount,
    /// A document of a database that is no account's.
    NoAccountDatabase,
    MissingRealm,
    MissingConference,
    /// A call event without an account, of a call not seen before.
    UnknownCall,
    UnknownRealm,
    UnknownConference,
    /// A one-off hook whose `Hook` object is no valid hook, or beyond the limit of their number.
    BadOneOff,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    /// One of Kazoo's exchanges, or `other`.
    pub exchange: &'static str,
    pub result: EventResult,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    Delivered,
    GivenUp,
    Expired,
    Refused,
    Discarded,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    pub outcome: DeliveryOutcome,
}

/// Why a message from the broker was thrown out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    Unparsable,
    Oversized,
    BadEncoding,
    Poison,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RejectLabels {
    pub reason: RejectReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    AmqpConsumer,
    Registry,
    WebhookActor,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActorLabels {
    pub kind: ActorKind,
}

/// Why a socket was refused, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SocketLabels {
    pub reason: &'static str,
}

/// Label values are written in snake case, as is usual for Prometheus.
macro_rules! label_values {
    ($name:ident { $($variant:ident => $text:literal,)* }) => {
        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                encoder.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

label_values!(EventResult {
    Routed => "routed",
    Unwanted => "unwanted",
    UnknownKind => "unknown_kind",
    MissingAccount => "missing_account",
    MalformedAccount => "malformed_account",
    NoAccountDatabase => "no_account_database",
    MissingRealm => "missing_realm",
    MissingConference => "missing_conference",
    UnknownCall => "unknown_call",
    UnknownRealm => "unknown_realm",
    UnknownConference => "unknown_conference",
    BadOneOff => "bad_one_off",
});

label_values!(DeliveryOutcome {
    Delivered => "delivered",
    GivenUp => "given_up",
    Expired => "expired",
    Refused => "refused",
    Discarded => "discarded",
});

label_values!(RejectReason {
    Unparsable => "unparsable",
    Oversized => "oversized",
    BadEncoding => "bad_encoding",
    Poison => "poison",
});

label_values!(ActorKind {
    AmqpConsumer => "amqp_consumer",
    Registry => "registry",
    WebhookActor => "webhook_actor",
});

/// What happens on one of our queues at the broker.
#[derive(Debug, Clone)]
pub struct QueueCounters {
    pub acks: Counter,
    pub requeues: Counter,
    pub redeliveries: Counter,
    pub reconnects: Counter,
    pub rejected: Family<RejectLabels, Counter>,
}

impl QueueCounters {
    fn register(registry: &mut Registry, prefix: &str) -> Self {
        let counters = Self {
            acks: Counter::default(),
            requeues: Counter::default(),
            redeliveries: Counter::default(),
            reconnects: Counter::default(),
            rejected: Family::default(),
        };
        for (name, help, counter) in [
            ("acks", "Messages acknowledged to the broker", &counters.acks),
            ("requeues", "Messages handed back to the broker", &counters.requeues),
            ("redeliveries", "Messages that the broker marked as redelivered", &counters.redeliveries),
            ("reconnects", "Connections to the broker after the first", &counters.reconnects),
        ] {
            registry.register(format!("{prefix}_{name}"), help, counter.clone());
        }
        let help = "Messages rejected without requeue by reason";
        registry.register(format!("{prefix}_rejected"), help, counters.rejected.clone());
        counters
    }

    pub fn reject(&self, reason: RejectReason) {
        self.rejected.get_or_create(&RejectLabels { reason }).inc();
    }
}

pub struct Metrics {
    registry: Registry,
    pub events: Family<EventLabels, Counter>,
    /// Of the same events as the sockets get them, which come over a queue of their own.
    pub live_events: Family<EventLabels, Counter>,
    pub live_gaps: Counter,
    pub channels: Gauge,
    pub webhook_queue: QueueCounters,
    pub live_queue: QueueCounters,
    pub deliveries: Family<OutcomeLabels, Counter>,
    pub attempts_failed: Counter,
    pub retries: Counter,
    pub hooks_disabled: Gauge,
    pub hooks: Gauge,
    pub pending: Gauge,
    pub oldest_pending_age_seconds: Gauge,
    pub in_flight: Gauge,
    pub request_seconds: Histogram,
    pub restarts: Family<ActorLabels, Counter>,
    pub store_flushes: Counter,
    pub store_dropped_logs: Counter,
    pub store_lost_writes: Counter,
    pub store_bytes: Gauge,
    pub publish_failures: Counter,
    pub websockets: Gauge,
    pub websocket_accounts: Holders,
    pub websocket_frames: Counter,
    pub websocket_bytes: Counter,
    pub websocket_request_errors: Counter,
    pub websocket_subscribe_errors: Counter,
    pub frame_seconds: Histogram,
    pub websocket_ends: Family<SocketLabels, Counter>,
    pub websocket_refusals: Family<SocketLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Upper bounds in seconds: from a receiver on the same host to the request timeout.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

macro_rules! registered {
    ($registry:ident, $name:literal, $help:literal, $metric:expr) => {{
        let metric = $metric;
        $registry.register($name, $help, metric.clone());
        metric
    }};
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hookswitch");
        let request_seconds = Histogram::new(REQUEST_BUCKETS);
        let websocket_accounts = Holders::default();
        let help = "Accounts by how many sockets they hold open";
        registry.register("websocket_accounts", help, websocket_accounts.0.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from the start of a webhook request to the end of its answer",
            Unit::Seconds,
            request_seconds.clone(),
        );
        Self {
            events: registered!(registry, "events", "Events by exchange and what became of them", Family::default()),
            live_events: registered!(
                registry,
                "live_events",
                "Events from the live queue by exchange and what became of them",
                Family::default()
            ),
            live_gaps: registered!(
                registry,
                "live_gaps",
                "Times after which live events may be missing",
                Counter::default()
            ),
            channels: registered!(registry, "channels", "Live calls that the broker told of", Gauge::default()),
            webhook_queue: QueueCounters::register(&mut registry, "amqp"),
            live_queue: QueueCounters::register(&mut registry, "amqp_live"),
            deliveries: registered!(registry, "deliveries", "Ended deliveries by outcome", Family::default()),
            attempts_failed: registered!(registry, "attempts_failed", "Failed webhook requests", Counter::default()),
            retries: registered!(
                registry,
                "retries",
                "Webhook requests after the first of a delivery",
                Counter::default()
            ),
            hooks_disabled: registered!(
                registry,
                "hooks_disabled",
                "Registered hooks that are disabled",
                Gauge::default()
            ),
            hooks: registered!(registry, "hooks", "Registered hooks", Gauge::default()),
            pending: registered!(registry, "deliveries_pending", "Deliveries on disk, waiting", Gauge::default()),
            oldest_pending_age_seconds: registered!(
                registry,
                "oldest_pending_age_seconds",
                "Age of the oldest delivery on disk, since its event came in for its hook; 0 without one",
                Gauge::default()
            ),
            in_flight: registered!(registry, "deliveries_in_flight", "Webhook requests under way", Gauge::default()),
            restarts: registered!(
                registry,
                "actor_restarts",
                "Actors started again after a panic or an end",
                Family::default()
            ),
            store_flushes: registered!(registry, "store_flushes", "Groups of writes made durable", Counter::default()),
            store_dropped_logs: registered!(
                registry,
                "store_dropped_logs",
                "Attempts not logged because too many writes were queued",
                Counter::default()
            ),
            store_lost_writes: registered!(
                registry,
                "store_lost_writes",
                "Writes that nobody waited for and that failed for good",
                Counter::default()
            ),
            store_bytes: registered!(registry, "store_bytes", "Size of the store on disk", Gauge::default()),
            publish_failures: registered!(
                registry,
                "amqp_publish_failures",
                "Messages for the bus that were not confirmed",
                Counter::default()
            ),
            websockets: registered!(registry, "websockets", "Open sockets", Gauge::default()),
            websocket_frames: registered!(registry, "websocket_frames", "Messages sent on sockets", Counter::default()),
            websocket_bytes: registered!(registry, "websocket_bytes", "Bytes of these messages", Counter::default()),
            websocket_request_errors: registered!(
                registry,
                "websocket_request_errors",
                "Requests on sockets that were answered with an error",
                Counter::default()
            ),
            websocket_subscribe_errors: registered!(
                registry,
                "websocket_subscribe_errors",
                "Bindings that sockets asked for in vain",
                Counter::default()
            ),
            frame_seconds: registered!(
                registry,
                "frame_seconds",
                "Time from the publishing of an event, or its receipt where that is not known, to its frames being queued on sockets",
                Histogram::new(exponential_buckets(0.001, 2.0, 14))
            ),
            websocket_ends: registered!(registry, "websocket_ends", "Sockets that ended by reason", Family::default()),
            websocket_refusals: registered!(
                registry,
                "websocket_refusals",
                "Requests for a socket that were refused by reason",
                Family::default()
            ),
            request_seconds,
            websocket_accounts,
            registry,
        }
    }

    /// An event that hooks and sockets get each over their own queue is counted once for each.
    pub fn event(&self, audience: Audience, exchange: &'static str, result: EventResult) {
        let events = if audience.has_hooks() { &self.events } else { &self.live_events };
        events.get_or_create(&EventLabels { exchange, result }).inc();
    }

    pub fn delivery(&self, outcome: DeliveryOutcome) {
        self.deliveries_ended(outcome, 1);
    }

    pub fn deliveries_ended(&self, outcome: DeliveryOutcome, count: u64) {
        self.deliveries.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
    }

    pub fn restart(&self, kind: ActorKind) {
        self.restarts.get_or_create(&ActorLabels { kind }).inc();
    }

    pub fn restarts_of(&self, kind: ActorKind) -> u64 {
        self.restarts.get_or_create(&ActorLabels { kind }).get()
    }

    pub fn websocket_ended(&self, reason: &'static str) {
        self.websocket_ends.get_or_create(&SocketLabels { reason }).inc();
    }

    pub fn websocket_ends_by(&self, reason: &'static str) -> u64 {
        self.websocket_ends.get_or_create(&SocketLabels { reason }).get()
    }

    pub fn websocket_refused(&self, reason: &'static str) {
        self.websocket_refusals.get_or_create(&SocketLabels { reason }).inc();
    }

    /// The Prometheus text format.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; an empty page is still an answer.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
