//! What has to be at the broker: a connection, Kazoo's exchanges, our queue, its bindings, and one consumer.

use std::cell::Cell;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind};
use tokio::runtime::Handle;

use super::queue::Queue;
use crate::config::Amqp;
use crate::kazoo::bindings::Binding;
use crate::kazoo::table::exchanges;

/// What a working connection consists of.
pub struct Link {
    pub connection: OpenConnection,
    /// Consumes and acknowledges.
    pub channel: Channel,
    /// Binds: an error there must not take the consumer's channel down.
    pub control: Channel,
    /// Publishes, with confirms.
    pub publish: Channel,
    /// The queue's name at the broker.
    pub queue: String,
    /// The longest time in milliseconds for which it may be dead unnoticed; 0 is for ever.
    pub unnoticed_ms: u64,
}

/// A connection that is closed when it is dropped. lapin's own lives as long as any of its channels does, and receipts
/// anywhere in the server keep one; meanwhile its consumer keeps every other away from the queue.
pub struct OpenConnection(Cell<Option<Connection>>);

impl OpenConnection {
    /// Answered when the broker has agreed.
    pub async fn close(&self, reason: &'static str) -> lapin::Result<()> {
        match self.0.take() {
            Some(connection) => connection.close(200, reason.into()).await,
            None => Ok(()),
        }
    }

    /// Does not wait for the broker, which may not be there any more.
    pub fn abandon(&self) {
        // Without a runtime the process ends, and the connection with it.
        if let Some(connection) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                // It may be half alive; either way nobody needs it.
                let _ = connection.close(200, "reconnecting".into()).await;
            });
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.abandon();
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("amqp.uri is not an AMQP URI: {0}")]
    BadUri(String),
    #[error("cannot connect to the broker: {0}")]
    Connect(lapin::Error),
    #[error("no connection to the broker within {0} ms")]
    Timeout(u64),
    #[error("cannot open a channel: {0}")]
    OpenChannel(lapin::Error),
    #[error(
        "cannot declare exchange {exchange:?}: {cause} (amqp.exchange_durable, amqp.exchange_auto_delete and \
         amqp.exchanges must agree with how it was declared before)"
    )]
    DeclareExchange { exchange: &'static str, cause: lapin::Error },
    #[error("cannot declare queue {queue:?}: {cause}")]
    DeclareQueue { queue: String, cause: lapin::Error },
    #[error("cannot bind queue {queue:?} to exchange {exchange:?} with {routing_key:?}: {cause}")]
    Bind { queue: String, exchange: &'static str, routing_key: String, cause: lapin::Error },
    #[error("queue {queue:?} is consumed exclusively by another server; give this one a queue of its own (amqp.queue)")]
    QueueInUse { queue: String },
    #[error("cannot consume from queue {queue:?}: {cause}")]
    Consume { queue: String, cause: lapin::Error },
}

impl ConnectError {
    /// Trying again will not help by itself: a setting, here or at the broker, has to change.
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::BadUri(_) | Self::DeclareExchange { .. } | Self::DeclareQueue { .. } | Self::QueueInUse { .. } => {
                true
            }
            Self::Connect(_) | Self::Timeout(_) | Self::OpenChannel(_) | Self::Bind { .. } | Self::Consume { .. } => {
                false
            }
        }
    }
}

