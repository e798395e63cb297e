//! Panics while events keep coming: every event reaches every endpoint.

use serde_json::json;

use super::scene::Scene;
use crate::support::eventually;

const EVENTS: usize = 700;

/// Any event may be in hand several times when its actor panics, and none of them is to blame.
const NOBODY_IS_TO_BLAME: (&str, &str) = ("amqp.poison_max", "1000");
const NO_DELIVERY_IS: (&str, &str) = ("webhooks.poison_max", "1000");

async fn start(plan: &str, settings: &[(&str, &str)]) -> Scene {
    Scene::start(plan, &["one", "other"], &[&[NOBODY_IS_TO_BLAME, NO_DELIVERY_IS], settings].concat()).await
}

/// Publishes and waits for everything, also for that many restarts of that kind.
async fn run(scene: &Scene, restarts: &[(&str, u64)]) {
    let events = scene.events(EVENTS);
    scene.publish(&events).await;
    scene.expect_everywhere(&events).await;
    for (kind, count) in restarts {
        scene.expect_restarts(kind, *count).await;
    }
    assert_eq!(scene.bridge.metric("hookswitch_amqp_rejected_total{reason=\"poison\"}").await, 0);
}

#[actix_web::test]
async fn consumer_that_panics_over_its_messages() {
    let scene = start("consumer.take marker:MARK every:70 times:6", &[]).await;
    run(&scene, &[("amqp_consumer", 6)]).await;
    assert_eq!(scene.figure("AmqpConsumer", "panics").await, 6);
    assert!(scene.bridge.metric("hookswitch_amqp_reconnects_total").await >= 6);
    assert!(scene.bridge.metric("hookswitch_amqp_redeliveries_total").await > 0);
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn acknowledging_that_panics() {
    let scene = start("consumer.settle every:70 times:5", &[]).await;
    run(&scene, &[]).await;
    eventually("five connections more", async || scene.bridge.metric("hookswitch_amqp_reconnects_total").await >= 5)
        .await;
    assert!(scene.figure("AmqpConsumer", "restarts").await.as_u64() >= Some(5), "its supervisor starts it again");
    assert_eq!(scene.figure("AmqpConsumer", "panics").await, 0);
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn registry_that_panics_over_its_events() {
    let scene = start("registry.route marker:MARK every:70 times:6", &[("webhooks.threads", "2")]).await;
    run(&scene, &[("registry", 6), ("webhook_actor", 0)]).await;
    assert_eq!(scene.figure("Registry", "panics").await, 6);
    assert_eq!(scene.figure("Registry", "restarts").await, 6);
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn registry_that_panics_between_two_hooks_of_an_event() {
    let scene = start("registry.deliver marker:MARK every:71 times:6", &[]).await;
    run(&scene, &[("registry", 6)]).await;
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn hook_that_panics_over_its_deliveries() {
    let scene = start("hook.deliver marker:MARK every:70 times:6", &[("webhooks.threads", "2")]).await;
    run(&scene, &[("webhook_actor", 6), ("registry", 0)]).await;
    let actors = scene.bridge.call(actix_web::http::Method::GET, "/v2/actors", &serde_json::Value::Null).await;
    assert_eq!(actors["all_webhooks"]["panics"], 6);
    assert_eq!(actors["all_webhooks"]["restarts"], 6);
    assert_eq!((&actors["all_webhooks"]["count"], &actors["all_webhooks"]["alive"]), (&json!(2), &json!(2)));
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn hook_that_panics_over_answers_with_requests_in_flight() {
    let scene = start("hook.begin marker:MARK every:150 times:3; hook.settle marker:MARK every:70 times:6", &[]).await;
    run(&scene, &[("webhook_actor", 9)]).await;
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn hook_that_panics_over_its_pending_deliveries_and_the_store() {
    let plan =
        "hook.write every:120 times:4; hook.written every:120 times:4; hook.take_up marker:MARK every:60 times:4";
    let scene = start(plan, &[("webhooks.threads", "2")]).await;
    let one = &scene.endpoints[0];
    one.answer_with(500);
    let events = scene.events(EVENTS);
    let failing = async {
        eventually("failed attempts", async || one.failures() >= 200).await;
        one.answer_with(200);
    };
    futures_util::join!(scene.publish(&events), failing);
    scene.expect_everywhere(&events).await;
    scene.expect_restarts("webhook_actor", 12).await;
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn everything_panics() {
    let points = ["registry.route", "registry.deliver", "hook.deliver", "hook.begin", "hook.settle", "consumer.take"];
    let mut plan: Vec<String> = points
        .iter()
        .zip([151, 157, 163, 167, 173, 179])
        .map(|(point, every)| format!("{point} marker:MARK every:{every} times:2"))
        .collect();
    plan.extend(["hook.write every:40 times:2", "hook.written every:40 times:2"].map(str::to_owned));
    let scene = start(&plan.join("; "), &[("webhooks.threads", "2"), ("webhooks.ack_hold_ms", "20")]).await;
    run(&scene, &[("registry", 4), ("amqp_consumer", 2)]).await;
    scene.expect_good_end().await;
}
