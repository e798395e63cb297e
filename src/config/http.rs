//! `[http]`: the API's listener and its limits.

use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub bind: String,
    pub workers: usize,
    pub connections_max: usize,
    pub cors_origins: Vec<String>,
    pub head_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub keep_alive_ms: u64,
    pub body_bytes_max: usize,
    pub page_size: usize,
    pub page_size_max: usize,
    pub events_per_post_max: usize,
    pub events_in_flight_max: usize,
    pub event_bytes_max: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8000".into(),
            workers: 2,
            connections_max: 10_000,
            cors_origins: vec!["*".into()],
            head_timeout_ms: 5_000,
            body_timeout_ms: 15_000,
            keep_alive_ms: 30_000,
            body_bytes_max: 4 << 20,
            page_size: 50,
            page_size_max: 1_000,
            events_per_post_max: 1_000,
            events_in_flight_max: 4_000,
            event_bytes_max: 1 << 20,
        }
    }
}

impl Http {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.socket_address("http.bind", &self.bind);
        problems.within("http.workers", self.workers as u64, 1..=256);
        problems.within("http.connections_max", self.connections_max as u64, 1..=1_000_000);
        // They are measured with a clock that may be half a second behind.
        problems.within("http.head_timeout_ms", self.head_timeout_ms, 1_000..=3_600_000);
        problems.within("http.keep_alive_ms", self.keep_alive_ms, 1_000..=3_600_000);
        problems.milliseconds("http.body_timeout_ms", self.body_timeout_ms);
        problems.within("http.body_bytes_max", self.body_bytes_max as u64, 1_024..=1 << 30);
        problems.within("http.page_size_max", self.page_size_max as u64, 1..=100_000);
        problems.within("http.page_size", self.page_size as u64, 1..=self.page_size_max as u64);
        problems.within("http.events_per_post_max", self.events_per_post_max as u64, 1..=1_000_000);
        problems.within("http.events_in_flight_max", self.events_in_flight_max as u64, 1..=1_000_000);
        problems.within("http.event_bytes_max", self.event_bytes_max as u64, 64..=1 << 30);
        for origin in &self.cors_origins {
            if origin != "*" && url::Url::parse(origin).is_err() {
                problems.add(
                    "http.cors_origins",
                    format!("{origin:?} is neither * nor an origin such as https://example.com"),
                );
            }
        }
    }
}
