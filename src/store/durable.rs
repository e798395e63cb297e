//! Makes what was written survive a power cut: sled's data file, whole files put in place, names in directories.
//!
//! sled's `flush` ends with `sync_file_range`, which does not reach the disk's own cache. It knows of sled's one data
//! file; `parts` sees to it that there are no others.

use std::fs::{File, OpenOptions, rename};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(super) struct DurableFile(File);

impl DurableFile {
    /// `dir` is sled's directory, after sled has opened it.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        // The directories too: a power cut after the first start must not lose the file's name.
        sync_dir(dir)?;
        sync_parent(dir)?;
        File::open(dir.join("db")).map(Self)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// A file that is written under another name, and takes its own only when it is whole and on disk.
pub(super) struct Draft {
    pub(super) file: File,
    written_as: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Readable by its owner only. A draft that was never put in place is overwritten by the next.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let written_as = path.with_added_extension("new");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&written_as)?;
        Ok(Self { file, written_as, path: path.to_owned() })
    }

    pub(super) fn put_in_place(self) -> io::Result<File> {
        self.file.sync_all()?;
        rename(&self.written_as, &self.path)?;
        sync_parent(&self.path)?;
        Ok(self.file)
    }
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative path of one name is the empty path.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
