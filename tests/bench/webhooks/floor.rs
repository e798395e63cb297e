//! The floors: bare loops over lapin and awc, with nothing of hookswitch.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use super::support::publisher::EXCHANGE;
use super::support::receiver::find;
use super::support::server::Helper;

#[derive(Serialize, Deserialize)]
pub struct Settings {
    pub uri: String,
    pub queue: String,
    pub queue_type: String,
    pub prefetch: u16,
    pub urls: Vec<String>,
    /// A body that hookswitch sent; each request carries it with its own Call-ID.
    pub body: String,
}

/// hookswitch's `concurrency_max`.
const IN_FLIGHT: usize = 64;

/// In a process of its own.
pub fn start(kind: &str, settings: &Settings) -> Helper {
    let mut floor = Helper::start(&["floor", kind, &json!(settings).to_string()]);
    assert_eq!(floor.answer(), "consuming");
    floor
}

pub fn run(kind: &str, settings: &str) {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    actix::System::new().block_on(async {
        let (_connection, channel, consumer) = consume(&settings).await;
        println!("consuming");
        match kind {
            "bridge" => bridge(&settings, channel, consumer).await,
            "ack" => acknowledge(channel, consumer).await,
            other => panic!("no floor {other}"),
        }
    });
}

async fn consume(settings: &Settings) -> (Connection, Channel, Consumer) {
    let connection = Connection::connect(&settings.uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(settings.prefetch, BasicQosOptions::default()).await.unwrap();
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, Default::default(), FieldTable::default())
        .await
        .unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(settings.queue_type.as_str().into()));
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(settings.queue.as_str().into(), durable, arguments).await.unwrap();
    channel
        .queue_bind(
            settings.queue.as_str().into(),
            EXCHANGE.into(),
            "call.CHANNEL_CREATE.*".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let consumer = channel
        .basic_consume(
            settings.queue.as_str().into(),
            "floor".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    (connection, channel, consumer)
}

async fn acknowledge(channel: Channel, mut consumer: Consumer) {
    while let Some(delivery) = consumer.next().await {
        let mut last = delivery.unwrap().delivery_tag;
        // As many as have come already share a frame.
        while let Some(Some(delivery)) = consumer.next().now_or_never() {
            last = delivery.unwrap().delivery_tag;
        }
        channel.basic_ack(last, BasicAckOptions { multiple: true }).await.unwrap();
    }
}

/// One client and so one pool; one task a request; acknowledged when all requests of a message are answered.
async fn bridge(settings: &Settings, channel: Channel, mut consumer: Consumer) {
    let connector = awc::Connector::new().limit(IN_FLIGHT);
    let client = awc::Client::builder().connector(connector).timeout(Duration::from_secs(10)).finish();
    let urls: Rc<[String]> = settings.urls.clone().into();
    let template = Rc::new(Template::new(&settings.body));
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let acks = Rc::new(Acks { channel, done: RefCell::default() });
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery.unwrap();
        let body = template.fill(&delivery);
        let left = Rc::new(Cell::new(urls.len()));
        for index in 0..urls.len() {
            let permit = Arc::clone(&room).acquire_owned().await.unwrap();
            let (client, urls, body) = (client.clone(), Rc::clone(&urls), body.clone());
            let (acks, left, tag) = (Rc::clone(&acks), Rc::clone(&left), delivery.delivery_tag);
            actix::spawn(async move {
                let request = client
                    .post(&urls[index])
                    .insert_header(("content-type", "application/x-www-form-urlencoded"))
                    .insert_header(("x-hook-id", "00000000000000000000000000000000"))
                    .insert_header(("x-account-id", "00000000000000000000000000000000"))
                    .insert_header(("x-event-id", "00000000000000000000000000000000"));
                let mut response = request.send_body(body).await.unwrap();
                response.body().await.unwrap();
                drop(permit);
                left.set(left.get() - 1);
                if left.get() == 0 {
                    acks.done(tag);
                }
            });
        }
    }
}

/// The body with a place for the Call-ID.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    fn new(body: &str) -> Self {
        let start = find(body.as_bytes(), b"call_id=").unwrap() + 8;
        let length = body[start..].find('&').unwrap_or(body.len() - start);
        Self { before: body.as_bytes()[..start].to_vec(), after: body.as_bytes()[start + length..].to_vec() }
    }

    fn fill(&self, delivery: &Delivery) -> Bytes {
        let call = delivery.routing_key.as_str().rsplit('.').next().unwrap();
        [self.before.as_slice(), call.as_bytes(), self.after.as_slice()].concat().into()
    }
}

/// Acknowledges the finished prefix, at the end of each turn of the loop.
struct Acks {
    channel: Channel,
    done: RefCell<Done>,
}

#[derive(Default)]
struct Done {
    acknowledged: u64,
    finished: BTreeSet<u64>,
    scheduled: bool,
}

impl Acks {
    fn done(self: &Rc<Self>, tag: u64) {
        let mut done = self.done.borrow_mut();
        done.finished.insert(tag);
        if std::mem::replace(&mut done.scheduled, true) {
            return;
        }
        let acks = Rc::clone(self);
        actix::spawn(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let up_to = acks.done.borrow_mut().take();
            if let Some(up_to) = up_to {
                acks.channel.basic_ack(up_to, BasicAckOptions { multiple: true }).await.unwrap();
            }
        });
    }
}

impl Done {
    fn take(&mut self) -> Option<u64> {
        self.scheduled = false;
        let before = self.acknowledged;
        while self.finished.remove(&(self.acknowledged + 1)) {
            self.acknowledged += 1;
        }
        (self.acknowledged > before).then_some(self.acknowledged)
    }
}
