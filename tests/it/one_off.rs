//! Hooks that callflows carry in their own events: delivered to their URI, though nobody registered them.
//!
//! Every server on a broker takes these, so that they go to the server's queue directly, or over a private broker.

use hookswitch::config::Config;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::bus::Bus;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};
use crate::support::kazoo::{event, samples};
use crate::support::rabbit::Rabbit;

const CALLFLOW: &str = "webhooks_callflow";

async fn bus(configure: impl FnOnce(&mut Config)) -> Bus {
    Bus::with(|config| {
        config.webhooks.retry_base_ms = 100;
        configure(config);
    })
    .await
}

/// A callflow's event with a hook for that URI.
fn one_off(account: AccountId, uri: &str) -> Value {
    let mut event = event(CALLFLOW, account);
    event["Hook"]["uri"] = uri.into();
    event
}

async fn counted(bus: &Bus, result: &str) -> f64 {
    bus.app.metric(&format!("hookswitch_events_total{{exchange=\"other\",result=\"{result}\"}}")).await
}

#[actix_web::test]
async fn one_off_hook_gets_its_data_and_registered_ones_the_notification() {
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |_| ()).await;
    let (server, registered) = (HookServer::start(), HookServer::start());
    let account = bus.app.create_account("mine", None).await;
    let event = one_off(account, &server.url("/callflow"));
    bus.publish(&event).await;
    let request = server.expect_delivery().await;
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/callflow"));
    assert_eq!(request.header("x-account-id"), Some(account.to_string().as_str()));
    let sample = &samples(CALLFLOW, account)[0];
    let fields = request.form();
    for (key, value) in sample.as_object().unwrap().iter().filter(|(_, value)| value.is_string()) {
        assert!(fields.contains(&(key.clone(), value.as_str().unwrap().to_owned())), "{key}: {fields:?}");
    }
    assert!(fields.contains(&("custom_kvs[menu_choice]".into(), "2".into())));
    assert!(fields.contains(&("step".into(), "greeting".into())), "custom data of the hook");

    // The older id, and the name that it stands for.
    for hook in [json!({"hook": "callflow"}), json!({"hook": "notifications", "custom_data": {"type": "webhook"}})] {
        let fields = crate::support::kazoo::with(hook, json!({"uri": registered.url("/"), "format": "json"}));
        bus.app.put_hook(account, &fields).await;
    }
    let again = crate::support::kazoo::with(event, json!({ "Msg-ID": "again" }));
    bus.publish(&again).await;
    for request in registered.eventually_received(2).await {
        let payload = request.json();
        assert_eq!(payload["event_name"], "webhook");
        assert_eq!(payload["hook"]["uri"], server.url("/callflow"));
    }
    let second = server.eventually_received(2).await.swap_remove(1);
    assert_eq!(second.header("x-hook-id"), request.header("x-hook-id"), "one identity for equal hooks");
    assert_ne!(second.header("x-event-id"), request.header("x-event-id"));
}

#[actix_web::test]
async fn one_off_hook_is_retried_as_often_as_it_says() {
    let mut bus = bus(|_| ()).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    server.answer_in_turn([Answer::status(500), Answer::manner(Manner::Close), Answer::status(200)]);
    bus.publish_here(&one_off(account, &server.url("/"))).await;
    bus.app.eventually_ended("delivered", 1.0).await;
    let received = server.take();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.header("x-event-id") == received[0].header("x-event-id")));

    server.answer_with(500);
    let mut event = one_off(account, &server.url("/given-up"));
    event["Hook"]["retries"] = json!("1");
    bus.publish_here(&event).await;
    bus.app.eventually_ended("given_up", 1.0).await;
    assert_eq!(server.received().len(), 2);
    let idle = async || bus.app.get("/v2/actors").await.body["data"]["webhooks"] == json!([]);
    eventually("no actor of a one-off hook", idle).await;
}

#[actix_web::test]
async fn one_off_hook_is_guarded_and_must_be_valid() {
    let mut bus = bus(|config| config.webhooks.allow_hosts.clear()).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let uris = [server.url("/"), "http://10.0.0.1/".to_owned(), "http://localhost/".to_owned()];
    for uri in &uris {
        bus.publish_here(&one_off(account, uri)).await;
    }
    bus.app.eventually_ended("refused", 3.0).await;
    assert_eq!((server.received().len(), counted(&bus, "routed").await), (0, 3.0));

    let mut without_uri = one_off(account, "");
    without_uri["Hook"].as_object_mut().unwrap().remove("uri");
    for event in [without_uri, one_off(account, "ftp://example.com/"), one_off(account, "no uri at all")] {
        bus.publish_here(&event).await;
    }
    eventually("all of them counted", async || counted(&bus, "bad_one_off").await == 3.0).await;
    assert_eq!(server.received().len(), 0);
}

#[actix_web::test]
async fn retry_of_a_one_off_hook_survives_a_restart() {
    let mut bus = bus(|config| config.webhooks.retry_base_ms = 3_000).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    server.answer_in_turn([Answer::status(500)]);
    bus.publish_here(&one_off(account, &server.url("/"))).await;
    let first = server.expect_delivery().await;
    eventually("a delivery on disk", async || bus.app.metric("hookswitch_deliveries_pending").await == 1.0).await;
    bus.app.restart().await;
    let second = server.expect_delivery().await;
    assert!(second.repeats(&first));
}

#[actix_web::test]
async fn one_off_hooks_beyond_the_limit_wait_for_their_turn() {
    let mut bus = bus(|config| config.webhooks.one_off_max = 1).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    server.answer_with(Answer::status(200).delayed(std::time::Duration::from_millis(300)));
    for path in ["/1", "/2", "/3"] {
        bus.publish_here(&one_off(account, &server.url(path))).await;
    }
    let received = server.eventually_received(3).await;
    let targets: Vec<_> = received.iter().map(|request| request.target.as_str()).collect();
    assert_eq!((targets, server.concurrent_requests_peak()), (vec!["/1", "/2", "/3"], 1));
}
