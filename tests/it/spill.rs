//! Deliveries go to the store and come back from it all the time: each arrives, and while nothing breaks, once.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::calls::{CallEvent, call_events, calls_of};
use crate::support::endpoint::Endpoint;
use crate::support::eventually;
use crate::support::hook_server::Answer;

async fn publish(app: &TestApp, account: AccountId, events: &[CallEvent]) {
    let payloads: Vec<Value> = events.iter().map(|event| event.payload.clone()).collect();
    app.publish(account, &payloads).await;
}

/// A new hook gets a burst of events, in lists of that size that are posted at once.
async fn check_each_arrives_once(app: &TestApp, endpoint: &Endpoint, events: usize, list: usize) {
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &json!({ "uri": endpoint.url(), "format": "json" })).await;
    let events = call_events(&account.to_string(), events);
    join_all(events.chunks(list).map(|list| publish(app, account, list))).await;
    endpoint.expect_delivered(&calls_of(&events)).await;
    assert_eq!(endpoint.repeats(&HashSet::new()), 0);
    eventually("nothing in flight", async || app.actor(&hook).await["in_flight"] == 0).await;
    assert_eq!(app.hook(account, &hook).await["enabled"], true);
    eventually("nothing pending", async || app.actor(&hook).await["pending"] == 0).await;
}

#[actix_web::test]
async fn deliveries_that_are_written_down_while_others_are_read_go_out_once() {
    let app = TestApp::with(|config| {
        config.webhooks.ack_hold_ms = 50;
        config.webhooks.window_max = 64;
        config.webhooks.concurrency_max = 32;
    })
    .await;
    let endpoint = Endpoint::start("endpoint");
    endpoint.answer_with(Answer::status(200).delayed(Duration::from_millis(60)));
    for _ in 0..20 {
        check_each_arrives_once(&app, &endpoint, 100, 20).await;
    }
}

#[actix_web::test]
async fn burst_beyond_every_window_goes_out_once() {
    let app = TestApp::with(|config| {
        config.webhooks.window_max = 2;
        config.webhooks.concurrency_max = 2;
    })
    .await;
    let endpoint = Endpoint::start("endpoint");
    for _ in 0..5 {
        check_each_arrives_once(&app, &endpoint, 500, 10).await;
    }
}