/// Connects and declares; bindings and the consumer follow.
pub async fn connect(config: &Amqp, queue: &Queue, connection_name: &str) -> Result<Link, ConnectError> {
    let mut uri: AMQPUri = config.uri.parse().map_err(ConnectError::BadUri)?;
    // A broker that froze is noticed after two of these; without them, never.
    let heartbeat_s = *uri.query.heartbeat.get_or_insert(config.heartbeat_s);
    let properties = ConnectionProperties::default().with_connection_name(connection_name.into());
    let limit = Duration::from_millis(config.connect_timeout_ms);
    let connection = tokio::time::timeout(limit, Connection::connect_uri(uri, properties))
        .await
        .map_err(|_| ConnectError::Timeout(config.connect_timeout_ms))?
        .map_err(ConnectError::Connect)?;
    let channel = open_channel(&connection).await?;
    let control = open_channel(&connection).await?;
    let publish = open_channel(&connection).await?;
    publish.confirm_select(ConfirmSelectOptions::default()).await.map_err(ConnectError::OpenChannel)?;
    let prefetch = channel.basic_qos(queue.prefetch, BasicQosOptions::default());
    prefetch.await.map_err(ConnectError::OpenChannel)?;
    for exchange in exchanges() {
        declare_exchange(&control, config, exchange).await?;
    }
    let queue = declare_queue(&control, queue).await?;
    let unnoticed_ms = 2_000 * u64::from(heartbeat_s);
    let connection = OpenConnection(Cell::new(Some(connection)));
    Ok(Link { connection, channel, control, publish, queue, unnoticed_ms })
}

async fn open_channel(connection: &Connection) -> Result<Channel, ConnectError> {
    connection.create_channel().await.map_err(ConnectError::OpenChannel)
}

async fn declare_exchange(channel: &Channel, config: &Amqp, exchange: &'static str) -> Result<(), ConnectError> {
    let own = config.exchanges.iter().find(|own| own.name == exchange);
    let options = ExchangeDeclareOptions {
        durable: own.map_or(config.exchange_durable, |own| own.durable),
        auto_delete: own.map_or(config.exchange_auto_delete, |own| own.auto_delete),
        ..Default::default()
    };
    let declared = channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default());
    declared.await.map_err(|cause| ConnectError::DeclareExchange { exchange, cause })
}

/// Its name, which the broker may have made up.
async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<String, ConnectError> {
    let declared = channel.queue_declare(queue.name.as_str().into(), queue.options, queue.arguments.clone());
    match declared.await {
        Ok(declared) => Ok(declared.name().as_str().to_owned()),
        Err(cause) => {
            let name = if queue.name.is_empty() { queue.role() } else { &queue.name };
            Err(ConnectError::DeclareQueue { queue: name.to_owned(), cause })
        }
    }
}

pub async fn bind(channel: &Channel, queue: &str, binding: &Binding) -> Result<(), ConnectError> {
    let Binding { exchange, routing_key } = binding;
    let bound = channel.queue_bind(
        queue.into(),
        (*exchange).into(),
        routing_key.as_str().into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.map_err(|cause| bind_error(queue, binding, cause))
}

pub async fn unbind(channel: &Channel, queue: &str, binding: &Binding) -> Result<(), ConnectError> {
    let Binding { exchange, routing_key } = binding;
    let unbound =
        channel.queue_unbind(queue.into(), (*exchange).into(), routing_key.as_str().into(), FieldTable::default());
    unbound.await.map_err(|cause| bind_error(queue, binding, cause))
}

fn bind_error(queue: &str, binding: &Binding, cause: lapin::Error) -> ConnectError {
    let Binding { exchange, routing_key } = binding.clone();
    ConnectError::Bind { queue: queue.to_owned(), exchange, routing_key, cause }
}

/// Exclusively: two servers on one queue would each deliver half of the events to hooks that only one of them has.
pub async fn consume(channel: &Channel, queue: &str) -> Result<Consumer, ConnectError> {
    let options = BasicConsumeOptions { exclusive: true, ..Default::default() };
    let consuming = channel.basic_consume(queue.into(), "hookswitch".into(), options, FieldTable::default());
    consuming.await.map_err(|cause| {
        let queue = queue.to_owned();
        if is_access_refused(&cause) {
            ConnectError::QueueInUse { queue }
        } else {
            ConnectError::Consume { queue, cause }
        }
    })
}

fn is_access_refused(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED),
        _ => false,
    }
}
