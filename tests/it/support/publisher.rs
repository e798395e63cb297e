//! `Publisher`: what Kazoo is to the server, and a look at the broker's queues.
//!
//! A message counts as published when the broker confirmed it *and* did not return it: an exchange without a binding
//! that fits confirms, and forgets. Nothing here repeats by itself.

use std::collections::HashSet;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;

use super::{PATIENCE, eventually};

/// Kazoo's exchanges.
const EXCHANGES: [&str; 8] =
    ["callevt", "configuration", "notifications", "faxes", "conference", "presence", "im", "metaflow"];

/// How long one batch may wait for its confirms, unless the broker is gone before.
const CONFIRM_WITHIN: Duration = PATIENCE;

/// Messages of one batch of a long publication, and the pause after it: some thousand a second, so that it takes its
/// time as a switch does.
const BATCH: usize = 50;
const BREATH: Duration = Duration::from_millis(30);

/// One message for an exchange.
#[derive(Debug, Clone)]
pub struct Message {
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
}

impl Message {
    pub fn json(exchange: &str, routing_key: &str, payload: &serde_json::Value) -> Self {
        Self::raw(exchange, routing_key, payload.to_string())
    }

    /// Any bytes, said to be JSON.
    pub fn raw(exchange: &str, routing_key: &str, body: impl Into<Vec<u8>>) -> Self {
        let properties = BasicProperties::default().with_content_type("application/json".into());
        Self { exchange: exchange.to_owned(), routing_key: routing_key.to_owned(), body: body.into(), properties }
    }

    /// With the content encoding named, of a body that the caller encoded.
    pub fn encoding(mut self, name: &str) -> Self {
        self.properties = self.properties.with_content_encoding(name.into());
        self
    }
}

/// Why a message is not known to be in a queue.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The connection is lost, or the exchange does not exist; the publisher is of no further use.
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the broker refused or returned the message")]
    Unrouted,
    #[error("the broker did not confirm within {CONFIRM_WITHIN:?}")]
    Unconfirmed,
}

pub struct Publisher {
    connection: Connection,
    channel: Channel,
    published: u64,
}

impl Publisher {
    /// Connects once; fails the test when the broker does not answer.
    pub async fn connect(uri: &str) -> Self {
        Self::try_connect(uri).await.unwrap()
    }

    pub async fn try_connect(uri: &str) -> Result<Self, PublishError> {
        let properties = ConnectionProperties::default().with_connection_name("publisher of a test".into());
        let connecting = async {
            let connection = Connection::connect(uri, properties).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel, published: 0 })
        };
        timeout(CONFIRM_WITHIN, connecting).await.unwrap_or(Err(PublishError::Unconfirmed))
    }

    /// Declares Kazoo's exchanges with Kazoo's arguments.
    pub async fn declare_exchanges(&self) {
        for name in EXCHANGES {
            let (kind, options) = (ExchangeKind::Topic, ExchangeDeclareOptions::default());
            self.channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await.unwrap();
        }
    }

    /// Publishes one event and fails the test when no queue got it.
    pub async fn publish(&mut self, exchange: &str, routing_key: &str, payload: &serde_json::Value) {
        self.try_publish(&Message::json(exchange, routing_key, payload)).await.unwrap();
    }

    /// Publishes one message.
    pub async fn try_publish(&mut self, message: &Message) -> Result<(), PublishError> {
        match self.publish_all(std::slice::from_ref(message)).await?.is_empty() {
            true => Ok(()),
            false => Err(PublishError::Unrouted),
        }
    }

    /// Publishes many messages without waiting for each. Returns the indices of those that no queue got and that the
    /// caller has to repeat; after an error that is any of them.
    pub async fn publish_all(&mut self, messages: &[Message]) -> Result<Vec<usize>, PublishError> {
        timeout(CONFIRM_WITHIN, self.send_all(messages)).await.unwrap_or(Err(PublishError::Unconfirmed))
    }

    async fn send_all(&mut self, messages: &[Message]) -> Result<Vec<usize>, PublishError> {
        let first = self.published;
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            let id = self.published.to_string();
            self.published += 1;
            let confirm = self.channel.basic_publish(
                message.exchange.as_str().into(),
                message.routing_key.as_str().into(),
                BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
                &message.body,
                message.properties.clone().with_message_id(id.into()),
            );
            confirms.push(confirm.await?);
        }
        let mut unrouted = HashSet::new();
        for (index, confirm) in confirms.into_iter().enumerate() {
            let confirmation = confirm.await?;
            if !confirmation.is_ack() {
                unrouted.insert(index);
            }
            unrouted.extend(returned_id(confirmation).and_then(|id| usize::try_from(id - first).ok()));
        }
        let mut unrouted: Vec<usize> = unrouted.into_iter().collect();
        unrouted.sort_unstable();
        Ok(unrouted)
    }

    /// Publishes until every message was confirmed and routed, over new connections where the broker goes away. Tells
    /// how many are through whenever there are more. Returns the indices of those that may be in the queue twice, for
    /// nobody knows what became of a message whose connection was lost.
    pub async fn publish_surely(uri: &str, messages: &[Message], mut through: impl FnMut(usize)) -> HashSet<usize> {
        let mut doubtful = HashSet::new();
        let mut connected = None;
        let mut left: Vec<usize> = (0..messages.len()).collect();
        while !left.is_empty() {
            let Some(publisher) = &mut connected else {
                connected = Self::try_connect(uri).await.ok();
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let batch: Vec<usize> = left.drain(..left.len().min(BATCH)).collect();
            let sent: Vec<Message> = batch.iter().map(|index| messages[*index].clone()).collect();
            match publisher.publish_all(&sent).await {
                Ok(unrouted) => left.extend(unrouted.into_iter().map(|position| batch[position])),
                Err(_) => {
                    connected = None;
                    doubtful.extend(&batch);
                    left.extend(batch);
                }
            }
            through(messages.len() - left.len());
            tokio::time::sleep(BREATH).await;
        }
        doubtful
    }

    /// Messages that are ready in the queue, those handed out to consumers not counted; `None` when there is no such
    /// queue.
    pub async fn queue_depth(&self, queue: &str) -> Option<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        // A channel of its own: the broker closes it when the queue does not exist.
        let channel = self.connection.create_channel().await.unwrap();
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        declared.ok().map(|queue| queue.message_count())
    }

    /// Waits until the server that consumes the queue has declared it.
    pub async fn await_queue(&self, queue: &str) {
        eventually(&format!("a queue {queue:?}"), async || self.queue_depth(queue).await.is_some()).await;
    }

    pub async fn purge_queue(&self, queue: &str) {
        self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap();
    }

    /// Deletes the queue with what is in it; its consumers are cancelled.
    pub async fn delete_queue(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// For what has no method here. Not for publishing: returned messages would be mixed up.
    pub async fn open_channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }
}

/// The id that we gave to the returned message. It need not be the message that the confirmation is about: lapin hands
/// out what came back in the order in which confirms arrive.
fn returned_id(confirmation: Confirmation) -> Option<u64> {
    let returned = confirmation.take_message()?;
    returned.properties.message_id().as_ref()?.as_str().parse().ok()
}
