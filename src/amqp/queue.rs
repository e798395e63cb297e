//! Our two queues on the broker, as data: how each is declared, and for whom its events are.
//!
//! The one of the hooks is durable and outlives this server. The live one is for sockets: it belongs to a connection, and
//! goes with it. Each has a consumer, and a connection, of its own, so that trouble with the one never touches the other.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use crate::config::{Amqp, Argument};
use crate::event::Audience;

#[derive(Debug, Clone)]
pub struct Queue {
    /// Empty: the broker makes one up, another for each connection.
    pub name: String,
    pub audience: Audience,
    pub prefetch: u16,
    pub options: QueueDeclareOptions,
    pub arguments: FieldTable,
}

impl Queue {
    pub fn of_hooks(config: &Amqp) -> Self {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(config.queue_type.as_str().into()));
        for (name, value) in &config.queue_arguments {
            let value = match value {
                Argument::Flag(flag) => AMQPValue::Boolean(*flag),
                Argument::Number(number) => AMQPValue::LongLongInt(*number),
                Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            };
            arguments.insert(name.as_str().into(), value);
        }
        Self {
            name: config.queue.clone(),
            audience: Audience::Hooks,
            prefetch: config.prefetch,
            options: QueueDeclareOptions { durable: true, ..Default::default() },
            arguments,
        }
    }

    pub fn live(config: &Amqp) -> Self {
        let mut arguments = FieldTable::default();
        // A virtual host may have another default, and a quorum queue is never exclusive.
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        let messages_max = i64::from(config.live_queue_messages_max);
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(messages_max));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
        Self {
            // A name of ours could still be held by a connection that only the broker believes in.
            name: String::new(),
            audience: Audience::Sockets,
            prefetch: config.live_prefetch,
            options: QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() },
            arguments,
        }
    }

    /// Whether the queue, with its bindings, outlives the connection.
    pub fn is_lasting(&self) -> bool {
        self.options.durable
    }

    /// How it is called in the connection's name, in figures and in the log.
    pub fn role(&self) -> &'static str {
        match self.audience {
            Audience::Sockets => "live",
            Audience::Hooks | Audience::Everyone => "webhooks",
        }
    }
}
