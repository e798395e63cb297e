//! Every kind of hook over a real broker: what Kazoo publishes arrives as the catalogue's samples say, in each verb and
//! format.

use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::bus::Bus;
use crate::support::hook_server::{HookServer, Received};
use crate::support::kazoo::{event, events, hook_for, sample_ids, samples};

const CLUSTER_ID: &str = "00112233445566778899aabbccddeeff";

async fn bus() -> Bus {
    Bus::with(|config| config.node.cluster_id = CLUSTER_ID.to_owned()).await
}

/// What a hook with this custom data is sent, for a sample of the catalogue.
fn finished(sample: &Value, custom_data: &Value) -> Value {
    let mut payload = sample.clone();
    for (key, value) in custom_data.as_object().unwrap() {
        if key != "type" && key != "action" {
            payload[key] = value.clone();
        }
    }
    payload["cluster_id"] = CLUSTER_ID.into();
    payload
}

/// The pairs of a payload in the form encoding, decoded.
fn pairs(payload: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in payload.as_object().unwrap() {
        add_pairs(key.clone(), value, &mut found);
    }
    found.sort();
    found
}

fn add_pairs(name: String, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                add_pairs(format!("{name}[{key}]"), value, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = if item.is_object() { index.to_string() } else { String::new() };
                add_pairs(format!("{name}[{place}]"), item, found);
            }
        }
        Value::String(text) => found.push((name, text.clone())),
        other => found.push((name, other.to_string())),
    }
}

fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.sort();
    pairs
}

fn sent_to<'a>(path: &str, received: &'a [Received]) -> Vec<&'a Received> {
    received.iter().filter(|request| request.target.split('?').next() == Some(path)).collect()
}

/// The same payloads in any order: deliveries of one hook overtake each other.
#[track_caller]
fn check_payloads(id: &str, mut found: Vec<Value>, expected: &[Value]) {
    for payload in expected {
        let place = found.iter().position(|other| other == payload);
        let place = place.unwrap_or_else(|| panic!("{id}: {payload} did not arrive, but {found:?}"));
        found.swap_remove(place);
    }
    assert!(found.is_empty(), "{id}: also arrived {found:?}");
}

