//! Where the store lies, and how sled is opened.
//!
//! Knows sled's directory and the files beside it. Called at start, after a failed write, and where the store is
//! rebuilt. What is inside is `inspect`'s business.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sled::{Config, Db, Mode};

use crate::store::error::OpenError;
use crate::store::journal::Limits;

/// A handle that was just dropped, or a server about to exit, holds the lock a moment longer.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Where the store lies, and how to open it.
#[derive(Debug, Clone)]
pub(super) struct Location {
    pub(super) data_dir: PathBuf,
    cache_bytes: u64,
    pub(super) journal_limits: Limits,
}

/// Why sled could not be opened.
pub(super) enum SledError {
    /// Another process has it.
    Locked,
    /// The machine is in the way: rights, room, descriptors. That says nothing about the store.
    Machine(String),
    Damaged(String),
}

impl Location {
    pub(super) fn new(data_dir: &Path, cache_bytes: u64, journal_limits: Limits) -> Self {
        Self { data_dir: data_dir.to_owned(), cache_bytes, journal_limits }
    }

    pub(super) fn store(&self) -> PathBuf {
        store(&self.data_dir)
    }

    /// Where a store is rebuilt before it takes its place.
    pub(super) fn rebuilt(&self) -> PathBuf {
        self.data_dir.join("store.rebuilt")
    }

    pub(super) fn journal(&self) -> PathBuf {
        journal(&self.data_dir)
    }

    pub(super) fn mark(&self) -> PathBuf {
        mark(&self.data_dir)
    }

    /// Opens sled in `dir`, which is made when there is none.
    pub(super) fn open_sled(&self, dir: &Path) -> Result<Db, SledError> {
        // Hook documents and event bodies are nobody else's business.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| SledError::Machine(error.to_string()))?;
        let config = Config::new().path(dir).cache_capacity(self.cache_bytes).mode(Mode::LowSpace).flush_every_ms(None);
        let give_up = Instant::now() + LOCK_WAIT;
        loop {
            match config.open() {
                Ok(db) => return Ok(db),
                Err(error) if !is_locked(&error) => return Err(classify(&error)),
                Err(_) if Instant::now() >= give_up => return Err(SledError::Locked),
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    pub(super) fn open_error(&self, error: SledError) -> OpenError {
        match error {
            SledError::Locked => OpenError::InUse { path: self.data_dir.clone() },
            SledError::Machine(cause) | SledError::Damaged(cause) => self.disk(cause),
        }
    }

    pub(super) fn disk(&self, cause: impl ToString) -> OpenError {
        OpenError::Disk { path: self.data_dir.clone(), cause: cause.to_string() }
    }
}

/// What a data directory that was ever used has at least one of.
pub(super) fn places(data_dir: &Path) -> [PathBuf; 3] {
    [store(data_dir), journal(data_dir), mark(data_dir)]
}

fn store(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

fn journal(data_dir: &Path) -> PathBuf {
    data_dir.join("store.journal")
}

fn mark(data_dir: &Path) -> PathBuf {
    data_dir.join("store.mark")
}

/// Waits until sled's own threads have let go of a store that was just dropped, for as long as opening would.
pub(super) fn wait_until_free(dir: &Path) {
    let Ok(db) = File::open(dir.join("db")) else { return };
    let give_up = Instant::now() + LOCK_WAIT;
    while db.try_lock().is_err() && Instant::now() < give_up {
        sleep(Duration::from_millis(5));
    }
}

/// sled has no error of its own for a store that another process holds.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn classify(error: &sled::Error) -> SledError {
    match error {
        sled::Error::Io(cause) if is_of_machine(cause) => SledError::Machine(error.to_string()),
        _ => SledError::Damaged(error.to_string()),
    }
}

fn is_of_machine(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    let by_kind = matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::OutOfMemory
    );
    by_kind || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

/// The same for what sled panics with where it unwraps such an error.
pub(super) fn is_panic_of_machine(message: &str) -> bool {
    let kinds = [
        "PermissionDenied",
        "ReadOnlyFilesystem",
        "StorageFull",
        "QuotaExceeded",
        "FileTooLarge",
        "OutOfMemory",
        "code: 23,",
        "code: 24,",
    ];
    kinds.iter().any(|kind| message.contains(kind))
}
