//! The changes of one group, before they are on disk: what each write means in keys and values.
//!
//! Used by the store's thread only. It reads through to what is on disk, so a write sees those before it in the
//! group, and it changes nothing on disk: the thread applies `into_batch` as a whole or not at all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, Range};

use sled::{Batch, Db, IVec};

use crate::ids::HookId;
use crate::store::counts::{COUNTED, Counts};
use crate::store::error::StoreError;
use crate::store::journal;
use crate::store::keys::{self, DeadLetterKey, Position, Table};
use crate::store::meta::{Sum, hash};
use crate::store::parts;
use crate::store::read::{bad_record, read_error};
use crate::store::record::{DeadLetter, delivery_created_ms, failures_to_disk};
use crate::store::write::{Committed, Write};

/// How many records a hook may have in a table with a bound; the oldest go first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) dead_max: usize,
    pub(super) attempts_max: usize,
}

pub(super) struct Group<'a> {
    db: &'a Db,
    counts: &'a Counts,
    /// What this group adds to `counts`.
    difference: Counts,
    changes: BTreeMap<Vec<u8>, Change>,
    /// The same for journaled records, with their values whole.
    journal: journal::Changes,
    /// The number that the next attempt gets.
    next_number: u64,
}

/// What one record is on disk, as its hash, and what it becomes; `None` where there is no record.
struct Change {
    before: Option<u128>,
    after: Option<Vec<u8>>,
}

impl Change {
    /// Put and removed by the same group, and nothing on disk.
    fn is_void(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }
}

/// What to bring to disk, and what to remember once it is there.
pub(super) struct Prepared {
    pub(super) batch: Batch,
    pub(super) journal: journal::Changes,
    /// What the group adds to the sum over all records.
    pub(super) sum: Sum,
    pub(super) difference: Counts,
    pub(super) next_number: u64,
}