#[track_caller]
fn check_headers(request: &Received, hook: &str, account: AccountId) {
    assert_eq!(request.header("x-hook-id"), Some(hook));
    assert_eq!(request.header("x-account-id"), Some(account.to_string().as_str()));
    let event_id = request.header("x-event-id").unwrap();
    assert!(event_id.len() == 32 && event_id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{event_id}");
    let user_agent = format!("hookswitch/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(user_agent.as_str()));
}

/// Publishes the events of a sample for hooks of their own kind, in both formats, and for one that takes everything.
async fn check_kind(bus: &mut Bus, server: &HookServer, id: &str, account: AccountId) {
    let mut hook = hook_for(id);
    hook["custom_data"]["group"] = "night & day".into();
    let formats =
        [("/form", hook.clone(), "form-data"), ("/json", hook, "json"), ("/all", json!({"hook": "all"}), "json")];
    let mut ids = Vec::new();
    for (path, mut hook, format) in formats {
        hook["uri"] = server.url(path).into();
        hook["format"] = format.into();
        ids.push((path, bus.app.put_hook(account, &hook).await, hook["custom_data"].clone()));
    }
    let events = events(id, account);
    for event in &events {
        bus.publish(event).await;
    }
    let received = server.eventually_received(ids.len() * events.len()).await;
    let samples = samples(id, account);
    for (path, hook, custom_data) in ids {
        let custom_data = if custom_data.is_null() { json!({}) } else { custom_data };
        let expected: Vec<Value> = samples.iter().map(|sample| finished(sample, &custom_data)).collect();
        let requests = sent_to(path, &received);
        requests.iter().for_each(|request| check_headers(request, &hook, account));
        if path == "/form" {
            let mut found: Vec<_> = requests.iter().map(|request| sorted(request.form())).collect();
            let mut expected: Vec<_> = expected.iter().map(pairs).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{id}");
        } else {
            check_payloads(id, requests.iter().map(|request| request.json()).collect(), &expected);
        }
        bus.app.delete_hook(account, &hook).await;
    }
    server.take();
}

#[actix_web::test]
async fn event_of_every_kind_arrives_as_its_sample_says() {
    let mut bus = bus().await;
    let server = HookServer::start();
    // One-off hooks go by themselves, and two names are for administrators: both have tests of their own.
    let others = ["webhooks_callflow", "webhooks_notifications_webhook"];
    let for_administrators = ["webhooks_notifications_system_alert", "webhooks_notifications_webhook_disabled"];
    let mut kinds = 0;
    for id in sample_ids() {
        if !others.contains(&id.as_str()) && !for_administrators.contains(&id.as_str()) {
            let account = bus.app.create_account(&id, None).await;
            check_kind(&mut bus, &server, &id, account).await;
            kinds += 1;
        }
    }
    assert_eq!(kinds, 44);
    for id in for_administrators {
        let account = bus.app.system_account;
        check_kind(&mut bus, &server, id, account).await;
    }
}

#[actix_web::test]
async fn each_verb_sends_each_format() {
    let mut bus = bus().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let custom_data = json!({ "type": "not sent", "action": "neither", "tag": "a b&c=d/ü", "call_id": "mine" });
    let mut hooks = Vec::new();
    for verb in ["get", "post", "put"] {
        for format in ["form-data", "json"] {
            let path = format!("/{verb}-{format}");
            let uri = server.url(&format!("{path}?kept=1"));
            let hook = json!({"hook": "channel_bridge", "uri": uri, "http_verb": verb, "format": format,
                "custom_data": custom_data});
            hooks.push((verb, format, path, bus.app.put_hook(account, &hook).await));
        }
    }
    bus.publish(&event("webhooks_channel_bridge", account)).await;
    let received = server.eventually_received(hooks.len()).await;
    let sample = finished(&samples("webhooks_channel_bridge", account)[0], &custom_data);
    assert_eq!(sample["call_id"], "mine", "custom data wins over the event's own fields");
    for (verb, format, path, hook) in hooks {
        let request = sent_to(&path, &received)[0];
        check_headers(request, &hook, account);
        assert_eq!(request.method.to_lowercase(), verb);
        assert_eq!(request.header("x-event-id"), received[0].header("x-event-id"));
        let kept = ("kept".to_owned(), "1".to_owned());
        let mut query = request.query();
        assert_eq!(query.remove(0), kept);
        match (verb, format) {
            ("get", _) => {
                assert_eq!((sorted(query), request.body.len()), (pairs(&sample), 0));
                assert_eq!(request.header("content-type"), None);
            }
            (_, "json") => {
                assert_eq!((request.json(), query.len()), (sample.clone(), 0));
                assert_eq!(request.header("content-type"), Some("application/json"));
            }
            _ => {
                assert_eq!((sorted(request.form()), query.len()), (pairs(&sample), 0));
                assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
            }
        }
        let encoded =
            if verb == "get" { request.target.clone() } else { String::from_utf8_lossy(&request.body).into() };
        if format == "form-data" || verb == "get" {
            let reseller = sample["custom_channel_vars"]["Reseller-ID"].as_str().unwrap();
            assert!(encoded.contains(&format!("custom_channel_vars[Reseller-ID]={reseller}")), "{encoded}");
            assert!(encoded.contains("tag=a+b%26c%3Dd%2F%C3%BC"), "{encoded}");
        }
    }
}

#[actix_web::test]
async fn cluster_id_is_made_once_and_kept() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    bus.app.put_hook(account, &json!({"hook": "sms", "uri": server.url("/"), "format": "json"})).await;
    bus.publish(&event("webhooks_sms", account)).await;
    let first = server.expect_delivery().await.json();
    bus.app.restart().await;
    bus.app.await_ready().await;
    bus.publish(&event("webhooks_sms", account)).await;
    let second = server.expect_delivery().await.json();
    let made = first["cluster_id"].as_str().unwrap();
    assert!(made.len() == 32 && made.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{made}");
    assert_eq!(second, first);
}
