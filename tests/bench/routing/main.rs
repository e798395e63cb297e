//! `scripts/bench --bench routing`: what it takes to find the sessions that an event goes to.
//!
//! A hundred thousand patterns, over one account and over ten thousand; the keys come in an order that no cache foresees.
//! The floor is one `HashMap` of the standard library that is asked for the same text, and knows neither accounts nor
//! wildcards. What counts is that a look-up takes less than 300 ns.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use hookswitch::ids::AccountId;
use hookswitch::routing::pattern::Pattern;
use hookswitch::routing::subscriptions::{Scope, Subscriptions, Topic};
use rand::seq::SliceRandom;
use rustix::time::{ClockId, clock_gettime};

const PATTERNS: usize = 100_000;
const EVENTS: [&str; 4] = ["CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_DESTROY"];
const LOOKUPS: usize = 2_000_000;

fn main() {
    println!("{PATTERNS} patterns; nanoseconds of CPU time per look-up, best of five");
    for accounts in [1, 10_000] {
        // Every other key is one that somebody asked for; one pattern in ten is a wildcard.
        let keys = keys(accounts);
        let (subscriptions, floor) = (subscriptions(accounts), floor());
        let mut found = Vec::new();
        let mut groups = 0_usize;
        let ours = best_of_five(|| {
            for (account, key) in keys.iter().cycle().take(LOOKUPS) {
                subscriptions.find(Some(*account), black_box(key), &mut found);
                groups += found.len();
            }
        });
        let floor = best_of_five(|| {
            for (_, key) in keys.iter().cycle().take(LOOKUPS) {
                black_box(floor.get(black_box(key)));
            }
        });
        let per_lookup = groups as f64 / (5 * LOOKUPS) as f64;
        println!(
            "  {accounts:>6} accounts: {ours:>5.0}   floor {floor:>5.0}   groups found per look-up {per_lookup:.2}"
        );
    }
}

fn account(n: usize) -> AccountId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    AccountId::from_bytes(bytes)
}

fn topic(n: usize) -> String {
    format!("call/{}.a84b4c76e66710-{n}%4010%2E0%2E0%2E1", EVENTS[n % EVENTS.len()])
}

fn subscriptions(accounts: usize) -> Subscriptions<u64> {
    let mut subscriptions = Subscriptions::default();
    for n in 0..PATTERNS {
        // The first of an account, so that in all accounts the same share is found.
        let text = if n < PATTERNS / 10 { format!("call/{}.*", EVENTS[n % EVENTS.len()]) } else { topic(n) };
        let key: Arc<str> = text.as_str().into();
        let topic = Topic { pattern: Pattern::parse(&text).unwrap(), subscription_key: Arc::clone(&key) };
        subscriptions.insert(n as u64, 0, Scope::Account(account(n % accounts)), &key, &[topic]);
    }
    subscriptions
}

fn floor() -> HashMap<String, usize> {
    (0..PATTERNS).map(|n| (topic(n), n)).collect()
}

fn keys(accounts: usize) -> Vec<(AccountId, String)> {
    let mut keys: Vec<_> = (0..2 * PATTERNS).map(|n| (account(n % accounts), topic(n))).collect();
    keys.shuffle(&mut rand::rng());
    keys
}

fn best_of_five(mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = thread_ns();
        run();
        (thread_ns() - start) as f64 / LOOKUPS as f64
    };
    (0..5).map(once).fold(f64::INFINITY, f64::min)
}

/// CPU time of this thread: what else the machine does shall not count.
fn thread_ns() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
