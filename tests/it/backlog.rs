//! Deliveries that wait on disk: more than memory holds, until a retry is due, given up, or deleted with their hook.

use std::collections::HashSet;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner, Received};
use crate::support::kazoo::{event, with};

async fn app(configure: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.webhooks.disable_disabler = true;
        config.webhooks.retry_base_ms = 50;
        config.webhooks.ack_hold_ms = 50;
        configure(config);
    })
    .await
}

fn call(account: AccountId, id: &str) -> Value {
    with(event("webhooks_channel_create", account), json!({ "Call-ID": id, "Msg-ID": id }))
}

fn calls(account: AccountId, count: usize) -> Vec<Value> {
    (0..count).map(|id| call(account, &id.to_string())).collect()
}

async fn put_hook(app: &TestApp, account: AccountId, server: &HookServer, fields: Value) -> String {
    let hook = json!({ "hook": "channel_create", "uri": server.url("/"), "format": "json" });
    app.put_hook(account, &with(hook, fields)).await
}

fn call_ids(received: &[Received]) -> HashSet<String> {
    received.iter().map(|request| request.json()["call_id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn what_memory_does_not_hold_goes_to_disk_and_arrives() {
    const EVENTS: usize = 2_000;
    let app = app(|config| {
        config.webhooks.window_max = 64;
        config.webhooks.concurrency_max = 32;
    })
    .await;
    let server = HookServer::start();
    server.answer_with(Answer::status(200).delayed(Duration::from_millis(50)));
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    for chunk in calls(account, EVENTS).chunks(1_000) {
        app.publish(account, chunk).await;
    }
    assert!(app.actor(&hook).await["pending"].as_u64().unwrap() > 0, "accepted before they were delivered");
    app.eventually_ended("delivered", EVENTS as f64).await;
    let received = server.received();
    assert_eq!((received.len(), call_ids(&received).len()), (EVENTS, EVENTS), "each of them once");
    app.eventually_pending(&hook, 0).await;
    assert!(server.concurrent_requests_peak() <= 32);
    assert_eq!(app.metric("hookswitch_deliveries_pending").await, 0.0);
}

#[actix_web::test]
async fn restart_neither_uses_up_a_retry_nor_brings_one_forward() {
    let mut app = app(|config| config.webhooks.retry_base_ms = 6_000).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({ "retries": 1 })).await;
    app.publish(account, &[call(account, "one")]).await;
    let first = server.expect_delivery().await;
    app.eventually_pending(&hook, 1).await;
    for _ in 0..3 {
        app.restart().await;
    }
    let second = server.expect_delivery().await;
    assert!(second.repeats(&first));
    // The wait before the first retry is at least half of the base.
    assert!(second.at - first.at >= Duration::from_secs(3), "{:?}", second.at - first.at);
    let mut dead = Vec::new();
    eventually("a dead letter", async || {
        dead = app.dead_letters(account, &hook).await;
        !dead.is_empty()
    })
    .await;
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(2)));
    assert_eq!(server.received().len(), 2);
}

#[actix_web::test]
async fn retries_of_many_events_are_spread() {
    let app = app(|config| config.webhooks.retry_base_ms = 1_000).await;
    let server = HookServer::start();
    server.answer_in_turn(std::iter::repeat_n(Answer::status(503), 40));
    let account = app.create_account("mine", None).await;
    put_hook(&app, account, &server, json!({})).await;
    app.publish(account, &calls(account, 40)).await;
    let received = server.eventually_received(80).await;
    let retries = &received[40..];
    let spread = retries[39].at - retries[0].at;
    // Between half of the base and all of it, at random: 40 of them within a tenth is out of the question.
    assert!(spread >= Duration::from_millis(100), "{spread:?}");
}

#[actix_web::test]
async fn given_up_events_are_kept_and_sent_again_on_request() {
    let mut app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({ "retries": 1 })).await;
    app.publish(account, &calls(account, 3)).await;
    app.eventually_ended("given_up", 3.0).await;
    assert_eq!(server.take().len(), 6);
    app.eventually_pending(&hook, 0).await;
    app.restart().await;
    let dead = app.dead_letters(account, &hook).await;
    assert_eq!(dead.len(), 3);
    for letter in &dead {
        assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("bad response code: 500"), &json!(2)));
        assert_eq!(letter["account_id"], account.to_string());
    }
    server.answer_with(200);
    assert_eq!(app.resend_dead(account, &hook).await, 3);
    let received = server.eventually_received(3).await;
    assert_eq!(call_ids(&received).len(), 3);
    let sent: HashSet<_> = received.iter().map(|request| request.header("x-event-id").unwrap()).collect();
    let kept: HashSet<_> = dead.iter().map(|letter| letter["event_id"].as_str().unwrap()).collect();
    assert_eq!(sent, kept);
    app.eventually_pending(&hook, 0).await;
    assert_eq!(app.dead_letters(account, &hook).await, Vec::<Value>::new());
}

#[actix_web::test]
async fn sent_again_an_event_has_all_its_retries() {
    let app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({ "retries": 2 })).await;
    app.publish(account, &calls(account, 1)).await;
    app.eventually_ended("given_up", 1.0).await;
    assert_eq!(app.resend_dead(account, &hook).await, 1);
    app.eventually_ended("given_up", 2.0).await;
    assert_eq!(server.received().len(), 6);
    assert_eq!(app.dead_letters(account, &hook).await.len(), 1);
}

#[actix_web::test]
async fn deleted_hook_takes_what_is_pending_along() {
    let mut app = app(|config| config.webhooks.concurrency_max = 2).await;
    let server = HookServer::start();
    server.answer_with(Answer::manner(Manner::Hang));
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    let kept = put_hook(&app, account, &server, json!({})).await;
    app.publish(account, &calls(account, 10)).await;
    app.eventually_pending(&hook, 10).await;
    app.eventually_pending(&kept, 10).await;
    app.delete_hook(account, &hook).await;
    app.eventually_ended("discarded", 10.0).await;
    assert_eq!(app.metric("hookswitch_deliveries_pending").await, 10.0);
    server.answer_with(200);
    app.restart().await;
    // Nothing of it is left on disk.
    app.eventually_pending(&kept, 0).await;
    assert_eq!((app.ended("delivered").await, app.ended("discarded").await), (10.0, 0.0));
    assert_eq!(app.metric("hookswitch_deliveries_pending").await, 0.0);
}

#[actix_web::test]
async fn pending_delivery_goes_where_the_hook_says_at_the_time() {
    let app = app(|config| config.webhooks.retry_base_ms = 4_000).await;
    let (old, new) = (HookServer::start(), HookServer::start());
    old.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &old, json!({})).await;
    app.publish(account, &calls(account, 1)).await;
    old.expect_delivery().await;
    app.eventually_pending(&hook, 1).await;
    app.patch_hook(account, &hook, &json!({ "uri": new.url("/new"), "http_verb": "put" })).await;
    let request = new.expect_delivery().await;
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/new"));
    assert_eq!(old.received().len(), 1);
}
