//! Live calls, and commands on them, over a real broker.

use actix_web::http::Method;
use hookswitch::ids::{AccountId, EventId};
use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::bus::{Bus, use_queue};
use crate::support::eventually;
use crate::support::kazoo::{event, with, without};
use crate::support::rabbit::{Rabbit, shared_broker_uri};
use crate::support::ws_client::WsClient;

struct Switch {
    bus: Bus,
    account: AccountId,
    /// Gets every command.
    channel: Channel,
    queue: String,
}

impl Switch {
    async fn start() -> Self {
        Self::with(Bus::with(|config| config.channels.track = true).await).await
    }

    async fn with(bus: Bus) -> Self {
        let account = bus.app.create_account("mine", None).await;
        let channel = bus.publisher.open_channel().await;
        let queue = format!("it-commands-{}", EventId::random());
        let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
        channel.queue_declare(queue.as_str().into(), exclusive, FieldTable::default()).await.unwrap();
        let (exchange, options) = ("metaflow".into(), QueueBindOptions::default());
        channel.queue_bind(queue.as_str().into(), exchange, "#".into(), options, FieldTable::default()).await.unwrap();
        Self { bus, account, channel, queue }
    }

    fn path(&self, call: &str) -> String {
        path(self.account, call)
    }

    /// Publishes an event of the catalogue for that call.
    async fn publish(&mut self, id: &str, call: &str, fields: Value) {
        let of_call = json!({ "Call-ID": call, "Msg-ID": EventId::random() });
        self.bus.publish(&with(with(event(id, self.account), of_call), fields)).await;
    }

    async fn eventually(&self, call: &str, field: &str, value: Value) {
        eventually(&format!("{field} of the call"), async || {
            self.bus.app.get(&self.path(call)).await.body["data"][field] == value
        })
        .await;
    }

    /// A call of the account that the server knows.
    async fn call(&mut self) -> String {
        let call = format!("{}@10.0.0.1", EventId::random());
        self.publish("webhooks_channel_create", &call, json!({})).await;
        self.eventually(&call, "call_id", json!(call)).await;
        call
    }

    async fn bridged_call(&mut self) -> String {
        let call = self.call().await;
        self.publish("webhooks_channel_bridge", &call, json!({})).await;
        self.eventually(&call, "bridged", json!(true)).await;
        call
    }

    async fn send(&self, method: Method, call: &str, body: Value) -> Answer {
        self.bus.app.call(method, &self.path(call), Some(body)).await
    }

