//! Call events as a switch publishes them: the catalogue's real ones of about 1 KiB, each made one of a kind.

use std::collections::HashSet;

use serde_json::Value;

use super::publisher::Message;

const SAMPLES: &str = include_str!("../../../src/kazoo/catalogue/events/calls.json");

/// The hooks whose first sample is taken, in turn.
const KINDS: [&str; 4] =
    ["webhooks_channel_create", "webhooks_channel_answer", "webhooks_channel_bridge", "webhooks_channel_destroy"];

/// One event, known again at an endpoint by its call.
#[derive(Debug, Clone)]
pub struct CallEvent {
    pub call: String,
    pub payload: Value,
}

impl CallEvent {
    pub fn message(&self) -> Message {
        let name = self.payload["Event-Name"].as_str().unwrap();
        Message::json("callevt", &format!("call.{name}.{}", self.call), &self.payload)
    }
}

/// Events of that account, no two of the same call or with the same Msg-ID, also from one use to the next.
pub fn call_events(account: &str, count: usize) -> Vec<CallEvent> {
    let samples: Value = serde_json::from_str(SAMPLES).unwrap();
    let event = |index: usize| {
        let mut payload = samples[KINDS[index % KINDS.len()]][0].clone();
        let call = format!("{:032x}", rand::random::<u128>());
        payload["Call-ID"] = call.as_str().into();
        payload["Msg-ID"] = format!("{:032x}", rand::random::<u128>()).into();
        payload["Custom-Channel-Vars"]["Account-ID"] = account.into();
        CallEvent { call, payload }
    };
    (0..count).map(event).collect()
}

pub fn messages(events: &[CallEvent]) -> Vec<Message> {
    events.iter().map(CallEvent::message).collect()
}

pub fn calls_of(events: &[CallEvent]) -> HashSet<String> {
    events.iter().map(|event| event.call.clone()).collect()
}
