//! The runs, and the table that they make.

use std::time::{Duration, Instant};

use super::floor;
use super::support::broker::Broker;
use super::support::measure::{cpu, memory_kib};
use super::support::publisher::{Events, Publisher};
use super::support::server::{self, Delays, Receiver, Settings};

/// Deliveries of each burst.
const DELIVERIES: usize = 20_000;
/// Deliveries of each paced round: 21 000 in all. With 1 000 hooks these are 7 events.
const PACED_DELIVERIES: usize = 7_000;
const PACED_PER_SECOND: f64 = 500.0;
const ROUNDS: usize = 3;
const HOOKS: [usize; 3] = [1, 10, 1_000];
/// hookswitch's default.
const PREFETCH: u16 = 500;
const QUEUE: &str = "bench";

pub fn run_all(selection: &[&str]) {
    let selected = |name: &str| selection.is_empty() || selection.contains(&name);
    let broker = Broker::start();
    println!("{:<44}{:>11}{:>10}{:>10}{:>10}{:>10}", "", "deliveries", "CPU us", "p50 ms", "p99 ms", "RSS MiB");
    println!("{:<44}{:>11}{:>10}", "", "per second", "each");
    for queue_type in ["classic", "quorum"] {
        for hooks in HOOKS {
            if selected(queue_type) && selected(&hooks.to_string()) {
                actix::System::new().block_on(deliveries(&broker, queue_type, hooks));
            }
        }
        if selected(queue_type) && selected("unwanted") {
            actix::System::new().block_on(unwanted(&broker, queue_type));
        }
    }
}

/// One line of the table.
struct Measured {
    per_second: f64,
    cpu_us: f64,
    delays: Option<Delays>,
    rss_kib: u64,
}

impl Measured {
    /// The one in the middle by its CPU time.
    fn middle(mut rounds: Vec<Self>) -> Self {
        rounds.sort_by(|one, other| one.cpu_us.total_cmp(&other.cpu_us));
        rounds.swap_remove(rounds.len() / 2)
    }
}

/// Deliveries, against a loop that consumes and posts. Both are there at once and take turns, each on a virtual host of
/// its own.
async fn deliveries(broker: &Broker, queue_type: &str, hooks: usize) {
    let name = format!("{queue_type}, {hooks} hooks");
    let mut receiver = Receiver::start();
    let urls: Vec<String> = (0..hooks).map(|hook| format!("{}/{hook}", receiver.url)).collect();
    let uri = broker.virtual_host(&format!("{name}: hookswitch"));
    let (running, api) = server::hookswitch(&Settings { uri: &uri, queue: QUEUE, queue_type }).await;
    for url in &urls {
        api.put_hook(url).await;
    }
    let ours = Bridge::new(running.pid(), &uri, &api.account, hooks).await;
    let warm_up = 20 * hooks.max(10);
    let body = ours.measure(&mut receiver, warm_up, None).await.delays.unwrap().body;

    let uri = broker.virtual_host(&format!("{name}: floor"));
    let running = floor::start("bridge", &floor_settings(&uri, queue_type, urls, body));
    let floor = Bridge::new(running.pid(), &uri, &api.account, hooks).await;
    floor.measure(&mut receiver, warm_up, None).await;

    for (kind, count, per_second) in [("burst", DELIVERIES, None), ("paced", PACED_DELIVERIES, Some(PACED_PER_SECOND))]
    {
        let (mut of_ours, mut of_floor) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_floor.push(floor.measure(&mut receiver, count, per_second).await);
            of_ours.push(ours.measure(&mut receiver, count, per_second).await);
        }
        print(&format!("{name}, {kind}"), of_ours, of_floor);
    }
}

/// Events that no hook wants, against a loop that consumes and acknowledges.
async fn unwanted(broker: &Broker, queue_type: &str) {
    let name = format!("{queue_type}, wanted by no hook");
    let uri = broker.virtual_host(&format!("{name}: hookswitch"));
    let (running, api) = server::hookswitch(&Settings { uri: &uri, queue: QUEUE, queue_type }).await;
    // Binds the queue; the events are another account's.
    api.put_hook("http://127.0.0.1:9/").await;
    let account = "0123456789abcdef0123456789abcdef";
    let ours = Drain::new(running.pid(), &uri, account).await;
    ours.measure(1_000).await;

    let uri = broker.virtual_host(&format!("{name}: floor"));
    let running = floor::start("ack", &floor_settings(&uri, queue_type, Vec::new(), String::new()));
    let floor = Drain::new(running.pid(), &uri, account).await;
    floor.measure(1_000).await;

    let (mut of_ours, mut of_floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_floor.push(floor.measure(DELIVERIES).await);
        of_ours.push(ours.measure(DELIVERIES).await);
    }
    print(&name, of_ours, of_floor);
}

