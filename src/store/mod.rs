//! Everything on disk: accounts, API keys, hooks, pending deliveries, dead letters, attempts. The only user of sled.
//!
//! [`Store`] is a handle for the actors and the HTTP API. Writes go to one thread (`worker`), which groups them and
//! answers after they have reached the disk; reads run on tokio's blocking threads. Reading order: `keys` (where a
//! record lies), `record` (what it looks like), `write` (what can be changed), `group` (what a change means),
//! `worker`, `read`.
//!
//! Three things lie in the data directory: `store/` is sled's; `store.journal` holds hooks, accounts, API keys and
//! configurations a second time (`journal`); `store.mark` says how far the store has come (`mark`). Together with the
//! sum that every batch carries (`meta`) they show at open that nothing is missing or stale, and where something is,
//! the store is moved aside and rebuilt, or refused. `files` writes the three in their order; `open` reads them by way
//! of `inspect` (is the store whole?), `judge` (is it the newest?) and `repair`.
//!
//! It knows no HTTP and no actor, and it decides nothing: when to retry and what to give up is its callers' business.

mod codec;
mod counts;
mod disk;
mod durable;
mod error;
mod files;
mod group;
mod inspect;
mod journal;
mod judge;
mod keys;
mod mark;
mod meta;
mod open;
mod parts;
mod read;
mod record;
mod repair;
mod scan;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod worker;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use sled::Db;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::ids::HookId;
use crate::store::disk::Location;
use crate::store::open::Opened;
use crate::store::shared::{Answer, Request, Shared};
use crate::store::stats::Cells;
use crate::store::worker::Worker;

pub use crate::store::codec::BadRecord;
pub use crate::store::error::{Damage, Obstacle, OpenError, StoreError};
pub use crate::store::journal::JournalDamage;
pub use crate::store::keys::{DeadLetterKey, DeliveryKey, Position};
pub use crate::store::read::{Attempt, AttemptsQuery, Due, Order};
pub use crate::store::record::{DeadLetter, StoredDelivery, Target};
pub use crate::store::repair::Recovery;
pub use crate::store::scan::{Loaded, Pending};
pub use crate::store::stats::StoreStats;
pub use crate::store::write::{Committed, Write};

/// Reads at one time. More would only queue on the disk, each holding one of the runtime's blocking threads.
const READERS: usize = 8;

/// The limits of the store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Memory for sled's cache.
    pub cache_bytes: u64,
    /// Writes in one group; what is queued beyond it goes into the next.
    pub group_max: usize,
    /// How long a write that nobody waits for may wait for others to share its flush.
    pub flush_idle_ms: u64,
    /// Queued writes beyond which attempt logs are dropped and counted. After a failed write it also bounds the
    /// writes that are kept for another try.
    pub queue_max: usize,
    /// Dead letters per hook; the oldest are deleted beyond it.
    pub dead_max: usize,
    pub dead_hours: u64,
    /// Attempts per hook; the oldest are deleted beyond it.
    pub attempts_max: usize,
    pub attempts_hours: u64,
    /// A journal of fewer bytes is never written anew.
    pub journal_bytes_min: u64,
    /// A larger one is when it has this many times the size of what it holds.
    pub journal_growth: u64,
}

impl StoreSettings {
    /// Dead letters from before this time have expired.
    pub(super) fn dead_since_ms(&self) -> u64 {
        hours_ago_ms(self.dead_hours)
    }

    /// Attempts from before this time have expired.
    pub(super) fn attempts_since_ms(&self) -> u64 {
        hours_ago_ms(self.attempts_hours)
    }
}

fn hours_ago_ms(hours: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    now_ms.saturating_sub(hours.saturating_mul(3_600_000))
}

/// A handle to the open store. Dropping the last one ends the thread after everything queued is on disk.
#[derive(Clone)]
pub struct Store {
    requests: Sender<Request>,
    shared: Arc<Shared>,
    settings: Arc<StoreSettings>,
    readers: Arc<Semaphore>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Whether there is one under `data_dir`, or what a damaged one can be rebuilt from.
    pub fn exists(data_dir: &Path) -> bool {
        disk::places(data_dir).iter().any(|place| place.exists())
    }

