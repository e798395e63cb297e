//! Endpoints that misbehave, and what becomes of the deliveries to them.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use hookswitch::config::Config;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::dns::name_server;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};
use crate::support::kazoo::{event, with};

async fn quick_app(configure: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.webhooks.retry_base_ms = 50;
        config.webhooks.request_timeout_ms = 500;
        config.webhooks.connect_timeout_ms = 500;
        config.webhooks.ack_hold_ms = 50;
        config.webhooks.disable_disabler = true;
        configure(config);
    })
    .await
}

fn call(account: AccountId, id: &str) -> Value {
    with(event("webhooks_channel_create", account), json!({ "Call-ID": id, "Msg-ID": id }))
}

/// A hook of a new account for that URI, with other fields as given.
async fn put_hook(app: &TestApp, uri: &str, fields: Value) -> (AccountId, String) {
    let account = app.create_account("mine", None).await;
    let hook = with(json!({ "hook": "channel_create", "uri": uri, "format": "json" }), fields);
    let hook = app.put_hook(account, &hook).await;
    (account, hook)
}

#[actix_web::test]
async fn what_goes_wrong_is_named_and_tried_again() {
    let app = quick_app(|_| ()).await;
    let drip = Duration::from_millis(100);
    for (answer, status, error) in [
        (Answer::manner(Manner::Hang), None, "no complete answer within 500 ms"),
        (Answer::manner(Manner::DripHead(drip)), None, "no complete answer within 500 ms"),
        (Answer::manner(Manner::DripBody(drip)).body("0123456789"), Some("200"), "no complete answer within 500 ms"),
        (Answer::manner(Manner::Close), None, "closed before an answer"),
        (Answer::manner(Manner::Reset), None, "lost"),
        (Answer::status(500), Some("500"), ""),
        (Answer::status(404), Some("404"), ""),
        (Answer::status(204), Some("204"), ""),
        (Answer::status(201), Some("201"), ""),
    ] {
        let server = HookServer::start();
        let manner = format!("{answer:?}");
        server.answer_in_turn([answer]);
        let (account, hook) = put_hook(&app, &server.url("/"), json!({})).await;
        app.publish(account, &[call(account, "one")]).await;
        let received = server.eventually_received(2).await;
        assert!(received[1].repeats(&received[0]), "{manner}");
        eventually("a delivery", async || app.actor(&hook).await["last_result"] == "delivered").await;
        let attempts = app.eventually_attempts(account, &hook, 1).await;
        assert_eq!(attempts.len(), 1, "{manner}");
        let attempt = &attempts[0];
        assert_eq!(attempt["resp_status_code"].as_str(), status, "{manner}");
        if error.is_empty() {
            assert_eq!((&attempt["reason"], attempt.get("client_error")), (&json!("bad response code"), None));
        } else {
            assert_eq!(attempt["reason"], "kazoo http client error");
            let found = attempt["client_error"].as_str().unwrap();
            assert!(found.contains(error), "{manner}: {found}");
        }
        app.eventually_pending(&hook, 0).await;
    }
}

#[actix_web::test]
async fn hooks_of_one_host_share_its_connections_and_hold_up_no_other_host() {
    let app = quick_app(|config| config.webhooks.connections_per_host_max = 2).await;
    let (slow, other) = (HookServer::start(), HookServer::start());
    slow.answer_with(Answer::manner(Manner::Hang));
    let mut hooks = Vec::new();
    for path in ["/a", "/b", "/c", "/d"] {
        hooks.push(put_hook(&app, &slow.url(path), json!({})).await);
    }
    let (account, _) = put_hook(&app, &other.url("/"), json!({})).await;
    for (account, _) in &hooks {
        app.publish(*account, &[call(*account, "one"), call(*account, "two")]).await;
    }
    app.publish(account, &[call(account, "one")]).await;
    other.expect_delivery().await;
    slow.eventually_received(2).await;
    slow.answer_with(Answer::status(200));
    for (_, hook) in &hooks {
        eventually("a delivery", async || app.actor(hook).await["last_result"] == "delivered").await;
        app.eventually_pending(hook, 0).await;
    }
    assert_eq!(slow.concurrent_requests_peak(), 2);
}

