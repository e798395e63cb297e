//! The runs, and the table that they make.

use std::time::{Duration, Instant};

use super::floor;
use super::support::broker::{Broker, delete_queue, depth};
use super::support::measure::{cpu, memory_kib};
use super::support::publisher::{Events, Publisher};
use super::support::server::{self, Delays, Receiver, Settings};

/// Deliveries of each burst.
const DELIVERIES: usize = 20_000;
const PACED_DELIVERIES: usize = 5_000;
const PACED_PER_SECOND: u32 = 500;
const HOOKS: [usize; 3] = [1, 10, 1_000];
/// hookswitch's default.
const PREFETCH: u16 = 500;

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

async fn deliveries(broker: &Broker, queue_type: &str, hooks: usize) {
    let mut receiver = Receiver::start();
    let urls: Vec<String> = (0..hooks).map(|hook| format!("{}/{hook}", receiver.url)).collect();
    let publisher = Publisher::connect(&broker.uri).await;
    let queue = format!("hookswitch-{queue_type}-{hooks}");
    let settings = Settings { uri: &broker.uri, queue: &queue, queue_type };

    let (running, api) = server::hookswitch(&settings).await;
    for url in &urls {
        api.put_hook(url).await;
    }
    let under_test = Bridge { server: running.pid(), publisher: &publisher, account: &api.account, hooks };
    let warm_up = under_test.measure(&mut receiver, 20 * hooks.max(10), None).await;
    let burst = under_test.measure(&mut receiver, DELIVERIES, None).await;
    let paced = under_test.measure(&mut receiver, PACED_DELIVERIES, Some(PACED_PER_SECOND)).await;
    drop(running);
    delete_queue(&broker.uri, &queue).await;

    let floor_queue = format!("floor-{queue_type}-{hooks}");
    let floor_settings = floor::Settings {
        uri: broker.uri.clone(),
        queue: floor_queue.clone(),
        queue_type: queue_type.to_owned(),
        prefetch: PREFETCH,
        urls,
        body: warm_up.delays.unwrap().body,
    };
    let running = floor::start("bridge", &floor_settings);
    let floor = Bridge { server: running.pid(), publisher: &publisher, account: &api.account, hooks };
    floor.measure(&mut receiver, 20 * hooks.max(10), None).await;
    let floor_burst = floor.measure(&mut receiver, DELIVERIES, None).await;
    let floor_paced = floor.measure(&mut receiver, PACED_DELIVERIES, Some(PACED_PER_SECOND)).await;
    drop(running);
    delete_queue(&broker.uri, &floor_queue).await;

    let name = format!("{queue_type}, {hooks} hooks");
    row(&format!("{name}, burst: floor"), &floor_burst);
    row(&format!("{name}, burst: hookswitch"), &burst);
    ratio(&burst, &floor_burst);
    row(&format!("{name}, paced: floor"), &floor_paced);
    row(&format!("{name}, paced: hookswitch"), &paced);
    ratio(&paced, &floor_paced);
}

/// Events that no hook wants, against consuming and acknowledging alone.
async fn unwanted(broker: &Broker, queue_type: &str) {
    let publisher = Publisher::connect(&broker.uri).await;
    let queue = format!("hookswitch-{queue_type}-unwanted");
    let (running, api) = server::hookswitch(&Settings { uri: &broker.uri, queue: &queue, queue_type }).await;
    // Binds the queue; the events are another account's.
    api.put_hook("http://127.0.0.1:9/").await;
    let account = "0123456789abcdef0123456789abcdef";
    drain(broker, &publisher, running.pid(), account, &queue, 1_000).await;
    let ours = drain(broker, &publisher, running.pid(), account, &queue, DELIVERIES).await;
    drop(running);
    delete_queue(&broker.uri, &queue).await;

    let queue = format!("floor-{queue_type}-unwanted");
    let settings = floor::Settings {
        uri: broker.uri.clone(),
        queue: queue.clone(),
        queue_type: queue_type.to_owned(),
        prefetch: PREFETCH,
        urls: Vec::new(),
        body: String::new(),
    };
    let running = floor::start("ack", &settings);
    drain(broker, &publisher, running.pid(), account, &queue, 1_000).await;
    let floor = drain(broker, &publisher, running.pid(), account, &queue, DELIVERIES).await;
    drop(running);
    delete_queue(&broker.uri, &queue).await;
    row(&format!("{queue_type}, wanted by no hook: floor"), &floor);
    row(&format!("{queue_type}, wanted by no hook: hookswitch"), &ours);
    ratio(&ours, &floor);
}

struct Bridge<'a> {
    server: u32,
    publisher: &'a Publisher,
    account: &'a str,
    hooks: usize,
}

impl Bridge<'_> {
    async fn measure(&self, receiver: &mut Receiver, deliveries: usize, per_second: Option<u32>) -> Measured {
        let events = deliveries.div_ceil(self.hooks);
        let deliveries = events * self.hooks;
        // Deliveries are paced, so that with many hooks events are rare.
        let events_per_second = per_second.map(|rate| (rate / self.hooks as u32).max(1));
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

async fn drain(
    broker: &Broker,
    publisher: &Publisher,
    server: u32,
    account: &str,
    queue: &str,
    events: usize,
) -> Measured {
    let (started, cpu_before) = (Instant::now(), cpu(server));
    publisher.publish(&calls(&[account]), events, None).await;
    while depth(&broker.uri, queue).await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let elapsed = started.elapsed();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let used = cpu(server) - cpu_before;
    Measured {
        per_second: events as f64 / elapsed.as_secs_f64(),
        cpu_us: used.as_secs_f64() * 1e6 / events as f64,
        delays: None,
        rss_kib: memory_kib(server).0,
    }
}

fn calls<'a>(accounts: &'a [&'a str]) -> Events<'a> {
    Events { name: "CHANNEL_CREATE", accounts, calls: &[] }
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
