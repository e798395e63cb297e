//! `[webhooks]`: delivery, retries and their limits. Keys that Kazoo has keep Kazoo's names.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::webhook::allow::AllowList;
use crate::webhook::outcome::{BadCode, SuccessCodes};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    pub attempt_failure_count: u32,
    pub attempt_failure_expiry_ms: u64,
    pub disable_disabler: bool,
    pub log_successful_attempts: bool,
    pub connect_timeout_ms: u64,
    pub request_timeout_ms: u64,
    pub reserved_ccv_keys: Vec<String>,
    pub success_codes: String,
    pub allow_hosts: Vec<String>,
    pub dns_servers: Vec<String>,
    pub dns_timeout_ms: u64,
    pub ca_file: PathBuf,
    pub threads: usize,
    pub window_max: usize,
    pub concurrency_max: usize,
    pub connections_per_host_first: usize,
    pub connections_per_host_max: usize,
    pub ack_hold_ms: u64,
    pub idle_ms: u64,
    pub retry_base_ms: u64,
    pub retry_max_ms: u64,
    pub retry_after_max_ms: u64,
    pub hold_hours: u64,
    pub pending_max: u64,
    pub poison_max: u32,
    pub dead_hours: u64,
    pub dead_max: usize,
    pub attempts_hours: u64,
    pub attempts_max: usize,
    pub attempt_body_bytes_max: usize,
    pub response_bytes_max: usize,
    pub uri_bytes_max: usize,
    pub document_bytes_max: usize,
    pub custom_data_bytes_max: usize,
    pub hooks_per_account_max: usize,
    pub one_off_max: usize,
    pub calls_max: usize,
    pub calls_hours: u64,
}

/// What `custom_channel_vars` of a payload leaves out, as in Kazoo.
const RESERVED_CCV_KEYS: [&str; 24] = [
    "Account-ID",
    "Account-Name",
    "Account-Realm",
    "Authorizing-ID",
    "Authorizing-Type",
    "Auto-Answer",
    "Call-Forward",
    "Call-Waiting-Disabled",
    "Confirm-Cancel-Timeout",
    "Confirm-File",
    "Confirm-Key",
    "Fax-Enabled",
    "Loopback-Bowout",
    "Media-Encryption-Enforce-Security",
    "Media-Webrtc",
    "Owner-ID",
    "Presence-ID",
    "RTCP-MUX",
    "Realm",
    "Require-Ignore-Early-Media",
    "Retain-CID",
    "SIP-Invite-Domain",
    "Simplify-Loopback",
    "Username",
];

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            attempt_failure_count: 6,
            attempt_failure_expiry_ms: 60_000,
            disable_disabler: false,
            log_successful_attempts: false,
            connect_timeout_ms: 10_000,
            request_timeout_ms: 10_000,
            reserved_ccv_keys: RESERVED_CCV_KEYS.map(String::from).to_vec(),
            success_codes: String::new(),
            allow_hosts: Vec::new(),
            dns_servers: Vec::new(),
            dns_timeout_ms: 5_000,
            ca_file: PathBuf::new(),
            threads: 1,
            window_max: 512,
            concurrency_max: 64,
            connections_per_host_first: 8,
            connections_per_host_max: 256,
            ack_hold_ms: 1_000,
            idle_ms: 30_000,
            retry_base_ms: 2_000,
            retry_max_ms: 600_000,
            retry_after_max_ms: 3_600_000,
            hold_hours: 24,
            pending_max: 100_000,
            poison_max: 3,
            dead_hours: 72,
            dead_max: 1_000,
            attempts_hours: 168,
            attempts_max: 100,
            attempt_body_bytes_max: 16 << 10,
            response_bytes_max: 64 << 10,
            uri_bytes_max: 8 << 10,
            document_bytes_max: 64 << 10,
            custom_data_bytes_max: 16 << 10,
            hooks_per_account_max: 100_000,
            one_off_max: 1_000,
            calls_max: 100_000,
            calls_hours: 24,
        }
    }
}

