//! `scripts/bench soak [MINUTES]`: a day's work compressed: everything that a server does, at full speed, for 10 minutes
//! or as many as are given. Memory, descriptors, threads and files must not grow with the work done.
//!
//! The load ([`mix`]), the endpoints ([`endpoint`]) and a relay in front of the broker, by which the connection is cut
//! again and again ([`relay`]), are this process; the server under test and the broker have their own.

mod counts;
mod endpoint;
mod mix;
mod relay;
mod samples;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::counts::Counts;
use self::endpoint::Endpoint;
use self::mix::{Mix, QUEUE};
use self::relay::Relay;
use self::samples::{Sample, Samples};
use self::support::broker::Broker;
use self::support::server::{Api, command, start};

const MINUTES: f64 = 10.0;
const SAMPLE_EVERY: Duration = Duration::from_secs(2);

/// Where the server differs from its defaults: bounds that a day would reach are reached within the warm-up.
const SETTINGS: [(&str, &str); 11] = [
    ("AMQP__QUEUE", QUEUE),
    ("AMQP__QUEUE_TYPE", "classic"),
    ("AMQP__RECONNECT_MIN_MS", "100"),
    ("AMQP__RECONNECT_MAX_MS", "200"),
    ("WEBHOOKS__LOG_SUCCESSFUL_ATTEMPTS", "true"),
    ("WEBHOOKS__RETRY_BASE_MS", "500"),
    ("WEBHOOKS__DEAD_MAX", "100"),
    ("WEBHOOKS__ATTEMPTS_MAX", "50"),
    ("WEBHOOKS__CALLS_MAX", "10000"),
    ("CHANNELS__MAX", "10000"),
    ("WEBHOOKS__IDLE_MS", "1000"),
];

fn main() -> ExitCode {
    let argument = std::env::args().skip(1).find(|argument| argument != "--bench");
    let minutes = argument.map_or(Ok(MINUTES), |text| text.parse::<f64>());
    let Ok(minutes) = minutes else {
        eprintln!("usage: scripts/bench soak [MINUTES]");
        return ExitCode::FAILURE;
    };
    let broker = Broker::start();
    let samples = actix::System::new().block_on(soak(&broker, Duration::from_secs_f64(60.0 * minutes)));
    if samples.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn soak(broker: &Broker, length: Duration) -> Samples {
    let counts = Rc::new(Counts::default());
    let endpoint = Endpoint::start(Rc::clone(&counts)).await;
    let relay = Relay::start(&broker.uri).await;
    let directory = TempDir::new().unwrap();
    let mut command = command(directory.path());
    for (key, value) in SETTINGS {
        command.env(format!("HOOKSWITCH__{key}"), value);
    }
    command.env("HOOKSWITCH__AMQP__URI", relay.uri());
    // Meanwhile this thread is the relay.
    let started = tokio::task::spawn_blocking(move || start(command, directory, "consuming queue"));
    let (running, listening) = started.await.unwrap();
    let api = Api::authenticate(&listening.http, &running).await;
    let mix = Mix::start(&broker.uri, api, endpoint, relay, Rc::clone(&counts)).await;

    let (started, mut samples) = (Instant::now(), Samples::default());
    while started.elapsed() < length {
        tokio::time::sleep(SAMPLE_EVERY).await;
        samples.push(Sample::take(started.elapsed(), running.pid(), &running.data_dir()));
    }
    println!("{:.0} s; {counts}", started.elapsed().as_secs_f64());
    mix.print_metrics().await;
    samples
}
