//! What is measured: hookswitch or the floor, with clients on it.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::clients::{self, Came};
use super::floor;
use super::support::measure::{cpu, memory_kib, monotonic_ns};
use super::support::publisher::{Events, Publisher};
use super::support::server::{self, Api, Helper, Running};

/// hookswitch's defaults.
pub const LIVE_PREFETCH: u16 = 1_000;
pub const WORKERS: usize = 2;

/// It is told in steps of 10 ms.
const CPU_MIN: Duration = Duration::from_millis(200);

/// For which events each socket asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// All for the same.
    One,
    /// Each for those of a call of its own.
    Distinct,
}

#[derive(Clone, Copy)]
pub struct Crowd {
    pub sockets: usize,
    /// Further ones, which read nothing.
    pub stalled: usize,
    pub keys: Keys,
}

/// With what it runs; dropped with it.
enum Process {
    Hookswitch(#[expect(dead_code, reason = "it ends when it is dropped")] Running),
    Floor(#[expect(dead_code, reason = "as above")] Helper),
}

pub struct Subject {
    server: u32,
    publisher: Publisher,
    clients: Helper,
    crowd: Crowd,
    account: String,
    calls: Vec<String>,
    /// Resident memory that one idle socket added.
    pub idle_kib: f64,
    _process: Process,
}

/// One line of the table.
pub struct Measured {
    pub per_second: f64,
    /// Of a frame. `None` where all of them together took too little to tell.
    pub cpu_us: Option<f64>,
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// At its highest, since the server's start.
    pub peak_kib: u64,
    /// Frames that should have come and did not.
    pub missing: usize,
    /// Sockets that were closed.
    pub closed: usize,
    pub example: String,
}

impl Subject {
    pub async fn hookswitch(uri: &str, crowd: Crowd, settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = server::command(directory.path());
        command
            .env("HOOKSWITCH__AMQP__URI", uri)
            .env("HOOKSWITCH__AMQP__QUEUE_TYPE", "classic")
            .env("HOOKSWITCH__CHANNELS__TRACK", "false")
            .env("HOOKSWITCH__WEBSOCKETS__BIND", "127.0.0.1:0")
            .env("HOOKSWITCH__WEBSOCKETS__MAX_CONNECTIONS_PER_ACCOUNT", "0");
        for (key, value) in settings {
            command.env(format!("HOOKSWITCH__{key}"), value);
        }
        let (running, listening) = server::start(command, directory, "consuming live queue");
        let api = Api::authenticate(&listening.http, &running).await;
        let binding = match crowd.keys {
            Keys::One => "call.CHANNEL_CREATE.*",
            Keys::Distinct => "call.CHANNEL_CREATE.bench-{}",
        };
        let subscribe = json!({"action": "subscribe", "auth_token": api.token, "request_id": "1",
            "data": {"account_id": api.account, "binding": binding}});
        let clients = clients::Settings {
            address: listening.websockets,
            sockets: crowd.sockets,
            stalled: crowd.stalled,
            path: "/".into(),
            subscribe: subscribe.to_string(),
        };
        Self::with_clients(uri, running.pid(), Process::Hookswitch(running), &clients, crowd, api.account).await
    }

    pub async fn floor(uri: &str, crowd: Crowd, example: &str) -> Self {
        let settings = floor::Settings {
            uri: uri.to_owned(),
            prefetch: LIVE_PREFETCH,
            workers: WORKERS,
            example: example.to_owned(),
        };
        let mut floor = Helper::start(&["floor", &json!(settings).to_string()]);
        let room = match crowd.keys {
            Keys::One => "/all",
            Keys::Distinct => "/bench-{}",
        };
        let clients = clients::Settings {
            address: floor.answer(),
            sockets: crowd.sockets,
            stalled: crowd.stalled,
            path: room.into(),
            subscribe: String::new(),
        };
        Self::with_clients(uri, floor.pid(), Process::Floor(floor), &clients, crowd, "0".repeat(32)).await
    }

    async fn with_clients(
        uri: &str,
        server: u32,
        process: Process,
        settings: &clients::Settings,
        crowd: Crowd,
        account: String,
    ) -> Self {
        let before_kib = memory_kib(server).0;
        let mut clients = Helper::start(&["clients", &json!(settings).to_string()]);
        assert_eq!(clients.answer(), "open");
        let more_kib = memory_kib(server).0.saturating_sub(before_kib);
        let calls = match crowd.keys {
            Keys::One => Vec::new(),
            Keys::Distinct => (0..crowd.sockets).map(|number| format!("bench-{number}")).collect(),
        };
        let idle_kib = more_kib as f64 / (crowd.sockets + crowd.stalled) as f64;
        let publisher = Publisher::connect(uri).await;
        Self { server, publisher, clients, crowd, account, calls, idle_kib, _process: process }
    }

    /// Publishes so many events, as fast as the broker takes them, or so many a second.
    pub async fn measure(&mut self, events: usize, per_second: Option<f64>) -> Measured {
        let expected = match self.crowd.keys {
            Keys::One => events * self.crowd.sockets,
            Keys::Distinct => events,
        };
        self.clients.ask("reset");
        let (started_ns, cpu_before) = (monotonic_ns(), cpu(self.server));
        let published = Events { name: "CHANNEL_CREATE", accounts: &[&self.account], calls: &self.calls };
        self.publisher.publish(&published, events, per_second).await;
        let came: Came = serde_json::from_str(&self.clients.ask(&format!("wait {expected}"))).unwrap();
        // The last acknowledgements belong to it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let used = cpu(self.server) - cpu_before;
        let seconds = came.last_at_ns.saturating_sub(started_ns) as f64 / 1e9;
        Measured {
            per_second: came.frames as f64 / seconds,
            cpu_us: (used >= CPU_MIN).then(|| used.as_secs_f64() * 1e6 / came.frames.max(1) as f64),
            p50_ns: came.p50_ns,
            p99_ns: came.p99_ns,
            peak_kib: memory_kib(self.server).1,
            missing: expected.saturating_sub(came.frames),
            closed: came.closed,
            example: came.example,
        }
    }
}

impl Measured {
    /// The one in the middle by its CPU time, with what went wrong in all of them.
    pub fn middle(mut rounds: Vec<Self>) -> Self {
        let missing = rounds.iter().map(|round| round.missing).sum();
        let closed = rounds.iter().map(|round| round.closed).max().unwrap_or_default();
        rounds.sort_by(|one, other| one.cpu_us.partial_cmp(&other.cpu_us).unwrap());
        Self { missing, closed, ..rounds.swap_remove(rounds.len() / 2) }
    }
}
