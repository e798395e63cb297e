//! The hooks on offer, and for each of them what its payloads look like.
//!
//! Served by the HTTP API without a token. The texts and samples are files beside this one; the raw events that the
//! samples belong to are in `catalogue/events/`, under the same ids, and are read by tests alone.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::kazoo::notifications::{self, Audience};
use crate::kazoo::table::{ALL, OBJECT_ACTIONS, OBJECT_TYPES};

/// The hooks on offer: `{id, name, description, modifiers?}`. System administrators are also offered the
/// notifications that are theirs alone.
pub fn hooks(audience: Audience) -> Vec<Value> {
    HOOKS.iter().map(|hook| with_modifiers(hook, audience)).collect()
}

/// The ids of the hooks on offer.
pub fn hook_ids() -> impl Iterator<Item = &'static str> {
    HOOKS.iter().filter_map(|hook| hook["id"].as_str())
}

/// The ids of all samples. A notification's is `webhooks_notifications_{name}`.
pub fn sample_ids() -> impl Iterator<Item = &'static str> {
    SAMPLES.iter().flat_map(|group| group.keys().map(String::as_str))
}

/// The sample payloads of one id: what a hook is sent, before its `custom_data` and the cluster's id.
pub fn samples(id: &str) -> Option<Vec<Value>> {
    SAMPLES.iter().find_map(|group| group.get(id)).and_then(Value::as_array).cloned()
}

static HOOKS: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("catalogue/hooks.json")).expect("a test parses this very text"));

static SAMPLES: LazyLock<Vec<Map<String, Value>>> = LazyLock::new(|| {
    let parse = |text| serde_json::from_str(text).expect("a test parses these very texts");
    [
        include_str!("catalogue/samples/calls.json"),
        include_str!("catalogue/samples/objects.json"),
        include_str!("catalogue/samples/messages.json"),
        include_str!("catalogue/samples/callflow.json"),
        include_str!("catalogue/samples/notifications_account.json"),
        include_str!("catalogue/samples/notifications_fax.json"),
        include_str!("catalogue/samples/notifications_number.json"),
        include_str!("catalogue/samples/notifications_other.json"),
    ]
    .map(parse)
    .into()
});

fn with_modifiers(hook: &Value, audience: Audience) -> Value {
    let mut hook = hook.clone();
    match hook["id"].as_str() {
        Some("object") => {
            hook["modifiers"] = json!({
                "action": choice("What happened to the document", OBJECT_ACTIONS),
                "type": choice("The type of document", OBJECT_TYPES),
            });
        }
        Some("notifications") => {
            let offered =
                notifications::ROWS.iter().filter(|row| audience == Audience::Administrators || !row.admin_only());
            hook["modifiers"] = json!({ "type": choice("The notification", offered.map(|row| row.name)) });
        }
        _ => {}
    }
    hook
}

