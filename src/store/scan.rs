//! Reads every record once: what the server starts from, the counts, and the sum that proves them complete.

use std::collections::HashMap;

use sled::{Db, IVec};

use crate::ids::{AccountId, HookId};
use crate::store::codec::BadRecord;
use crate::store::counts::Counts;
use crate::store::error::StoreError;
use crate::store::keys::{self, DeliveryKey, JOURNALED, Position, SingleKey, Table};
use crate::store::meta::{Sum, hash};
use crate::store::parts;
use crate::store::read::{bad_record, read_error};
use crate::store::record::{delivery_created_ms, failures_from_disk};
use crate::store::repair::Recovery;

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
    /// Where the store was damaged and this is what could be rebuilt.
    pub recovery: Option<Recovery>,
}

impl Loaded {
    /// The records that the journal has to hold as well.
    pub(super) fn journaled(&self) -> impl Iterator<Item = (SingleKey, &[u8])> {
        let of_accounts =
            [(Table::Account, &self.accounts), (Table::ApiKey, &self.api_keys), (Table::Config, &self.configs)];
        of_accounts
            .into_iter()
            .flat_map(|(table, records)| {
                let key = move |id: &AccountId| keys::single(table, id.as_bytes());
                records.iter().map(move |(id, record)| (key(id), record.as_slice()))
            })
            .chain(self.hooks.iter().map(|(id, record)| (keys::single(Table::Hook, id.as_bytes()), record.as_slice())))
    }
}

/// The deliveries that wait for one hook; there is at least one. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub count: u64,
    pub first_due_ms: u64,
}

impl Pending {
    /// `so_far` and one more delivery, whose key comes later.
    fn and(so_far: Option<Self>, key: &[u8]) -> Result<Self, BadRecord> {
        let due_ms = DeliveryKey::from_disk(key)?.due_ms;
        Ok(match so_far {
            None => Self { count: 1, first_due_ms: due_ms },
            Some(so_far) => Self { count: so_far.count + 1, ..so_far },
        })
    }
}

/// What the server starts from, again, from an open store.
pub(super) fn load(db: &Db) -> Result<Loaded, StoreError> {
    Ok(Scan::of(db)?.loaded)
}

/// The records of all journaled tables, whole.
pub(super) fn journaled_records(db: &Db) -> impl Iterator<Item = Result<(SingleKey, Vec<u8>), StoreError>> {
    JOURNALED
        .into_iter()
        .flat_map(|table| db.scan_prefix([table as u8]))
        .filter_map(|record| record.map_err(read_error).and_then(|(key, head)| join(db, &key, head)).transpose())
}

fn join(db: &Db, key: &[u8], head: IVec) -> Result<Option<(SingleKey, Vec<u8>)>, StoreError> {
    let single = keys::journaled(key).ok_or_else(|| bad_record(key, BadRecord::Long))?;
    Ok(parts::join(db, key, head)?.map(|value| (single, value)))
}

#[derive(Default)]
pub(super) struct Scan {
    pub(super) loaded: Loaded,
    pub(super) counts: Counts,
    /// The number that the next attempt gets.
    pub(super) next_number: u64,
    pub(super) sum: Sum,
}

impl Scan {
    pub(super) fn of(db: &Db) -> Result<Self, StoreError> {
        let mut scan = Self::default();
        for record in db.iter() {
            let (key, head) = record.map_err(read_error)?;
            scan.take(db, &key, head)?;
        }
        Ok(scan)
    }

    fn take(&mut self, db: &Db, key: &[u8], head: IVec) -> Result<(), StoreError> {
        let table = Table::of(key).map_err(|cause| bad_record(key, cause))?;
        if table != Table::Meta {
            self.sum.add(hash(key, &head));
        }
        self.take_key(key, &head).map_err(|cause| bad_record(key, cause))?;
        match table {
            Table::Account | Table::ApiKey | Table::Config | Table::Hook | Table::Failures => {
                // While the server runs it may have been deleted since.
                let Some(value) = parts::join(db, key, head)? else {
                    return Ok(());
                };
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
                self.loaded.pending.insert(hook, Pending::and(so_far, key)?);
                self.counts.add_created(parts::first_piece(head).and_then(delivery_created_ms)?, 1);
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
