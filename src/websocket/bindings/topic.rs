//! What an event is called: in the patterns of subscriptions ([`topic`]), and in its frames ([`routing_key`]).
//!
//! Both go by what the event says of itself, as its kind does, since a publisher over HTTP may name any routing key.

use crate::ids::AccountId;
use crate::kazoo::head::Head;
use crate::kazoo::kind::Kind;
use crate::kazoo::routing::routing;
use crate::kazoo::segment::encode_segment;
use crate::kazoo::table::UNDEFINED;

/// The documents that Kazoo keeps in a database for each month.
pub const MONTHLY_TYPES: [&str; 2] = ["fax", "mailbox_message"];

/// Joins the first two words of a topic, which are never wildcards, into one: each word is a step of the look-up.
pub const JOINT: char = '/';

/// Words of topics that tell apart what one binding must not mix.
pub const MONTHLY: &str = "monthly";
pub const LASTING: &str = "lasting";
pub const FOR_EVERYONE: &str = "everyone";
pub const FOR_ADMINISTRATORS: &str = "administrators";

/// Replaces what is in `topic` by the event's topic. `false`: no binding means such an event.
///
/// `routing_key` is the one of the bus, looked at where a presence event does not say whose presence it is.
pub fn topic(kind: Kind, head: &Head, routing_key: &str, topic: &mut String) -> bool {
    topic.clear();
    let mut words = |words: &[&str]| {
        for (position, word) in words.iter().enumerate() {
            match position {
                0 => (),
                1 => topic.push(JOINT),
                _ => topic.push('.'),
            }
            topic.push_str(word);
        }
    };
    match kind {
        Kind::ChannelCreate
        | Kind::ChannelAnswer
        | Kind::ChannelBridge
        | Kind::ChannelDestroy
        | Kind::ChannelHold
        | Kind::ChannelUnhold
        | Kind::Parking(_) => words(&["call", name(head), &segment(head.call_id.as_deref())]),
        Kind::Object { action, object_type } => words(&["object", keeping(object_type), action, object_type]),
        Kind::Notification(row) => {
            let audience = if row.admin_only() { FOR_ADMINISTRATORS } else { FOR_EVERYONE };
            words(&["notifications", audience, row.name]);
        }
        Kind::FaxStatus => words(&["fax", "status", &segment(fax_id(head))]),
        Kind::ConferenceEvent => words(&[
            "conference",
            "event",
            &segment(head.event.as_deref()),
            &segment(head.conference_id.as_deref()),
            &segment(head.call_id.as_deref()),
        ]),
        Kind::ConferenceCommand => words(&["conference", "command", &segment(head.conference_id.as_deref())]),
        Kind::PresenceDialog | Kind::PresenceUpdate | Kind::PresenceMwi => {
            let (event, id) = (presence_event(kind), presence_id(kind, head, routing_key));
            words(&["presence", event, &id]);
        }
        Kind::OtherChange | Kind::Sms | Kind::Mms | Kind::OtherMessage | Kind::MetaflowAction | Kind::MetaflowFlow => {
            return false;
        }
    }
    true
}

/// The `routing_key` of the event's frames: Kazoo's internal key, which names the account where it has one. `account` is
/// whose the event turned out to be.
pub fn routing_key(kind: Kind, account: Option<AccountId>, head: &Head, routing_key: &str) -> String {
    let account = || account.map_or_else(|| UNDEFINED.to_owned(), |account| account.to_string());
    match kind {
        Kind::ChannelCreate
        | Kind::ChannelAnswer
        | Kind::ChannelBridge
        | Kind::ChannelDestroy
        | Kind::ChannelHold
        | Kind::ChannelUnhold
        | Kind::Parking(_) => format!("call.{}.{}.{}", account(), name(head), segment(head.call_id.as_deref())),
        Kind::Notification(row) => format!("notifications.{}.{}", account(), row.name),
        Kind::FaxStatus => format!("fax.status.{}.{}", account(), segment(fax_id(head))),
        Kind::ConferenceEvent => {
            let [event, conference, call] = [&head.event, &head.conference_id, &head.call_id];
            let [event, conference, call] = [event, conference, call].map(|id| segment(id.as_deref()));
            format!("conference.event.{event}.{}.{conference}.{call}", account())
        }
        Kind::PresenceDialog | Kind::PresenceUpdate | Kind::PresenceMwi => {
            let realm = match head.presence_realm() {
                Some(realm) => segment(Some(realm)),
                None => word_of_bus(routing_key, 1),
            };
            format!("{}.{realm}.{}", presence_event(kind), presence_id(kind, head, routing_key))
        }
        _ => routing(head).map_or_else(|| routing_key.to_owned(), |(_, key)| key),
    }
}

/// The word of a topic that tells how Kazoo keeps documents of a type.
pub fn keeping(object_type: &str) -> &'static str {
    if MONTHLY_TYPES.contains(&object_type) { MONTHLY } else { LASTING }
}

fn name(head: &Head) -> &str {
    head.event_name.as_deref().unwrap_or(UNDEFINED)
}

fn fax_id(head: &Head) -> Option<&str> {
    // Kazoo's fax application calls it Job-ID.
    head.fax_id.as_deref().or(head.job_id.as_deref())
}

fn presence_event(kind: Kind) -> &'static str {
    match kind {
        Kind::PresenceDialog => "dialog",
        Kind::PresenceUpdate => "update",
        _ => "mwi_updates",
    }
}

fn presence_id(kind: Kind, head: &Head, routing_key: &str) -> String {
    let id = if kind == Kind::PresenceMwi { head.presence_user() } else { head.call_id.as_deref() };
    id.map_or_else(|| word_of_bus(routing_key, 2), |id| segment(Some(id)))
}

fn word_of_bus(routing_key: &str, position: usize) -> String {
    let word = routing_key.split('.').nth(position).filter(|word| !word.is_empty());
    word.unwrap_or(UNDEFINED).to_owned()
}

/// An id of an event is never a wildcard, whatever it says.
fn segment(id: Option<&str>) -> String {
    match id {
        None => UNDEFINED.to_owned(),
        Some("*") => "%2A".to_owned(),
        Some("#") => "%23".to_owned(),
        Some(id) => encode_segment(id).into_owned(),
    }
}
