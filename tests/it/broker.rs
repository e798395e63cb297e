//! The broker misbehaves: away, restarted, declared otherwise, its queue taken by another server; and messages that are
//! no events.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hookswitch::config::ExchangeOverride;
use hookswitch::ids::{AccountId, EventId};
use lapin::options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::app::TestApp;
use crate::support::bus::{Bus, own_queue, queue_settings, use_queue};
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Received};
use crate::support::kazoo::{edited, event, hook_for_edits, message, with};
use crate::support::process::ServerProcess;
use crate::support::publisher::{Message, PublishError, Publisher};
use crate::support::rabbit::{Rabbit, shared_broker_uri};

fn call(account: AccountId, id: &str) -> Value {
    with(event("webhooks_channel_create", account), json!({ "Call-ID": id, "Msg-ID": id }))
}

fn call_ids(received: &[Received]) -> HashSet<String> {
    received.iter().map(|request| request.json()["call_id"].as_str().unwrap().to_owned()).collect()
}

async fn put_hook(app: &TestApp, account: AccountId, server: &HookServer) -> String {
    let hook = json!({ "hook": "channel_create", "uri": server.url("/"), "format": "json" });
    app.put_hook(account, &hook).await
}

#[actix_web::test]
async fn hook_made_without_a_broker_is_bound_when_it_comes() {
    let rabbit = Rabbit::start().await;
    rabbit.stop().await;
    let queue = own_queue();
    let app = TestApp::with(|config| use_queue(config, rabbit.uri(), &queue)).await;
    let server = HookServer::start();
    let account = app.create_account("mine", None).await;
    put_hook(&app, account, &server).await;
    let readiness = app.get("/readyz").await;
    assert_eq!(readiness.status, 503);
    assert!(readiness.text.contains("broker"), "{}", readiness.text);
    // Posted events do not need one.
    app.publish(account, &[call(account, "posted")]).await;
    assert_eq!(server.expect_delivery().await.json()["call_id"], "posted");

    rabbit.start_again().await;
    app.await_ready().await;
    let mut publisher = Publisher::connect(rabbit.uri()).await;
    publisher.try_publish(&message(&call(account, "published"))).await.unwrap();
    assert_eq!(server.expect_delivery().await.json()["call_id"], "published");
}

/// Publishes one message, whatever it takes.
async fn publish_surely(publisher: &mut Publisher, uri: &str, message: &Message) {
    eventually("a published message", async || match publisher.try_publish(message).await {
        Ok(()) => true,
        Err(PublishError::Unrouted) => false,
        Err(_) => {
            if let Ok(new) = Publisher::try_connect(uri).await {
                *publisher = new;
            }
            false
        }
    })
    .await;
}

#[actix_web::test]
async fn no_event_is_lost_over_a_restart_of_the_broker() {
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |config| config.amqp.queue_type = "quorum".to_owned()).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    put_hook(&bus.app, account, &server).await;
    let restarted = Cell::new(false);
    let restart = async {
        server.eventually_received(20).await;
        rabbit.restart().await;
        restarted.set(true);
    };
    let publish = async {
        let mut published = HashSet::new();
        let mut after = 0;
        while after < 20 {
            let id = format!("call {}", published.len());
            publish_surely(&mut bus.publisher, rabbit.uri(), &message(&call(account, &id))).await;
            published.insert(id);
            after += u64::from(restarted.get());
            sleep(Duration::from_millis(5)).await;
        }
        published
    };
    let ((), published) = tokio::join!(restart, publish);
    let all_arrived = async || published.is_subset(&call_ids(&server.received()));
    eventually("every event at least once", all_arrived).await;
    assert!(bus.app.is_ready().await);
    assert_eq!(bus.app.metric("hookswitch_amqp_reconnects_total").await, 1.0);
}

