//! The queue of live events: bound while somebody needs it, rebuilt after a loss, gone with its server.

use hookswitch::config::Config;
use hookswitch::event::GapReason;
use hookswitch::ids::EventId;
use hookswitch::kazoo::bindings::Binding;
use serde_json::json;

use crate::support::eventually;
use crate::support::live::Live;
use crate::support::publisher::{Message, PublishError, Publisher};
use crate::support::rabbit::{Rabbit, shared_broker_uri};

/// Events of a kind of their own, which no other test sees.
struct Kind(String);

impl Kind {
    fn new() -> Self {
        Self(EventId::random().to_string())
    }

    fn binding(&self) -> Binding {
        Binding { exchange: "presence", routing_key: format!("dialog.{}.*", self.0) }
    }

    fn message(&self, id: &str) -> Message {
        let payload = json!({ "Event-Category": "presence", "Event-Name": "dialog_update", "Msg-ID": id });
        Message::json("presence", &format!("dialog.{}.call", self.0), &payload)
    }

    async fn is_routed(&self, publisher: &mut Publisher, id: &str) -> bool {
        match publisher.try_publish(&self.message(id)).await {
            Ok(()) => true,
            Err(PublishError::Unrouted) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

const AN_HOUR_MS: u64 = 3_600_000;

fn unbind_after(delay_ms: u64) -> impl FnOnce(&mut Config) {
    move |config| config.amqp.unbind_delay_ms = delay_ms
}

#[actix_web::test]
async fn live_events_are_bound_while_somebody_needs_them() {
    let uri = shared_broker_uri().await;
    let live = Live::on(&uri, unbind_after(50)).await;
    let mut publisher = Publisher::connect(&uri).await;
    let (one, other) = (Kind::new(), Kind::new());
    assert!(!one.is_routed(&mut publisher, "before").await);
    live.need(&one.binding()).await;
    live.need(&one.binding()).await;
    assert!(one.is_routed(&mut publisher, "during").await && !other.is_routed(&mut publisher, "other").await);
    live.eventually_heard("during").await;

    // As long as one of several needs it, it stays.
    live.demand.release(&[one.binding()]);
    live.need(&other.binding()).await;
    live.demand.release(&[other.binding()]);
    eventually("the other is unbound", async || !other.is_routed(&mut publisher, "x").await).await;
    assert!(one.is_routed(&mut publisher, "still").await);
    live.demand.release(&[one.binding()]);
    eventually("the one is unbound", async || !one.is_routed(&mut publisher, "y").await).await;
    live.need(&one.binding()).await;
    assert!(one.is_routed(&mut publisher, "again").await);
    live.eventually_heard("again").await;
    assert_eq!(live.metrics.live_queue.reconnects.get(), 0);
    eventually("every event acknowledged", async || live.metrics.live_queue.acks.get() == live.events().len() as u64)
        .await;
    live.stop().await;
}

#[actix_web::test]
async fn a_binding_outlives_its_last_user_for_a_while() {
    let uri = shared_broker_uri().await;
    let live = Live::on(&uri, unbind_after(AN_HOUR_MS)).await;
    let mut publisher = Publisher::connect(&uri).await;
    let (one, other) = (Kind::new(), Kind::new());
    live.need(&one.binding()).await;
    live.demand.release(&[one.binding()]);
    // Has the bindings brought in line.
    live.need(&other.binding()).await;
    assert!(one.is_routed(&mut publisher, "kept").await);
    live.eventually_heard("kept").await;
    live.stop().await;
}

#[actix_web::test]
async fn after_a_loss_everything_is_bound_again_and_the_gap_is_told() {
    let rabbit = Rabbit::start().await;
    let live = Live::on(rabbit.uri(), unbind_after(AN_HOUR_MS)).await;
    let mut publisher = Publisher::connect(rabbit.uri()).await;
    let (needed, idle) = (Kind::new(), Kind::new());
    live.need(&needed.binding()).await;
    live.need(&idle.binding()).await;
    live.demand.release(&[idle.binding()]);
    assert!(needed.is_routed(&mut publisher, "before").await);
    live.eventually_heard("before").await;
    assert_eq!(live.gaps(), []);

    rabbit.stop().await;
    eventually("the loss", async || !live.is_consuming()).await;
    assert!(!live.bindings.has(&[needed.binding()]));
    let while_away = actix_web::rt::spawn(live.demand.need(&[needed.binding()]));
    let before_ms = Live::now_ms();
    rabbit.start_again().await;
    assert!(while_away.await.unwrap().is_ok(), "a broker that comes back in time");
    live.await_consuming().await;
    let mut publisher = Publisher::connect(rabbit.uri()).await;
    assert!(needed.is_routed(&mut publisher, "after").await && !idle.is_routed(&mut publisher, "idle").await);
    live.eventually_heard("after").await;
    let gaps = live.gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].reason, GapReason::AmqpReconnect);
    assert!(gaps[0].since_ms < before_ms);
    assert_eq!(live.metrics.live_queue.reconnects.get(), 1);

    // A consumer that panicked is a new one; its successor tells of the gap as well.
    live.stop().await;
    live.start();
    eventually("a second gap", async || live.gaps().len() == 2).await;
    assert!(live.gaps()[1].since_ms >= gaps[0].since_ms);
    assert!(needed.is_routed(&mut publisher, "after all").await);
    live.eventually_heard("after all").await;
}

#[actix_web::test]
async fn live_queue_is_gone_with_its_server() {
    let uri = shared_broker_uri().await;
    let live = Live::on(&uri, unbind_after(AN_HOUR_MS)).await;
    let mut publisher = Publisher::connect(&uri).await;
    let kind = Kind::new();
    live.need(&kind.binding()).await;
    assert!(kind.is_routed(&mut publisher, "x").await);
    live.stop().await;
    eventually("no queue", async || !kind.is_routed(&mut publisher, "y").await).await;
}

#[actix_web::test]
async fn live_events_that_nobody_takes_are_bounded_and_the_newest_are_kept() {
    let uri = shared_broker_uri().await;
    let live = Live::on(&uri, |config| {
        config.amqp.live_prefetch = 1;
        config.amqp.live_queue_messages_max = 5;
    })
    .await;
    let mut publisher = Publisher::connect(&uri).await;
    let kind = Kind::new();
    live.need(&kind.binding()).await;
    live.hold();
    publisher.try_publish(&kind.message("0")).await.unwrap();
    live.eventually_heard("0").await;
    for id in 1..20 {
        publisher.try_publish(&kind.message(&id.to_string())).await.unwrap();
    }
    live.let_go();
    live.eventually_heard("19").await;
    assert_eq!(live.events(), ["0", "15", "16", "17", "18", "19"]);
    live.stop().await;
}
