//! Tables for what is looked up on the way of every event.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// Fast for short keys, and seeded: clients choose the words.
pub type FastMap<K, V> = HashMap<K, V, RandomState>;
pub type FastSet<T> = HashSet<T, RandomState>;
