//! Which events a hook takes: as AMQP bindings of the webhook queue, and as a set of topics.
//!
//! Called when a hook is registered; sockets bind the rows of the table by the same rules. Both are as narrow as the hook allows: a busy switch changes thousands of
//! documents a minute that no hook can ask for. `custom_data` is expected to be validated; a hook that names nothing
//! takes nothing.

use crate::kazoo::Object;
use crate::kazoo::channel::Change;
use crate::kazoo::kind::Kind;
use crate::kazoo::notifications::{self, NotificationRow};
use crate::kazoo::selection::{Choice, Take, takes};
use crate::kazoo::table::{KindRule, OFFNET, ROWS, Row, Word};
use crate::kazoo::topics::Topics;

/// A binding of a queue of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binding {
    pub exchange: &'static str,
    pub routing_key: String,
}

/// Brings the one-off hooks of callflows. Always bound: no registered hook asks for them.
pub fn one_off_binding() -> Binding {
    Binding { exchange: notifications::EXCHANGE, routing_key: "notifications.webhook.callflow".into() }
}

/// Brings what keeps track of the live calls: from their beginnings to their ends.
pub fn channel_bindings() -> Vec<Binding> {
    let tracked = ROWS.iter().filter(|row| match row.kind {
        // Parking changes little, and what follows it tells of the call as well.
        KindRule::Always(kind) => Change::of(kind).is_some() && !matches!(kind, Kind::Parking(_)),
        _ => false,
    });
    tracked.map(|row| binding(row, None)).collect()
}

/// The bindings that a hook of this id needs. Older ids and `all` included; none for an unknown id.
pub fn hook_bindings(hook: &str, custom_data: &Object) -> Vec<Binding> {
    takes(hook, custom_data).iter().flat_map(bindings).collect()
}

/// Exactly the kinds of event that the hook takes.
pub fn hook_topics(hook: &str, custom_data: &Object) -> Topics {
    takes(hook, custom_data).iter().flat_map(kinds).collect()
}

fn bindings(take: &Take) -> Vec<Binding> {
    match take {
        Take::Kinds(hook_id) => rows_of(hook_id).map(|(row, _)| binding(row, None)).collect(),
        Take::Objects { action, object_type } => {
            let rows = || ROWS.iter().filter(|row| is_document(row, *action));
            object_type.names().flat_map(|name| rows().map(move |row| binding(row, Some(name)))).collect()
        }
        Take::EveryNotification => notifications::ROWS.iter().map(notification).collect(),
        Take::Notification(row) => vec![notification(row)],
    }
}

fn kinds(take: &Take) -> Vec<Kind> {
    match take {
        Take::Kinds(hook_id) => rows_of(hook_id).map(|(_, kind)| kind).collect(),
        Take::Objects { action, object_type } => {
            let of_action = |action| object_type.names().map(move |object_type| Kind::Object { action, object_type });
            action.names().flat_map(of_action).collect()
        }
        Take::EveryNotification => notifications::ROWS.iter().map(Kind::Notification).collect(),
        Take::Notification(row) => vec![Kind::Notification(row)],
    }
}

fn rows_of(hook_id: &str) -> impl Iterator<Item = (&'static Row, Kind)> {
    let fixed = ROWS.iter().filter_map(|row| match row.kind {
        KindRule::Always(kind) | KindRule::Offnet(kind) => Some((row, kind)),
        KindRule::Document(_) => None,
    });
    fixed.filter(move |(_, kind)| kind.hook_id() == Some(hook_id))
}

fn is_document(row: &Row, action: Choice) -> bool {
    matches!(row.kind, KindRule::Document(name) if action.names().any(|chosen| chosen == name))
}

/// The row's routing key with `*` for every word that is left open.
pub fn binding(row: &Row, doc_type: Option<&'static str>) -> Binding {
    let words = row.key.iter().map(|word| match word {
        Word::Literal(literal) => literal,
        Word::Category => row.category,
        Word::Name => row.name,
        Word::RouteType => OFFNET,
        Word::DocType => doc_type.unwrap_or("*"),
        _ => "*",
    });
    Binding { exchange: row.exchange, routing_key: words.collect::<Vec<_>>().join(".") }
}

