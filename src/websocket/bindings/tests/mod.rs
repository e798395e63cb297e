//! Bindings against events: what a client asks for is what it gets, and nothing else.

mod client;
mod topic;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::catalogue::{Listing, available};
use super::client::{CALL_EVENTS, Subscriber};
use super::keys::ScopeWords;
use super::topic::topic as write_topic;
use crate::auth::account::Account;
use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;
use crate::kazoo::bindings::Binding;
use crate::kazoo::classify::classify;
use crate::kazoo::head::Head;
use crate::kazoo::notifications::{self, Audience};
use crate::kazoo::routing::routing;
use crate::routing::pattern::Pattern;
use crate::routing::subscriptions::{Scope, Subscriptions};

const A: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";
const DATABASE: &str = "account%2F4b%2F2f%2F8c1d9e0a7f36b5c4d3e2f1a09b87";
const NOVEMBER_MS: u64 = 1_795_000_000_000;

fn account() -> AccountId {
    AccountId::parse(A).unwrap()
}

fn directory() -> Directory {
    let account = Account {
        id: account(),
        parent: None,
        name: "a".into(),
        realm: "PBX.example.com".into(),
        enabled: true,
        superduper_admin: false,
        created_ms: 0,
        document: Map::new(),
    };
    Directory::load(AccountId::from_bytes([0; 16]), [account]).unwrap()
}

fn subscriber(scope: Scope, rank: Rank) -> Subscriber {
    Subscriber { scope, rank, words: ScopeWords::new(scope, &directory(), NOVEMBER_MS) }
}

fn ordinary() -> Subscriber {
    subscriber(Scope::Account(account()), Rank::Ordinary)
}

fn administrator() -> Subscriber {
    subscriber(Scope::Everything, Rank::Administrator)
}

