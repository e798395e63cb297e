//! What clients of sockets see: replies, events, and what ends.

use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::bus::Bus;
use crate::support::eventually;
use crate::support::kazoo::{event, message};
use crate::support::ws_client::WsClient;

const CREATES: &str = "call.CHANNEL_CREATE.*";

/// A socket of the account, subscribed to that.
async fn subscribed(app: &TestApp, account: AccountId, binding: &str) -> WsClient {
    let mut client = WsClient::connect(app.socket_address).await;
    let reply = client.subscribe(&app.token_for(account), &account.to_string(), binding).await;
    assert_eq!(reply["data"]["subscribed"], json!([binding]), "{reply}");
    client
}

/// A new call of the account.
fn call(account: AccountId, call_id: &str) -> Value {
    let mut event = event("webhooks_channel_create", account);
    event["Call-ID"] = call_id.into();
    event["Msg-ID"] = format!("msg-{call_id}").into();
    event
}

#[actix_web::test]
async fn an_event_comes_as_kazoo_sends_it() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let mut client = WsClient::connect(app.socket_address).await;
    let reply = client.subscribe(&app.token_for(account), &account.to_string(), CREATES).await;
    let expected = json!({"action": "reply", "request_id": CREATES, "status": "success",
        "data": {"subscribed": [CREATES], "subscriptions": [CREATES]}});
    assert_eq!(reply, expected);

    app.publish(account, &[call(account, "a.b c")]).await;
    let frame = client.next().await;
    assert_eq!(frame["action"], "event");
    assert_eq!(frame["subscribed_key"], CREATES);
    assert_eq!(frame["subscription_key"], format!("call.{account}.CHANNEL_CREATE.*"));
    assert_eq!(frame["name"], "CHANNEL_CREATE");
    assert_eq!(frame["routing_key"], format!("call.{account}.CHANNEL_CREATE.a%2Eb+c"));
    assert_eq!(frame["data"]["call_id"], "a.b c");
    assert_eq!(frame["data"]["custom_channel_vars"]["account_id"], account.to_string());
    assert!(frame["data"].get("node").is_none() && frame.get("offset").is_none(), "{frame}");
}

#[actix_web::test]
async fn requests_are_answered_in_kazoos_words() {
    let app = TestApp::spawn().await;
    let (own, other) = (app.create_account("own", None).await, app.create_account("other", None).await);
    let token = app.token_for(own);
    let mut client = WsClient::connect(app.socket_address).await;
    let errors = |reply: &Value| reply["data"]["errors"].clone();

    assert_eq!(errors(&client.ask(&json!({"action": "ping"})).await), json!(["authentication token required"]));
    let bad = client.ask(&json!({"action": "ping", "auth_token": "no.token.atall", "request_id": "r"})).await;
    let text = errors(&bad)[0].as_str().unwrap().to_owned();
    assert!(text.starts_with("failed to authenticate token") && !text.contains("no.token"), "{text}");
    assert_eq!((&bad["request_id"], &bad["status"]), (&json!("r"), &json!("error")));
    let pong = client.ask(&json!({"action": "ping", "auth_token": token})).await;
    assert_eq!(pong["data"], json!({"response": "pong"}));

    // The token is remembered from here on.
    let mut ask = async |request: Value| client.ask(&request).await;
    let reply = ask(json!({"action": "subscribe", "data": {"account_id": other, "binding": CREATES}})).await;
    assert_eq!(errors(&reply), json!(["unauthorized account id"]));
    let reply = ask(json!({"action": "subscribe", "data": {"account_id": "*", "binding": CREATES}})).await;
    assert_eq!(errors(&reply), json!(["unauthorized wildcard account id"]));
    let reply = ask(json!({"action": "subscribe", "data": {"binding": CREATES}})).await;
    assert_eq!(errors(&reply), json!(["missing required keys : account_id"]));
    let reply = ask(json!({"action": "subscribe", "account_id": own, "bindings": [CREATES, "call.NOPE.*"]})).await;
    assert_eq!(reply["status"], "success");
    assert_eq!(reply["data"]["subscribed"], json!([CREATES]));
    assert_eq!(errors(&reply), json!(["call.NOPE.*: event NOPE not supported"]));
    let again = ask(json!({"action": "subscribe", "data": {"account_id": own, "binding": CREATES}})).await;
    assert_eq!(again["data"]["subscribed"], json!([CREATES]));
    let never = ask(json!({"action": "unsubscribe", "data": {"account_id": own, "binding": "fax.status.*"}})).await;
    assert_eq!(never["data"]["unsubscribed"], json!(["fax.status.*"]));
    assert_eq!(never["data"]["subscribed"], json!([CREATES]));
    let all = ask(json!({"action": "unsubscribe"})).await;
    assert_eq!((&all["data"]["unsubscribed"], &all["data"]["subscribed"]), (&json!([CREATES]), &json!([])));

    app.publish(own, &[call(own, "c")]).await;
    assert_eq!(ask(json!({"action": "ping"})).await["data"]["response"], "pong", "no event comes any more");
}

