use proptest::prelude::*;
use serde_json::{Value, json};

use super::{BadRequest, Frame, Request, Resume, Target};
use crate::websocket::protocol::reply;

const A: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";

fn target(bindings: &[&str]) -> Target {
    Target { account_id: A.into(), bindings: bindings.iter().map(|one| (*one).into()).collect() }
}

#[track_caller]
fn check(frame: Value, expected: Request) {
    assert_eq!(Frame::parse(&frame.to_string()).request, Ok(expected), "{frame}");
}

#[track_caller]
fn check_text(frame: &str, expected: &str) {
    let found = Frame::parse(frame).request.unwrap_err().to_string();
    assert_eq!(found, expected, "{frame}");
}

#[test]
fn both_forms_ask_for_the_same() {
    let one = Request::Subscribe { target: target(&["call.CHANNEL_CREATE.*"]), resume: None };
    for frame in [
        json!({"action": "subscribe", "data": {"account_id": A, "binding": "call.CHANNEL_CREATE.*"}}),
        json!({"action": "subscribe", "account_id": A, "binding": "call.CHANNEL_CREATE.*"}),
        json!({"action": "subscribe", "account_id": A, "bindings": ["call.CHANNEL_CREATE.*"]}),
        json!({"action": "subscribe", "account_id": A, "data": {"bindings": "call.CHANNEL_CREATE.*"}}),
        json!({"action": "subscribe", "account_id": "x", "data": {"account_id": A, "binding": ["call.CHANNEL_CREATE.*"]}}),
        json!({"action": "subscribe", "data": null, "account_id": A, "binding": "call.CHANNEL_CREATE.*", "bindings": 1}),
    ] {
        check(frame, one.clone());
    }
    check(json!({"action": "unsubscribe", "account_id": A, "binding": "a"}), Request::Unsubscribe(target(&["a"])));
    check(json!({"action": "ping"}), Request::Ping);
}

#[test]
fn binding_wins_and_each_of_several_counts_once() {
    let of = |bindings: &[&str]| Request::Subscribe { target: target(bindings), resume: None };
    let frame = |data: Value| json!({"action": "subscribe", "account_id": A, "data": data});
    check(frame(json!({"binding": "a", "bindings": ["b"]})), of(&["a"]));
    check(frame(json!({"binding": null, "bindings": ["b", "a", "b", ""]})), of(&["b", "a"]));
    check(frame(json!({"binding": "", "bindings": ["b"]})), of(&["b"]));
}