#[actix_web::test]
async fn exchange_that_was_declared_otherwise_is_named_with_the_setting() {
    let rabbit = Rabbit::start().await;
    let publisher = Publisher::connect(rabbit.uri()).await;
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let channel = publisher.open_channel().await;
    channel.exchange_declare("callevt".into(), ExchangeKind::Topic, durable, FieldTable::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let queue = own_queue();
    let server = ServerProcess::start(dir.path(), &queue_settings(rabbit.uri(), &queue)).await;
    let rest = server.expect_log("cannot declare exchange \"callevt\": ").await;
    assert!(rest.contains("amqp.exchange_durable") && rest.contains("amqp.exchanges"), "{rest}");
    assert!(error_lines(&server).iter().any(|line| line.contains("\"callevt\"")), "{}", server.log());

    let app = TestApp::with(|config| {
        use_queue(config, rabbit.uri(), &queue);
        config.amqp.exchanges =
            vec![ExchangeOverride { name: "callevt".to_owned(), durable: true, auto_delete: false }];
    })
    .await;
    app.await_ready().await;
}

fn error_lines(server: &ServerProcess) -> Vec<String> {
    server.log().lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect()
}

#[actix_web::test]
async fn second_server_on_a_queue_is_refused_while_the_first_goes_on() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    put_hook(&bus.app, account, &server).await;
    let dir = tempfile::tempdir().unwrap();
    let uri = shared_broker_uri().await;
    let second = ServerProcess::start(dir.path(), &queue_settings(&uri, &bus.queue)).await;
    second.expect_log(&format!("queue \"{}\" is consumed exclusively by another server", bus.queue)).await;
    assert!(error_lines(&second).iter().any(|line| line.contains(&bus.queue)), "{}", second.log());
    for turn in 0..20 {
        bus.publish(&call(account, &turn.to_string())).await;
    }
    assert_eq!(call_ids(&server.eventually_received(20).await).len(), 20);
    assert!(bus.app.is_ready().await);
    bus.app.stop().await;
    second.expect_log("consuming queue").await;
}

#[actix_web::test]
async fn what_is_no_event_is_thrown_out_and_counted() {
    let mut bus = Bus::with(|config| config.amqp.message_bytes_max = 10_000).await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let hook = with(hook_for_edits("callflow"), json!({ "uri": server.url("/"), "format": "json" }));
    bus.app.put_hook(account, &hook).await;
    let raw = |body: &[u8]| Message::raw("", "", body);
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        raw(&encoder.finish().unwrap()).encoding("gzip")
    };
    let nested = format!("{{\"a\":{}", "[".repeat(9_000));
    let rejected = [
        (
            "unparsable",
            vec![raw(b""), raw(b"{"), raw(b"[]"), raw(b"{\"a\":\"\xff\"}"), raw(nested.as_bytes()), gzip(b"1")],
        ),
        ("oversized", vec![raw(&[b' '; 10_001]), gzip(&[b' '; 1 << 20])]),
        ("bad_encoding", vec![raw(b"{}").encoding("gzip"), raw(b"{}").encoding("br")]),
    ];
    for (_, messages) in &rejected {
        for message in messages {
            bus.send_here(message.clone()).await;
        }
    }
    bus.publish(&with(edited("callflow", account), json!({ "ID": "after them" }))).await;
    assert_eq!(server.expect_delivery().await.json()["id"], "after them");
    for (reason, messages) in &rejected {
        let count = bus.app.metric(&format!("hookswitch_amqp_rejected_total{{reason=\"{reason}\"}}")).await;
        assert_eq!(count, messages.len() as f64, "{reason}");
    }
    // Whatever was handed out and not settled is back in the queue when the consumer is gone.
    bus.app.stop().await;
    assert_eq!(bus.publisher.queue_depth(&bus.queue).await, Some(0));
}

/// A queue of ours that gets the notices of disabled hooks.
async fn bind_notices(channel: &Channel) -> String {
    let queue = format!("it-notices-{}", EventId::random());
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare(queue.as_str().into(), exclusive, FieldTable::default()).await.unwrap();
    let key = "notifications.webhook.disabled".into();
    let options = QueueBindOptions::default();
    channel
        .queue_bind(queue.as_str().into(), "notifications".into(), key, options, FieldTable::default())
        .await
        .unwrap();
    queue
}

#[actix_web::test]
async fn disabled_hook_is_announced_on_the_bus() {
    let bus = Bus::with(|config| config.webhooks.attempt_failure_count = 1).await;
    let server = HookServer::start();
    server.answer_with(Answer::status(500));
    let account = bus.app.create_account("mine", None).await;
    let hook = put_hook(&bus.app, account, &server).await;
    let channel = bus.publisher.open_channel().await;
    let queue = bind_notices(&channel).await;
    bus.app.publish(account, &[call(account, "failing")]).await;
    let mut notice = Value::Null;
    eventually("the notice", async || {
        // Hooks of other tests may be disabled too.
        while let Some(message) = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap() {
            notice = serde_json::from_slice(&message.delivery.data).unwrap();
            if notice["Hook-ID"] == hook {
                return true;
            }
        }
        false
    })
    .await;
    assert_eq!(notice["Account-ID"], account.to_string());
    assert_eq!(
        (&notice["Event-Category"], &notice["Event-Name"]),
        (&json!("notification"), &json!("webhook_disabled"))
    );
    assert!(notice["Msg-ID"].is_string() && notice["Node"].is_string(), "{notice}");
    bus.app.eventually_disabled(account, &hook, "too many failed attempts").await;
}
