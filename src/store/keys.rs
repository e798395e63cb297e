//! Where each record lies: one keyspace, a byte per table, then fields whose byte order is their order.
//!
//! Everything is in sled's default tree, so that one batch is atomic across tables. Numbers are big-endian: the
//! first key of a hook's deliveries is the one that is due next, the first of its attempts is the oldest.
//! Called by the other files of this module. It never touches the disk.

use crate::ids::{AccountId, EventId, HookId};
use crate::store::codec::{BadRecord, Reader, put_text};

/// The first byte of every key. On disk: add, never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Table {
    Format = 0,
    Account = 1,
    ApiKey = 2,
    Config = 3,
    Hook = 4,
    Failures = 5,
    Binding = 6,
    Delivery = 7,
    DeadLetter = 8,
    Attempt = 9,
    Part = 10,
    /// What proves that the other records are complete.
    Meta = 11,
}

/// The tables that must never lose a record: they are also in the journal.
pub(super) const JOURNALED: [Table; 4] = [Table::Account, Table::ApiKey, Table::Config, Table::Hook];

/// A key that is a table and one id, as all keys of the journaled tables are.
pub(super) type SingleKey = [u8; 17];

impl Table {
    pub(super) fn of(key: &[u8]) -> Result<Self, BadRecord> {
        let byte = *key.first().ok_or(BadRecord::Short)?;
        [
            Self::Format,
            Self::Account,
            Self::ApiKey,
            Self::Config,
            Self::Hook,
            Self::Failures,
            Self::Binding,
            Self::Delivery,
            Self::DeadLetter,
            Self::Attempt,
            Self::Part,
            Self::Meta,
        ]
        .into_iter()
        .find(|table| *table as u8 == byte)
        .ok_or(BadRecord::Kind(byte))
    }
}

/// One pending delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    pub hook: HookId,
    /// When the next attempt is due, in Unix milliseconds.
    pub due_ms: u64,
    pub event: EventId,
}

impl DeliveryKey {
    pub(super) fn to_disk(self) -> Vec<u8> {
        timed(Table::Delivery, &self.hook, self.due_ms, self.event.as_bytes())
    }

    pub(super) fn from_disk(key: &[u8]) -> Result<Self, BadRecord> {
        let (hook, due_ms, event) = split_timed(key)?;
        Ok(Self { hook, due_ms, event: EventId::from_bytes(event) })
    }
}

/// One delivery that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterKey {
    pub hook: HookId,
    /// When it was given up, in Unix milliseconds.
    pub died_ms: u64,
    pub event: EventId,
}

impl DeadLetterKey {
    pub(super) fn to_disk(self) -> Vec<u8> {
        timed(Table::DeadLetter, &self.hook, self.died_ms, self.event.as_bytes())
    }

    pub(super) fn from_disk(key: &[u8]) -> Result<Self, BadRecord> {
        let (hook, died_ms, event) = split_timed(key)?;
        Ok(Self { hook, died_ms, event: EventId::from_bytes(event) })
    }
}

/// Where an attempt stands among all attempts of the store. Positions order by time; `number` runs through the
/// store, so no two attempts share a position and a page boundary between equal times is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Unix milliseconds.
    pub at_ms: u64,
    pub number: u64,
}

impl Position {
    pub(super) fn to_disk(self, hook: &HookId) -> Vec<u8> {
        timed(Table::Attempt, hook, self.at_ms, &self.number.to_be_bytes())
    }

    pub(super) fn from_disk(key: &[u8]) -> Result<(HookId, Self), BadRecord> {
        let (hook, at_ms, number) = split_timed(key)?;
        Ok((hook, Self { at_ms, number: u64::from_be_bytes(number) }))
    }
}

pub(super) fn format() -> Vec<u8> {
    vec![Table::Format as u8]
}

pub(super) fn meta() -> Vec<u8> {
    vec![Table::Meta as u8]
}

/// The key of the only record that `id` has in `table`.
pub(super) fn single(table: Table, id: &[u8; 16]) -> SingleKey {
    let mut key = [table as u8; 17];
    key[1..].copy_from_slice(id);
    key
}

/// The key as the journal writes it, when its table is journaled.
pub(super) fn journaled(key: &[u8]) -> Option<SingleKey> {
    let table = Table::of(key).ok()?;
    JOURNALED.contains(&table).then(|| key.try_into().ok())?
}

/// The key of an account's only record in `table`.
pub(super) fn of_account(table: Table, id: &AccountId) -> Vec<u8> {
    [&[table as u8], id.as_bytes().as_slice()].concat()
}

pub(super) fn account_id(key: &[u8]) -> Result<AccountId, BadRecord> {
    single_id(key).map(AccountId::from_bytes)
}

/// The key of a hook's only record in `table`; in tables with many records per hook, what their keys begin with.
pub(super) fn of_hook(table: Table, id: &HookId) -> Vec<u8> {
    [&[table as u8], id.as_bytes().as_slice()].concat()
}

