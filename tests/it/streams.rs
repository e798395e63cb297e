//! What clients of Server-Sent Events see: the same as those of sockets.

use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::bus::Bus;
use crate::support::eventually;
use crate::support::kazoo::event;
use crate::support::raw_socket::RawSocket;
use crate::support::sse_client::SseClient;
use crate::support::ws_client::WsClient;

const CREATES: &str = "call.CHANNEL_CREATE.*";

fn path(account: AccountId, bindings: &[&str]) -> String {
    let bindings: Vec<String> = bindings.iter().map(|binding| format!("binding={binding}")).collect();
    format!("/v2/accounts/{account}/events?{}", bindings.join("&"))
}

/// A stream of the account's new calls, which has just begun.
async fn listening(app: &TestApp, account: AccountId) -> SseClient {
    listening_after(app, account, "").await
}

/// By HTTP 1.0, with further lines of the request's head; the answer's head, and what follows it.
async fn listening_as_of_old(app: &TestApp, account: AccountId, lines: &str) -> (String, RawSocket) {
    let mut client = RawSocket::connect(app.address).await;
    let target = format!("{}&auth_token={}", path(account, &[CREATES]), app.token_for(account));
    client.write(format!("GET {target} HTTP/1.0\r\n{lines}\r\n").as_bytes()).await;
    (client.read_head().await, client)
}

async fn listening_after(app: &TestApp, account: AccountId, last_event_id: &str) -> SseClient {
    let token = app.token_for(account);
    let mut headers = vec![("X-Auth-Token", token.as_str())];
    headers.extend(Some(("Last-Event-ID", last_event_id)).filter(|(_, id)| !id.is_empty()));
    SseClient::try_open(app.address, &path(account, &[CREATES]), &headers).await.unwrap()
}

/// The status and the envelope of one that is not opened.
async fn refused(app: &TestApp, token: &str, path: &str) -> (u16, Value) {
    let headers = [("X-Auth-Token", token)];
    let headers = if token.is_empty() { &[][..] } else { &headers };
    let (status, text) = SseClient::try_open(app.address, path, headers).await.err().expect("a refusal");
    (status, serde_json::from_str(&text).unwrap())
}

/// A new call of the account.
fn call(account: AccountId, call_id: &str) -> Value {
    let mut event = event("webhooks_channel_create", account);
    event["Call-ID"] = call_id.into();
    event["Msg-ID"] = format!("msg-{call_id}").into();
    event
}

async fn expect_open(app: &TestApp, count: u32) {
    let what = format!("{count} open sockets");
    eventually(&what, async || app.metric("hookswitch_websockets").await == f64::from(count)).await;
}

async fn expect_ended(app: &TestApp, reason: &str) {
    let name = format!("hookswitch_websocket_ends_total{{reason=\"{reason}\"}}");
    eventually(&name, async || app.metric(&name).await == 1.0).await;
}

#[actix_web::test]
async fn a_stream_carries_the_frames_of_a_socket() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let token = bus.app.token_for(account);
    let destroys = "call.CHANNEL_DESTROY.*";
    let mut stream = SseClient::try_open(
        bus.app.address,
        &format!("{}&auth_token={token}", path(account, &[CREATES, destroys])),
        &[("Origin", "https://ui.example.com")],
    )
    .await
    .unwrap();
    let header = |name: &str| stream.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("no-cache"));
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("*"));
    assert!(header("x-request-id").is_some() && header("content-encoding").is_none());

    let subscribed = stream.expect("subscribed").await;
    let data = subscribed.data()["data"].clone();
    assert_eq!((&data["subscribed"], &data["offset"]), (&json!([CREATES, destroys]), &json!(0)));
    assert_eq!(data["recovered"], false);
    assert_eq!(subscribed.id, Some(format!("{}:0", data["epoch"].as_str().unwrap())));
    assert_eq!(stream.retry_ms, Some(3_000));

    let mut socket = WsClient::connect(bus.app.socket_address).await;
    let request = json!({"action": "subscribe", "auth_token": token,
        "data": {"account_id": account, "bindings": [CREATES, destroys], "resume": true}});
    assert_eq!(socket.ask(&request).await["status"], "success");
    for (offset, call_id) in [(1, "1"), (2, "line\nbreak \u{2028} and \"quotes\""), (3, "3")] {
        // It was bound when the stream said so: the test fails when no queue got it.
        bus.publish(&call(account, call_id)).await;
        let event = stream.expect("message").await;
        assert_eq!(event.text, socket.next_text().await);
        assert_eq!(event.data()["data"]["call_id"], call_id);
        assert_eq!(event.id, Some(format!("{}:{offset}", data["epoch"].as_str().unwrap())));
    }
    expect_open(&bus.app, 2).await;
    drop(stream);
    socket.close().await;
    expect_open(&bus.app, 0).await;
}

