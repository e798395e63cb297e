use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

use super::{ACTIONS, Bridge, Command};
use crate::kazoo::Object;
use crate::kazoo::classify::classify;
use crate::kazoo::head::Head;
use crate::kazoo::routing::routing;
use crate::validation::Faults;

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

fn put(data: Value) -> Result<Command, Faults> {
    Command::of_put(None, object(data))
}

fn post(data: Value) -> Result<Command, Faults> {
    Command::of_post(None, object(data), Bridge::Bridged)
}

#[track_caller]
fn check_faults(result: Result<Command, Faults>, expected: &[(&str, &str)]) {
    let faults = result.unwrap_err();
    assert_eq!(faults.fields(), expected.iter().map(|(field, _)| *field).collect::<Vec<_>>());
    let faults = faults.into_value();
    for (field, rule) in expected {
        assert!(faults[field][rule]["message"].is_string(), "{field} {rule}: {faults}");
    }
}

#[track_caller]
fn check_action(fields: Value, action: &str, data: Value, accepted: &str) {
    let command = post(fields).unwrap();
    assert_eq!(command.accepted(), accepted);
    let message = command.into_message("a.b@c", "node@host").unwrap();
    assert_eq!(
        (message.exchange, &*message.routing_key),
        ("metaflow", &*format!("metaflow.action.a%2Eb%40c.{action}"))
    );
    assert_eq!(message.body["Event-Name"], "action");
    assert_eq!((&message.body["Action"], &message.body["Data"]), (&json!(action), &data));
}

#[test]
fn flows_are_published_as_they_are() {
    let flow =
        json!({ "module": "hangup", "data": {}, "children": { "1": { "module": "say" }, "_": { "module": "park" } } });
    let beside = Command::of_put(Some(&json!("metaflow")), object(flow.clone())).unwrap();
    let within = put(json!({ "action": "metaflow", "data": flow })).unwrap();
    let socket =
        json!({ "account_id": "a", "call_id": "c", "module": "hangup", "data": {}, "children": flow["children"] });
    assert_eq!(beside, within);
    assert_eq!(Command::of_socket(object(socket), Bridge::Unbridged).unwrap(), within);
    assert_eq!(within.accepted(), "metaflow sent");
    let message = within.into_message("a.b@c", "node@host").unwrap();
    assert_eq!((message.exchange, &*message.routing_key), ("metaflow", "metaflow.flow.a%2Eb%40c"));
    let mut body = object(message.body);
    assert!(body.shift_remove("Msg-ID").unwrap().as_str().is_some_and(|id| id.len() == 32));
    let expected = json!({
        "App-Name": "hookswitch",
        "App-Version": env!("CARGO_PKG_VERSION"),
        "Event-Category": "metaflow",
        "Event-Name": "flow",
        "Node": "node@host",
        "Call-ID": "a.b@c",
        "Flow": flow,
    });
    assert_eq!(Value::from(body), expected);
}

#[test]
fn faults_of_a_flow_are_named_by_their_place() {
    check_faults(put(json!({})), &[("action", "required")]);
    check_faults(put(json!({ "action": "hangup" })), &[("action", "enum")]);
    check_faults(put(json!({ "action": 1 })), &[("action", "enum")]);
    check_faults(Command::of_put(Some(&json!("x")), Object::new()), &[("action", "enum")]);
    check_faults(put(json!({ "action": "metaflow" })), &[("data", "required")]);
    check_faults(put(json!({ "action": "metaflow", "data": [] })), &[("data", "type")]);
    let flow = |flow: Value| Command::of_put(Some(&json!("metaflow")), object(flow));
    check_faults(flow(json!({})), &[("module", "required")]);
    check_faults(flow(json!({ "module": "" })), &[("module", "minLength")]);
    check_faults(
        flow(json!({ "module": 1, "data": 2, "children": 3 })),
        &[("module", "type"), ("data", "type"), ("children", "type")],
    );
    let children = json!({ "1": { "module": "say", "children": { "_": {} } }, "2": null });
    check_faults(
        flow(json!({ "module": "x", "children": children })),
        &[("children.1.children._.module", "required"), ("children.2", "type")],
    );
    let mut deep = json!({ "module": "x" });
    for _ in 0..17 {
        deep = json!({ "module": "x", "children": { "_": deep } });
    }
    assert!(flow(deep).unwrap_err().to_string().contains("16 levels deep"));
}