impl<'a> Group<'a> {
    pub(super) fn new(db: &'a Db, counts: &'a Counts, next_number: u64) -> Self {
        Self {
            db,
            counts,
            difference: Counts::default(),
            changes: BTreeMap::new(),
            journal: journal::Changes::new(),
            next_number,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.values().all(Change::is_void)
    }

    pub(super) fn into_prepared(self) -> Prepared {
        let mut batch = Batch::default();
        let mut sum = Sum::default();
        for (key, change) in self.changes.into_iter().filter(|(_, change)| !change.is_void()) {
            if let Some(before) = change.before {
                sum.subtract(before);
            }
            match change.after {
                Some(value) => {
                    sum.add(hash(&key, &value));
                    batch.insert(key, value);
                }
                None => batch.remove(key),
            }
        }
        Prepared { batch, journal: self.journal, sum, difference: self.difference, next_number: self.next_number }
    }

    /// Takes in one unit of writes.
    pub(super) fn apply(&mut self, writes: &[Write]) -> Result<Committed, StoreError> {
        let before = self.difference.net(Table::Delivery);
        let mut committed = Committed::default();
        for write in writes {
            match write {
                Write::CountPending(hook) => committed.pending = u64::try_from(self.pending(hook)).unwrap_or(0),
                change => committed.discarded += self.apply_one(change)?,
            }
        }
        committed.growth = self.difference.net(Table::Delivery) - before;
        Ok(committed)
    }

    /// The number of deliveries that the write discards.
    fn apply_one(&mut self, write: &Write) -> Result<u64, StoreError> {
        match write {
            Write::PutAccount { id, record } => self.put(&keys::of_account(Table::Account, id), record)?,
            Write::DeleteAccount(id) => self.remove(&keys::of_account(Table::Account, id))?,
            Write::PutApiKey { account, record } => self.put(&keys::of_account(Table::ApiKey, account), record)?,
            Write::DeleteApiKey(account) => self.remove(&keys::of_account(Table::ApiKey, account))?,
            Write::PutConfig { account, record } => self.put(&keys::of_account(Table::Config, account), record)?,
            Write::DeleteConfig(account) => self.remove(&keys::of_account(Table::Config, account))?,
            Write::PutHook { id, record } => self.put(&keys::of_hook(Table::Hook, id), record)?,
            Write::DeleteHook(id) => return self.delete_hook(id),
            Write::PutDelivery { key, delivery } => self.put(&key.to_disk(), &delivery.to_disk())?,
            Write::DeleteDelivery(key) => self.remove(&key.to_disk())?,
            Write::CountPending(_) => (),
            Write::DiscardDeliveries { hook, created_before_ms } => return self.discard(hook, *created_before_ms),
            Write::PutFailures { hook, times } if times.is_empty() => {
                self.remove(&keys::of_hook(Table::Failures, hook))?;
            }
            Write::PutFailures { hook, times } => {
                self.put(&keys::of_hook(Table::Failures, hook), &failures_to_disk(times))?;
            }
            Write::DeadLetter { hook, delivery, died_ms, reason } => {
                let key = DeadLetterKey { hook: *hook, died_ms: *died_ms, event: delivery.event_id };
                self.put(&key.to_disk(), &DeadLetter::to_disk(delivery, reason))?;
            }
            Write::DeleteDeadLetter(key) => self.remove(&key.to_disk())?,
            Write::LogAttempt { hook, at_ms, record } => {
                let position = Position { at_ms: *at_ms, number: self.next_number };
                self.next_number += 1;
                self.put(&position.to_disk(hook), record)?;
            }
            Write::PutBinding { exchange, routing_key } => {
                self.put(&keys::binding(exchange, routing_key), &[])?;
            }
            Write::DeleteBinding { exchange, routing_key } => self.remove(&keys::binding(exchange, routing_key))?,
        }
        Ok(0)
    }

    fn delete_hook(&mut self, hook: &HookId) -> Result<u64, StoreError> {
        self.remove(&keys::of_hook(Table::Hook, hook))?;
        self.remove(&keys::of_hook(Table::Failures, hook))?;
        let discarded = u64::try_from(self.pending(hook)).unwrap_or(0);
        for table in COUNTED {
            self.remove_oldest(all_of(table, hook), usize::MAX)?;
        }
        Ok(discarded)
    }

    fn pending(&self, hook: &HookId) -> i64 {
        self.counts.of(*hook, Table::Delivery) + self.difference.of(*hook, Table::Delivery)
    }

    fn discard(&mut self, hook: &HookId, created_before_ms: u64) -> Result<u64, StoreError> {
        let mut discarded = 0;
        for key in self.oldest(all_of(Table::Delivery, hook), usize::MAX)? {
            let Some(head) = self.head(&key)? else { continue };
            let created_ms = parts::first_piece(&head).and_then(delivery_created_ms);
            if created_ms.map_err(|cause| bad_record(&key, cause))? < created_before_ms {
                self.remove(&key)?;
                discarded += 1;
            }
        }
        Ok(discarded)
    }

    /// Deletes what this group put beyond the bounds. The number of dead letters deleted.
    pub(super) fn trim(&mut self, bounds: Bounds) -> Result<u64, StoreError> {
        self.trim_table(Table::Attempt, bounds.attempts_max)?;
        self.trim_table(Table::DeadLetter, bounds.dead_max)
    }

    fn trim_table(&mut self, table: Table, max: usize) -> Result<u64, StoreError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let touched: Vec<HookId> = self.difference.hooks(table).collect();
        let mut trimmed = 0;
        for hook in touched {
            let excess = self.counts.of(hook, table) + self.difference.of(hook, table) - max;
            if let Ok(excess) = usize::try_from(excess) {
                trimmed += self.remove_oldest(all_of(table, &hook), excess)?;
            }
        }
        Ok(trimmed)
    }