/// Brings the notifications of one row.
pub fn notification(row: &NotificationRow) -> Binding {
    Binding { exchange: notifications::EXCHANGE, routing_key: row.routing_key() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::{channel_bindings, hook_bindings, hook_topics, one_off_binding};
    use crate::kazoo::Object;
    use crate::kazoo::classify::classify;
    use crate::kazoo::head::Head;
    use crate::kazoo::notifications;
    use crate::kazoo::routing::routing;
    use crate::kazoo::table::{OBJECT_TYPES, ROWS};
    use crate::kazoo::topics::Topic;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(hook: &str, custom_data: Value, keys: &[&str]) {
        let custom_data = object(custom_data);
        let found: Vec<_> = hook_bindings(hook, &custom_data)
            .into_iter()
            .map(|binding| format!("{} {}", binding.exchange, binding.routing_key))
            .collect();
        assert_eq!(found, keys, "{hook}");
    }

    #[test]
    fn each_hook_id_is_bound_narrowly() {
        let none = || json!({});
        check("channel_create", none(), &["callevt call.CHANNEL_CREATE.*"]);
        check("channel_answer", none(), &["callevt call.CHANNEL_ANSWER.*"]);
        check("channel_bridge", none(), &["callevt call.CHANNEL_BRIDGE.*"]);
        let keys = ["callevt call.CHANNEL_DESTROY.*", "callevt call.CHANNEL_DISCONNECTED.*"];
        check("channel_destroy", none(), &keys);
        let keys = ["callevt call.PARK_PARKED.*", "callevt call.PARK_RETRIEVED.*", "callevt call.PARK_ABANDONED.*"];
        check("parking", none(), &keys);
        check("sms", none(), &["im sms.inbound.offnet.*"]);
        check("mms", none(), &["im mms.inbound.offnet.*"]);
        check("fax", none(), &[]);
    }

    #[test]
    fn live_calls_are_known_by_seven_events() {
        let names = ["CREATE", "ANSWER", "BRIDGE", "DESTROY", "DISCONNECTED", "HOLD", "UNHOLD"];
        let expected = names.map(|name| format!("callevt call.CHANNEL_{name}.*"));
        let found = channel_bindings();
        assert_eq!(
            found.iter().map(|one| format!("{} {}", one.exchange, one.routing_key)).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn objects_are_bound_by_action_and_type() {
        let custom = json!({"action": "doc_edited", "type": "user"});
        check("object", custom, &["configuration doc_edited.*.user.*"]);
        let keys = [
            "configuration doc_created.*.fax.*",
            "configuration doc_edited.*.fax.*",
            "configuration doc_deleted.*.fax.*",
        ];
        check("object", json!({"action": "all", "type": "fax"}), &keys);
        let keys = OBJECT_TYPES.map(|name| format!("configuration doc_deleted.*.{name}.*"));
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        check("object", json!({"action": "doc_deleted", "type": "all"}), &keys);
        assert_eq!(hook_bindings("object", &object(json!({"action": "all", "type": "all"}))).len(), 30);
        for bad in [json!({}), json!({"action": "all"}), json!({"action": "all", "type": "cdr"}), json!({"type": 1})] {
            check("object", bad, &[]);
        }
    }

    #[test]
    fn notifications_are_bound_by_name_and_older_ids_name_theirs() {
        let keys = ["notifications notifications.account.new"];
        check("notifications", json!({"type": "new_account"}), &keys);
        assert_eq!(hook_bindings("notifications", &object(json!({"type": "all"}))).len(), notifications::ROWS.len());
        check("notifications", json!({"type": "skel"}), &[]);
        check("notifications", json!({}), &[]);
        let keys = ["notifications notifications.fax.inbound", "notifications notifications.fax.inbound_error"];
        check("inbound_fax", json!({}), &keys);
        let keys = ["notifications notifications.fax.outbound", "notifications notifications.fax.outbound_error"];
        check("outbound_fax", json!({}), &keys);
        let keys = ["notifications notifications.webhook.callflow"];
        check("callflow", json!({}), &keys);
        assert_eq!(hook_bindings("callflow", &object(json!({}))), [one_off_binding()]);
    }

    fn matches(pattern: &str, key: &str) -> bool {
        let (pattern, key): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), key.split('.').collect());
        pattern.len() == key.len() && pattern.iter().zip(key).all(|(word, found)| *word == "*" || *word == found)
    }

    /// Every hook of every id, each with the choices that it can make.
    fn hooks() -> Vec<(&'static str, Object)> {
        let plain =
            ["channel_create", "channel_answer", "channel_bridge", "channel_destroy", "parking", "sms", "mms", "all"];
        let plain = plain.map(|id| (id, Object::new()));
        let objects =
            [("all", "all"), ("doc_edited", "all"), ("all", "user"), ("doc_edited", "user"), ("doc_created", "fax")]
                .map(|(action, name)| ("object", object(json!({"action": action, "type": name}))));
        let names = notifications::ROWS.iter().map(|row| row.name).chain(["all"]);
        let notices = names.map(|name| ("notifications", object(json!({"type": name}))));
        plain.into_iter().chain(objects).chain(notices).collect()
    }

    fn heads() -> Vec<Head> {
        let pairs = ROWS.iter().map(|row| (row.category, row.name));
        let names = notifications::ROWS.iter().map(|row| ("notification", row.name));
        let mut heads = Vec::new();
        for (category, name) in pairs.chain(names) {
            for (doc_type, route) in [("user", "offnet"), ("fax", "onnet"), ("cdr", "onnet")] {
                let body = json!({"Event-Category": category, "Event-Name": name, "Type": doc_type, "Route-Type": route,
                    "Database": "x", "ID": "i.d", "Call-ID": "a.b", "Message-ID": "m.n"});
                heads.push(Head::parse(&body.to_string()).unwrap());
            }
        }
        heads
    }

    #[test]
    fn a_hook_is_bound_to_exactly_the_events_of_its_topics() {
        for (hook, custom_data) in hooks() {
            let bindings = hook_bindings(hook, &custom_data);
            let topics = hook_topics(hook, &custom_data);
            assert_eq!(bindings.iter().collect::<HashSet<_>>().len(), bindings.len(), "{hook} binds twice");
            for head in heads() {
                let kind = classify(&head).unwrap();
                let (exchange, key) = routing(&head).unwrap();
                let bound = bindings.iter().any(|one| one.exchange == exchange && matches(&one.routing_key, &key));
                let taken = Topic::of(kind).is_some_and(|topic| topics.contains(topic));
                assert_eq!(bound, taken, "{hook} {custom_data:?} {key} {kind:?}");
                assert!(
                    !taken || kind.hook_id().is_some_and(|id| id == hook || hook == "all"),
                    "{hook} takes {kind:?}"
                );
                if hook == "all" {
                    assert_eq!(taken, kind.hook_id().is_some(), "{kind:?}");
                }
            }
        }
    }
}
