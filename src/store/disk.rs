//! Opens sled, and reads everything once: what the server needs at start, and the counts.
//!
//! Called at start and again after a failed write. It repairs nothing.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sled::{Config, Db, IVec, Mode};

use crate::ids::{AccountId, HookId};
use crate::store::codec::{BadRecord, Reader};
use crate::store::counts::Counts;
use crate::store::durable::DurableFile;
use crate::store::error::{OpenError, StoreError};
use crate::store::keys::{self, DeliveryKey, Position, Table};
use crate::store::parts;
use crate::store::read::{bad_record, read_error};
use crate::store::record::{delivery_created_ms, failures_from_disk};

/// The layout of keys and values, counted up when an older version could not read it.
const FORMAT: u32 = 1;
/// A handle that was just dropped, or a server about to exit, holds the lock a moment longer.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What was on disk when the store was opened. Records are as their owners wrote them.
#[derive(Debug, Default)]
pub struct Loaded {
    pub accounts: Vec<(AccountId, Vec<u8>)>,
    pub api_keys: Vec<(AccountId, Vec<u8>)>,
    pub configs: Vec<(AccountId, Vec<u8>)>,
    pub hooks: Vec<(HookId, Vec<u8>)>,
    /// Per hook the times of recent failures, in Unix milliseconds.
    pub failures: HashMap<HookId, Vec<u64>>,
    /// Per hook, also for one-off hooks, what is waiting.
    pub pending: HashMap<HookId, Pending>,
    /// Exchange and routing key.
    pub bindings: Vec<(String, String)>,
}

/// The deliveries that wait for one hook; there is at least one. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub count: u64,
    pub first_due_ms: u64,
    pub oldest_created_ms: u64,
}

/// All of it again, from an open store.
pub(super) fn load(db: &Db) -> Result<Loaded, StoreError> {
    Ok(Scan::of(db)?.loaded)
}

impl Pending {
    /// `so_far` and one more delivery, whose key comes later. Its body is not looked at.
    pub(super) fn and(so_far: Option<Self>, key: &[u8], head: &[u8]) -> Result<Self, BadRecord> {
        let due_ms = DeliveryKey::from_disk(key)?.due_ms;
        let created_ms = parts::first_piece(head).and_then(delivery_created_ms)?;
        Ok(match so_far {
            None => Self { count: 1, first_due_ms: due_ms, oldest_created_ms: created_ms },
            Some(so_far) => Self {
                count: so_far.count + 1,
                first_due_ms: so_far.first_due_ms,
                oldest_created_ms: so_far.oldest_created_ms.min(created_ms),
            },
        })
    }
}

/// The store's own directory.
pub(super) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

/// Where the store lies, and how to open it.
#[derive(Debug, Clone)]
pub(super) struct Location {
    data_dir: PathBuf,
    cache_bytes: u64,
}

/// An open store. `db` comes last, so that it is dropped last.
pub(super) struct Opened {
    pub(super) file: DurableFile,
    pub(super) loaded: Loaded,
    pub(super) counts: Counts,
    /// The number that the next attempt gets.
    pub(super) next_number: u64,
    pub(super) db: Db,
}