#[actix_web::test]
async fn nobody_sees_the_events_of_another_branch() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let child = app.create_account("child", Some(parent)).await;
    let sibling = app.create_account("sibling", Some(parent)).await;
    let mut own = subscribed(&app, child, CREATES).await;
    let mut beside = subscribed(&app, sibling, CREATES).await;
    let mut above = WsClient::connect(app.socket_address).await;
    above.subscribe(&app.token_for(parent), &child.to_string(), CREATES).await;
    let mut all = WsClient::connect(app.socket_address).await;
    all.subscribe(&app.admin_token, "*", CREATES).await;

    app.publish(child, &[call(child, "of the child")]).await;
    app.publish(sibling, &[call(sibling, "of the sibling")]).await;
    for client in [&mut own, &mut above] {
        assert_eq!(client.next().await["data"]["call_id"], "of the child");
    }
    assert_eq!(beside.next().await["data"]["call_id"], "of the sibling");
    for call_id in ["of the child", "of the sibling"] {
        let frame = all.next().await;
        assert_eq!(frame["data"]["call_id"], call_id);
        assert_eq!(frame["subscription_key"], "call.*.CHANNEL_CREATE.*");
    }
}

#[actix_web::test]
async fn the_api_takes_sockets_on_its_own_port() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let bearer = format!("Bearer {}", app.token_for(account));
    let headers = [("authorization", bearer.as_str())];
    let mut client = WsClient::try_connect(app.address, "/v2/websockets", &headers).await.unwrap();
    let request = json!({"action": "subscribe", "data": {"account_id": account, "binding": CREATES}});
    assert_eq!(client.ask(&request).await["status"], "success");
    app.publish(account, &[call(account, "c")]).await;
    assert_eq!(client.next().await["data"]["call_id"], "c");

    let refused = WsClient::try_connect(app.address, "/v2/websockets?auth_token=nonsense", &[]).await;
    assert_eq!(refused.err(), Some(403));
    assert_eq!(app.get("/v2/websockets").await.status, 200, "a plain request lists the bindings");
}

#[actix_web::test]
async fn a_socket_outlives_its_token_for_the_grace_and_no_longer() {
    let app = TestApp::with(|config| config.websockets.token_grace_ms = 100).await;
    let account = app.create_account("own", None).await;
    let mut client = WsClient::connect(app.socket_address).await;
    let token = app.short_token_for(account, Duration::from_secs(1));
    client.subscribe(&token, &account.to_string(), CREATES).await;
    let told = client.next().await;
    let text = told["data"]["errors"][0].as_str().unwrap();
    assert!(told["status"] == "error" && text.starts_with("failed to authenticate token"), "{told}");
    assert_eq!(client.expect_close().await, 4001);
    let again = WsClient::try_connect(app.socket_address, &format!("/?auth_token={token}"), &[]).await;
    assert_eq!(again.err(), Some(403));
    let mut client = WsClient::connect(app.socket_address).await;
    let told = client.subscribe(&token, &account.to_string(), CREATES).await;
    assert_eq!(told["data"]["errors"], json!(["failed to authenticate token: the token has expired"]));
    assert_eq!(
        client.ask(&json!({"action": "ping"})).await["data"]["errors"],
        json!(["authentication token required"])
    );

    let mut client = WsClient::connect(app.socket_address).await;
    client.subscribe(&app.short_token_for(account, Duration::from_secs(1)), &account.to_string(), CREATES).await;
    let renewed = client.ask(&json!({"action": "ping", "auth_token": app.token_for(account)})).await;
    assert_eq!(renewed["data"]["response"], "pong");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    app.publish(account, &[call(account, "after")]).await;
    assert_eq!(client.next().await["data"]["call_id"], "after");
}