#[actix_web::test]
async fn endpoint_that_refuses_connections_gets_the_event_when_it_is_back() {
    let app = quick_app(|_| ()).await;
    let server = HookServer::start();
    let (account, hook) = put_hook(&app, &server.url("/"), json!({ "retries": 4 })).await;
    server.go_down().await;
    app.publish(account, &[call(account, "one")]).await;
    let attempts = app.eventually_attempts(account, &hook, 1).await;
    let error = attempts.last().unwrap()["client_error"].as_str().unwrap();
    assert!(error.starts_with("cannot connect: ") && error.contains("refused"), "{error}");
    server.come_back().await;
    assert_eq!(server.expect_delivery().await.json()["call_id"], "one");
    app.eventually_pending(&hook, 0).await;
}

#[actix_web::test]
async fn redirect_is_a_failure_and_never_followed() {
    let app = quick_app(|_| ()).await;
    let (server, elsewhere) = (HookServer::start(), HookServer::start());
    let statuses = [301, 302, 303, 307, 308];
    server.answer_in_turn(statuses.map(|status| Answer::status(status).header("location", &elsewhere.url("/"))));
    let (account, hook) = put_hook(&app, &server.url("/"), json!({ "retries": 4 })).await;
    app.publish(account, &[call(account, "one")]).await;
    let attempts = app.eventually_attempts(account, &hook, statuses.len()).await;
    let found: Vec<_> = attempts.iter().rev().map(|attempt| attempt["resp_status_code"].as_str().unwrap()).collect();
    assert_eq!(found, ["301", "302", "303", "307", "308"]);
    assert_eq!((server.received().len(), elsewhere.received().len()), (5, 0));
    assert_eq!(app.ended("given_up").await, 1.0);
}

/// How long after the first request the second came, when the first was answered so.
async fn gap_after(answer: impl FnOnce() -> Answer + Send + 'static) -> Duration {
    let app = quick_app(|_| ()).await;
    let server = HookServer::start();
    let mut first = Some(answer);
    server.answer_by(move |_| first.take().map_or(Answer::status(200), |answer| answer()));
    let (account, _) = put_hook(&app, &server.url("/"), json!({})).await;
    app.publish(account, &[call(account, "late")]).await;
    let first = server.expect_delivery().await;
    // Others do not wait for it.
    app.publish(account, &[call(account, "other")]).await;
    assert_eq!(server.expect_delivery().await.json()["call_id"], "other");
    let second = server.expect_delivery().await;
    assert!(second.repeats(&first));
    second.at - first.at
}

#[actix_web::test]
async fn retry_comes_not_before_the_endpoint_asks_for_it() {
    let gap = gap_after(|| Answer::status(429).header("retry-after", "3")).await;
    assert!(gap >= Duration::from_secs(3), "{gap:?}");
    // A date has whole seconds: what is left of the last one is cut off.
    let in_four_seconds = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4));
    let gap = gap_after(move || Answer::status(503).header("retry-after", &in_four_seconds())).await;
    assert!(gap >= Duration::from_secs(3), "{gap:?}");
}

#[actix_web::test]
async fn longest_wait_that_an_endpoint_can_ask_for_is_limited() {
    let app = quick_app(|config| config.webhooks.retry_after_max_ms = 100).await;
    let server = HookServer::start();
    server.answer_in_turn([Answer::status(429).header("retry-after", "86400")]);
    let (account, _) = put_hook(&app, &server.url("/"), json!({})).await;
    app.publish(account, &[call(account, "one")]).await;
    server.eventually_received(2).await;
}