#[actix_web::test]
async fn who_comes_back_in_time_misses_nothing() {
    let app = TestApp::with(|config| config.websockets.history_events_max = 3).await;
    let account = app.create_account("own", None).await;
    let mut stream = listening(&app, account).await;
    let epoch = stream.expect("subscribed").await.data()["data"]["epoch"].as_str().unwrap().to_owned();
    app.publish(account, &[call(account, "1")]).await;
    stream.expect("message").await;
    let seen = stream.last_event_id.clone();
    assert_eq!(seen, format!("{epoch}:1"));
    drop(stream);

    app.publish(account, &[call(account, "2"), call(account, "3")]).await;
    let by_query = format!("{}&last_event_id={seen}&auth_token={}", path(account, &[CREATES]), app.token_for(account));
    let by_query = SseClient::try_open(app.address, &by_query, &[]).await.unwrap();
    let mut streams = [listening_after(&app, account, &seen).await, by_query];
    for stream in &mut streams {
        let subscribed = stream.expect("subscribed").await;
        // Whoever loses the connection now is still where it was.
        assert_eq!((subscribed.data()["data"]["recovered"].clone(), subscribed.id), (true.into(), None));
    }
    app.publish(account, &[call(account, "4")]).await;
    for stream in &mut streams {
        for offset in 2..=4 {
            let event = stream.expect("message").await;
            assert_eq!(event.data()["data"]["call_id"], offset.to_string());
            assert_eq!(event.id, Some(format!("{epoch}:{offset}")));
        }
    }

    // Three are kept, and four came; nor are positions known that are of another epoch, or none at all.
    for unknown in [format!("{epoch}:0"), "another:3".into(), "nonsense".into()] {
        let mut late = listening_after(&app, account, &unknown).await;
        assert_eq!(late.expect("subscribed").await.data()["data"]["recovered"], false, "{unknown}");
        let gap = late.expect("gap").await;
        let expected = json!({"action": "gap", "data": {"reason": "not_kept", "account_id": account,
            "bindings": [CREATES], "epoch": epoch, "offset": 4}});
        assert_eq!((gap.data(), gap.id), (expected, Some(format!("{epoch}:4"))));
    }
}

#[actix_web::test]
async fn client_of_http_1_0_gets_no_chunks() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let (head, mut old) = listening_as_of_old(&app, account, "").await;
    assert!(head.starts_with("HTTP/1.0 200 ") && !head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    assert_eq!(old.read_to(b"\n\n").await, "retry: 3000\n\n");
}

#[actix_web::test]
async fn position_that_cannot_be_read_leads_to_a_gap() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let (_, mut client) = listening_as_of_old(&app, account, "Last-Event-ID: caf\u{e9}\r\n").await;
    for part in ["retry: 3000\n", "event: subscribed\n", "event: gap\n"] {
        let event = client.read_to(b"\n\n").await;
        assert!(event.contains(part), "{event}");
    }
}

#[actix_web::test]
async fn accounts_are_never_mixed() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let own = app.create_account("own", Some(parent)).await;
    let sibling = app.create_account("sibling", Some(parent)).await;
    let (mut of_own, mut of_sibling) = (listening(&app, own).await, listening(&app, sibling).await);
    let by_parent = format!("{}&auth_token={}", path(own, &[CREATES]), app.token_for(parent));
    let mut above = SseClient::try_open(app.address, &by_parent, &[]).await.unwrap();
    for stream in [&mut of_own, &mut of_sibling, &mut above] {
        stream.expect("subscribed").await;
    }
    app.publish(own, &[call(own, "own")]).await;
    app.publish(sibling, &[call(sibling, "sibling")]).await;
    app.publish(own, &[call(own, "own again")]).await;
    assert_eq!(of_sibling.next().await.data()["data"]["call_id"], "sibling");
    for stream in [&mut of_own, &mut above] {
        for call_id in ["own", "own again"] {
            assert_eq!(stream.next().await.data()["data"]["call_id"], call_id);
        }
    }

    let (token, own_path) = (app.token_for(own), path(own, &[CREATES]));
    assert_eq!(refused(&app, &token, &path(sibling, &[CREATES])).await.0, 403);
    assert_eq!(refused(&app, &token, &path(parent, &[CREATES])).await.0, 403);
    assert_eq!(refused(&app, &token, &own_path.replace(&own.to_string(), "*")).await.0, 403);
    assert_eq!(refused(&app, "", &own_path).await.0, 401);
    assert_eq!(refused(&app, "nonsense", &own_path).await.0, 401);
}

