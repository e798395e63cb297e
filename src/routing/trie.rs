//! A trie of topic patterns: which values were put under a pattern that matches a routing key. Pure.
//!
//! A look-up walks the key once per wildcard branch that it meets; `#` is followed without recursion on the words that
//! it swallows. A node that holds nothing is removed, so that churn leaves nothing behind. There is a trie for each
//! account, most of them with few patterns, so that a node is small.

use std::collections::HashMap;

use super::pattern::{Pattern, Word};

#[derive(Debug)]
pub struct Trie<T> {
    root: Node<T>,
}

/// So many children are looked through faster than a map is asked; a map of one would take the room of four.
const FEW_MAX: usize = 8;

#[derive(Debug)]
struct Node<T> {
    exact: Children<T>,
    one: Option<Box<Node<T>>>,
    any: Option<Box<Node<T>>>,
    values: Vec<T>,
}

/// By the next word.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "the map itself is twice the size of the list, and it is rare")]
enum Children<T> {
    Few(Vec<(Box<str>, Node<T>)>),
    Many(Box<HashMap<Box<str>, Node<T>>>),
}

impl<T> Children<T> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    fn get(&self, word: &str) -> Option<&Node<T>> {
        match self {
            Self::Few(few) => few.iter().find(|(held, _)| **held == *word).map(|(_, node)| node),
            Self::Many(many) => many.get(word),
        }
    }

    fn get_mut(&mut self, word: &str) -> Option<&mut Node<T>> {
        match self {
            Self::Few(few) => few.iter_mut().find(|(held, _)| **held == *word).map(|(_, node)| node),
            Self::Many(many) => many.get_mut(word),
        }
    }

    fn get_or_insert(&mut self, word: &str) -> &mut Node<T> {
        if let Self::Few(few) = self
            && few.len() == FEW_MAX
            && few.iter().all(|(held, _)| **held != *word)
        {
            *self = Self::Many(Box::new(std::mem::take(few).into_iter().collect()));
        }
        match self {
            Self::Few(few) => {
                let found = few.iter().position(|(held, _)| **held == *word);
                let index = found.unwrap_or_else(|| {
                    few.reserve_exact(1);
                    few.push((word.into(), Node::default()));
                    few.len() - 1
                });
                &mut few[index].1
            }
            Self::Many(many) => many.entry(word.into()).or_default(),
        }
    }

    fn remove(&mut self, word: &str) {
        match self {
            Self::Few(few) => few.retain(|(held, _)| **held != *word),
            Self::Many(many) => drop(many.remove(word)),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { exact: Children::Few(Vec::new()), one: None, any: None, values: Vec::new() }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T: PartialEq + Copy> Trie<T> {
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// A value stands under a pattern at most once.
    pub fn insert(&mut self, pattern: &Pattern, value: T) {
        let mut node = &mut self.root;
        for word in pattern.words() {
            node = match word {
                Word::Exactly(text) => node.exact.get_or_insert(text),
                Word::One => node.one.get_or_insert_default(),
                Word::Any => node.any.get_or_insert_default(),
            };
        }
        if !node.values.contains(&value) {
            if node.values.is_empty() {
                // Most have but one.
                node.values.reserve_exact(1);
            }
            node.values.push(value);
        }
    }

    /// Does nothing when the value is not there.
    pub fn remove(&mut self, pattern: &Pattern, value: T) {
        self.root.remove(pattern.words(), value);
    }

    /// Appends to `found` every value whose pattern matches the key. One may come up several times: under several
    /// patterns, or under one with `#` that matches in several ways.
    pub fn find(&self, key: &str, found: &mut Vec<T>) {
        // An empty key is one empty word, as `Pattern::parse` sees it too.
        self.root.find(Some(key), found);
    }
}

impl<T: PartialEq + Copy> Node<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_none() && self.any.is_none() && self.values.is_empty()
    }

    fn remove(&mut self, words: &[Word], value: T) {
        let Some((word, rest)) = words.split_first() else {
            self.values.retain(|held| *held != value);
            return;
        };
        match word {
            Word::Exactly(text) => {
                if let Some(child) = self.exact.get_mut(text) {
                    child.remove(rest, value);
                    if child.is_empty() {
                        self.exact.remove(text);
                    }
                }
            }
            Word::One => Self::remove_below(&mut self.one, rest, value),
            Word::Any => Self::remove_below(&mut self.any, rest, value),
        }
    }

    fn remove_below(child: &mut Option<Box<Self>>, rest: &[Word], value: T) {
        if let Some(node) = child {
            node.remove(rest, value);
            if node.is_empty() {
                *child = None;
            }
        }
    }

    /// `key` is what is left of the routing key; `None` when its last word was consumed.
    fn find(&self, key: Option<&str>, found: &mut Vec<T>) {
        if let Some(any) = &self.any {
            any.find_after_any(key, found);
        }
        let Some(key) = key else {
            found.extend_from_slice(&self.values);
            return;
        };
        let (word, rest) = split_word(key);
        if let Some(child) = self.exact.get(word) {
            child.find(rest, found);
        }
        if let Some(child) = &self.one {
            child.find(rest, found);
        }
    }

    /// This node stands behind a `#`: it may begin at any of the words that are left, or behind the last.
    fn find_after_any(&self, key: Option<&str>, found: &mut Vec<T>) {
        // Most patterns end with their `#`; then there is nothing to try at each word.
        let ends_here = self.exact.is_empty() && self.one.is_none() && self.any.is_none();
        if !ends_here {
            let mut left = key;
            while let Some(text) = left {
                self.find_below(text, found);
                left = split_word(text).1;
            }
        }
        found.extend_from_slice(&self.values);
    }

    /// As `find` with words left, but without this node's own `#` branch: a `#` never follows a `#` directly.
    fn find_below(&self, key: &str, found: &mut Vec<T>) {
        let (word, rest) = split_word(key);
        if let Some(child) = self.exact.get(word) {
            child.find(rest, found);
        }
        if let Some(child) = &self.one {
            child.find(rest, found);
        }
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
    use crate::routing::naive;
    use proptest::prelude::*;

    use super::{FEW_MAX, Pattern, Trie};

    #[track_caller]
    fn check(pattern: &str, key: &str, expected: bool) {
        let mut trie = Trie::default();
        trie.insert(&Pattern::parse(pattern).unwrap(), 1);
        let mut found = Vec::new();
        trie.find(key, &mut found);
        assert_eq!(!found.is_empty(), expected, "{pattern} against {key}");
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
        check("#.c", "c", true);
        check("a.#.c", "a.c", true);
        check("a.#.*", "a", false);
        check("*.#.*", "a.b", true);
        check("*", "", true);
        check("a..b", "a..b", true);
        check("A", "a", false);
    }

    fn word() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("a"), Just("b"), Just("*"), Just("#"), Just("")]
    }

    #[test]
    fn many_words_are_found_as_few_are() {
        let mut trie = Trie::default();
        let pattern = |number: usize| Pattern::parse(&format!("a.{number}")).unwrap();
        for inserted in 0..3 * FEW_MAX {
            trie.insert(&pattern(inserted), inserted);
            for number in 0..3 * FEW_MAX {
                let mut found = Vec::new();
                trie.find(&format!("a.{number}"), &mut found);
                assert_eq!(found, (number <= inserted).then_some(number).into_iter().collect::<Vec<_>>());
            }
        }
        for number in 0..3 * FEW_MAX {
            assert!(!trie.is_empty());
            trie.remove(&pattern(number), number);
        }
        assert!(trie.is_empty());
    }

    proptest! {
        #[test]
        fn trie_equals_the_naive_matcher_and_is_empty_after_churn(
            patterns in prop::collection::vec(prop::collection::vec(word(), 1..6), 1..20),
            keys in prop::collection::vec(prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("")], 1..7), 1..10),
        ) {
            let mut trie = Trie::default();
            let patterns: Vec<String> = patterns.iter().map(|words| words.join(".")).collect();
            for (value, pattern) in patterns.iter().enumerate() {
                trie.insert(&Pattern::parse(pattern).unwrap(), value);
            }
            for key in keys.iter().map(|words| words.join(".")) {
                let mut found = Vec::new();
                trie.find(&key, &mut found);
                found.sort_unstable();
                found.dedup();
                let expected: Vec<usize> = (0..patterns.len()).filter(|i| naive::matches(&patterns[*i], &key)).collect();
                prop_assert_eq!(found, expected, "{}", key);
            }
            for (value, pattern) in patterns.iter().enumerate() {
                trie.remove(&Pattern::parse(pattern).unwrap(), value);
            }
            prop_assert!(trie.is_empty());
        }
    }
}
