//! The thread named "store": the only writer.
//!
//! It takes what is queued as one group, applies one batch, flushes, syncs, and then answers everybody in the group.
//! Blocking on the disk is its whole job; nothing else may block on it.
//!
//! After a failed write sled refuses every further one, so before the next group the thread forgets its handle and
//! opens the store again. Writes that nobody waits for are kept for that group; waiters get the error.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use log::{error, info};
use sled::Db;
use tokio::sync::oneshot;

use crate::store::StoreSettings;
use crate::store::counts::Counts;
use crate::store::disk::{Location, wait_until_free};
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::group::{Bounds, Group};
use crate::store::keys::Table;
use crate::store::open::{Opened, reopen};
use crate::store::shared::{Answer, Request, Shared};
use crate::store::write::{Committed, Write};

/// Expired records are hidden from reads at once, so deleting them can wait.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Expired records deleted per table and sweep: what one batch may hold up others with.
const SWEEP_MAX: usize = 5_000;
/// The wait before a store that could not be reopened is tried again.
const REOPEN_EVERY: Duration = Duration::from_millis(500);
/// Asking for the size costs a look at every file.
const SIZE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    requests: Receiver<Request>,
    shared: Arc<Shared>,
    settings: StoreSettings,
    location: Location,
    /// `None` after a failed write, until the store is open again.
    files: Option<Files>,
    counts: Counts,
    next_number: u64,
    /// Writes of failed groups that nobody waited for, oldest first.
    unwritten: Vec<Write>,
    next_sweep: Instant,
    next_reopen: Instant,
    next_size: Instant,
}

/// What was queued: one group, and what comes after it.
struct Gathered {
    group: Vec<(Vec<Write>, Option<Answer>)>,
    then: Then,
}

enum Then {
    GoOn,
    /// `None`: every handle was dropped.
    Close(Option<oneshot::Sender<Result<(), StoreError>>>),
}

impl Worker {
    /// The parts of `opened` that the thread owns; the rest goes to `shared` and the caller.
    pub(super) fn new(
        requests: Receiver<Request>,
        shared: Arc<Shared>,
        settings: StoreSettings,
        location: Location,
        opened: (Files, Counts, u64),
    ) -> Self {
        let (files, counts, next_number) = opened;
        let now = Instant::now();
        let worker = Self {
            requests,
            shared,
            settings,
            location,
            files: Some(files),
            counts,
            next_number,
            unwritten: Vec::new(),
            next_sweep: now,
            next_reopen: now,
            next_size: now,
        };
        worker.report_counts();
        worker
    }

    pub(super) fn run(mut self) {
        loop {
            let Gathered { group, then } = self.gather();
            if !group.is_empty() || !self.unwritten.is_empty() {
                self.write(group);
                self.settle();
            }
            if let Then::Close(answer) = then {
                return self.close(answer);
            }
            if Instant::now() >= self.next_sweep {
                self.sweep();
                self.settle();
            }
        }
    }