    /// Deletes up to `limit` records of `table` older than `before_ms`. How many there were.
    pub(super) fn expire(&mut self, table: Table, before_ms: u64, limit: usize) -> Result<u64, StoreError> {
        let hooks: Vec<HookId> = self.counts.hooks(table).collect();
        let mut expired = 0;
        for hook in hooks {
            let left = limit.saturating_sub(usize::try_from(expired).unwrap_or(usize::MAX));
            if left == 0 {
                break;
            }
            let range = keys::of_hook(table, &hook)..keys::of_hook_at(table, &hook, before_ms);
            expired += self.remove_oldest(range, left)?;
        }
        Ok(expired)
    }

    fn remove_oldest(&mut self, range: Range<Vec<u8>>, limit: usize) -> Result<u64, StoreError> {
        let mut removed = 0;
        for key in self.oldest(range, limit)? {
            self.remove(&key)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The first `limit` keys of `range` as they will be after this group.
    fn oldest(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
        let mut found: Vec<Vec<u8>> = self
            .changes
            .range::<Vec<u8>, _>(bounds)
            .filter(|(_, change)| change.after.is_some())
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        let on_disk = self.db.range(range).keys().filter(|key| match key {
            Ok(key) => !self.changes.contains_key(key.as_ref()),
            Err(_) => true,
        });
        for key in on_disk.take(limit) {
            found.push(key.map_err(read_error)?.to_vec());
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if !self.remove_value(key)? {
            self.count(key, 1)?;
        }
        self.count_created(key, value, 1)?;
        for (key, piece) in parts::split(key, value) {
            match self.changes.entry(key) {
                Entry::Occupied(mut change) => change.get_mut().after = Some(piece),
                // What the value was before had no such piece, or it would have been removed just now.
                Entry::Vacant(place) => drop(place.insert(Change { before: None, after: Some(piece) })),
            }
        }
        if let Some(key) = keys::journaled(key) {
            self.journal.insert(key, Some(value.to_vec()));
        }
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if self.remove_value(key)? {
            self.count(key, -1)?;
            if let Some(key) = keys::journaled(key) {
                self.journal.insert(key, None);
            }
        }
        Ok(())
    }

    /// Deletes all pieces of the value under `key`. Whether there is such a value.
    fn remove_value(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let Some(head) = self.head(key)? else { return Ok(false) };
        let first = parts::first_piece(&head).map_err(|cause| bad_record(key, cause))?;
        self.count_created(key, first, -1)?;
        for key in parts::further_keys(key, &head).map_err(|cause| bad_record(key, cause))? {
            if let Some(piece) = self.head(&key)? {
                self.remove_record(key, &piece);
            }
        }
        self.remove_record(key.to_vec(), &head);
        Ok(true)
    }

    /// `now` is what the record is before this removal.
    fn remove_record(&mut self, key: Vec<u8>, now: &[u8]) {
        match self.changes.entry(key) {
            Entry::Occupied(mut change) => change.get_mut().after = None,
            Entry::Vacant(place) => {
                let before = Some(hash(place.key(), now));
                place.insert(Change { before, after: None });
            }
        }
    }

    fn count(&mut self, key: &[u8], change: i64) -> Result<(), StoreError> {
        self.difference.add(key, change).map_err(|cause| bad_record(key, cause))
    }

    /// `value` may be its first piece alone.
    fn count_created(&mut self, key: &[u8], value: &[u8], change: i64) -> Result<(), StoreError> {
        if key.first() == Some(&(Table::Delivery as u8)) {
            let created_ms = delivery_created_ms(value).map_err(|cause| bad_record(key, cause))?;
            self.difference.add_created(created_ms, change);
        }
        Ok(())
    }

    fn head(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.after.as_deref().map(IVec::from)),
            None => self.db.get(key).map_err(read_error),
        }
    }
}

fn all_of(table: Table, hook: &HookId) -> Range<Vec<u8>> {
    let prefix = keys::of_hook(table, hook);
    let end = keys::after(&prefix);
    prefix..end
}
