//! Events posted over HTTP: what is accepted, what is not, and how much at once.

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

fn call_event(id: &str) -> Value {
    json!({ "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": id, "Msg-ID": id })
}

fn with(mut event: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

async fn post(app: &TestApp, token: &str, account: impl std::fmt::Display, data: Value) -> Answer {
    app.call_as(token, Method::POST, &format!("/v2/accounts/{account}/events"), Some(json!({ "data": data }))).await
}

#[track_caller]
fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let ids = answer.data("event_ids").as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn ids_come_in_the_order_of_the_request_and_stay_the_same() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let token = app.token_for(account);
    let [a, b, c] = ["a", "b", "c"].map(|id| json!({ "payload": call_event(id) }));
    let list = ids(&post(&app, &token, account, json!([a, b, c])).await);
    let reversed = ids(&post(&app, &token, account, json!([c, b, a])).await);
    assert_eq!(list.iter().rev().collect::<Vec<_>>(), reversed.iter().collect::<Vec<_>>());
    assert_eq!(ids(&post(&app, &token, account, b).await), list[1..2]);
    // Where Kazoo would publish it is the default.
    let explicit = json!({ "payload": call_event("a"), "exchange": "callevt", "routing_key": "call.CHANNEL_CREATE.a" });
    assert_eq!(ids(&post(&app, &token, account, explicit).await), list[..1]);
    let elsewhere = json!({ "payload": call_event("a"), "exchange": "unheard-of", "routing_key": "x" });
    assert_ne!(ids(&post(&app, &token, account, elsewhere).await), list[..1]);
}

#[actix_web::test]
async fn accounts_named_in_a_payload_must_be_within_reach() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let account = app.create_account("account", Some(parent)).await;
    let child = app.create_account("child", Some(account)).await;
    let other = app.create_account("other", None).await;
    let realm = app.get(&format!("/v2/accounts/{other}")).await.data("realm").clone();
    let own_realm = app.get(&format!("/v2/accounts/{child}")).await.data("realm").clone();
    let (other, child) = (other.to_string(), child.to_string());
    let database = format!("account/{}/{}/{}", &other[..2], &other[2..4], &other[4..]);
    let presence = |realm: &Value| {
        let id = format!("101@{}", realm.as_str().unwrap());
        json!({ "Event-Category": "presence", "Event-Name": "dialog_update", "Presence-ID": id, "Call-ID": "x" })
    };
    let document = |database: &str, id: &str| {
        json!({
            "Event-Category": "configuration", "Event-Name": "doc_edited", "Database": database, "Type": "user", "ID": id,
        })
    };
    let one_off = |account: &str| {
        json!({
            "Event-Category": "notification", "Event-Name": "webhook", "Account-ID": child, "Data": {},
            "Hook": { "uri": "http://example.com/", "pvt_account_id": account },
        })
    };
    for (payload, status) in [
        (call_event("x"), 202),
        (with(call_event("x"), json!({ "Account-ID": child })), 202),
        (with(call_event("x"), json!({ "Custom-Channel-Vars": { "Account-ID": account.to_string() } })), 202),
        (with(call_event("x"), json!({ "Account-ID": other })), 403),
        (with(call_event("x"), json!({ "Account-ID": parent.to_string() })), 403),
        (with(call_event("x"), json!({ "Custom-Channel-Vars": { "Account-ID": other } })), 403),
        (with(call_event("x"), json!({ "Account-ID": child, "Custom-Channel-Vars": { "Account-ID": other } })), 403),
        (with(call_event("x"), json!({ "Account-ID": "0123456789abcdef0123456789abcdef" })), 403),
        (document(&database, "x"), 403),
        (document(&database.replace('/', "%2F"), "x"), 403),
        (document(&format!("{database}-202601"), "x"), 403),
        (document("accounts", &other), 403),
        (document("accounts", &child), 202),
        (one_off(&child), 202),
        (one_off(&other), 403),
        (presence(&own_realm), 202),
        (presence(&realm), 403),
        (json!({ "Event-Category": "notification", "Event-Name": "system_alert" }), 403),
        (json!({ "Event-Category": "notification", "Event-Name": "missed_call" }), 202),
    ] {
        let token = app.token_for(account);
        let answer = post(&app, &token, account, json!({ "payload": payload })).await;
        assert_eq!(answer.status, status, "{payload} {}", answer.body);
        // One of a list is enough, and faults elsewhere in it change nothing.
        let list = json!([{ "payload": call_event("y") }, { "payload": payload }]);
        assert_eq!(post(&app, &token, account, list).await.status, status, "{payload}");
        if status == 403 {
            let list = json!([{ "payload": 7 }, { "payload": payload }]);
            assert_eq!(post(&app, &token, account, list).await.status, 403, "{payload}");
        }
    }
    let alert = json!({ "payload": { "Event-Category": "notification", "Event-Name": "system_alert" } });
    ids(&post(&app, &app.admin_token, account, alert).await);
    // An administrator, too, publishes within the account that he names.
    let foreign = json!({ "payload": with(call_event("x"), json!({ "Account-ID": other })) });
    assert_eq!(post(&app, &app.admin_token, account, foreign).await.status, 403);
}