/// For a key of a single record.
pub(super) fn hook_id(key: &[u8]) -> Result<HookId, BadRecord> {
    single_id(key).map(HookId::from_bytes)
}

/// For a key of a table with many records per hook.
pub(super) fn hook_of(key: &[u8]) -> Result<HookId, BadRecord> {
    let mut reader = Reader::new(key);
    reader.u8()?;
    reader.array().map(HookId::from_bytes)
}

/// Records of `hook` in `table` whose time is before `time_ms` have keys below this one.
pub(super) fn of_hook_at(table: Table, hook: &HookId, time_ms: u64) -> Vec<u8> {
    timed(table, hook, time_ms, &[])
}

/// The first key beyond all that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    // The table's byte is small, so there is always a byte left to count up.
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// One of the further pieces of the value under `key`.
pub(super) fn part(key: &[u8], index: u32) -> Vec<u8> {
    [&[Table::Part as u8], key, &index.to_be_bytes()].concat()
}

pub(super) fn binding(exchange: &str, routing_key: &str) -> Vec<u8> {
    let mut key = vec![Table::Binding as u8];
    put_text(&mut key, exchange);
    key.extend_from_slice(routing_key.as_bytes());
    key
}

/// The exchange and the routing key.
pub(super) fn binding_parts(key: &[u8]) -> Result<(String, String), BadRecord> {
    let mut reader = Reader::new(key);
    reader.u8()?;
    let exchange = reader.text()?;
    let routing_key = std::str::from_utf8(reader.rest()).map_err(|_| BadRecord::Text)?;
    Ok((exchange.to_owned(), routing_key.to_owned()))
}

fn timed(table: Table, hook: &HookId, time_ms: u64, last: &[u8]) -> Vec<u8> {
    [&[table as u8], hook.as_bytes().as_slice(), &time_ms.to_be_bytes(), last].concat()
}

fn split_timed<const N: usize>(key: &[u8]) -> Result<(HookId, u64, [u8; N]), BadRecord> {
    let mut reader = Reader::new(key);
    reader.u8()?;
    let parts = (HookId::from_bytes(reader.array()?), reader.u64()?, reader.array()?);
    reader.end()?;
    Ok(parts)
}

fn single_id(key: &[u8]) -> Result<[u8; 16], BadRecord> {
    let mut reader = Reader::new(key);
    reader.u8()?;
    let id = reader.array()?;
    reader.end()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use crate::ids::{EventId, HookId};
    use crate::store::keys::{DeadLetterKey, DeliveryKey, Position, Table, after, binding, binding_parts, of_hook};

    fn delivery(hook: [u8; 16], due_ms: u64, event: [u8; 16]) -> DeliveryKey {
        DeliveryKey { hook: HookId::from_bytes(hook), due_ms, event: EventId::from_bytes(event) }
    }

    proptest! {
        #[test]
        fn keys_come_back_as_they_went_and_keep_their_order(
            a in any::<([u8; 16], u64, [u8; 16])>(),
            b in any::<([u8; 16], u64, [u8; 16])>(),
        ) {
            let (a, b) = (delivery(a.0, a.1, a.2), delivery(b.0, b.1, b.2));
            prop_assert_eq!(DeliveryKey::from_disk(&a.to_disk()).unwrap(), a);
            prop_assert_eq!(a.to_disk().cmp(&b.to_disk()), a.cmp(&b));

            let dead = DeadLetterKey { hook: a.hook, died_ms: a.due_ms, event: a.event };
            prop_assert_eq!(DeadLetterKey::from_disk(&dead.to_disk()).unwrap(), dead);
            let position = Position { at_ms: a.due_ms, number: b.due_ms };
            prop_assert_eq!(Position::from_disk(&position.to_disk(&a.hook)).unwrap(), (a.hook, position));
        }

        #[test]
        fn a_prefix_covers_its_hook_and_no_other(hook in any::<[u8; 16]>(), other in any::<[u8; 16]>(), due in any::<u64>()) {
            let prefix = of_hook(Table::Delivery, &HookId::from_bytes(hook));
            let covered = |key: Vec<u8>| prefix <= key && key < after(&prefix);
            prop_assert!(covered(delivery(hook, due, other).to_disk()));
            prop_assert_eq!(covered(delivery(other, due, hook).to_disk()), other == hook);
        }

        #[test]
        fn bindings_come_back_whatever_they_contain(exchange in ".{0,20}", routing_key in ".{0,40}") {
            prop_assert_eq!(binding_parts(&binding(&exchange, &routing_key)).unwrap(), (exchange, routing_key));
        }

        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
            let _ = (DeliveryKey::from_disk(&bytes), Position::from_disk(&bytes), binding_parts(&bytes), Table::of(&bytes));
        }
    }

    #[test]
    fn a_prefix_of_all_ones_has_an_end() {
        let prefix = of_hook(Table::Attempt, &HookId::from_bytes([255; 16]));
        assert_eq!(after(&prefix), [Table::Attempt as u8 + 1]);
    }
}
