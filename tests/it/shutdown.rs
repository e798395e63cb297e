//! The server is asked to end: it does so in time and in good order, and the next start goes on where it stopped.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::bridge::Bridge;
use crate::support::calls::{CallEvent, call_events, calls_of};
use crate::support::chaos::{Publication, expect_empty_queue, settings};
use crate::support::endpoint::Endpoint;
use crate::support::eventually;
use crate::support::hook_server::{Answer, Manner};
use crate::support::process::ServerProcess;
use crate::support::rabbit::Rabbit;

/// `node.shutdown_grace_ms` where nothing else is set.
const GRACE: Duration = Duration::from_secs(10);

/// For the start of the end, and for a slow machine.
const MARGIN: Duration = Duration::from_secs(5);

/// Puts what waits on disk soon, so that there is more under way than the broker hands out.
fn hasty(uri: &str) -> Vec<(&str, &str)> {
    let mut settings = settings(uri);
    settings.push(("webhooks.ack_hold_ms", "100"));
    settings
}

/// Waits for the end of a server that was asked to, within its grace period.
async fn expect_end(server: &mut ServerProcess, grace: Duration) {
    let asked = Instant::now();
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() < grace + MARGIN, "{:?}\n{}", asked.elapsed(), server.log());
}

/// Some were delivered, and many are still to be.
async fn expect_load(bridge: &Bridge, endpoint: &Endpoint) {
    let already = endpoint.delivered().len();
    eventually("a load", async || bridge.load().await > 100 && endpoint.delivered().len() > already).await;
}

#[actix_web::test]
async fn server_that_ends_under_load_leaves_the_rest_to_the_next_start() {
    let rabbit = Rabbit::start().await;
    let mut bridge = Bridge::start(&hasty(rabbit.uri())).await;
    let account = bridge.create_account("ending").await;
    let endpoints = ["healthy", "slow"].map(Endpoint::start);
    endpoints[1].answer_with(Answer::status(200).delayed(Duration::from_millis(150)));
    for endpoint in &endpoints {
        bridge.put_hook(&account, endpoint).await;
    }
    bridge.expect_ready().await;

    for ask in [ServerProcess::sigterm, ServerProcess::sigint] {
        let events = call_events(&account, 1_000);
        let publication = Publication::start(rabbit.uri(), &events);
        expect_load(&bridge, &endpoints[1]).await;
        ask(&bridge.server);
        expect_end(&mut bridge.server, GRACE).await;
        assert!(!endpoints[1].delivered().is_superset(&calls_of(&events)), "nothing was left to do");
        let log = bridge.server.log();
        let (_, end) = log.split_once("stopping").unwrap();
        assert!(end.ends_with("stopped") && !end.contains("ERROR") && !end.contains("consuming"), "{end}");
        publication.end().await;

        bridge.start_again().await;
        for endpoint in &endpoints {
            endpoint.expect_delivered(&calls_of(&events)).await;
        }
        bridge.expect_idle().await;
    }
    expect_empty_queue(&bridge, rabbit.uri(), &account, &endpoints).await;
    for endpoint in &endpoints {
        // Requests under way came to their end, and what they delivered was acknowledged.
        assert_eq!(endpoint.repeats(&HashSet::new()), 0, "{}", endpoint.name);
    }
}

#[actix_web::test]
async fn server_ends_and_starts_in_time_while_the_broker_is_away_or_frozen() {
    let rabbit = Rabbit::start().await;
    let mut bridge = Bridge::start(&hasty(rabbit.uri())).await;
    let account = bridge.create_account("ending").await;
    let endpoint = Endpoint::start("slow");
    endpoint.answer_with(Answer::status(200).delayed(Duration::from_millis(150)));
    bridge.put_hook(&account, &endpoint).await;
    bridge.expect_ready().await;

    let events = call_events(&account, 1_000);
    let publication = Publication::start(rabbit.uri(), &events);
    expect_load(&bridge, &endpoint).await;
    rabbit.pause().await;
    bridge.server.sigterm();
    expect_end(&mut bridge.server, GRACE).await;
    rabbit.resume().await;
    publication.end().await;

    bridge.start_again().await;
    bridge.expect_ready().await;
    rabbit.kill().await;
    bridge.server.expect_log("the connection to the broker is lost").await;
    bridge.server.sigterm();
    expect_end(&mut bridge.server, GRACE).await;

    // What is in the store needs no broker.
    bridge.start_again().await;
    bridge.expect_idle().await;
    rabbit.start_again().await;
    endpoint.expect_delivered(&calls_of(&events)).await;
    expect_empty_queue(&bridge, rabbit.uri(), &account, &[endpoint]).await;
}