fn choice(description: &str, names: impl IntoIterator<Item = &'static str>) -> Value {
    let items: Vec<_> = std::iter::once(ALL).chain(names).collect();
    json!({"type": "array", "description": description, "items": items})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Map, Value, json};

    use super::{SAMPLES, hooks, sample_ids, samples};
    use crate::kazoo::classify::classify;
    use crate::kazoo::head::Head;
    use crate::kazoo::notifications::{self, Audience};
    use crate::kazoo::owner::{Owner, owner};
    use crate::kazoo::payload::{one_off_hook, one_off_payload, payload};
    use crate::kazoo::routing::routing;
    use crate::kazoo::table::ROWS;

    const EVENTS: [&str; 9] = [
        include_str!("catalogue/events/calls.json"),
        include_str!("catalogue/events/objects.json"),
        include_str!("catalogue/events/messages.json"),
        include_str!("catalogue/events/callflow.json"),
        include_str!("catalogue/events/notifications_account.json"),
        include_str!("catalogue/events/notifications_fax.json"),
        include_str!("catalogue/events/notifications_number.json"),
        include_str!("catalogue/events/notifications_other.json"),
        include_str!("catalogue/events/unhooked.json"),
    ];

    fn events() -> impl Iterator<Item = (String, Vec<Value>)> {
        EVENTS.into_iter().flat_map(|text| serde_json::from_str::<Map<String, Value>>(text).unwrap()).map(
            |(id, events)| {
                let Value::Array(events) = events else { panic!("{id} is no list") };
                (id, events)
            },
        )
    }

    fn reserved() -> Vec<String> {
        let keys = "Account-ID Account-Name Account-Realm Authorizing-ID Authorizing-Type Auto-Answer Call-Forward \
            Call-Waiting-Disabled Confirm-Cancel-Timeout Confirm-File Confirm-Key Fax-Enabled Loopback-Bowout \
            Media-Encryption-Enforce-Security Media-Webrtc Owner-ID Presence-ID RTCP-MUX Realm Require-Ignore-Early-Media \
            Retain-CID SIP-Invite-Domain Simplify-Loopback Username";
        keys.split_whitespace().map(str::to_owned).collect()
    }

    fn payload_of(id: &str, event: &Value) -> Value {
        let text = event.to_string();
        let (head, places) = Head::read(&text).unwrap();
        let kind = classify(&head).unwrap_or_else(|| panic!("{id} is of no kind"));
        let (_, routing_key) = routing(&head).unwrap();
        let account = match owner(kind, &head, &routing_key) {
            Owner::Account(account) => account,
            other => panic!("{id} has no account: {other:?}"),
        };
        Value::Object(match id {
            "webhooks_callflow" => one_off_payload(event.as_object().unwrap().clone()).into(),
            _ => payload(kind, &text, &places, account, &reserved()).into(),
        })
    }

    #[test]
    fn each_sample_is_what_its_event_is_sent_as() {
        let mut seen = HashSet::new();
        for (id, events) in events().filter(|(id, _)| id.starts_with("webhooks_")) {
            let expected = samples(&id).unwrap_or_else(|| panic!("no sample {id}"));
            assert_eq!(events.len(), expected.len(), "{id}");
            for (event, sample) in events.iter().zip(&expected) {
                let found = payload_of(&id, event);
                for (key, value) in sample.as_object().unwrap() {
                    assert_eq!(found.get(key), Some(value), "{id}: {key}");
                }
                assert_eq!(&found, sample, "{id}");
            }
            seen.insert(id);
        }
        assert_eq!(seen, sample_ids().map(str::to_owned).collect());
    }

    #[test]
    fn there_is_an_event_and_a_sample_for_every_hook_id_and_every_notification() {
        let ids: HashSet<_> = sample_ids().collect();
        for id in
            ["channel_answer", "channel_bridge", "channel_create", "channel_destroy", "parking", "object", "sms", "mms"]
        {
            assert!(ids.contains(format!("webhooks_{id}").as_str()), "{id}");
        }
        assert!(ids.contains("webhooks_callflow"));
        for row in &notifications::ROWS {
            assert!(ids.contains(format!("webhooks_notifications_{}", row.name).as_str()), "{}", row.name);
        }
        assert_eq!(ids.len(), 9 + notifications::ROWS.len());
        assert_eq!(SAMPLES.iter().map(Map::len).sum::<usize>(), ids.len());
        assert_eq!(samples("webhooks_all"), None);
    }

    #[test]
    fn there_is_an_event_for_every_row_of_the_table() {
        let heads: Vec<_> =
            events().flat_map(|(_, events)| events).map(|event| Head::parse(&event.to_string()).unwrap()).collect();
        for row in &ROWS {
            let found = heads.iter().any(|head| {
                head.event_category.as_deref() == Some(row.category) && head.event_name.as_deref() == Some(row.name)
            });
            assert!(found, "{} {}", row.category, row.name);
        }
    }

    #[test]
    fn events_carry_what_every_message_of_kazoo_carries() {
        for (id, events) in events() {
            for event in events {
                for key in ["App-Name", "App-Version", "Event-Category", "Event-Name", "Msg-ID", "Node"] {
                    assert!(event[key].is_string(), "{id} lacks {key}");
                }
                let (_, routing_key) = routing(&Head::parse(&event.to_string()).unwrap()).unwrap();
                assert!(!routing_key.contains("undefined"), "{id}: {routing_key}");
            }
        }
    }

    #[test]
    fn one_off_event_carries_a_hook() {
        let (_, callflow) = events().find(|(id, _)| id == "webhooks_callflow").unwrap();
        for event in callflow {
            let hook = one_off_hook(event.as_object().unwrap()).unwrap();
            assert_eq!(hook["uri"], "https://hooks.example.com/callflow");
        }
    }

    #[test]
    fn hooks_on_offer_are_these_nine() {
        let hooks = hooks(Audience::Everyone);
        let ids: Vec<_> = hooks.iter().map(|hook| hook["id"].as_str().unwrap()).collect();
        let expected = [
            "channel_create",
            "channel_answer",
            "channel_bridge",
            "channel_destroy",
            "parking",
            "object",
            "notifications",
            "sms",
            "mms",
        ];
        assert_eq!(ids, expected);
        for hook in &hooks {
            assert!(hook["name"].is_string() && hook["description"].is_string());
            let chosen = matches!(hook["id"].as_str(), Some("object" | "notifications"));
            assert_eq!(hook.get("modifiers").is_some(), chosen, "{hook}");
        }
        let actions = json!(["all", "doc_created", "doc_edited", "doc_deleted"]);
        assert_eq!(hooks[5]["modifiers"]["action"]["items"], actions);
        assert_eq!(hooks[5]["modifiers"]["type"]["items"].as_array().unwrap().len(), 11);
    }

    #[test]
    fn names_for_administrators_are_offered_to_them_alone() {
        let offered = |audience| {
            let items = hooks(audience)[6]["modifiers"]["type"]["items"].as_array().unwrap().clone();
            items.iter().map(|item| item.as_str().unwrap().to_owned()).collect::<HashSet<_>>()
        };
        let (everyone, administrators) = (offered(Audience::Everyone), offered(Audience::Administrators));
        assert_eq!(administrators.len(), notifications::ROWS.len() + 1);
        let theirs: HashSet<_> = administrators.difference(&everyone).map(String::as_str).collect();
        assert_eq!(theirs, HashSet::from(["system_alert", "webhook_disabled"]));
    }
}
