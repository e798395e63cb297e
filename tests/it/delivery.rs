//! From an event to a receiver: what arrives, how often, and what becomes of it when the receiver fails.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};

fn call_event(call: &str) -> Value {
    json!({
        "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Msg-ID": call, "Call-ID": call,
        "Call-Direction": "inbound", "Caller-ID-Number": "+15550100", "Timestamp": 63_930_000_000_u64,
    })
}

/// Retries within a test's time.
async fn quick_app() -> TestApp {
    TestApp::with(|config| {
        config.webhooks.retry_base_ms = 100;
        config.webhooks.request_timeout_ms = 1_000;
        config.webhooks.ack_hold_ms = 200;
    })
    .await
}

#[actix_web::test]
async fn failed_delivery_is_retried_with_the_same_event_id_until_it_succeeds() {
    let app = quick_app().await;
    let account = app.create_account("mine", None).await;
    let server = HookServer::start();
    server.answer_in_turn([Answer::status(500), Answer::status(302), Answer::status(200)]);
    let hook = app.put_hook(account, &json!({"uri": server.url("/hook"), "retries": 3})).await;
    app.publish(account, &[call_event("c1")]).await;
    let received = server.eventually_received(3).await;
    let ids: Vec<&str> = received.iter().map(|request| request.header("x-event-id").unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(received[0].header("x-hook-id"), Some(hook.as_str()));
    eventually("nothing is pending", async || app.actor(&hook).await["pending"] == 0).await;
    let attempts = app.get(&format!("/v2/accounts/{account}/webhooks/{hook}/attempts")).await;
    let attempts = attempts.body["data"].as_array().unwrap().clone();
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["resp_status_code"]).collect();
    assert_eq!(statuses, ["302", "500"], "newest first; successful ones are not logged");
    assert_eq!(attempts[0]["reason"], "bad response code");
    assert_eq!(attempts[1]["retries_left"], 2);
}

#[actix_web::test]
async fn hanging_receiver_times_out_and_the_event_is_safe_before_that() {
    let app = quick_app().await;
    let account = app.create_account("mine", None).await;
    let server = HookServer::start();
    server.answer_in_turn([Answer::manner(Manner::Hang), Answer::status(200)]);
    let hook = app.put_hook(account, &json!({"uri": server.url("/")})).await;
    app.publish(account, &[call_event("c1")]).await;
    assert_eq!(app.actor(&hook).await["pending"], 1, "on disk once it was held for long enough");
    server.eventually_received(2).await;
    eventually("nothing is pending", async || app.actor(&hook).await["pending"] == 0).await;
}