#[actix_web::test]
async fn endpoint_that_hangs_does_not_hold_up_the_end() {
    const GRACE: Duration = Duration::from_secs(2);
    let mut bridge = Bridge::start(&[("node.shutdown_grace_ms", "2000"), ("webhooks.ack_hold_ms", "50")]).await;
    let account = bridge.create_account("ending").await;
    let endpoint = Endpoint::start("hanging");
    endpoint.answer_with(Answer::manner(Manner::Hang));
    let hook = bridge.put_hook(&account, &endpoint).await;
    let events = call_events(&account, 100);
    let payloads: Vec<&Value> = events.iter().map(|event| &event.payload).collect();
    bridge.post_events(&account, &payloads).await.unwrap();
    eventually("requests under way", async || endpoint.seen().len() == 64).await;
    assert_eq!(bridge.pending(&hook).await, 100);
    bridge.server.sigterm();
    expect_end(&mut bridge.server, GRACE).await;

    endpoint.answer_with(200);
    bridge.start_again().await;
    endpoint.expect_delivered(&calls_of(&events)).await;
    bridge.expect_idle().await;
    assert_eq!(endpoint.repeats(&HashSet::new()), 0);
}

#[actix_web::test]
async fn posts_that_wait_for_a_delivery_when_the_server_ends_are_answered_and_their_events_arrive() {
    let settings = [
        ("node.shutdown_grace_ms", "2000"),
        // Nothing is written down before the end.
        ("webhooks.ack_hold_ms", "60000"),
        ("webhooks.concurrency_max", "200"),
    ];
    let mut bridge = Bridge::start(&settings).await;
    let account = bridge.create_account("ending").await;
    let endpoint = Endpoint::start("hanging");
    endpoint.answer_with(Answer::manner(Manner::Hang));
    bridge.put_hook(&account, &endpoint).await;
    let events = call_events(&account, 150);
    let api = bridge.api();
    let posts = events.chunks(5).map(|list| {
        let payloads: Vec<&Value> = list.iter().map(|event| &event.payload).collect();
        let (api, account) = (&api, &account);
        async move { api.post_events(account, &payloads).await }
    });
    let end = async {
        eventually("requests under way", async || endpoint.seen().len() == events.len()).await;
        bridge.server.sigterm();
        expect_end(&mut bridge.server, Duration::from_secs(2)).await;
    };
    let (answers, ()) = futures_util::join!(join_all(posts), end);
    let ids: Vec<String> = answers.into_iter().flat_map(|ids| ids.expect("202")).collect();

    endpoint.answer_with(200);
    bridge.start_again().await;
    endpoint.expect_delivered(&calls_of(&events)).await;
    endpoint.assert_ids(&events.iter().map(|event| event.call.clone()).zip(ids).collect());
}

/// Posts events one by one until the server is gone. The calls that were accepted with the ids of their events.
async fn post_until_gone(api: &Api, account: &str, events: &[CallEvent], accepted: &RefCell<HashMap<String, String>>) {
    let path = format!("/v2/accounts/{account}/events");
    for event in events {
        let answer = api.try_call(Method::POST, &path, &json!({ "payload": event.payload })).await;
        match answer {
            Some((202, envelope)) => {
                let id = envelope["data"]["event_ids"][0].as_str().unwrap().to_owned();
                accepted.borrow_mut().insert(event.call.clone(), id);
            }
            Some((status, envelope)) => assert_eq!(status, 503, "{envelope}"),
            None => return,
        }
    }
    panic!("the server was still there after {} events", events.len());
}

#[actix_web::test]
async fn posts_that_come_while_the_server_ends_are_accepted_for_good_or_refused() {
    let mut bridge = Bridge::start(&[("node.shutdown_grace_ms", "4000"), ("webhooks.ack_hold_ms", "50")]).await;
    let account = bridge.create_account("ending").await;
    let endpoint = Endpoint::start("slow");
    endpoint.answer_with(Answer::status(200).delayed(Duration::from_millis(30)));
    bridge.put_hook(&account, &endpoint).await;
    let events = call_events(&account, 40_000);
    let accepted = RefCell::default();
    let api = bridge.api();
    let posts = events.chunks(10_000).map(|events| post_until_gone(&api, &account, events, &accepted));
    let end = async {
        eventually("deliveries", async || endpoint.delivered().len() > 50).await;
        bridge.server.sigterm();
        expect_end(&mut bridge.server, Duration::from_secs(4)).await;
    };
    futures_util::join!(join_all(posts), end);
    let accepted = accepted.into_inner();
    assert!(accepted.len() > 50);

    bridge.start_again().await;
    endpoint.expect_delivered(&accepted.keys().cloned().collect()).await;
    endpoint.assert_ids(&accepted);
    bridge.expect_idle().await;
    assert_eq!(endpoint.repeats(&HashSet::new()), 0);
}
