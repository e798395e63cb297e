//! `[channels]`: the live calls that this server keeps track of, so that they can be listed and commanded.

use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    pub track: bool,
    pub max: usize,
    pub hours: u64,
}

impl Default for Channels {
    fn default() -> Self {
        Self { track: true, max: 100_000, hours: 24 }
    }
}

impl Channels {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("channels.max", self.max as u64, 1..=10_000_000);
        problems.within("channels.hours", self.hours, 1..=24 * 365);
    }
}
