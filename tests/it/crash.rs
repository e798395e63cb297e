//! The server is killed while it works: nothing that it accepted is lost, and what comes twice is bounded.

use std::collections::HashSet;

use crate::support::bridge::Bridge;
use crate::support::calls::{call_events, calls_of};
use crate::support::chaos::{
    AT_WORK, Publication, REPEATS_MAX, expect_empty_queue, kill_at_work, outage, random, random_ms, settings,
};
use crate::support::endpoint::Endpoint;
use crate::support::hook_server::Answer;
use crate::support::rabbit::Rabbit;

#[actix_web::test]
async fn every_event_reaches_every_endpoint_whenever_the_server_is_killed() {
    const EVENTS: usize = 5_000;
    let mut rng = random();
    let rabbit = Rabbit::start().await;
    let mut settings = settings(rabbit.uri());
    settings.push(("webhooks.disable_disabler", "true"));
    let mut bridge = Bridge::start(&settings).await;
    let account = bridge.create_account("crash").await;
    let endpoints = ["healthy", "slow", "recovering"].map(Endpoint::start);
    let [healthy, slow, recovering] = &endpoints;
    slow.answer_with(Answer::status(200).delayed(random_ms(&mut rng, 50..200)));
    for endpoint in &endpoints {
        bridge.put_hook(&account, endpoint).await;
    }
    bridge.expect_ready().await;

    let events = call_events(&account, EVENTS);
    let publication = Publication::start(rabbit.uri(), &events);
    let mut of_outage = random();
    let kills = async {
        let mut loads = Vec::new();
        while loads.len() < 6 || loads.iter().filter(|load| **load > AT_WORK).count() < 3 {
            loads.push(kill_at_work(&mut bridge, &mut rng, 200..1_200).await);
            assert!(loads.len() <= 20, "the server was idle when it was killed: {loads:?}");
            bridge.start_again().await;
        }
        // And once before it is ready.
        bridge.server.sigkill();
        bridge.start_and_kill(random_ms(&mut rng, 0..150)).await;
        bridge.start_again().await;
        loads
    };
    let (loads, ()) = futures_util::join!(kills, outage(recovering, &mut of_outage));
    assert!(publication.end().await.is_empty(), "the broker was there all the time");

    for endpoint in [healthy, recovering, slow] {
        endpoint.expect_delivered(&calls_of(&events)).await;
    }
    bridge.expect_idle().await;
    bridge.server.sigterm();
    assert!(bridge.server.wait().await.success());
    bridge.start_again().await;
    expect_empty_queue(&bridge, rabbit.uri(), &account, &endpoints).await;

    let kills = loads.len() + 2;
    println!("{kills} kills, in flight or pending at them: {loads:?}, and two around the start");
    for endpoint in &endpoints {
        let repeats = endpoint.repeats(&HashSet::new());
        println!("{}: {repeats} repeats, {} failed attempts", endpoint.name, endpoint.failures());
        assert!(repeats < kills * REPEATS_MAX);
        endpoint.assert_ids_identify();
    }
}
