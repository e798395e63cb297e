//! Sockets: one whose session panics is closed, and nobody else notices; and all of them outlive the Registry.

use std::net::SocketAddr;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::bridge::Bridge;
use crate::support::eventually;
use crate::support::sse_client::SseClient;
use crate::support::ws_client::WsClient;

const CREATES: &str = "call.CHANNEL_CREATE.*";

struct Sockets {
    bridge: Bridge,
    account: String,
    port: SocketAddr,
}

impl Sockets {
    /// Without a broker.
    async fn start(plan: &str) -> Self {
        let bridge = Bridge::start(&[("faults", plan)]).await;
        let account = bridge.create_account("sockets").await;
        let port = bridge.server.expect_log("listening websockets=").await.parse().unwrap();
        Self { bridge, account, port }
    }

    /// A socket that is subscribed to new calls.
    async fn subscribed(&self, resume: bool) -> WsClient {
        let mut client = WsClient::connect(self.port).await;
        let data = json!({ "account_id": self.account, "binding": CREATES, "resume": resume });
        let request = json!({ "action": "subscribe", "auth_token": self.bridge.token(), "data": data });
        let reply = client.ask(&request).await;
        assert_eq!(reply["status"], "success", "{reply}");
        client
    }

    /// A stream of events, on the API's port.
    async fn stream(&self, binding: &str) -> SseClient {
        let api: SocketAddr = self.bridge.server.url("").await.strip_prefix("http://").unwrap().parse().unwrap();
        let path = format!("/v2/accounts/{}/events?binding={binding}", self.account);
        SseClient::try_open(api, &path, &[("X-Auth-Token", self.bridge.token())]).await.unwrap()
    }

    async fn post(&self, call: &str) -> Option<Vec<String>> {
        let vars = json!({ "Account-ID": self.account });
        let event = json!({ "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": call,
            "Msg-ID": call, "Custom-Channel-Vars": vars });
        self.bridge.post_events(&self.account, &[&event]).await
    }
}

async fn expect_call(client: &mut WsClient, call: &str) -> Value {
    let frame = client.next().await;
    assert_eq!(frame["data"]["call_id"], call, "{frame}");
    frame
}

#[actix_web::test]
async fn session_that_panics_closes_its_socket_and_no_other() {
    let sockets = Sockets::start("session.request marker:boom").await;
    let (mut calm, mut doomed) = (sockets.subscribed(false).await, sockets.subscribed(false).await);
    for _ in 0..5 {
        doomed.send(&json!({ "action": "ping", "request_id": "boom" })).await;
        assert_eq!(doomed.expect_close().await, 1011);
        doomed = sockets.subscribed(false).await;
    }
    assert!(sockets.post("after").await.is_some());
    for client in [&mut calm, &mut doomed] {
        expect_call(client, "after").await;
    }
    assert_eq!(sockets.bridge.metric("hookswitch_websocket_ends_total{reason=\"panicked\"}").await, 5);
    eventually("two sockets", async || sockets.bridge.metric("hookswitch_websockets").await == 2).await;
    let actors = sockets.bridge.call(Method::GET, "/v2/actors", &Value::Null).await;
    let all = &actors["all_websockets"];
    assert_eq!((&all["panics"], &all["count"], &all["mailbox_depth"]), (&json!(5), &json!(2), &json!(0)), "{all}");
    assert!(all["handled"].as_u64().unwrap() >= 4, "two replies and two events: {all}");
}

#[actix_web::test]
async fn session_that_panics_ends_its_stream_and_no_other() {
    let sockets = Sockets::start("session.request marker:boom").await;
    let mut calm = sockets.stream(CREATES).await;
    calm.expect("subscribed").await;
    sockets.stream("call.CHANNEL_CREATE.boom").await.expect_close(1011).await;
    assert!(sockets.post("after").await.is_some());
    assert_eq!(calm.expect("message").await.data()["data"]["call_id"], "after");
    assert_eq!(sockets.bridge.metric("hookswitch_websocket_ends_total{reason=\"panicked\"}").await, 1);
}

#[actix_web::test]
async fn streams_outlive_the_registry_and_are_told() {
    let sockets = Sockets::start("registry.route marker:boom").await;
    let mut stream = sockets.stream(CREATES).await;
    stream.expect("subscribed").await;
    assert!(sockets.post("boom").await.is_none());
    let gap = stream.expect("gap").await;
    assert_eq!(gap.data()["data"]["reason"], "registry_restart");
    assert!(sockets.post("after").await.is_some());
    let event = stream.expect("message").await;
    let epoch = gap.data()["data"]["epoch"].as_str().unwrap().to_owned();
    assert_eq!((event.data()["data"]["call_id"].clone(), event.id), ("after".into(), Some(format!("{epoch}:1"))));
}

#[actix_web::test]
async fn sockets_outlive_the_registry_and_those_that_follow_are_told() {
    let sockets = Sockets::start("registry.route marker:boom").await;
    let (mut plain, mut following) = (sockets.subscribed(false).await, sockets.subscribed(true).await);
    assert!(sockets.post("before").await.is_some());
    expect_call(&mut plain, "before").await;
    let epoch = expect_call(&mut following, "before").await["epoch"].clone();

    assert!(sockets.post("boom").await.is_none());
    let gap = following.next().await;
    assert_eq!((&gap["action"], &gap["data"]["reason"]), (&json!("gap"), &json!("registry_restart")), "{gap}");
    assert_eq!((&gap["data"]["bindings"], &gap["data"]["offset"]), (&json!([CREATES]), &json!(0)));
    assert_ne!(gap["data"]["epoch"], epoch);
    // It has made itself known again by the time that it answers.
    let pong = plain.ask(&json!({ "action": "ping" })).await;
    assert_eq!(pong["data"]["response"], "pong", "{pong}");
    assert!(sockets.post("after").await.is_some());
    let frame = expect_call(&mut following, "after").await;
    assert_eq!((&frame["epoch"], &frame["offset"]), (&gap["data"]["epoch"], &json!(1)));
    expect_call(&mut plain, "after").await;
}
