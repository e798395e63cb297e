//! When an event is acknowledged to the broker: after its delivery, or when it is on disk, and never before.
//!
//! What the broker holds of an unacknowledged message shows when its consumer is gone: it is back in the queue.

use hookswitch::ids::AccountId;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::bus::{Bus, own_queue, queue_settings};
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};
use crate::support::kazoo::{edited, event, hook_for_edits, message, with};
use crate::support::process::ServerProcess;
use crate::support::publisher::Publisher;
use crate::support::rabbit::shared_broker_uri;

/// A server as a process of its own, with one hook, on a queue of the shared broker.
struct Setup {
    app: TestApp,
    account: AccountId,
    document_type: &'static str,
    hook: String,
    server: HookServer,
    publisher: Publisher,
    uri: String,
    queue: String,
}

/// No other test may name that type of document.
async fn set_up(document_type: &'static str) -> Setup {
    let uri = shared_broker_uri().await;
    let mut app = TestApp::spawn().await;
    let server = HookServer::start();
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &with(hook_for_edits(document_type), json!({ "uri": server.url("/") }))).await;
    app.stop().await;
    Setup {
        app,
        account,
        document_type,
        hook,
        server,
        publisher: Publisher::connect(&uri).await,
        uri,
        queue: own_queue(),
    }
}

impl Setup {
    /// Starts the process; it consumes when this returns.
    async fn serve(&mut self, settings: &[(&str, &str)]) -> ServerProcess {
        let (uri, queue) = (self.uri.clone(), self.queue.clone());
        let process = self.app.serve_by_process(&[&queue_settings(&uri, &queue)[..], settings].concat()).await;
        self.app.await_ready().await;
        process
    }

    async fn publish(&mut self) {
        let message = message(&edited(self.document_type, self.account));
        self.publisher.try_publish(&message).await.unwrap();
    }
}

/// A hold that no test lasts as long as, and one that is over at once.
const LONG: (&str, &str) = ("webhooks.ack_hold_ms", "600000");
const SHORT: (&str, &str) = ("webhooks.ack_hold_ms", "10");

#[actix_web::test]
async fn event_that_was_only_in_memory_comes_again_after_a_crash() {
    let mut it = set_up("media").await;
    it.server.answer_in_turn([Answer::manner(Manner::Hang)]);
    let mut process = it.serve(&[LONG]).await;
    it.publish().await;
    let first = it.server.expect_delivery().await;
    process.sigkill();
    eventually("the message back in the queue", async || it.publisher.queue_depth(&it.queue).await == Some(1)).await;

    let _process = it.serve(&[LONG]).await;
    let second = it.server.expect_delivery().await;
    assert!(second.repeats(&first), "also the event id");
    it.app.eventually_ended("delivered", 1.0).await;
    assert_eq!(it.app.metric("hookswitch_amqp_redeliveries_total").await, 1.0);
    eventually("the ack", async || it.app.metric("hookswitch_amqp_acks_total").await == 1.0).await;
}

#[actix_web::test]
async fn event_that_is_on_disk_is_acknowledged_and_delivered_from_there_after_a_crash() {
    let mut it = set_up("faxbox").await;
    it.server.answer_in_turn([Answer::manner(Manner::Hang)]);
    let mut process = it.serve(&[SHORT]).await;
    it.publish().await;
    let first = it.server.expect_delivery().await;
    it.app.eventually_pending(&it.hook, 1).await;
    eventually("the ack", async || it.app.metric("hookswitch_amqp_acks_total").await == 1.0).await;
    process.sigkill();
    // Without a broker: only the disk can have it.
    let _process = it.app.serve_by_process(&[]).await;
    let second = it.server.expect_delivery().await;
    assert!(second.repeats(&first));
    eventually("an empty queue", async || it.publisher.queue_depth(&it.queue).await == Some(0)).await;
    it.app.eventually_pending(&it.hook, 0).await;
}

#[actix_web::test]
async fn server_that_is_told_to_stop_writes_down_what_hangs() {
    let mut it = set_up("call_recording").await;
    it.server.answer_in_turn([Answer::manner(Manner::Hang)]);
    let mut process = it.serve(&[LONG, ("node.shutdown_grace_ms", "4000")]).await;
    it.publish().await;
    let first = it.server.expect_delivery().await;
    process.sigterm();
    assert!(process.wait().await.success());
    assert_eq!(it.publisher.queue_depth(&it.queue).await, Some(0), "acknowledged on the way out");
    let _process = it.app.serve_by_process(&[]).await;
    let second = it.server.expect_delivery().await;
    assert!(second.repeats(&first));
}

#[actix_web::test]
async fn slow_endpoint_does_not_hold_up_the_queue() {
    let mut bus = Bus::with(|config| {
        config.amqp.prefetch = 4;
        config.webhooks.ack_hold_ms = 50;
    })
    .await;
    let (slow, quick) = (HookServer::start(), HookServer::start());
    slow.answer_with(Answer::manner(Manner::Hang));
    let account = bus.app.create_account("mine", None).await;
    let hanging = bus.app.put_hook(account, &json!({ "hook": "sms", "uri": slow.url("/") })).await;
    bus.app.put_hook(account, &json!({ "hook": "sms", "uri": quick.url("/") })).await;
    for turn in 0..20 {
        let sms = with(event("webhooks_sms", account), json!({ "Msg-ID": turn.to_string() }));
        bus.publish(&sms).await;
    }
    quick.eventually_received(20).await;
    bus.app.eventually_pending(&hanging, 20).await;
}

#[actix_web::test]
async fn much_that_is_finished_is_acknowledged_before_the_delay_is_over() {
    let mut bus = Bus::with(|config| {
        config.amqp.prefetch = 16;
        config.amqp.ack_delay_ms = 60_000;
    })
    .await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    bus.app.put_hook(account, &json!({ "hook": "sms", "uri": server.url("/") })).await;
    for turn in 0..100 {
        let sms = with(event("webhooks_sms", account), json!({ "Msg-ID": turn.to_string() }));
        bus.publish(&sms).await;
    }
    server.eventually_received(100).await;
}
