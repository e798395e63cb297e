//! What an event is called.

use serde_json::{Value, json};

use super::{A, DATABASE, account, frames, ordinary, topic_of};
use crate::kazoo::classify::classify;
use crate::kazoo::head::Head;
use crate::routing::subscriptions::Subscriptions;
use crate::websocket::bindings::topic::routing_key;

#[track_caller]
fn check_routing_key(event: Value, bus: &str, expected: &str) {
    let head = Head::parse(&event.to_string()).unwrap();
    let kind = classify(&head).unwrap();
    assert_eq!(routing_key(kind, Some(account()), &head, bus), expected.replace("{DB}", DATABASE).replace("{A}", A));
}

#[test]
fn frames_name_kazoos_internal_key_of_their_event() {
    let call = json!({"Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": "a.b"});
    check_routing_key(call, "call.CHANNEL_CREATE.other", "call.{A}.CHANNEL_CREATE.a%2Eb");
    let change = json!({"Event-Category": "configuration", "Event-Name": "doc_edited", "Type": "fax", "ID": "i",
        "Database": format!("{DATABASE}-202512")});
    check_routing_key(change, "", "doc_edited.{DB}-202512.fax.i");
    let conference =
        json!({"Event-Category": "conference", "Event-Name": "event", "Event": "add", "Conference-ID": "k"});
    check_routing_key(conference, "", "conference.event.add.{A}.k.undefined");
    let command = json!({"Event-Category": "conference", "Event-Name": "command", "Conference-ID": "k"});
    check_routing_key(command, "", "conference.command.k");
    let bare = json!({"Event-Category": "presence", "Event-Name": "dialog_update"});
    check_routing_key(bare.clone(), "dialog.pbx%2Eexample%2Ecom.c%2E1", "dialog.pbx%2Eexample%2Ecom.c%2E1");
    check_routing_key(bare, "", "dialog.undefined.undefined");
    let waiting = json!({"Event-Category": "presence", "Event-Name": "mwi_update", "To": "101@pbx.example.com"});
    check_routing_key(waiting, "", "mwi_updates.pbx%2Eexample%2Ecom.101");
    let fax = json!({"Event-Category": "fax", "Event-Name": "status", "Fax-ID": "f"});
    check_routing_key(fax, "", "fax.status.{A}.f");
    let alert = json!({"Event-Category": "notification", "Event-Name": "system_alert"});
    check_routing_key(alert, "notifications.system.alert", "notifications.{A}.system_alert");
}

#[test]
fn an_id_of_an_event_is_no_wildcard_and_one_of_a_binding_is_one_word() {
    let call = |id: &str| json!({"Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": id});
    assert_eq!(topic_of(&call("*")).as_deref(), Some("call/CHANNEL_CREATE.%2A"));
    assert_eq!(topic_of(&call("a.b c")).as_deref(), Some("call/CHANNEL_CREATE.a%2Eb+c"));
    let held = ordinary().subscription("call.CHANNEL_CREATE.a*").unwrap();
    let mut subscriptions = Subscriptions::default();
    subscriptions.insert(1, 0, held.scope, &held.subscribed_key, &held.topics);
    assert_eq!(frames(&subscriptions, Some(account()), &call("ab")), []);
}