#[actix_web::test]
async fn bindings_are_refused_in_the_words_of_a_socket() {
    let app = TestApp::with(|config| config.websockets.max_subscriptions = 2).await;
    let account = app.create_account("own", None).await;
    let token = app.token_for(account);
    for none in [format!("/v2/accounts/{account}/events"), path(account, &[""])] {
        let (status, envelope) = refused(&app, &token, &none).await;
        assert_eq!((status, envelope["data"]["binding"]["required"].is_object()), (400, true), "{envelope}");
    }
    let (status, envelope) = refused(&app, &token, &path(account, &["call.NOPE.*"])).await;
    assert_eq!(status, 400);
    assert_eq!(envelope["data"]["binding"]["invalid"]["message"], "event NOPE not supported");
    let three = path(account, &[CREATES, "call.CHANNEL_ANSWER.*", "fax.status.*"]);
    let (status, envelope) = refused(&app, &token, &three).await;
    assert_eq!((status, envelope["data"]["binding"]["maxItems"]["target"].as_u64()), (400, Some(2)));

    let some = path(account, &[CREATES, CREATES, "call.NOPE.*"]);
    let mut stream = SseClient::try_open(app.address, &some, &[("X-Auth-Token", &token)]).await.unwrap();
    let data = stream.expect("subscribed").await.data()["data"].clone();
    assert_eq!(data["subscribed"], json!([CREATES]));
    assert_eq!(data["errors"], json!(["call.NOPE.*: event NOPE not supported"]));

    // Publishing on the same path is as it was, and a HEAD opens nothing.
    app.publish(account, &[call(account, "c")]).await;
    assert_eq!(stream.next().await.data()["data"]["call_id"], "c");
    let head = app.call_as(&token, Method::HEAD, &path(account, &[CREATES]), None).await;
    assert_eq!((head.status, head.header("content-type"), head.text.as_str()), (200, "text/event-stream", ""));
    expect_open(&app, 1).await;
}

#[actix_web::test]
async fn limits_of_sockets_hold_for_streams() {
    let limits: [fn(&mut hookswitch::config::Websockets); 3] = [
        |config| config.max_connections_per_ip = 1,
        |config| config.connections_max = 1,
        |config| config.max_connections_per_account = 1,
    ];
    for limit in limits {
        let app = TestApp::with(|config| limit(&mut config.websockets)).await;
        let account = app.create_account("own", None).await;
        let mut stream = listening(&app, account).await;
        stream.expect("subscribed").await;
        let (status, envelope) = refused(&app, &app.token_for(account), &path(account, &[CREATES])).await;
        assert_eq!((status, &envelope["message"]), (429, &json!("too_many_requests")));
        assert_eq!(app.metric("hookswitch_websocket_refusals_total{reason=\"too_many\"}").await, 1.0);
        assert_eq!(app.metric("hookswitch_websocket_accounts{sockets=\"1\"}").await, 1.0);
        // A client that goes says nothing, and its place is free all the same.
        drop(stream);
        expect_open(&app, 0).await;
        expect_ended(&app, "by_peer").await;
        listening(&app, account).await.expect("subscribed").await;
    }
}

#[actix_web::test]
async fn reader_that_stops_is_cut_off_and_the_others_lose_nothing() {
    let app = TestApp::with(|config| config.websockets.write_timeout_ms = 500).await;
    let account = app.create_account("own", None).await;
    let mut reader = listening(&app, account).await;
    reader.expect("subscribed").await;
    let mut stalled = RawSocket::connect(app.address).await;
    let (path, token) = (path(account, &[CREATES]), app.token_for(account));
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\n\r\n", app.address);
    stalled.write(request.as_bytes()).await;
    assert!(stalled.read_head().await.starts_with("HTTP/1.1 200 "));
    expect_open(&app, 2).await;
    let mut large = call(account, "large");
    large["Filler"] = "x".repeat(100_000).into();
    for _ in 0..20 {
        app.publish(account, &[large.clone()]).await;
        assert_eq!(reader.next().await.data()["data"]["call_id"], "large");
    }
    expect_open(&app, 1).await;
    assert!(stalled.expect_end().await < 1_000_000);
}

