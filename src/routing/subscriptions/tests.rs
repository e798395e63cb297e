use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Scope, Slot, Subscriptions, Topic};
use crate::ids::AccountId;
use crate::routing::naive;
use crate::routing::pattern::Pattern;

fn account(byte: u8) -> AccountId {
    AccountId::from_bytes([byte; 16])
}

fn topics(patterns: &[&str]) -> Vec<Topic> {
    let topic = |text: &&str| Topic { pattern: Pattern::parse(text).unwrap(), subscription_key: (*text).into() };
    patterns.iter().map(topic).collect()
}

type Found = Vec<(String, String, Vec<(u64, Slot)>)>;

fn find(subscriptions: &Subscriptions<u64>, account: Option<AccountId>, topic: &str) -> Found {
    let mut found = Vec::new();
    subscriptions.find(account, topic, &mut found);
    let mut groups: Found = found
        .into_iter()
        .map(|id| {
            let group = subscriptions.group(id);
            let mut members: Vec<_> = group.members().map(|(session, slot)| (*session, slot)).collect();
            members.sort_unstable();
            (group.subscribed_key.to_string(), group.subscription_key.to_string(), members)
        })
        .collect();
    groups.sort();
    groups
}

#[test]
fn sessions_with_the_same_keys_share_a_group() {
    let mut subscriptions = Subscriptions::default();
    let (short, long): (Arc<str>, Arc<str>) = ("a".into(), "longer".into());
    let scope = Scope::Account(account(1));
    subscriptions.insert(1, 7, scope, &short, &topics(&["k.*"]));
    subscriptions.insert(2, 0, scope, &short, &topics(&["k.*"]));
    subscriptions.insert(3, 0, scope, &long, &topics(&["k.*", "l.*"]));
    let expected: Found =
        vec![("a".into(), "k.*".into(), vec![(1, 7), (2, 0)]), ("longer".into(), "k.*".into(), vec![(3, 0)])];
    assert_eq!(find(&subscriptions, Some(account(1)), "k.x"), expected);
    assert_eq!(find(&subscriptions, Some(account(2)), "k.x"), []);
    assert_eq!(find(&subscriptions, None, "k.x"), []);
    subscriptions.remove_session(3);
    assert_eq!(find(&subscriptions, Some(account(1)), "l.x"), []);
    subscriptions.remove(1, 7);
    subscriptions.remove(1, 7);
    subscriptions.remove_session(2);
    assert!(subscriptions.is_empty());
}

#[test]
fn everything_is_everybodys_events_and_nobodys() {
    let mut subscriptions = Subscriptions::default();
    subscriptions.insert(1, 0, Scope::Everything, &"k".into(), &topics(&["k"]));
    for of in [Some(account(1)), Some(account(2)), None] {
        assert_eq!(find(&subscriptions, of, "k").len(), 1);
    }
}

#[test]
fn a_slot_holds_one_subscription() {
    let mut subscriptions = Subscriptions::default();
    subscriptions.insert(1, 0, Scope::Everything, &"k".into(), &topics(&["k"]));
    subscriptions.insert(1, 0, Scope::Everything, &"l".into(), &topics(&["l"]));
    assert_eq!((find(&subscriptions, None, "k").len(), find(&subscriptions, None, "l").len()), (0, 1));
    subscriptions.remove(1, 0);
    assert!(subscriptions.is_empty());
}

#[test]
fn five_thousand_sessions_under_one_pattern_come_and_go() {
    let mut subscriptions = Subscriptions::default();
    let (key, topics) = ("k".into(), topics(&["k.*"]));
    for session in 0..5_000 {
        subscriptions.insert(session, 0, Scope::Everything, &key, &topics);
    }
    assert_eq!(find(&subscriptions, None, "k.x")[0].2.len(), 5_000);
    // The oldest first, which a search from the end or a shift of the rest would make quadratic.
    for session in 0..5_000 {
        subscriptions.remove_session(session);
    }
    assert!(subscriptions.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Insert { session: u64, slot: Slot, scope: Scope, key: &'static str, patterns: Vec<String> },
    Remove(u64, Slot),
    RemoveSession(u64),
    Find(Option<AccountId>, String),
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Everything), (1..3u8).prop_map(|byte| Scope::Account(account(byte)))]
}

fn words(words: Vec<&'static str>, count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), count).prop_map(|words| words.join("."))
}

fn step() -> impl Strategy<Value = Step> {
    let patterns = prop::collection::vec(words(vec!["a", "b", "*", "#"], 1..4), 1..3);
    let inserted = (0..4u64, 0..3u32, scope(), prop::sample::select(vec!["x", "y"]), patterns);
    prop_oneof![
        4 => inserted.prop_map(|(session, slot, scope, key, patterns)| {
            Step::Insert { session, slot, scope, key, patterns }
        }),
        2 => (0..4u64, 0..3u32).prop_map(|(session, slot)| Step::Remove(session, slot)),
        1 => (0..4u64).prop_map(Step::RemoveSession),
        4 => (prop::option::of((1..3u8).prop_map(account)), words(vec!["a", "b"], 1..4))
            .prop_map(|(account, key)| Step::Find(account, key)),
    ]
}

proptest! {
    #[test]
    fn subscriptions_equal_a_list_that_is_searched(steps in prop::collection::vec(step(), 1..40)) {
        let mut subscriptions = Subscriptions::default();
        let mut list: BTreeMap<(u64, Slot), (Scope, &str, Vec<String>)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert { session, slot, scope, key, patterns } => {
                    let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
                    subscriptions.insert(session, slot, scope, &key.into(), &topics(&texts));
                    list.insert((session, slot), (scope, key, patterns));
                }
                Step::Remove(session, slot) => {
                    subscriptions.remove(session, slot);
                    list.remove(&(session, slot));
                }
                Step::RemoveSession(session) => {
                    subscriptions.remove_session(session);
                    list.retain(|(other, _), _| *other != session);
                }
                Step::Find(account, key) => {
                    let mut expected = Vec::new();
                    for ((session, slot), (scope, subscribed_key, patterns)) in &list {
                        let in_scope = match scope {
                            Scope::Everything => true,
                            Scope::Account(own) => account == Some(*own),
                        };
                        for pattern in patterns {
                            if in_scope && naive::matches(pattern, &key) {
                                expected.push((subscribed_key.to_string(), pattern.clone(), (*session, *slot)));
                            }
                        }
                    }
                    expected.sort();
                    let mut found: Vec<_> = find(&subscriptions, account, &key)
                        .into_iter()
                        .flat_map(|(subscribed, subscription, members)| {
                            members.into_iter().map(move |member| (subscribed.clone(), subscription.clone(), member))
                        })
                        .collect();
                    found.sort();
                    prop_assert_eq!(found, expected, "{}", key);
                }
            }
        }
        for session in 0..4 {
            subscriptions.remove_session(session);
        }
        prop_assert!(subscriptions.is_empty());
    }
}
