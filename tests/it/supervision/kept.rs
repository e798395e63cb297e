//! What a panic must not take along: what was stored, held, known, counted.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::scene::Scene;
use crate::support::calls::{CallEvent, calls_of};
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};
use crate::support::kazoo;

#[actix_web::test]
async fn whose_call_it_is_survives_a_panic_of_the_registry() {
    let scene = Scene::start("registry.route marker:MARK-bang times:1", &["one"], &[]).await;
    let first = scene.events(1);
    scene.publish(&first).await;
    scene.expect_everywhere(&first).await;
    let bang = scene.events_with("bang", 1);
    scene.publish(&bang).await;
    scene.expect_everywhere(&bang).await;
    scene.expect_restarts("registry", 1).await;
    // A later event of the first call, which does not say whose it is.
    let mut payload = kazoo::without(first[0].payload.clone(), &["Custom-Channel-Vars"]);
    payload["Msg-ID"] = "later".into();
    let later = CallEvent { payload, ..first[0].clone() };
    scene.publish(&[later]).await;
    eventually("the later event", async || scene.endpoints[0].events_of(&first[0].call) == 2).await;
}

#[actix_web::test]
async fn hook_that_was_stored_when_the_registry_panicked_is_in_force() {
    let scene = Scene::start("registry.stored times:1", &[], &[]).await;
    let server = HookServer::start();
    let hook = json!({"name": "late", "uri": server.url("/"), "hook": "notifications", "format": "json",
        "custom_data": {"type": "deregister"}});
    let path = format!("/v2/accounts/{}/webhooks", scene.account);
    let (status, envelope) = scene.bridge.try_call(Method::PUT, &path, &hook).await.unwrap();
    assert_eq!(status, 503, "{envelope}");
    scene.expect_restarts("registry", 1).await;
    let hooks = scene.bridge.call(Method::GET, &path, &Value::Null).await;
    assert!(hooks.as_array().unwrap().iter().any(|hook| hook["name"] == "late"), "{hooks}");
    let event = kazoo::event("webhooks_notifications_deregister", scene.account.parse().unwrap());
    let mut publisher = scene.publisher().await;
    // Nobody but the new Registry asks for its binding. Until then no queue may get it, or only that of another test.
    eventually("an event that arrives", async || {
        drop(publisher.try_publish(&kazoo::message(&event)).await);
        !server.received().is_empty()
    })
    .await;
}

#[actix_web::test]
async fn one_off_hook_that_panicked_goes_on_with_what_it_had() {
    let settings = [("webhooks.ack_hold_ms", "10")];
    let scene = Scene::start("hook.settle marker:one-off times:1", &[], &settings).await;
    let server = HookServer::start();
    server.answer_with(Answer::status(200).delayed(std::time::Duration::from_millis(300)));
    let mut event = kazoo::event("webhooks_callflow", scene.account.parse().unwrap());
    event["Hook"]["uri"] = server.url("/one-off").into();
    scene.send_here(&event).await;
    let first = server.expect_delivery().await;
    eventually("a delivery on disk", async || scene.bridge.metric("hookswitch_deliveries_pending").await == 1).await;
    let second = server.expect_delivery().await;
    assert!(second.repeats(&first));
    scene.expect_restarts("webhook_actor", 1).await;
    eventually("no actor of a one-off hook", async || {
        let actors = scene.bridge.call(Method::GET, "/v2/actors", &Value::Null).await;
        actors["webhooks"] == json!([])
    })
    .await;
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn pending_deliveries_are_counted_right_after_every_panic() {
    let plan = "registry.route marker:MARK-bang times:2; hook.deliver marker:MARK-boom times:1";
    let scene = Scene::start(plan, &["one"], &[("webhooks.retry_base_ms", "600000")]).await;
    let hook = &scene.hooks[0];
    scene.endpoints[0].answer_with(500);
    let count = async || (scene.bridge.pending(hook).await, scene.bridge.metric("hookswitch_deliveries_pending").await);
    scene.publish(&scene.events(200)).await;
    eventually("all of them on disk", async || count().await == (200, 200)).await;
    for (published, (word, kind, restarts)) in
        [("bang", "registry", 2), ("boom", "webhook_actor", 1), ("quiet", "registry", 2)].into_iter().enumerate()
    {
        // After its panics each event fails at the endpoint as the others did.
        scene.publish(&scene.events_with(word, 1)).await;
        scene.expect_restarts(kind, restarts).await;
        let expected = 201 + published as u64;
        eventually(&format!("{expected} of them on disk"), async || count().await == (expected, expected)).await;
    }
    assert!(scene.bridge.metric("hookswitch_oldest_pending_age_seconds").await < 60);
}

#[actix_web::test]
async fn receipts_that_hooks_hold_do_not_keep_the_queue_from_the_next_consumer() {
    let settings = [("webhooks.ack_hold_ms", "600000"), ("webhooks.request_timeout_ms", "600000")];
    let scene = Scene::start("consumer.take marker:MARK-bang times:1", &["hanging", "other"], &settings).await;
    scene.endpoints[0].answer_with(Answer::manner(Manner::Hang));
    let held = scene.events(20);
    scene.publish(&held).await;
    scene.endpoints[0].expect_seen(&calls_of(&held)).await;
    let bang = scene.events_with("bang", 1);
    scene.publish(&bang).await;
    scene.expect_restarts("amqp_consumer", 1).await;
    // The old connection is closed, and the broker has taken back what was held.
    eventually("what was held, again", async || {
        scene.bridge.metric("hookswitch_amqp_redeliveries_total").await > held.len() as u64
    })
    .await;
    scene.endpoints[1].expect_delivered(&calls_of(&bang)).await;
    scene.bridge.expect_ready().await;
}

#[actix_web::test]
async fn hooks_of_a_registry_that_panicked_do_not_go_on_beside_those_of_the_next() {
    let settings = [("webhooks.threads", "2"), ("webhooks.ack_hold_ms", "600000")];
    let scene = Scene::start("registry.route marker:MARK-bang times:1", &["one", "other"], &settings).await;
    for endpoint in &scene.endpoints {
        endpoint.answer_with(Answer::manner(Manner::Hang));
    }
    let events = scene.events(20);
    scene.publish(&events).await;
    for endpoint in &scene.endpoints {
        endpoint.expect_seen(&calls_of(&events)).await;
        endpoint.answer_with(Answer::status(200).delayed(std::time::Duration::from_millis(200)));
    }
    let bang = scene.events_with("bang", 1);
    scene.publish(&bang).await;
    scene.expect_everywhere(&events).await;
    scene.expect_everywhere(&bang).await;
    scene.expect_restarts("registry", 1).await;
    scene.bridge.expect_idle().await;
    // The first requests were cut off; had their actors lived on, their ends would be counted as well.
    let delivered = scene.bridge.metric("hookswitch_deliveries_total{outcome=\"delivered\"}").await;
    assert_eq!(delivered, 2 * 21);
    assert_eq!(scene.bridge.metric("hookswitch_attempts_failed_total").await, 0);
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn registry_that_panics_while_it_is_built_is_built_again() {
    // Every second time: not at the start of the server, but at the first try after the panic.
    let plan = "registry.route marker:MARK-bang times:1; registry.build every:2 times:1";
    let scene = Scene::start(plan, &["one"], &[]).await;
    let bang = scene.events_with("bang", 1);
    scene.publish(&bang).await;
    scene.expect_everywhere(&bang).await;
    scene.expect_restarts("registry", 1).await;
    scene.expect_good_end().await;
}
