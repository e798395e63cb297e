//! `[websockets]`: the sockets of live events and their limits. Keys that Kazoo has keep Kazoo's names.

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::websocket::bindings::catalogue::Listing;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Websockets {
    /// Empty: no port of its own.
    pub bind: String,
    pub workers: usize,
    pub origins: Vec<String>,
    pub connections_max: usize,
    /// 0: unlimited.
    pub max_connections_per_ip: usize,
    /// 0: unlimited.
    pub max_connections_per_account: usize,
    pub max_subscriptions: usize,
    pub frame_bytes_max: usize,
    pub frame_bytes_max_unauthenticated: usize,
    pub requests_burst_max: u32,
    pub requests_per_s: u32,
    pub requests_waiting_max: usize,
    pub queue_frames_max: usize,
    pub queue_bytes_max: usize,
    pub send_buffer_bytes: usize,
    pub write_timeout_ms: u64,
    pub authenticate_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub ping_interval_ms: u64,
    pub pong_timeout_ms: u64,
    pub close_timeout_ms: u64,
    pub token_grace_ms: u64,
    pub stream_retry_ms: u64,
    pub listing: String,
    pub history_events_max: usize,
    pub history_bytes_max: usize,
    pub history_age_ms: u64,
    pub history_accounts_max: usize,
}

impl Default for Websockets {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:5555".into(),
            workers: 2,
            origins: vec!["*".into()],
            connections_max: 10_000,
            max_connections_per_ip: 0,
            max_connections_per_account: 1_000,
            max_subscriptions: 500,
            frame_bytes_max: 64 << 10,
            frame_bytes_max_unauthenticated: 8 << 10,
            requests_burst_max: 100,
            requests_per_s: 10,
            requests_waiting_max: 100,
            queue_frames_max: 4_096,
            queue_bytes_max: 8 << 20,
            send_buffer_bytes: 64 << 10,
            write_timeout_ms: 10_000,
            authenticate_timeout_ms: 60_000,
            idle_timeout_ms: 3_600_000,
            ping_interval_ms: 30_000,
            pong_timeout_ms: 10_000,
            close_timeout_ms: 1_000,
            token_grace_ms: 5_000,
            stream_retry_ms: 3_000,
            listing: "ids".into(),
            history_events_max: 1_000,
            history_bytes_max: 4 << 20,
            history_age_ms: 300_000,
            history_accounts_max: 1_000,
        }
    }
}

impl Websockets {
    pub(super) fn check(&self, problems: &mut Problems) {
        if !self.bind.is_empty() {
            problems.socket_address("websockets.bind", &self.bind);
        }
        for origin in &self.origins {
            if origin != "*" && url::Url::parse(origin).is_err() {
                problems.add(
                    "websockets.origins",
                    format!("{origin:?} is neither * nor an origin such as https://example.com"),
                );
            }
        }
        if !Listing::NAMES.contains(&self.listing.as_str()) {
            problems.add("websockets.listing", format!("{:?} is none of {}", self.listing, Listing::NAMES.join(", ")));
        }
        self.check_bounds(problems);
        for (key, value) in [
            ("websockets.write_timeout_ms", self.write_timeout_ms),
            ("websockets.authenticate_timeout_ms", self.authenticate_timeout_ms),
            ("websockets.idle_timeout_ms", self.idle_timeout_ms),
            ("websockets.ping_interval_ms", self.ping_interval_ms),
            ("websockets.pong_timeout_ms", self.pong_timeout_ms),
            ("websockets.close_timeout_ms", self.close_timeout_ms),
            ("websockets.token_grace_ms", self.token_grace_ms),
            ("websockets.stream_retry_ms", self.stream_retry_ms),
            ("websockets.history_age_ms", self.history_age_ms),
        ] {
            problems.milliseconds(key, value);
        }
    }

    fn check_bounds(&self, problems: &mut Problems) {
        let before_login = self.frame_bytes_max_unauthenticated as u64;
        for (key, value, range) in [
            ("websockets.workers", self.workers as u64, 1..=256),
            ("websockets.connections_max", self.connections_max as u64, 1..=1_000_000),
            ("websockets.max_connections_per_ip", self.max_connections_per_ip as u64, 0..=1_000_000),
            ("websockets.max_connections_per_account", self.max_connections_per_account as u64, 0..=1_000_000),
            ("websockets.max_subscriptions", self.max_subscriptions as u64, 1..=1_000_000),
            ("websockets.frame_bytes_max_unauthenticated", before_login, 128..=1 << 30),
            ("websockets.frame_bytes_max", self.frame_bytes_max as u64, before_login..=1 << 30),
            ("websockets.requests_burst_max", self.requests_burst_max.into(), 1..=1_000_000),
            ("websockets.requests_per_s", self.requests_per_s.into(), 1..=1_000_000),
            ("websockets.requests_waiting_max", self.requests_waiting_max as u64, 1..=100_000),
            ("websockets.queue_frames_max", self.queue_frames_max as u64, 16..=10_000_000),
            ("websockets.queue_bytes_max", self.queue_bytes_max as u64, 64 << 10..=1 << 40),
            ("websockets.history_events_max", self.history_events_max as u64, 1..=1_000_000),
            ("websockets.history_bytes_max", self.history_bytes_max as u64, 1 << 10..=1 << 40),
            ("websockets.history_accounts_max", self.history_accounts_max as u64, 1..=1_000_000),
            // The kernel has a least size of its own.
            ("websockets.send_buffer_bytes", self.send_buffer_bytes as u64, 4 << 10..=1 << 30),
        ] {
            problems.within(key, value, range);
        }
    }
}
