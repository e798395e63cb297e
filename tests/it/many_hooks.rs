//! Ten thousand hooks in one account.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hook_server::HookServer;
use crate::support::kazoo::event;

const HOOKS: usize = 10_000;

/// One in so many takes the event; each of those opens a connection of its own.
const MATCHING: usize = 25;

/// Many at once, over a few connections.
async fn create(app: &TestApp, account: AccountId, uri: &str) {
    let client = awc::Client::builder().timeout(Duration::from_secs(60)).finish();
    let url = format!("http://{}/v2/accounts/{account}/webhooks", app.address);
    let create = async |number: usize| {
        let hook = if number.is_multiple_of(MATCHING) { "sms" } else { "mms" };
        let body = json!({ "data": { "name": number.to_string(), "uri": uri, "hook": hook } });
        let request = client.put(&url).insert_header(("X-Auth-Token", &*app.admin_token));
        let mut response = request.send_body(body.to_string()).await.unwrap();
        assert_eq!(response.status().as_u16(), 201);
        response.body().await.unwrap();
    };
    futures_util::stream::iter(0..HOOKS).map(create).buffer_unordered(64).for_each(async |()| ()).await;
}

/// The names on all pages, with the page size at its most.
async fn names(app: &TestApp, account: AccountId) -> Vec<String> {
    let mut names = Vec::new();
    let mut query = String::new();
    loop {
        let page = app.get(&format!("/v2/accounts/{account}/webhooks?page_size=1000{query}")).await.body;
        names.extend(page["data"].as_array().unwrap().iter().map(|hook| hook["name"].as_str().unwrap().to_owned()));
        match page["next_start_key"].as_str() {
            Some(key) => query = format!("&start_key={key}"),
            None => return names,
        }
    }
}

#[actix_web::test]
async fn one_event_reaches_each_hook_that_takes_it_among_ten_thousand() {
    let mut app = TestApp::with(|config| config.webhooks.idle_ms = 500).await;
    let server = HookServer::start();
    let account = app.create_account("mine", None).await;
    create(&app, account, &server.url("/")).await;
    let names = names(&app, account).await;
    assert_eq!((names.len(), names.iter().collect::<HashSet<_>>().len()), (HOOKS, HOOKS));

    check_delivery(&app, &server, account, "before a restart").await;
    app.restart().await;
    assert_eq!(app.metric("hookswitch_hooks").await, HOOKS as f64);
    let actors = app.get("/v2/actors").await.body;
    let actors = actors["data"]["webhooks"].as_array().unwrap();
    let ids: HashSet<_> = actors.iter().map(|actor| actor["id"].as_str().unwrap()).collect();
    assert_eq!((actors.len(), ids.len()), (HOOKS, HOOKS), "an actor each");
    assert!(actors.iter().all(|actor| actor["alive"] == true && actor["restarts"] == 0));
    check_delivery(&app, &server, account, "after it").await;
}

async fn check_delivery(app: &TestApp, server: &HookServer, account: AccountId, msg_id: &str) {
    let mut sms = event("webhooks_sms", account);
    sms["Msg-ID"] = Value::from(msg_id);
    app.publish(account, &[sms]).await;
    server.eventually_received(HOOKS / MATCHING).await;
    app.eventually_ended("delivered", (HOOKS / MATCHING) as f64).await;
    eventually("connections closed when idle", async || server.open_connections() == 0).await;
    let received = server.take();
    let hooks: HashSet<_> = received.iter().map(|request| request.header("x-hook-id").unwrap()).collect();
    assert_eq!((received.len(), hooks.len()), (HOOKS / MATCHING, HOOKS / MATCHING), "each of them once");
}
