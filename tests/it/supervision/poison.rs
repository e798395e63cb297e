//! Events whose handling panics whenever it is tried: they end after some tries, and nobody else is blamed.

use super::scene::Scene;
use crate::support::calls::{CallEvent, calls_of};
use crate::support::eventually;

const REJECTED: &str = "hookswitch_amqp_rejected_total{reason=\"poison\"}";

/// Publishes a poisonous event amid others, which all arrive.
async fn publish_amid_others(scene: &Scene) -> Vec<CallEvent> {
    let (before, poison, after) = (scene.events(100), scene.events_with("poison", 1), scene.events(100));
    for events in [&before, &poison, &after] {
        scene.publish(events).await;
    }
    scene.expect_everywhere(&before).await;
    scene.expect_everywhere(&after).await;
    poison
}

async fn check_rejected(plan: &str, kind: &str) {
    let scene = Scene::start(plan, &["one"], &[]).await;
    publish_amid_others(&scene).await;
    eventually("one that is rejected", async || scene.bridge.metric(REJECTED).await == 1).await;
    scene.expect_restarts(kind, 3).await;
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn message_that_makes_the_consumer_panic_is_rejected() {
    check_rejected("consumer.take marker:MARK-poison", "amqp_consumer").await;
}

#[actix_web::test]
async fn event_that_makes_the_registry_panic_is_rejected() {
    check_rejected("registry.route marker:MARK-poison", "registry").await;
}

/// An event that comes back to a hook that is being started again goes to the store, and from there on it is the hook's
/// to count.
async fn check_ends(plan: &str) {
    let scene = Scene::start(plan, &["one"], &[]).await;
    let poison = calls_of(&publish_amid_others(&scene).await);
    eventually("its end", async || {
        let delivered = u64::from(scene.endpoints[0].delivered().is_superset(&poison) && plan.contains("hook.deliver"));
        scene.bridge.metric(REJECTED).await + scene.dead_letters(0).await.len() as u64 + delivered == 1
    })
    .await;
    let restarts = scene.bridge.metric("hookswitch_actor_restarts_total{kind=\"webhook_actor\"}").await;
    assert!((1..=6).contains(&restarts), "{restarts}");
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn event_that_makes_its_hook_panic_ends() {
    check_ends("hook.deliver marker:MARK-poison").await;
}

#[actix_web::test]
async fn event_whose_request_makes_its_hook_panic_ends() {
    check_ends("hook.begin marker:MARK-poison").await;
}

#[actix_web::test]
async fn event_whose_answer_makes_its_hook_panic_ends() {
    check_ends("hook.settle marker:MARK-poison").await;
}

#[actix_web::test]
async fn stored_delivery_that_makes_its_hook_panic_becomes_a_dead_letter() {
    let scene = Scene::start("hook.take_up marker:MARK-poison", &["one"], &[("webhooks.retry_base_ms", "100")]).await;
    let one = &scene.endpoints[0];
    one.answer_with(500);
    let (poison, others) = (scene.events_with("poison", 1), scene.events(20));
    scene.publish(&poison).await;
    scene.publish(&others).await;
    eventually("failed attempts", async || one.failures() > 0).await;
    one.answer_with(200);
    scene.expect_everywhere(&others).await;
    let mut letters = Vec::new();
    eventually("a dead letter", async || {
        letters = scene.dead_letters(0).await;
        letters.len() == 1
    })
    .await;
    assert!(letters[0].to_string().contains("its handling panicked 3 times"), "{letters:?}");
    scene.expect_restarts("webhook_actor", 3).await;
    scene.bridge.expect_idle().await;
    assert!(one.delivered().is_disjoint(&calls_of(&poison)));
    scene.expect_good_end().await;
}

#[actix_web::test]
async fn publisher_over_http_is_told_of_a_poisonous_event_and_others_are_served() {
    let scene = Scene::start("registry.route marker:MARK-poison", &["one"], &[]).await;
    let poison = scene.events_with("poison", 1);
    for _ in 0..5 {
        assert_eq!(scene.bridge.post_events(&scene.account, &[&poison[0].payload]).await, None);
        let others = scene.events(1);
        // While the Registry is built again, it is a 503.
        eventually("an event that is taken", async || {
            scene.bridge.post_events(&scene.account, &[&others[0].payload]).await.is_some()
        })
        .await;
        scene.expect_everywhere(&others).await;
    }
    scene.expect_restarts("registry", 5).await;
    scene.expect_good_end().await;
}
