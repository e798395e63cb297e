//! What the tests have in common that break things under load: small windows, chance, and how things break.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use actix_web::rt::time::sleep;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bridge::Bridge;
use super::calls::{CallEvent, call_events, calls_of, messages};
use super::endpoint::Endpoint;
use super::publisher::Publisher;

const PREFETCH: usize = 100;
const CONCURRENCY_MAX: usize = 64;
const WINDOW_MAX: usize = 128;

/// What one end of the server, or of its connection to the broker, may repeat at one endpoint.
pub const REPEATS_MAX: usize = PREFETCH + CONCURRENCY_MAX + WINDOW_MAX;

/// The longest that an endpoint may fail before a delivery with four retries is given up: 0.4 + 0.8 + 1.6 + 3.2
/// seconds at the least.
const OUTAGE_MAX_MS: u64 = 3_000;

/// Small windows, so that what they may repeat stays well below the number of events.
pub fn settings(uri: &str) -> Vec<(&str, &str)> {
    vec![
        ("amqp.uri", uri),
        ("amqp.prefetch", "100"),
        // What some queue got is to be in the one of the webhooks.
        ("channels.track", "false"),
        ("webhooks.concurrency_max", "64"),
        ("webhooks.window_max", "128"),
        ("webhooks.retry_base_ms", "800"),
    ]
}

/// What was chosen by chance can be chosen again: the seed is printed.
pub fn random() -> StdRng {
    let seed = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

pub fn random_ms(rng: &mut StdRng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

/// A server with so many deliveries in flight or pending is at work.
pub const AT_WORK: u64 = 100;

/// How long a kill waits for a server that is not at work yet: a busy machine may take its time.
const AT_WORK_WITHIN: Duration = Duration::from_secs(2);

/// Kills the server some random time from now, and returns how many deliveries were in flight or pending just before.
pub async fn kill_soon(bridge: &mut Bridge, rng: &mut StdRng, within_ms: Range<u64>) -> u64 {
    sleep(random_ms(rng, within_ms)).await;
    let load = bridge.load().await;
    bridge.server.sigkill();
    load
}

/// The same, a little later where the server is not at work by then.
pub async fn kill_at_work(bridge: &mut Bridge, rng: &mut StdRng, within_ms: Range<u64>) -> u64 {
    sleep(random_ms(rng, within_ms)).await;
    let since = Instant::now();
    loop {
        let load = bridge.load().await;
        if load > AT_WORK || since.elapsed() > AT_WORK_WITHIN {
            bridge.server.sigkill();
            return load;
        }
    }
}

/// The endpoint answers 500 for a while, then refuses connections for a while, and then is well again.
pub async fn outage(endpoint: &Endpoint, rng: &mut StdRng) {
    let [failing, refusing] = [(); 2].map(|()| random_ms(rng, OUTAGE_MAX_MS / 6..OUTAGE_MAX_MS / 2));
    endpoint.answer_with(500);
    sleep(failing).await;
    endpoint.go_down().await;
    sleep(refusing).await;
    endpoint.answer_with(200);
    endpoint.come_back().await;
}

/// A publication under way.
pub struct Publication {
    through: Rc<Cell<usize>>,
    task: JoinHandle<HashSet<usize>>,
}

impl Publication {
    pub fn start(uri: &str, events: &[CallEvent]) -> Self {
        let through = Rc::new(Cell::new(0));
        let (uri, messages, progress) = (uri.to_owned(), messages(events), Rc::clone(&through));
        let task = spawn(async move { Publisher::publish_surely(&uri, &messages, |count| progress.set(count)).await });
        Self { through, task }
    }

    /// How many events are in the queue, or were.
    pub fn through(&self) -> usize {
        self.through.get()
    }

    /// Waits for its end. The indices of the events that may have been published twice.
    pub async fn end(self) -> HashSet<usize> {
        self.task.await.unwrap()
    }
}

/// Waits until an event that is published now has arrived: the queue keeps its order, so that nothing is left in it.
pub async fn expect_empty_queue(bridge: &Bridge, uri: &str, account: &str, endpoints: &[Endpoint]) {
    bridge.expect_ready().await;
    let last = call_events(account, 1);
    Publication::start(uri, &last).end().await;
    for endpoint in endpoints {
        endpoint.expect_delivered(&calls_of(&last)).await;
    }
    bridge.expect_idle().await;
}
