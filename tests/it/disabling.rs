//! Hooks that are disabled for failing or for being gone, what is held for them, and how they come back.

use hookswitch::config::Config;
use hookswitch::ids::{AccountId, HookId};
use hookswitch::store::{Store, StoreSettings, Write};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer};
use crate::support::kazoo::{event, with};

const TOO_MANY: &str = "too many failed attempts";
const GONE: &str = "endpoint is gone (410)";

async fn app(configure: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.webhooks.attempt_failure_count = 3;
        config.webhooks.retry_base_ms = 50;
        config.webhooks.ack_hold_ms = 50;
        configure(config);
    })
    .await
}

fn call(account: AccountId, id: &str) -> Value {
    with(event("webhooks_channel_create", account), json!({ "Call-ID": id, "Msg-ID": id }))
}

async fn put_hook(app: &TestApp, account: AccountId, server: &HookServer, fields: Value) -> String {
    let hook = json!({ "hook": "channel_create", "uri": server.url("/"), "format": "json", "retries": 0 });
    app.put_hook(account, &with(hook, fields)).await
}

/// One after the other, each sent once the one before has failed.
async fn fail(app: &TestApp, account: AccountId, hook: &str, ids: &[&str]) {
    let before = app.attempts(account, hook).await.len();
    for (index, id) in ids.iter().enumerate() {
        app.publish(account, &[call(account, id)]).await;
        app.eventually_attempts(account, hook, before + index + 1).await;
    }
}

#[actix_web::test]
async fn hook_that_fails_too_often_is_disabled_and_gets_nothing_until_it_is_enabled() {
    let app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    fail(&app, account, &hook, &["1", "2"]).await;
    assert_eq!(app.hook(account, &hook).await["enabled"], true);
    fail(&app, account, &hook, &["3"]).await;
    app.eventually_disabled(account, &hook, TOO_MANY).await;
    server.answer_with(200);
    app.publish(account, &[call(account, "not accepted")]).await;

    app.enable_hooks(account).await;
    let document = app.hook(account, &hook).await;
    assert_eq!((&document["enabled"], document.get("disable_reason")), (&json!(true), None));
    app.publish(account, &[call(account, "accepted")]).await;
    let received = server.eventually_received(4).await;
    assert_eq!(received[3].json()["call_id"], "accepted");
    // Enabling has cleared the count.
    server.answer_with(500);
    fail(&app, account, &hook, &["4", "5"]).await;
    assert_eq!(app.hook(account, &hook).await["enabled"], true);
    fail(&app, account, &hook, &["6"]).await;
    app.eventually_disabled(account, &hook, TOO_MANY).await;
    // By hand is as good as all at once.
    assert_eq!(app.patch_hook(account, &hook, &json!({ "enabled": true })).await.get("disable_reason"), None);
}

