//! The bindings of the queue follow the hooks: there before a hook's creation is answered, gone when nobody needs them.

use serde_json::{Value, json};

use crate::support::bus::{Bus, own_queue, use_queue};
use crate::support::eventually;
use crate::support::hook_server::HookServer;
use crate::support::kazoo::{event, message, with};
use crate::support::publisher::{PublishError, Publisher};
use crate::support::rabbit::Rabbit;

/// Whether some queue gets the event.
async fn is_routed(publisher: &mut Publisher, event: &Value) -> bool {
    match publisher.try_publish(&message(event)).await {
        Ok(()) => true,
        Err(PublishError::Unrouted) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn eventually_unrouted(bus: &mut Bus, event: &Value) {
    eventually("no binding that fits", async || !is_routed(&mut bus.publisher, event).await).await;
}

#[actix_web::test]
async fn event_published_right_after_the_creation_of_its_hook_is_delivered() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let sms = event("webhooks_sms", account);
    for turn in 0..100 {
        // Each time it is the only hook of its kind, so that its binding comes and goes with it.
        let fields = json!({ "hook": "sms", "uri": server.url("/"), "format": "json" });
        let hook = bus.app.put_hook(account, &fields).await;
        let id = format!("turn {turn}");
        bus.publish(&with(sms.clone(), json!({ "Msg-ID": id, "Message-ID": id }))).await;
        assert_eq!(server.expect_delivery().await.json()["id"], id);
        bus.app.delete_hook(account, &hook).await;
    }
}

#[actix_web::test]
async fn bindings_come_and_go_with_the_hooks_that_need_them() {
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |_| ()).await;
    let account = bus.app.create_account("mine", None).await;
    let sms = event("webhooks_sms", account);
    assert!(!is_routed(&mut bus.publisher, &sms).await);

    let hook = bus.app.put_hook(account, &json!({ "hook": "sms" })).await;
    assert!(is_routed(&mut bus.publisher, &sms).await);
    bus.app.patch_hook(account, &hook, &json!({ "enabled": false })).await;
    eventually_unrouted(&mut bus, &sms).await;
    bus.app.patch_hook(account, &hook, &json!({ "enabled": true })).await;
    assert!(is_routed(&mut bus.publisher, &sms).await);
    bus.app.patch_hook(account, &hook, &json!({ "hook": "mms" })).await;
    assert!(is_routed(&mut bus.publisher, &event("webhooks_mms", account)).await);
    eventually_unrouted(&mut bus, &sms).await;

    // As long as one of several needs it, it stays.
    let two = [bus.app.put_hook(account, &json!({ "hook": "sms" })).await, bus.app.put_hook(account, &json!({})).await];
    bus.app.delete_hook(account, &two[0]).await;
    bus.app.delete_hook(account, &hook).await;
    assert!(is_routed(&mut bus.publisher, &sms).await);
    bus.app.delete_hook(account, &two[1]).await;
    eventually_unrouted(&mut bus, &sms).await;
    let others = ["webhooks_channel_create", "webhooks_object", "webhooks_notifications_topup", "webhooks_mms"];
    for id in others {
        eventually_unrouted(&mut bus, &event(id, account)).await;
    }
}

#[actix_web::test]
async fn binding_of_an_earlier_run_goes_when_its_hook_is_gone() {
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |_| ()).await;
    let account = bus.app.create_account("mine", None).await;
    let hook = bus.app.put_hook(account, &json!({ "hook": "sms" })).await;
    let kept = bus.app.put_hook(account, &json!({ "hook": "mms" })).await;
    let (sms, mms) = (event("webhooks_sms", account), event("webhooks_mms", account));
    bus.app.stop().await;
    assert!(is_routed(&mut bus.publisher, &sms).await, "the queue outlives the server");

    // Deleted while the broker is out of reach.
    bus.app.start_with(|config| config.amqp.uri = "amqp://127.0.0.1:1".to_owned()).await;
    bus.app.delete_hook(account, &hook).await;
    bus.app.stop().await;
    let (uri, queue) = (rabbit.uri().to_owned(), bus.queue.clone());
    bus.app.start_with(|config| use_queue(config, &uri, &queue)).await;
    bus.app.await_ready().await;
    eventually_unrouted(&mut bus, &sms).await;
    assert!(is_routed(&mut bus.publisher, &mms).await);
    bus.app.delete_hook(account, &kept).await;
    eventually_unrouted(&mut bus, &mms).await;

    // A queue of another name starts without any.
    bus.app.stop().await;
    bus.publisher.delete_queue(&bus.queue).await;
    let other = own_queue();
    bus.app.start_with(|config| config.amqp.queue = other.clone()).await;
    bus.app.await_ready().await;
    bus.app.put_hook(account, &json!({ "hook": "mms" })).await;
    assert!(is_routed(&mut bus.publisher, &mms).await && !is_routed(&mut bus.publisher, &sms).await);
}
