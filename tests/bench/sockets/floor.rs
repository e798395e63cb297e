//! The floor: a bare loop over lapin and actix-web-actors, with nothing of hookswitch.
//!
//! It consumes a queue like that of live events and sends each message, as the text that hookswitch makes of it, to all
//! sockets of a path: that of the call, or `/all`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix::{Actor, AsyncContext, Handler, Message, Recipient, StreamHandler};
use actix_web::{App, HttpRequest, HttpServer, web};
use actix_web_actors::ws::{self, ProtocolError, WebsocketContext};
use bytestring::ByteString;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde::{Deserialize, Serialize};

use super::clients::STAMP;
use super::support::publisher::{EXCHANGE, STAMP_DIGITS};
use super::support::receiver::find;

#[derive(Serialize, Deserialize)]
pub struct Settings {
    pub uri: String,
    pub prefetch: u16,
    pub workers: usize,
    /// A text that hookswitch sent; each goes out with its own moment of publishing.
    pub example: String,
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Text(ByteString);

type Rooms = Arc<Mutex<HashMap<String, Vec<Recipient<Text>>>>>;

/// Says where it listens once it consumes.
pub fn run(settings: &str) {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    actix::System::new().block_on(async {
        let rooms = Rooms::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let of_workers = Arc::clone(&rooms);
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::from(Arc::clone(&of_workers))).default_service(web::to(upgrade))
        });
        actix::spawn(server.workers(settings.workers).listen(listener).unwrap().run());
        let (_connection, channel, consumer) = consume(&settings).await;
        println!("{address}");
        fan_out(&Template::new(&settings.example), &rooms, channel, consumer).await;
    });
}

async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    rooms: web::Data<Mutex<HashMap<String, Vec<Recipient<Text>>>>>,
) -> actix_web::Result<actix_web::HttpResponse> {
    let room = request.path().trim_start_matches('/').to_owned();
    ws::start(Socket { room, rooms: rooms.into_inner() }, &request, payload)
}

struct Socket {
    room: String,
    rooms: Rooms,
}

impl Actor for Socket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let mut rooms = self.rooms.lock().unwrap();
        rooms.entry(std::mem::take(&mut self.room)).or_default().push(context.address().recipient());
        context.text(r#"{"status":"success"}"#);
    }
}

impl Handler<Text> for Socket {
    type Result = ();

    fn handle(&mut self, Text(text): Text, context: &mut Self::Context) {
        context.text(text);
    }
}

impl StreamHandler<Result<ws::Message, ProtocolError>> for Socket {
    fn handle(&mut self, _: Result<ws::Message, ProtocolError>, _: &mut Self::Context) {}
}

/// The queue is as that of `amqp/queue.rs`.
async fn consume(settings: &Settings) -> (Connection, Channel, Consumer) {
    let connection = Connection::connect(&settings.uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(settings.prefetch, BasicQosOptions::default()).await.unwrap();
    let exchange = channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, Default::default(), no_arguments());
    exchange.await.unwrap();
    let mut arguments = no_arguments();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), own, arguments).await.unwrap();
    let bound = channel.queue_bind(
        queue.name().clone(),
        EXCHANGE.into(),
        "call.CHANNEL_CREATE.*".into(),
        QueueBindOptions::default(),
        no_arguments(),
    );
    bound.await.unwrap();
    let consumer =
        channel.basic_consume(queue.name().clone(), "floor".into(), BasicConsumeOptions::default(), no_arguments());
    let consumer = consumer.await.unwrap();
    (connection, channel, consumer)
}

fn no_arguments() -> FieldTable {
    FieldTable::default()
}

async fn fan_out(template: &Template, rooms: &Rooms, channel: Channel, mut consumer: Consumer) {
    while let Some(delivery) = consumer.next().await {
        let mut delivery = delivery.unwrap();
        template.send(&delivery, rooms);
        // As many as have come already share an acknowledgement.
        while let Some(Some(next)) = consumer.next().now_or_never() {
            delivery = next.unwrap();
            template.send(&delivery, rooms);
        }
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await.unwrap();
    }
}

/// A frame with a place for the moment of publishing.
struct Template {
    before: String,
    after: String,
}

impl Template {
    fn new(example: &str) -> Self {
        let at = find(example.as_bytes(), STAMP).unwrap() + STAMP.len();
        Self { before: example[..at].to_owned(), after: example[at + STAMP_DIGITS..].to_owned() }
    }

    fn send(&self, delivery: &Delivery, rooms: &Rooms) {
        let name = br#""Msg-ID":""#;
        let at = find(&delivery.data, name).unwrap() + name.len();
        let stamp = std::str::from_utf8(&delivery.data[at..at + STAMP_DIGITS]).unwrap();
        let text = ByteString::from([self.before.as_str(), stamp, self.after.as_str()].concat());
        let call = delivery.routing_key.as_str().rsplit('.').next().unwrap();
        let rooms = rooms.lock().unwrap();
        for socket in ["all", call].into_iter().filter_map(|room| rooms.get(room)).flatten() {
            socket.do_send(Text(text.clone()));
        }
    }
}