fn floor_settings(uri: &str, queue_type: &str, urls: Vec<String>, body: String) -> floor::Settings {
    let (uri, queue, queue_type) = (uri.to_owned(), QUEUE.to_owned(), queue_type.to_owned());
    floor::Settings { uri, queue, queue_type, prefetch: PREFETCH, urls, body }
}

struct Bridge<'a> {
    server: u32,
    publisher: Publisher,
    account: &'a str,
    hooks: usize,
}

impl<'a> Bridge<'a> {
    async fn new(server: u32, uri: &str, account: &'a str, hooks: usize) -> Self {
        Self { server, publisher: Publisher::connect(uri).await, account, hooks }
    }

    async fn measure(&self, receiver: &mut Receiver, deliveries: usize, per_second: Option<f64>) -> Measured {
        let events = deliveries.div_ceil(self.hooks);
        let deliveries = events * self.hooks;
        // Deliveries are paced, so that with many hooks events are rare.
        let events_per_second = per_second.map(|rate| rate / self.hooks as f64);
        receiver.reset();
        let (started, cpu_before) = (Instant::now(), cpu(self.server));
        self.publisher.publish(&calls(&[self.account]), events, events_per_second).await;
        let delays = receiver.wait(deliveries);
        let elapsed = started.elapsed();
        // The last acknowledgements belong to it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let used = cpu(self.server) - cpu_before;
        Measured {
            per_second: deliveries as f64 / elapsed.as_secs_f64(),
            cpu_us: used.as_secs_f64() * 1e6 / deliveries as f64,
            delays: Some(delays),
            rss_kib: memory_kib(self.server).0,
        }
    }
}

struct Drain<'a> {
    server: u32,
    publisher: Publisher,
    account: &'a str,
}

impl<'a> Drain<'a> {
    async fn new(server: u32, uri: &str, account: &'a str) -> Self {
        Self { server, publisher: Publisher::connect(uri).await, account }
    }

    async fn measure(&self, events: usize) -> Measured {
        let (started, cpu_before) = (Instant::now(), cpu(self.server));
        self.publisher.publish(&calls(&[self.account]), events, None).await;
        while self.publisher.depth(QUEUE).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let elapsed = started.elapsed();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let used = cpu(self.server) - cpu_before;
        Measured {
            per_second: events as f64 / elapsed.as_secs_f64(),
            cpu_us: used.as_secs_f64() * 1e6 / events as f64,
            delays: None,
            rss_kib: memory_kib(self.server).0,
        }
    }
}

fn calls<'a>(accounts: &'a [&'a str]) -> Events<'a> {
    Events { name: "CHANNEL_CREATE", accounts, calls: &[] }
}

fn print(name: &str, ours: Vec<Measured>, floor: Vec<Measured>) {
    let (ours, floor) = (Measured::middle(ours), Measured::middle(floor));
    row(&format!("{name}: floor"), &floor);
    row(&format!("{name}: hookswitch"), &ours);
    ratio(&ours, &floor);
}

fn row(name: &str, measured: &Measured) {
    let Measured { per_second, cpu_us, delays, rss_kib } = measured;
    let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
    let (p50, p99) = delays.as_ref().map_or(("-".into(), "-".into()), |delays| (ms(delays.p50_ns), ms(delays.p99_ns)));
    println!("{name:<44}{per_second:>11.0}{cpu_us:>10.1}{p50:>10}{p99:>10}{:>10.1}", *rss_kib as f64 / 1024.0);
}

fn ratio(ours: &Measured, floor: &Measured) {
    let cpu = ours.cpu_us / floor.cpu_us;
    let p99 = match (&ours.delays, &floor.delays) {
        (Some(ours), Some(floor)) => format!("{:.2}", ours.p99_ns as f64 / floor.p99_ns as f64),
        _ => "-".into(),
    };
    println!("{:<44}{:>11}{cpu:>10.2}{:>10}{p99:>10}", "    ratio", "", "");
}