#[actix_web::test]
async fn whoever_may_not_have_it_any_more_gets_nothing_from_then_on() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let mut client = subscribed(&app, account, CREATES).await;
    let path = format!("/v2/accounts/{account}");
    let answer = app.call(Method::PATCH, &path, Some(json!({"data": {"enabled": false}}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(client.expect_close().await, 4501);
}

#[actix_web::test]
async fn sockets_of_an_account_end_with_it_subscribed_or_not() {
    let app = TestApp::spawn().await;
    for subscribes in [true, false] {
        let (account, other) = (app.create_account("own", None).await, app.create_account("other", None).await);
        let (mut client, mut stays) =
            (WsClient::connect(app.socket_address).await, subscribed(&app, other, CREATES).await);
        let token = app.token_for(account);
        if subscribes {
            client.subscribe(&token, &account.to_string(), CREATES).await;
        } else {
            client.ask(&json!({"action": "ping", "auth_token": token})).await;
        }
        let answer = app.call(Method::DELETE, &format!("/v2/accounts/{account}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(client.expect_close().await, 4501);
        app.publish(other, &[call(other, "c")]).await;
        assert_eq!(stays.next().await["data"]["call_id"], "c");
    }
}

#[actix_web::test]
async fn who_comes_back_in_time_misses_nothing() {
    let app = TestApp::with(|config| config.websockets.history_events_max = 3).await;
    let account = app.create_account("own", None).await;
    let token = app.token_for(account);
    let subscribe = |resume: Value| {
        json!({"action": "subscribe", "auth_token": token,
        "data": {"account_id": account, "binding": CREATES, "resume": resume}})
    };
    let mut client = WsClient::connect(app.socket_address).await;
    let reply = client.ask(&subscribe(true.into())).await;
    let epoch = reply["data"]["epoch"].clone();
    assert_eq!((&reply["data"]["offset"], &reply["data"]["recovered"]), (&json!(0), &json!(false)), "{reply}");
    app.publish(account, &[call(account, "1")]).await;
    let frame = client.next().await;
    assert_eq!((&frame["epoch"], &frame["offset"]), (&epoch, &json!(1)));
    client.close().await;

    app.publish(account, &[call(account, "2"), call(account, "3")]).await;
    let mut client = WsClient::connect(app.socket_address).await;
    let reply = client.ask(&subscribe(json!({"epoch": epoch, "offset": 1}))).await;
    assert_eq!((&reply["data"]["offset"], &reply["data"]["recovered"]), (&json!(3), &json!(true)), "{reply}");
    app.publish(account, &[call(account, "4")]).await;
    for offset in 2..=4 {
        let frame = client.next().await;
        assert_eq!(frame["data"]["call_id"], offset.to_string());
        assert_eq!((&frame["epoch"], &frame["offset"]), (&epoch, &json!(offset)));
    }
    let mut late = WsClient::connect(app.socket_address).await;
    let reply = late.ask(&subscribe(json!({"epoch": epoch, "offset": 0}))).await;
    assert_eq!(reply["data"]["recovered"], false, "three are kept, and four came");
    let mut foreign = WsClient::connect(app.socket_address).await;
    let reply = foreign.ask(&subscribe(json!({"epoch": "another", "offset": 3}))).await;
    assert_eq!((&reply["data"]["recovered"], &reply["data"]["epoch"]), (&json!(false), &epoch));
}

#[actix_web::test]
async fn the_reply_comes_when_the_broker_has_the_binding() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let mut client = subscribed(&bus.app, account, CREATES).await;
    for call_id in ["1", "2", "3"] {
        // The test fails when no queue got it.
        bus.publish(&call(account, call_id)).await;
    }
    for call_id in ["1", "2", "3"] {
        assert_eq!(client.next().await["data"]["call_id"], call_id);
    }
    client.close().await;
    eventually("no socket", async || bus.app.metric("hookswitch_websockets").await == 0.0).await;
}

#[actix_web::test]
async fn frames_are_measured_from_the_publishing_of_their_event() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let mut client = subscribed(&bus.app, account, CREATES).await;
    let hour_ago = hookswitch::event::now_ms() - 3_600_000;
    // One of an hour ago, one of a broker whose clock is ahead, and one without a time.
    for (call_id, published_ms) in [("1", Some(hour_ago)), ("2", Some(2 * hour_ago)), ("3", None)] {
        let mut message = message(&call(account, call_id));
        if let Some(ms) = published_ms {
            let mut headers = FieldTable::default();
            headers.insert("timestamp_in_ms".into(), AMQPValue::LongLongInt(ms as i64));
            message.properties = message.properties.with_headers(headers);
        }
        bus.publisher.try_publish(&message).await.unwrap();
        assert_eq!(client.next().await["data"]["call_id"], call_id);
    }
    let sum = async || bus.app.metric("hookswitch_frame_seconds_sum").await;
    eventually("three events", async || bus.app.metric("hookswitch_frame_seconds_count").await == 3.0).await;
    assert!((3_600.0..7_200.0).contains(&sum().await), "{}", sum().await);
}

#[actix_web::test]
async fn open_sockets_are_listed_in_both_forms_and_closed_on_request() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let account = app.create_account("own", Some(parent)).await;
    let token = app.token_for(account);
    let mut client = WsClient::connect(app.socket_address).await;
    let request = json!({"action": "subscribe", "auth_token": token,
        "data": {"account_id": account, "binding": CREATES, "name": "desk", "metadata": {"floor": 2}}});
    assert_eq!(client.ask(&request).await["status"], "success");
    let id = client.address.to_string();
    let (list, one) = (format!("/v2/accounts/{account}/websockets"), format!("/v2/accounts/{account}/websockets/{id}"));
    let get = async |path: &str| app.call_as(&token, Method::GET, path, None).await.body["data"].clone();

    assert_eq!(get(&list).await, json!([id]));
    let details = get(&format!("{one}?listing=details")).await;
    assert_eq!(details["bindings"], json!([CREATES]));
    assert_eq!((&details["name"], &details["metadata"]), (&json!("desk"), &json!({"floor": 2})));
    assert_eq!((&details["source"], &details["destination"]), (&json!("127.0.0.1"), &json!("hookswitch@localhost")));
    assert_eq!(get(&format!("{list}?listing=details")).await, json!([details]));
    let mut listed = json!({"account_id": account, "auth_token": "***"});
    listed.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    assert_eq!(get(&one).await, json!([listed]));
    assert_eq!(get(&format!("{list}/10.0.0.1:1")).await, json!([]));
    assert_eq!(get(&format!("{list}/10.0.0.1:1?listing=details")).await, json!({}));
    assert_eq!(app.call_as(&token, Method::GET, &format!("{list}?listing=x"), None).await.status, 400);

    let above = format!("/v2/accounts/{parent}/websockets");
    assert_eq!(app.call_as(&app.token_for(parent), Method::GET, &above, None).await.body["data"], json!([]));
    assert_eq!(app.call_as(&token, Method::GET, &format!("{list}?all=true"), None).await.status, 403);
    assert_eq!(app.get(&format!("{above}?all=true")).await.body["data"], json!([id]));
    let actors = app.get("/v2/actors").await;
    assert_eq!(actors.data("websockets")[0]["account_id"], account.to_string());

    let deleted = app.call_as(&token, Method::DELETE, &one, None).await;
    assert_eq!((deleted.status, &deleted.body["data"]), (200, &json!([listed])), "what a GET had shown");
    assert_eq!(client.expect_close().await, 4500);
    eventually("a socket that is gone", async || get(&list).await == json!([])).await;
    assert_eq!(app.call_as(&token, Method::DELETE, &one, None).await.status, 404);
}

#[actix_web::test]
async fn open_sockets_are_all_listed_unless_pages_are_asked_for() {
    let app = TestApp::with(|config| config.http.page_size = 2).await;
    let account = app.create_account("own", None).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(subscribed(&app, account, CREATES).await);
    }
    let mut newest_first: Vec<String> = clients.iter().map(|client| client.address.to_string()).collect();
    newest_first.reverse();
    let list = async |query: &str| app.get(&format!("/v2/accounts/{account}/websockets{query}")).await;
    assert_eq!(list("").await.body["data"], json!(newest_first));
    let first = list("?page_size=3").await.body;
    assert_eq!((&first["data"], &first["page_size"]), (&json!(newest_first[..3]), &json!(3)));
    let rest = list(&format!("?start_key={}", first["next_start_key"].as_str().unwrap())).await.body;
    assert_eq!((&rest["data"], rest.get("next_start_key")), (&json!(newest_first[3..]), None));
    let one = list(&format!("?filter_websocket_session_id={}", newest_first[4])).await.body;
    assert_eq!(one["data"], json!([newest_first[4]]));
    assert_eq!(list("?page_size=none").await.status, 400);
}

