//! One account, or one among ten thousand.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::population::Population;
use super::support::broker::{Broker, depth};
use super::support::measure::cpu;
use super::support::publisher::{Events, Publisher};
use super::support::server::{Receiver, Running, command, start};

const ACCOUNTS: usize = 10_000;
const LEVELS: usize = 10;
/// Levels, from the top, whose account has a hook that takes the events of all accounts below.
const LISTENING: [usize; 3] = [1, 4, 7];
const QUEUE: &str = "hookswitch";
const ROUNDS: usize = 6;
/// Events in each round, for each server.
const WANTED: usize = 4_000;
const UNWANTED: usize = 20_000;

/// Who is there, and whose events come.
struct Layout {
    name: &'static str,
    population: Population,
    callers: Vec<String>,
}

struct Server {
    name: &'static str,
    callers: Vec<String>,
    running: Running,
    publisher: Publisher,
    receiver: Receiver,
    uri: String,
    wanted: Duration,
    unwanted: Duration,
}

pub fn run() {
    let broker = Broker::start();
    actix::System::new().block_on(async {
        let mut servers = Vec::new();
        for layout in [one, flat, deep] {
            servers.push(Server::start(&broker, layout).await);
        }
        // The servers by turns, so that whatever else the machine does meets all of them.
        for round in 0..=ROUNDS {
            for server in &mut servers {
                let (wanted, unwanted) = server.round().await;
                // The first one opens connections and fills caches.
                if round > 0 {
                    server.wanted += wanted;
                    server.unwanted += unwanted;
                }
            }
        }
        print(&servers);
    });
}

impl Server {
    async fn start(broker: &Broker, layout: fn(&str) -> Layout) -> Self {
        let receiver = Receiver::start();
        let Layout { name, population, callers } = layout(&receiver.url);
        let directory = TempDir::new().unwrap();
        population.import(directory.path());
        let uri = broker.virtual_host(name.split(' ').next().unwrap());
        let mut command = command(directory.path());
        command
            .env("HOOKSWITCH__AMQP__URI", &uri)
            .env("HOOKSWITCH__AMQP__QUEUE", QUEUE)
            .env("HOOKSWITCH__AMQP__QUEUE_TYPE", "classic");
        let (running, _) = start(command, directory, "consuming queue");
        let publisher = Publisher::connect(&uri).await;
        let none = Duration::ZERO;
        Self { name, callers, running, publisher, receiver, uri, wanted: none, unwanted: none }
    }

    /// The CPU time of events that three hooks take, and of events that none does.
    async fn round(&mut self) -> (Duration, Duration) {
        let callers: Vec<&str> = self.callers.iter().map(String::as_str).collect();
        self.receiver.reset();
        let before = cpu(self.running.pid());
        self.publisher.publish(&Events { name: "CHANNEL_CREATE", accounts: &callers, calls: &[] }, WANTED, None).await;
        self.receiver.wait(WANTED * LISTENING.len());
        let between = self.settled().await;
        self.publisher
            .publish(&Events { name: "CHANNEL_ANSWER", accounts: &callers, calls: &[] }, UNWANTED, None)
            .await;
        let after = self.settled().await;
        (between - before, after - between)
    }

    /// Its CPU time once everything is consumed and acknowledged.
    async fn settled(&self) -> Duration {
        let deadline = Instant::now() + Duration::from_secs(60);
        while depth(&self.uri, QUEUE).await > 0 {
            assert!(Instant::now() < deadline, "{} does not consume", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        cpu(self.running.pid())
    }
}

/// The only account has the hooks itself.
fn one(receiver: &str) -> Layout {
    let mut population = Population::default();
    let account = population.account(None);
    unmatched(&mut population, &account);
    for level in LISTENING {
        listening(&mut population, &account, receiver, level);
    }
    stranger(&mut population);
    Layout { name: "one account", population, callers: vec![account] }
}

/// All accounts are children of one, which has the hooks.
fn flat(receiver: &str) -> Layout {
    let mut population = Population::default();
    let parent = population.account(None);
    for level in LISTENING {
        listening(&mut population, &parent, receiver, level);
    }
    let callers: Vec<String> = (1..ACCOUNTS).map(|_| population.account(Some(&parent))).collect();
    callers.iter().for_each(|account| unmatched(&mut population, account));
    stranger(&mut population);
    Layout { name: "flat 10000", population, callers }
}

/// All but one account of each level are on the lowest; each has nine above it in the tree, three of them with a hook.
fn deep(receiver: &str) -> Layout {
    let mut population = Population::default();
    let mut parent: Option<String> = None;
    for level in 1..LEVELS {
        let account = population.account(parent.as_deref());
        unmatched(&mut population, &account);
        if LISTENING.contains(&level) {
            listening(&mut population, &account, receiver, level);
        }
        parent = Some(account);
    }
    let lowest = LEVELS..=ACCOUNTS;
    let callers: Vec<String> = lowest.map(|_| population.account(parent.as_deref())).collect();
    callers.iter().for_each(|account| unmatched(&mut population, account));
    stranger(&mut population);
    Layout { name: "tree of 10000, ten deep", population, callers }
}

/// Takes the events of its account and of those below.
fn listening(population: &mut Population, account: &str, receiver: &str, level: usize) {
    let fields = json!({"hook": "channel_create", "include_subaccounts": true});
    population.hook(account, &format!("{receiver}/{level}"), fields);
}

/// One that is looked at and takes none of these events.
fn unmatched(population: &mut Population, account: &str) {
    population.hook(account, "http://127.0.0.1:9/", json!({"hook": "channel_destroy", "include_subaccounts": true}));
}

/// Somebody else's hook, for which the broker sends the events that nobody takes.
fn stranger(population: &mut Population) {
    let stranger = population.account(None);
    population.hook(&stranger, "http://127.0.0.1:9/", json!({"hook": "channel_answer"}));
}

fn print(servers: &[Server]) {
    println!("{:<40}{:>20}{:>8}{:>20}{:>8}", "CPU us per event", "taken by 3 hooks", "ratio", "taken by none", "ratio");
    let each = |total: Duration, events: usize| total.as_secs_f64() * 1e6 / (events * ROUNDS) as f64;
    let of = |server: &Server| (each(server.wanted, WANTED), each(server.unwanted, UNWANTED));
    let (wanted_by_one, unwanted_by_one) = of(&servers[0]);
    for server in servers {
        let (wanted, unwanted) = of(server);
        println!(
            "{:<40}{wanted:>20.1}{:>8.2}{unwanted:>20.1}{:>8.2}",
            server.name,
            wanted / wanted_by_one,
            unwanted / unwanted_by_one
        );
    }
}
