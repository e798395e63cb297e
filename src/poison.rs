//! What made its handler panic, and how often: beyond a limit it is not handled any more.
//!
//! An event that comes from the broker is counted by its id, a delivery of the store by its hook and its event. Who is
//! to blame for a panic, [`crate::event::InHand`] and [`crate::webhook::suspect`] find out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Culprits that are remembered. Beyond it all are forgotten: a panic a thousand times over is not an event's fault.
const TRACKED_MAX: usize = 1_000;

/// How often the handling of each culprit has panicked. Outlives actors, channels and connections, not the process.
#[derive(Debug)]
pub struct Poison<K>(Arc<Mutex<HashMap<K, u32>>>);

impl<K> Clone for Poison<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Poison<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash> Poison<K> {
    fn panicked(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, culprit: K) {
        let mut panicked = self.panicked();
        if panicked.len() >= TRACKED_MAX && !panicked.contains_key(&culprit) {
            panicked.clear();
        }
        *panicked.entry(culprit).or_default() += 1;
    }

    pub fn panics(&self, culprit: &K) -> u32 {
        self.panicked().get(culprit).copied().unwrap_or(0)
    }

    /// It ended well after all.
    pub fn forget(&self, culprit: &K) {
        self.panicked().remove(culprit);
    }
}

#[cfg(test)]
mod tests {
    use super::{Poison, TRACKED_MAX};

    #[test]
    fn culprits_are_counted_apart_and_forgotten_when_they_end_well() {
        let poison = Poison::default();
        poison.count("a");
        poison.clone().count("a");
        poison.count("b");
        assert_eq!([poison.panics(&"a"), poison.panics(&"b"), poison.panics(&"c")], [2, 1, 0]);
        poison.forget(&"a");
        assert_eq!([poison.panics(&"a"), poison.panics(&"b")], [0, 1]);
    }

    #[test]
    fn their_number_is_bounded() {
        let poison = Poison::default();
        for culprit in 0..3 * TRACKED_MAX {
            poison.count(culprit);
            assert!(poison.panicked().len() <= TRACKED_MAX);
        }
        assert_eq!(poison.panics(&(3 * TRACKED_MAX - 1)), 1);
    }
}
