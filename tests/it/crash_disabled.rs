//! The server is killed while a hook fails until it is disabled: what was accepted before that is held, and arrives.

use actix_web::rt::time::sleep;

use crate::support::bridge::Bridge;
use crate::support::calls::{call_events, calls_of};
use crate::support::chaos::{Publication, kill_soon, random, random_ms, settings};
use crate::support::endpoint::Endpoint;
use crate::support::eventually;
use crate::support::hook_server::Answer;
use crate::support::rabbit::Rabbit;

/// What became of events at the Registry of the running server.
struct Handled {
    routed: u64,
    /// No enabled hook was there for them.
    unwanted: u64,
}

impl Handled {
    async fn of(bridge: &Bridge) -> Self {
        let count = async |result: &str| {
            bridge.metric(&format!("hookswitch_events_total{{exchange=\"callevt\",result=\"{result}\"}}")).await
        };
        Self { routed: count("routed").await, unwanted: count("unwanted").await }
    }

    /// Waits until the server has handled so many more than now `before`; how many of them nobody wanted.
    async fn expect(bridge: &Bridge, before: &Self, more: usize) -> u64 {
        eventually("every event handled", async || {
            let now = Self::of(bridge).await;
            now.routed + now.unwanted >= before.routed + before.unwanted + more as u64
        })
        .await;
        let now = Self::of(bridge).await;
        assert_eq!(now.routed + now.unwanted, before.routed + before.unwanted + more as u64, "some came twice");
        now.unwanted - before.unwanted
    }
}

#[actix_web::test]
async fn what_a_hook_accepted_before_it_was_disabled_arrives_once_it_is_enabled_again() {
    let mut rng = random();
    let rabbit = Rabbit::start().await;
    let mut settings = settings(rabbit.uri());
    // As good as never, until the account gets a number of its own.
    settings.extend([("webhooks.attempt_failure_count", "1000"), ("webhooks.attempt_failure_expiry_ms", "1")]);
    settings.push(("webhooks.retry_base_ms", "1500"));
    let mut bridge = Bridge::start(&settings).await;
    let account = bridge.create_account("failing").await;
    let failing = Endpoint::start("failing");
    failing.answer_with(500);
    let hook = bridge.put_hook(&account, &failing).await;
    // Keeps the queue bound while the other hook is disabled.
    let (other_account, other) = (bridge.create_account("other").await, Endpoint::start("other"));
    bridge.put_hook(&other_account, &other).await;
    bridge.expect_ready().await;

    // All of these are accepted: the endpoint saw them, however often the server was killed meanwhile.
    let accepted = call_events(&account, 600);
    let mut loads = Vec::new();
    for part in accepted.chunks(200) {
        Publication::start(rabbit.uri(), part).end().await;
        loads.push(kill_soon(&mut bridge, &mut rng, 0..600).await);
        bridge.start_again().await;
    }
    failing.expect_seen(&calls_of(&accepted)).await;
    bridge.expect_ready().await;
    // What the kills put back into the queue was ahead of this.
    let marker = call_events(&other_account, 1);
    Publication::start(rabbit.uri(), &marker).end().await;
    other.expect_delivered(&calls_of(&marker)).await;
    assert_eq!(bridge.hook(&account, &hook).await["enabled"], true);

    // Some of these come while it is being disabled: the hook gets all of them but those that the server counts.
    let mixed = call_events(&account, 400);
    let before = Handled::of(&bridge).await;
    let publication = Publication::start(rabbit.uri(), &mixed);
    eventually("the first of them", async || Handled::of(&bridge).await.routed > before.routed).await;
    sleep(random_ms(&mut rng, 0..100)).await;
    bridge.set_failures_max(&account, 1).await;
    eventually("a disabled hook", async || bridge.hook(&account, &hook).await["enabled"] == false).await;
    publication.end().await;
    let skipped = Handled::expect(&bridge, &before, mixed.len()).await;
    eventually("no request under way", async || bridge.load().await == bridge.pending(&hook).await).await;
    let held = bridge.pending(&hook).await;
    println!("{skipped} of {} events skipped, {held} deliveries held", mixed.len());

    // Held over a kill, the hook still disabled.
    loads.push(kill_soon(&mut bridge, &mut rng, 0..300).await);
    bridge.start_again().await;
    bridge.expect_ready().await;
    assert_eq!(bridge.hook(&account, &hook).await["disable_reason"], "too many failed attempts");
    assert_eq!(bridge.pending(&hook).await, held);
    let unwanted = call_events(&account, 100);
    let before = Handled::of(&bridge).await;
    Publication::start(rabbit.uri(), &unwanted).end().await;
    assert_eq!(Handled::expect(&bridge, &before, unwanted.len()).await, unwanted.len() as u64);

    failing.answer_with(Answer::status(200).delayed(random_ms(&mut rng, 20..60)));
    bridge.reenable_hooks(&account).await;
    loads.push(kill_soon(&mut bridge, &mut rng, 50..400).await);
    bridge.start_again().await;
    bridge.expect_idle().await;
    bridge.resend_dead(&account, &hook).await;
    bridge.expect_idle().await;
    println!("kills with so many in flight or pending: {loads:?}");

    let delivered = failing.delivered();
    assert!(delivered.is_superset(&calls_of(&accepted)), "{} of {} accepted", delivered.len(), accepted.len());
    assert!(delivered.is_disjoint(&calls_of(&unwanted)));
    assert_eq!(delivered.len() + skipped as usize, accepted.len() + mixed.len());
    failing.assert_ids_identify();
}