    /// Waits for a request, then takes all that is queued, up to the size of a group. As long as nobody waits for an
    /// answer it allows others `flush_idle_ms` to join.
    fn gather(&mut self) -> Gathered {
        let mut group = Vec::new();
        let mut size = 0;
        let mut deadline = if self.unwritten.is_empty() { self.next_sweep } else { Instant::now() + REOPEN_EVERY };
        loop {
            let request = match self.requests.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => {
                    return Gathered { group, then: Then::GoOn };
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Gathered { group, then: Then::Close(None) };
                }
            };
            let (writes, answer) = match request {
                Request::Close { answer } => {
                    return Gathered { group, then: Then::Close(Some(answer)) };
                }
                Request::Write { writes, answer } => (writes, answer),
            };
            self.shared.stats.queued.subtract(writes.len() as u64);
            if answer.is_some() {
                deadline = Instant::now();
            } else if group.is_empty() {
                deadline = Instant::now() + Duration::from_millis(self.settings.flush_idle_ms);
            }
            size += writes.len();
            group.push((writes, answer));
            if size >= self.settings.group_max {
                return Gathered { group, then: Then::GoOn };
            }
        }
    }

    fn write(&mut self, group: Vec<(Vec<Write>, Option<Answer>)>) {
        let (writes, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match self.commit(&writes) {
            Ok(committed) => {
                self.unwritten.clear();
                for (answer, committed) in answers.into_iter().zip(committed) {
                    // Whoever no longer waits has lost nothing: the write is done.
                    let _ = answer.map(|answer| answer.send(Ok(committed)));
                }
            }
            Err(error) => {
                self.forget_unwritable(&error);
                for (answer, writes) in answers.into_iter().zip(writes) {
                    match answer {
                        Some(answer) => drop(answer.send(Err(error.clone()))),
                        None => self.keep_unwritten(writes, &error),
                    }
                }
            }
        }
    }

    /// Brings one group to disk: the writes kept from failed groups, then `writes`. One result per unit.
    fn commit(&mut self, writes: &[Vec<Write>]) -> Result<Vec<Committed>, StoreError> {
        let result = self.reopen_if_failed().and_then(|()| self.try_commit(writes));
        let was_failing = self.shared.fault().is_some();
        match &result {
            Ok(_) if was_failing => {
                info!("the store can be written to again");
                self.shared.set_fault(None);
            }
            Ok(_) => (),
            Err(fault) => {
                if !was_failing {
                    error!("{fault}");
                }
                self.shared.stats.failures.add(1);
                self.shared.set_fault(Some(fault.clone()));
            }
        }
        result
    }

    fn try_commit(&mut self, writes: &[Vec<Write>]) -> Result<Vec<Committed>, StoreError> {
        let unwritten = std::mem::take(&mut self.unwritten);
        let bounds = Bounds { dead_max: self.settings.dead_max, attempts_max: self.settings.attempts_max };
        let result = self.on_disk(|group| {
            group.apply(&unwritten)?;
            let committed = writes.iter().map(|unit| group.apply(unit)).collect::<Result<Vec<_>, _>>()?;
            Ok((committed, group.trim(bounds)?))
        });
        let count = unwritten.len() + writes.iter().map(Vec::len).sum::<usize>();
        self.unwritten = unwritten;
        let (committed, trimmed) = result?;
        self.shared.stats.writes.add(count as u64);
        self.shared.stats.dropped_dead_letters.add(trimmed);
        Ok(committed)
    }

    /// Lets `change` fill a group and brings it to disk, with one flush. An error leaves the counts as they were; one
    /// of writing also leaves the store to be reopened.
    fn on_disk<T>(&mut self, change: impl FnOnce(&mut Group<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let db = shared.db.read().unwrap_or_else(PoisonError::into_inner);
        let (Some(db), Some(mut files)) = (db.as_ref(), self.files.take()) else {
            return Err(StoreError::Closed);
        };
        let mut group = Group::new(db, &self.counts, self.next_number);
        let changed = match change(&mut group) {
            Ok(changed) => changed,
            Err(error) => {
                self.files = Some(files);
                return Err(error);
            }
        };
        if !group.is_empty() {
            let prepared = group.into_prepared();
            let deliveries = self.counts.total_with(&prepared.difference, Table::Delivery);
            files.commit(db, prepared.batch, &prepared.journal, prepared.sum, deliveries)?;
            self.counts.merge(prepared.difference);
            self.next_number = prepared.next_number;
            self.shared.stats.flushes.add(1);
            self.report_counts();
        }
        self.report_size(db);
        // Only now: where writing failed the files are gone, and that is what makes the next group reopen.
        self.files = Some(files);
        Ok(changed)
    }

    /// What a group leaves to do once everybody is answered.
    fn settle(&mut self) {
        let Some(mut files) = self.files.take() else { return };
        let shared = Arc::clone(&self.shared);
        let db = shared.db.read().unwrap_or_else(PoisonError::into_inner);
        let tended = files.sync_mark().and_then(|()| match db.as_ref() {
            Some(db) => files.tend_journal(db, &self.location.journal(), self.location.journal_limits),
            None => Ok(()),
        });
        match tended {
            Ok(()) => self.files = Some(files),
            Err(fault) => {
                error!("{fault}");
                shared.stats.failures.add(1);
                shared.set_fault(Some(fault));
            }
        }
    }

    fn reopen_if_failed(&mut self) -> Result<(), StoreError> {
        if self.files.is_some() {
            return Ok(());
        }
        if Instant::now() < self.next_reopen {
            return Err(self.shared.fault().unwrap_or(StoreError::Closed));
        }
        // The old handle holds the lock, and the new one must not see its memory.
        self.shared.set_db(None);
        match reopen(&self.location) {
            Ok(Opened { files, counts, next_number, db, .. }) => {
                self.files = Some(files);
                self.counts = counts;
                self.next_number = next_number;
                self.shared.set_db(Some(db));
                self.report_counts();
                Ok(())
            }
            Err(error) => {
                self.next_reopen = Instant::now() + REOPEN_EVERY;
                Err(StoreError::Unavailable(error.to_string()))
            }
        }
    }

    /// Kept writes that meet an unreadable record would make every group after them fail as well.
    fn forget_unwritable(&mut self, error: &StoreError) {
        if !may_succeed_later(error) {
            self.shared.stats.lost_writes.add(self.unwritten.len() as u64);
            self.unwritten.clear();
        }
    }

    fn keep_unwritten(&mut self, writes: Vec<Write>, error: &StoreError) {
        let kept = writes.into_iter().filter(|write| !write.is_log());
        for write in kept {
            if may_succeed_later(error) && self.unwritten.len() < self.settings.queue_max {
                self.unwritten.push(write);
            } else {
                self.shared.stats.lost_writes.add(1);
            }
        }
    }

    fn sweep(&mut self) {
        self.next_sweep = Instant::now() + SWEEP_EVERY;
        if self.files.is_none() {
            return;
        }
        let (dead_since, attempts_since) = (self.settings.dead_since_ms(), self.settings.attempts_since_ms());
        let expired = self.on_disk(|group| {
            group.expire(Table::Attempt, attempts_since, SWEEP_MAX)?;
            group.expire(Table::DeadLetter, dead_since, SWEEP_MAX)
        });
        match expired {
            Ok(dead_letters) => self.shared.stats.dropped_dead_letters.add(dead_letters),
            Err(fault) => {
                error!("cannot delete expired records: {fault}");
                self.shared.set_fault(Some(fault));
            }
        }
    }

    fn close(self, answer: Option<oneshot::Sender<Result<(), StoreError>>>) {
        let result = match self.shared.fault() {
            Some(fault) if !self.unwritten.is_empty() => Err(fault),
            _ => Ok(()),
        };
        self.shared.set_db(None);
        wait_until_free(&self.location.store());
        self.shared.set_fault(Some(StoreError::Closed));
        if let Some(answer) = answer {
            // The closing side may have given up at its own deadline.
            let _ = answer.send(result);
        }
    }

    fn report_counts(&self) {
        self.shared.stats.deliveries.set(self.counts.total(Table::Delivery));
        self.shared.stats.oldest_delivery_s.set(self.counts.oldest_created_s().unwrap_or(0));
        self.shared.stats.dead_letters.set(self.counts.total(Table::DeadLetter));
        self.shared.stats.attempts.set(self.counts.total(Table::Attempt));
    }

    fn report_size(&mut self, db: &Db) {
        if Instant::now() < self.next_size {
            return;
        }
        self.next_size = Instant::now() + SIZE_EVERY;
        if let Ok(bytes) = db.size_on_disk() {
            self.shared.stats.bytes_on_disk.set(bytes);
        }
    }
}

fn may_succeed_later(error: &StoreError) -> bool {
    matches!(error, StoreError::Write(_) | StoreError::Unavailable(_))
}