impl Webhooks {
    /// The status codes that count as success beside 200, and 201 for `put`.
    pub fn success(&self) -> Result<SuccessCodes, BadCode> {
        if self.success_codes.is_empty() {
            Ok(SuccessCodes::default())
        } else {
            SuccessCodes::parse(&self.success_codes)
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        self.check_times(problems);
        self.check_bounds(problems);
        if let Err(error) = AllowList::parse(&self.allow_hosts) {
            problems.add("webhooks.allow_hosts", error);
        }
        if let Err(error) = self.success() {
            problems.add("webhooks.success_codes", error);
        }
        for server in &self.dns_servers {
            if server.parse::<SocketAddr>().is_err() {
                problems.add(
                    "webhooks.dns_servers",
                    format!("{server:?} is not an address and port such as 192.0.2.53:53"),
                );
            }
        }
    }

    fn check_times(&self, problems: &mut Problems) {
        for (key, value) in [
            ("webhooks.attempt_failure_expiry_ms", self.attempt_failure_expiry_ms),
            ("webhooks.connect_timeout_ms", self.connect_timeout_ms),
            ("webhooks.request_timeout_ms", self.request_timeout_ms),
            ("webhooks.dns_timeout_ms", self.dns_timeout_ms),
            ("webhooks.ack_hold_ms", self.ack_hold_ms),
            ("webhooks.idle_ms", self.idle_ms),
            ("webhooks.retry_base_ms", self.retry_base_ms),
            ("webhooks.retry_max_ms", self.retry_max_ms),
            ("webhooks.retry_after_max_ms", self.retry_after_max_ms),
        ] {
            problems.milliseconds(key, value);
        }
        for (key, value) in [
            ("webhooks.hold_hours", self.hold_hours),
            ("webhooks.dead_hours", self.dead_hours),
            ("webhooks.attempts_hours", self.attempts_hours),
            ("webhooks.calls_hours", self.calls_hours),
        ] {
            problems.within(key, value, 1..=10 * 365 * 24);
        }
    }

    fn check_bounds(&self, problems: &mut Problems) {
        for (key, value, range) in [
            ("webhooks.attempt_failure_count", u64::from(self.attempt_failure_count), 1..=1_000),
            ("webhooks.threads", self.threads as u64, 1..=256),
            ("webhooks.concurrency_max", self.concurrency_max as u64, 1..=10_000),
            ("webhooks.connections_per_host_first", self.connections_per_host_first as u64, 1..=65_536),
            ("webhooks.connections_per_host_max", self.connections_per_host_max as u64, 1..=65_536),
            ("webhooks.window_max", self.window_max as u64, self.concurrency_max as u64..=100_000),
            ("webhooks.pending_max", self.pending_max, 1..=100_000_000),
            ("webhooks.poison_max", u64::from(self.poison_max), 1..=1_000),
            ("webhooks.dead_max", self.dead_max as u64, 0..=10_000_000),
            ("webhooks.attempts_max", self.attempts_max as u64, 0..=1_000_000),
            ("webhooks.attempt_body_bytes_max", self.attempt_body_bytes_max as u64, 0..=16 << 20),
            ("webhooks.response_bytes_max", self.response_bytes_max as u64, 1..=1 << 30),
            ("webhooks.uri_bytes_max", self.uri_bytes_max as u64, 64..=64 << 10),
            ("webhooks.document_bytes_max", self.document_bytes_max as u64, 1_024..=16 << 20),
            ("webhooks.custom_data_bytes_max", self.custom_data_bytes_max as u64, 0..=16 << 20),
            ("webhooks.hooks_per_account_max", self.hooks_per_account_max as u64, 1..=10_000_000),
            ("webhooks.one_off_max", self.one_off_max as u64, 1..=1_000_000),
            ("webhooks.calls_max", self.calls_max as u64, 1..=100_000_000),
        ] {
            problems.within(key, value, range);
        }
    }
}
