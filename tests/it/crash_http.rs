//! Without a broker the answer to a POST is all that a publisher has: what was answered with 202 survives a kill.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::api::Api;
use crate::support::bridge::Bridge;
use crate::support::calls::{CallEvent, call_events};
use crate::support::chaos::{REPEATS_MAX, kill_soon, random, random_ms};
use crate::support::endpoint::Endpoint;
use crate::support::hook_server::Answer;

/// Posts one list after the other, none of them twice, and returns the calls that were accepted with the ids of their
/// events. What is not answered, or with something else, may arrive or not.
async fn post_all(api: &Api, account: &str, lists: &[&[CallEvent]], accepted: &RefCell<HashMap<String, String>>) {
    for list in lists {
        let payloads: Vec<&Value> = list.iter().map(|event| &event.payload).collect();
        match api.post_events(account, &payloads).await {
            Some(ids) => accepted.borrow_mut().extend(list.iter().map(|event| event.call.clone()).zip(ids)),
            // It was killed, most likely.
            None => api.expect_answer().await,
        }
    }
}

#[actix_web::test]
async fn what_was_answered_with_202_survives_a_kill() {
    let mut rng = random();
    let mut bridge = Bridge::start(&[("webhooks.ack_hold_ms", "100"), ("webhooks.concurrency_max", "64")]).await;
    let account = bridge.create_account("posted").await;
    let endpoints = ["healthy", "slow"].map(Endpoint::start);
    endpoints[1].answer_with(Answer::status(200).delayed(random_ms(&mut rng, 150..300)));
    for endpoint in &endpoints {
        bridge.put_hook(&account, endpoint).await;
    }

    let events = call_events(&account, 3_000);
    let lists: Vec<&[CallEvent]> = events.chunks(10).collect();
    let accepted = RefCell::default();
    let api = bridge.api();
    let posters = lists.chunks(lists.len() / 4).map(|lists| post_all(&api, &account, lists, &accepted));
    let kills = async {
        let mut loads = Vec::new();
        while loads.len() < 5 || loads.iter().all(|load| *load <= 100) {
            loads.push(kill_soon(&mut bridge, &mut rng, 200..800).await);
            assert!(loads.len() <= 20, "the server was idle when it was killed: {loads:?}");
            bridge.start_again().await;
        }
        loads
    };
    let (loads, _) = futures_util::join!(kills, join_all(posters));
    let accepted = accepted.into_inner();
    println!("{} of {} events accepted, in flight or pending at the kills: {loads:?}", accepted.len(), events.len());
    assert!(!accepted.is_empty());

    let calls: HashSet<String> = accepted.keys().cloned().collect();
    for endpoint in &endpoints {
        endpoint.expect_delivered(&calls).await;
        endpoint.assert_ids(&accepted);
        let repeats = endpoint.repeats(&HashSet::new());
        println!("{}: {repeats} repeats", endpoint.name);
        // Nothing comes again from a broker, so that only what was under way can.
        assert!(repeats <= loads.len() * REPEATS_MAX);
    }
    bridge.expect_idle().await;
}

#[actix_web::test]
async fn server_that_was_killed_in_its_first_start_starts() {
    let mut rng = random();
    for _ in 0..8 {
        let mut bridge = Bridge::start_after_kill(&[], random_ms(&mut rng, 0..150)).await;
        let account = bridge.create_account("first").await;
        bridge.server.sigkill();
        bridge.start_again().await;
        bridge.expect_account(&account).await;
    }
}
