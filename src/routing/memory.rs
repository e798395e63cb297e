//! A bounded memory of what was said last about something. Pure.
//!
//! Two generations make the bounds cheap: an entry that is used moves to the young one, and when that is half full or
//! half the age old, it becomes the old one and what was old is forgotten.

use std::hash::Hash;

use crate::fast::FastMap;

#[derive(Debug)]
pub struct Memory<K, V> {
    young: FastMap<K, V>,
    old: FastMap<K, V>,
    young_since_ms: u64,
    half_max: usize,
    half_age_ms: u64,
}

impl<K: Eq + Hash, V: Copy> Memory<K, V> {
    /// At the limit of `entries_max` the half that was not used for longest is forgotten, and whatever was not used for
    /// `age_ms`.
    pub fn new(entries_max: usize, age_ms: u64) -> Self {
        Self {
            young: FastMap::default(),
            old: FastMap::default(),
            young_since_ms: 0,
            half_max: (entries_max / 2).max(1),
            half_age_ms: (age_ms / 2).max(1),
        }
    }

    pub fn remember(&mut self, key: K, value: V, now_ms: u64) {
        self.age(now_ms);
        self.young.insert(key, value);
    }

    pub fn recall(&mut self, key: K, now_ms: u64) -> Option<V> {
        self.age(now_ms);
        if let Some(value) = self.young.get(&key) {
            return Some(*value);
        }
        let value = self.old.remove(&key)?;
        self.young.insert(key, value);
        Some(value)
    }

    fn age(&mut self, now_ms: u64) {
        let unused_for = now_ms.saturating_sub(self.young_since_ms);
        if unused_for >= 2 * self.half_age_ms {
            self.young.clear();
        }
        if self.young.len() >= self.half_max || unused_for >= self.half_age_ms {
            self.old = std::mem::take(&mut self.young);
            self.young_since_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn an_entry_is_known_until_it_is_too_old() {
        let mut memory = Memory::new(100, 1_000);
        memory.remember("c", 1, 10_000);
        assert_eq!(memory.recall("c", 10_400), Some(1));
        assert_eq!(memory.recall("other", 10_400), None);
        assert_eq!(memory.recall("c", 12_000), None);
    }

    #[test]
    fn an_entry_in_use_stays_known() {
        let mut memory = Memory::new(100, 1_000);
        memory.remember("c", 1, 0);
        for tick in 1..20 {
            assert_eq!(memory.recall("c", tick * 400), Some(1), "{tick}");
        }
    }

    #[test]
    fn what_was_said_last_counts_whichever_generation_has_the_rest() {
        let mut memory = Memory::new(100, 1_000);
        memory.remember("c", 1, 10_000);
        memory.remember("c", 2, 10_600);
        assert_eq!(memory.recall("c", 10_700), Some(2));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut memory = Memory::new(100, 1_000_000);
        for entry in 0..10_000 {
            memory.remember(entry, 1, 1);
        }
        assert!(memory.young.len() + memory.old.len() <= 100);
        assert_eq!(memory.recall(9_999, 1), Some(1));
    }
}
