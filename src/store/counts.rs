//! How many records each hook has in the tables that are bounded per hook, and how old the pending deliveries are.
//!
//! Owned by the store's thread, which counts once at open and then adds the difference that each group made.

use std::collections::{BTreeMap, HashMap};

use crate::ids::HookId;
use crate::store::codec::BadRecord;
use crate::store::keys::{Table, hook_of};

/// The tables with many records per hook.
pub(super) const COUNTED: [Table; 3] = [Table::Delivery, Table::DeadLetter, Table::Attempt];

/// A number per hook and counted table; as the difference that a group makes it may be negative.
#[derive(Debug, Default)]
pub(super) struct Counts {
    per_hook: HashMap<(HookId, Table), i64>,
    totals: HashMap<Table, i64>,
    /// How many deliveries were created in each Unix second: it does not grow with their number.
    created: BTreeMap<u64, i64>,
}

impl Counts {
    /// Adds `change` for the record of `key`, when its table is counted.
    pub(super) fn add(&mut self, key: &[u8], change: i64) -> Result<(), BadRecord> {
        let table = Table::of(key)?;
        if COUNTED.contains(&table) {
            self.add_to(hook_of(key)?, table, change);
        }
        Ok(())
    }

    pub(super) fn add_created(&mut self, created_ms: u64, change: i64) {
        self.add_created_in(created_ms / 1_000, change);
    }

    /// When the oldest delivery was created, to the second; `None` when there is none.
    pub(super) fn oldest_created_s(&self) -> Option<u64> {
        self.created.first_key_value().map(|(second, _)| *second)
    }

    fn add_created_in(&mut self, second: u64, change: i64) {
        let count = self.created.entry(second).or_default();
        *count += change;
        if *count == 0 {
            self.created.remove(&second);
        }
    }

    pub(super) fn of(&self, hook: HookId, table: Table) -> i64 {
        self.per_hook.get(&(hook, table)).copied().unwrap_or(0)
    }

    pub(super) fn total(&self, table: Table) -> u64 {
        self.net(table).try_into().unwrap_or(0)
    }

    /// The total where it is a difference.
    pub(super) fn net(&self, table: Table) -> i64 {
        self.totals.get(&table).copied().unwrap_or(0)
    }

    /// As it will be with `difference`.
    pub(super) fn total_with(&self, difference: &Self, table: Table) -> u64 {
        let total = |counts: &Self| counts.totals.get(&table).copied().unwrap_or(0);
        (total(self) + total(difference)).try_into().unwrap_or(0)
    }

    /// The hooks that have an entry in `table`.
    pub(super) fn hooks(&self, table: Table) -> impl Iterator<Item = HookId> {
        self.per_hook.keys().filter(move |(_, of)| *of == table).map(|(hook, _)| *hook)
    }

    pub(super) fn merge(&mut self, difference: Self) {
        for ((hook, table), change) in difference.per_hook {
            self.add_to(hook, table, change);
        }
        for (second, change) in difference.created {
            self.add_created_in(second, change);
        }
    }

    fn add_to(&mut self, hook: HookId, table: Table, change: i64) {
        let count = self.per_hook.entry((hook, table)).or_default();
        *count += change;
        if *count == 0 {
            self.per_hook.remove(&(hook, table));
        }
        *self.totals.entry(table).or_default() += change;
    }
}
