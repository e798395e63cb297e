use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::kazoo::head::Head;

use super::{AccountId, Bridge, Change, Channels, ENDED_MAX, Sighting, Teller};

fn account(byte: u8) -> AccountId {
    AccountId::from_bytes([byte; 16])
}

fn sighting(change: Change, body: &str) -> Sighting {
    let (_, places) = Head::read(body).unwrap();
    Sighting::read(change, body, &places)
}

fn channels() -> Channels {
    Channels::new(100, 1_000)
}

fn heard(channels: &mut Channels, call: &str, change: Change, body: &str) {
    channels.learn(Teller::Broker, account(1), call, sighting(change, body), 0);
}

#[test]
fn a_call_is_put_together_from_its_events() {
    let mut channels = channels();
    heard(&mut channels, "c", Change::Created, r#"{"From":"a","To":"b","Call-Direction":"inbound"}"#);
    let created = channels.find(account(1), "c", 0).unwrap();
    assert_eq!((created.is_answered, created.is_held, created.bridge), (false, false, Bridge::Unbridged));
    assert_eq!(created.details.get("direction"), Some("inbound"));
    // An answered leg names the one that it will be bridged to.
    heard(&mut channels, "c", Change::Answered, r#"{"Other-Leg-Call-ID":"d"}"#);
    let answered = channels.find(account(1), "c", 0).unwrap();
    assert_eq!((answered.is_answered, answered.bridge), (true, Bridge::Unbridged));
    heard(&mut channels, "c", Change::Bridged, r#"{"Other-Leg-Call-ID":"d","To":"e"}"#);
    heard(&mut channels, "c", Change::Held, "{}");
    let held = channels.find(account(1), "c", 0).unwrap();
    assert_eq!((held.is_held, held.bridge, held.other_leg.as_deref()), (true, Bridge::Bridged, Some("d")));
    assert_eq!((held.details.get("from"), held.details.get("to")), (Some("a"), Some("e")));
    heard(&mut channels, "c", Change::Unheld, "{}");
    assert!(!channels.find(account(1), "c", 0).unwrap().is_held);
    heard(&mut channels, "c", Change::Parked, "{}");
    let parked = channels.find(account(1), "c", 0).unwrap();
    assert_eq!((parked.bridge, parked.other_leg.as_deref()), (Bridge::Unbridged, None));
    heard(&mut channels, "c", Change::Ended, "{}");
    assert_eq!(channels.find(account(1), "c", 0), None);
}

#[test]
fn any_event_of_a_call_teaches_it() {
    let body = r#"{"Other-Leg-Call-ID":"d"}"#;
    for change in [Change::Answered, Change::Bridged, Change::Held, Change::Unheld, Change::Parked, Change::Seen] {
        let mut channels = channels();
        heard(&mut channels, "c", change, body);
        let found = channels.find(account(1), "c", 0).unwrap();
        let bridged = matches!(change, Change::Bridged | Change::Held | Change::Unheld);
        assert_eq!(found.bridge == Bridge::Bridged, bridged, "{change:?}");
    }
}

#[test]
fn a_late_event_does_not_bring_a_call_back_but_a_new_one_of_the_same_id_counts() {
    let mut channels = channels();
    heard(&mut channels, "c", Change::Ended, "{}");
    heard(&mut channels, "c", Change::Bridged, "{}");
    assert_eq!(channels.find(account(1), "c", 0), None);
    heard(&mut channels, "c", Change::Created, "{}");
    heard(&mut channels, "c", Change::Answered, "{}");
    assert!(channels.find(account(1), "c", 0).unwrap().is_answered);
}

#[test]
fn a_call_is_unbridged_when_its_other_leg_ends() {
    let mut channels = channels();
    heard(&mut channels, "a", Change::Bridged, r#"{"Other-Leg-Call-ID":"b"}"#);
    heard(&mut channels, "b", Change::Bridged, r#"{"Other-Leg-Call-ID":"a"}"#);
    heard(&mut channels, "x", Change::Bridged, r#"{"Other-Leg-Call-ID":"a"}"#);
    heard(&mut channels, "x", Change::Ended, "{}");
    assert_eq!(channels.find(account(1), "a", 0).unwrap().bridge, Bridge::Bridged);
    heard(&mut channels, "b", Change::Ended, "{}");
    assert_eq!(channels.find(account(1), "a", 0).unwrap().bridge, Bridge::Unbridged);
}

#[test]
fn nobody_sees_ends_or_claims_the_call_of_somebody_else() {
    let mut channels = channels();
    let (mine, yours) = (account(1), account(2));
    let seen = || sighting(Change::Created, "{}");
    channels.learn(Teller::Broker, mine, "c", seen(), 0);
    assert_eq!(channels.find(yours, "c", 0), None);
    assert!(channels.of_account(yours, 0).is_empty());
    channels.learn(Teller::Http, yours, "c", seen(), 0);
    channels.learn(Teller::Http, yours, "c", sighting(Change::Ended, "{}"), 0);
    channels.learn(Teller::Http, yours, "c", seen(), 0);
    assert_eq!(channels.find(mine, "c", 0).unwrap().teller, Teller::Broker);
    assert_eq!(channels.find(yours, "c", 0).unwrap().teller, Teller::Http);
    channels.learn(Teller::Http, mine, "c", sighting(Change::Ended, "{}"), 0);
    channels.learn(Teller::Http, mine, "c", seen(), 0);
    assert_eq!(channels.find(mine, "c", 0).unwrap().teller, Teller::Broker);
    assert_eq!(channels.of_account(mine, 0).len(), 1);
    channels.forget_account(mine);
    assert!(channels.of_account(mine, 0).is_empty() && channels.find(mine, "c", 0).is_none());
    assert_eq!(channels.of_account(yours, 0).len(), 1);
}

#[test]
fn those_who_post_crowd_out_nobody_but_each_other() {
    let mut channels = Channels::new(10, 1_000);
    heard(&mut channels, "c", Change::Created, "{}");
    for call in 0..100 {
        channels.learn(Teller::Http, account(2), &call.to_string(), sighting(Change::Created, "{}"), 0);
    }
    assert!(channels.find(account(1), "c", 0).is_some());
    assert_eq!(channels.of_account(account(2), 0).len(), 10);
}

#[test]
fn a_quiet_call_is_forgotten_after_its_time_and_ends_are_bounded() {
    let mut channels = Channels::new(usize::MAX, 1_000);
    let seen = || sighting(Change::Seen, "{}");
    channels.learn(Teller::Broker, account(1), "quiet", seen(), 0);
    channels.learn(Teller::Broker, account(1), "lively", seen(), 0);
    channels.learn(Teller::Broker, account(1), "lively", seen(), 600);
    assert!(channels.find(account(1), "quiet", 999).is_some());
    assert_eq!(channels.find(account(1), "quiet", 1_000), None);
    assert!(channels.find(account(1), "lively", 1_000).is_some());
    for call in 0..ENDED_MAX + 10 {
        heard(&mut channels, &call.to_string(), Change::Ended, "{}");
    }
    assert_eq!((channels.heard.ended.len(), channels.heard.ends.len()), (ENDED_MAX, ENDED_MAX));
    assert_eq!(channels.heard.turns.len(), 1);
    heard(&mut channels, &"x".repeat(256), Change::Created, "{}");
    assert_eq!(channels.heard.turns.len(), 1);
}

#[derive(Debug, Clone)]
struct Step {
    account: u8,
    call: u8,
    change: Change,
    wait_ms: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        (0..1).prop_map(|_| Change::Created),
        (0..1).prop_map(|_| Change::Seen),
        (0..1).prop_map(|_| Change::Ended)
    ];
    (0..3u8, 0..12u8, change, 0..40u64).prop_map(|(account, call, change, wait_ms)| Step {
        account,
        call,
        change,
        wait_ms,
    })
}

/// The same with a list that is searched.
#[derive(Default)]
struct Twin {
    calls: Vec<(u8, u8, u64)>,
    ended: BTreeSet<(u8, u8)>,
}

impl Twin {
    fn learn(&mut self, step: &Step, now_ms: u64) {
        self.calls.retain(|(_, _, changed_ms)| now_ms - changed_ms < 200);
        let key = (step.account, step.call);
        match step.change {
            Change::Created => {
                self.ended.remove(&key);
            }
            Change::Ended => {
                self.ended.insert(key);
            }
            _ => {}
        }
        if step.change != Change::Ended && self.ended.contains(&key) {
            return;
        }
        self.calls.retain(|(account, call, _)| (*account, *call) != key);
        if step.change != Change::Ended {
            self.calls.push((step.account, step.call, now_ms));
        }
        if self.calls.len() > 8 {
            self.calls.remove(0);
        }
    }
}

proptest! {
    #[test]
    fn what_is_known_is_what_a_naive_list_knows(steps in vec(step(), 0..200)) {
        let (mut channels, mut twin, mut now_ms) = (Channels::new(8, 200), Twin::default(), 0);
        for step in steps {
            now_ms += step.wait_ms;
            let seen = sighting(step.change, "{}");
            channels.learn(Teller::Broker, account(step.account), &step.call.to_string(), seen, now_ms);
            twin.learn(&step, now_ms);
            let mut known = BTreeSet::new();
            for of in 0..3 {
                let found = channels.of_account(account(of), now_ms);
                known.extend(found.iter().map(|channel| (of, channel.call_id.parse::<u8>().unwrap())));
            }
            prop_assert_eq!(&known, &twin.calls.iter().map(|(of, call, _)| (*of, *call)).collect::<BTreeSet<_>>());
            prop_assert!(channels.heard.turns.len() == known.len());
        }
    }
}
