//! `[import]`: what `hookswitch import-kazoo` reads and says at most.

use serde::{Deserialize, Serialize};

use super::Problems;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Import {
    pub document_bytes_max: usize,
    pub reports_max: usize,
}

impl Default for Import {
    fn default() -> Self {
        Self { document_bytes_max: 1 << 20, reports_max: 1_000 }
    }
}

impl Import {
    pub(super) fn check(&self, problems: &mut Problems) {
        problems.within("import.document_bytes_max", self.document_bytes_max as u64, 1 << 10..=1 << 30);
        problems.within("import.reports_max", self.reports_max as u64, 0..=10_000_000);
    }
}