impl Location {
    pub(super) fn new(data_dir: &Path, cache_bytes: u64) -> Self {
        Self { data_dir: data_dir.to_owned(), cache_bytes }
    }

    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        let dir = directory(&self.data_dir);
        // Hook documents and event bodies are nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| self.disk(error))?;
        let db = self.open_sled(&dir)?;
        self.check_format(&db)?;
        let file = DurableFile::open(&dir).map_err(|error| self.disk(error))?;
        let (loaded, counts, next_number) = self.load(&db)?;
        Ok(Opened { file, loaded, counts, next_number, db })
    }

    /// Waits until sled's own threads have let go of a store that was just dropped, for as long as opening would.
    pub(super) fn wait_until_free(&self) {
        let Ok(db) = File::open(directory(&self.data_dir).join("db")) else {
            return;
        };
        let give_up = Instant::now() + LOCK_WAIT;
        while db.try_lock().is_err() && Instant::now() < give_up {
            sleep(Duration::from_millis(5));
        }
    }

    fn open_sled(&self, dir: &Path) -> Result<Db, OpenError> {
        let config = Config::new().path(dir).cache_capacity(self.cache_bytes).mode(Mode::LowSpace).flush_every_ms(None);
        let give_up = Instant::now() + LOCK_WAIT;
        loop {
            match config.open() {
                Ok(db) => return Ok(db),
                Err(error) if !is_locked(&error) => return Err(self.disk(error)),
                Err(_) if Instant::now() >= give_up => {
                    return Err(OpenError::InUse { path: self.data_dir.clone() });
                }
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }

    fn check_format(&self, db: &Db) -> Result<(), OpenError> {
        let key = keys::format();
        let Some(value) = db.get(&key).map_err(|error| self.disk(error))? else {
            if !db.is_empty() {
                return Err(OpenError::NoFormat { path: self.data_dir.clone() });
            }
            // It reaches the disk with the first group at the latest: the log keeps its order.
            db.insert(key, &FORMAT.to_be_bytes()).map_err(|error| self.disk(error))?;
            return Ok(());
        };
        let found = Reader::new(&value).u32().map_err(|cause| self.unreadable(bad_record(&key, cause)))?;
        if found > FORMAT {
            return Err(OpenError::NewerFormat { path: self.data_dir.clone(), found, known: FORMAT });
        }
        Ok(())
    }

    fn load(&self, db: &Db) -> Result<(Loaded, Counts, u64), OpenError> {
        let scan = Scan::of(db).map_err(|error| self.unreadable(error))?;
        Ok((scan.loaded, scan.counts, scan.next_number))
    }

    fn disk(&self, cause: impl ToString) -> OpenError {
        OpenError::Disk { path: self.data_dir.clone(), cause: cause.to_string() }
    }

    fn unreadable(&self, cause: StoreError) -> OpenError {
        OpenError::Unreadable { path: self.data_dir.clone(), cause }
    }
}

#[derive(Default)]
struct Scan {
    loaded: Loaded,
    counts: Counts,
    next_number: u64,
}

impl Scan {
    fn of(db: &Db) -> Result<Self, StoreError> {
        let mut scan = Self::default();
        for record in db.iter() {
            let (key, head) = record.map_err(read_error)?;
            scan.take(db, &key, head)?;
        }
        Ok(scan)
    }

    fn take(&mut self, db: &Db, key: &[u8], head: IVec) -> Result<(), StoreError> {
        self.take_key(key, &head).map_err(|cause| bad_record(key, cause))?;
        match Table::of(key).map_err(|cause| bad_record(key, cause))? {
            Table::Account | Table::ApiKey | Table::Config | Table::Hook | Table::Failures => {
                // Nobody writes yet, so nothing can be gone.
                let value = parts::join(db, key, head)?.unwrap_or_default();
                self.take_value(key, value).map_err(|cause| bad_record(key, cause))
            }
            _ => Ok(()),
        }
    }

    /// What a key tells without its value.
    fn take_key(&mut self, key: &[u8], head: &[u8]) -> Result<(), BadRecord> {
        match Table::of(key)? {
            Table::Binding => self.loaded.bindings.push(keys::binding_parts(key)?),
            Table::Delivery => {
                let hook = keys::hook_of(key)?;
                let so_far = self.loaded.pending.get(&hook).copied();
                self.loaded.pending.insert(hook, Pending::and(so_far, key, head)?);
            }
            Table::Attempt => {
                let (_, position) = Position::from_disk(key)?;
                self.next_number = self.next_number.max(position.number + 1);
            }
            _ => (),
        }
        self.counts.add(key, 1)
    }

    fn take_value(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), BadRecord> {
        let loaded = &mut self.loaded;
        match Table::of(key)? {
            Table::Account => loaded.accounts.push((keys::account_id(key)?, value)),
            Table::ApiKey => loaded.api_keys.push((keys::account_id(key)?, value)),
            Table::Config => loaded.configs.push((keys::account_id(key)?, value)),
            Table::Hook => loaded.hooks.push((keys::hook_id(key)?, value)),
            Table::Failures => drop(loaded.failures.insert(keys::hook_id(key)?, failures_from_disk(&value)?)),
            _ => (),
        }
        Ok(())
    }
}

/// sled has no error of its own for a store that another process holds.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}
