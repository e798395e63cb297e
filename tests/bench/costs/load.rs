//! A server that starts with many hooks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::population::Population;
use super::support::measure::{bytes_in, cpu, memory_kib};
use super::support::server::{command, start};

const ACCOUNTS: usize = 10_000;
const HOOKS: usize = 100_000;
/// Levels of accounts; each account has about as many children as this leads to.
const CHILDREN: usize = 3;
const READY_TARGET: Duration = Duration::from_secs(10);
const KIB_TARGET: f64 = 4.0;

pub fn run() {
    println!("{:<40}{:>10}{:>10}{:>12}{:>12}", "", "ready s", "RSS MiB", "disk MiB", "CPU ms");
    println!("{:<40}{:>10}{:>10}{:>12}{:>12}", "", "", "", "", "idle, per s");
    let empty = measure("an empty server", &Population::default());
    measure(&format!("{ACCOUNTS} accounts"), &population(0));
    let full = measure(&format!("{ACCOUNTS} accounts, {HOOKS} hooks"), &population(HOOKS));
    let each = (full.rss_kib - empty.rss_kib) as f64 / HOOKS as f64;
    println!(
        "memory per hook, its share of the accounts included: {each:.2} KiB (at most {KIB_TARGET:.0}: {})",
        verdict(each <= KIB_TARGET)
    );
    println!(
        "ready after {:.2} s (under {} s: {})\n",
        full.ready.as_secs_f64(),
        READY_TARGET.as_secs(),
        verdict(full.ready < READY_TARGET)
    );
}

struct Measured {
    ready: Duration,
    rss_kib: u64,
}

fn measure(name: &str, population: &Population) -> Measured {
    let directory = TempDir::new().unwrap();
    population.import(directory.path());
    let data = directory.path().join("data");
    let started = Instant::now();
    let (running, _) = start(command(directory.path()), directory, " ready");
    let ready = started.elapsed();
    // What was needed for the start alone has been given back by then.
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu(running.pid());
    std::thread::sleep(Duration::from_secs(5));
    let idle = (cpu(running.pid()) - before) / 5;
    let rss_kib = memory_kib(running.pid()).0;
    println!(
        "{name:<40}{:>10.2}{:>10.1}{:>12.1}{:>12.1}",
        ready.as_secs_f64(),
        rss_kib as f64 / 1024.0,
        bytes_in(&data) as f64 / f64::from(1 << 20),
        idle.as_secs_f64() * 1e3
    );
    Measured { ready, rss_kib }
}

/// A tree in which every account has its share of the hooks, of the kinds that customers have.
fn population(hooks: usize) -> Population {
    let mut population = Population::default();
    let mut accounts: Vec<String> = Vec::with_capacity(ACCOUNTS);
    for number in 0..ACCOUNTS {
        let parent = (number > 0).then(|| accounts[(number - 1) / CHILDREN].clone());
        accounts.push(population.account(parent.as_deref()));
    }
    for number in 0..hooks {
        let uri = format!("https://hooks.customer{number}.example.com/kazoo/calls?tenant={number}");
        // Those of one account differ.
        population.hook(&accounts[number % ACCOUNTS], &uri, fields(number / ACCOUNTS, number));
    }
    population
}

fn fields(kind: usize, number: usize) -> Value {
    let custom = json!({"crm": "salesforce", "tenant": format!("t{number}")});
    match kind % 5 {
        0 => json!({"hook": "channel_create", "custom_data": custom}),
        1 => json!({"hook": "channel_answer"}),
        2 => json!({"hook": "channel_destroy", "custom_data": custom, "include_subaccounts": true}),
        3 => json!({"hook": "notifications", "custom_data": {"type": "voicemail_new"}}),
        _ => json!({"hook": "all"}),
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "DOES NOT HOLD" }
}
