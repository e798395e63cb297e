//! `[auth]`: tokens, and the keys that Kazoo signs its own with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub token_ttl_s: u64,
    pub realm_suffix: String,
    pub kazoo_keys: Vec<KazooKey>,
}

/// A public key of a Kazoo cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KazooKey {
    /// The `kid` in the header of the tokens signed with it.
    pub kid: String,
    /// A PEM file.
    pub file: PathBuf,
}

impl Default for Auth {
    fn default() -> Self {
        Self { token_ttl_s: 3_600, realm_suffix: "hookswitch.localhost".into(), kazoo_keys: Vec::new() }
    }
}

impl Auth {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("auth.token_ttl_s", self.token_ttl_s, 1..=10 * 365 * 24 * 3_600);
        if self.realm_suffix.is_empty() {
            problems.add("auth.realm_suffix", "is empty");
        }
        for key in &self.kazoo_keys {
            if key.kid.is_empty() {
                problems.add("auth.kazoo_keys", format!("the key of {:?} has no kid", key.file));
            }
        }
    }
}
