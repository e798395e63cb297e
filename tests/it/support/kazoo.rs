//! Kazoo's messages for tests: the raw events of the catalogue and their sample payloads, made over to an account.
//!
//! Payloads are read from the catalogue's files and never computed. The exchange and routing key of an event are the
//! crate's own answer to where Kazoo publishes it; the broker returns an event whose key no binding fits.

use hookswitch::ids::AccountId;
use hookswitch::kazoo::head::Head;
use hookswitch::kazoo::routing::routing;
use serde_json::{Map, Value, json};

use super::publisher::Message;

/// The account of every event in the files, and its database.
const ACCOUNT: &str = "6c0bea2d5b52aa838a59a2c4044001c5";
const DATABASE: &str = "account%2F6c%2F0b%2Fea2d5b52aa838a59a2c4044001c5";

macro_rules! catalogue {
    ($directory:literal: $($file:literal)+) => {
        [$(include_str!(concat!("../../../src/kazoo/catalogue/", $directory, "/", $file, ".json"))),+]
    };
}

const EVENTS: [&str; 9] = catalogue!("events": "calls" "objects" "messages" "callflow" "notifications_account"
    "notifications_fax" "notifications_number" "notifications_other" "unhooked");

const SAMPLES: [&str; 8] = catalogue!("samples": "calls" "objects" "messages" "callflow" "notifications_account"
    "notifications_fax" "notifications_number" "notifications_other");

/// The ids of all samples.
pub fn sample_ids() -> Vec<String> {
    let groups = SAMPLES.iter().map(|text| parse(text));
    groups.flat_map(|group| group.keys().cloned().collect::<Vec<_>>()).collect()
}

/// The raw events of a sample id, or of one of the ids that no hook takes.
pub fn events(id: &str, account: AccountId) -> Vec<Value> {
    find(&EVENTS, id, account)
}

/// The first of them.
pub fn event(id: &str, account: AccountId) -> Value {
    events(id, account).swap_remove(0)
}

/// What a hook is sent for these events, before its `custom_data` and the cluster's id.
pub fn samples(id: &str, account: AccountId) -> Vec<Value> {
    find(&SAMPLES, id, account)
}

/// The hook that takes the events of a sample id.
pub fn hook_for(id: &str) -> Value {
    let name = id.strip_prefix("webhooks_").unwrap();
    match name.strip_prefix("notifications_") {
        Some(kind) => json!({ "hook": "notifications", "custom_data": { "type": kind } }),
        None if name == "object" => {
            json!({ "hook": name, "custom_data": { "action": "all", "type": "all" } })
        }
        None => json!({ "hook": name }),
    }
}

/// A hook for the edits of documents of one type. On the shared broker, a type that no other test names and that has no
/// event in the catalogue keeps everything out of the test's queue but what it publishes itself.
pub fn hook_for_edits(document_type: &str) -> Value {
    json!({ "hook": "object", "custom_data": { "action": "doc_edited", "type": document_type } })
}

/// An event for [`hook_for_edits`].
pub fn edited(document_type: &str, account: AccountId) -> Value {
    with(event("webhooks_object", account), json!({ "Event-Name": "doc_edited", "Type": document_type }))
}

/// As Kazoo publishes the event.
pub fn message(event: &Value) -> Message {
    let text = event.to_string();
    let (exchange, routing_key) = routing(&Head::parse(&text).unwrap()).unwrap();
    Message::raw(exchange, &routing_key, text)
}

/// The same event with other values at the top.
pub fn with(mut event: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

/// The same event without some of what it has at the top.
pub fn without(mut event: Value, keys: &[&str]) -> Value {
    event.as_object_mut().unwrap().retain(|key, _| !keys.contains(&key.as_str()));
    event
}

fn find(groups: &[&str], id: &str, account: AccountId) -> Vec<Value> {
    let account = account.to_string();
    let (first, rest) = account.split_at(2);
    let (second, rest) = rest.split_at(2);
    let database = format!("account%2F{first}%2F{second}%2F{rest}");
    let found = groups.iter().find_map(|text| parse(text).remove(id));
    let text = found.unwrap_or_else(|| panic!("no {id} in the catalogue")).to_string();
    serde_json::from_str(&text.replace(DATABASE, &database).replace(ACCOUNT, &account)).unwrap()
}

fn parse(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}
