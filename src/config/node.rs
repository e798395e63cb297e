//! `[node]`: what this server is called and where it keeps its state.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::ids::AccountId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    pub name: String,
    pub data_dir: PathBuf,
    /// Empty: made at first start and kept in the data directory.
    pub cluster_id: String,
    pub shutdown_grace_ms: u64,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "hookswitch@localhost".into(),
            data_dir: "data".into(),
            cluster_id: String::new(),
            shutdown_grace_ms: 10_000,
        }
    }
}

impl Node {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.name.is_empty() {
            problems.add("node.name", "is empty");
        }
        if self.data_dir.as_os_str().is_empty() {
            problems.add("node.data_dir", "is empty");
        }
        // A cluster id has the form of an account id: 32 lower-case hex digits.
        if !self.cluster_id.is_empty()
            && let Err(error) = AccountId::parse(&self.cluster_id)
        {
            problems.add("node.cluster_id", error);
        }
        problems.milliseconds("node.shutdown_grace_ms", self.shutdown_grace_ms);
    }
}
