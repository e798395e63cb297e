//! `[amqp]`: the broker, our queue on it, and Kazoo's exchanges.

use std::collections::BTreeMap;

use lapin::uri::AMQPUri;
use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amqp {
    /// Empty: embedded, no broker.
    pub uri: String,
    pub queue: String,
    pub queue_type: String,
    pub queue_arguments: BTreeMap<String, Argument>,
    pub exchange_durable: bool,
    pub exchange_auto_delete: bool,
    pub exchanges: Vec<ExchangeOverride>,
    pub prefetch: u16,
    pub live_prefetch: u16,
    pub live_queue_messages_max: u32,
    pub unbind_delay_ms: u64,
    pub ack_delay_ms: u64,
    pub requeue_delay_ms: u64,
    pub message_bytes_max: usize,
    pub poison_max: u32,
    pub connect_timeout_ms: u64,
    pub heartbeat_s: u16,
    pub bind_timeout_ms: u64,
    pub reconnect_min_ms: u64,
    pub reconnect_max_ms: u64,
    pub publish_queue_max: usize,
    pub publish_timeout_ms: u64,
}

/// Where one exchange of the broker was declared otherwise than the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeOverride {
    pub name: String,
    pub durable: bool,
    pub auto_delete: bool,
}

/// The value of an AMQP argument as TOML writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Argument {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            uri: String::new(),
            queue: "hookswitch".into(),
            queue_type: "quorum".into(),
            queue_arguments: BTreeMap::new(),
            exchange_durable: false,
            exchange_auto_delete: false,
            exchanges: Vec::new(),
            prefetch: 500,
            live_prefetch: 1_000,
            live_queue_messages_max: 100_000,
            unbind_delay_ms: 30_000,
            ack_delay_ms: 50,
            requeue_delay_ms: 500,
            message_bytes_max: 1 << 20,
            poison_max: 3,
            connect_timeout_ms: 10_000,
            heartbeat_s: 10,
            bind_timeout_ms: 5_000,
            reconnect_min_ms: 250,
            reconnect_max_ms: 10_000,
            publish_queue_max: 1_000,
            publish_timeout_ms: 5_000,
        }
    }
}

impl Amqp {
    pub(super) fn check(&self, problems: &mut Problems) {
        if !self.uri.is_empty()
            && let Err(error) = self.uri.parse::<AMQPUri>()
        {
            // The URI holds a password, so that it is not quoted.
            problems.add("amqp.uri", format!("not an AMQP URI such as amqp://user:password@host:5672/%2f ({error})"));
        }
        if self.queue.is_empty() || self.queue.len() > 255 {
            problems.add("amqp.queue", "must have 1 to 255 bytes");
        }
        if !["quorum", "classic"].contains(&self.queue_type.as_str()) {
            problems.add("amqp.queue_type", format!("{:?} is neither quorum nor classic", self.queue_type));
        }
        problems.within("amqp.prefetch", self.prefetch.into(), 1..=u16::MAX.into());
        problems.within("amqp.live_prefetch", self.live_prefetch.into(), 1..=u16::MAX.into());
        problems.within("amqp.live_queue_messages_max", self.live_queue_messages_max.into(), 1..=100_000_000);
        problems.milliseconds("amqp.unbind_delay_ms", self.unbind_delay_ms);
        problems.within("amqp.ack_delay_ms", self.ack_delay_ms, 0..=60_000);
        problems.milliseconds("amqp.requeue_delay_ms", self.requeue_delay_ms);
        problems.within("amqp.message_bytes_max", self.message_bytes_max as u64, 64..=1 << 30);
        problems.within("amqp.poison_max", self.poison_max.into(), 1..=1_000);
        problems.milliseconds("amqp.connect_timeout_ms", self.connect_timeout_ms);
        problems.within("amqp.heartbeat_s", self.heartbeat_s.into(), 1..=3_600);
        problems.milliseconds("amqp.bind_timeout_ms", self.bind_timeout_ms);
        problems.milliseconds("amqp.reconnect_min_ms", self.reconnect_min_ms);
        problems.milliseconds("amqp.reconnect_max_ms", self.reconnect_max_ms);
        if self.reconnect_min_ms > self.reconnect_max_ms {
            problems.add("amqp.reconnect_min_ms", "is larger than amqp.reconnect_max_ms");
        }
        problems.within("amqp.publish_queue_max", self.publish_queue_max as u64, 1..=1_000_000);
        problems.milliseconds("amqp.publish_timeout_ms", self.publish_timeout_ms);
    }
}
