//! The broker is stopped, killed and frozen while events flow: nothing is lost, and what comes twice is bounded.

use std::time::Duration;

use actix_web::rt::time::sleep;

use crate::support::bridge::Bridge;
use crate::support::calls::{CallEvent, call_events, calls_of};
use crate::support::chaos::{Publication, REPEATS_MAX, expect_empty_queue, outage, random, random_ms, settings};
use crate::support::endpoint::Endpoint;
use crate::support::eventually;
use crate::support::hook_server::Answer;
use crate::support::rabbit::Rabbit;

/// Twice what `amqp.heartbeat_s` is set to.
const NOTICED_AFTER: Duration = Duration::from_secs(2);

/// How the broker goes away, and comes back.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Stopped,
    Killed,
    /// For longer than the server puts up with.
    Frozen(Duration),
    /// For so short a time that the connection may outlive it.
    Hiccup(Duration),
}

impl Loss {
    async fn happen(self, rabbit: &Rabbit) {
        match self {
            Self::Stopped => rabbit.restart().await,
            Self::Killed => {
                rabbit.kill().await;
                rabbit.start_again().await;
            }
            Self::Frozen(time) | Self::Hiccup(time) => {
                rabbit.pause().await;
                sleep(time).await;
                rabbit.resume().await;
            }
        }
    }
}

#[actix_web::test]
async fn every_event_reaches_every_endpoint_whatever_becomes_of_the_broker() {
    const EVENTS: usize = 5_000;
    let mut rng = random();
    let rabbit = Rabbit::start().await;
    let mut settings = settings(rabbit.uri());
    settings.extend([
        ("amqp.heartbeat_s", "1"),
        ("amqp.reconnect_max_ms", "1000"),
        // A connection to a frozen broker is made, and says nothing.
        ("amqp.connect_timeout_ms", "2000"),
        ("webhooks.disable_disabler", "true"),
    ]);
    let mut bridge = Bridge::start(&settings).await;
    let account = bridge.create_account("broker").await;
    let endpoints = ["healthy", "slow", "recovering"].map(Endpoint::start);
    let [healthy, slow, recovering] = &endpoints;
    slow.answer_with(Answer::status(200).delayed(random_ms(&mut rng, 50..150)));
    for endpoint in &endpoints {
        bridge.put_hook(&account, endpoint).await;
    }
    bridge.expect_ready().await;

    let events = call_events(&account, EVENTS);
    let publication = Publication::start(rabbit.uri(), &events);
    let losses = [
        Loss::Frozen(NOTICED_AFTER + random_ms(&mut rng, 500..2_000)),
        Loss::Killed,
        Loss::Hiccup(random_ms(&mut rng, 100..1_500)),
        Loss::Stopped,
    ];
    let mut of_outage = random();
    let breaking = async {
        let mut loads = Vec::new();
        for (turn, loss) in losses.into_iter().enumerate() {
            let due = EVENTS / (losses.len() + 1) * turn;
            eventually("more events published", async || publication.through() > due).await;
            sleep(random_ms(&mut rng, 0..500)).await;
            loads.push((loss, bridge.load().await));
            loss.happen(&rabbit).await;
            bridge.expect_ready().await;
        }
        loads
    };
    let (loads, ()) = futures_util::join!(breaking, outage(recovering, &mut of_outage));
    let doubtful: Vec<CallEvent> = publication.end().await.into_iter().map(|index| events[index].clone()).collect();
    let doubtful = calls_of(&doubtful);
    println!("in flight or pending when the broker went away: {loads:?}; {} events published twice", doubtful.len());

    for endpoint in [healthy, recovering, slow] {
        endpoint.expect_delivered(&calls_of(&events)).await;
    }
    bridge.expect_idle().await;
    let reconnects = bridge.metric("hookswitch_amqp_reconnects_total").await;
    assert!(reconnects >= 3, "{reconnects} reconnects");
    bridge.server.sigterm();
    assert!(bridge.server.wait().await.success());
    bridge.start_again().await;
    expect_empty_queue(&bridge, rabbit.uri(), &account, &endpoints).await;

    for endpoint in &endpoints {
        let repeats = endpoint.repeats(&doubtful);
        println!("{}: {repeats} repeats, {} failed attempts", endpoint.name, endpoint.failures());
        assert!(repeats < losses.len() * REPEATS_MAX);
        endpoint.assert_ids_identify();
    }
}