#[actix_web::test]
async fn faulty_events_are_named_by_their_place() {
    let app = TestApp::with(|config| {
        config.http.events_per_post_max = 3;
        config.http.event_bytes_max = 1_000;
    })
    .await;
    let account = app.create_account("mine", None).await;
    let good = json!({ "payload": call_event("x") });
    let large = json!({ "payload": with(call_event("x"), json!({ "Extra": "x".repeat(1_000) })) });
    for (data, field, rule) in [
        (json!([good, good, { "payload": { "Event-Category": "x" } }]), "data[2].payload.Event-Name", "required"),
        (json!([good, { "payload": [] }]), "data[1].payload", "type"),
        (json!([large]), "data[0].payload", "maxLength"),
        (json!([good, good, good, good]), "data", "maxItems"),
        (json!([]), "data", "minItems"),
        (json!({}), "payload", "required"),
        (json!("x"), "data", "type"),
        (Value::Null, "data", "required"),
    ] {
        let answer = post(&app, &app.admin_token, account, data).await;
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("validation error")), "{field}");
        assert!(answer.data(field)[rule]["message"].is_string(), "{field}: {}", answer.body);
    }
}

/// An account with a hook whose endpoint takes connections and never answers.
async fn hanging(app: &TestApp) -> (AccountId, String, std::net::TcpListener) {
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let account = app.create_account("mine", None).await;
    let uri = format!("http://{}/", endpoint.local_addr().unwrap());
    let hook = app.put_hook(account, &json!({ "hook": "channel_create", "uri": uri })).await;
    (account, hook, endpoint)
}

async fn small_window() -> TestApp {
    TestApp::with(|config| {
        config.http.events_in_flight_max = 2;
        config.webhooks.allow_hosts = vec!["127.0.0.0/8".into()];
        // Nothing goes to disk while this test looks.
        config.webhooks.ack_hold_ms = 60_000;
        config.webhooks.request_timeout_ms = 60_000;
    })
    .await
}

#[actix_web::test]
async fn full_window_is_429_until_there_is_room() {
    let app = Rc::new(small_window().await);
    let (account, hook, _endpoint) = hanging(&app).await;
    let waiting = Rc::clone(&app);
    let first = actix_web::rt::spawn(async move {
        let list = json!([{ "payload": call_event("a") }, { "payload": call_event("b") }]);
        post(&waiting, &waiting.admin_token, account, list).await
    });
    let idle = app.create_account("idle", None).await;
    let second = json!({ "payload": call_event("c") });
    let full = loop {
        let answer = post(&app, &app.admin_token, idle, second.clone()).await;
        if answer.status != 202 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((full.status, &full.body["message"]), (429, &json!("too_many_requests")));
    assert_eq!(full.header("retry-after"), "1");

    // The hook's deliveries are discarded with it, and the events are done.
    app.call(Method::DELETE, &format!("/v2/accounts/{account}/webhooks/{hook}"), None).await;
    assert_eq!(ids(&first.await.unwrap()).len(), 2);
    ids(&post(&app, &app.admin_token, idle, second).await);
}

#[actix_web::test]
async fn list_larger_than_the_window_is_never_accepted() {
    let app = small_window().await;
    let account = app.create_account("mine", None).await;
    let list: Vec<Value> = ["a", "b", "c"].map(|id| json!({ "payload": call_event(id) })).into();
    let answer = post(&app, &app.admin_token, account, list.into()).await;
    assert_eq!((answer.status, &answer.data("data")["maxItems"]["target"]), (400, &json!(2)));
}

#[actix_web::test]
async fn publisher_that_hangs_up_gives_its_room_back_when_the_events_are_done() {
    let app = small_window().await;
    let (account, hook, _endpoint) = hanging(&app).await;
    let list = json!([{ "payload": call_event("a") }, { "payload": call_event("b") }]);
    let posting = post(&app, &app.admin_token, account, list);
    assert!(tokio::time::timeout(Duration::from_millis(300), posting).await.is_err());

    let idle = app.create_account("idle", None).await;
    let event = json!({ "payload": call_event("c") });
    assert_eq!(post(&app, &app.admin_token, idle, event.clone()).await.status, 429);
    app.call(Method::DELETE, &format!("/v2/accounts/{account}/webhooks/{hook}"), None).await;
    ids(&post(&app, &app.admin_token, idle, event).await);
}