#[actix_web::test]
async fn silence_is_broken_by_comments_and_ends_no_stream() {
    let app = TestApp::with(|config| {
        (config.websockets.ping_interval_ms, config.websockets.pong_timeout_ms) = (40, 40);
        (config.http.keep_alive_ms, config.http.head_timeout_ms) = (20, 2_000);
    })
    .await;
    let account = app.create_account("own", None).await;
    let mut stream = listening(&app, account).await;
    stream.expect("subscribed").await;
    // For longer than a connection without a request is kept.
    for _ in 0..60 {
        stream.expect_comment().await;
    }
    app.publish(account, &[call(account, "c")]).await;
    assert_eq!(stream.next().await.data()["data"]["call_id"], "c");
}

#[actix_web::test]
async fn a_stream_ends_with_its_token() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let token = app.short_token_for(account, Duration::from_secs(1));
    let headers = [("X-Auth-Token", token.as_str())];
    let mut stream = SseClient::try_open(app.address, &path(account, &[CREATES]), &headers).await.unwrap();
    stream.expect("subscribed").await;
    stream.expect_close(4001).await;
    // A browser comes back by itself, and stays away after this.
    assert_eq!(refused(&app, &token, &path(account, &[CREATES])).await.0, 401);
    expect_open(&app, 0).await;
}

#[actix_web::test]
async fn a_stream_ends_with_the_rights_to_it() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let mut stream = listening(&app, account).await;
    stream.expect("subscribed").await;
    let document = Some(json!({"data": {"enabled": false}}));
    assert_eq!(app.call(Method::PATCH, &format!("/v2/accounts/{account}"), document).await.status, 200);
    stream.expect_close(4501).await;

    // One that hears of an account below, which is deleted.
    let parent = app.create_account("parent", None).await;
    let child = app.create_account("child", Some(parent)).await;
    let by_parent = format!("{}&auth_token={}", path(child, &[CREATES]), app.token_for(parent));
    let mut above = SseClient::try_open(app.address, &by_parent, &[]).await.unwrap();
    above.expect("subscribed").await;
    assert_eq!(app.call(Method::DELETE, &format!("/v2/accounts/{child}"), None).await.status, 200);
    above.expect_close(4007).await;
}

#[actix_web::test]
async fn streams_are_listed_among_the_sockets_and_closed_on_request() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let token = app.token_for(account);
    let mut stream = listening(&app, account).await;
    stream.expect("subscribed").await;
    let list = format!("/v2/accounts/{account}/websockets?listing=details");
    let mut details = Value::Null;
    eventually("a listed stream", async || {
        details = app.call_as(&token, Method::GET, &list, None).await.body["data"][0].clone();
        details["bindings"] == json!([CREATES])
    })
    .await;
    let id = details["websocket_session_id"].as_str().unwrap();
    let actors = app.get("/v2/actors").await;
    assert_eq!(actors.data("websockets")[0]["id"], id);
    let one = format!("/v2/accounts/{account}/websockets/{id}");
    assert_eq!(app.call_as(&token, Method::DELETE, &one, None).await.status, 200);
    stream.expect_close(4500).await;
    expect_ended(&app, "dismissed").await;
}

#[actix_web::test]
async fn streams_are_closed_at_the_end_of_the_server() {
    let mut app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = listening(&app, account).await;
        stream.expect("subscribed").await;
        streams.push(stream);
    }
    let reading = async {
        for stream in &mut streams {
            stream.expect_close(1001).await;
        }
    };
    futures_util::join!(app.stop(), reading);
}

#[actix_web::test]
async fn a_lost_broker_is_told_as_a_gap() {
    let rabbit = crate::support::rabbit::Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |_| {}).await;
    let account = bus.app.create_account("own", None).await;
    let mut stream = listening(&bus.app, account).await;
    stream.expect("subscribed").await;
    bus.publish(&call(account, "before")).await;
    stream.expect("message").await;
    let before = stream.last_event_id.clone();
    rabbit.restart().await;
    let gap = stream.expect("gap").await;
    let data = gap.data()["data"].clone();
    assert_eq!((&data["reason"], &data["offset"]), (&json!("amqp_reconnect"), &json!(0)));
    assert_ne!(stream.last_event_id.split(':').next(), before.split(':').next());
    assert_eq!(gap.id, Some(format!("{}:0", data["epoch"].as_str().unwrap())));
}
