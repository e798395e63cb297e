//! Tries of topic patterns, one per root, in shared tables: which values stand under a pattern that matches a key. Pure.
//!
//! A look-up is on the way of every event, so nothing here is spread over the heap: the edges of all tries are one table
//! of small numbers, and nodes stand in a slab. What is removed leaves nothing behind.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::pattern::{Pattern, Word};
use crate::fast::{FastMap, FastSet};

/// A place for a value: the end of one pattern in one of the tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

#[derive(Debug)]
pub struct Forest<R, V> {
    roots: FastMap<R, u32>,
    /// The children that stand behind a word, by their parent and that word.
    edges: HashTable<u32>,
    hashes: RandomState,
    /// Each word once: most accounts have the same few, which are in the cache then.
    words: FastSet<Arc<str>>,
    nodes: Slab<Node<V>>,
}

/// A cache line of its own for each: to fetch them is what a look-up among many accounts takes its time for.
#[derive(Debug)]
#[repr(align(64))]
struct Node<V> {
    parent: u32,
    via: Via,
    /// The children behind `*` and `#`, or [`NONE`].
    one: u32,
    any: u32,
    /// How many children stand behind a word.
    exact: u32,
    value: Option<V>,
}

#[derive(Debug)]
enum Via {
    Root,
    Word(Arc<str>),
    One,
    Any,
}

const NONE: u32 = u32::MAX;

impl<R, V> Default for Forest<R, V> {
    fn default() -> Self {
        Self {
            roots: FastMap::default(),
            edges: HashTable::new(),
            hashes: RandomState::default(),
            words: FastSet::default(),
            nodes: Slab::new(),
        }
    }
}

impl<R: Eq + Hash + Copy, V> Forest<R, V> {
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.edges.is_empty() && self.words.is_empty() && self.nodes.is_empty()
    }

    /// The place of a pattern below a root, made where it is missing. One without a value is to be filled, or removed.
    pub fn place(&mut self, root: R, pattern: &Pattern) -> Place {
        let mut id = match self.roots.get(&root) {
            Some(id) => *id,
            None => {
                let id = self.add(NONE, Via::Root);
                self.roots.insert(root, id);
                id
            }
        };
        for word in pattern.words() {
            id = self.child(id, word);
        }
        Place(id)
    }

    pub fn value(&self, place: Place) -> Option<&V> {
        self.nodes.get(place.0 as usize)?.value.as_ref()
    }

    pub fn value_mut(&mut self, place: Place) -> &mut Option<V> {
        &mut self.nodes[place.0 as usize].value
    }

    /// Removes the place's value, and every node that is there for nothing then. `root` is that of the place.
    pub fn remove(&mut self, root: R, place: Place) {
        self.nodes[place.0 as usize].value = None;
        let mut id = place.0;
        while self.nodes[id as usize].is_empty() {
            let node = self.nodes.remove(id as usize);
            match node.via {
                Via::Root => {
                    self.roots.remove(&root);
                    return;
                }
                Via::Word(word) => {
                    let hash = self.hashes.hash_one((node.parent, &*word));
                    if let Ok(edge) = self.edges.find_entry(hash, |child| *child == id) {
                        edge.remove();
                    }
                    // The other one is in the set.
                    if Arc::strong_count(&word) == 2 {
                        self.words.remove(&*word);
                    }
                    self.nodes[node.parent as usize].exact -= 1;
                }
                Via::One => self.nodes[node.parent as usize].one = NONE,
                Via::Any => self.nodes[node.parent as usize].any = NONE,
            }
            id = node.parent;
        }
    }

    /// Calls `found` with every value whose pattern below the root matches the key; several times for a value under a
    /// pattern with `#` that matches in several ways.
    pub fn find(&self, root: &R, key: &str, found: &mut impl FnMut(&V)) {
        if let Some(id) = self.roots.get(root) {
            // An empty key is one empty word, as `Pattern::parse` sees it too.
            self.walk(*id, Some(key), found);
        }
    }

    fn add(&mut self, parent: u32, via: Via) -> u32 {
        let id = self.nodes.insert(Node { parent, via, one: NONE, any: NONE, exact: 0, value: None });
        u32::try_from(id).expect("memory ends long before four thousand million nodes")
    }

    fn child(&mut self, id: u32, word: &Word) -> u32 {
        let node = &self.nodes[id as usize];
        match word {
            Word::One if node.one != NONE => node.one,
            Word::One => {
                let child = self.add(id, Via::One);
                self.nodes[id as usize].one = child;
                child
            }
            Word::Any if node.any != NONE => node.any,
            Word::Any => {
                let child = self.add(id, Via::Any);
                self.nodes[id as usize].any = child;
                child
            }
            Word::Exactly(text) => {
                if let Some(child) = self.behind_word(id, text) {
                    return child;
                }
                let word = match self.words.get(&**text) {
                    Some(word) => Arc::clone(word),
                    None => {
                        let word: Arc<str> = text.as_ref().into();
                        self.words.insert(Arc::clone(&word));
                        word
                    }
                };
                let child = self.add(id, Via::Word(word));
                self.nodes[id as usize].exact += 1;
                let (hashes, nodes) = (&self.hashes, &self.nodes);
                let hash_of = |child: &u32| match &nodes[*child as usize] {
                    Node { parent, via: Via::Word(word), .. } => hashes.hash_one((*parent, &**word)),
                    _ => 0,
                };
                self.edges.insert_unique(hash_of(&child), child, hash_of);
                child
            }
        }
    }

    fn behind_word(&self, id: u32, word: &str) -> Option<u32> {
        let is_it = |child: &u32| match &self.nodes[*child as usize] {
            Node { parent, via: Via::Word(own), .. } => *parent == id && **own == *word,
            _ => false,
        };
        self.edges.find(self.hashes.hash_one((id, word)), is_it).copied()
    }

    /// `key` is what is left of the routing key; `None` when its last word was consumed.
    fn walk(&self, id: u32, key: Option<&str>, found: &mut impl FnMut(&V)) {
        let node = &self.nodes[id as usize];
        if node.any != NONE {
            self.walk_after_any(node.any, key, found);
        }
        match key {
            Some(key) => self.walk_below(id, node, key, found),
            None => node.value.iter().for_each(found),
        }
    }

    /// The node stands behind a `#`: it may begin at any of the words that are left, or behind the last.
    fn walk_after_any(&self, id: u32, key: Option<&str>, found: &mut impl FnMut(&V)) {
        let node = &self.nodes[id as usize];
        // Most patterns end with their `#`; then there is nothing to try at each word. A `#` never follows a `#`.
        if node.exact > 0 || node.one != NONE {
            let mut left = key;
            while let Some(text) = left {
                self.walk_below(id, node, text, found);
                left = split_word(text).1;
            }
        }
        node.value.iter().for_each(found);
    }

    fn walk_below(&self, id: u32, node: &Node<V>, key: &str, found: &mut impl FnMut(&V)) {
        let (word, rest) = split_word(key);
        if node.exact > 0
            && let Some(child) = self.behind_word(id, word)
        {
            self.walk(child, rest, found);
        }
        if node.one != NONE {
            self.walk(node.one, rest, found);
        }
    }
}