    /// Opens the store under `data_dir`, making it when there is none, and reads what the server starts from. A damaged
    /// store is rebuilt, and [`Loaded::recovery`] says so. Blocks.
    pub fn open(data_dir: &Path, settings: StoreSettings) -> Result<(Self, Loaded), OpenError> {
        let limits = journal::Limits { bytes_min: settings.journal_bytes_min, growth: settings.journal_growth };
        let location = Location::new(data_dir, settings.cache_bytes, limits);
        let Opened { files, loaded, counts, next_number, db } = open::open(&location)?;
        let stats = Cells::default();
        stats.bytes_on_disk.set(db.size_on_disk().unwrap_or(0));
        let shared = Arc::new(Shared { db: RwLock::new(Some(db)), stats, fault: RwLock::new(None) });
        let (requests, queue) = mpsc::channel();
        let worker = Worker::new(queue, Arc::clone(&shared), settings.clone(), location, (files, counts, next_number));
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || worker.run())
            .map_err(|cause| OpenError::Thread { path: data_dir.to_owned(), cause })?;
        let store = Self {
            requests,
            shared,
            settings: Arc::new(settings),
            readers: Arc::new(Semaphore::new(READERS)),
            thread: Arc::new(Mutex::new(Some(thread))),
        };
        Ok((store, loaded))
    }

    /// Writes one unit, atomically. It is queued at the call, not at the first poll; the future resolves when the unit
    /// is flushed and synced, and dropping it takes nothing back.
    pub fn commit(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<Committed, StoreError>> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        self.send(writes, Some(answer));
        async move { answered.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Writes one unit, atomically and after everything handed in before it, without an answer. It is on disk within
    /// `flush_idle_ms` or with the next group. A unit of attempt logs alone is dropped when too much is queued.
    pub fn write(&self, writes: Vec<Write>) {
        let queued = usize::try_from(self.shared.stats.queued.get()).unwrap_or(usize::MAX);
        if queued >= self.settings.queue_max && writes.iter().all(Write::is_log) {
            self.shared.stats.dropped_logs.add(writes.len() as u64);
            return;
        }
        self.send(writes, None);
    }

    /// Resolves when everything handed in before the call is on disk.
    pub fn flush_now(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static + use<> {
        let committed = self.commit(Vec::new());
        async move { committed.await.map(|_| ()) }
    }

    /// The hook's deliveries that are due at `now_ms`, at most `limit`, without those of `skip`.
    pub async fn due(
        &self,
        hook: HookId,
        now_ms: u64,
        limit: usize,
        skip: Vec<DeliveryKey>,
    ) -> Result<Due, StoreError> {
        self.read(move |db| read::due(db, hook, now_ms, limit, &skip.into_iter().collect())).await
    }

    /// How many deliveries the hook has, with every write that was handed in before the call and none that comes after.
    /// All of those before are on disk then.
    pub fn pending(&self, hook: HookId) -> impl Future<Output = Result<u64, StoreError>> + Send + 'static + use<> {
        let counted = self.commit(vec![Write::CountPending(hook)]);
        async move { counted.await.map(|committed| committed.pending) }
    }

    /// The times of the hook's recent failures.
    pub async fn failures(&self, hook: HookId) -> Result<Vec<u64>, StoreError> {
        self.read(move |db| read::failures(db, hook)).await
    }

    /// Deletes the hook's pending deliveries that were created before this time; `u64::MAX` for all. How many.
    pub async fn take_pending(&self, hook: HookId, created_before_ms: u64) -> Result<u64, StoreError> {
        let committed = self.commit(vec![Write::DiscardDeliveries { hook, created_before_ms }]).await?;
        Ok(committed.discarded)
    }

    /// The hook's dead letters, newest first, at most `limit`; those before `before` for a further page.
    pub async fn dead_letters(
        &self,
        hook: HookId,
        limit: usize,
        before: Option<DeadLetterKey>,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let since_ms = self.settings.dead_since_ms();
        self.read(move |db| read::dead_letters(db, hook, limit, before, since_ms)).await
    }

    pub async fn dead_letter(&self, key: DeadLetterKey) -> Result<Option<DeadLetter>, StoreError> {
        if key.died_ms < self.settings.dead_since_ms() {
            return Ok(None);
        }
        self.read(move |db| read::dead_letter(db, key)).await
    }

    /// The attempts of these hooks, merged by time.
    pub async fn attempts(&self, hooks: Vec<HookId>, query: AttemptsQuery) -> Result<Vec<Attempt>, StoreError> {
        let since_ms = self.settings.attempts_since_ms();
        self.read(move |db| read::attempts(db, &hooks, query, since_ms)).await
    }

    /// What the server started from, as it is now. Takes as long as opening did.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.read(scan::load).await
    }

    pub fn stats(&self) -> StoreStats {
        self.shared.stats.read()
    }

    /// `None` while the store works. After a failed write it is that write's error, until a later one succeeds.
    pub fn fault(&self) -> Option<StoreError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let thread_is_gone = thread.as_ref().is_none_or(JoinHandle::is_finished);
        self.shared.fault().or(thread_is_gone.then_some(StoreError::Closed))
    }

    /// Brings everything queued to disk, ends the thread, and frees the data directory. Other handles get
    /// [`StoreError::Closed`] from then on.
    pub async fn close(self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        // A thread that is gone drops the answer, which is the same news.
        let _ = self.requests.send(Request::Close { answer });
        let closed = answered.await.unwrap_or(Err(StoreError::Closed));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            spawn_blocking(move || thread.join())
                .await
                .map_err(|_| StoreError::Closed)?
                .map_err(|_| StoreError::Closed)?;
        }
        closed
    }

    fn send(&self, writes: Vec<Write>, answer: Option<Answer>) {
        let count = writes.len() as u64;
        self.shared.stats.queued.add(count);
        // A closed store drops the request, and with it the answer: the waiter sees `Closed`.
        if self.requests.send(Request::Write { writes, answer }).is_err() {
            self.shared.stats.queued.subtract(count);
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let shared = Arc::clone(&self.shared);
        let read = spawn_blocking(move || {
            // Held to the end, also when nobody waits any more: it is the thread that is scarce.
            let _permit = permit;
            let db = shared.db.read().unwrap_or_else(PoisonError::into_inner);
            match db.as_ref() {
                Some(db) => query(db),
                None => Err(shared.fault().unwrap_or(StoreError::Closed)),
            }
        });
        read.await.map_err(|error| StoreError::Read(error.to_string()))?
    }
}

/// sled's own `Debug` prints every record.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
