//! What proves that a store is whole: a number, a sum over its records, and how far the journal goes.
//!
//! sled's own checksums hold for each record by itself. A log that was cut or overwritten opens without an error, with
//! records missing or as they were earlier. The sum covers all of them, so it tells; and every batch carries the record
//! that says what the sum has to be. Adding and subtracting keeps it up, whatever the order of the changes.

use xxhash_rust::xxh3::Xxh3;

use crate::store::codec::{BadRecord, Reader};

/// Over the key and the value of one record on disk.
pub(super) fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.digest128()
}

/// The number of records, and the sum of their hashes. As the difference that a group makes, both wrap around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    hashes: u128,
}

impl Sum {
    pub(super) fn add(&mut self, hash: u128) {
        self.count = self.count.wrapping_add(1);
        self.hashes = self.hashes.wrapping_add(hash);
    }

    pub(super) fn subtract(&mut self, hash: u128) {
        self.count = self.count.wrapping_sub(1);
        self.hashes = self.hashes.wrapping_sub(hash);
    }

    fn merge(&mut self, difference: Self) {
        self.count = self.count.wrapping_add(difference.count);
        self.hashes = self.hashes.wrapping_add(difference.hashes);
    }
}

/// The record that every batch carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// Counts the groups, over the whole life of a data directory.
    pub(super) sequence: u64,
    /// The last group that changed a journaled record.
    pub(super) journaled: u64,
    /// Over all records but this one.
    pub(super) sum: Sum,
}

/// Whether a group changes records that are also in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touches {
    JournaledRecords,
    OtherRecords,
}

impl Meta {
    /// As the next group leaves it.
    pub(super) fn next(self, difference: Sum, touches: Touches) -> Self {
        let mut next = self;
        next.sequence += 1;
        next.sum.merge(difference);
        if touches == Touches::JournaledRecords {
            next.journaled = next.sequence;
        }
        next
    }

    pub(super) fn to_disk(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        for number in [self.sequence, self.journaled, self.sum.count] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.sum.hashes.to_be_bytes());
        bytes
    }

    pub(super) fn from_disk(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(bytes);
        let meta = Self {
            sequence: reader.u64()?,
            journaled: reader.u64()?,
            sum: Sum { count: reader.u64()?, hashes: u128::from_be_bytes(reader.array()?) },
        };
        reader.end()?;
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use crate::store::meta::{Meta, Sum, Touches, hash};

    fn sum_of(records: &BTreeMap<u8, Vec<u8>>) -> Sum {
        let mut sum = Sum::default();
        for (key, value) in records {
            sum.add(hash(&[*key], value));
        }
        sum
    }

    proptest! {
        #[test]
        fn the_sum_kept_up_is_the_sum_counted_anew(changes in any::<Vec<(u8, Option<Vec<u8>>)>>()) {
            let mut records = BTreeMap::new();
            let mut meta = Meta::default();
            for (key, value) in changes {
                let mut difference = Sum::default();
                if let Some(value) = &value {
                    difference.add(hash(&[key], value));
                }
                let before = match value {
                    Some(value) => records.insert(key, value),
                    None => records.remove(&key),
                };
                if let Some(before) = before {
                    difference.subtract(hash(&[key], &before));
                }
                meta = meta.next(difference, Touches::OtherRecords);
                prop_assert_eq!(meta.sum, sum_of(&records));
            }
            prop_assert_eq!(Meta::from_disk(&meta.to_disk()).unwrap(), meta);
        }

        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
            let _ = Meta::from_disk(&bytes);
        }
    }

    #[test]
    fn a_byte_that_moves_from_key_to_value_changes_the_hash() {
        assert_ne!(hash(b"ab", b"c"), hash(b"a", b"bc"));
    }
}