impl<V> Node<V> {
    fn is_empty(&self) -> bool {
        self.value.is_none() && self.exact == 0 && self.one == NONE && self.any == NONE
    }
}

fn split_word(key: &str) -> (&str, Option<&str>) {
    match key.split_once('.') {
        Some((word, rest)) => (word, Some(rest)),
        None => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Forest, Pattern};
    use crate::routing::naive;

    #[track_caller]
    fn check(pattern: &str, key: &str, expected: bool) {
        let mut forest = Forest::default();
        let place = forest.place(1, &Pattern::parse(pattern).unwrap());
        *forest.value_mut(place) = Some(());
        for (root, expected) in [(1, expected), (2, false)] {
            let mut found = false;
            forest.find(&root, key, &mut |()| found = true);
            assert_eq!(found, expected, "{pattern} against {key}");
        }
        assert_eq!(naive::matches(pattern, key), expected, "the naive twin: {pattern} against {key}");
    }

    #[test]
    fn wildcards_match_as_in_amqp() {
        check("call.CHANNEL_CREATE.*", "call.CHANNEL_CREATE.abc", true);
        check("call.CHANNEL_CREATE.*", "call.CHANNEL_CREATE", false);
        check("call.CHANNEL_CREATE.*", "call.CHANNEL_CREATE.abc.d", false);
        check("#", "", true);
        check("#", "a.b.c", true);
        check("a.#", "a", true);
        check("#.c", "a.b.c", true);
        check("a.#.c", "a.c", true);
        check("a.#.*", "a", false);
        check("*.#.*", "a.b", true);
        check("*", "", true);
        check("a..b", "a..b", true);
        check("A", "a", false);
    }
}
