//! `[store]`: what sled may use, and how writes are grouped.

use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub cache_bytes: u64,
    pub group_max: usize,
    pub queue_max: usize,
    pub flush_idle_ms: u64,
    pub journal_bytes_min: u64,
    pub journal_growth: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            cache_bytes: 16 << 20,
            group_max: 1_024,
            queue_max: 10_000,
            flush_idle_ms: 500,
            journal_bytes_min: 1 << 20,
            journal_growth: 2,
        }
    }
}

impl Store {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("store.cache_bytes", self.cache_bytes, 1 << 20..=1 << 40);
        problems.within("store.group_max", self.group_max as u64, 1..=1_000_000);
        problems.within("store.queue_max", self.queue_max as u64, 1..=10_000_000);
        problems.within("store.flush_idle_ms", self.flush_idle_ms, 1..=60_000);
        problems.within("store.journal_bytes_min", self.journal_bytes_min, 4_096..=1 << 40);
        problems.within("store.journal_growth", self.journal_growth, 2..=1_000);
    }
}
