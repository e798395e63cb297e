//! Publishes call events of about 1 KiB, each with the moment of its publishing in its Msg-ID, and in front of the Call-ID
//! of a new call.

use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};

use super::measure::monotonic_ns;

pub const EXCHANGE: &str = "callevt";

/// What is published: events of this name, of one account after the other, and of one call after the other; without
/// calls, each of a new one.
pub struct Events<'a> {
    pub name: &'a str,
    pub accounts: &'a [&'a str],
    pub calls: &'a [String],
}

/// As wide as any moment, so that all events of a kind are as long.
pub const STAMP_DIGITS: usize = 20;

pub struct Publisher {
    _connection: Connection,
    channel: Channel,
}

impl Publisher {
    pub async fn connect(uri: &str) -> Self {
        let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { _connection: connection, channel }
    }

    /// As fast as the broker takes them, or so many a second. Returns when all are confirmed.
    pub async fn publish(&self, events: &Events<'_>, count: usize, per_second: Option<f64>) {
        let Events { name, accounts, calls } = events;
        let started = Instant::now();
        let mut confirms = Vec::with_capacity(count);
        for number in 0..count {
            if let Some(rate) = per_second {
                let due = started + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
            }
            let now = monotonic_ns();
            let call = match calls {
                [] => format!("{now}-{number}"),
                calls => calls[number % calls.len()].clone(),
            };
            let account = accounts[number % accounts.len()];
            let body = event(name, account, &call, &format!("{now:0STAMP_DIGITS$}"));
            confirms.push(self.send(EXCHANGE, &format!("call.{name}.{call}"), &body).await);
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
    }

    /// Returns when it is confirmed.
    pub async fn publish_one(&self, exchange: &str, routing_key: &str, body: &str) {
        self.send(exchange, routing_key, body).await.await.unwrap();
    }

    /// Messages of the queue that wait there.
    pub async fn depth(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    async fn send(&self, exchange: &str, routing_key: &str, body: &str) -> PublisherConfirm {
        let published = self.channel.basic_publish(
            exchange.into(),
            routing_key.into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            BasicProperties::default(),
        );
        published.await.unwrap()
    }
}

pub fn event(name: &str, account: &str, call: &str, message: &str) -> String {
    format!(
        concat!(
            r#"{{"App-Name":"ecallmgr","App-Version":"4.3.140","Event-Category":"call_event","Event-Name":"{name}","#,
            r#""Msg-ID":"{message}","Node":"kazoo_apps@node1.example.com","Server-ID":"","System-Log-ID":"{call}","#,
            r#""Call-ID":"{call}","Call-Direction":"inbound","Caller-ID-Name":"Anna Ek","Caller-ID-Number":"+15550100","#,
            r#""Callee-ID-Name":"Bo Li","Callee-ID-Number":"+15550199","Channel-Name":"sofia/sipinterface_1/anna@sip.example.com","#,
            r#""Channel-State":"ROUTING","Channel-Call-State":"RINGING","From":"anna@sip.example.com","From-Tag":"Bj4tr1","#,
            r#""To":"bo@sip.example.com","Request":"bo@sip.example.com","Inception":"+15550100@sip.example.com","#,
            r#""Switch-Hostname":"fs1.example.com","Switch-Nodename":"freeswitch@fs1.example.com","Switch-URI":"sip:192.0.2.7:11000","#,
            r#""Timestamp":63930000000,"Media-Server":"fs1.example.com","Presence-ID":"anna@sip.example.com","#,
            r#""Custom-Channel-Vars":{{"Account-ID":"{account}","Account-Name":"bench","Account-Realm":"sip.example.com","#,
            r#""Authorizing-ID":"0f2e8a11c1aa4f0e8d5a9d2f0c7d1a55","Authorizing-Type":"device","#,
            r#""Owner-ID":"5a1b7fd0e3a84cd1b6f2e9a3c4d5e6f7","Bridge-ID":"{call}","Fetch-ID":"3f1c8f1e-7a66-11ef-9c3b-0242ac120002"}},"#,
            r#""Custom-SIP-Headers":{{"X-AUTH-IP":"192.0.2.44","X-AUTH-PORT":"5060"}}}}"#
        ),
        name = name,
        call = call,
        message = message,
        account = account
    )
}