#[actix_web::test]
async fn gibibyte_of_an_answer_is_cut_off_and_costs_no_memory() {
    let mut app = TestApp::spawn().await;
    let server = HookServer::start();
    let (account, hook) = put_hook(&app, &server.url("/"), json!({})).await;
    app.stop().await;
    let process = app.serve_by_process(&[("webhooks.log_successful_attempts", "true")]).await;
    let before = process.memory_peak_bytes();
    for (number, manner) in [Manner::GibibyteDeclared, Manner::GibibyteChunked].into_iter().enumerate() {
        server.answer_with(Answer::manner(manner));
        app.publish(account, &[call(account, &format!("{manner:?}"))]).await;
        let attempts = app.eventually_attempts(account, &hook, number + 1).await;
        assert_eq!((&attempts[0]["result"], &attempts[0]["resp_status_code"]), (&json!("success"), &json!("200")));
        assert!(attempts[0]["resp_body"].as_str().unwrap().len() <= 16 << 10);
        eventually("no connection", async || server.open_connections() == 0).await;
    }
    let grown = process.memory_peak_bytes() - before;
    assert!(grown < 64 << 20, "{grown} bytes");
    assert_eq!(app.ended("delivered").await, 2.0);
}

#[actix_web::test]
async fn name_that_leads_inside_is_refused_at_delivery_and_not_retried() {
    const INSIDE: [Ipv4Addr; 2] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 1)];
    let dns = name_server(&INSIDE);
    let app = quick_app(|config| {
        config.webhooks.dns_servers = vec![dns.clone()];
        config.webhooks.allow_hosts = vec!["known.example".to_owned()];
    })
    .await;
    let server = HookServer::start();
    let port = server.url("").rsplit_once(':').unwrap().1.to_owned();
    // Nothing is looked up when a hook is made.
    let (account, hook) = put_hook(&app, &format!("http://inside.example:{port}/"), json!({ "retries": 4 })).await;
    app.publish(account, &[call(account, "one")]).await;
    app.eventually_ended("refused", 1.0).await;
    let attempts = app.eventually_attempts(account, &hook, 1).await;
    let error = attempts[0]["client_error"].as_str().unwrap();
    assert!(error.contains("127.0.0.1") && error.contains("loopback"), "{error}");
    assert_eq!(attempts[0]["retries_left"], "retries exceeded");
    assert_eq!(app.actor(&hook).await["last_result"], "refused");
    assert_eq!((attempts.len(), server.received().len()), (1, 0));
    assert_eq!(app.dead_letters(account, &hook).await, Vec::<Value>::new());

    // The operator lets one name through, wherever it leads.
    let (account, _) = put_hook(&app, &format!("http://known.example:{port}/"), json!({})).await;
    app.publish(account, &[call(account, "two")]).await;
    assert_eq!(server.expect_delivery().await.header("host"), Some(format!("known.example:{port}").as_str()));
}

#[actix_web::test]
async fn success_is_what_hook_and_system_say() {
    let plain = quick_app(|_| ()).await;
    let wide = quick_app(|config| config.webhooks.success_codes = "204".to_owned()).await;
    for (app, fields, status, delivered) in [
        (&plain, json!({}), 200, true),
        (&plain, json!({}), 201, false),
        (&plain, json!({ "http_verb": "put" }), 201, true),
        (&plain, json!({ "http_verb": "get" }), 201, false),
        (&plain, json!({}), 204, false),
        (&plain, json!({ "success_codes": "2xx" }), 204, true),
        (&plain, json!({ "success_codes": "200,202" }), 204, false),
        (&plain, json!({ "success_codes": "202,302" }), 302, true),
        (&wide, json!({}), 204, true),
        (&wide, json!({}), 202, false),
        (&wide, json!({ "success_codes": "202" }), 202, true),
        (&wide, json!({ "success_codes": "202" }), 204, true),
    ] {
        let server = HookServer::start();
        server.answer_with(status);
        let (account, hook) = put_hook(app, &server.url("/"), with(fields.clone(), json!({ "retries": 0 }))).await;
        app.publish(account, &[call(account, "one")]).await;
        let expected = if delivered { "delivered" } else { "failed" };
        eventually("a result", async || app.actor(&hook).await["last_result"].is_string()).await;
        assert_eq!(app.actor(&hook).await["last_result"], expected, "{fields} {status}");
        assert_eq!(server.received().len(), 1);
    }
}