    /// The command that reached the bus for that call, with its routing key.
    async fn command(&self, call: &str) -> (String, Value) {
        let mut found = None;
        eventually("a command", async || {
            let options = BasicGetOptions { no_ack: true };
            while let Some(message) = self.channel.basic_get(self.queue.as_str().into(), options).await.unwrap() {
                let body: Value = serde_json::from_slice(&message.delivery.data).unwrap();
                // Other tests send commands, too.
                if body["Call-ID"] == call {
                    found = Some((message.delivery.routing_key.as_str().to_owned(), body));
                }
            }
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

fn path(account: AccountId, call: &str) -> String {
    format!("/v2/accounts/{account}/channels/{}", call.replace('@', "%40"))
}

#[track_caller]
fn check_unknown(answer: &Answer, call: &str) {
    assert_eq!((answer.status, &answer.body["message"]), (404, &json!("bad_identifier")), "{}", answer.body);
    assert_eq!(*answer.data("cause"), call);
}

#[track_caller]
fn check_invalid(answer: &Answer, field: &str, rule: &str) {
    assert_eq!((answer.status, &answer.body["message"]), (400, &json!("validation error")), "{}", answer.body);
    assert!(answer.body["data"][field][rule]["message"].is_string(), "{field} {rule}: {}", answer.body);
}

#[actix_web::test]
async fn live_calls_are_listed_from_their_first_event_to_their_end() {
    let mut switch = Switch::start().await;
    let call = switch.call().await;
    let shown = switch.bus.app.get(&switch.path(&call)).await.body["data"].clone();
    assert_eq!((&shown["uuid"], &shown["answered"], &shown["bridged"]), (&json!(call), &json!(false), &json!(false)));
    assert_eq!((&shown["is_onhold"], &shown["other_leg"]), (&json!(false), &Value::Null));
    let created = event("webhooks_channel_create", switch.account);
    assert_eq!(
        (&shown["from"], &shown["to"], &shown["direction"]),
        (&created["From"], &created["To"], &created["Call-Direction"])
    );
    assert_eq!(shown["owner_id"], created["Custom-Channel-Vars"]["Owner-ID"]);

    switch.publish("webhooks_channel_answer", &call, json!({})).await;
    switch.eventually(&call, "answered", json!(true)).await;
    // Later events need not name the account.
    let bare = without(event("hold", switch.account), &["Custom-Channel-Vars"]);
    switch.bus.publish(&with(bare, json!({ "Call-ID": call, "Msg-ID": EventId::random() }))).await;
    switch.eventually(&call, "is_onhold", json!(true)).await;
    switch.publish("unhold", &call, json!({})).await;
    switch.eventually(&call, "is_onhold", json!(false)).await;

    let second = switch.call().await;
    let list = switch.bus.app.get(&format!("/v2/accounts/{}/channels", switch.account)).await;
    let mut listed: Vec<_> = list.body["data"].as_array().unwrap().iter().map(|call| call["uuid"].clone()).collect();
    listed.sort_by_key(Value::to_string);
    let mut expected = vec![json!(call), json!(second)];
    expected.sort_by_key(Value::to_string);
    assert_eq!(listed, expected);
    let filtered = format!("/v2/accounts/{}/channels?filter_answered=true", switch.account);
    assert_eq!(switch.bus.app.get(&filtered).await.body["data"][0]["uuid"], call);

    switch.publish("webhooks_channel_destroy", &call, json!({})).await;
    eventually("its end", async || switch.bus.app.get(&switch.path(&call)).await.status == 404).await;
    check_unknown(&switch.bus.app.get(&switch.path(&call)).await, &call);
    switch.publish("webhooks_channel_destroy", &second, json!({ "Event-Name": "CHANNEL_DISCONNECTED" })).await;
    eventually("its end", async || switch.bus.app.get(&switch.path(&second)).await.status == 404).await;
}

#[actix_web::test]
async fn commands_reach_the_bus_as_kazoo_sends_them() {
    let mut switch = Switch::start().await;
    let flow = json!({ "module": "hangup", "data": {}, "children": { "1": { "module": "say" } } });
    for body in
        [json!({ "data": { "action": "metaflow", "data": flow } }), json!({ "action": "metaflow", "data": flow })]
    {
        let call = switch.call().await;
        let answer = switch.send(Method::PUT, &call, body).await;
        assert_eq!((answer.status, &answer.body["data"]), (202, &json!("metaflow sent")), "{}", answer.body);
        let (key, mut message) = switch.command(&call).await;
        assert_eq!(key, format!("metaflow.flow.{}%4010%2E0%2E0%2E1", call.split_once('@').unwrap().0));
        assert!(message["Msg-ID"].take().is_string());
        assert_eq!(
            message,
            json!({
                "App-Name": "hookswitch",
                "App-Version": env!("CARGO_PKG_VERSION"),
                "Event-Category": "metaflow",
                "Event-Name": "flow",
                "Msg-ID": null,
                "Node": "hookswitch@localhost",
                "Call-ID": call,
                "Flow": flow,
            })
        );
    }
    for (data, action, expected) in [
        (json!({ "action": "hangup" }), "hangup", json!({})),
        (json!({ "action": "break" }), "break", json!({})),
        (
            json!({ "action": "transfer", "target": "2600" }),
            "transfer",
            json!({ "target": "2600", "transfer-type": "blind" }),
        ),
        (
            json!({ "action": "callflow", "id": "c", "captures": "1", "collected": "2" }),
            "callflow",
            json!({ "id": "c", "captures": "1", "collected": "2" }),
        ),
        (
            json!({ "action": "intercept", "target_type": "user", "target_id": "u", "unbridged_only": true }),
            "intercept",
            json!({ "target_type": "user", "target_id": "u", "unbridged_only": true }),
        ),
    ] {
        let call = switch.bridged_call().await;
        let answer = switch.send(Method::POST, &call, json!({ "data": data })).await;
        assert_eq!(
            (answer.status, &answer.body["data"]),
            (202, &json!(format!("{action} initiated"))),
            "{}",
            answer.body
        );
        let (key, message) = switch.command(&call).await;
        assert_eq!(key, format!("metaflow.action.{}%4010%2E0%2E0%2E1.{action}", call.split_once('@').unwrap().0));
        assert_eq!((&message["Event-Category"], &message["Event-Name"]), (&json!("metaflow"), &json!("action")));
        assert_eq!((&message["Action"], &message["Data"]), (&json!(action), &expected));
    }
    let failures = switch.bus.app.metric("hookswitch_amqp_publish_failures_total").await;
    assert_eq!(failures, 0.0);
}

#[actix_web::test]
async fn faulty_commands_are_refused() {
    let mut switch = Switch::start().await;
    let call = switch.call().await;
    for (method, body, field, rule) in [
        (Method::PUT, json!({ "data": {} }), "action", "required"),
        (Method::PUT, json!({ "data": { "action": "hangup" } }), "action", "enum"),
        (Method::PUT, json!({ "data": { "action": "metaflow" } }), "data", "required"),
        (Method::PUT, json!({ "data": { "action": "metaflow", "data": {} } }), "module", "required"),
        (Method::PUT, json!({ "action": "metaflow", "data": { "module": 1 } }), "module", "type"),
        (Method::PUT, json!({ "action": "metaflow", "data": [] }), "data", "type"),
        (Method::POST, json!({ "data": {} }), "action", "required"),
        (Method::POST, json!({ "data": { "action": "explode" } }), "action", "enum"),
        (Method::POST, json!({ "data": { "action": "transfer" } }), "target", "required"),
        (Method::POST, json!({ "data": { "action": "transfer", "target": "1" } }), "other_leg_call_id", "required"),
        (Method::POST, json!({ "data": { "action": "transfer", "transfer-type": "x" } }), "transfer-type", "enum"),
        (Method::POST, json!({ "data": { "action": "transfer", "target": 1 } }), "target", "type"),
        (Method::POST, json!({ "data": { "action": "callflow" } }), "id", "required"),
        (Method::POST, json!({ "data": { "action": "intercept", "target_id": "x" } }), "target_type", "required"),
        (Method::POST, json!({ "data": { "action": "intercept", "target_type": "x" } }), "target_id", "required"),
        (
            Method::POST,
            json!({ "data": { "action": "intercept", "target_type": "x", "target_id": "y", "unbridged_only": 1 } }),
            "unbridged_only",
            "type",
        ),
    ] {
        check_invalid(&switch.send(method, &call, body).await, field, rule);
    }
    let answer = switch.bus.app.call(Method::PATCH, &switch.path(&call), Some(json!({ "data": {} }))).await;
    assert_eq!(answer.status, 405);
}

#[actix_web::test]
async fn nobody_commands_or_sees_the_call_of_somebody_else() {
    let mut switch = Switch::start().await;
    let call = switch.call().await;
    let sibling = switch.bus.app.create_account("sibling", None).await;
    let child = switch.bus.app.create_account("child", Some(switch.account)).await;
    let command = || Some(json!({ "data": { "action": "hangup" } }));
    let flow = || Some(json!({ "action": "metaflow", "data": { "module": "hangup" } }));
    for account in [sibling, child, switch.bus.app.system_account] {
        let token = switch.bus.app.token_for(account);
        for (method, body) in [(Method::GET, None), (Method::POST, command()), (Method::PUT, flow())] {
            check_unknown(
                &switch.bus.app.call_as(&token, method.clone(), &path(account, &call), body.clone()).await,
                &call,
            );
            if account != switch.bus.app.system_account {
                let answer = switch.bus.app.call_as(&token, method, &switch.path(&call), body).await;
                assert_eq!(answer.status, 403);
            }
        }
        let list = switch.bus.app.call_as(&token, Method::GET, &format!("/v2/accounts/{account}/channels"), None).await;
        assert_eq!(list.body["data"], json!([]));
    }
    // What an account posts about a call does not make it the account's to command.
    let posted = with(event("webhooks_channel_create", sibling), json!({ "Call-ID": call }));
    switch.bus.app.publish(sibling, &[posted]).await;
    assert_eq!(switch.bus.app.get(&path(sibling, &call)).await.status, 200);
    check_unknown(&switch.bus.app.call(Method::POST, &path(sibling, &call), command()).await, &call);
    let answer = switch.send(Method::POST, &call, command().unwrap()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    check_unknown(&switch.send(Method::POST, "never-seen", command().unwrap()).await, "never-seen");
}

#[actix_web::test]
async fn without_a_broker_calls_are_shown_and_commands_are_not_taken() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let posted = with(event("webhooks_channel_create", account), json!({ "Call-ID": "posted" }));
    app.publish(account, &[posted]).await;
    assert_eq!(app.get(&path(account, "posted")).await.data("uuid"), "posted");
    for call in ["posted", "unknown"] {
        let body = Some(json!({ "data": { "action": "hangup" } }));
        let answer = app.call(Method::POST, &path(account, call), body).await;
        assert_eq!((answer.status, &answer.body["message"]), (503, &json!("datastore_unreachable")));
        assert!(answer.text.contains("no broker is configured"), "{}", answer.text);
    }
    assert!(app.is_ready().await);
}

#[actix_web::test]
async fn command_that_the_broker_does_not_confirm_is_answered_503() {
    let rabbit = Rabbit::start().await;
    let bus = Bus::on(rabbit.uri(), |config| {
        config.channels.track = true;
        config.amqp.publish_timeout_ms = 300;
    })
    .await;
    let mut switch = Switch::with(bus).await;
    let call = switch.call().await;
    let hangup = || json!({ "data": { "action": "hangup" } });
    rabbit.pause().await;
    let frozen = switch.send(Method::POST, &call, hangup()).await;
    assert_eq!(frozen.status, 503, "{}", frozen.body);
    assert!(frozen.text.contains("did not confirm the command in time"), "{}", frozen.text);
    rabbit.resume().await;
    rabbit.stop().await;
    let away = switch.send(Method::POST, &call, hangup()).await;
    assert_eq!(away.status, 503, "{}", away.body);
    assert_eq!(switch.bus.app.metric("hookswitch_amqp_publish_failures_total").await, 2.0);
}

#[actix_web::test]
async fn trouble_with_the_queue_of_the_webhooks_does_not_touch_live_events() {
    let mut first = Bus::start().await;
    let uri = shared_broker_uri().await;
    let second = TestApp::with(|config| {
        use_queue(config, &uri, &first.queue);
        config.channels.track = true;
    })
    .await;
    eventually("the live queue alone", async || {
        second.get("/readyz").await.body["data"]["missing"] == json!(["broker"])
    })
    .await;
    let account = second.create_account("mine", None).await;
    let id = EventId::random().to_string();
    let call = with(event("webhooks_channel_create", account), json!({ "Call-ID": id, "Msg-ID": id }));
    first.publish(&call).await;
    let path = format!("/v2/accounts/{account}/channels/{id}");
    eventually("a known call", async || second.get(&path).await.status == 200).await;
    assert!(second.metric(r#"hookswitch_live_events_total{exchange="callevt",result="unwanted"}"#).await >= 1.0);
    assert_eq!(second.metric(r#"hookswitch_events_total{exchange="callevt",result="unwanted"}"#).await, 0.0);
    let actors = second.get("/v2/actors").await;
    let queues = actors.data("actors").as_array().unwrap().iter().filter_map(|actor| actor["queue"].as_str());
    assert_eq!(queues.collect::<Vec<_>>(), ["webhooks", "live"]);
    assert!(first.app.is_ready().await);
}

#[actix_web::test]
async fn a_socket_commands_the_calls_that_its_account_may() {
    let mut switch = Switch::start().await;
    let call = switch.call().await;
    let other = switch.bus.app.create_account("other", None).await;
    let token = switch.bus.app.token_for(switch.account);
    let mut client = WsClient::connect(switch.bus.app.socket_address).await;
    let mut ask = async |account: AccountId, call: &str, fields: Value| {
        let mut data = json!({ "account_id": account, "call_id": call });
        data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        client.ask(&json!({ "action": "command", "auth_token": token, "request_id": "r", "data": data })).await
    };

    let reply = ask(switch.account, &call, json!({ "module": "hangup", "data": {} })).await;
    assert_eq!((&reply["status"], &reply["request_id"]), (&json!("success"), &json!("r")), "{reply}");
    let (key, command) = switch.command(&call).await;
    assert!(key.starts_with("metaflow.flow."), "{key}");
    assert_eq!((&command["Flow"]["module"], &command["Call-ID"]), (&json!("hangup"), &json!(call)));
    let reply = ask(switch.account, &call, json!({ "action": "hangup" })).await;
    assert_eq!(reply["data"]["response"], "hangup initiated");

    for (account, call, fields, text) in [
        (switch.account, "unknown", json!({ "module": "hangup" }), "bad_identifier"),
        (other, call.as_str(), json!({ "module": "hangup" }), "unauthorized account id"),
        (switch.account, call.as_str(), json!({}), "validation error"),
    ] {
        let reply = ask(account, call, fields).await;
        assert_eq!(reply["status"], "error");
        assert!(reply["data"]["errors"][0].as_str().unwrap().starts_with(text), "{reply}");
    }
}

#[actix_web::test]
async fn a_socket_commands_nothing_without_a_broker() {
    let app = TestApp::spawn().await;
    let account = app.create_account("own", None).await;
    let mut client = WsClient::connect(app.socket_address).await;
    let data = json!({ "account_id": account, "call_id": "c", "module": "hangup" });
    let reply = client.ask(&json!({ "action": "command", "auth_token": app.token_for(account), "data": data })).await;
    assert_eq!(reply["data"]["errors"], json!(["no broker is configured"]));
}