#[test]
fn actions_carry_what_kazoo_reads_and_nothing_else() {
    check_action(json!({ "action": "hangup", "x": 1 }), "hangup", json!({}), "hangup initiated");
    check_action(json!({ "action": "break" }), "break", json!({}), "break initiated");
    let data = json!({ "target": "2600", "transfer-type": "blind" });
    check_action(json!({ "action": "transfer", "target": "2600" }), "transfer", data, "transfer initiated");
    let data = json!({ "target": "2600", "transfer-type": "attended", "moh": "media" });
    let fields = json!({ "action": "transfer", "target": "2600", "transfer-type": "attended", "moh": "media", "x": 1 });
    check_action(fields, "transfer", data.clone(), "transfer initiated");
    let fields =
        json!({ "action": "transfer", "data": { "target": "2600", "transfer_type": "attended", "moh": "media" } });
    check_action(fields, "transfer", data, "transfer initiated");
    let data = json!({ "id": "cf", "captures": ["1"], "collected": "12" });
    let fields = json!({ "action": "callflow", "id": "cf", "captures": ["1"], "collected": "12" });
    check_action(fields, "callflow", data, "callflow initiated");
    let data = json!({ "target_type": "device", "target_id": "d", "unbridged_only": true });
    let fields = json!({ "action": "intercept", "target_type": "device", "target_id": "d", "unbridged_only": true });
    check_action(fields, "intercept", data, "intercept initiated");
    check_action(json!({ "action": "play", "id": "m" }), "play", json!({ "id": "m" }), "play initiated");
}

#[test]
fn faults_of_an_action_are_named() {
    check_faults(post(json!({})), &[("action", "required")]);
    check_faults(post(json!({ "action": 1 })), &[("action", "type")]);
    check_faults(post(json!({ "action": "metaflow" })), &[("action", "enum")]);
    check_faults(post(json!({ "action": "transfer" })), &[("target", "required")]);
    check_faults(
        post(json!({ "action": "transfer", "target": 1, "transfer-type": "deaf", "moh": 2 })),
        &[("target", "type"), ("transfer-type", "enum"), ("moh", "type")],
    );
    check_faults(
        post(json!({ "action": "callflow", "captures": [1], "collected": 2 })),
        &[("id", "required"), ("captures", "type"), ("collected", "type")],
    );
    check_faults(post(json!({ "action": "intercept" })), &[("target_type", "required"), ("target_id", "required")]);
    check_faults(
        post(json!({ "action": "intercept", "target_type": "", "target_id": 1, "unbridged_only": "x" })),
        &[("target_type", "minLength"), ("target_id", "type"), ("unbridged_only", "type")],
    );
    let unbridged = Command::of_post(Some(&json!("transfer")), object(json!({ "target": "1" })), Bridge::Unbridged);
    check_faults(unbridged, &[("other_leg_call_id", "required")]);
    check_faults(Command::of_socket(Object::new(), Bridge::Bridged), &[("module", "required"), ("action", "required")]);
}

#[test]
fn a_call_whose_id_fills_the_routing_key_cannot_be_commanded() {
    let command = post(json!({ "action": "hangup" })).unwrap();
    assert!(command.clone().into_message(&"x".repeat(232), "n").is_ok());
    assert_eq!(command.clone().into_message(&"x".repeat(233), "n").unwrap_err().fields(), ["call_id"]);
    assert!(command.into_message(&".".repeat(78), "n").is_err());
}

#[test]
fn commands_are_events_of_kazoos_own_kinds() {
    for action in ACTIONS {
        let fields = json!({ "action": action, "target": "1", "id": "i", "target_type": "t", "target_id": "d" });
        let message = post(fields).unwrap().into_message("a.b", "n").unwrap();
        let head = Head::parse(&message.body.to_string()).unwrap();
        assert!(classify(&head).is_some(), "{action}");
        assert_eq!(routing(&head), Some((message.exchange, message.routing_key)));
    }
}

proptest! {
    #[test]
    fn no_command_panics(call in ".*", action in "(metaflow|transfer|[a-z]{0,8})", text in ".*", number in any::<i64>()) {
        for value in [json!(text), json!(number), json!({ &text: text }), json!([text]), Value::Null] {
            let data = json!({ "action": action, "data": { "module": value, "children": { &text: value } }, &text: value });
            for command in [put(data.clone()), post(data.clone()), Command::of_socket(object(data), Bridge::Bridged)] {
                if let Ok(Ok(message)) = command.map(|command| command.into_message(&call, "n")) {
                    prop_assert!(message.routing_key.len() <= 255);
                }
            }
        }
    }
}