#[test]
fn unsubscribe_without_bindings_drops_everything() {
    for frame in [
        json!({"action": "unsubscribe"}),
        json!({"action": "unsubscribe", "data": null}),
        json!({"action": "unsubscribe", "data": {}}),
        json!({"action": "unsubscribe", "data": {"name": "n"}}),
    ] {
        check(frame, Request::UnsubscribeAll);
    }
    check_text(r#"{"action":"unsubscribe","data":{"binding":"a"}}"#, "missing required keys : account_id");
}

#[test]
fn labels_token_and_id_come_from_wherever_clients_put_them() {
    let frame = json!({"action": "ping", "auth_token": "t", "request_id": "r", "name": "n", "metadata": {"a": 1}});
    let found = Frame::parse(&frame.to_string());
    assert_eq!((found.auth_token.as_deref(), found.request_id), (Some("t"), json!("r")));
    assert_eq!((found.name.as_deref(), found.metadata), (Some("n"), Some(json!({"a": 1}))));
    let frame = json!({"action": "ping", "request_id": 7, "data": {"name": "n", "metadata": "m"}});
    let found = Frame::parse(&frame.to_string());
    assert_eq!((found.request_id, found.name.as_deref(), found.metadata), (json!(7), Some("n"), Some(json!("m"))));
}

#[test]
fn request_id_is_made_up_and_never_twice_the_same() {
    let ids = [0, 1].map(|_| Frame::parse(r#"{"action":"ping","auth_token":""}"#));
    assert_ne!(ids[0].request_id, ids[1].request_id);
    assert!(ids[0].request_id.as_str().is_some_and(|id| id.len() == 32));
    assert_eq!(ids[0].auth_token, None);
}

#[test]
fn numbers_for_ids_come_back_as_they_were_sent() {
    for id in
        ["7", "-1", "0.1", "0.12345678901234567", "4.60788819297545e236", "1795000000000.1234", "18446744073709551615"]
    {
        let found = Frame::parse(&format!(r#"{{"action":"ping","request_id":{id}}}"#)).request_id;
        assert_eq!(found.as_f64().unwrap().to_bits(), id.parse::<f64>().unwrap().to_bits(), "{id}");
    }
}

#[test]
fn token_and_id_are_known_even_when_the_rest_is_wrong() {
    let found = Frame::parse(r#"{"action":"dance","auth_token":"t","request_id":"r","data":[]}"#);
    assert_eq!((found.auth_token.as_deref(), &found.request_id), (Some("t"), &json!("r")));
    assert!(found.request.is_err());
}

#[test]
fn resume_is_a_wish_or_a_position() {
    let check = |resume: Value, expected: Option<Resume>| {
        let frame = json!({"action": "subscribe", "data": {"account_id": A, "binding": "a", "resume": resume}});
        check(frame, Request::Subscribe { target: target(&["a"]), resume: expected });
    };
    check(json!(null), None);
    check(json!(false), None);
    check(json!(true), Some(Resume::Now));
    check(json!({"epoch": "e", "offset": 3}), Some(Resume::After { epoch: "e".into(), offset: 3 }));
    for bad in ["1", "{}", r#"{"epoch":"e"}"#, r#"{"epoch":"e","offset":-1}"#, r#"{"epoch":1,"offset":1}"#] {
        let frame = format!(r#"{{"action":"subscribe","account_id":"a","binding":"b","resume":{bad}}}"#);
        check_text(&frame, "resume is not true or an object of epoch and offset");
    }
}

#[test]
fn command_keeps_all_of_its_data() {
    let data = json!({"account_id": A, "call_id": "c", "module": "hangup", "data": {"x": 1}});
    let expected =
        Request::Command { account_id: A.into(), call_id: "c".into(), command: data.as_object().unwrap().clone() };
    check(json!({"action": "command", "data": data}), expected);
    check_text(r#"{"action":"command"}"#, "missing required keys : data, account_id, call_id");
    check_text(r#"{"action":"command","data":{"account_id":"a"}}"#, "missing required keys : call_id");
}

#[test]
fn errors_name_the_offending_thing() {
    check_text("[]", "request is not a JSON object");
    check_text("", "request is not JSON: EOF while parsing a value at line 1 column 0");
    check_text("{}", "missing required keys : action");
    check_text(r#"{"action":1}"#, "action is not a string");
    check_text(r#"{"action":"dance"}"#, "action \"dance\" is not known");
    check_text(r#"{"action":"ping","data":[]}"#, "data is not an object");
    check_text(r#"{"action":"ping","auth_token":1}"#, "auth_token is not a string");
    check_text(r#"{"action":"ping","request_id":{}}"#, "request_id is not a string");
    check_text(r#"{"action":"ping","name":1}"#, "name is not a string");
    check_text(r#"{"action":"subscribe"}"#, "missing required keys : account_id, binding");
    check_text(r#"{"action":"subscribe","data":{"account_id":"a"}}"#, "missing required keys : binding");
    check_text(r#"{"action":"subscribe","data":{"account_id":"a","bindings":[]}}"#, "missing required keys : binding");
    check_text(r#"{"action":"subscribe","data":{"account_id":1,"binding":"a"}}"#, "account_id is not a string");
    let text = "binding is not a string or a list of strings";
    check_text(r#"{"action":"subscribe","data":{"account_id":"a","binding":1}}"#, text);
    let text = "bindings is not a string or a list of strings";
    check_text(r#"{"action":"subscribe","data":{"account_id":"a","bindings":["a",1]}}"#, text);
    let long = Frame::parse(&json!({"action": "é".repeat(10_000)}).to_string()).request.unwrap_err();
    assert!(matches!(long, BadRequest::UnknownAction(text) if text.chars().count() == 64));
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z.*]{0,6}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 11] = [
        "action",
        "data",
        "auth_token",
        "request_id",
        "account_id",
        "binding",
        "bindings",
        "name",
        "metadata",
        "resume",
        "call_id",
    ];
    prop::sample::select(&KEYS[..]).prop_map(str::to_owned)
}

#[track_caller]
fn check_answered(text: &str) {
    let frame = Frame::parse(text);
    let reply = match &frame.request {
        Ok(Request::Subscribe { target, .. }) => reply::subscribed(&frame.request_id, &target.bindings, &[], None),
        Ok(Request::Unsubscribe(target)) => reply::unsubscribed(&frame.request_id, &target.bindings, &[]),
        Ok(Request::UnsubscribeAll) => reply::unsubscribed::<&str>(&frame.request_id, &[], &[]),
        Ok(Request::Ping | Request::Command { .. }) => reply::response(&frame.request_id, "pong"),
        Err(bad) => reply::error(&frame.request_id, &[bad.to_string()]),
    };
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert!(reply["data"].is_object(), "{reply}");
    assert!(reply["request_id"].is_string() || reply["request_id"].is_number(), "{reply}");
    if let Ok(Value::Object(given)) = serde_json::from_str(text)
        && let Some(id @ (Value::String(_) | Value::Number(_))) = given.get("request_id")
    {
        assert_eq!(&reply["request_id"], id);
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_with_data(text in ".*") {
        check_answered(&text);
    }

    #[test]
    fn any_object_is_answered_with_data(
        action in prop::sample::select(vec!["subscribe", "unsubscribe", "ping", "command", "dance"]),
        members in prop::collection::vec((key(), any_value()), 0..8),
    ) {
        let mut frame = json!({ "action": action });
        frame.as_object_mut().unwrap().extend(members);
        check_answered(&frame.to_string());
    }
}
