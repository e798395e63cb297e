//! `Bus`: a server that consumes a queue of its own, and a publisher on the same broker.

use hookswitch::config::{Argument, Config};
use hookswitch::ids::EventId;
use serde_json::Value;

use super::app::TestApp;
use super::kazoo::message;
use super::publisher::{Message, Publisher};
use super::rabbit::shared_broker_uri;

/// The broker deletes a queue that nobody used for so long, so that tests leave nothing behind.
const QUEUE_EXPIRES_MS: i64 = 60_000;

pub struct Bus {
    pub app: TestApp,
    pub publisher: Publisher,
    pub queue: String,
}

impl Bus {
    /// On the shared broker.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// On the shared broker, with other settings.
    pub async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::on(&shared_broker_uri().await, configure).await
    }

    /// On a broker that runs. Returns when the server consumes.
    pub async fn on(uri: &str, configure: impl FnOnce(&mut Config)) -> Self {
        let queue = own_queue();
        let app = TestApp::with(|config| {
            use_queue(config, uri, &queue);
            configure(config);
        })
        .await;
        app.await_ready().await;
        Self { app, publisher: Publisher::connect(uri).await, queue }
    }

    /// Publishes as Kazoo does. The test fails when no queue got it.
    pub async fn publish(&mut self, event: &Value) {
        self.publisher.try_publish(&message(event)).await.unwrap();
    }

    /// Publishes for this server alone: past the exchanges, into its queue.
    pub async fn publish_here(&mut self, event: &Value) {
        self.send_here(Message::json("", "", event)).await;
    }

    /// Any message, into this server's queue.
    pub async fn send_here(&mut self, mut message: Message) {
        (message.exchange, message.routing_key) = (String::new(), self.queue.clone());
        self.publisher.try_publish(&message).await.unwrap();
    }
}

/// A name that no other test and no other run has.
pub fn own_queue() -> String {
    format!("it-{}", EventId::random())
}

/// Has the server consume that queue. Classic ones are made faster. It keeps no track of calls: a message counts as
/// published when some queue got it, and that is to be this one.
pub fn use_queue(config: &mut Config, uri: &str, queue: &str) {
    config.amqp.uri = uri.to_owned();
    config.amqp.queue = queue.to_owned();
    config.amqp.queue_type = "classic".to_owned();
    config.amqp.queue_arguments = [("x-expires".to_owned(), Argument::Number(QUEUE_EXPIRES_MS))].into();
    config.channels.track = false;
    config.amqp.reconnect_min_ms = 50;
    config.amqp.reconnect_max_ms = 500;
}

/// The same for a process.
pub fn queue_settings<'a>(uri: &'a str, queue: &'a str) -> [(&'static str, &'a str); 7] {
    [
        ("amqp.uri", uri),
        ("amqp.queue", queue),
        ("amqp.queue_type", "classic"),
        ("amqp.queue_arguments.x-expires", "60000"),
        ("channels.track", "false"),
        ("amqp.reconnect_min_ms", "50"),
        ("amqp.reconnect_max_ms", "500"),
    ]
}
