//! An event as a frame. What all frames of an event share is made once ([`EventBody`]); the rest once per pair of keys.

use bytestring::ByteString;
use serde::Serialize;

use crate::ids::AccountId;
use crate::kazoo::rewrite::normalised_text;

/// What carries a message from one server to another, and is no client's business. All else stays.
fn is_transport_header(key: &str) -> bool {
    matches!(
        key,
        "Access-Group"
            | "AMQP-Broker"
            | "AMQP-Broker-Zone"
            | "Defer-Response"
            | "Deliver-To-PID"
            | "Destination-Server"
            | "Geo-Location"
            | "Node"
            | "Raw-Headers"
            | "Reply-To-PID"
            | "Request-From-PID"
            | "Server-ID"
            | "Server-Queue-ID"
            | "System-Log-ID"
    )
}

/// Where an event stands in the history of its account, for clients that resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    pub epoch: &'a str,
    pub offset: u64,
}

/// The part of a frame that is the same for every subscription.
#[derive(Debug, Clone)]
pub struct EventBody {
    /// `,"name":…,"routing_key":…`
    names: String,
    /// `,"data":{…}}`
    data: String,
}

impl EventBody {
    /// `body` is that of a parsed event, and so JSON.
    pub fn new(name: &str, routing_key: &str, body: &str) -> Self {
        let names = format!(r#","name":{},"routing_key":{}"#, json(name), json(routing_key));
        Self { names, data: format!(r#","data":{}}}"#, normalised_text(body, is_transport_header)) }
    }

    /// For histories that are bounded in bytes.
    pub fn bytes(&self) -> usize {
        self.names.len() + self.data.len()
    }

    /// `subscribed_key` is the binding as the client wrote it.
    pub fn frame(&self, subscribed_key: &str, subscription_key: &str, position: Option<Position<'_>>) -> ByteString {
        let mut frame = String::with_capacity(self.bytes() + subscribed_key.len() + subscription_key.len() + 192);
        frame.push_str(r#"{"action":"event","subscribed_key":"#);
        frame.push_str(&json(subscribed_key));
        frame.push_str(r#","subscription_key":"#);
        frame.push_str(&json(subscription_key));
        frame.push_str(&self.names);
        if let Some(Position { epoch, offset }) = position {
            frame.push_str(&format!(r#","epoch":{},"offset":{offset}"#, json(epoch)));
        }
        frame.push_str(&self.data);
        frame.into()
    }
}

/// The position that a frame of [`EventBody::frame`] has.
pub fn position(frame: &str) -> Option<Position<'_>> {
    // Before it stand only texts, and in a JSON text each quotation mark has a backslash in front.
    const BEFORE_EPOCH: &str = r#","epoch":""#;
    const BEFORE_OFFSET: &str = r#"","offset":"#;
    let event = frame.strip_prefix(r#"{"action":"event","#)?;
    let names = &event[..event.find(r#","data":"#)?];
    let (epoch, offset) = names[names.find(BEFORE_EPOCH)? + BEFORE_EPOCH.len()..].split_once(BEFORE_OFFSET)?;
    Some(Position { epoch, offset: offset.parse().ok()? })
}

/// What the server knows to have missed, for clients that resume.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Gap<'a> {
    pub reason: &'a str,
    pub account_id: AccountId,
    pub bindings: &'a [&'a str],
    pub epoch: &'a str,
    pub offset: u64,
}

impl Gap<'_> {
    pub fn frame(&self) -> ByteString {
        format!(r#"{{"action":"gap","data":{}}}"#, json(self)).into()
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("texts, numbers and JSON values are always JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{AccountId, EventBody, Gap, Position, position};

    #[test]
    fn frame_is_what_kazoo_sends() {
        let event = r#"{"Call-ID":"A","Event-Name":"CHANNEL_CREATE","Event-Category":"call_event","App-Name":"e",
            "App-Version":"4","Msg-ID":"m","Account-ID":"a","Node":"n","Server-ID":"","AMQP-Broker":"b","Raw-Headers":{},
            "Custom-Channel-Vars":{"Account-ID":"a","Node":"kept"},"Nothing":null}"#;
        let body = EventBody::new("CHANNEL_CREATE", "call.a.CHANNEL_CREATE.A", event);
        let data = concat!(
            r#"{"call_id":"A","event_name":"CHANNEL_CREATE","event_category":"call_event","app_name":"e","#,
            r#""app_version":"4","msg_id":"m","account_id":"a","custom_channel_vars":{"account_id":"a","node":"kept"}}"#,
        );
        let keys = concat!(
            r#"{"action":"event","subscribed_key":"call.CHANNEL_CREATE.*","subscription_key":"call.a.CHANNEL_CREATE.*","#,
            r#""name":"CHANNEL_CREATE","routing_key":"call.a.CHANNEL_CREATE.A""#,
        );
        let frame = body.frame("call.CHANNEL_CREATE.*", "call.a.CHANNEL_CREATE.*", None);
        assert_eq!(frame, format!(r#"{keys},"data":{data}}}"#));
        let position = Position { epoch: "e", offset: 9 };
        let frame = body.frame("call.CHANNEL_CREATE.*", "call.a.CHANNEL_CREATE.*", Some(position));
        assert_eq!(frame, format!(r#"{keys},"epoch":"e","offset":9,"data":{data}}}"#));
    }

    #[test]
    fn gap_says_what_was_missed() {
        let account_id = AccountId::from_bytes([1; 16]);
        let gap = Gap { reason: "broker lost", account_id, bindings: &["a"], epoch: "e", offset: 2 };
        let expected = json!({"action": "gap", "data": {"reason": "broker lost", "account_id": account_id,
            "bindings": ["a"], "epoch": "e", "offset": 2}});
        assert_eq!(serde_json::from_str::<Value>(&gap.frame()).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn keys_and_names_of_any_bytes_come_out_as_they_went_in(texts in prop::array::uniform5(".*")) {
            let [name, routing_key, subscribed, subscription, epoch] = &texts;
            let position = Position { epoch, offset: u64::MAX };
            let frame = EventBody::new(name, routing_key, "{}").frame(subscribed, subscription, Some(position));
            let expected = json!({"action": "event", "subscribed_key": subscribed, "subscription_key": subscription,
                "name": name, "routing_key": routing_key, "epoch": epoch, "offset": u64::MAX, "data": {}});
            prop_assert_eq!(serde_json::from_str::<Value>(&frame).unwrap(), expected);
        }

        #[test]
        fn position_of_a_frame_is_found_whatever_stands_around_it(
            texts in prop::array::uniform4(r#"(.|,"epoch":"f","offset":3|,"data":|\\|")*"#),
            offset: u64,
        ) {
            let [name, routing_key, subscribed, data] = &texts;
            let body = EventBody::new(name, routing_key, &json!({ "epoch": data, "offset": 5 }).to_string());
            let given = Position { epoch: "00ff", offset };
            let (placed, plain) = (body.frame(subscribed, data, Some(given)), body.frame(subscribed, data, None));
            prop_assert_eq!(position(&placed), Some(given));
            prop_assert_eq!(position(&plain), None);
        }
    }
}