#[actix_web::test]
async fn account_may_have_numbers_of_its_own() {
    let app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let strict = app.create_account("strict", None).await;
    let patient = app.create_account("patient", None).await;
    let before = put_hook(&app, strict, &server, json!({})).await;
    app.put_limits(strict, &json!({ "attempt_failure_count": 1 })).await;
    app.put_limits(patient, &json!({ "attempt_failure_count": 100 })).await;
    let of_patient = put_hook(&app, patient, &server, json!({})).await;
    // Also a hook that was there before.
    fail(&app, strict, &before, &["1"]).await;
    app.eventually_disabled(strict, &before, TOO_MANY).await;
    fail(&app, patient, &of_patient, &["1", "2", "3", "4"]).await;
    assert_eq!(app.hook(patient, &of_patient).await["enabled"], true);

    // Failures that lie further back do not count.
    app.put_limits(strict, &json!({ "attempt_failure_count": 2, "attempt_failure_expiry_ms": 1 })).await;
    app.enable_hooks(strict).await;
    for id in ["2", "3", "4"] {
        fail(&app, strict, &before, &[id]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(app.hook(strict, &before).await["enabled"], true);
}

#[actix_web::test]
async fn disabler_can_be_turned_off_but_410_still_disables() {
    let app = app(|config| config.webhooks.disable_disabler = true).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    fail(&app, account, &hook, &["1", "2", "3", "4", "5"]).await;
    assert_eq!(app.hook(account, &hook).await["enabled"], true);
    server.answer_with(410);
    fail(&app, account, &hook, &["6"]).await;
    app.eventually_disabled(account, &hook, GONE).await;
}

#[actix_web::test]
async fn gone_endpoint_gets_what_was_held_when_its_hook_is_enabled() {
    let app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(410);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    app.publish(account, &[call(account, "held")]).await;
    app.eventually_disabled(account, &hook, GONE).await;
    app.eventually_pending(&hook, 1).await;
    assert_eq!(app.attempts(account, &hook).await[0]["resp_status_code"], "410");
    app.publish(account, &[call(account, "not accepted")]).await;
    server.answer_with(200);
    app.enable_hooks(account).await;
    let received = server.eventually_received(2).await;
    assert!(received[1].repeats(&received[0]));
    app.eventually_pending(&hook, 0).await;
    assert_eq!((server.received().len(), app.ended("delivered").await), (2, 1.0));
}

#[actix_web::test]
async fn enabling_all_enables_also_those_that_are_being_changed() {
    let app = app(|_| ()).await;
    let server = HookServer::start();
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    for round in 0..10 {
        server.answer_with(410);
        app.publish(account, &[call(account, &round.to_string())]).await;
        app.eventually_disabled(account, &hook, GONE).await;
        server.answer_with(200);
        let name = json!({ "name": format!("round {round}") });
        let change = app.patch_hook(account, &hook, &name);
        let (changed, ()) = tokio::join!(change, app.enable_hooks(account));
        let document = app.hook(account, &hook).await;
        assert_eq!((&changed["name"], &document["name"]), (&name["name"], &name["name"]));
        assert_eq!(document["enabled"], true, "in round {round}");
        app.eventually_pending(&hook, 0).await;
    }
}

#[actix_web::test]
async fn failures_count_on_after_a_restart() {
    let mut app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    fail(&app, account, &hook, &["1", "2"]).await;
    app.restart().await;
    assert_eq!(app.hook(account, &hook).await["enabled"], true);
    fail(&app, account, &hook, &["3"]).await;
    app.eventually_disabled(account, &hook, TOO_MANY).await;
}

#[actix_web::test]
async fn disabled_hook_stays_so_over_a_restart_and_what_is_held_goes_out_when_it_is_enabled() {
    let mut app = app(|_| ()).await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({ "retries": 4 })).await;
    let calls: Vec<Value> = (0..5).map(|id| call(account, &id.to_string())).collect();
    app.publish(account, &calls).await;
    app.eventually_disabled(account, &hook, TOO_MANY).await;
    app.eventually_pending(&hook, 5).await;
    app.restart().await;
    let document = app.hook(account, &hook).await;
    assert_eq!((&document["enabled"], &document["disable_reason"]), (&json!(false), &json!(TOO_MANY)));
    let before = server.take().len();
    assert!(before >= 3);
    server.answer_with(200);
    app.enable_hooks(account).await;
    let mut ids: Vec<Value> =
        server.eventually_received(5).await.iter().map(|request| request.json()["call_id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    app.eventually_pending(&hook, 0).await;
}

/// As if the hook had been disabled long ago: its record says so from now on. The server must have been stopped.
async fn disabled_since(app: &TestApp, hook: HookId, disabled_at_ms: u64) {
    let settings = StoreSettings {
        cache_bytes: 4 << 20,
        group_max: 16,
        flush_idle_ms: 10,
        queue_max: 100,
        journal_bytes_min: 1 << 20,
        journal_growth: 2,
        dead_max: 10,
        dead_hours: 1,
        attempts_max: 10,
        attempts_hours: 1,
    };
    let (store, loaded) = Store::open(app.data_dir(), settings).unwrap();
    let record = loaded.hooks.into_iter().find_map(|(id, record)| (id == hook).then_some(record)).unwrap();
    let mut record: Value = serde_json::from_slice(&record).unwrap();
    record["disabled_at_ms"] = disabled_at_ms.into();
    let record = record.to_string().into_bytes();
    store.commit(vec![Write::PutHook { id: hook, record }]).await.unwrap();
    store.close().await.unwrap();
}

#[actix_web::test]
async fn held_deliveries_expire_and_are_counted() {
    let mut app = app(|config| config.webhooks.hold_hours = 1).await;
    let server = HookServer::start();
    server.answer_with(410);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({})).await;
    app.publish(account, &[call(account, "held")]).await;
    app.eventually_disabled(account, &hook, GONE).await;
    app.eventually_pending(&hook, 1).await;
    app.stop().await;
    disabled_since(&app, hook.parse().unwrap(), 1_000).await;
    app.start_with(|_| ()).await;
    app.eventually_ended("expired", 1.0).await;
    app.eventually_pending(&hook, 0).await;
    server.answer_with(200);
    app.enable_hooks(account).await;
    app.publish(account, &[call(account, "later")]).await;
    let received = server.eventually_received(2).await;
    assert_eq!(received[1].json()["call_id"], "later");
}

#[actix_web::test]
async fn hook_with_too_much_waiting_is_disabled_and_loses_nothing() {
    let app = app(|config| {
        config.webhooks.pending_max = 10;
        config.webhooks.disable_disabler = true;
        config.webhooks.retry_base_ms = 60_000;
    })
    .await;
    let server = HookServer::start();
    server.answer_with(500);
    let account = app.create_account("mine", None).await;
    let hook = put_hook(&app, account, &server, json!({ "retries": 4 })).await;
    let calls: Vec<Value> = (0..10).map(|id| call(account, &id.to_string())).collect();
    app.publish(account, &calls).await;
    app.eventually_disabled(account, &hook, "too many pending deliveries").await;
    app.eventually_pending(&hook, 10).await;
    app.publish(account, &[call(account, "not accepted")]).await;
    assert_eq!(app.actor(&hook).await["pending"], 10);
    server.answer_with(Answer::status(200));
    assert_eq!(app.metric("hookswitch_hooks_disabled").await, 1.0);
    app.enable_hooks(account).await;
    eventually("an enabled hook", async || app.metric("hookswitch_hooks_disabled").await == 0.0).await;
}
