//! The quick matcher against the naive one: any patterns and keys, put in and taken out in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::forest::Forest;
use super::naive;
use super::pattern::{BadPattern, Pattern};
use crate::fuzz::{self, PATTERNS};

const CORPUS: &str = include_str!("../../tests/fuzz/corpus/patterns.txt");

/// Few words, so that they meet; among them an empty one, others of which one begins with the other, and others that are
/// longer in bytes than in characters.
const WORDS: [&str; 8] = ["a", "b", "", "ab", "é", "日本", "%2E", "A"];

fn text(wildcards: u32, words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => prop::sample::select(&WORDS[..]),
        wildcards => Just("*"),
        wildcards => Just("#"),
    ];
    prop::collection::vec(word, words).prop_map(|words| words.join("."))
}

/// Characters without regard to words: many dots, wildcards within words.
fn scribble() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[ab.*#é]{0,14}", 2 => r"\.{0,12}", 1 => "[#*.]{0,16}", 1 => ".{0,300}"]
}

fn pattern() -> impl Strategy<Value = String> {
    text(4, 1..9)
}

/// What of the bus is no wildcard in a key, whatever it looks like.
fn key() -> impl Strategy<Value = String> {
    text(1, 1..9)
}

#[derive(Debug, Clone)]
enum Step {
    Insert {
        root: u8,
        pattern: String,
        value: u8,
    },
    /// One of those that are there.
    Remove(Index),
    Find(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, pattern(), 0..4u8).prop_map(|(root, pattern, value)| Step::Insert { root, pattern, value }),
        3 => any::<Index>().prop_map(Step::Remove),
        3 => key().prop_map(Step::Find),
    ]
}

/// A forest, with what is in it.
#[derive(Default)]
struct Plantation {
    forest: Forest<u8, BTreeSet<u8>>,
    planted: Vec<(u8, String, u8)>,
}

impl Plantation {
    fn insert(&mut self, root: u8, text: &str, value: u8) {
        let pattern = Pattern::parse(text).unwrap();
        let place = self.forest.place(root, &pattern);
        self.forest.value_mut(place).get_or_insert_default().insert(value);
        // Runs of `#` are one `#`.
        let planted = (root, pattern.to_string(), value);
        if !self.planted.contains(&planted) {
            self.planted.push(planted);
        }
    }

    fn remove_any(&mut self, which: Index) {
        if !self.planted.is_empty() {
            self.remove(which.index(self.planted.len()));
        }
    }

    fn remove(&mut self, at: usize) {
        let (root, text, value) = self.planted.swap_remove(at);
        let pattern = Pattern::parse(&text).unwrap();
        let place = self.forest.place(root, &pattern);
        let values = self.forest.value_mut(place).as_mut().unwrap();
        values.remove(&value);
        if values.is_empty() {
            self.forest.remove(root, place);
        }
    }

    fn check(&self, key: &str) -> Result<(), TestCaseError> {
        for root in 0..3 {
            let here = self.planted.iter().filter(|(of, text, _)| *of == root && naive::matches(text, key));
            let expected: BTreeSet<u8> = here.map(|(_, _, value)| *value).collect();
            let mut in_forest = BTreeSet::new();
            self.forest.find(&root, key, &mut |values| in_forest.extend(values));
            prop_assert_eq!(in_forest, expected, "for {:?}", key);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.forest.is_empty()
    }
}

fn check_alone(text: &str, key: &str) -> Result<(), TestCaseError> {
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(BadPattern::TooLong(bytes)) => {
            prop_assert!(bytes == text.len() && bytes > 255);
            return Ok(());
        }
        Err(BadPattern::MixedWord(_)) => {
            prop_assert!(text.split('.').any(|word| word.len() > 1 && word.contains(['*', '#'])), "{:?}", text);
            return Ok(());
        }
    };
    let expected = naive::matches(text, key);
    prop_assert_eq!(pattern.matches(key), expected, "{:?} by itself, for {:?}", text, key);
    prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern), "{:?}", text);
    let mut plantation = Plantation::default();
    plantation.insert(1, text, 7);
    plantation.check(key)?;
    plantation.remove(0);
    prop_assert!(plantation.is_empty(), "{:?}", text);
    Ok(())
}

proptest! {
    #![proptest_config(fuzz::replaying(PATTERNS))]

    #[test]
    fn what_comes_and_goes_in_any_order_is_found_while_it_is_there(
        steps in prop::collection::vec(step(), 1..60),
        order in prop::collection::vec(any::<Index>(), 60),
    ) {
        let mut plantation = Plantation::default();
        let mut keys = vec![String::new()];
        for step in steps {
            match step {
                Step::Insert { root, pattern, value } => plantation.insert(root, &pattern, value),
                Step::Remove(which) => plantation.remove_any(which),
                Step::Find(key) => {
                    plantation.check(&key)?;
                    keys.push(key);
                }
            }
        }
        // Taking one out takes nothing else with it.
        for which in order {
            plantation.remove_any(which);
            for key in &keys {
                plantation.check(key)?;
            }
        }
        prop_assert!(plantation.planted.is_empty() && plantation.is_empty());
    }

    #[test]
    fn any_pattern_is_refused_or_matches_as_the_naive_one(text in prop_oneof![pattern(), scribble()], key in prop_oneof![key(), scribble()]) {
        check_alone(&text, &key)?;
        check_alone(&text, &text)?;
    }
}

#[test]
fn the_corpus_matches_as_it_says() {
    let mut plantation = Plantation::default();
    let mut keys = Vec::new();
    for line in fuzz::lines(CORPUS) {
        let parts: Vec<&str> = line.split('|').collect();
        let [text, key, verdict] = parts[..] else { panic!("not three parts: {line}") };
        check_alone(text, key).unwrap_or_else(|error| panic!("{line}: {error}"));
        match verdict {
            "refused" => assert!(Pattern::parse(text).is_err(), "{line}"),
            verdict => {
                assert_eq!(naive::matches(text, key), verdict == "yes", "{line}");
                plantation.insert(0, text, 0);
                keys.push(key);
            }
        }
    }
    assert!(keys.len() > 50, "{}", keys.len());
    // All of them together, and then fewer and fewer.
    while !plantation.planted.is_empty() {
        keys.iter().try_for_each(|key| plantation.check(key)).unwrap();
        plantation.remove(0);
    }
    assert!(plantation.is_empty());
}
