//! Makes what sled has flushed survive a power cut.
//!
//! sled's `flush` ends with `sync_file_range`, which does not reach the disk's own cache. Used by the store's thread
//! only. It knows of sled's one data file; `parts` sees to it that there are no others.

use std::fs::File;
use std::io;
use std::path::Path;

pub(super) struct DurableFile(File);

impl DurableFile {
    /// `dir` is sled's directory, after sled has opened it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        // The directories too: a power cut after the first start must not lose the file's name.
        File::open(dir)?.sync_all()?;
        if let Some(parent) = dir.parent() {
            File::open(parent)?.sync_all()?;
        }
        File::open(dir.join("db")).map(Self)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
