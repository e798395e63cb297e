//! What the journal holds, without the records themselves: enough to compare it with the store, and to tell when it has
//! grown.

use std::collections::HashMap;

use crate::store::journal::format::ENTRY_BYTES;
use crate::store::keys::{SingleKey, Table};
use crate::store::meta::hash;

#[derive(Debug, Default)]
pub(in crate::store) struct Contents {
    records: HashMap<SingleKey, Held>,
    /// What these records take in the file, without those that they replaced.
    pub(super) bytes: u64,
    hooks: u64,
    accounts: u64,
}

#[derive(Debug)]
struct Held {
    hash: u128,
    bytes: u64,
}

impl Contents {
    pub(in crate::store) fn take(&mut self, key: SingleKey, record: Option<&[u8]>) {
        let held = record.map(|record| Held { hash: hash(&key, record), bytes: ENTRY_BYTES + record.len() as u64 });
        if let Some(held) = &held {
            self.bytes += held.bytes;
            if let Some(count) = self.count(key) {
                *count += 1;
            }
        }
        let before = match held {
            Some(held) => self.records.insert(key, held),
            None => self.records.remove(&key),
        };
        if let Some(before) = before {
            self.bytes -= before.bytes;
            if let Some(count) = self.count(key) {
                *count -= 1;
            }
        }
    }

    pub(in crate::store) fn hooks(&self) -> u64 {
        self.hooks
    }

    pub(in crate::store) fn accounts(&self) -> u64 {
        self.accounts
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records are not the same here and there.
    pub(in crate::store) fn differences<'a>(&self, there: impl Iterator<Item = (SingleKey, &'a [u8])>) -> u64 {
        let (mut same, mut count) = (0, 0);
        for (key, record) in there {
            count += 1;
            if self.records.get(&key).is_some_and(|held| held.hash == hash(&key, record)) {
                same += 1;
            }
        }
        (self.records.len() as u64).max(count) - same
    }

    fn count(&mut self, key: SingleKey) -> Option<&mut u64> {
        match Table::of(&key) {
            Ok(Table::Hook) => Some(&mut self.hooks),
            Ok(Table::Account) => Some(&mut self.accounts),
            _ => None,
        }
    }
}