#[actix_web::test]
async fn bindings_beyond_the_limit_are_told_and_the_others_hold() {
    let app = TestApp::with(|config| config.websockets.max_subscriptions = 2).await;
    let account = app.create_account("own", None).await;
    let mut client = subscribed(&app, account, CREATES).await;
    let (answers, destroys) = ("call.CHANNEL_ANSWER.*", "call.CHANNEL_DESTROY.*");
    let mut ask = async |bindings: &[&str]| {
        let data = json!({"account_id": account, "bindings": bindings});
        client.ask(&json!({"action": "subscribe", "data": data})).await
    };
    let most = "the socket has 2 subscriptions, which is the most that it may have";
    let reply = ask(&[CREATES, answers, destroys, "call.NOPE.*"]).await;
    assert_eq!((&reply["status"], &reply["data"]["subscribed"]), (&json!("success"), &json!([CREATES, answers])));
    let errors = json!(["call.NOPE.*: event NOPE not supported", format!("{destroys}: {most}")]);
    assert_eq!(reply["data"]["errors"], errors);
    let reply = ask(&[destroys]).await;
    assert_eq!((&reply["status"], &reply["data"]["errors"]), (&json!("error"), &json!([most])));
    // What is held already needs no room.
    assert_eq!(ask(&[CREATES, destroys]).await["status"], "success");
    assert_eq!(app.metric("hookswitch_websocket_subscribe_errors_total").await, 4.0);
}

#[actix_web::test]
async fn bindings_on_offer_are_listed_in_both_forms() {
    let app = TestApp::spawn().await;
    let open = app.send(Method::GET, "/v2/websockets", "", "").await;
    assert_eq!(open.status, 200);
    assert_eq!(open.data("call")[0], json!({"binding": CREATES, "event": "CHANNEL_CREATE"}));
    let details = app.send(Method::GET, "/v2/websockets?listing=details", "", "").await;
    assert_eq!(details.data("call")[0], "call.CHANNEL_CREATE.{CALL_ID}");
    for module in ["call", "conference", "fax", "object", "presence", "notifications"] {
        assert!(open.data(module).is_array() && details.data(module).is_array(), "{module}");
    }
}