/// Every kind of event that a binding can mean, with a binding of its ids and one of wildcards.
fn events() -> Vec<(Value, String, String)> {
    let event = |category: &str, name: &str, more: Value| {
        let mut event = json!({"Event-Category": category, "Event-Name": name});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let mut events = Vec::new();
    for name in CALL_EVENTS {
        let call = event("call_event", name, json!({"Call-ID": "a.b", "Custom-Channel-Vars": {"Account-ID": A}}));
        events.push((call, format!("call.{name}.a%2Eb"), "call.*.*".to_owned()));
    }
    for action in ["doc_created", "doc_edited", "doc_deleted"] {
        for (name, month) in [("user", ""), ("fax", "-202512"), ("mailbox_message", "-202612"), ("fax", "")] {
            let change = json!({"Database": format!("{DATABASE}{month}"), "Type": name, "ID": "i.d"});
            let change = event("configuration", action, change);
            events.push((change.clone(), format!("object.{action}.{name}"), "object.*.*".into()));
            events.push((change.clone(), format!("{action}.*.{name}.*"), format!("object.*.{name}")));
            if name == "fax" {
                events.push((change, format!("fax.object.{action}"), "fax.object.*".into()));
            }
        }
    }
    let fax = event("fax", "status", json!({"Account-ID": A, "Job-ID": "f.1"}));
    events.push((fax, "fax.status.f%2E1".into(), "fax.status.*".into()));
    let conference = json!({"Account-ID": A, "Conference-ID": "k", "Event": "add-member", "Call-ID": "c"});
    let conference = event("conference", "event", conference);
    events.push((conference.clone(), "conference.event.k.c".into(), "conference.event.k.*".into()));
    events.push((conference, "conference.event.add-member.k.c".into(), "conference.event.*.k.*".into()));
    let command = event("conference", "command", json!({"Conference-ID": "k"}));
    events.push((command, "conference.command.k".into(), "conference.command.k".into()));
    for (name, word) in [("dialog_update", "dialog"), ("update", "update")] {
        let presence = event("presence", name, json!({"Presence-ID": "101@pbx.example.com", "Call-ID": "c"}));
        events.push((presence, format!("presence.{word}.c"), format!("presence.{word}.*")));
    }
    let waiting = event("presence", "mwi_update", json!({"To": "101@pbx.example.com"}));
    events.push((waiting, "presence.mwi_updates.101".into(), "presence.mwi_updates.*".into()));
    for row in &notifications::ROWS {
        let notice = event("notification", row.name, json!({"Account-ID": A}));
        events.push((notice, format!("notifications.{}", row.name), "notifications.*".into()));
    }
    events
}

fn topic_of(event: &Value) -> Option<String> {
    let head = Head::parse(&event.to_string()).unwrap();
    let mut text = "left over".to_owned();
    write_topic(classify(&head).unwrap(), &head, "", &mut text).then_some(text)
}

/// The subscribed and the internal key of every frame that the event makes.
fn frames(subscriptions: &Subscriptions<u8>, account: Option<AccountId>, event: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Some(topic) = topic_of(event) {
        subscriptions.find(account, &topic, &mut found);
    }
    let group = |id| subscriptions.group(id);
    found.into_iter().map(group).map(|one| (one.subscribed_key.to_string(), one.subscription_key.to_string())).collect()
}

#[test]
fn each_event_reaches_its_bindings_once_and_no_other() {
    let events = events();
    let mut texts: Vec<&String> = events.iter().flat_map(|(_, exact, wide)| [exact, wide]).collect();
    texts.sort();
    texts.dedup();
    let topics: Vec<_> = events.iter().map(|(event, ..)| topic_of(event)).collect();
    for (event, exact, wide) in &events {
        let topic = topic_of(event);
        for (subscriber, account) in
            [(subscriber(Scope::Account(account()), Rank::Administrator), Some(account())), (administrator(), None)]
        {
            for text in &texts {
                let held = subscriber.subscription(text).unwrap();
                let mut subscriptions = Subscriptions::default();
                subscriptions.insert(1, 0, held.scope, &held.subscribed_key, &held.topics);
                let found = frames(&subscriptions, account, event);
                let mut others = events.iter().zip(&topics);
                let same_meaning = others.any(|((_, one, two), of)| *of == topic && (one == *text || two == *text));
                assert_eq!(found.len(), usize::from(same_meaning), "{text} for {event}");
                if *text == exact || *text == wide {
                    assert_eq!(found.len(), 1, "{text} for {event}");
                }
                let elsewhere = AccountId::from_bytes([8; 16]);
                if held.scope != Scope::Everything {
                    assert_eq!(frames(&subscriptions, Some(elsewhere), event), [], "{text}");
                    assert_eq!(frames(&subscriptions, None, event), [], "{text}");
                }
            }
        }
    }
}

#[test]
fn notifications_for_administrators_reach_nobody_else() {
    let held = ordinary().subscription("notifications.*").unwrap();
    assert!(!held.for_administrators);
    let mut subscriptions = Subscriptions::default();
    subscriptions.insert(1, 0, held.scope, &held.subscribed_key, &held.topics);
    for row in &notifications::ROWS {
        let event = json!({"Event-Category": "notification", "Event-Name": row.name, "Account-ID": A});
        let found = frames(&subscriptions, Some(account()), &event);
        assert_eq!(found.len(), usize::from(!row.admin_only()), "{}", row.name);
    }
    assert!(administrator().subscription("notifications.*").unwrap().for_administrators);
    assert!(administrator().subscription("notifications.system_alert").unwrap().for_administrators);
    assert!(!administrator().subscription("notifications.topup").unwrap().for_administrators);
}

#[test]
fn who_loses_a_right_loses_the_subscription() {
    let (root, other) = (AccountId::from_bytes([0; 16]), AccountId::from_bytes([9; 16]));
    let check = |subscriber: Subscriber, text: &str, expected: [bool; 3]| {
        let held = subscriber.subscription(text).unwrap();
        assert_eq!([root, account(), other].map(|caller| held.is_allowed(&directory(), caller)), expected, "{text}");
    };
    check(administrator(), "call.*.*", [true, false, false]);
    check(ordinary(), "notifications.*", [true, true, false]);
    check(subscriber(Scope::Account(account()), Rank::Administrator), "notifications.*", [true, false, false]);
}

#[test]
fn what_is_needed_of_the_broker_brings_the_event() {
    for (event, exact, wide) in events() {
        let head = Head::parse(&event.to_string()).unwrap();
        let (exchange, key) = routing(&head).unwrap();
        for text in [&exact, &wide] {
            let needs = administrator().subscription(text).unwrap().needs;
            let brings = |need: &&Binding| {
                let (pattern, key): (Vec<_>, Vec<_>) =
                    (need.routing_key.split('.').collect(), key.split('.').collect());
                let same = pattern.iter().zip(&key).all(|(word, found)| *word == "*" || word == found);
                need.exchange == exchange && pattern.len() == key.len() && same
            };
            assert_eq!(needs.iter().filter(brings).count(), 1, "{text} for {key}");
        }
    }
}

#[test]
fn what_is_on_offer_is_accepted() {
    for (audience, rank) in [(Audience::Everyone, Rank::Ordinary), (Audience::Administrators, Rank::Administrator)] {
        let subscriber = subscriber(Scope::Account(account()), rank);
        let (ids, details) = (available(Listing::Ids, audience), available(Listing::Details, audience));
        let modules = ["call", "conference", "fax", "object", "presence", "notifications"];
        assert_eq!(ids.keys().collect::<Vec<_>>(), modules);
        for module in modules {
            let (ids, details) = (ids[module].as_array().unwrap(), details[module].as_array().unwrap());
            assert_eq!(ids.len(), details.len());
            for (id, detail) in ids.iter().zip(details) {
                assert!(id["event"].is_string());
                for text in [id["binding"].as_str().unwrap(), detail.as_str().unwrap()] {
                    assert!(subscriber.subscription(text).is_ok(), "{text}");
                }
            }
        }
    }
    let ids = available(Listing::Ids, Audience::Everyone);
    assert_eq!(ids["call"][0], json!({"binding": "call.CHANNEL_CREATE.*", "event": "CHANNEL_CREATE"}));
    assert_eq!(ids["presence"][0], json!({"binding": "presence.dialog.*", "event": "dialog_update"}));
    let details = available(Listing::Details, Audience::Everyone);
    assert_eq!(details["call"][0], "call.CHANNEL_CREATE.{CALL_ID}");
    assert_eq!(details["conference"][1], "conference.event.{CONFERENCE_ID}.{CALL_ID}");
    assert!(!details["notifications"].as_array().unwrap().contains(&json!("notifications.system_alert")));
}

fn word() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "call",
        "object",
        "fax",
        "conference",
        "presence",
        "notifications",
        "doc_edited",
        "event",
        "command",
        "status",
        "dialog",
        "update",
        "mwi_updates",
        "CHANNEL_CREATE",
        "user",
        "topup",
        "*",
        "#",
        "k",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "[^.]{0,8}"]
}

proptest! {
    #[test]
    fn any_binding_is_refused_or_keeps_its_bytes(text in ".*") {
        check_any(&text)?;
    }

    #[test]
    fn any_words_are_refused_or_keep_their_bytes(words in prop::collection::vec(word(), 0..7)) {
        check_any(&words.join("."))?;
    }
}

fn check_any(text: &str) -> Result<(), TestCaseError> {
    for subscriber in [ordinary(), administrator()] {
        if let Ok(held) = subscriber.subscription(text) {
            prop_assert_eq!(&*held.subscribed_key, text);
            prop_assert!(!held.topics.is_empty() && !held.needs.is_empty());
            prop_assert!(held.needs.iter().all(|need| Pattern::parse(&need.routing_key).is_ok()));
        }
    }
    Ok(())
}
